//! Plugins that are configured and not in service: the model is not asked without them, and no call is given up.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use plugin_api::{
    prelude::*,
    requests::{
        host::{Away, NotInService, Toolset},
        openai::{Chat, Message},
        orchestrator::{CancelRun, FetchRun, ListRuns, Run, RunLimits, RunReport, RunState},
    },
    serde_json::json,
    tokio::{
        self,
        time::{Instant, sleep},
    },
};

use super::setup::{
    Instance, World, decide, goal, now_ms, once, says, told, tools, wait_for, wait_until, wants,
};

const PUSH: &[(&str, &str)] = &[("toolbox-push", r#"{"what":"x"}"#)];
const SPEND: &[(&str, &str)] = &[("toolbox-spend", r#"{"what":"x"}"#)];

fn in_service() -> Toolset {
    Toolset { tools: tools(), away: Vec::new() }
}

fn away(away_ms: u64, returns: bool) -> Toolset {
    let away = Away {
        plugin: "toolbox".to_owned(),
        status: "initializing".to_owned(),
        message: None,
        away_ms,
        returns,
        tools: tools(),
    };
    Toolset { tools: Vec::new(), away: vec![away] }
}

fn set(world: &World, toolset: Toolset) {
    *world.toolset.lock().unwrap() = toolset;
}

fn gone() -> OperationError {
    NotInService { plugin: "toolbox".to_owned(), status: "initializing".to_owned() }.into()
}

async fn wait_until_held(host: &Instance, run: &str) -> RunReport {
    let began = Instant::now();
    loop {
        let report = host.call(FetchRun { run: run.to_owned(), wait_seconds: None }).await.unwrap();
        if !report.held_by.is_empty() {
            assert_eq!(
                (report.state, report.held_by.as_slice()),
                (RunState::Running, &["toolbox".to_owned()][..])
            );
            return report;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it is not held: {report:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn system(chat: &Chat) -> String {
    match &chat.messages[0] {
        Message::System { content, .. } => content.clone(),
        other => panic!("no system message: {other:?}"),
    }
}

#[tokio::test]
async fn the_model_is_not_asked_before_its_tools_are_there() {
    let world = World::new().settings(json!({ "concurrent_runs": 1 }));
    set(&world, away(0, true));
    let host = world.host(once(PUSH)).await;
    let started = host.call(Run { wait_seconds: None, ..goal("push") }).await.unwrap();
    wait_until_held(&host, &started.run).await;
    let listed = host.call(ListRuns::default()).await.unwrap();
    assert_eq!(listed.runs[0].held_by, ["toolbox"]);
    assert!(world.seen.chats.lock().unwrap().is_empty());
    assert_eq!(
        world.database.number("select count(*) from orchestrator_service_runs where owner = ''"),
        1,
        "it holds no place and no claim"
    );
    set(&world, in_service());
    let done = wait_for(&host, &started.run, RunState::Done).await;
    assert_eq!((world.called(), done.usage.tool_calls), (vec!["toolbox.push".to_owned()], 1));
    assert!(done.held_by.is_empty());
    let chats = world.seen.chats.lock().unwrap();
    assert!(chats.iter().all(|chat| chat.tools.len() == 5), "the model had its tools each time");
}

#[tokio::test]
async fn a_plugin_that_stays_away_is_not_waited_for_and_the_model_is_told() {
    for (settings, toolset) in [
        // Away for longer than anybody waits, or until a person does something.
        (json!({}), away(10 * 60 * 1000, true)),
        (json!({}), away(0, false)),
        // The patience of the run is over before the plugin is back.
        (json!({ "tools_wait": "1s" }), away(500, true)),
    ] {
        let world = World::new().settings(settings);
        set(&world, toolset);
        let host = world.host(once(PUSH)).await;
        let done = host.call(goal("push")).await.unwrap();
        assert_eq!(done.state, RunState::Done, "{done:?}");
        let chats = world.seen.chats.lock().unwrap();
        assert!(chats[0].tools.is_empty());
        let notice = "out of service at the moment and cannot be called: `toolbox-look`, `toolbox-note`, \
            `toolbox-push`, `toolbox-spend`, `toolbox-write`. ";
        assert!(system(&chats[0]).contains(notice), "{}", system(&chats[0]));
        assert_eq!(told(&chats[1]), ["not called: its plugin `toolbox` is not in service now"]);
    }
}

#[tokio::test]
async fn a_caller_who_cannot_wait_says_so() {
    let world = World::new();
    set(&world, away(1000, true));
    let host = world.host(|_: &Chat| says("not now")).await;
    let limits = Some(RunLimits { tools_seconds: Some(1), ..RunLimits::default() });
    let done = host.call(Run { limits, ..goal("push") }).await.unwrap();
    assert_eq!(done.answer.as_deref(), Some("not now"));
}

#[tokio::test]
async fn what_a_person_allowed_waits_for_its_plugin() {
    let world = World::new();
    let host = world.host(once(SPEND)).await;
    let report = host.call(goal("spend it")).await.unwrap();
    // However long it stays away, and whoever must mend it.
    set(&world, away(10 * 60 * 1000, false));
    decide(&host, &report, true).await.unwrap();
    wait_until_held(&host, &report.run).await;
    drop(host);
    let next = world.host(once(SPEND)).await;
    wait_until_held(&next, &report.run).await;
    assert!(world.called().is_empty());
    set(&world, in_service());
    let done = wait_for(&next, &report.run, RunState::Done).await;
    assert_eq!((world.called(), done.usage.tool_calls), (vec!["toolbox.spend".to_owned()], 1));
}

#[tokio::test]
async fn a_plugin_whose_tools_nobody_knows_is_waited_for() {
    let world = World::new();
    let host = world.host(once(SPEND)).await;
    let report = host.call(goal("spend it")).await.unwrap();
    let mut unknown = away(10 * 60 * 1000, false);
    unknown.away[0].tools.clear();
    set(&world, unknown);
    decide(&host, &report, true).await.unwrap();
    wait_until_held(&host, &report.run).await;
    set(&world, in_service());
    wait_for(&host, &report.run, RunState::Done).await;
    assert_eq!(world.called(), ["toolbox.spend"]);
}

#[tokio::test]
async fn a_plugin_that_goes_away_before_the_call_is_waited_for() {
    for calls in [PUSH, SPEND] {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        let world = World::new().tool(move |_, _| match counted.fetch_add(1, Ordering::Relaxed) {
            0..2 => Err(gone()),
            _ => Ok(json!("done")),
        });
        let host = world.host(once(calls)).await;
        let report = host.call(goal("push")).await.unwrap();
        if report.state == RunState::Waiting {
            decide(&host, &report, true).await.unwrap();
        }
        let done = wait_for(&host, &report.run, RunState::Done).await;
        assert_eq!((tries.load(Ordering::Relaxed), done.usage.tool_calls), (3, 1), "{done:?}");
        assert_eq!(told(world.seen.chats.lock().unwrap().last().unwrap()), ["done"]);
    }
}

#[tokio::test]
async fn what_was_allowed_is_done_when_its_plugin_works_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let world = World::new().tool(move |_, _| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Err(OperationError::unavailable("the server is restarting")),
        _ => Ok(json!("done")),
    });
    *world.status.lock().unwrap() = Some("initializing".to_owned());
    let host = world.host(once(SPEND)).await;
    let report = host.call(goal("spend it")).await.unwrap();
    decide(&host, &report, true).await.unwrap();
    let done = wait_for(&host, &report.run, RunState::Done).await;
    assert_eq!((tries.load(Ordering::Relaxed), done.usage.tool_calls), (2, 1));
}

/// A full disk, a server that refuses a connection, too much at once: nothing was done, and it passes.
#[tokio::test]
async fn what_was_allowed_is_not_given_up_for_a_hiccup() {
    let hiccups: [fn(&'static str) -> OperationError; 2] =
        [OperationError::unavailable, OperationError::overloaded];
    for hiccup in hiccups {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        let world = World::new().tool(move |_, _| match counted.fetch_add(1, Ordering::Relaxed) {
            0..2 => Err(hiccup("no room is left")),
            _ => Ok(json!("done")),
        });
        let host = world.host(once(SPEND)).await;
        let report = host.call(goal("spend it")).await.unwrap();
        decide(&host, &report, true).await.unwrap();
        let done = wait_for(&host, &report.run, RunState::Done).await;
        assert_eq!((tries.load(Ordering::Relaxed), done.usage.tool_calls), (3, 1), "{done:?}");
        assert_eq!(told(world.seen.chats.lock().unwrap().last().unwrap()), ["done"]);
    }
}

#[tokio::test]
async fn what_waits_too_long_is_told_as_not_done() {
    let world = World::new().settings(json!({ "tools_wait": "1ms" })).tool(|_, _| Err(gone()));
    let host = world.host(once(PUSH)).await;
    let done = host.call(goal("push")).await.unwrap();
    let last = world.seen.chats.lock().unwrap().last().unwrap().clone();
    assert_eq!(told(&last), ["not done: `toolbox` was not in service, and did not come back in time"]);
    assert_eq!((done.state, done.usage.tool_calls), (RunState::Done, 0));

    let world = World::new();
    let host = world.host(once(SPEND)).await;
    let report = host.call(goal("spend it")).await.unwrap();
    set(&world, away(0, true));
    decide(&host, &report, true).await.unwrap();
    wait_until_held(&host, &report.run).await;
    // A day later.
    world.database.run("update orchestrator_service_runs set held_ms = held_ms - 90000000, lease_ms = 0");
    set(&world, away(90_000_000, true));
    let done = wait_for(&host, &report.run, RunState::Done).await;
    let last = world.seen.chats.lock().unwrap().last().unwrap().clone();
    assert_eq!(told(&last), ["not done: `toolbox` was not in service, and did not come back in time"]);
    assert_eq!((world.called().len(), done.usage.tool_calls), (0, 0));
}

#[tokio::test]
async fn a_plugin_that_is_not_configured_any_more_is_not_waited_for() {
    let world = World::new();
    let host = world.host(once(SPEND)).await;
    let report = host.call(goal("spend it")).await.unwrap();
    set(&world, away(0, true));
    decide(&host, &report, true).await.unwrap();
    wait_until_held(&host, &report.run).await;
    set(&world, Toolset::default());
    wait_for(&host, &report.run, RunState::Done).await;
    let last = world.seen.chats.lock().unwrap().last().unwrap().clone();
    assert_eq!(told(&last), ["not called: plugins.toml no longer names the tool or allows it"]);
}

/// One call waits for its plugin and another one for a person: the decision is carried out at once.
#[tokio::test]
async fn a_decision_made_while_the_run_waits_is_carried_out() {
    const BOTH: &[(&str, &str)] =
        &[("toolbox-push", r#"{"what":"x"}"#), ("toolbox-spend", r#"{"what":"x"}"#)];
    let world = World::new().settings(json!({ "lease": "1h" })).tool(|_, call| match call.name.as_str() {
        "toolbox.push" => Err(gone()),
        _ => Ok(json!("done")),
    });
    let host = world.host(once(BOTH)).await;
    let started = host.call(Run { wait_seconds: None, ..goal("both") }).await.unwrap();
    let held = wait_until_held(&host, &started.run).await;
    // By itself it looks again in an hour.
    let later = now_ms() + 3_600_000;
    wait_until("the run to be let go", || {
        let pause = "update orchestrator_service_runs set lease_ms = {} where owner = '' returning id";
        !world.database.run(&pause.replace("{}", &later.to_string())).is_empty()
    })
    .await;
    decide(&host, &held, true).await.unwrap();
    wait_until("the decision to be carried out", || world.called().contains(&"toolbox.spend".to_owned()))
        .await;
}

/// The clock was put back by an hour while the run waited: its patience does not grow by that hour.
#[tokio::test]
async fn a_clock_that_was_put_back_makes_no_wait_longer() {
    let world = World::new().tool(|_, _| Err(gone()));
    let host = world.host(once(PUSH)).await;
    let started = host.call(Run { wait_seconds: None, ..goal("push") }).await.unwrap();
    wait_until_held(&host, &started.run).await;
    drop(host);
    world.database.run(&format!(
        "update orchestrator_service_runs set held_ms = {}, tools_ms = 1000, lease_ms = 0",
        now_ms() + 3_600_000
    ));
    let next = world.host(once(PUSH)).await;
    wait_for(&next, &started.run, RunState::Done).await;
    let last = world.seen.chats.lock().unwrap().last().unwrap().clone();
    assert_eq!(told(&last), ["not done: `toolbox` was not in service, and did not come back in time"]);
}

/// The run is cancelled while a call of it finds out that its plugin is not there.
#[tokio::test]
async fn a_call_that_was_not_made_for_a_cancelled_run_is_not_left_as_begun() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let world = World::new().tool(move |_, _| {
        // Released or gone, it goes on.
        let _ = tokio::task::block_in_place(|| held.lock().unwrap().recv());
        Err(gone())
    });
    let host = world.host(once(PUSH)).await;
    let started = host.call(Run { wait_seconds: None, ..goal("push") }).await.unwrap();
    wait_until("the call", || !world.called().is_empty()).await;
    let cancelled = host.call(CancelRun { run: started.run.clone() }).await.unwrap();
    assert_eq!(cancelled.state, RunState::Cancelled);
    release.send(()).unwrap();
    let settled = "select count(*) from orchestrator_service_calls
        where state = 'failed' and result = 'not done: the run was cancelled'";
    wait_until("the call to be settled", || world.database.number(settled) == 1).await;
}

#[tokio::test]
async fn a_run_that_waits_for_a_plugin_can_be_cancelled() {
    let world = World::new();
    set(&world, away(0, true));
    let host = world.host(|_: &Chat| wants(PUSH)).await;
    let started = host.call(Run { wait_seconds: None, ..goal("push") }).await.unwrap();
    wait_until_held(&host, &started.run).await;
    let cancelled = host.call(CancelRun { run: started.run.clone() }).await.unwrap();
    assert_eq!((cancelled.state, cancelled.held_by), (RunState::Cancelled, Vec::new()));
}
