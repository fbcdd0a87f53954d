//! What waits for a person: by call, by link, in time or too late.

use plugin_api::{
    prelude::*,
    requests::{
        http::Body,
        orchestrator::{Decide, FetchRun, Question, RunReport, RunState},
        twilio_service::NotDelivered,
    },
    serde_json::{self, json},
    tokio,
};

use super::setup::{Instance, World, decide, goal, on_behalf_of, once, told, wait_for, wait_until};

const SPEND: &[(&str, &str)] =
    &[("toolbox-spend", r#"{"what":"<b>1</b>"}"#), ("toolbox-look", r#"{"what":"x"}"#)];
const BASE: &str = "https://switchboard.example.com";

async fn waiting(host: &Instance) -> RunReport {
    let report = host.call(goal("spend it")).await.unwrap();
    assert_eq!(report.state, RunState::Waiting, "{report:?}");
    report
}

#[tokio::test]
async fn a_tool_that_needs_it_waits_for_a_yes() {
    let world = World::new();
    let host = world.host(once(SPEND)).await;
    let report = waiting(&host).await;
    assert_eq!(world.called(), ["toolbox.look"], "what needs no approval is done meanwhile");
    let decision = &report.waiting_for[0];
    assert_eq!((decision.tool.as_str(), decision.question), ("toolbox.spend", Question::Approval));
    assert_eq!((&decision.arguments, decision.link.as_deref()), (&json!({ "what": "<b>1</b>" }), None));
    decide(&host, &report, true).await.unwrap();
    assert_eq!(wait_for(&host, &report.run, RunState::Done).await.answer.as_deref(), Some("done"));
    assert_eq!(world.called(), ["toolbox.look", "toolbox.spend"]);
    let again = decide(&host, &report, false).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
    let nothing = Decide { run: report.run.clone(), decision: "9.9.9".into(), approve: true, note: None };
    assert_eq!(host.call(nothing).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_no_is_told_to_the_model() {
    let world = World::new();
    let host = world.host(once(SPEND)).await;
    let report = waiting(&host).await;
    let note = Some("too dear".to_owned());
    let decision = report.waiting_for[0].id.clone();
    host.call(Decide { run: report.run.clone(), decision, approve: false, note }).await.unwrap();
    wait_for(&host, &report.run, RunState::Done).await;
    assert_eq!(world.called(), ["toolbox.look"]);
    let told = told(world.seen.chats.lock().unwrap().last().unwrap());
    assert_eq!(told[0], "not called: a person refused it, saying: too dear");
}

#[tokio::test]
async fn nobody_in_time_is_a_no() {
    let world = World::new().settings(json!({ "approval_time": "1ms" }));
    let host = world.host(once(SPEND)).await;
    let report = host.call(goal("spend it")).await.unwrap();
    wait_for(&host, &report.run, RunState::Done).await;
    let told = told(world.seen.chats.lock().unwrap().last().unwrap());
    assert_eq!(told[0], "not called: nobody allowed it in time");
    assert_eq!(world.called(), ["toolbox.look"]);
}

#[tokio::test]
async fn a_link_shows_by_get_and_decides_by_post_once() {
    let world = World::new().settings(json!({ "public_base_url": BASE }));
    let host = world.host(once(SPEND)).await;
    let report = waiting(&host).await;
    let token = token(&report);
    for _ in 0..3 {
        let (status, page) = get(&host, &token).await;
        assert_eq!(status, 200);
        assert!(
            page.contains("May `toolbox.spend` be called?") && page.contains("&lt;b&gt;1&lt;/b&gt;"),
            "{page}"
        );
    }
    assert_eq!(world.called(), ["toolbox.look"], "nothing is decided by looking");
    assert_eq!(post(&host, &token, "decision=perhaps").await, 400);
    assert_eq!(post(&host, &"x".repeat(43), "decision=approve").await, 404);
    assert_eq!(post(&host, &token, "decision=approve&note=").await, 200);
    wait_for(&host, &report.run, RunState::Done).await;
    assert_eq!(world.called(), ["toolbox.look", "toolbox.spend"]);
    assert_eq!(post(&host, &token, "decision=deny").await, 410);
    assert_eq!(get(&host, &token).await.0, 410);
}

#[tokio::test]
async fn a_link_refuses_too_and_expires() {
    let world = World::new().settings(json!({ "public_base_url": BASE }));
    let host = world.host(once(SPEND)).await;
    let report = waiting(&host).await;
    assert_eq!(post(&host, &token(&report), "decision=deny&note=not+now").await, 200);
    wait_for(&host, &report.run, RunState::Done).await;
    assert_eq!(world.called(), ["toolbox.look"]);

    let late = waiting(&host).await;
    world.database.run("update orchestrator_service_calls set expires_ms = 1 where state = 'waiting'");
    assert_eq!(post(&host, &token(&late), "decision=approve").await, 410);
    wait_for(&host, &late.run, RunState::Done).await;
    assert!(!world.called().contains(&"toolbox.spend".to_owned()));
}

#[tokio::test]
async fn a_link_is_for_operators_and_the_approver_alone_and_kept_nowhere() {
    let world = World::new().settings(json!({ "public_base_url": BASE, "approver": "boss@example.com" }));
    let host = world.host(once(SPEND)).await;
    let report = host.call_with(on_behalf_of("ada"), goal("spend it")).await.unwrap();
    assert_eq!((report.state, report.waiting_for[0].link.as_deref()), (RunState::Waiting, None));
    let mails = world.seen.mails.clone();
    wait_until("the approver to be told", || !mails.lock().unwrap().is_empty()).await;
    let mail = mails.lock().unwrap()[0].clone();
    assert_eq!(
        (mail.to.as_slice(), mail.subject.as_str()),
        (&["boss@example.com".to_owned()][..], "May `toolbox.spend` be called?")
    );
    let fetched = host.call(FetchRun { run: report.run.clone(), wait_seconds: None }).await.unwrap();
    let token = token(&fetched);
    assert!(mail.text.unwrap().contains(&format!("{BASE}/approve/{token}")));
    let all = ["runs", "steps", "calls", "links"].map(|table| {
        serde_json::to_string(&world.database.run(&format!("select * from orchestrator_service_{table}")))
            .unwrap()
    });
    assert!(!all.concat().contains(&token));
    assert_eq!(post(&host, &token, "decision=approve").await, 200);
    wait_for(&host, &report.run, RunState::Done).await;
    assert_eq!(mails.lock().unwrap().len(), 1, "told once");
}

#[tokio::test]
async fn an_approver_with_a_number_is_told_how_to_decide_without_a_link() {
    let world = World::new().settings(json!({ "approver": "+15557654321" }));
    let host = world.host(once(SPEND)).await;
    let report = waiting(&host).await;
    let texts = world.seen.texts.clone();
    wait_until("the approver to be told", || !texts.lock().unwrap().is_empty()).await;
    let text = texts.lock().unwrap()[0].clone();
    assert_eq!(text.to.as_deref(), Some("+15557654321"));
    let body = text.body.unwrap();
    let command = format!(
        r#"switchboard call orchestrator_service.decide '{{"approve":true,"decision":"1.0.0","run":"{}"}}'"#,
        report.run
    );
    let head = format!("May `toolbox.spend` be called?\nDecide until {}:\n{command}\n", until(&report));
    assert_eq!(
        body,
        head + "\nIts arguments:\n> what: \"<b>1</b>\"\n\nOn behalf of nobody in particular, for this:\n> spend it"
    );
    assert!(text.sensitive);
    // It could not be told, and is told again a minute later.
    let again = world.database.run("select tell_ms from orchestrator_service_calls where state = 'waiting'");
    let again: i64 = again.first().unwrap().get("tell_ms").unwrap();
    assert!(again > super::setup::now_ms() && again < i64::MAX, "{again}");
}

/// Whether it is a trouble now that the approver cannot be told; `None` if nothing was said of it.
fn is_trouble(host: &Instance) -> Option<bool> {
    host.troubles().into_iter().rfind(|told| told.key == "approver").map(|told| !told.cleared)
}

#[tokio::test]
async fn that_the_approver_cannot_be_told_is_over_when_nobody_is_left_to_tell() {
    let world = World::new().settings(json!({ "approver": "+15557654321", "notify_every": "1ms" }));
    *world.refusal.lock().unwrap() = Some(OperationError::invalid("no such number"));
    let host = world.host(once(SPEND)).await;
    let (first, second) = (waiting(&host).await, waiting(&host).await);
    wait_until("the trouble", || is_trouble(&host) == Some(true)).await;
    let untold = || {
        let told = format!(
            "select count(*) from orchestrator_service_calls where tell_ms between 1 and {}",
            i64::MAX - 1
        );
        world.database.number(&told)
    };
    wait_until("the first to be tried", || untold() == 1).await;
    world.database.run("update orchestrator_service_tellings set next_ms = 0");
    wait_until("both to be tried", || untold() == 2).await;
    // One is told: the other one still waits.
    *world.refusal.lock().unwrap() = None;
    world.database.run(&format!(
        "update orchestrator_service_calls set tell_ms = 0 where run = '{}' and state = 'waiting'",
        second.run
    ));
    world.database.run("update orchestrator_service_tellings set next_ms = 0");
    wait_until("the second to be told", || untold() == 1).await;
    let texts = world.seen.texts.lock().unwrap().len();
    let third = waiting(&host).await;
    wait_until("the third to be told", || world.seen.texts.lock().unwrap().len() > texts).await;
    assert_eq!(is_trouble(&host), Some(true), "nobody was told of the first");
    decide(&host, &first, false).await.unwrap();
    wait_until("the end of the trouble", || is_trouble(&host) == Some(false)).await;
    assert_eq!(third.state, RunState::Waiting, "what the approver was told of is no trouble");
}

#[tokio::test]
async fn an_approver_whom_the_text_does_not_reach_is_not_told() {
    let world = World::new().settings(json!({ "approver": "+15557654321", "notify_every": "1ms" }));
    *world.refusal.lock().unwrap() = None;
    let host = world.host(once(SPEND)).await;
    waiting(&host).await;
    let told_by = |sid: &str| {
        let told = format!(
            "select count(*) from orchestrator_service_calls where told_by = '{sid}' and tell_ms = {}",
            i64::MAX
        );
        world.database.number(&told) == 1
    };
    wait_until("the approver to be told", || told_by("SM1")).await;
    let report = |sid: &str| NotDelivered {
        sid: sid.to_owned(),
        error_code: Some(30006),
        why: "the number is a landline".to_owned(),
        advice: "Call them".to_owned(),
        at_ms: super::setup::now_ms(),
    };
    // Before it those of others, which are not asked for one by one.
    let others = (0..200).map(|number| report(&format!("SMother{number}")));
    *world.undelivered.lock().unwrap() = others.chain([report("SM1"), report("SM1")]).collect();
    wait_until("the trouble", || is_trouble(&host) == Some(true)).await;
    let raised = host.troubles().pop().unwrap().message.unwrap();
    assert!(raised.ends_with("the SMS was not delivered: the number is a landline"), "{raised}");
    let asked = world.database.asked("told_by in") + world.database.asked("where told_by");
    assert!(asked < 100, "{asked} questions about 200 reports");
    assert_eq!(world.seen.texts.lock().unwrap().len(), 1, "the same would become of another one at once");
    // An hour later.
    world.database.run("update orchestrator_service_calls set tell_ms = 0 where state = 'waiting'");
    wait_until("another text", || told_by("SM2")).await;
    wait_until("the end of the trouble", || is_trouble(&host) == Some(false)).await;
    let keys = world.seen.text_keys.lock().unwrap().clone();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test]
async fn a_cancelled_run_waits_for_nobody() {
    let world = World::new();
    let host = world.host(once(SPEND)).await;
    let report = waiting(&host).await;
    let cancel = plugin_api::requests::orchestrator::CancelRun { run: report.run.clone() };
    let cancelled = host.call(cancel).await.unwrap();
    assert_eq!((cancelled.state, cancelled.waiting_for), (RunState::Cancelled, Vec::new()));
    assert_eq!(decide(&host, &report, true).await.unwrap_err().kind, ErrorKind::Conflict);
}

fn until(report: &RunReport) -> String {
    crate::telling::time(report.waiting_for[0].expires_ms)
}

fn token(report: &RunReport) -> String {
    let link = report.waiting_for[0].link.clone().expect("it has a link");
    link.strip_prefix(&format!("{BASE}/approve/")).expect("to this host").to_owned()
}

async fn get(host: &Instance, token: &str) -> (u16, String) {
    let response = ask(host, "route_question", token, "").await;
    let Body::Text(page) = response.body else { panic!("no page") };
    (response.status, page)
}

async fn post(host: &Instance, token: &str, form: &str) -> u16 {
    ask(host, "route_answer", token, form).await.status
}

async fn ask(host: &Instance, operation: &str, token: &str, form: &str) -> HttpResponse {
    let mut request = HttpRequest { body: Body::from_bytes(form.as_bytes()), ..HttpRequest::default() };
    request.params.insert("token".into(), token.into());
    let response = host.call_json(operation, serde_json::to_value(request).unwrap()).await.unwrap();
    serde_json::from_value(response).unwrap()
}
