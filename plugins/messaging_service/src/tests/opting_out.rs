//! Who wants no messages gets none, from the moment that they say so; and nobody argues.

use plugin_api::{
    error::{ErrorKind, OperationError},
    requests::{
        messaging::{ListThreads, Send, SendState},
        orchestrator::RunState,
        twilio_service::{Channel, SendMessage},
    },
    serde_json::json,
    tokio,
};

use super::setup::{ADA, World, away, deliver, done, report, text, wait, whatsapp};

fn to_ada(words: &str) -> Send {
    Send { to: Some(ADA.to_owned()), text: words.to_owned(), ..Send::default() }
}

#[tokio::test]
async fn a_stop_is_obeyed_and_not_answered() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "Stop").await;
    assert!(world.state().opt_outs.contains(ADA), "it is known once Twilio has the answer");
    world.settles(&host).await;
    assert!(world.texts().is_empty() && world.state().runs.is_empty());
    assert_eq!(world.said(ADA), ["sms person: stop"]);
    let refused = host.call(to_ada("hi")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    assert_eq!(
        refused.message,
        "not sent: `+15550000001` opted out; only they can change that, by writing START"
    );
    let threads = host.call(ListThreads::default()).await.unwrap();
    assert_eq!(threads.threads[0].opted_out, [Channel::Sms]);

    text(&host, ADA, "SM2", "what is this?").await;
    text(&host, ADA, "SM3", "START").await;
    text(&host, ADA, "SM4", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
    assert!(world.state().opt_outs.is_empty());
}

#[tokio::test]
async fn yes_takes_a_stop_back_and_is_an_answer_otherwise() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "STOP").await;
    text(&host, ADA, "SM2", "yes").await;
    text(&host, ADA, "SM3", "yes").await;
    world.wait_for_texts(&host, &["re: yes"]).await;
    assert!(world.state().opt_outs.is_empty());
}

#[tokio::test]
async fn whatsapp_and_sms_are_stopped_apart() {
    let world = World::default();
    let host = world.host().await;
    whatsapp(&host, ADA, "SM1", "stop").await;
    text(&host, ADA, "SM2", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
    assert!(world.state().opt_outs.contains(&format!("whatsapp:{ADA}")));
}

#[tokio::test]
async fn an_old_stop_that_is_delivered_again_changes_nothing() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "STOP").await;
    text(&host, ADA, "SM2", "START").await;
    text(&host, ADA, "SM1", "STOP").await;
    text(&host, ADA, "SM3", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
}

/// The question is being answered when they write STOP: the answer is dropped, and marked.
#[tokio::test]
async fn who_opts_out_in_mid_thread_gets_nothing_more() {
    let world = World::default();
    world.state().answer = |_| report(RunState::Running);
    let host = world.host().await;
    text(&host, ADA, "SM1", "a question").await;
    let place = std::panic::Location::caller();
    wait(place, || async { world.state().reports.len() }, |runs| *runs == 1).await;
    text(&host, ADA, "SM2", "STOP").await;
    wait(place, || async { world.state().opt_outs.len() }, |told| *told == 1).await;
    world.set_run("run-SM1:0", done("An answer."));
    world.settles(&host).await;
    assert!(world.texts().is_empty(), "{:?}", world.texts());
    let marked = world.database.run("select state, error, body from messaging_service_outbox");
    let marked = plugin_api::serde_json::to_value(marked.rows).unwrap();
    assert_eq!(marked, json!([["dropped", "the person opted out", ""]]));
}

/// Texts wait for Twilio, which is away, when they write STOP.
#[tokio::test]
async fn what_waits_is_dropped() {
    let world = World::default();
    world.state().twilio = Some((away(), false));
    let host = world.host_with(json!({ "give_up_after": "10m" })).await;
    text(&host, ADA, "SM1", "a question").await;
    let place = std::panic::Location::caller();
    let waits = || async { world.database.run("select 1 as one from messaging_service_outbox").len() };
    wait(place, waits, |waiting| *waiting == 1).await;
    text(&host, ADA, "SM2", "stop").await;
    world.state().twilio = None;
    world.settles(&host).await;
    assert!(world.texts().is_empty(), "{:?}", world.texts());
}

/// Twilio took it, and the host did not live to write that down before they write STOP.
#[tokio::test]
async fn what_twilio_took_was_sent_whatever_they_want_now() {
    let world = World::default();
    world.state().twilio = Some((away(), false));
    let host = world.host_with(json!({ "give_up_after": "10m" })).await;
    text(&host, ADA, "SM1", "a question").await;
    let place = std::panic::Location::caller();
    let attempts = || async {
        world.database.run("select 1 as one from messaging_service_outbox where attempts > 0").len()
    };
    wait(place, attempts, |tried| *tried == 1).await;
    let taken = SendMessage { body: Some("re: a question".to_owned()), ..SendMessage::default() };
    world.state().sent.push(("SM1:answer:1".to_owned(), taken));
    text(&host, ADA, "SM2", "stop").await;
    world.settles(&host).await;
    let kept = world.database.run("select state, sid from messaging_service_outbox");
    assert_eq!(plugin_api::serde_json::to_value(kept.rows).unwrap(), json!([["sent", "SMout0"]]));
    assert!(world.said(ADA).contains(&"sms assistant: re: a question".to_owned()));
}

/// The answer was lost, then they write STOP; by and by it is clear that Twilio never took it.
#[tokio::test]
async fn what_was_in_doubt_and_not_sent_is_dropped() {
    let world = World::default();
    world.state().twilio = Some((OperationError::unknown_outcome("no answer came"), false));
    let host = world.host().await;
    text(&host, ADA, "SM1", "a question").await;
    let place = std::panic::Location::caller();
    let in_doubt = || async {
        world.database.run("select 1 as one from messaging_service_outbox where state = 'looking'").len()
    };
    wait(place, in_doubt, |looking| *looking == 1).await;
    text(&host, ADA, "SM2", "stop").await;
    world.state().twilio = None;
    world.settles(&host).await;
    assert!(world.texts().is_empty(), "{:?}", world.texts());
    let kept = world.database.run("select state, error from messaging_service_outbox");
    assert_eq!(
        plugin_api::serde_json::to_value(kept.rows).unwrap(),
        json!([["dropped", "the person opted out"]])
    );
}

/// The carrier knows of an opt-out that nobody here heard of.
#[tokio::test]
async fn what_twilio_knows_counts_too() {
    let world = World::default();
    world.state().opt_outs.insert(ADA.to_owned());
    world.state().twilio = Some((OperationError::denied("not sent: they opted out"), false));
    let host = world.host().await;
    let refused = host.call(to_ada("one")).await.unwrap_err();
    assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Denied, "not sent: they opted out"));
    assert_eq!(refused.details.unwrap()["state"], json!(SendState::Dropped));
    let known = host.call(ListThreads::default()).await.unwrap();
    assert_eq!(known.threads[0].opted_out, [Channel::Sms]);
}

#[tokio::test]
async fn help_is_answered_where_twilio_does_not() {
    let world = World::default();
    let host = world.host_with(json!({ "help_text": "This is ACME. Write STOP to end it." })).await;
    let told = [("MessageSid", "SM1"), ("Body", "HELP"), ("OptOutType", "HELP")];
    assert_eq!(deliver(&host, ADA, &told).await, Ok(200));
    text(&host, ADA, "SM2", "help").await;
    world.wait_for_texts(&host, &["This is ACME. Write STOP to end it."]).await;
    assert!(world.state().runs.is_empty());
    assert_eq!(world.state().sent[0].0, "SM2:answer:1");
}
