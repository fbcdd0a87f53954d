//! Who may see and end which run.

use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::orchestrator::{CancelRun, Decide, FetchRun, ListRuns, ShowRun},
    serde_json, tokio,
};

use super::setup::{World, goal, on_behalf_of, once, says};

#[tokio::test]
async fn nobody_sees_the_runs_of_another_person() {
    let host = World::new().host(|_| says("done")).await;
    let ada = host.call_with(on_behalf_of("ada"), goal("x")).await.unwrap();
    let bob = || on_behalf_of("bob");
    let run = || ada.run.clone();
    let fetched = host.call_with(bob(), FetchRun { run: run(), wait_seconds: None }).await.unwrap_err();
    let shown = host.call_with(bob(), ShowRun { run: run() }).await.unwrap_err();
    let cancelled = host.call_with(bob(), CancelRun { run: run() }).await.unwrap_err();
    for refused in [fetched, shown, cancelled] {
        assert_eq!(
            (refused.kind, refused.message),
            (ErrorKind::NotFound, format!("there is no run `{}`", run()))
        );
    }
    assert!(host.call_with(on_behalf_of("ada"), FetchRun { run: run(), wait_seconds: None }).await.is_ok());
    let listed =
        host.call_with(bob(), ListRuns { person: Some("ada".into()), ..ListRuns::default() }).await.unwrap();
    assert_eq!(listed.runs, []);
}

#[tokio::test]
async fn nothing_of_one_person_reaches_the_prompt_or_the_tools_of_another() {
    let world = World::new();
    let host = world.host(once(&[("toolbox-look", r#"{"what":"x"}"#)])).await;
    host.call_with(on_behalf_of("+15550001111"), goal("my diary")).await.unwrap();
    world.seen.chats.lock().unwrap().clear();
    world.seen.calls.lock().unwrap().clear();
    host.call_with(on_behalf_of("+15550002222"), goal("my own")).await.unwrap();
    let chats = serde_json::to_string(&*world.seen.chats.lock().unwrap()).unwrap();
    assert!(chats.contains("my own") && !chats.contains("my diary") && !chats.contains("+1555"), "{chats}");
    let calls = world.seen.calls.lock().unwrap();
    assert!(calls.iter().all(|(header, _)| header.person.as_deref() == Some("+15550002222")), "{calls:?}");
}

#[tokio::test]
async fn lists_come_in_pages_the_newest_first() {
    let host = World::new().host(|_| says("done")).await;
    for number in 0..5 {
        host.call(goal(&format!("goal {number}"))).await.unwrap();
        // Their names tell their order by the millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let page = |before| ListRuns { limit: Some(2), before, ..ListRuns::default() };
    let first = host.call(page(None)).await.unwrap();
    let second = host.call(page(first.next.clone())).await.unwrap();
    let third = host.call(page(second.next.clone())).await.unwrap();
    let goals: Vec<_> =
        [&first, &second, &third].iter().flat_map(|page| &page.runs).map(|run| run.goal.as_str()).collect();
    assert_eq!(goals, ["goal 4", "goal 3", "goal 2", "goal 1", "goal 0"]);
    assert_eq!(third.next, None);
}

#[tokio::test]
async fn only_operators_decide() {
    let host = World::new().host(once(&[("toolbox-spend", r#"{"what":"1"}"#)])).await;
    let report = host.call_with(on_behalf_of("ada"), goal("spend")).await.unwrap();
    assert_eq!(report.waiting_for.len(), 1);
    let decide = || Decide {
        run: report.run.clone(),
        decision: report.waiting_for[0].id.clone(),
        approve: true,
        note: None,
    };
    let plugin = CallHeader { caller: Some("messaging_service".into()), ..CallHeader::default() };
    for header in [on_behalf_of("ada"), plugin] {
        let refused = host.call_with(header, decide()).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Denied);
    }
    assert!(host.call(decide()).await.is_ok());
}
