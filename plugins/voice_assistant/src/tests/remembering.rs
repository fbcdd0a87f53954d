//! One memory for what is said on the phone and what is written.

use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::{
        memory::{AddTurn, Medium, Speaker},
        orchestrator::RunState,
        voice::Respond,
    },
    tokio,
};

use super::setup::{ADA, CALL, Phone, World, wait};

#[tokio::test]
async fn what_was_written_is_known_on_the_phone_and_what_was_said_is_named_by_its_call() {
    let world = World::default();
    let texted = AddTurn {
        speaker: Speaker::Person,
        medium: Medium::Sms,
        text: "my name is Ada".to_owned(),
        attachments: Vec::new(),
        source: Some("SM1".to_owned()),
        at_ms: Some(1),
        display_name: None,
        origin: None,
    };
    world.state().turns.push((ADA.to_owned(), texted));
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    ada.say(&host, &twiml, "who am I?").await;
    assert_eq!(world.state().runs[0].1.history[0].text, "my name is Ada");
    wait(|| async { world.said(ADA) }, |said| said.len() == 3).await;
    let state = world.state();
    let source = state.turns[1].1.source.as_deref().unwrap();
    assert!(source.starts_with(&format!("{CALL}:")), "{source}");
}

#[tokio::test]
async fn one_turn_in_text_is_answered_and_remembered_once() {
    let world = World::default();
    let host = world.host().await;
    let (person, idempotency_key) = (Some(ADA.to_owned()), Some("k".to_owned()));
    let header = CallHeader { person, idempotency_key, ..CallHeader::default() };
    for _ in 0..2 {
        let answer = host.call_with(header.clone(), Respond { text: "hello".to_owned() }).await.unwrap();
        assert_eq!((answer.state, answer.answer.as_deref()), (RunState::Done, Some("re: hello")));
    }
    assert_eq!(world.state().runs.len(), 1);
    assert_eq!(world.said(ADA), ["other person: hello", "other assistant: re: hello"]);
    let refused = host.call(Respond { text: "hello".to_owned() }).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid);
}
