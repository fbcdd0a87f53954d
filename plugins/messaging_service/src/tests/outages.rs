//! Whatever is away, at whichever step: nothing is lost, nothing is done twice, and what is given up is shown.

use plugin_api::{
    error::OperationError,
    requests::{
        messaging::{ListUnprocessed, Retry, Send},
        orchestrator::RunState,
    },
    serde_json::json,
    tokio,
};

use super::setup::{ADA, BOB, Instance, World, away, done, now_ms, report, text, wait};

async fn attempts(host: &Instance) -> u32 {
    let open = host.call(ListUnprocessed::default()).await.map(|open| open.messages).unwrap_or_default();
    open.iter().map(|message| message.attempts).max().unwrap_or(0)
}

#[tokio::test]
async fn the_memory_is_away() {
    let world = World::default();
    world.state().memory = Some(away());
    let host = world.host().await;
    text(&host, ADA, "SM1", "one").await;
    text(&host, ADA, "SM2", "two").await;
    let place = std::panic::Location::caller();
    wait(place, || attempts(&host), |attempts| *attempts >= 2).await;
    let open = host.call(ListUnprocessed::default()).await.unwrap();
    assert_eq!((open.open, open.failed), (2, 0));
    assert_eq!(open.messages[0].error.as_deref(), Some("it is away"));
    assert!(open.messages[0].next_ms.is_some());
    world.state().memory = None;
    world.wait_for_texts(&host, &["re: one", "re: two"]).await;
}

#[tokio::test]
async fn the_assistant_is_away() {
    let world = World::default();
    world.state().assistant = Some(away());
    let host = world.host().await;
    text(&host, ADA, "SM1", "one").await;
    let place = std::panic::Location::caller();
    wait(place, || attempts(&host), |attempts| *attempts >= 2).await;
    assert_eq!(world.said(ADA), ["sms person: one"], "it is remembered meanwhile");
    world.state().assistant = None;
    world.wait_for_texts(&host, &["re: one"]).await;
}

#[tokio::test]
async fn twilio_is_away() {
    let world = World::default();
    world.state().twilio = Some((away(), false));
    let host = world.host().await;
    text(&host, ADA, "SM1", "one").await;
    text(&host, ADA, "SM2", "two").await;
    let place = std::panic::Location::caller();
    wait(place, || attempts(&host), |attempts| *attempts >= 2).await;
    world.state().twilio = None;
    world.wait_for_texts(&host, &["re: one", "re: two"]).await;
}

#[tokio::test]
async fn the_memory_is_away_after_the_answer_went() {
    let world = World::default();
    let host = world.host().await;
    world.state().answer = |run| done(&run.goal);
    text(&host, ADA, "SM1", "one").await;
    world.wait_for_texts(&host, &["one"]).await;
    // From here on nothing is remembered, but what came before is answered.
    world.state().memory = Some(away());
    let sent = Send { to: Some(ADA.to_owned()), text: "two".to_owned(), ..Send::default() };
    let sent = host.call(sent).await.unwrap();
    assert_eq!(sent.parts[0].sid.as_deref(), Some("SMout1"));
    world.state().memory = None;
    let place = std::panic::Location::caller();
    let said = || async { world.said(ADA) };
    wait(place, said, |said| said.last().is_some_and(|last| last == "sms assistant: two")).await;
}

#[tokio::test]
async fn the_database_is_away_in_the_middle() {
    let world = World::default();
    let host = world.host().await;
    world.state().memory = Some(away());
    text(&host, ADA, "SM1", "one").await;
    let place = std::panic::Location::caller();
    wait(place, || attempts(&host), |attempts| *attempts >= 1).await;
    world.database.set_down(true);
    world.state().memory = None;
    assert!(host.call(ListUnprocessed::default()).await.is_err());
    world.database.set_down(false);
    world.wait_for_texts(&host, &["re: one"]).await;
}

