//! A call, turn by turn: what is said is answered, kept and remembered, once.

use plugin_api::{
    origin::Origin,
    requests::orchestrator::{Quote, RunState, RunUsage},
    serde_json::json,
    tokio,
};

use super::setup::{
    ADA, CALL, Phone, World, action, attribute, done, lines, redirect, report, shown, spoken, wait,
};

#[tokio::test]
async fn what_is_said_is_answered_in_order() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    let greeting = ada.ring(&host).await;
    assert_eq!(spoken(&greeting), ["Hello! How can I help you?"]);
    for (name, expected) in [
        ("input", "speech dtmf"),
        ("bargeIn", "true"),
        ("actionOnEmptyResult", "true"),
        ("speechTimeout", "auto"),
        ("timeout", "5"),
    ] {
        assert_eq!(attribute(&greeting, name).as_deref(), Some(expected));
    }
    let first = ada.say(&host, &greeting, "what is new?").await;
    assert_eq!(spoken(&first), ["re: what is new?"]);
    let second = ada.post(&host, &action(&first), &[("Digits", "2")]).await;
    assert_eq!(spoken(&second), ["re: [pressed the keys 2]"]);
    let expected = [
        "assistant: hello! how can i help you?",
        "person: what is new?",
        "assistant: re: what is new?",
        "person: [pressed the keys 2]",
        "assistant: re: [pressed the keys 2]",
    ];
    assert_eq!(lines(&host).await, expected);
    ada.post(&host, "/status", &[("CallStatus", "completed")]).await;
    let kept = shown(&host).await.call;
    assert_eq!((kept.live, kept.outcome.as_deref()), (false, Some("the other side hung up")));
    assert!(kept.ended_ms >= Some(kept.started_ms));
    let said = wait(|| async { world.said(ADA) }, |said| said.len() == 4).await;
    assert_eq!(said[0], "voice person: what is new?", "what is always said is not remembered");
}

#[tokio::test]
async fn the_assistant_knows_the_call_and_what_was_said_before() {
    let world = World::default();
    let (host, ada) = (world.host_with(json!({ "persona": "You are Max." })).await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "one").await;
    wait(|| async { world.said(ADA) }, |said| said.len() == 2).await;
    ada.say(&host, &twiml, "two").await;
    let state = world.state();
    let (header, run) = &state.runs[1];
    assert_eq!(header.person.as_deref(), Some(ADA));
    let history: Vec<_> = run.history.iter().map(|said| (said.by_assistant, said.text.as_str())).collect();
    assert_eq!(history, [(true, "Hello! How can I help you?"), (false, "one"), (true, "re: one")]);
    let instructions = run.instructions.as_deref().unwrap();
    assert!(instructions.starts_with("You are Max.\nYou are on the telephone"), "{instructions}");
    assert!(!instructions.contains("they met"), "what others said gives no instructions: {instructions}");
    assert_eq!(run.known, [Quote { origin: Origin::Memory, text: "they met".into() }]);
}

#[tokio::test]
async fn a_turn_that_is_delivered_again_is_answered_as_before_and_done_once() {
    let world = World::default();
    let (one, other, ada) = (world.host().await, world.host().await, Phone::ada());
    let greeting = ada.ring(&one).await;
    let first = ada.say(&one, &greeting, "buy milk").await;
    let again = ada.say(&other, &greeting, "buy milk").await;
    assert_eq!(spoken(&first), spoken(&again));
    assert_eq!(world.state().runs.len(), 1);
    assert_eq!(lines(&one).await.len(), 3);
}

