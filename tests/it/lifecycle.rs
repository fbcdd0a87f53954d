//! A plugin that misbehaves is contained, shown truthfully, and healed; its neighbours notice nothing.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, trials};

pub fn tests() -> Vec<Trial> {
    trials![
        a_panic_in_init_is_shown_with_its_place,
        a_panic_without_text_is_contained,
        a_panic_in_create_is_contained,
        a_failure_in_create_is_shown,
        create_that_never_ends_is_given_up,
        init_that_hangs_times_out,
        init_that_blocks_its_thread_times_out,
        a_transient_failure_is_retried,
        retries_end_in_error,
        a_misconfigured_plugin_is_not_retried,
        consent_waits_for_a_person,
        verify_brings_a_misconfigured_plugin_back,
        a_call_that_goes_well_has_the_plugin_looked_at,
        garbage_in_a_reason_harms_nobody,
        an_outage_is_noticed_and_healed_without_a_restart,
        a_probe_that_panics_is_contained,
        a_probe_that_hangs_times_out,
        one_failed_probe_changes_nothing,
        an_instance_whose_thread_is_blocked_is_replaced,
        dependents_of_a_plugin_in_error_start_and_are_blocked,
        a_plugin_that_does_not_stop_does_not_keep_the_host,
    ]
}

/// Quick retries and probes, a dependent and a neighbour; `settings` are those of the faulty plugin.
fn start(settings: &str) -> TestHost {
    Setup::new(&format!(
        r#"
        [plugins.faulty]
        init = {{ timeout = "500ms" }}
        probe = {{ interval = "200ms", timeout = "200ms" }}
        retry = {{ attempts = 3, base = "10ms", cap = "50ms" }}
        calls = {{ timeout = "1s" }}
        settings = {{ {settings} }}
        [plugins.dependent]
        [plugins.neighbour]
        library = "faulty"
        "#
    ))
    .start()
}

/// Waits for the faulty plugin to be in `error` with this code, and sees that the neighbour is well.
#[track_caller]
fn error(host: &TestHost, code: &str) -> Value {
    let faulty = host.wait_for_status("faulty", "error");
    assert_eq!(faulty["reason"]["code"], code, "{faulty:#}");
    host.wait_for_status("neighbour", "connected");
    faulty
}

/// Changes what goes wrong from now on.
#[track_caller]
fn become_faulty(host: &TestHost, faults: &Value) {
    let response = host.call("faulty", "become", faults);
    assert_eq!(response.status, 200, "{}", response.body);
}