#[tokio::test]
async fn what_is_given_up_is_kept_and_shown_and_those_behind_go_on() {
    let world = World::default();
    world.state().memory = Some(OperationError::invalid("too long"));
    let host = world.host().await;
    text(&host, ADA, "SM1", "one").await;
    world.settles(&host).await;
    world.state().memory = None;
    text(&host, ADA, "SM2", "two").await;
    world.wait_for_texts(&host, &["re: two"]).await;
    let failed =
        host.call(ListUnprocessed { failed_only: true, ..ListUnprocessed::default() }).await.unwrap();
    assert_eq!((failed.failed, failed.messages[0].error.as_deref()), (1, Some("too long")));
    host.call(Retry { id: "SM1".to_owned() }).await.unwrap();
    world.wait_for_texts(&host, &["re: two", "re: one"]).await;
}

#[tokio::test]
async fn an_outage_that_is_too_long_is_an_end() {
    let world = World::default();
    world.state().assistant = Some(away());
    let host = world.host_with(json!({ "give_up_after": "1s" })).await;
    text(&host, ADA, "SM1", "one").await;
    world.settles(&host).await;
    let failed = host.call(ListUnprocessed::default()).await.unwrap();
    assert_eq!((failed.failed, failed.messages[0].state.as_str()), (1, "failed"));
    // Who writes to somebody else is not concerned.
    world.state().assistant = None;
    text(&host, BOB, "SM2", "two").await;
    world.wait_for_texts(&host, &["re: two"]).await;
}

/// The host itself was away for a day: what waited is tried as if it had just come, and in order.
#[tokio::test]
async fn what_is_old_is_not_given_up_for_that() {
    let world = World::default();
    world.state().memory = Some(away());
    world.state().answer = |run| match run.goal.as_str() {
        "think" => report(RunState::Running),
        goal => done(&format!("re: {goal}")),
    };
    let host = world.host().await;
    host.stop().await.unwrap();
    text(&host, ADA, "SM1", "think").await;
    text(&host, ADA, "SM2", "next").await;
    world.database.run("update messaging_service_inbox set since_ms = since_ms - 90000000");
    drop(host);
    let host = world.host().await;
    let place = std::panic::Location::caller();
    wait(place, || attempts(&host), |attempts| *attempts >= 1).await;
    world.state().memory = None;
    wait(place, || async { world.state().reports.len() }, |runs| *runs == 1).await;
    world.set_run("run-SM1:0", done("Thought."));
    world.wait_for_texts(&host, &["Thought.", "re: next"]).await;
}

#[tokio::test]
async fn messages_that_are_refused_one_after_the_other_are_a_trouble_until_one_is_answered() {
    let world = World::default();
    let host = world.host().await;
    world.state().memory = Some(OperationError::invalid("the turn has no such medium"));
    let place = std::panic::Location::caller();
    let failed = || async { host.call(ListUnprocessed::default()).await.map_or(0, |open| open.failed) };
    text(&host, ADA, "SM1", "hello").await;
    text(&host, BOB, "SM2", "hello").await;
    wait(place, failed, |failed| *failed == 2).await;
    assert_eq!(host.troubles(), [], "two may be an accident");
    text(&host, ADA, "SM3", "hello").await;
    let raised = wait(place, || async { host.troubles() }, |troubles| !troubles.is_empty()).await.remove(0);
    assert_eq!((raised.key.as_str(), raised.cleared), ("unanswered", false));
    assert!(raised.message.is_some_and(|message| message.contains("the turn has no such medium")));
    world.state().memory = None;
    text(&host, BOB, "SM4", "hello again").await;
    wait(place, || async { host.troubles() }, |troubles| troubles.iter().any(|trouble| trouble.cleared))
        .await;
}

/// One of the hosts works on the message that begins or ends it; the other one learns of it all the same.
#[tokio::test]
async fn what_another_host_did_begins_and_ends_the_trouble() {
    let world = World::default();
    let hosts = [world.host().await, world.host().await];
    world.state().memory = Some(OperationError::invalid("the turn has no such medium"));
    for sid in ["SM1", "SM2", "SM3"] {
        text(&hosts[0], ADA, sid, "hello").await;
    }
    let place = std::panic::Location::caller();
    let last = || async { hosts.each_ref().map(|host| host.troubles().last().map(|told| told.cleared)) };
    wait(place, last, |last| *last == [Some(false); 2]).await;
    world.state().memory = None;
    text(&hosts[0], BOB, "SM4", "hello again").await;
    wait(place, last, |last| *last == [Some(true); 2]).await;
}

