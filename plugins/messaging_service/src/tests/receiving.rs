//! A message is stored once, on whichever host, before Twilio hears that it is taken.

use plugin_api::{
    error::ErrorKind,
    requests::messaging::{ListUnprocessed, Retry},
    serde_json::json,
    tokio,
};

use super::setup::{ADA, BOB, World, deliver, request, text};

#[tokio::test]
async fn what_is_delivered_again_is_answered_once() {
    let world = World::default();
    let (one, other) = (world.host().await, world.host().await);
    for host in [&one, &other, &one, &other] {
        text(host, ADA, "SM1", "hello").await;
    }
    world.wait_for_texts(&one, &["re: hello"]).await;
    assert_eq!(world.said(ADA), ["sms person: hello", "sms assistant: re: hello"]);
    assert_eq!(world.state().runs.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_taken() {
    let world = World::default();
    let host = world.host().await;
    world.database.set_down(true);
    let refused = deliver(&host, ADA, &[("MessageSid", "SM1"), ("Body", "hello")]).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable, "so that Twilio delivers it again");
    assert_eq!(refused.message, "messages cannot be stored: the database is away");
    world.database.set_down(false);
    text(&host, ADA, "SM1", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
}

#[tokio::test]
async fn the_order_in_a_thread_holds_and_threads_go_side_by_side() {
    let world = World::default();
    let hosts = [world.host().await, world.host().await, world.host().await];
    for number in 0..30 {
        for (person, name) in [(ADA, "ada"), (BOB, "bob")] {
            let host = &hosts[(number + name.len()) % 3];
            let sid = format!("SM{name}{number}");
            text(host, person, &sid, &format!("{name} {number}")).await;
            text(&hosts[number % 3], person, &sid, &format!("{name} {number}")).await;
        }
    }
    world.settles(&hosts[0]).await;
    for name in ["ada", "bob"] {
        let texts = world.texts();
        let theirs: Vec<_> = texts.iter().filter(|text| text.contains(name)).cloned().collect();
        let expected: Vec<_> = (0..30).map(|number| format!("re: {name} {number}")).collect();
        assert_eq!(theirs, expected);
    }
}

#[tokio::test]
async fn what_was_stored_is_processed_by_who_comes_next() {
    let world = World::default();
    world.state().memory = Some(super::setup::away());
    let host = world.host().await;
    text(&host, ADA, "SM1", "one").await;
    text(&host, ADA, "SM2", "two").await;
    host.stop().await.unwrap();
    drop(host);
    world.state().memory = None;
    let next = world.host().await;
    world.wait_for_texts(&next, &["re: one", "re: two"]).await;
}

#[tokio::test]
async fn a_text_that_came_is_kept_only_until_it_is_processed() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "a secret").await;
    world.wait_for_texts(&host, &["re: a secret"]).await;
    let kept = world.database.run("select body, attachments, display_name from messaging_service_inbox");
    assert!(!format!("{kept:?}").contains("secret"), "{kept:?}");
}

#[tokio::test]
async fn who_is_no_person_cannot_be_answered_and_that_is_shown() {
    let world = World::default();
    let host = world.host().await;
    let form = [("MessageSid", "SM1"), ("Body", "sale!"), ("From", "ACME")];
    assert_eq!(deliver(&host, "ACME", &form).await, Ok(200));
    world.settles(&host).await;
    let shown = host.call(ListUnprocessed::default()).await.unwrap();
    assert_eq!((shown.failed, shown.open), (0, 0), "nothing waits for anybody");
    let kept = &shown.messages[0];
    assert_eq!((kept.state.as_str(), kept.may_retry, kept.text.as_str()), ("unanswerable", false, "sale!"));
    assert_eq!(
        kept.error.as_deref(),
        Some("`ACME` is a name or a short code, and no number that takes answers")
    );
    let again = host.call(Retry { id: "SM1".to_owned() }).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
    assert!(world.texts().is_empty());
}

#[tokio::test]
async fn without_a_database_nothing_is_taken() {
    let plugin = plugin_api::testing::TestPlugin::<crate::MessagingService>::new(json!({})).create().unwrap();
    let failure = plugin.init().await.unwrap_err();
    assert_eq!(
        failure.message,
        "messages cannot be stored, so none is accepted: add a section `[plugins.database]` to plugins.toml"
    );
    assert_eq!(failure.code, plugin_api::error::ReasonCode::ConfigInvalid, "waiting does not mend it");
    let webhook = request(&[("MessageSid", "SM1"), ("From", ADA)]);
    let refused =
        plugin.call_json("receive", plugin_api::serde_json::to_value(webhook).unwrap()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
}
