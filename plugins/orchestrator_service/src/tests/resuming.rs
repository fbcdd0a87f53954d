//! A host that ends at any write; another one goes on. No side effect happens twice, and what cannot be known is asked.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use plugin_api::{
    prelude::*,
    requests::orchestrator::{FetchRun, Question, Run, RunReport, RunState},
    serde_json::json,
    tokio::{self, task::JoinSet, time::sleep},
};

use super::setup::now_ms;
use super::setup::{Instance, World, decide, goal, keys, once, says, wait_for, wait_until, wants};

const ALL: &[(&str, &str)] = &[
    ("toolbox-look", r#"{"what":"x"}"#),
    ("toolbox-note", r#"{"what":"x"}"#),
    ("toolbox-push", r#"{"what":"x"}"#),
    ("toolbox-spend", r#"{"what":"x"}"#),
];

/// What took effect: a tool with a key remembers it, one without does it again.
#[derive(Clone, Default)]
struct Effects {
    notes: Arc<Mutex<BTreeSet<String>>>,
    pushes: Arc<Mutex<u32>>,
    spends: Arc<Mutex<u32>>,
}

fn world(effects: &Effects) -> World {
    let effects = effects.clone();
    World::new().tool(move |header, call| {
        match call.name.as_str() {
            "toolbox.note" => {
                let key = header.idempotency_key.clone().expect("every call has a key");
                effects.notes.lock().unwrap().insert(key);
            }
            "toolbox.push" => *effects.pushes.lock().unwrap() += 1,
            "toolbox.spend" => *effects.spends.lock().unwrap() += 1,
            _ => {}
        }
        Ok(json!("done"))
    })
}

/// Goes on until the run is over: says yes to what needs it, and no to doing again what may have been done.
async fn to_the_end(host: &Instance, run: &str) -> (RunReport, u32) {
    let mut doubts = 0;
    loop {
        let report = host.call(FetchRun { run: run.to_owned(), wait_seconds: Some(30) }).await.unwrap();
        match report.state {
            RunState::Waiting => {
                let approve = report.waiting_for[0].question == Question::Approval;
                doubts += u32::from(!approve);
                decide(host, &report, approve).await.unwrap();
            }
            RunState::Running => {}
            _ => return (report, doubts),
        }
    }
}

#[tokio::test]
async fn a_host_that_ends_at_any_write_doubles_nothing() {
    let mut deaths = JoinSet::new();
    for writes in 1..18 {
        deaths.spawn(async move {
            let effects = Effects::default();
            let world = world(&effects);
            let doomed = world.database.mortal(writes);
            let first = world.host_on(doomed.clone(), once(ALL)).await;
            let begun = first.call(Run { wait_seconds: None, ..goal("everything") }).await;
            let kept = world.database.run("select id from orchestrator_service_runs");
            let Some(run) = kept.first() else {
                assert_eq!(begun.unwrap_err().kind, ErrorKind::Unavailable, "nothing was begun");
                return true;
            };
            let run: String = run.get("id").unwrap();
            sleep(Duration::from_millis(300)).await;
            let died = doomed.is_dead();
            let second = world.host(once(ALL)).await;
            let (report, doubts) = to_the_end(&second, &run).await;
            assert_eq!(report.state, RunState::Done, "after {writes} writes: {report:?}");
            let pushes = *effects.pushes.lock().unwrap();
            let spends = *effects.spends.lock().unwrap();
            assert_eq!(effects.notes.lock().unwrap().len(), 1, "after {writes} writes");
            assert!(pushes <= 1 && spends <= 1, "after {writes} writes: {pushes} pushes, {spends} spends");
            assert!(
                doubts > 0 || (pushes == 1 && spends == 1),
                "after {writes} writes nothing is left out in silence"
            );
            died
        });
    }
    let died = deaths.join_all().await;
    assert!(died.iter().filter(|died| **died).count() >= 8, "{died:?}");
}

/// On SQLite there is no other process, and nobody waits for the lease of one.
#[tokio::test]
async fn the_claim_of_a_process_that_is_gone_ends_at_once() {
    let world = World::new();
    let host = world.host(|_: &_| says("done")).await;
    let report = host.call(goal("everything")).await.unwrap();
    drop(host);
    world.database.run(&format!(
        "update orchestrator_service_runs set state = 'running', answer = '', owner = 'gone', lease_ms = {}",
        now_ms() + 60_000
    ));
    let next = world.host(|_: &_| says("done again")).await;
    let done = wait_for(&next, &report.run, RunState::Done).await;
    assert_eq!(done.answer.as_deref(), Some("done again"));
}

/// The clock was put back by an hour while somebody worked on the run.
#[tokio::test]
async fn a_clock_that_was_put_back_strands_no_run() {
    let world = World::new();
    let host = world.host(|_: &_| says("done")).await;
    let report = host.call(goal("everything")).await.unwrap();
    world.database.run(&format!(
        "update orchestrator_service_runs set state = 'running', answer = '', owner = 'other', lease_ms = {}",
        now_ms() + 3_600_000
    ));
    wait_for(&host, &report.run, RunState::Done).await;
}

/// The clock jumps ahead while the model is asked: the lease is over, and a run that is at work here is not taken up again,
/// while another one is.
#[tokio::test]
async fn a_clock_that_jumps_ahead_makes_no_run_of_ours_begin_again() {
    // Long enough for the lease not to be renewed meanwhile.
    let world = World::new().settings(json!({ "lease": "30s" }));
    let (database, chats) = (world.database.clone(), world.seen.chats.clone());
    let asked = AtomicUsize::new(0);
    let host = world
        .host(move |_| {
            if asked.fetch_add(1, Ordering::SeqCst) == 1 {
                database
                    .run("update orchestrator_service_runs set state = 'running', answer = '', lease_ms = 1");
                let begun = std::time::Instant::now();
                while chats.lock().unwrap().len() < 3 {
                    assert!(begun.elapsed() < Duration::from_secs(60), "the other run is not taken up");
                    tokio::task::block_in_place(std::thread::yield_now);
                }
            }
            says("done")
        })
        .await;
    let other = host.call(goal("everything")).await.unwrap();
    let report = host.call(Run { wait_seconds: None, ..goal("more") }).await.unwrap();
    for run in [&report.run, &other.run] {
        assert_eq!(wait_for(&host, run, RunState::Done).await.answer.as_deref(), Some("done"));
    }
    assert_eq!(world.seen.chats.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_was_begun_by_somebody_who_is_gone_is_repeated_only_under_its_key() {
    let world = World::new();
    let host = world.host(once(ALL)).await;
    let report = host.call(goal("everything")).await.unwrap();
    assert_eq!(report.state, RunState::Waiting);
    drop(host);
    // As it stood when all calls were begun, and no result was known.
    world.database.run(
        "update orchestrator_service_calls set state = 'begun', result = '', attempts = 1 where state <> 'waiting'",
    );
    world
        .database
        .run("update orchestrator_service_runs set state = 'running', owner = 'gone', lease_ms = 1");
    world.seen.calls.lock().unwrap().clear();

    let next = world.host(once(ALL)).await;
    let waiting = wait_for(&next, &report.run, RunState::Waiting).await;
    let mut called = world.called();
    called.sort();
    assert_eq!(called, ["toolbox.look", "toolbox.note"]);
    assert_eq!(keys(&world.seen, "toolbox.note"), BTreeSet::from([format!("{}.1.1", report.run)]));
    let questions: Vec<_> =
        waiting.waiting_for.iter().map(|decision| (decision.tool.as_str(), decision.question)).collect();
    assert_eq!(
        questions,
        [("toolbox.push", Question::UnknownOutcome), ("toolbox.spend", Question::Approval)]
    );
    // A yes to what may have been done is a call under the same key.
    decide(&next, &waiting, true).await.unwrap();
    let waiting = wait_for(&next, &report.run, RunState::Waiting).await;
    decide(&next, &waiting, false).await.unwrap();
    wait_for(&next, &report.run, RunState::Done).await;
    assert_eq!(keys(&world.seen, "toolbox.push"), BTreeSet::from([format!("{}.1.2", report.run)]));
}

#[tokio::test]
async fn an_outcome_that_nobody_knows_is_asked_about_unless_a_key_settles_it() {
    let attempts = Arc::new(Mutex::new(0));
    let count = attempts.clone();
    let world = World::new().tool(move |_, call| match call.name.as_str() {
        "toolbox.push" => Err(OperationError::deadline("it did not answer within 30s")),
        "toolbox.note" => {
            let mut attempts = count.lock().unwrap();
            *attempts += 1;
            if *attempts == 1 {
                Err(OperationError::unknown_outcome("no answer"))
            } else {
                Ok(json!("noted"))
            }
        }
        _ => Ok(json!("seen")),
    });
    let host = world.host(once(&ALL[..3])).await;
    let report = host.call(goal("everything")).await.unwrap();
    assert_eq!(report.state, RunState::Waiting, "{report:?}");
    assert_eq!(report.waiting_for.len(), 1);
    assert_eq!(
        (report.waiting_for[0].tool.as_str(), report.waiting_for[0].question),
        ("toolbox.push", Question::UnknownOutcome)
    );
    assert_eq!(*attempts.lock().unwrap(), 2);
    assert_eq!(keys(&world.seen, "toolbox.note").len(), 1);
    decide(&host, &report, false).await.unwrap();
    wait_for(&host, &report.run, RunState::Done).await;
    assert_eq!(world.called().iter().filter(|tool| *tool == "toolbox.push").count(), 1);
}

#[tokio::test]
async fn a_run_that_was_left_is_taken_up_by_one_host() {
    let world = World::new();
    let host = world.host(once(ALL)).await;
    let report = host.call(goal("everything")).await.unwrap();
    host.stop().await.unwrap();
    // It takes nothing up any more.
    decide(&host, &report, true).await.unwrap();
    drop(host);
    world.database.run("update orchestrator_service_runs set owner = 'gone', lease_ms = 1");
    let hosts = [world.host(once(ALL)).await, world.host(once(ALL)).await, world.host(once(ALL)).await];
    wait_for(&hosts[0], &report.run, RunState::Done).await;
    assert_eq!(world.called().iter().filter(|tool| *tool == "toolbox.spend").count(), 1);
}

#[tokio::test]
async fn a_host_that_lost_its_claim_acts_no_more() {
    let world = World::new();
    let (database, chats) = (world.database.clone(), world.seen.chats.clone());
    let asked = AtomicUsize::new(0);
    let host = world
        .host(move |_| {
            if asked.fetch_add(1, Ordering::SeqCst) > 0 {
                return says("done by somebody else");
            }
            let later = now_ms() + 60_000;
            database
                .run(&format!("update orchestrator_service_runs set owner = 'other', lease_ms = {later}"));
            wants(&[("toolbox-push", r#"{"what":"x"}"#)])
        })
        .await;
    let report = host.call(Run { wait_seconds: None, ..goal("push") }).await.unwrap();
    wait_until("the model to be asked", || !chats.lock().unwrap().is_empty()).await;
    world.database.run("update orchestrator_service_runs set lease_ms = 1 where owner = 'other'");
    let done = wait_for(&host, &report.run, RunState::Done).await;
    assert_eq!((done.answer.as_deref(), done.usage.steps), (Some("done by somebody else"), 1));
    assert_eq!(world.called(), Vec::<String>::new());
}

#[tokio::test]
async fn a_host_that_stops_gives_its_runs_back() {
    let world = World::new().settings(json!({ "lease": "1h" }));
    let busy = || Err(OperationError::overloaded("busy").retry_after(Duration::from_secs(60)));
    let host = world.host(move |_| busy()).await;
    let report = host.call(Run { wait_seconds: None, ..goal("everything") }).await.unwrap();
    let chats = world.seen.chats.clone();
    wait_until("the model to be asked", || !chats.lock().unwrap().is_empty()).await;
    host.stop().await.unwrap();
    let next = world.host(once(&ALL[..1])).await;
    wait_for(&next, &report.run, RunState::Done).await;
}