#[tokio::test]
async fn an_outage_is_told_by_the_plugin_that_is_away() {
    let world = World::default();
    let host = world.host().await;
    world.state().memory = Some(away());
    for number in 1..=4 {
        text(&host, ADA, &format!("SM{number}"), "hello").await;
    }
    let place = std::panic::Location::caller();
    wait(place, || attempts(&host), |attempts| *attempts >= 3).await;
    assert_eq!(host.troubles(), []);
}

/// A process that is gone holds a lane: on SQLite there is no other process, and nobody waits for it.
#[tokio::test]
async fn the_lease_of_a_process_that_is_gone_ends_at_once() {
    let world = World::default();
    world.state().assistant = Some(away());
    let before = world.host().await;
    text(&before, ADA, "SM1", "hello").await;
    before.stop().await.unwrap();
    let later = now_ms() + 30_000;
    world.database.run(&format!("update messaging_service_lanes set owner = 'gone', lease_ms = {later}"));
    world.state().assistant = None;
    let host = world.host().await;
    world.wait_for_texts(&host, &["re: hello"]).await;
}

/// The lease of a step that takes long is over: the host that is at it does not take the lane again, but another one does.
/// From then on nothing that the first step writes counts.
#[tokio::test]
async fn a_claim_that_was_overtaken_writes_nothing() {
    let world = World::default();
    let first = world.holds_a_run();
    let host = world.host().await;
    text(&host, ADA, "SM1", "hello").await;
    let place = std::panic::Location::caller();
    wait(place, || async { world.is_holding() }, |holding| *holding).await;
    let lane = format!("select owner from messaging_service_lanes where lane = 'in:{ADA}'");
    let owner = world.database.run(&lane).rows;
    world.database.run("update messaging_service_lanes set lease_ms = 0");
    // It takes what is due, and would take this one first.
    text(&host, BOB, "SM2", "hi").await;
    wait(place, || async { world.texts() }, |texts| texts == &["re: hi"]).await;
    assert_eq!(world.database.run(&lane).rows, owner);
    let second = world.holds_a_run();
    let _other = world.host().await;
    wait(place, || async { world.is_holding() }, |holding| *holding).await;
    first.send(()).unwrap();
    let overtaken =
        || async { host.logs().iter().any(|log| log.message.contains("another claim took over")) };
    wait(place, overtaken, |told| *told).await;
    second.send(()).unwrap();
    world.wait_for_texts(&host, &["re: hi", "re: hello"]).await;
}

/// The clock was put back by an hour while a message and its answer waited, and their lanes were somebody's.
#[tokio::test]
async fn a_clock_that_was_put_back_strands_no_thread() {
    let world = World::default();
    world.state().assistant = Some(away());
    let before = world.host().await;
    text(&before, ADA, "SM1", "hello").await;
    before.stop().await.unwrap();
    let ahead = now_ms() + 3_600_000;
    for set in
        ["lanes set owner = 'other', lease_ms", "lanes set due_ms", "inbox set since_ms", "inbox set next_ms"]
    {
        world.database.run(&format!("update messaging_service_{set} = {ahead}"));
    }
    world.state().assistant = None;
    world.state().twilio = Some((away(), false));
    let host = world.host().await;
    let place = std::panic::Location::caller();
    let part = "select count(*) from messaging_service_outbox where attempts > 0";
    wait(place, || async { world.database.number(part) }, |parts| *parts == 1).await;
    for set in [
        "lanes set owner = 'other', lease_ms",
        "lanes set due_ms",
        "outbox set since_ms",
        "outbox set next_ms",
    ] {
        world.database.run(&format!("update messaging_service_{set} = {ahead}"));
    }
    world.state().twilio = None;
    world.wait_for_texts(&host, &["re: hello"]).await;
}
