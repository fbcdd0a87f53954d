//! What the approver sees and when, and what becomes of a call that somebody altered in the database.

use plugin_api::{
    prelude::*,
    requests::{
        http::Body,
        orchestrator::{RunReport, RunState},
    },
    serde_json::{self, json},
    tokio,
};

use super::setup::{
    Instance, World, decide, goal, on_behalf_of, once, told, turn, wait_for, wait_until, wants,
};

const WRITE: &[(&str, &str)] = &[("toolbox-write", r#"{"text":"hello","to":"+15550009999"}"#)];
const SIXTEEN: &[(&str, &str)] = &[WRITE[0]; 16];
const BASE: &str = "https://switchboard.example.com";

async fn page(host: &Instance, link: &str) -> (u16, String) {
    let token = link.strip_prefix(&format!("{BASE}/approve/")).expect("to this host");
    page_behind(host, token, "route_question", "").await
}

async fn page_behind(host: &Instance, token: &str, operation: &str, form: &str) -> (u16, String) {
    let mut request = HttpRequest { body: Body::from_bytes(form.as_bytes()), ..HttpRequest::default() };
    request.params.insert("token".into(), token.into());
    let response = host.call_json(operation, serde_json::to_value(request).unwrap()).await.unwrap();
    let response: HttpResponse = serde_json::from_value(response).unwrap();
    let Body::Text(page) = response.body else { panic!("no page") };
    (response.status, page)
}

async fn waiting(host: &Instance, person: &str, text: &str) -> RunReport {
    let report = host.call_with(on_behalf_of(person), goal(text)).await.unwrap();
    assert_eq!(report.state, RunState::Waiting, "{report:?}");
    report
}

#[tokio::test]
async fn what_decides_stands_before_a_long_text_which_is_shown_whole() {
    let world = World::new().settings(json!({ "public_base_url": BASE }));
    let long = format!("{}the end\u{202e}", "a word ".repeat(1300));
    let arguments = json!({ "text": long, "to": "+15550009999" }).to_string();
    let host = world
        .host(move |chat| {
            if turn(chat) == 0 { wants(&[("toolbox-write", &arguments)]) } else { super::setup::says("done") }
        })
        .await;
    let report = host.call(goal("write to them")).await.unwrap();
    let (status, page) = page(&host, report.waiting_for[0].link.as_deref().unwrap()).await;
    assert_eq!(status, 200);
    let (to, text) =
        (page.find("to: &quot;+15550009999&quot;").unwrap(), page.find("text: &quot;a word").unwrap());
    assert!(to < text, "what decides comes first");
    assert!(
        page.contains(&format!("{}the end⟨U+202E⟩&quot;", "a word ".repeat(1300))),
        "and nothing is cut off"
    );
}

#[tokio::test]
async fn what_decides_and_is_too_long_to_be_shown_is_refused() {
    let world = World::new();
    let arguments = json!({ "to": "1".repeat(700) }).to_string();
    let host = world
        .host(move |chat| {
            if turn(chat) == 0 { wants(&[("toolbox-write", &arguments)]) } else { super::setup::says("done") }
        })
        .await;
    let report = host.call(goal("write to them")).await.unwrap();
    assert_eq!(report.state, RunState::Done, "{report:?}");
    let told = told(world.seen.chats.lock().unwrap().last().unwrap());
    assert!(told[0].starts_with("not called: a person must agree to this call and read `to`"), "{told:?}");
}

#[tokio::test]
async fn an_imitation_of_our_link_stands_in_a_quote_after_ours() {
    let world = World::new().settings(json!({ "approver": "+15557654321", "public_base_url": BASE }));
    *world.refusal.lock().unwrap() = None;
    let host = world.host(once(WRITE)).await;
    let imitation = "x\n\nDecide until 2030-01-01 00:00 UTC:\nhttps://switchboard.example.com.evil/approve/x";
    waiting(&host, "+15550001111", imitation).await;
    let texts = world.seen.texts.clone();
    wait_until("the approver to be told", || !texts.lock().unwrap().is_empty()).await;
    let body = texts.lock().unwrap()[0].body.clone().unwrap();
    let ours: Vec<_> = body.lines().filter(|line| !line.starts_with("> ") && line.contains("://")).collect();
    assert!(ours.len() == 1 && ours[0].starts_with(&format!("{BASE}/approve/")), "{body}");
    assert!(body.find(BASE).unwrap() < body.find('>').unwrap(), "ours comes first: {body}");
    assert_eq!(body.matches("://").count(), 1, "{body}");
    assert!(body.contains("\n> to: \"+15550009999\"\n"), "{body}");
}

#[tokio::test]
async fn many_decisions_make_one_text_at_once_and_one_later() {
    let world = World::new().settings(json!({
        "approver": "+15557654321", "public_base_url": BASE, "notify_every": "1h",
    }));
    *world.refusal.lock().unwrap() = None;
    let host = world.host(once(SIXTEEN)).await;
    let (texts, database) = (world.seen.texts.clone(), world.database.clone());
    let first = waiting(&host, "ada", "one").await;
    wait_until("the approver to be told", || texts.lock().unwrap().len() == 1).await;
    waiting(&host, "ada", "two").await;
    let last = waiting(&host, "ada", "three").await;
    // As if the hour were over.
    let untold = "select count(*) from orchestrator_service_calls where state = 'waiting' and tell_ms = 0";
    assert_eq!((texts.lock().unwrap().len(), database.number(untold)), (1, 32));
    database.run("update orchestrator_service_tellings set next_ms = 0");
    wait_until("the second text", || texts.lock().unwrap().len() == 2).await;
    wait_until("all to be told", || database.number(untold) == 0).await;
    let body = texts.lock().unwrap()[1].body.clone().unwrap();
    assert!(
        body.starts_with("32 tool calls wait for your decision\n") && body.chars().count() <= 1600,
        "{body}"
    );
    let token = body.lines().nth(2).unwrap().rsplit('/').next().unwrap();
    let (status, page) = page_behind(&host, token, "route_question", "").await;
    assert_eq!((status, page.matches("<form").count()), (200, 32), "{page}");
    assert!(!page.contains(&first.run), "the first text told of that");
    let (status, _) = page_behind(&host, token, "route_answer", "decision=approve").await;
    assert_eq!(status, 400, "which of them?");
    let form = format!("decision=approve&of={}%2F{}", last.run, last.waiting_for[3].id);
    let (status, page) = page_behind(&host, token, "route_answer", &form).await;
    assert!(status == 200 && page.contains("31 more to decide"), "{page}");
    let approved =
        "select count(*) from orchestrator_service_calls where state = 'approved' and position = 3";
    assert_eq!(database.number(approved), 1);
    let form = format!("decision=approve&of={}%2F{}", first.run, first.waiting_for[0].id);
    assert_eq!(page_behind(&host, token, "route_answer", &form).await.0, 410, "the link is not for that one");
}

#[tokio::test]
async fn a_call_that_was_altered_in_the_database_is_never_made() {
    let altered = "the database does not hold what the model asked for";
    for change in [
        "calls set arguments = replace(arguments, '0009999', '6666666')",
        "calls set tool = 'toolbox.spend'",
        "calls set decisive = '[]'",
        "calls set question = 'unknown_outcome'",
        "runs set person = 'eve'",
        "runs set goal = 'pay the rent'",
    ] {
        let world = World::new().settings(json!({ "public_base_url": BASE }));
        let host = world.host(once(WRITE)).await;
        let report = waiting(&host, "ada", "write to them").await;
        let fetched = host.call(plugin_api::requests::orchestrator::FetchRun {
            run: report.run.clone(),
            wait_seconds: None,
        });
        let link = fetched.await.unwrap().waiting_for[0].link.clone().unwrap();
        world.database.run(&format!("update orchestrator_service_{change}"));
        let refused = decide(&host, &report, true).await.unwrap_err();
        assert!(
            refused.kind == ErrorKind::Conflict && refused.message.contains(altered),
            "{change}: {refused}"
        );
        wait_for(&host, &report.run, RunState::Done).await;
        assert_eq!(page(&host, &link).await.0, 410, "{change}");
        assert!(world.called().is_empty(), "{change}");
        // Approved by a person, altered afterwards, and taken up by another host.
        let world = World::new();
        let host = world.host(once(WRITE)).await;
        let report = waiting(&host, "ada", "write to them").await;
        host.stop().await.unwrap();
        decide(&host, &report, true).await.unwrap();
        world.database.run(&format!("update orchestrator_service_{change}"));
        let host = world.host(once(WRITE)).await;
        wait_for(&host, &report.run, RunState::Done).await;
        assert!(world.called().is_empty(), "{change}");
    }
}

#[tokio::test]
async fn sql_alone_approves_nothing() {
    for approval in ["", "forged"] {
        let world = World::new().tool(|_, call| match &call.approval {
            Some(approval) if approval.starts_with("approval of ") => Ok(json!({ "did": call.name })),
            _ => Err(OperationError::denied("the host signed no such approval")),
        });
        let host = world.host(once(WRITE)).await;
        let report = waiting(&host, "ada", "write to them").await;
        world.database.run(&format!(
            "update orchestrator_service_calls set state = 'approved', approval = '{approval}' where state = 'waiting'"
        ));
        world
            .database
            .run("update orchestrator_service_runs set state = 'running', owner = '', lease_ms = 0");
        wait_for(&host, &report.run, RunState::Done).await;
        let told = told(world.seen.chats.lock().unwrap().last().unwrap());
        assert!(
            told[0].contains("no person's approval is with it") || told[0].contains("denied"),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_link_that_somebody_wrote_into_the_database_leads_nowhere() {
    let world = World::new().settings(json!({ "public_base_url": BASE }));
    let host = world.host(once(WRITE)).await;
    let (report, other) = (waiting(&host, "ada", "one").await, waiting(&host, "eve", "two").await);
    let decision = &report.waiting_for[0].id;
    let insert = format!(
        "insert into orchestrator_service_links (hash, run, decision, seal) values ('{}', '{}', '{decision}', '')",
        crate::random::hash("mine"),
        report.run
    );
    world.database.run(&insert);
    assert_eq!(page_behind(&host, "mine", "route_question", "").await.0, 404);
    assert_eq!(page_behind(&host, "mine", "route_answer", "decision=approve").await.0, 404);
    // One of their own, pointed elsewhere.
    let fetched = plugin_api::requests::orchestrator::FetchRun { run: other.run.clone(), wait_seconds: None };
    let link = host.call(fetched).await.unwrap().waiting_for[0].link.clone().unwrap();
    assert_eq!(page(&host, &link).await.0, 200);
    world.database.run(&format!("update orchestrator_service_links set run = '{}'", report.run));
    assert_eq!(page(&host, &link).await.0, 404);
    assert!(world.called().is_empty());
}
