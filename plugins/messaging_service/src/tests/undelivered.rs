//! A message that Twilio took and no carrier delivered is told once, marked for the assistant, and sent again as another.

use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::{
        messaging::{ListUnprocessed, Retry, Send, SendState},
        twilio_service::NotDelivered,
    },
    tokio,
};

use super::setup::{ADA, World, text, wait};

fn report(sid: &str) -> NotDelivered {
    NotDelivered {
        sid: sid.to_owned(),
        error_code: Some(30007),
        why: "carriers filter them as unwanted (Twilio 30007)".to_owned(),
        advice: "See what carriers permit".to_owned(),
        at_ms: crate::store::now_ms(),
    }
}

#[tokio::test]
async fn the_assistant_knows_what_the_person_never_got() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
    world.settles(&host).await;
    // One that is not ours, and ours twice.
    world.state().undelivered = vec![report("SMother"), report("SMout0"), report("SMout0")];
    let place = std::panic::Location::caller();
    let failed = || async { host.call(ListUnprocessed::default()).await.map_or(0, |open| open.failed) };
    wait(place, failed, |failed| *failed == 1).await;
    text(&host, ADA, "SM2", "are you there?").await;
    world.wait_for_texts(&host, &["re: hello", "re: are you there?"]).await;
    let run = world.state().runs.last().expect("it was asked").1.clone();
    let said: Vec<_> = run.history.iter().map(|utterance| utterance.text.as_str()).collect();
    assert_eq!(said, ["hello", "[this message did not reach the person] re: hello"]);
}

#[tokio::test]
async fn whoever_asks_again_by_the_same_key_learns_it_and_another_try_is_another_message() {
    let world = World::default();
    let host = world.host().await;
    let header = CallHeader { idempotency_key: Some("k".to_owned()), ..CallHeader::default() };
    let send = || Send { to: Some(ADA.to_owned()), text: "your code is 7".to_owned(), ..Send::default() };
    let sent = host.call_with(header.clone(), send()).await.unwrap();
    assert_eq!(sent.state, SendState::Sent);
    world.settles(&host).await;
    world.state().undelivered = vec![report("SMout0")];
    let place = std::panic::Location::caller();
    let failed = || async { host.call(ListUnprocessed::default()).await.map_or(0, |open| open.failed) };
    wait(place, failed, |failed| *failed == 1).await;
    let told = host.call_with(header.clone(), send()).await.unwrap_err();
    assert_eq!(told.kind, ErrorKind::Denied);
    assert_eq!(told.message, "not delivered: carriers filter them as unwanted (Twilio 30007)");
    host.call(Retry { id: sent.id }).await.unwrap();
    wait(place, || async { world.texts().len() }, |texts| *texts == 2).await;
    world.settles(&host).await;
    assert_eq!(world.texts(), ["your code is 7", "your code is 7"]);
    let keys: Vec<_> = world.state().sent.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys[1], format!("{}:1", keys[0]), "it is no repeat of the first");
    assert_eq!(host.call_with(header, send()).await.unwrap().state, SendState::Sent);
}
