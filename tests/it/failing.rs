//! A plugin that answers its probe and fails its work: health says so, blames the plugin whose fault it is, and comes back.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, events::EventClient, peer::Peer, trials, wait::wait_until};

pub fn tests() -> Vec<Trial> {
    trials![
        work_that_fails_behind_a_good_probe_is_blamed_once_and_acknowledged,
        a_refusal_of_the_vendor_counts_whatever_its_kind,
        followers_see_it_and_it_outlasts_a_reload_until_the_work_succeeds,
        bad_input_and_impatience_make_no_plugin_fail,
        a_key_that_lists_models_and_may_not_use_them_is_openais_own_failure,
        a_loop_in_the_background_that_hangs_is_failing_until_it_turns_again,
        a_loop_in_the_background_that_panics_is_failing_until_it_turns_again,
        the_metrics_of_a_plugin_that_was_removed_go_with_it,
    ]
}

const PLUGINS: &str = "[plugins.faulty]\n[plugins.dependent]\n";

/// As many outcomes as count without waiting for half a minute.
const ENOUGH: usize = 20;

fn connected() -> TestHost {
    let host = Setup::new(PLUGINS).start();
    for name in ["faulty", "dependent"] {
        host.wait_for_status(name, "connected");
    }
    host
}

/// Has `dependent` call an operation of `faulty`; answers the status of HTTP.
fn ask(host: &TestHost, operation: &str, request: &Value, deadline_ms: Option<u64>) -> u16 {
    let request =
        json!({ "plugin": "faulty", "operation": operation, "request": request, "deadline_ms": deadline_ms });
    host.call("dependent", "ask", &request).status
}

fn fails(host: &TestHost, error: &Value) {
    for _ in 0..ENOUGH {
        ask(host, "fail", error, None);
    }
}

fn failing(host: &TestHost, name: &str) -> Vec<Value> {
    host.plugin(name)["failing"].as_array().cloned().unwrap_or_default()
}

fn health(host: &TestHost) -> Value {
    host.get("/api/health").json()
}

fn wait_until_failing(host: &TestHost) -> Value {
    wait_until("a finding", || failing(host, "faulty"), |failing| failing.len() == 1).remove(0)
}

