//! What may be scheduled, by whom, and how it is told; once for one key.

use expect_test::{Expect, expect};
use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::{
        http::Body,
        scheduler::{Cancel, FetchJob, JobState, List, ListDeadLetters, Overview, ScheduleForOthers},
    },
    serde_json::{Value, json},
    tokio,
};

use super::setup::{ADA, World, email, fetch, message, of, schedule, try_schedule};

const BOB: &str = "+15550000002";

/// Far enough away that nothing of it happens.
fn later(mut request: Value) -> Value {
    request.as_object_mut().unwrap().remove("in_minutes");
    request["at"] = "2150-03-01T10:00:00+01:00".into();
    request
}

async fn refused(person: Option<&str>, request: Value, expected: Expect) {
    let plugin = World::new().start(json!({})).await;
    let header = person.map_or_else(CallHeader::default, of);
    let error = try_schedule(&plugin, header, request).await.unwrap_err();
    expected.assert_eq(&error.to_string());
}

#[tokio::test]
async fn it_tells_when_it_will_be_done() {
    let plugin = World::new().start(json!({"time_zone": "Europe/Berlin"})).await;
    let job = schedule(&plugin, later(message("Your parcel is here"))).await;
    assert_eq!(job.title, "Your parcel is here");
    assert_eq!(job.next.as_deref(), Some("2150-03-01T10:00:00+01:00"));
    assert_eq!((job.rule.as_str(), job.state), ("once", JobState::Waiting));
    let request =
        json!({ "title": "tidy", "run": { "goal": "Tidy up" }, "cron": " 0  9 * * 1-5", "time_zone": "UTC" });
    let job = schedule(&plugin, request).await;
    assert_eq!((job.title.as_str(), job.rule.as_str()), ("tidy", "cron 0 9 * * 1-5 in UTC"));
    assert!(job.next.unwrap().ends_with("T09:00:00+00:00"));
    assert_eq!(fetch(&plugin, &job.id).await.task, Some(json!({ "goal": "Tidy up", "origin": "task" })));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let run = json!({ "goal": "Tidy up" });
    refused(
        None,
        json!({ "at": "2150-03-01T10:00Z" }),
        expect!["invalid: give exactly one of `message`, `email` and `run`"],
    )
    .await;
    refused(
        None,
        json!({ "run": run }),
        expect!["invalid: give exactly one of `at`, `in_minutes`, `cron` and `before_event`"],
    )
    .await;
    refused(
        None,
        json!({ "run": run, "in_minutes": 1, "cron": "* * * * *" }),
        expect!["invalid: give exactly one of `at`, `in_minutes`, `cron` and `before_event`"],
    )
    .await;
    refused(
        None,
        json!({ "run": run, "cron": "0 0 30 2 *" }),
        expect!["invalid: `cron` `0 0 30 2 *` never comes due"],
    )
    .await;
    refused(
        None,
        json!({ "run": run, "in_minutes": 1, "until": "2150-03-01T10:00Z" }),
        expect!["invalid: `until` needs `cron`: a job that runs once has no end"],
    )
    .await;
    refused(
        None,
        json!({ "run": run, "in_minutes": 1, "time_zone": "Mars/Olympus" }),
        expect!["invalid: `time_zone` is `Mars/Olympus`, which is no time zone: write it as `Europe/Berlin` or `UTC`"],
    )
    .await;
    refused(
        None,
        json!({ "message": { "text": "to whom?" }, "in_minutes": 1 }),
        expect!["invalid: `message.to` is missing: only on behalf of a person it may be left out"],
    )
    .await;
    refused(
        Some(ADA),
        json!({ "message": { "text": " " }, "in_minutes": 1 }),
        expect!["invalid: `message.text` is empty"],
    )
    .await;
    refused(
        None,
        json!({ "run": run, "before_event": { "event": "gone", "minutes": 5 } }),
        expect!["not_found: there is no such event"],
    )
    .await;
}

