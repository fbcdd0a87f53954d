//! Whatever is away, before a call or in the middle of it: what the caller hears is defined.

use std::{sync::mpsc, thread};

use plugin_api::{
    error::OperationError,
    jiff::Timestamp,
    prelude::Duration,
    requests::{openai::FinishReason, sql::Query},
    serde_json::json,
    tokio,
};

use super::setup::{
    ADA, BOB, CALL, LEFT, OWNER, Phone, World, action, away, lines, redirect, shown, spoken, wait,
};

const APOLOGY: &str = "I am sorry, I cannot answer at the moment.";

#[tokio::test]
async fn a_database_that_is_away_is_told_later() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    world.database.set_down(true);
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "one").await;
    assert_eq!(spoken(&twiml), ["re: one"]);
    let twiml = ada.say(&host, &twiml, "two").await;
    assert_eq!(spoken(&twiml), ["re: two"]);
    let history: Vec<_> = world.state().runs[1].1.history.iter().map(|said| said.text.clone()).collect();
    assert_eq!(history, ["Hello! How can I help you?", "one", "re: one"], "it is known from memory");
    world.database.set_down(false);
    wait(
        || async { world.database.number("select count(*) from voice_assistant_entries") },
        |kept| *kept == 5,
    )
    .await;
    assert_eq!(lines(&host).await.len(), 5);
    wait(|| async { world.said(ADA) }, |said| said.len() == 4).await;
}

/// Several hosts judge what one of them writes, by the same clock.
#[tokio::test]
async fn the_databases_clock_is_known_as_soon_as_the_database_is() {
    const AHEAD_MS: i64 = 3_600_000;
    let world = World::default();
    let (database, ahead) = (world.database.clone(), format!("now_ms() + {AHEAD_MS} as now_ms"));
    let host = world.host_of(json!({}), |plugin| {
        plugin.fake("database", move |query: Query| match query.sql.as_str() {
            // The first question of the caretaker: it does not come to the clock.
            sql if sql.contains("unreached_ms") => Err(OperationError::unavailable("it is away")),
            sql => database.query(Query { sql: sql.replace("now_ms() as now_ms", &ahead), ..query }),
        })
    });
    let host = host.await;
    Phone::ada().ring(&host).await;
    let started =
        || async { world.database.number("select coalesce(max(started_ms), 0) from voice_assistant_calls") };
    let started = wait(started, |started| *started > 0).await;
    assert!(started > Timestamp::now().as_millisecond() + AHEAD_MS / 2, "{started}");
}

#[tokio::test]
async fn without_any_database_calls_are_answered_and_messages_announced() {
    let world = World::default();
    let host = world.host_without_database(json!({ "owner_number": OWNER })).await;
    let ada = Phone::ada();
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "one").await;
    assert_eq!(spoken(&ada.say(&host, &twiml, "two").await), ["re: two"]);
    assert_eq!(world.state().runs[1].1.history.len(), 3);
    ada.post(&host, "/voicemail", &LEFT).await;
    wait(|| async { world.state().sent.len() }, |sent| *sent == 1).await;
}

#[tokio::test]
async fn the_model_alone_answers_where_the_assistant_is_away() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    world.state().assistant = Some(away());
    let twiml = ada.say(&host, &twiml, "hello").await;
    assert_eq!(spoken(&twiml), ["I can only talk."]);
    world.state().assistant = None;
    assert_eq!(spoken(&ada.say(&host, &twiml, "and now?").await), ["re: and now?"]);
}

#[tokio::test]
async fn half_an_answer_is_not_read_out() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    world.state().assistant = Some(away());
    world.state().ends = FinishReason::Length;
    let twiml = ada.say(&host, &twiml, "hello").await;
    assert_eq!(world.state().chats.len(), 1, "the model was asked");
    assert_eq!(spoken(&twiml)[0], APOLOGY);
}

#[tokio::test]
async fn nobody_waits_for_what_needs_the_database_while_it_is_known_to_be_down() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    world.state().connected.remove("database");
    let twiml = ada.say(&host, &twiml, "hello").await;
    assert_eq!(spoken(&twiml), ["I can only talk."]);
    assert!(world.state().runs.is_empty());
}

#[tokio::test]
async fn a_message_may_be_left_where_the_model_is_away_too() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    world.state().assistant = Some(away());
    world.state().model = Some(away());
    let twiml = ada.say(&host, &twiml, "hello").await;
    assert_eq!(spoken(&twiml)[0], APOLOGY);
    assert!(lines(&host).await.contains(&"(nobody could answer: it is away)".to_owned()));
}