fn work_that_fails_behind_a_good_probe_is_blamed_once_and_acknowledged() {
    let host = connected();
    fails(&host, &json!({ "kind": "unavailable", "message": "the ledger is closed" }));

    let finding = wait_until_failing(&host);
    assert_eq!(finding["operation"], "fail");
    assert_eq!(finding["key"], Value::Null);
    assert_eq!(finding["message"], "the ledger is closed");
    assert_eq!(finding["callers"], json!(["dependent"]));
    assert!(finding["failures"].as_u64() >= Some(3), "{finding}");
    let faulty = host.plugin("faulty");
    assert_eq!((&faulty["status"], &faulty["healthy"]), (&json!("connected"), &json!(true)));
    assert_eq!(failing(&host, "dependent"), Vec::<Value>::new(), "the cause is counted once");

    let whole = health(&host);
    assert_eq!(whole["status"], "degraded");
    let cause = &whole["causes"][0];
    assert_eq!((&cause["name"], &cause["failing"]), (&json!("faulty"), &json!(true)), "{whole}");
    assert_eq!(cause["affects"], json!(["dependent"]));
    let summary = host.get("/api/health/connections/summary").json();
    assert_eq!(summary["failing"].as_array().map(Vec::len), Some(1), "{summary}");
    let metrics = host.get("/metrics").body;
    let series = "switchboard_plugin_failing{operation=\"fail\",plugin=\"faulty\"} 1";
    assert!(metrics.contains(series), "{metrics}");
    let status = host.command(&["status"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stdout.contains("the ledger is closed"), "{}", status.stdout);

    host.wait_for_output("`fail` fails in use (unavailable): the ledger is closed; fix: ");
    let seen = host.command(&["call", "host.acknowledge", r#"{"plugin":"faulty","operation":"fail"}"#]);
    assert_eq!(seen.code, Some(0), "{seen:?}");
    wait_until("good health", || health(&host), |whole| whole["status"] == "healthy");
    host.wait_for_output("`fail` no longer fails in use");
    let log = host.output();
    assert_eq!(log.matches("`fail` fails in use").count(), 1, "{log}");
}

fn a_refusal_of_the_vendor_counts_whatever_its_kind() {
    let host = connected();
    // For a caller it is `denied`; that the vendor refused the host's own key is the plugin's trouble.
    fails(
        &host,
        &json!({ "kind": "denied", "message": "the key may not use this model", "trouble": "forbidden" }),
    );
    let finding = wait_until_failing(&host);
    assert_eq!((&finding["code"], &finding["fix"]["action"]), (&json!("forbidden"), &json!("see_vendor")));
    // An operation that works ends no failure of another one.
    for _ in 0..ENOUGH {
        assert_eq!(ask(&host, "echo", &json!({ "text": "hello" }), None), 200);
    }
    assert_eq!(failing(&host, "faulty").len(), 1);
    assert_eq!(health(&host)["status"], "degraded");
}

fn followers_see_it_and_it_outlasts_a_reload_until_the_work_succeeds() {
    let host = connected();
    let mut follower = EventClient::new(host.address(), &[]);
    assert_eq!(follower.next_event().kind, "snapshot");
    for _ in 0..ENOUGH {
        ask(
            &host,
            "commit",
            &json!({ "fault": { "fail": { "code": "quota", "message": "no credit" } } }),
            None,
        );
    }
    let finding = wait_until_failing(&host);
    assert_eq!((&finding["operation"], &finding["code"]), (&json!("commit"), &json!("quota")));
    // Other news may come before it.
    let told = loop {
        let event = follower.next_event();
        if event.data["integrations"]["faulty"]["failing"][0]["code"] == "quota" {
            break event;
        }
    };
    assert_eq!(told.kind, "snapshot", "it is no change of status");

    let changed = PLUGINS.replace("[plugins.faulty]", "[plugins.faulty]\nprobe = { interval = \"1h\" }");
    fs::write(host.setup().path("plugins.toml"), changed).expect("a file can be written");
    let reloaded = host.command(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    let is_successor = |plugin: &Value| plugin["generation"] == 2 && plugin["status"] == "connected";
    let successor = host.wait_for_plugin("faulty", "a successor", is_successor);
    assert_eq!(successor["failing"][0]["code"], "quota", "no reload makes health green: {successor:#}");
    host.wait_for_status("dependent", "connected");

    let works = json!({ "fault": { "slow_ms": 0 } });
    assert_eq!(ask(&host, "commit", &works, None), 200);
    assert_eq!(failing(&host, "faulty").len(), 1, "one success is not enough");
    assert_eq!(ask(&host, "commit", &works, None), 200);
    wait_until("good health", || health(&host), |whole| whole["status"] == "healthy");
}

fn bad_input_and_impatience_make_no_plugin_fail() {
    let host = connected();
    for kind in ["invalid", "denied", "not_found", "conflict", "cancelled"] {
        fails(&host, &json!({ "kind": kind, "message": "it is the caller's" }));
    }
    for _ in 0..ENOUGH {
        assert_eq!(ask(&host, "commit", &json!({ "fault": "hang" }), Some(5)), 504);
        assert_eq!(ask(&host, "echo", &json!({ "no such": "field" }), None), 400);
    }
    // What would count gathers within a second.
    fails(&host, &json!({ "kind": "internal", "message": "this one is its own" }));
    let finding = wait_until_failing(&host);
    assert_eq!(finding["operation"], "fail", "nothing else fails: {finding}");
    assert_eq!(finding["message"], "this one is its own");
}

/// An account whose key sees the list of models, and may use none of them.
fn account_without_models() -> Peer {
    Peer::start(|asked| match asked.path.as_str() {
        "/v1/models" => (
            200,
            json!({ "object": "list", "data": [
            { "id": "gpt-4o", "object": "model", "created": 1, "owned_by": "openai" },
        ] }),
        ),
        _ => (
            403,
            json!({ "error": {
            "message": "Project `proj_1` does not have access to model `gpt-4o`",
            "type": "invalid_request_error", "param": null, "code": "model_not_found",
        } }),
        ),
    })
}

fn a_key_that_lists_models_and_may_not_use_them_is_openais_own_failure() {
    let server = account_without_models();
    let host = Setup::new("[plugins.database]\n[plugins.openai]\n[plugins.orchestrator_service]\n")
        .env("OPENAI_API_KEY", "sk-battery-staple")
        .env("OPENAI_BASE_URL", &format!("http://{}/v1", server.address()))
        .env("OPENAI_MODEL", "gpt-4o")
        .start();
    for name in ["openai", "orchestrator_service"] {
        host.wait_for_status(name, "connected");
    }
    for number in 0..ENOUGH {
        let run = host.call("orchestrator_service", "run", &json!({ "goal": format!("say {number}") }));
        assert_eq!(run.status, 200, "{}", run.body);
    }
    let found = wait_until("a finding", || failing(&host, "openai"), |failing| !failing.is_empty());
    assert_eq!(found[0]["operation"], "chat", "{found:?}");
    let fix = found[0]["fix"].to_string();
    assert!(fix.contains("OPENAI_MODEL"), "{fix}");
    assert_eq!(host.status("openai"), "connected", "its probe succeeds");

    let whole = health(&host);
    assert_eq!(whole["status"], "degraded");
    let causes = whole["causes"].as_array().expect("causes");
    let names: Vec<_> = causes.iter().map(|cause| (&cause["name"], &cause["affects"])).collect();
    assert_eq!(names, [(&json!("openai"), &json!(["orchestrator_service"]))], "{whole}");
    assert_eq!(failing(&host, "orchestrator_service"), Vec::<Value>::new());
}

fn a_loop_in_the_background_that_hangs_is_failing_until_it_turns_again() {
    a_loop_is_failing_until_it_turns_again("hang", "hung: a turn took longer than 500ms");
}

fn a_loop_in_the_background_that_panics_is_failing_until_it_turns_again() {
    a_loop_is_failing_until_it_turns_again("panic", "panicked");
}

fn a_loop_is_failing_until_it_turns_again(fault: &str, expected: &str) {
    let plugins = format!("[plugins.faulty]\n[plugins.faulty.settings]\nlooping = \"{fault}\"\n");
    let host = Setup::new(&plugins).start();
    host.wait_for_status("faulty", "connected");
    let finding = wait_until_failing(&host);
    assert_eq!((&finding["key"], &finding["code"]), (&json!("looping"), &json!("internal")));
    let message = finding["message"].as_str().unwrap_or_default();
    assert!(message.contains(expected), "{finding}");
    assert_eq!(health(&host)["status"], "degraded");
    host.wait_for_output("a background loop");

    // Each time that it is begun again it does the same, until it is told otherwise.
    host.call("faulty", "become", &json!({}));
    wait_until("good health", || health(&host), |whole| whole["status"] == "healthy");
    assert_eq!(host.plugin("faulty")["generation"], 1, "the instance is still the same");
}

fn the_metrics_of_a_plugin_that_was_removed_go_with_it() {
    let host = Setup::new("[plugins.faulty]\n[plugins.second]\nlibrary = \"faulty\"\n").start();
    host.wait_for_status("second", "connected");
    host.call("second", "echo", &json!({ "text": "hello" }));
    host.call("second", "log", &json!({ "level": "warn", "text": "hello" }));
    let of_second = |host: &TestHost| -> Vec<String> {
        let metrics = host.get("/metrics").body;
        metrics.lines().filter(|line| line.contains("plugin=\"second\"")).map(str::to_owned).collect()
    };
    assert!(!of_second(&host).is_empty());
    fs::write(host.setup().path("plugins.toml"), "[plugins.faulty]\n").expect("a file can be written");
    let reloaded = host.command(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    let left = wait_until("no series of it", || of_second(&host), Vec::is_empty);
    assert_eq!(left, Vec::<String>::new());
}
