//! A call whose host died is closed as what it was, by Twilio's report, by asking Twilio, or when it cannot go on any more.

use plugin_api::{protocol::CallHeader, requests::voice::CallPerson, tokio};

use super::setup::{ADA, CALL, Instance, Phone, World, shown, wait};

async fn is_closed(host: &Instance) -> Option<String> {
    wait(|| async { shown(host).await.call }, |call| !call.live).await.outcome
}

#[tokio::test]
async fn by_the_status_that_twilio_tells() {
    for (status, outcome) in [
        ("completed", "the other side hung up"),
        ("busy", "the line was busy"),
        ("no-answer", "nobody answered"),
        ("failed", "it could not be put through"),
        ("canceled", "it was given up before anybody answered"),
    ] {
        let world = World::default();
        let host = world.host().await;
        Phone::ada().ring(&host).await;
        Phone::ada().post(&host, "/status", &[("CallStatus", "in-progress")]).await;
        assert!(shown(&host).await.call.live);
        for _ in 0..2 {
            Phone::ada().post(&host, "/status", &[("CallStatus", status)]).await;
        }
        assert_eq!(is_closed(&host).await.as_deref(), Some(outcome));
    }
}

#[tokio::test]
async fn a_call_of_ours_by_what_was_reported_of_it() {
    let world = World::default();
    let host = world.host().await;
    let header = CallHeader { person: Some(ADA.to_owned()), ..CallHeader::default() };
    host.call_with(header, CallPerson { objective: "x".to_owned(), ..CallPerson::default() }).await.unwrap();
    world.database.run("update voice_assistant_calls set heard_ms = heard_ms - 10000");
    world.state().reported.insert(CALL.to_owned(), "busy".to_owned());
    assert_eq!(is_closed(&host).await.as_deref(), Some("the line was busy"));
}

#[tokio::test]
async fn a_quiet_call_by_asking_twilio() {
    let world = World::default();
    let host = world.host().await;
    Phone::ada().ring(&host).await;
    drop(host);
    world.database.run("update voice_assistant_calls set heard_ms = 1");
    world.state().reported.insert(CALL.to_owned(), "in-progress".to_owned());
    let host = world.host().await;
    let touched = || async { world.database.number("select max(heard_ms) from voice_assistant_calls") };
    wait(touched, |heard| *heard > 1).await;
    assert!(shown(&host).await.call.live, "it goes on");
    world.state().reported.insert(CALL.to_owned(), "completed".to_owned());
    world.database.run("update voice_assistant_calls set heard_ms = 1");
    assert_eq!(is_closed(&host).await.as_deref(), Some("the other side hung up"));
}

#[tokio::test]
async fn a_call_of_which_nobody_knows_anything_when_it_cannot_go_on() {
    let world = World::default();
    let host = world.host().await;
    Phone::ada().ring(&host).await;
    world.database.run("update voice_assistant_calls set heard_ms = 1");
    let touched = || async { world.database.number("select max(heard_ms) from voice_assistant_calls") };
    wait(touched, |heard| *heard > 1).await;
    assert!(shown(&host).await.call.live, "it may go on");
    world.database.run("update voice_assistant_calls set heard_ms = 1, started_ms = 1");
    assert_eq!(is_closed(&host).await.as_deref(), Some("nobody knows when it ended"));
}

#[tokio::test]
async fn a_clock_that_was_put_back_strands_no_call() {
    let world = World::default();
    let host = world.host().await;
    Phone::ada().ring(&host).await;
    world.state().reported.insert(CALL.to_owned(), "completed".to_owned());
    world.database.run("update voice_assistant_calls set heard_ms = heard_ms + 3600000");
    assert_eq!(is_closed(&host).await.as_deref(), Some("the other side hung up"));
}
