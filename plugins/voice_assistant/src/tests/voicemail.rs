//! A message that was left is kept, and its owner told of it, once.

use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::{
        twilio::{FetchMedia, Media},
        voice::FetchRecording,
    },
    serde_json::json,
    tokio,
};

use super::setup::{ADA, LEFT, OWNER, Phone, World, action, away, shown, spoken, wait};

async fn world() -> (World, super::setup::Instance, String) {
    let world = World::default();
    world.state().connected.clear();
    let host = world.host_with(json!({ "owner_number": OWNER })).await;
    let twiml = Phone::ada().ring(&host).await;
    (world, host, twiml)
}

#[tokio::test]
async fn its_owner_is_told_once() {
    let (world, host, twiml) = world().await;
    let twiml = Phone::ada().post(&host, &action(&twiml), &LEFT).await;
    assert_eq!(spoken(&twiml), ["Thank you. Your message was recorded. Goodbye!"]);
    for _ in 0..2 {
        let told = [&LEFT[..], &[("RecordingStatus", "completed")]].concat();
        Phone::ada().post(&host, "/recording?voicemail=1", &told).await;
    }
    wait(|| async { world.state().sent.clone() }, |sent| sent.len() == 1).await;
    let announced =
        || async { world.database.number("select sum(is_announced) from voice_assistant_recordings") };
    wait(announced, |announced| *announced == 1).await;
    let (key, message) = world.state().sent.pop_first().unwrap();
    assert_eq!((key.as_str(), message.to.as_deref()), ("RE1", Some(OWNER)));
    let text = format!("{ADA} left a message of 12 seconds on the phone: recording RE1.");
    assert_eq!(message.body.as_deref(), Some(text.as_str()));
    let call = shown(&host).await;
    assert_eq!(call.call.outcome.as_deref(), Some("a message was left"));
    assert_eq!((call.recordings.len(), call.recordings[0].voicemail), (1, true));
}

#[tokio::test]
async fn it_is_announced_when_twilio_is_back_and_by_another_host() {
    let (world, host, twiml) = world().await;
    world.state().twilio = Some(away());
    Phone::ada().post(&host, &action(&twiml), &LEFT).await;
    drop(host);
    world.state().twilio = None;
    let _other = world.host_with(json!({ "owner_number": OWNER })).await;
    wait(|| async { world.state().sent.len() }, |sent| *sent == 1).await;
}

#[tokio::test]
async fn operators_fetch_it_and_nobody_else() {
    let (_world, host, twiml) = world().await;
    Phone::ada().post(&host, &action(&twiml), &LEFT).await;
    let fetch = |recording: &str| FetchRecording { recording: recording.to_owned() };
    let header = CallHeader { person: Some(ADA.to_owned()), ..CallHeader::default() };
    assert_eq!(host.call_with(header, fetch("RE1")).await.unwrap_err().kind, ErrorKind::Denied);
    let unknown = host.call(fetch("RE2")).await.unwrap_err();
    assert_eq!(unknown.message, "no call here has the recording `RE2`");
    let fetched = host.call(fetch("RE1")).await.unwrap();
    assert_eq!(fetched.content_type.as_deref(), Some("audio/mpeg"));
}

/// What Twilio has of a recording.
pub fn media(fetch: &FetchMedia) -> Media {
    assert_eq!(fetch.url, "https://api.twilio.com/RE1");
    Media { content_type: Some("audio/mpeg".to_owned()), content: "AQID".to_owned() }
}
