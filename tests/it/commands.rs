//! Every command does what it says, and its exit code means what the README promises.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, process::Finished, trials};

pub fn tests() -> Vec<Trial> {
    trials![
        check_passes_a_sound_configuration,
        check_connect_verifies,
        check_fails_what_cannot_be_healthy,
        check_connect_waits_for_the_last_attempt,
        call_tells_causes_and_details,
        graph_shows_what_depends_on_what,
        graph_speaks_dot_mermaid_and_json,
        graph_down_shows_what_falls,
        status_exits_by_health,
        status_without_a_host_is_3,
        call_answers_json,
        call_without_a_host_is_3,
        call_of_a_failing_operation_is_1,
        plugin_list_shows_what_is_named,
        plugin_inspect_shows_a_manifest,
        plugin_inspect_of_a_bad_library_is_65,
        schema_knows_every_setting,
        help_names_every_command,
        wrong_usage_is_2,
    ]
}

const PAIR: &str = "[plugins.faulty]\n[plugins.dependent]\n[plugins.neighbour]\nlibrary = \"faulty\"\n";

#[track_caller]
fn ok(finished: Finished) -> String {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!finished.stdout.contains('\u{1b}'), "no colour off a terminal: {finished:?}");
    finished.stdout
}

#[track_caller]
fn json_of(finished: Finished) -> Value {
    let text = ok(finished);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("not JSON ({error}): {text}"))
}

#[track_caller]
fn shows(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no `{word}` in\n{text}");
    }
}

fn check_passes_a_sound_configuration() {
    let setup = Setup::new(PAIR);
    ok(setup.command(&["check"]));
    assert!(!setup.path("data/run.json").exists(), "it stops short of starting");
}

