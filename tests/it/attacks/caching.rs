//! Pages with personal data: whatever a plugin shows of people is kept by no browser and no proxy on the way.

use std::collections::BTreeSet;

use libtest_mimic::Trial;
use serde_json::Value;
use switchboard_tests::trials;

use crate::{orchestrator, shipped};

pub fn tests() -> Vec<Trial> {
    trials![no_answer_of_a_shipped_plugin_may_be_cached, pages_of_runs_are_kept_nowhere]
}

/// Every path of a plugin that can be looked at, with something in the place of each name.
fn paths(document: &Value) -> BTreeSet<String> {
    let known = document["paths"].as_object().expect("the document lists paths");
    let looked_at = known.iter().filter(|(_, methods)| methods.get("get").is_some()).map(|(path, _)| path);
    let of_plugins = looked_at.filter(|path| !path.starts_with("/api/health") && path.starts_with("/api/"));
    let filled = |path: &String| {
        let segments = path.split('/').map(|segment| if segment.starts_with('{') { "any" } else { segment });
        segments.collect::<Vec<_>>().join("/")
    };
    of_plugins
        .map(filled)
        .filter(|path| !["/api/openapi.json", "/api/docs"].contains(&path.as_str()))
        .collect()
}

fn no_answer_of_a_shipped_plugin_may_be_cached() {
    let host = switchboard_tests::Setup::new(&shipped::text()).start();
    for name in ["database", "scheduler_service"] {
        host.wait_for_status(name, "connected");
    }
    let paths = paths(&host.get("/api/openapi.json").json());
    for personal in [
        "/api/messages/threads/any",
        "/api/messages/unprocessed",
        "/api/messages/attachment",
        "/api/runs",
        "/api/runs/any",
        "/api/calls/any",
        "/api/schedule/jobs",
        "/api/schedule/dead-letters",
        "/api/calendar/events",
    ] {
        assert!(paths.contains(personal), "{personal} is not among {paths:?}");
    }
    let mut answered = 0;
    for path in paths {
        let answer = host.get(&path);
        answered += usize::from(answer.status == 200);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}: {}", answer.status);
    }
    assert!(answered >= 3, "the jobs are there at least");
    let called = host.call("scheduler_service", "list_jobs", &serde_json::json!({}));
    assert_eq!(called.header("cache-control"), Some("no-store"), "{}", called.body);
}

fn pages_of_runs_are_kept_nowhere() {
    let host = orchestrator::started();
    let run = serde_json::json!({ "goal": "\"done\"", "person": "+15550001111", "wait_seconds": 15 });
    let started = host.post("/api/runs", &run);
    assert_eq!(started.status, 201, "{}", started.body);
    let run = started.json()["run"].as_str().expect("it has a name").to_owned();
    for path in ["/api/runs".to_owned(), format!("/api/runs/{run}")] {
        let shown = host.get(&path);
        assert_eq!(shown.status, 200, "{}", shown.body);
        assert!(shown.body.contains("+15550001111"), "{}", shown.body);
        assert_eq!(shown.header("cache-control"), Some("no-store"), "{path}");
    }
}
