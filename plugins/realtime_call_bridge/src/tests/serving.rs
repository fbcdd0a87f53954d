//! A call on the plugin, from its first frame to the goodbye: who is let in, what passes, and who is told what at the end.

use std::sync::Arc;

use plugin_api::{
    error::{ErrorKind, OperationError},
    requests::{
        bridge::{ListCalls, Replay},
        http::{Admission, HttpRequest},
        voice::{BridgeEvent, SESSION, SessionEvent},
    },
    serde_json::{self, Value, json},
    stream::Frame,
    testing::TestPlugin,
    tokio,
};

use super::{
    setup::{Phone, Shared, no_settings, plugin, report, silent, tell, utter, wait_until},
    world::{CALL, STREAM, byte_of},
};
use crate::Bridge;

#[tokio::test]
async fn a_call_is_carried_until_the_conversation_ends_it() {
    let told = Shared::default();
    let plugin = plugin(no_settings(), &told, |stream| async move {
        utter(&stream, 1, 900).await;
        tell(&stream, SessionEvent::Finish {}).await;
        Ok(())
    });
    let plugin = plugin.create().unwrap();
    let mut phone = Phone::call(&plugin, "good").await;
    phone.speak(10).await;
    let reason = phone.listen().await;
    assert_eq!((reason.error, reason.message.as_str()), (None, "the conversation is over"));
    assert_eq!(phone.twilio.playback.played, vec![byte_of(1); 7_200]);
    wait_until(&told, "the goodbye", |told| told.closed.is_some()).await;
    let session = told.lock().unwrap().opened[0].clone();
    assert_eq!(
        (session.call.as_str(), session.stream.as_str(), session.token.as_str()),
        (CALL, STREAM, "good")
    );
    assert_eq!(told.lock().unwrap().events[0], BridgeEvent::Played { utterance: 1 });
    assert_eq!((report(&told).reason.as_str(), report(&told).sent_ms), ("the conversation is over", 900));
    assert!(plugin.call(ListCalls {}).await.unwrap().calls.is_empty());
}

#[tokio::test]
async fn a_token_that_is_not_good_opens_nothing() {
    let told = Shared::default();
    let plugin = plugin(no_settings(), &told, silent).create().unwrap();
    let mut phone = Phone::call(&plugin, "wrong").await;
    for _ in 0..3 {
        // By now it may be refused.
        let _ = phone.stream.send(Frame::Text(phone.twilio.media(&[0x21; 160]))).await;
    }
    let reason = phone.listen().await;
    assert_eq!(reason.error.map(|error| error.kind), Some(ErrorKind::Denied));
    assert_eq!(reason.message, "the token was used before");
    assert!(phone.twilio.playback.taken.is_empty(), "nothing was said");
    is_counted_as_refused(&told).await;
}

async fn is_counted_as_refused(told: &Shared) {
    wait_until(told, "a refusal to be counted", |told| {
        told.observed.iter().any(|observed| observed["name"] == "refused")
    })
    .await;
}

