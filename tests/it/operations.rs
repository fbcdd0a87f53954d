//! Calls of operations: from outside over HTTP, and from plugin to plugin through the switch.

use libtest_mimic::Trial;
use plugin_api::error::ErrorKind;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, trials, wait::wait_until};

pub fn tests() -> Vec<Trial> {
    trials![
        an_operation_answers,
        a_dependency_is_called_through_the_switch,
        only_declared_dependencies_may_be_called,
        a_wanted_plugin_that_is_not_named_is_unavailable,
        an_error_names_the_root_causes_and_no_secret,
        every_kind_of_error_has_its_status,
        a_panic_fails_one_call_and_no_more,
        a_call_that_hangs_ends_at_its_deadline,
        a_deadline_travels_with_the_call,
        unknown_plugins_and_operations_are_404,
        a_request_that_does_not_fit_is_400,
        an_operator_calls_on_behalf_of_a_person_by_a_key,
        the_log_of_a_plugin_is_the_hosts_log,
        a_cross_site_write_is_refused,
    ]
}

fn start() -> TestHost {
    let host = Setup::new("[plugins.faulty]\n[plugins.dependent]\n").start();
    host.wait_for_status("dependent", "connected");
    host
}

fn ask(host: &TestHost, plugin: &str, operation: &str, request: Value) -> (u16, Value) {
    let ask = json!({"plugin": plugin, "operation": operation, "request": request});
    let response = host.call("dependent", "ask", &ask);
    (response.status, response.json())
}

fn an_operation_answers() {
    let response = start().call("faulty", "echo", &json!({"text": "grüße \u{0} 😀"}));
    assert_eq!((response.status, response.json()), (200, json!({"text": "grüße \u{0} 😀"})));
}

fn a_dependency_is_called_through_the_switch() {
    assert_eq!(ask(&start(), "faulty", "echo", json!({"text": "hello"})), (200, json!({"text": "hello"})));
}

fn only_declared_dependencies_may_be_called() {
    let (status, problem) = ask(&start(), "database", "describe", json!({}));
    assert_eq!(status, 403, "{problem}");
    let text = problem.to_string();
    assert!(text.contains("which its manifest does not declare"), "{text}");
}

fn an_error_names_the_root_causes_and_no_secret() {
    let config =
        "[plugins.faulty]\nsettings = { init = { fail = { code = \"forbidden\" } } }\n[plugins.dependent]\n";
    let host = Setup::new(config).env("FAULTY_SECRET", "correct-horse").start();
    host.wait_for_status("faulty", "error");
    host.wait_for_status("dependent", "connected");
    let fail = |kind: &str| {
        let error =
            json!({"kind": kind, "message": "as you wish", "details": {"seen": ["by correct-horse"]}});
        let asked = json!({"plugin": "faulty", "operation": "fail", "request": error});
        host.call("dependent", "ask", &asked).json()
    };
    // The plugin's own answer is newer than what its status tells of, and something else.
    let failed = fail("internal");
    let cause = json!({"name": "faulty", "status": "error", "code": "internal", "message": "as you wish"});
    assert_eq!(failed["root_causes"], json!([cause]), "{failed:#}");
    assert_eq!(failed["details"]["seen"][0], "by [secret]");
    let own = host.call("faulty", "fail", &json!({"kind": "internal", "message": "as you wish"})).json();
    assert_eq!((&own["detail"], &own["root_causes"]), (&json!("as you wish"), &json!([])), "{own:#}");
    assert_eq!(fail("invalid")["root_causes"], json!([]), "the request itself is wrong");
}

fn a_wanted_plugin_that_is_not_named_is_unavailable() {
    let (status, problem) = ask(&start(), "smtp", "send_email", json!({}));
    assert_eq!(status, 503, "{problem}");
    assert!(problem.to_string().contains("plugins.toml does not name `smtp`"), "{problem}");
}

fn every_kind_of_error_has_its_status() {
    let host = start();
    for kind in ErrorKind::ALL {
        let request = json!({"kind": kind.as_str(), "message": "as told"});
        let direct = host.call("faulty", "fail", &request);
        assert_eq!(direct.status, kind.http_status(), "{kind}: {}", direct.body);
        assert_eq!(direct.header("content-type"), Some("application/problem+json"), "{kind}");
        assert!(direct.body.contains("as told"), "{kind}: {}", direct.body);
        let (through, problem) = ask(&host, "faulty", "fail", request);
        assert_eq!(through, kind.http_status(), "{kind} comes through the switch as it is: {problem}");
    }
}

