//! A call is to end with its media: the conversation has said so before Twilio asks how the call goes on.

use std::sync::{Arc, Mutex};

use plugin_api::{
    requests::{
        bridge::HangUp,
        voice::{BridgeEvent, SESSION},
    },
    serde_json::{self, Value, json},
    stream::{Frame, Stream},
    testing::{TestInstance, TestPlugin},
    tokio::{
        self,
        time::{Duration, sleep},
    },
};

use super::{setup::Phone, world::CALL};
use crate::Bridge;

type Closed = Arc<Mutex<Vec<&'static str>>>;

/// A conversation that takes a moment to decide, once it was told that the call is over.
fn plugin(settings: Value, closed: &Closed) -> TestInstance<Bridge> {
    let closed = closed.clone();
    let plugin =
        TestPlugin::<Bridge>::new(settings).fake_stream(crate::VOICE, SESSION, move |_, _, stream| {
            let closed = closed.clone();
            async move {
                while !is_told_to_end(&stream).await {}
                sleep(Duration::from_millis(100)).await;
                closed.lock().unwrap().push("the conversation");
                Ok(())
            }
        });
    plugin.create().unwrap()
}

async fn is_told_to_end(stream: &Stream) -> bool {
    match stream.recv().await.expect("it is told") {
        Frame::Text(text) => match serde_json::from_str(&text).unwrap() {
            BridgeEvent::Ended(report) => {
                assert!(report.ends_call);
                true
            }
            _ => false,
        },
        Frame::Binary(_) => false,
    }
}

#[tokio::test]
async fn a_limit_ends_the_call_and_not_only_its_media() {
    let closed = Closed::default();
    let plugin = plugin(json!({ "idle_timeout": "200ms" }), &closed);
    let mut phone = Phone::call(&plugin, "good").await;
    let reason = phone.listen().await;
    closed.lock().unwrap().push("the stream of Twilio");
    assert_eq!((reason.error, reason.message.as_str()), (None, "nobody has said anything for 0 s"));
    assert_eq!(*closed.lock().unwrap(), ["the conversation", "the stream of Twilio"]);
}

#[tokio::test]
async fn so_does_an_operator_whom_twilio_does_not_hear() {
    let closed = Closed::default();
    let plugin = plugin(json!({}), &closed);
    let mut phone = Phone::call(&plugin, "good").await;
    phone.speak(1).await;
    let hung_up = loop {
        // It is a call once it has said so.
        match plugin.call(HangUp { call: CALL.to_owned() }).await {
            Ok(hung_up) => break hung_up,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(!hung_up.line_ended);
    phone.listen().await;
    closed.lock().unwrap().push("the stream of Twilio");
    assert_eq!(*closed.lock().unwrap(), ["the conversation", "the stream of Twilio"]);
}