#[tokio::test]
async fn a_moment_that_has_passed_is_refused() {
    let plugin = World::new().start(json!({})).await;
    let request = json!({ "run": { "goal": "Tidy up" }, "at": "2020-01-01T00:00:00Z" });
    let error = try_schedule(&plugin, CallHeader::default(), request).await.unwrap_err();
    let words = "`at` is 2020-01-01T00:00:00+00:00, which has passed: it is 2";
    assert!(error.message.starts_with(words), "{error}");
}

#[tokio::test]
async fn a_person_reaches_only_themselves() {
    let plugin = World::new().start(json!({})).await;
    let to_ada = json!({ "message": { "text": "hello" }, "at": "2150-03-01T10:00:00Z" });
    let job = try_schedule(&plugin, of(ADA), to_ada).await.unwrap().job;
    assert_eq!(job.person.as_deref(), Some(ADA));
    for others in [later(email()), later(json!({ "message": { "to": BOB, "text": "hello" } }))] {
        let error = try_schedule(&plugin, of(ADA), others.clone()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "denied: on behalf of `+15550000001` it may only write to them or start a run: for others there is \
             `schedule_for_others`"
        );
        let approved: ScheduleForOthers = plugin_api::serde_json::from_value(others).unwrap();
        plugin.call_with(of(ADA), approved).await.unwrap();
    }
}

#[tokio::test]
async fn a_person_sees_only_their_own() {
    let plugin = World::new().start(json!({})).await;
    let run = json!({ "run": { "goal": "Tidy up" }, "at": "2150-03-01T10:00:00Z" });
    let job = try_schedule(&plugin, of(ADA), run.clone()).await.unwrap().job;
    schedule(&plugin, run).await;
    let listed = plugin.call_with(of(BOB), List::default()).await.unwrap();
    assert!(listed.jobs.is_empty(), "{listed:?}");
    let id = || job.id.clone();
    let fetched = plugin.call_with(of(BOB), FetchJob { id: id() }).await.unwrap_err();
    let cancelled = plugin.call_with(of(BOB), Cancel { id: id() }).await.unwrap_err();
    assert_eq!((fetched.kind, cancelled.kind), (ErrorKind::NotFound, ErrorKind::NotFound));
    assert_eq!(plugin.call_with(of(ADA), List::default()).await.unwrap().jobs, [job]);
    assert_eq!(plugin.call(List::default()).await.unwrap().jobs.len(), 2);
    let overview = plugin.call_with(of(ADA), Overview {}).await.unwrap_err();
    let letters = plugin.call_with(of(ADA), ListDeadLetters::default()).await.unwrap_err();
    assert_eq!((overview.kind, letters.kind), (ErrorKind::Denied, ErrorKind::Denied));
}

#[tokio::test]
async fn one_key_is_one_job() {
    let plugin = World::new().start(json!({})).await;
    let keyed = || CallHeader { idempotency_key: Some("k".to_owned()), ..of(ADA) };
    let request = json!({ "run": { "goal": "Tidy up" }, "in_minutes": 500_000 });
    let first = try_schedule(&plugin, keyed(), request.clone()).await.unwrap();
    let second = try_schedule(&plugin, keyed(), request.clone()).await.unwrap();
    assert_eq!((first.repeated, second.repeated), (false, true));
    assert_eq!(first.job, second.job);
    let other = json!({ "run": { "goal": "Something else" }, "in_minutes": 500_000 });
    let error = try_schedule(&plugin, keyed(), other).await.unwrap_err();
    assert_eq!(error.to_string(), "conflict: the idempotency key was used for another job");
    let of_bob = CallHeader { person: Some(BOB.to_owned()), ..keyed() };
    assert!(!try_schedule(&plugin, of_bob, request).await.unwrap().repeated, "keys of two people never meet");
}

#[tokio::test]
async fn nobody_has_too_many() {
    let plugin = World::new().start(json!({ "jobs_per_person": 2 })).await;
    let run = json!({ "run": { "goal": "Tidy up" }, "at": "2150-03-01T10:00:00Z" });
    let first = try_schedule(&plugin, of(ADA), run.clone()).await.unwrap().job;
    try_schedule(&plugin, of(ADA), run.clone()).await.unwrap();
    let error = try_schedule(&plugin, of(ADA), run.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "conflict: `+15550000001` has 2 jobs, which is the most: cancel one that is not needed"
    );
    plugin.call_with(of(ADA), Cancel { id: first.id }).await.unwrap();
    try_schedule(&plugin, of(ADA), run).await.unwrap();
}