fn a_panic_fails_one_call_and_no_more() {
    let host = start();
    let panicked = host.call("faulty", "commit", &json!({"fault": "panic"}));
    assert_eq!(panicked.status, 500, "{}", panicked.body);
    assert!(panicked.body.contains("as told by the settings"), "{}", panicked.body);
    assert_eq!(host.call("faulty", "echo", &json!({"text": "x"})).status, 200);
    assert_eq!(host.status("faulty"), "connected");
}

fn a_call_that_hangs_ends_at_its_deadline() {
    let config = "[plugins.faulty]\ncalls = { timeout = \"200ms\" }\n";
    let host = Setup::new(config).start();
    host.wait_for_status("faulty", "connected");
    let hung = host.call("faulty", "commit", &json!({"fault": "hang"}));
    assert_eq!(hung.status, 504, "{}", hung.body);
    assert_eq!(host.call("faulty", "echo", &json!({"text": "x"})).status, 200, "its thread is free again");
}

fn a_deadline_travels_with_the_call() {
    let host = start();
    let request =
        json!({"plugin": "faulty", "operation": "commit", "request": {"fault": "hang"}, "deadline_ms": 100});
    let response = host.call("dependent", "ask", &request);
    assert_eq!(response.status, 504, "{}", response.body);
}

fn unknown_plugins_and_operations_are_404() {
    let host = start();
    let plugin = host.call("fautly", "echo", &json!({}));
    assert_eq!(plugin.status, 404, "{}", plugin.body);
    assert!(plugin.body.contains("`faulty`"), "it guesses what was meant: {}", plugin.body);
    let operation = host.call("faulty", "ehco", &json!({}));
    assert_eq!(operation.status, 404, "{}", operation.body);
    assert!(operation.body.contains("`echo`"), "it guesses what was meant: {}", operation.body);
}

fn a_request_that_does_not_fit_is_400() {
    let host = start();
    assert_eq!(host.call("faulty", "echo", &json!({"text": 7})).status, 400);
    let json = [("content-type", "application/json")];
    let broken = host.request("POST", "/api/operations/faulty/echo", &json, Some("{"));
    assert_eq!(broken.status, 400, "{}", broken.body);
    let plain =
        host.request("POST", "/api/operations/faulty/echo", &[("content-type", "text/plain")], Some("{}"));
    assert_eq!(plain.status, 415, "{}", plain.body);
}

fn an_operator_calls_on_behalf_of_a_person_by_a_key() {
    let host = start();
    let path = "/api/operations/faulty/marks";
    let marks = |headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/json")], headers].concat();
        host.request("POST", path, &headers, Some("{}"))
    };
    let person = ("switchboard-person", "+15551234567");
    assert_eq!(
        marks(&[person, ("idempotency-key", "k 1")]).json(),
        json!({"person": "+15551234567", "idempotency_key": "k 1", "caller": null})
    );
    assert_eq!(marks(&[]).json(), json!({"person": null, "idempotency_key": null, "caller": null}));
    for wrong in [&[person, person][..], &[("idempotency-key", "")], &[("switchboard-person", "gr\u{fc}n")]] {
        let response = marks(wrong);
        assert_eq!(response.status, 400, "{}", response.body);
        assert!(
            response.body.contains(&format!("the header `{}` does not fit", wrong[0].0)),
            "{}",
            response.body
        );
    }
}

fn the_log_of_a_plugin_is_the_hosts_log() {
    let host = start();
    for level in ["debug", "info", "warn"] {
        let line = json!({"level": level, "text": format!("a line at {level}")});
        assert_eq!(host.call("faulty", "log", &line).status, 200);
    }
    let output = wait_until("the line", || host.output(), |output| output.contains("a line at warn"));
    let line = output.lines().find(|line| line.contains("a line at warn")).expect("it was just seen");
    assert!(line.contains("WARN") && line.contains("faulty") && line.contains("fixture"), "{line}");
    assert!(output.contains("a line at info"), "{output}");
    assert!(!output.contains("a line at debug"), "the level is pushed down: {output}");
}

fn a_cross_site_write_is_refused() {
    let host = start();
    let write = |headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/json")], headers].concat();
        host.request("POST", "/api/operations/faulty/echo", &headers, Some(r#"{"text":"x"}"#)).status
    };
    let own = format!("http://{}", host.address());
    assert_eq!(write(&[("origin", &own)]), 200);
    assert_eq!(write(&[("origin", "https://elsewhere.example")]), 403);
    assert_eq!(write(&[("host", "elsewhere.example")]), 403, "a name that was rebound to this address");
}