#[tokio::test]
async fn openai_goes_away_while_an_answer_is_waited_for() {
    let world = World::default();
    world.state().answer = |_| super::setup::report(plugin_api::requests::orchestrator::RunState::Running);
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "look it up").await;
    world.state().connected.remove("openai");
    let twiml = ada.post(&host, &redirect(&twiml), &[]).await;
    assert_eq!(spoken(&twiml)[0], APOLOGY);
    assert_eq!(world.state().cancelled.len(), 1, "nobody waits for it");
}

#[tokio::test]
async fn an_assistant_that_does_not_answer_in_time_is_asked_again() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    world.state().assistant = Some(OperationError::deadline("it takes too long"));
    let twiml = ada.say(&host, &twiml, "hello").await;
    assert_eq!(spoken(&twiml), ["One moment, please."]);
    world.state().assistant = None;
    let twiml = ada.post(&host, &redirect(&twiml), &[]).await;
    assert_eq!(spoken(&twiml), ["re: hello"]);
}

#[tokio::test]
async fn without_the_memory_the_assistant_is_a_stranger_who_answers() {
    let world = World::default();
    world.state().memory = Some(away());
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    assert_eq!(spoken(&ada.say(&host, &twiml, "hello").await), ["re: hello"]);
    assert!(world.said(ADA).is_empty());
    world.state().memory = None;
    let said = wait(|| async { world.said(ADA) }, |said| said.len() == 2).await;
    assert_eq!(said, ["voice person: hello", "voice assistant: re: hello"], "it learns of it later");
}

#[tokio::test]
async fn without_the_memory_messages_are_announced_and_calls_closed() {
    let world = World::default();
    world.state().memory = Some(away());
    let (host, ada) = (world.host_with(json!({ "owner_number": OWNER })).await, Phone::ada());
    let twiml = ada.ring(&host).await;
    ada.say(&host, &twiml, "hello").await;
    ada.post(&host, "/voicemail", &LEFT).await;
    wait(|| async { world.state().sent.len() }, |sent| *sent == 1).await;
    world.state().reported.insert(CALL.to_owned(), "completed".to_owned());
    world.database.run("update voice_assistant_calls set heard_ms = 1");
    wait(|| async { shown(&host).await.call.live }, |live| !live).await;
    assert!(world.said(ADA).is_empty());
}

#[tokio::test]
async fn whom_the_memory_cannot_keep_holds_up_nobody_else() {
    let world = World::default();
    world.state().unmemorable.insert(ADA);
    let host = world.host().await;
    for (phone, words) in [(Phone::ada(), "first"), (Phone::bob(), "second")] {
        let twiml = phone.ring(&host).await;
        phone.say(&host, &twiml, words).await;
    }
    let said = wait(|| async { world.said(BOB) }, |said| said.len() == 2).await;
    assert_eq!(said, ["voice person: second", "voice assistant: re: second"]);
    world.state().unmemorable.clear();
    let said = wait(|| async { world.said(ADA) }, |said| said.len() == 2).await;
    assert_eq!(said, ["voice person: first", "voice assistant: re: first"], "in order, and later");
}

#[tokio::test]
async fn without_twilio_a_call_in_progress_goes_on() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    world.state().twilio = Some(away());
    let twiml = ada.ring(&host).await;
    assert_eq!(spoken(&ada.say(&host, &twiml, "hello").await), ["re: hello"]);
}

/// Twilio waits no longer than 15 seconds, also where it only tells something.
#[tokio::test]
async fn what_twilio_tells_is_answered_though_nothing_is_written() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    ada.ring(&host).await;
    let (holding, is_held) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let pen = world.pen.clone();
    let holder = thread::spawn(move || {
        let _held = pen.lock();
        holding.send(()).unwrap();
        // Without an answer in time it ends here, and the test fails.
        let _ = released.recv_timeout(Duration::from_secs(60));
    });
    is_held.recv().unwrap();
    let answers = tokio::join!(
        ada.post(&host, "/status", &[("CallStatus", "completed")]),
        ada.post(&host, "/recording", &LEFT),
        ada.post(&host, "/machine", &[("AnsweredBy", "human")]),
        ada.post(&host, "/stream-status", &[("StreamSid", "MZ1"), ("StreamEvent", "stream-error")]),
    );
    assert!(!holder.is_finished(), "they are answered while nothing is written");
    assert_eq!(<[String; 4]>::from(answers), ["<Response/>"; 4]);
    release.send(()).unwrap();
    wait(|| async { shown(&host).await.call.live }, |live| !live).await;
}

#[tokio::test]
async fn a_call_outlives_the_host_that_took_it() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "one").await;
    drop(host);
    let other = world.host().await;
    let twiml = ada.say(&other, &twiml, "two").await;
    assert_eq!(spoken(&twiml), ["re: two"]);
    assert_eq!(world.state().runs[1].1.history.len(), 3);
    assert!(action(&twiml).starts_with("/turn?n="));
}