#[tokio::test]
async fn what_does_not_begin_as_a_stream_of_twilio_is_refused() {
    let told = Shared::default();
    let plugin = plugin(json!({ "start_timeout": "300ms" }), &told, silent).create().unwrap();
    let start = |start: Value| json!({ "event": "start", "start": start }).to_string();
    let format = json!({ "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 });
    let linear = json!({ "encoding": "audio/l16", "sampleRate": 16000, "channels": 1 });
    let of = |call: &str, format: &Value, parameters: Value| {
        start(
            json!({ "streamSid": "MZ1", "callSid": call, "mediaFormat": format, "customParameters": parameters }),
        )
    };
    for (frames, kind, words) in [
        (vec![], ErrorKind::Invalid, "the connection did not say within 300ms which call it is"),
        (
            vec!["{}".to_owned(); 8],
            ErrorKind::Invalid,
            "the connection does not begin as a media stream of Twilio does",
        ),
        (vec![of("CA1", &format, json!({}))], ErrorKind::Denied, "the media stream has no parameter `token`"),
        (
            vec![of("../CA1", &format, json!({ "token": "t" }))],
            ErrorKind::Invalid,
            "the `start` of the media stream names no call or no stream",
        ),
        (
            vec![of("CA1", &linear, json!({ "token": "t" }))],
            ErrorKind::Invalid,
            "the media stream carries `audio/l16` at 16000 Hz on 1 channels; `audio/x-mulaw` at 8000 Hz on 1 is \
             expected",
        ),
    ] {
        let stream = Phone::connect(&plugin).await.unwrap();
        for frame in frames {
            stream.send(Frame::Text(frame)).await.unwrap();
        }
        let reason = stream.recv().await.unwrap_err();
        assert_eq!((reason.error.map(|error| error.kind), reason.message.as_str()), (Some(kind), words));
    }
    assert!(told.lock().unwrap().opened.is_empty(), "no conversation was begun");
}

#[tokio::test]
async fn no_more_calls_are_taken_than_there_is_room_for() {
    let told = Shared::default();
    let plugin = plugin(json!({ "max_calls": 1 }), &told, silent).create().unwrap();
    let phone = Phone::call(&plugin, "good").await;
    let refused = Phone::connect(&plugin).await.err().unwrap();
    assert_eq!(
        refused.to_string(),
        "overloaded: this host carries 1 calls, which is its limit (`max_calls`)"
    );
    is_counted_as_refused(&told).await;
    let expected = format!("a media stream is refused: {refused}");
    assert!(plugin.logs().iter().any(|record| record.message == expected), "{:?}", plugin.logs());
    drop(phone);
    wait_until(&told, "the place to be free", |told| told.closed.is_some()).await;
    let mut phone = Phone::call(&plugin, "wrong").await;
    assert_eq!(phone.listen().await.message, "the token was used before");
}

#[tokio::test]
async fn the_caller_hangs_up() {
    let told = Shared::default();
    let plugin = plugin(no_settings(), &told, |stream| async move {
        utter(&stream, 1, 400).await;
        Ok(())
    });
    let plugin = plugin.create().unwrap();
    let mut phone = Phone::call(&plugin, "good").await;
    phone.speak(5).await;
    phone.listen_for(byte_of(1), 400).await;
    let stop = phone.twilio.stop();
    phone.send(stop).await;
    phone.listen().await;
    wait_until(&told, "the goodbye", |told| told.closed.is_some()).await;
    let report = report(&told);
    assert_eq!(report.reason, "the caller hung up, or the call went on elsewhere");
    assert_eq!((report.received_ms, report.sent_ms), (100, 400));
    assert_eq!(told.lock().unwrap().audio, 800);
    wait_until(&told, "the call to be counted", |told| {
        told.observed.iter().any(|observed| observed["name"] == "ended")
    })
    .await;
}

#[tokio::test]
async fn the_connection_breaks() {
    let told = Shared::default();
    let plugin = plugin(no_settings(), &told, silent).create().unwrap();
    let mut phone = Phone::call(&plugin, "good").await;
    phone.speak(5).await;
    wait_until(&told, "the audio", |told| told.audio == 800).await;
    drop(phone);
    wait_until(&told, "the goodbye", |told| told.closed.is_some()).await;
    let expected = "the connection to Twilio broke: the other end of the stream went away";
    assert_eq!(report(&told).reason, expected);
}

#[tokio::test]
async fn a_conversation_that_breaks_off_closes_the_line_at_once() {
    let told = Shared::default();
    let plugin = plugin(no_settings(), &told, |stream| async move {
        utter(&stream, 1, 300).await;
        Err(OperationError::unavailable("the model is gone"))
    });
    let plugin = plugin.create().unwrap();
    let mut phone = Phone::call(&plugin, "good").await;
    let reason = phone.listen().await;
    assert_eq!(reason.error.map(|error| error.kind), Some(ErrorKind::Unavailable));
    assert_eq!(reason.message, "the conversation broke off: the model is gone");
    wait_until(&told, "the call to be counted", |told| {
        told.observed.iter().any(|observed| observed["name"] == "failed")
    })
    .await;
}

#[tokio::test]
async fn a_conversation_that_floods_is_held_back_and_loses_nothing() {
    let told = Shared::default();
    let settings = json!({ "ahead": "1s", "queue": "1s" });
    let plugin = plugin(settings, &told, |stream| async move {
        utter(&stream, 1, 30_000).await;
        tell(&stream, SessionEvent::Finish {}).await;
        Ok(())
    });
    let plugin = plugin.create().unwrap();
    let mut phone = Phone::call(&plugin, "good").await;
    let call = loop {
        let call = plugin.call(ListCalls {}).await.unwrap().calls.pop();
        if let Some(call) = call.filter(|call| call.queued_ms > 1_000) {
            break call;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((call.call.as_str(), call.stream.as_str(), call.unheard_ms), (CALL, STREAM, 1_000));
    assert!(call.queued_ms <= 1_400, "a frame more than allowed at most: {call:?}");
    let reason = phone.listen().await;
    assert_eq!(reason.message, "the conversation is over");
    assert_eq!(phone.twilio.playback.played_ms(byte_of(1)), 30_000);
}

#[tokio::test]
async fn the_signature_of_the_upgrade_is_demanded_unless_told_otherwise() {
    let admit = |settings: Value| async {
        let plugin = plugin(settings, &Shared::default(), silent);
        let plugin = plugin
            .fake_json("twilio_service", "verify_webhook", |_, request| {
                let request: HttpRequest = serde_json::from_value(request).unwrap();
                match request.header("x-twilio-signature") {
                    Some("good") => Ok(json!(Admission::default())),
                    _ => Err(OperationError::denied("the signature does not fit the request")),
                }
            })
            .create()
            .unwrap();
        let with = |signature: &str| {
            let headers = vec![("x-twilio-signature".to_owned(), signature.to_owned())];
            json!(HttpRequest { headers, ..HttpRequest::default() })
        };
        let good = plugin.call_json("admit", with("good")).await;
        (good.is_ok(), plugin.call_json("admit", with("bad")).await.err().map(|error| error.kind))
    };
    assert_eq!(admit(no_settings()).await, (true, Some(ErrorKind::Denied)));
    assert_eq!(admit(json!({ "require_signature": false })).await, (true, None));
    let alone = plugin(no_settings(), &Shared::default(), silent).create().unwrap();
    let error = alone.call_json("admit", json!(HttpRequest::default())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "without twilio_service nobody gets in");
}

#[tokio::test]
async fn a_call_is_recorded_without_its_token_and_replayed() {
    let told = Shared::default();
    let folder = tempfile::tempdir().unwrap();
    let plugin = plugin(json!({ "record": true }), &told, |stream| async move {
        utter(&stream, 1, 500).await;
        tell(&stream, SessionEvent::Finish {}).await;
        Ok(())
    });
    let plugin = plugin.data_dir(folder.path()).create().unwrap();
    let mut phone = Phone::call(&plugin, "a-token-that-nobody-may-see").await;
    phone.speak(5).await;
    phone.listen().await;
    let recording = format!("{STREAM}.jsonl");
    let replayed = loop {
        // The file is completed in the background.
        match plugin.call(Replay { recording: recording.clone() }).await {
            Ok(replayed) if !replayed.truncated => break replayed,
            Ok(_) => {}
            Err(error) => assert!(matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid), "{error}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(replayed.difference, None);
    assert!(replayed.fed >= 5 && replayed.agreed >= 10, "{replayed:?}");
    let file = folder.path().join(crate::NAME).join(&recording);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("to_twilio") && !text.contains("a-token-that-nobody-may-see"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let unknown = plugin.call(Replay { recording: "../secret.key".to_owned() }).await.unwrap_err();
    let expected = format!("not_found: there is no recording `../secret.key`; there are: `{recording}`");
    assert_eq!(unknown.to_string(), expected);
}

#[tokio::test]
async fn an_operator_is_told_when_the_token_alone_protects() {
    for (settings, count) in [(no_settings(), 0), (json!({ "require_signature": false }), 1)] {
        let notes = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = notes.clone();
        let plugin = plugin(settings, &Shared::default(), silent);
        let plugin = plugin.fake_json("host", "note", move |_, request| {
            seen.lock().unwrap().extend(request["notes"].as_array().cloned().unwrap_or_default());
            Ok(Value::Null)
        });
        plugin.create().unwrap().init().await.unwrap();
        assert_eq!(notes.lock().unwrap().len(), count);
    }
}

#[tokio::test]
async fn a_conversation_that_does_not_listen_makes_twilio_wait_and_is_given_up() {
    let plugin = TestPlugin::<Bridge>::new(no_settings());
    let plugin = plugin.fake_stream(crate::VOICE, SESSION, |_, _, stream| async move {
        tell(&stream, SessionEvent::SpeechStopped { at_ms: 0 }).await;
        std::future::pending().await
    });
    let plugin = plugin.create().unwrap();
    let mut phone = Phone::call(&plugin, "good").await;
    let mut taken = 0;
    let reason = loop {
        let frame = Frame::Text(phone.twilio.media(&[0x21; 160]));
        tokio::select! {
            biased;
            received = phone.stream.recv() => match received {
                Ok(frame) => panic!("nothing was said: {frame:?}"),
                Err(reason) => break reason,
            },
            sent = phone.stream.send(frame) => taken += usize::from(sent.is_ok()),
        }
    };
    assert_eq!(reason.message, "the conversation has taken nothing for 10 s");
    assert!((50..130).contains(&taken), "two queues of 32, and 50 in between: {taken}");
}
