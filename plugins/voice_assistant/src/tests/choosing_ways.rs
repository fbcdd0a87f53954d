//! A call is answered the best way there is.

use plugin_api::{
    error::ReasonCode,
    requests::voice::{CallWay, EndCall},
    serde_json::json,
    tokio,
};

use super::setup::{PUBLIC, Phone, World, action, attribute, shown, spoken};

#[tokio::test]
async fn in_real_time_where_the_bridge_is_connected() {
    let world = World::default();
    world.state().connected.insert("realtime_call_bridge");
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    assert_eq!(attribute(&twiml, "url").as_deref(), Some("wss://example.com/media/twilio"));
    assert_eq!(attribute(&twiml, "name").as_deref(), Some("token"));
    let token = attribute(&twiml, "value").unwrap();
    assert_eq!(token.len(), 64);
    let expected = format!("{PUBLIC}/webhooks/twilio/voice/stream-status");
    assert_eq!(attribute(&twiml, "statusCallback"), Some(expected));
    assert_eq!(shown(&host).await.call.way, CallWay::Realtime);
    let kept = world.database.run("select * from voice_assistant_calls");
    assert!(!format!("{kept:?}").contains(&token), "only its hash is kept");
}

#[tokio::test]
async fn turn_by_turn_without_a_public_address() {
    let world = World::default();
    world.state().connected.insert("realtime_call_bridge");
    let host = world.host_without_database(json!({})).await;
    let twiml = Phone::ada().ring(&host).await;
    assert_eq!(spoken(&twiml), ["Hello! How can I help you?"]);
    assert!(attribute(&twiml, "action").unwrap().starts_with("/webhooks/"), "{twiml}");
}

#[tokio::test]
async fn by_a_message_where_openai_is_down() {
    let world = World::default();
    world.state().connected.clear();
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    assert_eq!(
        spoken(&twiml),
        ["I am sorry, I cannot answer at the moment.", "Please leave a message after the tone.", "Goodbye!"]
    );
    assert_eq!(attribute(&twiml, "maxLength").as_deref(), Some("120"));
    assert_eq!(shown(&host).await.call.way, CallWay::Voicemail);
    let host = world.host_with(json!({ "voicemail": false })).await;
    let twiml = ada.ring(&host).await;
    assert_eq!(spoken(&twiml), ["I am sorry, I cannot answer at the moment.", "Goodbye!"]);
    ada.post(&host, "/status", &[("CallStatus", "completed")]).await;
    assert_eq!(shown(&host).await.call.outcome.as_deref(), Some("nobody could answer"));
}

#[tokio::test]
async fn the_whole_call_is_recorded_where_that_is_wanted() {
    let world = World::default();
    let (host, ada) = (world.host_with(json!({ "record_calls": true })).await, Phone::ada());
    let twiml = ada.ring(&host).await;
    assert!(
        twiml.starts_with("<Response><Start><Recording channels=\"dual\" recordingStatusCallback="),
        "{twiml}"
    );
    let recorded = [
        ("RecordingSid", "RE1"),
        ("RecordingUrl", "https://api.twilio.com/RE1"),
        ("RecordingStatus", "completed"),
        ("RecordingDuration", "61"),
    ];
    for _ in 0..2 {
        ada.post(&host, "/recording", &recorded).await;
    }
    let recordings = shown(&host).await.recordings;
    assert_eq!(recordings.len(), 1);
    assert_eq!((recordings[0].seconds, recordings[0].voicemail), (61, false));
    assert!(world.state().sent.is_empty(), "nobody left a message");
}

#[tokio::test]
async fn voice_and_language_are_those_of_the_settings() {
    let world = World::default();
    let settings = json!({ "language": "de-DE", "voice": "Polly.Vicki", "greeting": "Hallo!" });
    let (host, ada) = (world.host_with(settings).await, Phone::ada());
    let twiml = ada.ring(&host).await;
    assert!(twiml.contains("<Say voice=\"Polly.Vicki\" language=\"de-DE\">Hallo!</Say>"), "{twiml}");
}

#[tokio::test]
async fn a_call_goes_on_turn_by_turn_when_its_stream_breaks() {
    let world = World::default();
    world.state().connected.insert("realtime_call_bridge");
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let failed = [("StreamSid", "MZ1"), ("StreamEvent", "stream-error"), ("StreamError", "connection lost")];
    ada.post(&host, "/stream-status", &failed).await;
    let twiml = ada.post(&host, &action(&twiml), &[]).await;
    assert_eq!(spoken(&twiml), ["I am sorry, that did not work. Could you say it again?"]);
    assert_eq!(spoken(&ada.say(&host, &twiml, "hello?").await), ["re: hello?"]);
    assert_eq!(shown(&host).await.call.way, CallWay::Turns);
    assert!(
        super::setup::lines(&host).await.contains(&"(the media stream failed: connection lost)".to_owned())
    );
}

#[tokio::test]
async fn audio_that_does_not_arrive_again_and_again_is_a_trouble() {
    let world = World::default();
    world.state().connected.insert("realtime_call_bridge");
    let (host, ada) = (world.host().await, Phone::ada());
    ada.ring(&host).await;
    for number in 1..=2 {
        assert_eq!(host.troubles().len(), 0, "before {number}");
        let stream = format!("MZ{number}");
        let failed = [("StreamSid", &*stream), ("StreamEvent", "stream-error"), ("StreamError", "31920")];
        ada.post(&host, "/stream-status", &failed).await;
    }
    let told = host.troubles().remove(0);
    assert_eq!((told.key.as_str(), told.code), ("media", Some(ReasonCode::ConfigInvalid)));
    assert_eq!(told.fix.and_then(|fix| fix.setting).as_deref(), Some("public_base_url"));
    assert!(
        told.message.is_some_and(|message| message.contains("the last 2 calls") && message.contains("31920"))
    );
}

#[tokio::test]
async fn a_stream_that_ends_with_the_call_closes_it() {
    let world = World::default();
    world.state().connected.insert("realtime_call_bridge");
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.post(&host, &action(&twiml), &[("CallStatus", "completed")]).await;
    assert_eq!(twiml, "<Response><Hangup/></Response>");
    assert_eq!(shown(&host).await.call.outcome.as_deref(), Some("the other side hung up"));
}

#[tokio::test]
async fn an_operator_ends_a_call_at_once() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    ada.ring(&host).await;
    host.call(EndCall { call: Some(ada.call.clone()) }).await.unwrap();
    assert!(world.state().updated[0].hang_up);
    assert_eq!(shown(&host).await.call.outcome.as_deref(), Some("an operator ended it"));
}

/// Twilio tells of an end before it answers who asked for it.
#[tokio::test]
async fn who_ended_a_call_is_known_though_twilio_told_of_its_end_first() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    ada.ring(&host).await;
    ada.post(&host, "/status", &[("CallStatus", "completed")]).await;
    host.call(EndCall { call: Some(ada.call.clone()) }).await.unwrap();
    let call = shown(&host).await.call;
    assert_eq!((call.live, call.outcome.as_deref()), (false, Some("an operator ended it")));
    let (world, host) = super::calling::placed(json!({}), super::calling::request()).await;
    ada.post(&host, "/status", &[("CallStatus", "completed")]).await;
    let path = format!("/machine?{}", super::calling::order(&world));
    ada.post(&host, &path, &[("AnsweredBy", "machine_start")]).await;
    assert_eq!(shown(&host).await.call.outcome.as_deref(), Some("a machine answered"));
}
