//! A message that a tool sent, and no carrier delivered: the run learns of it, and so does whoever looks at it.

use std::sync::atomic::{AtomicUsize, Ordering};

use plugin_api::{
    requests::{
        openai::{Chat, Message},
        orchestrator::{FetchRun, LostMessage, RunState, ShowRun},
        twilio_service::NotDelivered,
    },
    serde_json::{Value, json},
    tokio,
};

use super::setup::{Instance, World, decide, goal, once, says, turn, wait_for, wait_until, wants};
use crate::{messages::sent_by, run::Sent};

const BOB: &str = "+15550000002";
const NOTE: (&str, &str) = ("toolbox-note", r#"{"what":"hello"}"#);

fn message(sid: &str) -> Value {
    json!({ "sid": sid, "status": "queued", "to": BOB, "repeated": false, "ledger": "database" })
}

fn text(sids: &[Option<&str>]) -> Value {
    let part = |sid: &Option<&str>| match sid {
        Some(sid) => json!({ "state": "sent", "sid": sid }),
        None => json!({ "state": "pending" }),
    };
    let parts: Vec<_> = sids.iter().map(part).collect();
    json!({ "id": "m1", "state": "sent", "to": BOB, "channel": "sms", "parts": parts, "repeated": false })
}

/// A world whose tool `note` answers so.
fn world(answer: Value) -> World {
    World::new().tool(move |_, call| match call.name.as_str() {
        "toolbox.note" => Ok(answer.clone()),
        other => Ok(json!({ "did": other })),
    })
}

/// Twilio reports it, twice, between messages of others.
fn report(world: &World, sid: &str) {
    let report = |sid: &str| NotDelivered {
        sid: sid.to_owned(),
        error_code: Some(30006),
        why: "the number is a landline (Twilio 30006)".to_owned(),
        advice: "Call them".to_owned(),
        at_ms: super::setup::now_ms(),
    };
    *world.undelivered.lock().unwrap() = ["SM0", sid, sid].map(report).into();
}

async fn known(world: &World) {
    let lost = "select count(*) from orchestrator_service_messages where lost_ms > 0";
    wait_until("the report to be noted", || world.database.number(lost) == 1).await;
}

async fn undelivered(host: &Instance, run: &str) -> Vec<LostMessage> {
    host.call(FetchRun { run: run.to_owned(), wait_seconds: None }).await.unwrap().undelivered
}

/// The results of tools in a chat.
fn results(chat: &Chat) -> Vec<String> {
    let result = |message: &Message| match message {
        Message::Tool { content, .. } => Some(content.clone()),
        _ => None,
    };
    chat.messages.iter().filter_map(result).collect()
}

#[test]
fn what_was_sent_is_read_from_the_answers_of_tools_that_send() {
    let sent = |sids: &[&str]| -> Vec<Sent> {
        sids.iter().map(|sid| Sent { sid: (*sid).to_owned(), to: BOB.to_owned() }).collect()
    };
    assert_eq!(sent_by(&message("SM1")), sent(&["SM1"]));
    assert_eq!(sent_by(&text(&[Some("SM1"), None, Some("SM2")])), sent(&["SM1", "SM2"]));
    for other in [json!(null), json!("SM1"), json!({ "sid": "SM1", "to": BOB }), json!([message("SM1")])] {
        assert_eq!(sent_by(&other), []);
    }
}

#[tokio::test]
async fn a_run_that_goes_on_is_told_before_its_next_turn() {
    let world = world(message("SM1"));
    let host = world
        .host(|chat| match turn(chat) {
            0 => wants(&[NOTE, ("toolbox-look", r#"{"what":"x"}"#)]),
            1 => wants(&[("toolbox-spend", r#"{"what":"x"}"#)]),
            _ => says("done"),
        })
        .await;
    let waiting = host.call(goal("tell Bob")).await.unwrap();
    assert_eq!((waiting.state, waiting.undelivered.len()), (RunState::Waiting, 0));
    report(&world, "SM1");
    known(&world).await;
    assert_eq!(undelivered(&host, &waiting.run).await.len(), 1);
    decide(&host, &waiting, true).await.unwrap();
    wait_for(&host, &waiting.run, RunState::Done).await;
    let chats = world.seen.chats.lock().unwrap();
    let told = results(chats.last().unwrap());
    let note = format!(
        "\n[reported since then: the message SM1 to {BOB} was not delivered: the number is a landline (Twilio 30006). Call them]\n</data-"
    );
    assert!(told[0].starts_with("<data-") && told[0].contains(&note), "{told:?}");
    assert!(told.len() == 3 && !told[1..].iter().any(|result| result.contains("reported")), "{told:?}");
    assert!(!results(&chats[1]).iter().any(|result| result.contains("reported")), "{chats:?}");
}

#[tokio::test]
async fn the_report_of_a_run_that_is_over_says_so_on_every_host() {
    let world = world(text(&[Some("SM1"), Some("SM2")]));
    let host = world.host(once(&[NOTE])).await;
    let done = host.call(goal("tell Bob")).await.unwrap();
    assert_eq!((done.state, done.undelivered.len()), (RunState::Done, 0));
    report(&world, "SM2");
    known(&world).await;
    let lost = undelivered(&host, &done.run).await;
    let expected = LostMessage {
        tool: "toolbox.note".to_owned(),
        to: BOB.to_owned(),
        sid: "SM2".to_owned(),
        error_code: Some(30006),
        why: "the number is a landline (Twilio 30006)".to_owned(),
        advice: "Call them".to_owned(),
        at_ms: lost[0].at_ms,
    };
    assert_eq!(lost, [expected]);
    drop(host);
    let other = world.host(|_| says("hello")).await;
    let shown = other.call(ShowRun { run: done.run.clone() }).await.unwrap();
    assert_eq!((shown.report.state, shown.report.undelivered), (RunState::Done, lost));
    let next = other.call(goal("something else")).await.unwrap();
    assert_eq!(next.undelivered, [], "it is another run's");
}

/// The tool answers a host that lost its claim meanwhile: whoever has the run now keeps what their own call sent.
#[tokio::test]
async fn a_host_that_lost_its_claim_keeps_no_message_of_its_call() {
    let world = World::new();
    let (database, calls) = (world.database.clone(), AtomicUsize::new(0));
    let world = world.tool(move |_, _| {
        if calls.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(message("SM2"));
        }
        database.run("update orchestrator_service_runs set owner = 'other', lease_ms = 1");
        Ok(message("SM1"))
    });
    let host = world.host(once(&[NOTE])).await;
    let done = host.call(goal("tell Bob")).await.unwrap();
    assert_eq!((done.state, world.called().len()), (RunState::Done, 2));
    let kept = world.database.run("select sid from orchestrator_service_messages");
    let kept: Vec<String> = kept.iter().map(|row| row.get("sid").unwrap()).collect();
    assert_eq!(kept, ["SM2"]);
}
