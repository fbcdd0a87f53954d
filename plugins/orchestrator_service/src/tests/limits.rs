//! Where a run ends that would not end by itself, and how it is ended.

use plugin_api::{
    prelude::*,
    requests::orchestrator::{CancelRun, Run, RunLimits, RunState},
    serde_json::json,
    tokio,
};

use super::setup::{World, goal, says, wait_for, wants};

#[tokio::test]
async fn a_loop_that_never_ends_is_ended_by_the_steps() {
    let world = World::new().settings(json!({ "max_steps": 4 }));
    let host = world.host(|_| wants(&[("toolbox-look", r#"{"what":"again"}"#)])).await;
    let report = host.call(goal("loop")).await.unwrap();
    assert_eq!((report.state, report.usage.steps), (RunState::Failed, 4));
    let expected = "given up: it is limited to 4 steps, and was not done by then";
    assert_eq!(report.error.as_deref(), Some(expected));
    assert_eq!(world.called().len(), 4);
}

#[tokio::test]
async fn a_request_narrows_the_limits_and_never_widens_them() {
    let world = World::new().settings(json!({ "max_steps": 3, "max_tokens": 1000 }));
    let host = world.host(|_| wants(&[("toolbox-look", r#"{"what":"again"}"#)])).await;
    let with = |limits: RunLimits| Run { limits: Some(limits), ..goal("loop") };
    let few = host.call(with(RunLimits { steps: Some(2), ..RunLimits::default() })).await.unwrap();
    let many = host.call(with(RunLimits { steps: Some(200), ..RunLimits::default() })).await.unwrap();
    assert_eq!((few.usage.steps, many.usage.steps), (2, 3));
    let tokens = host.call(with(RunLimits { tokens: Some(20), ..RunLimits::default() })).await.unwrap();
    let expected = "given up: it is limited to 20 tokens, and was not done by then";
    assert_eq!((tokens.usage.steps, tokens.error.as_deref()), (2, Some(expected)));
    let none = host.call(with(RunLimits { seconds: Some(0), ..RunLimits::default() })).await.unwrap_err();
    assert_eq!(none.message, "a limit is 0: expected more than 0");
}

#[tokio::test]
async fn a_model_that_cannot_be_reached_ends_it_when_its_time_is_over() {
    let world = World::new();
    let host = world.host(|_| Err(OperationError::unavailable("nobody there"))).await;
    let limits = Some(RunLimits { seconds: Some(1), ..RunLimits::default() });
    let report = host.call(Run { limits, ..goal("try") }).await.unwrap();
    let expected = "the model did not answer in the time of the run: nobody there";
    assert_eq!((report.state, report.error.as_deref()), (RunState::Failed, Some(expected)));
}

#[tokio::test]
async fn a_cancelled_run_takes_no_further_step() {
    let world = World::new();
    let host =
        world.host(|_| Err(OperationError::overloaded("busy").retry_after(Duration::from_millis(10)))).await;
    let report = host.call(Run { wait_seconds: None, ..goal("wait") }).await.unwrap();
    assert_eq!(report.state, RunState::Running);
    let cancelled = host.call(CancelRun { run: report.run.clone() }).await.unwrap();
    assert_eq!(cancelled.state, RunState::Cancelled);
    assert_eq!(cancelled.error.as_deref(), Some("cancelled by an operator"));
    let again = host.call(CancelRun { run: report.run.clone() }).await.unwrap();
    assert_eq!(again.state, RunState::Cancelled);
    assert_eq!(wait_for(&host, &report.run, RunState::Cancelled).await.usage.steps, 0);
}

#[tokio::test]
async fn an_answer_that_could_not_be_kept_is_refused_and_its_run_can_be_read() {
    let arguments = format!(r#"{{"what":"{}"}}"#, "x".repeat(9 << 20));
    let world = World::new();
    let host = world.host(move |_| wants(&[("toolbox-look", &arguments)])).await;
    let started = host.call(goal("flood")).await.unwrap();
    let report = wait_for(&host, &started.run, RunState::Failed).await;
    assert_eq!(report.usage.steps, 0);
    let expected = "the model did not answer: its answer has 9437207 bytes, and at most 1048576 are taken";
    assert_eq!(report.error.as_deref(), Some(expected));
    assert!(world.called().is_empty());
    let host = world.host(|_| says(&"x".repeat(9 << 20))).await;
    let started = host.call(goal("flood of words")).await.unwrap();
    assert_eq!(wait_for(&host, &started.run, RunState::Failed).await.answer, None);
}

#[tokio::test]
async fn what_is_over_cannot_be_cancelled() {
    let host = World::new().host(|_| says("done")).await;
    let report = host.call(goal("x")).await.unwrap();
    let refused = host.call(CancelRun { run: report.run.clone() }).await.unwrap_err();
    assert_eq!(
        (refused.kind, refused.message),
        (ErrorKind::Conflict, format!("the run `{}` is over", report.run))
    );
}