fn check_fails_what_cannot_be_healthy() {
    let missing = "[plugins.smtp]\nrequired = true\n";
    let finished = Setup::new(missing).command(&["check"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    shows(&finished.stdout, &["smtp: not_configured: set SMTP_SERVER, SMTP_FROM_EMAIL"]);
    ok(Setup::new("[plugins.smtp]\n").command(&["check"]));
}

fn check_connect_waits_for_the_last_attempt() {
    let fails = "[plugins.faulty]\nretry = { attempts = 3, base = \"20ms\" }\n\
                 settings = { init = { fail = { code = \"refused\" } } }\n";
    let finished = Setup::new(fails).command(&["check", "--connect", "--json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    shows(&finished.stdout, &["\"status\": \"error\"", "\"code\": \"refused\""]);
}

fn call_tells_causes_and_details() {
    let host = Setup::new("[plugins.database]\n[plugins.broken]\nlibrary = \"./missing.so\"\n").start();
    host.wait_for_status("database", "connected");
    let finished = host.command(&["call", "database.query", r#"{"sql":"selec 1"}"#]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    shows(&finished.stderr, &["details: {", "syntax error"]);
    let finished = host.command(&["call", "broken.anything"]);
    shows(&finished.stderr, &["`broken` is not in service", "caused by: broken is error", "does not exist"]);
}

fn check_connect_verifies() {
    ok(Setup::new(PAIR).command(&["check", "--connect"]));
    let broken =
        Setup::new("[plugins.faulty]\nsettings = { init = { fail = { code = \"auth_invalid\" } } }\n");
    let finished = broken.command(&["check", "--connect"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    shows(&(finished.stdout + &finished.stderr), &["faulty", "error", "as told by the settings"]);
}

fn graph_shows_what_depends_on_what() {
    shows(&ok(Setup::new(PAIR).command(&["graph"])), &["faulty", "dependent", "neighbour"]);
}

fn graph_speaks_dot_mermaid_and_json() {
    let setup = Setup::new(PAIR);
    shows(&ok(setup.command(&["graph", "--format", "dot"])), &["digraph", "dependent", "->", "faulty"]);
    shows(
        &ok(setup.command(&["graph", "--format", "mermaid"])),
        &["flowchart", "dependent", "-->", "faulty"],
    );
    let graph = json_of(setup.command(&["graph", "--format", "json"]));
    shows(&graph.to_string(), &["dependent", "faulty", "neighbour"]);
}

fn graph_down_shows_what_falls() {
    let fallen = ok(Setup::new(PAIR).command(&["graph", "--down", "faulty"]));
    shows(&fallen, &["dependent"]);
    assert!(!fallen.contains("neighbour"), "{fallen}");
}

fn status_exits_by_health() {
    let healthy = Setup::new(PAIR).start();
    healthy.wait_for_status("dependent", "connected");
    healthy.wait_for_status("neighbour", "connected");
    shows(&ok(healthy.command(&["status"])), &["faulty", "connected", "dependent", "neighbour"]);
    assert_eq!(json_of(healthy.command(&["status", "--json"]))["status"], "healthy");

    for (required, code) in [("false", 1), ("true", 2)] {
        let config = format!("[plugins.faulty]\nrequired = {required}\nsettings = {{ init = \"panic\" }}\n");
        let host = Setup::new(&config).start();
        host.wait_for_status("faulty", "error");
        let status = host.command(&["status"]);
        assert_eq!(status.code, Some(code), "{status:?}");
        shows(&status.stdout, &["faulty", "error", "as told by the settings"]);
    }
}

fn status_without_a_host_is_3() {
    let finished = Setup::new(PAIR).command(&["status"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    shows(&finished.stderr, &["switchboard run"]);
}

fn call_answers_json() {
    let host = Setup::new(PAIR).start();
    host.wait_for_status("faulty", "connected");
    let answer = json_of(host.command(&["call", "faulty.echo", r#"{"text":"hello"}"#]));
    assert_eq!(answer, json!({"text": "hello"}));
    let marks = ["call", "faulty.marks", "--person", "+15551234567", "--idempotency-key", "k-1"];
    assert_eq!(
        json_of(host.command(&marks)),
        json!({"person": "+15551234567", "idempotency_key": "k-1", "caller": null})
    );
    assert_eq!(json_of(host.command(&["call", "faulty.counts"]))["inits"], 1, "no JSON is an empty request");
    assert_eq!(
        json_of(host.command(&["call", "host.status", r#"{"plugin":"faulty"}"#]))["status"],
        "connected"
    );
}

fn call_without_a_host_is_3() {
    let finished = Setup::new(PAIR).command(&["call", "faulty.counts"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
}

fn call_of_a_failing_operation_is_1() {
    let host = Setup::new(PAIR).start();
    host.wait_for_status("faulty", "connected");
    let failed = host.command(&["call", "faulty.fail", r#"{"kind":"conflict","message":"it is taken"}"#]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    shows(&failed.stderr, &["it is taken"]);
    let usage = host.command(&["call", "faulty.echo", "{not json"]);
    assert_eq!(usage.code, Some(2), "{usage:?}");
}

fn plugin_list_shows_what_is_named() {
    let listed = ok(Setup::new(PAIR).command(&["plugin", "list"]));
    shows(&listed, &["faulty", "integration", "dependent", "service", "neighbour"]);
}

fn plugin_inspect_shows_a_manifest() {
    let setup = Setup::new(PAIR);
    let inspected = ok(setup.command(&["plugin", "inspect", "faulty"]));
    shows(&inspected, &["faulty", "Misbehaves as it is told.", "echo", "FAULTY_SECRET"]);
    let manifest = json_of(setup.command(&["plugin", "inspect", "dependent", "--json"]));
    shows(&manifest.to_string(), &[r#""requires":["faulty"]"#, r#""wants":["smtp"]"#]);
}

fn plugin_inspect_of_a_bad_library_is_65() {
    let setup = Setup::new("[plugins.old_abi]\n");
    let finished = setup.command(&["plugin", "inspect", "old_abi"]);
    assert_eq!(finished.code, Some(65), "{finished:?}");
    shows(&finished.stderr, &["speaks plugin ABI 0, this host speaks 1"]);
}

fn schema_knows_every_setting() {
    let schema = json_of(Setup::new(PAIR).command(&["schema"]));
    shows(
        &schema.to_string(),
        &["listen", "data_dir", "required", "faulty", "Something that must never be shown."],
    );
}

fn help_names_every_command() {
    let help = ok(Setup::empty().command(&["--help"]));
    shows(&help, &["run", "check", "graph", "status", "call", "plugin", "schema", "--config"]);
    shows(&ok(Setup::empty().command(&["--version"])), &["switchboard"]);
}

fn wrong_usage_is_2() {
    for arguments in [&["rum"][..], &["--confg", "x"], &["call"], &["graph", "--format", "png"]] {
        let finished = Setup::new(PAIR).command(arguments);
        assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
    }
}