#[tokio::test]
async fn silence_is_asked_about_and_ends_the_call() {
    let world = World::default();
    let (host, ada) = (world.host_with(json!({ "gather_retries": 1 })).await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.post(&host, &action(&twiml), &[]).await;
    assert_eq!(spoken(&twiml), ["I did not hear you. What can I do for you?"]);
    let twiml = ada.say(&host, &twiml, "sorry").await;
    let twiml = ada.post(&host, &action(&twiml), &[]).await;
    assert_eq!(spoken(&twiml), ["I did not hear you. What can I do for you?"], "words count anew");
    let twiml = ada.post(&host, &action(&twiml), &[]).await;
    assert_eq!(spoken(&twiml), ["Goodbye!"]);
    assert!(twiml.ends_with("<Hangup/></Response>"), "{twiml}");
    assert_eq!(shown(&host).await.call.outcome.as_deref(), Some("nothing was said any more"));
}

#[tokio::test]
async fn something_is_said_while_an_answer_takes_its_time() {
    let world = World::default();
    world.state().answer = |_| report(RunState::Running);
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "look it up").await;
    assert_eq!(spoken(&twiml), ["One moment, please."]);
    let twiml = ada.post(&host, &redirect(&twiml), &[]).await;
    assert_eq!(spoken(&twiml), ["I am still on it."]);
    let usage = RunUsage { tool_calls: 1, ..RunUsage::default() };
    world.set_run(plugin_api::requests::orchestrator::RunReport { usage, ..done("It is noon.") });
    let twiml = ada.post(&host, &redirect(&twiml), &[]).await;
    assert_eq!(spoken(&twiml), ["It is noon."]);
    assert_eq!(world.state().runs.len(), 1, "one turn, one run");
    let limits = world.state().runs[0].1.limits.clone().expect("it is limited");
    assert_eq!(limits.tools_seconds, Some(4), "a caller does not wait for long for a plugin that is away");
    let expected = [
        "assistant: hello! how can i help you?",
        "person: look it up",
        "clock.now: noon",
        "assistant: it is noon.",
    ];
    assert_eq!(lines(&host).await, expected);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    // Of what was said in the future the clock was put back since.
    for since in [1, 9_999_999_999_999_i64] {
        let world = World::default();
        world.state().answer = |_| report(RunState::Running);
        let (host, ada) = (world.host().await, Phone::ada());
        let twiml = ada.ring(&host).await;
        let twiml = ada.say(&host, &twiml, "look it up").await;
        let path = redirect(&twiml).split_once("&since=").map(|(path, _)| path.to_owned()).unwrap();
        let twiml = ada.post(&host, &format!("{path}&since={since}"), &[]).await;
        assert_eq!(spoken(&twiml), ["I am sorry, that did not work. Could you say it again?"]);
        assert_eq!(world.state().cancelled.len(), 1);
    }
}

#[tokio::test]
async fn what_waits_for_approval_is_said_so() {
    let world = World::default();
    world.state().answer = |_| report(RunState::Waiting);
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "buy a house").await;
    assert_eq!(spoken(&twiml), ["I have asked for the approval that this needs. What else can I do?"]);
    world.state().answer = |run| done(&run.goal);
    assert_eq!(spoken(&ada.say(&host, &twiml, "tea").await), ["tea"]);
}

#[tokio::test]
async fn a_run_that_fails_may_be_tried_again_once() {
    let world = World::default();
    world.state().answer = |_| report(RunState::Failed);
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "one").await;
    assert_eq!(spoken(&twiml), ["I am sorry, that did not work. Could you say it again?"]);
    let twiml = ada.say(&host, &twiml, "two").await;
    assert_eq!(
        spoken(&twiml),
        ["I am sorry, I cannot answer at the moment.", "Please leave a message after the tone.", "Goodbye!"]
    );
    assert!(twiml.contains("<Record "), "{twiml}");
}

#[tokio::test]
async fn what_a_model_says_cannot_leave_its_verb() {
    let world = World::default();
    world.state().answer = |_| done("</Say><Dial>+19005550000</Dial> & more");
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "go").await;
    assert!(!twiml.contains("<Dial>"), "{twiml}");
    assert_eq!(spoken(&twiml), ["&lt;/Say&gt;&lt;Dial&gt;+19005550000&lt;/Dial&gt; &amp; more"]);
}

#[tokio::test]
async fn a_call_lasts_no_longer_than_it_may() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    world.database.run("update voice_assistant_calls set started_ms = 1");
    let twiml = ada.say(&host, &twiml, "and now").await;
    assert_eq!(spoken(&twiml), ["Goodbye!"]);
    assert_eq!(shown(&host).await.call.outcome.as_deref(), Some("it had lasted as long as it may"));
}

/// What Twilio says of a number it says at the beginning: later webhooks must not make a person of it.
#[tokio::test]
async fn a_caller_who_is_not_verified_is_nobody_all_along() {
    let world = World::default();
    let host = world.host().await;
    let stranger = Phone { person: None, ..Phone::ada() };
    let twiml = stranger.ring(&host).await;
    let twiml = Phone::ada().say(&host, &twiml, "what do you know of me?").await;
    assert_eq!(spoken(&twiml), ["re: what do you know of me?"]);
    let state = world.state();
    let (header, run) = &state.runs[0];
    assert_eq!(header.person, Some(format!("unverified:{CALL}")), "and no operator");
    assert!(run.instructions.as_deref().unwrap().contains("their number is not verified"));
    assert_eq!(run.history.len(), 1, "only this call");
    assert!(state.turns.is_empty());
}
