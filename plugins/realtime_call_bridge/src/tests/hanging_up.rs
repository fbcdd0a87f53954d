//! An operator ends a call: Twilio may close its stream before it answers that it has ended the line, or not end it at all.

use std::{
    thread,
    time::{Duration, Instant},
};

use plugin_api::{
    error::{ErrorKind, OperationError},
    jiff::Timestamp,
    requests::bridge::HangUp,
    serde_json::json,
    tokio::{self, sync::mpsc, task::block_in_place},
};
use switchboard_tests::partners::media::Simulation;

use super::{
    setup::{LIMIT, Phone, Shared, no_settings, plugin, report, silent, wait_until},
    world::{CALL, LIMITS, STREAM},
};
use crate::{
    HUNG_UP,
    line::{Identity, Leaving, Line},
    machine::Input,
};

#[tokio::test]
async fn an_operator_hangs_up() {
    let told = Shared::default();
    let plugin = plugin(no_settings(), &told, silent);
    let plugin = plugin
        .fake_json("twilio_service", "update_call", |_, request| {
            assert_eq!((&request["sid"], &request["hang_up"]), (&json!(CALL), &json!(true)));
            Err(OperationError::unavailable("Twilio is away"))
        })
        .create()
        .unwrap();
    let mut phone = Phone::call(&plugin, "good").await;
    phone.speak(2).await;
    wait_until(&told, "the audio", |told| told.audio == 320).await;
    let hung_up = plugin.call(HangUp { call: CALL.to_owned() }).await.unwrap();
    assert_eq!((hung_up.line_ended, hung_up.why_not.as_deref()), (false, Some("Twilio is away")));
    assert_eq!(phone.listen().await.message, "an operator hung up");
    wait_until(&told, "the goodbye", |told| told.closed.is_some()).await;
    assert_eq!(report(&told).reason, "an operator hung up");
    assert!(report(&told).ends_call, "Twilio asks how the call goes on");
    let gone = plugin.call(HangUp { call: CALL.to_owned() }).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
}

/// What asks to end the line answers once the conversation knows that the call is over.
#[tokio::test]
async fn twilio_may_close_the_stream_before_it_answers() {
    let told = Shared::default();
    let (asked, mut asking) = mpsc::unbounded_channel();
    let over = told.clone();
    let plugin = plugin(no_settings(), &told, silent);
    let plugin = plugin
        .fake_json("twilio_service", "update_call", move |_, _| {
            asked.send(()).unwrap();
            let until = Instant::now() + LIMIT;
            // The plugin goes on meanwhile.
            block_in_place(|| {
                while over.lock().unwrap().closed.is_none() && Instant::now() < until {
                    thread::sleep(Duration::from_millis(5));
                }
            });
            Ok(json!({ "sid": CALL, "status": "completed", "direction": "inbound", "from": "", "to": "" }))
        })
        .create()
        .unwrap();
    let mut phone = Phone::call(&plugin, "good").await;
    phone.speak(2).await;
    wait_until(&told, "the audio", |told| told.audio == 320).await;
    let ends = async {
        asking.recv().await.unwrap();
        let stop = phone.twilio.stop();
        phone.send(stop).await;
        phone.listen().await.message
    };
    let (hung_up, reason) = tokio::join!(plugin.call(HangUp { call: CALL.to_owned() }), ends);
    assert!(hung_up.unwrap().line_ended);
    assert_eq!((reason.as_str(), report(&told).reason.as_str()), (HUNG_UP, HUNG_UP));
    assert!(report(&told).ends_call);
}

#[tokio::test]
async fn a_request_that_is_given_up_ends_no_call() {
    let ended = async |leave: fn(Leaving) -> Option<Leaving>| {
        let identity =
            Identity { call: CALL.to_owned(), stream: STREAM.to_owned(), began_at: Timestamp::UNIX_EPOCH };
        let line = Line::new(identity, LIMITS, None, |_| {});
        let _leaving = leave(line.leaving(HUNG_UP));
        line.handle(Input::Twilio(Simulation::new(CALL, STREAM, &[]).stop()));
        line.ended().await.reason
    };
    assert_eq!(ended(Some).await, HUNG_UP);
    assert_eq!(ended(|_| None).await, "the caller hung up, or the call went on elsewhere");
}