#[tokio::test]
async fn what_is_cancelled_is_over() {
    let plugin = World::new().start(json!({})).await;
    let job = schedule(&plugin, later(email())).await;
    let cancelled = plugin.call(Cancel { id: job.id.clone() }).await.unwrap();
    assert_eq!((cancelled.state, cancelled.next_ms), (JobState::Cancelled, None));
    assert_eq!(
        plugin.call(Cancel { id: job.id.clone() }).await.unwrap(),
        cancelled,
        "once more changes nothing"
    );
    assert!(plugin.call(List::default()).await.unwrap().jobs.is_empty());
    let all = plugin.call(List { all: true, ..List::default() }).await.unwrap();
    assert_eq!(all.jobs.len(), 1);
}

#[tokio::test]
async fn lists_go_on_page_by_page() {
    let plugin = World::new().start(json!({})).await;
    let mut expected = Vec::new();
    for number in 0..5 {
        expected.push(schedule(&plugin, later(message(&format!("number {number}")))).await.id);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = plugin.call(List { limit: Some(2), after, ..List::default() }).await.unwrap();
        seen.extend(page.jobs.into_iter().map(|job| job.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    let error = plugin.call(List { limit: Some(501), ..List::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: `limit` is 501: expected 1 to 500");
}

#[tokio::test]
async fn routes_do_the_same() {
    let plugin = World::new().start(json!({})).await;
    let post = HttpRequest {
        method: "POST".to_owned(),
        headers: vec![("idempotency-key".to_owned(), "k".to_owned())],
        body: Body::Text(later(email()).to_string()),
        ..HttpRequest::default()
    };
    let answer = |response: Value| {
        let response: HttpResponse = plugin_api::serde_json::from_value(response).unwrap();
        let Body::Text(text) = response.body else { panic!("it has a body") };
        (response.status, plugin_api::serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, first) = answer(plugin.call_json("post_job", json!(post)).await.unwrap());
    let (again, second) = answer(plugin.call_json("post_job", json!(post)).await.unwrap());
    assert_eq!((status, again), (201, 200));
    assert_eq!(first["job"], second["job"]);
    let query = HttpRequest { query: "limit=1&all=true".to_owned(), ..HttpRequest::default() };
    let (_, listed) = answer(plugin.call_json("get_jobs", json!(query)).await.unwrap());
    assert_eq!(listed["jobs"][0]["id"], first["job"]["id"]);
    let wrong = HttpRequest { query: "limit=many".to_owned(), ..HttpRequest::default() };
    let error = plugin.call_json("get_jobs", json!(wrong)).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: `limit` is `many`: expected a whole number");
    let mut delete = HttpRequest { method: "DELETE".to_owned(), ..HttpRequest::default() };
    delete.params.insert("id".to_owned(), first["job"]["id"].as_str().unwrap().to_owned());
    let (_, cancelled) = answer(plugin.call_json("delete_job", json!(delete)).await.unwrap());
    assert_eq!(cancelled["state"], "cancelled");
}

#[tokio::test]
async fn what_is_away_is_said_and_nothing_is_scheduled() {
    let world = World::new();
    let plugin = world.start(json!({})).await;
    world.database.set_down(true);
    let error = try_schedule(&plugin, CallHeader::default(), later(email())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    world.database.set_down(false);
    assert!(plugin.call(List::default()).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn settings_that_cannot_work_are_named() {
    let refused = |settings: Value| {
        let failure =
            plugin_api::testing::TestPlugin::<crate::Scheduler>::new(settings).create().err().unwrap();
        (failure.setting.clone().unwrap_or_default(), failure.message)
    };
    assert_eq!(refused(json!({"time_zone": "Mars"})).0, "time_zone");
    assert_eq!(
        refused(json!({"lease": "20ms"})),
        (
            "lease".to_owned(),
            "`lease` is 20ms: a host could not renew it in time, give it 1s or more".to_owned()
        )
    );
    assert_eq!(refused(json!({"poll": "0s"})).0, "poll");
}
