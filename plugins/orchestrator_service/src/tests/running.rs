//! A run from its start to its answer, whatever the model says.

use std::sync::atomic::{AtomicUsize, Ordering};

use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::orchestrator::{Run, RunEvent, RunState, ShowRun, ToolState},
    serde_json::{self, Value, json},
    tokio,
};

use super::setup::{World, goal, on_behalf_of, once, says, told, turn, wait_for, wants};

#[tokio::test]
async fn an_answer_in_words_ends_it() {
    let world = World::new();
    let host = world.host(|_| says("  hello  ")).await;
    let report = host.call(goal("greet")).await.unwrap();
    assert_eq!((report.state, report.answer.as_deref()), (RunState::Done, Some("hello")));
    assert_eq!((report.usage.steps, report.usage.prompt_tokens, report.usage.completion_tokens), (1, 10, 5));
}

#[tokio::test]
async fn a_tool_is_called_for_the_person_of_the_run_under_a_key_of_its_own() {
    let world = World::new();
    let host =
        world.host(once(&[("toolbox-push", r#"{"what":"a"}"#), ("toolbox-note", r#"{"what":"b"}"#)])).await;
    let header = CallHeader { trace: Some("t1".into()), ..on_behalf_of("+15550001111") };
    let report = host.call_with(header, goal("push")).await.unwrap();
    assert_eq!((report.state, report.usage.steps, report.usage.tool_calls), (RunState::Done, 2, 2));
    let calls = world.seen.calls.lock().unwrap().clone();
    let of = |tool: &str| calls.iter().find(|(_, call)| call.name == tool).expect("it was called").0.clone();
    let (push, note) = (of("toolbox.push"), of("toolbox.note"));
    assert_eq!((push.person.as_deref(), push.trace.as_deref()), (Some("+15550001111"), Some("t1")));
    assert_eq!(push.idempotency_key, Some(format!("{}.1.0", report.run)));
    assert_eq!(note.idempotency_key, Some(format!("{}.1.1", report.run)));
    assert!(push.deadline_ms.is_some());
}

#[tokio::test]
async fn what_cannot_be_called_is_told_to_the_model_and_nothing_is_called() {
    let world = World::new();
    let garbage = [
        ("toolbox-destroy", r#"{"what":"all"}"#),
        ("toolbox-push", "not json"),
        ("toolbox-push", r#"{"what":1}"#),
        ("", ""),
    ];
    let host = world.host(once(Box::leak(Box::new(garbage)))).await;
    let report = host.call(goal("break things")).await.unwrap();
    assert_eq!((report.state, report.usage.tool_calls), (RunState::Done, 0));
    assert_eq!(world.called(), Vec::<String>::new());
    let chats = world.seen.chats.lock().unwrap();
    let told = told(chats.last().unwrap());
    assert!(told.iter().all(|told| told.starts_with("not called: ")) && told.len() == 4, "{told:?}");
}

#[tokio::test]
async fn the_error_of_a_tool_is_told_to_the_model() {
    let world = World::new().tool(|_, _| Err(OperationError::not_found("there is no such thing")));
    let host = world.host(once(&[("toolbox-push", r#"{"what":"x"}"#)])).await;
    let report = host.call(goal("push")).await.unwrap();
    assert_eq!(report.state, RunState::Done);
    let told = told(world.seen.chats.lock().unwrap().last().unwrap());
    assert_eq!(told, [r#"{"error":"not_found","message":"there is no such thing"}"#]);
}

#[tokio::test]
async fn the_model_is_asked_again_while_it_is_overloaded() {
    let world = World::new();
    let asked = AtomicUsize::new(0);
    let host = world
        .host(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Err(OperationError::overloaded("busy").retry_after(Duration::from_millis(1))),
            1 => Err(OperationError::deadline("late").retry_after(Duration::from_millis(1))),
            2 => Err(OperationError::internal("garbage").retry_after(Duration::from_millis(1))),
            _ => says("at last"),
        })
        .await;
    let report = host.call(goal("wait")).await.unwrap();
    assert_eq!((report.answer.as_deref(), report.usage.steps), (Some("at last"), 1));
}

#[tokio::test]
async fn a_model_that_refuses_ends_it() {
    for (error, expected) in [
        (OperationError::denied("the model refuses"), "the model did not answer: the model refuses"),
        (OperationError::invalid("no such parameter"), "the model did not answer: no such parameter"),
    ] {
        let world = World::new();
        let host = world.host(move |_| Err(error.clone())).await;
        let report = host.call(goal("try")).await.unwrap();
        assert_eq!((report.state, report.error.as_deref()), (RunState::Failed, Some(expected)));
    }
}

/// What is told of a model that answers so at first, and then in words: key, code, and whether it is over.
async fn told_of_model(settings: Value, error: OperationError) -> Vec<(String, Option<ReasonCode>, bool)> {
    let world = World::new().settings(settings);
    let asked = AtomicUsize::new(0);
    let host = world
        .host(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Err(error.clone()),
            _ => says("at last"),
        })
        .await;
    assert_eq!(host.call(goal("try")).await.unwrap().state, RunState::Failed);
    assert_eq!(host.call(goal("again")).await.unwrap().state, RunState::Done);
    let told = host.troubles().into_iter().filter(|told| told.key == "model");
    told.map(|told| (told.key, told.code, told.cleared)).collect()
}

#[tokio::test]
async fn a_model_of_our_settings_that_is_refused_is_our_trouble_until_it_answers() {
    let details = json!({ "code": "model_not_found", "http_status": 404 });
    let refused = OperationError::not_found("there is no model `gone`").details(details);
    let named = || json!({ "model": "gone" });
    let over = || ("model".to_owned(), None, true);
    let raised = ("model".to_owned(), Some(ReasonCode::ConfigInvalid), false);
    assert_eq!(told_of_model(named(), refused.clone()).await, [raised, over()]);
    let of_openai = refused.clone().with_trouble(ReasonCode::ConfigInvalid);
    assert_eq!(told_of_model(named(), of_openai).await, [over()], "it is told of `openai`");
    assert_eq!(told_of_model(json!({}), refused).await, [over()], "no model is named");
    let filtered = OperationError::denied("filtered").details(json!({ "code": "content_filter" }));
    assert_eq!(told_of_model(named(), filtered).await, [over()], "it is the request's");
}

#[tokio::test]
async fn garbage_is_not_asked_for_for_ever() {
    let world = World::new();
    let host = world
        .host(|_| Err(OperationError::internal("no answer at all").retry_after(Duration::from_millis(1))))
        .await;
    let report = host.call(goal("try")).await.unwrap();
    assert_eq!(report.error.as_deref(), Some("the model did not answer: no answer at all"));
    assert_eq!(world.seen.chats.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_empty_answer_is_asked_for_again() {
    let world = World::new();
    let host = world.host(|chat| if chat.messages.len() == 2 { says("") } else { says("sorry") }).await;
    let report = host.call(goal("speak")).await.unwrap();
    assert_eq!((report.answer.as_deref(), report.usage.steps), (Some("sorry"), 2));
}

#[tokio::test]
async fn a_run_is_started_once_for_a_key() {
    let world = World::new();
    let host = world.host(|_| says("done")).await;
    let header = || CallHeader { idempotency_key: Some("k".into()), ..on_behalf_of("ada") };
    let first = host.call_with(header(), goal("one")).await.unwrap();
    let again = host.call_with(header(), goal("one")).await.unwrap();
    assert_eq!((first.repeated, again.repeated, &again.run), (false, true, &first.run));
    let other = host.call_with(header(), goal("two")).await.unwrap_err();
    assert_eq!(other.kind, ErrorKind::Conflict);
    assert_eq!(other.message, "the idempotency key was used for another goal: use a new key for a new goal");
    let elsewhere = CallHeader { person: Some("bob".into()), ..header() };
    assert!(!host.call_with(elsewhere, goal("one")).await.unwrap().repeated, "keys of persons never meet");
    assert_eq!(world.seen.chats.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let host = World::new().host(|_| says("done")).await;
    let check = async |run: Run, expected: &str| {
        assert_eq!(host.call(run).await.unwrap_err().message, expected);
    };
    check(goal(" "), "`goal` is empty: say what is to be reached").await;
    check(Run { wait_seconds: Some(301), ..goal("x") }, "`wait_seconds` is 301: expected 0 to 300").await;
    check(goal(&"x".repeat(70_000)), "`goal` has 70000 bytes: expected at most 65536").await;
}

#[tokio::test]
async fn what_happens_is_told_as_it_happens() {
    let world = World::new().tool(|_, call| match call.name.as_str() {
        "toolbox.push" => Err(OperationError::invalid("no")),
        _ => Ok(serde_json::json!("yes")),
    });
    let calls = [("toolbox-look", r#"{"what":"x"}"#), ("toolbox-push", r#"{"what":"x"}"#)];
    let host = world.host(once(Box::leak(Box::new(calls)))).await;
    let stream = host.open("run_stream", &goal("look")).await.unwrap();
    let mut events = Vec::new();
    while let Ok(Frame::Text(text)) = stream.recv().await {
        events.push(serde_json::from_str::<RunEvent>(&text).unwrap());
    }
    let Some(RunEvent::Ended { report }) = events.last() else { panic!("{events:?}") };
    assert_eq!(report.answer.as_deref(), Some("done"));
    assert!(matches!(&events[0], RunEvent::Started { run } if *run == report.run));
    let answered = |tool: &str, ok| RunEvent::ToolAnswered { tool: tool.into(), ok };
    for event in [
        RunEvent::ToolCalled { tool: "toolbox.look".into() },
        answered("toolbox.look", true),
        answered("toolbox.push", false),
    ] {
        assert!(events.contains(&event), "{event:?} is not in {events:?}");
    }
}

#[tokio::test]
async fn nothing_of_a_long_run_is_left_out() {
    let world = World::new().settings(serde_json::json!({ "max_steps": 80 }));
    let host = world.host(|_| wants(&[("toolbox-look", r#"{"what":"x"}"#); 16])).await;
    let started = host.call(goal("look at everything")).await.unwrap();
    let report = wait_for(&host, &started.run, RunState::Failed).await;
    assert_eq!(report.usage.tool_calls, 80 * 16);
    let record = host.call(ShowRun { run: report.run }).await.unwrap();
    assert_eq!(record.calls.len(), 80 * 16);
    assert!(record.calls.windows(2).all(|calls| calls[0].step <= calls[1].step));
}

#[tokio::test]
async fn a_run_shows_all_that_was_done_in_it() {
    let world = World::new();
    let host = world
        .host(|chat| match turn(chat) {
            0 => wants(&[("toolbox-look", r#"{"what":"x"}"#)]),
            1 => wants(&[("toolbox-nothing", "{}")]),
            _ => says("done"),
        })
        .await;
    let report = host.call(goal("look")).await.unwrap();
    let record = host.call(ShowRun { run: report.run.clone() }).await.unwrap();
    assert_eq!((record.goal.as_str(), &record.report.answer), ("look", &Some("done".to_owned())));
    let calls: Vec<_> =
        record.calls.iter().map(|call| (call.step, call.tool.as_str(), call.state, call.attempts)).collect();
    assert_eq!(
        calls,
        [(1, "toolbox.look", ToolState::Answered, 1), (2, "toolbox.nothing", ToolState::Failed, 0)]
    );
    assert_eq!(record.calls[0].result.as_deref(), Some(r#"{"did":"toolbox.look"}"#));
}