fn a_panic_in_init_is_shown_with_its_place() {
    let faulty = error(&start(r#"init = "panic""#), "panicked");
    let message = faulty["reason"]["message"].as_str().expect("a reason is told");
    assert!(message.contains("as told by the settings"), "what it said: {message}");
    assert!(message.contains("fault.rs:"), "where it was: {message}");
    assert_eq!(faulty["fix"]["action"], "retry");
}

fn a_panic_without_text_is_contained() {
    error(&start(r#"init = "panic_without_text""#), "panicked");
}

fn a_panic_in_create_is_contained() {
    error(&start(r#"create = "panic""#), "panicked");
}

fn a_failure_in_create_is_shown() {
    let faulty = error(&start(r#"create = { fail = { code = "config_invalid" } }"#), "config_invalid");
    assert_eq!(faulty["reason"]["message"], "as told by the settings");
}

fn create_that_never_ends_is_given_up() {
    error(&start(r#"create = "block""#), "timeout");
}

fn init_that_hangs_times_out() {
    let faulty = error(&start(r#"init = "hang""#), "timeout");
    assert_eq!(faulty["fix"]["action"], "retry");
}

fn init_that_blocks_its_thread_times_out() {
    let host = start(r#"init = "block""#);
    error(&host, "timeout");
    assert_eq!(host.get("/readyz").status, 200, "everything has settled");
}

fn a_transient_failure_is_retried() {
    let host = start(r#"init = { fail = { code = "refused", times = 2 } }"#);
    host.wait_for_status("faulty", "connected");
    let counts = host.call("faulty", "counts", &json!({})).json();
    assert_eq!(counts["inits"], 3, "two failures, one success");
    assert_eq!(host.plugin("faulty")["generation"], 1, "on the same instance");
    assert_eq!(host.plugin("faulty")["reason"], Value::Null);
}

fn retries_end_in_error() {
    let host = start(r#"init = { fail = { code = "unavailable" } }"#);
    let faulty = error(&host, "unavailable");
    assert_eq!(faulty["retry"]["max_attempts"], 3);
    assert_eq!(faulty["reason"]["retryable"], true);
    assert!(faulty["next_check_at"].is_string(), "a slow probe goes on: {faulty:#}");
}

fn a_misconfigured_plugin_is_not_retried() {
    let host = start(r#"init = { fail = { code = "auth_invalid" } }"#);
    let faulty = error(&host, "auth_invalid");
    assert_eq!(faulty["fix"]["action"], "correct_setting");
    assert_eq!(faulty["reason"]["retryable"], false);
    assert_eq!(host.call("faulty", "counts", &json!({})).json()["inits"], 1);
}

fn consent_waits_for_a_person() {
    let host = start(r#"init = { fail = { code = "consent_required" } }"#);
    let faulty = host.wait_for_status("faulty", "disconnected");
    assert_eq!(faulty["reason"]["code"], "consent_required");
    assert_eq!(faulty["fix"]["action"], "authorize");
    assert_eq!(host.get("/api/health").json()["status"], "degraded");
}

fn verify_brings_a_misconfigured_plugin_back() {
    let host = start(r#"init = { fail = { code = "auth_invalid" } }"#);
    error(&host, "auth_invalid");
    become_faulty(&host, &json!({}));
    let verified = host.post("/api/health/integrations/faulty/verify", &json!({}));
    assert_eq!(verified.status, 200, "{}", verified.body);
    assert_eq!(verified.json()["status"], "connected", "the answer is the new status");
    host.wait_for_plugin("dependent", "healthy", |dependent| dependent["healthy"] == true);
}

/// A plugin with a wrong setting is probed every five minutes; one that serves is looked at within seconds.
fn a_call_that_goes_well_has_the_plugin_looked_at() {
    let host = start("");
    host.wait_for_status("faulty", "connected");
    become_faulty(&host, &json!({"probe": {"fail": {"code": "auth_invalid"}}}));
    error(&host, "auth_invalid");
    become_faulty(&host, &json!({}));
    host.wait_for_status("faulty", "connected");
}

fn garbage_in_a_reason_harms_nobody() {
    let host = start(r#"init = "garbage""#);
    let faulty = error(&host, "protocol");
    let message = faulty["reason"]["message"].as_str().expect("a reason is told");
    assert!(
        message.chars().all(|letter| !letter.is_control()),
        "nothing that steers a terminal: {message:?}"
    );
    assert!(message.len() < 2000, "a reason is short: {} bytes", message.len());
    let status = host.command(&["status"]);
    assert!(!status.stdout.contains('\u{1b}'), "{}", status.stdout);
}

fn an_outage_is_noticed_and_healed_without_a_restart() {
    let host = start("");
    host.wait_for_status("dependent", "connected");

    become_faulty(&host, &json!({"probe": {"fail": {"code": "refused"}}}));
    let faulty = error(&host, "refused");
    let dependent = host.plugin("dependent");
    assert_eq!((&dependent["status"], &dependent["healthy"]), (&json!("connected"), &json!(false)));
    assert_eq!(dependent["blocked_by"], json!(["faulty"]));
    assert_eq!(dependent["root_causes"], json!(["faulty"]));
    assert_eq!(dependent["dependencies"][0]["satisfied"], false);
    assert_eq!(faulty["root_causes"], json!(["faulty"]));
    let status = host.command(&["status"]);
    let row =
        |line: &&str| line.trim().starts_with("dependent ") && line.trim().ends_with("blocked by faulty");
    assert_eq!(status.stdout.lines().filter(row).count(), 1, "{}", status.stdout);
    let doctor = host.command(&["doctor"]);
    assert!(doctor.stdout.contains("\n  dependent: fix `faulty` first\n"), "{}", doctor.stdout);

    become_faulty(&host, &json!({}));
    let faulty = host.wait_for_status("faulty", "connected");
    assert_eq!(faulty["generation"], 1, "healed, not restarted");
    assert_eq!(host.call("faulty", "counts", &json!({})).json()["inits"], 0, "not even initialised again");
    let moves: Vec<_> =
        faulty["history"].as_array().expect("a history").iter().map(|entry| &entry["to"]).collect();
    assert_eq!(moves[moves.len() - 2..], [&json!("error"), &json!("connected")], "{faulty:#}");
    assert_eq!(host.plugin("dependent")["healthy"], true);
    let log = host.wait_for_output("connected again");
    let told = |line: &&str| line.contains("connected again") && line.contains("faulty");
    let lines: Vec<_> = log.lines().filter(told).collect();
    assert!(matches!(lines[..], [line] if line.contains("INFO")), "its return is logged once: {log}");
}

fn a_probe_that_panics_is_contained() {
    let host = start(r#"probe = "panic""#);
    error(&host, "panicked");
    assert_eq!(host.call("faulty", "echo", &json!({"text": "still here"})).json()["text"], "still here");
}

fn a_probe_that_hangs_times_out() {
    error(&start(r#"probe = "hang""#), "timeout");
}

fn one_failed_probe_changes_nothing() {
    let host = start("");
    host.wait_until_ready();
    host.wait_for_status("dependent", "connected");
    let revision = host.get("/api/health").json()["revision"].clone();
    become_faulty(&host, &json!({"probe": {"fail": {"code": "timeout", "times": 1}}}));
    host.wait_for_plugin("faulty", "probed thrice", |_| {
        host.call("faulty", "counts", &json!({})).json()["probes"].as_u64() >= Some(3)
    });
    assert_eq!(host.plugin("faulty")["status"], "connected");
    assert_eq!(host.get("/api/health").json()["revision"], revision, "nothing that a reader cares about");
}

fn an_instance_whose_thread_is_blocked_is_replaced() {
    let host = start("");
    host.wait_for_status("faulty", "connected");
    let blocked = host.call("faulty", "commit", &json!({"fault": "block"}));
    assert_eq!(blocked.status, 504, "{}", blocked.body);
    let healed = host.wait_for_plugin("faulty", "a fresh instance", |faulty| {
        faulty["generation"] == 2 && faulty["status"] == "connected"
    });
    assert_eq!(healed["reason"], Value::Null);
    assert_eq!(host.call("faulty", "echo", &json!({"text": "again"})).json()["text"], "again");
    assert_eq!(host.plugin("dependent")["generation"], 1, "its dependent notices nothing");
}

fn dependents_of_a_plugin_in_error_start_and_are_blocked() {
    let host = start(r#"init = { fail = { code = "forbidden" } }"#);
    error(&host, "forbidden");
    let dependent = host.wait_for_status("dependent", "connected");
    assert_eq!(dependent["healthy"], false);
    assert_eq!(dependent["blocked_by"], json!(["faulty"]));
}

fn a_plugin_that_does_not_stop_does_not_keep_the_host() {
    let config = "[host]\nshutdown_grace = \"500ms\"\n[plugins.faulty]\nsettings = { stop = \"block\" }\n";
    let host = Setup::new(config).start();
    host.wait_for_status("faulty", "connected");
    let (finished, _) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}
