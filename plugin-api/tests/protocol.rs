//! The JSON that passes the boundary grows by optional fields only: what was written on the day when it was frozen is
//! read today, with every member where it was.

use plugin_api::{
    error::{Failure, OperationError},
    manifest::Manifest,
    protocol::{CallHeader, CloseReason, CreateRequest, LogRecord, SetLogLevel},
    requests::http::{Admission, HttpRequest, HttpResponse},
    serde_json::{self, Value, json},
};
use serde::{Serialize, de::DeserializeOwned};

/// Reads the shortest and the fullest document of a type, and finds every member again in what is written now.
#[track_caller]
fn check<T: Serialize + DeserializeOwned>(least: Value, full: Value) {
    let name = std::any::type_name::<T>();
    for document in [least, full] {
        let read: T = serde_json::from_value(document.clone()).unwrap_or_else(|error| {
            panic!("{name} is not read any more: {error}\n{document}\na new field needs `#[serde(default)]`")
        });
        let written = serde_json::to_value(read).expect("it is JSON");
        let lost: Vec<_> = members(&document)
            .filter(|(key, value)| !value.is_null() && written.get(key.as_str()) != Some(*value))
            .map(|(key, _)| key.as_str())
            .collect();
        assert!(
            lost.is_empty(),
            "{name} does not carry {lost:?} any more: {written}\nolder plugins and hosts write and read these: put \
             them back, and add a new optional field"
        );
        let mut newer = document;
        newer["from_the_future"] = json!({ "of": ["any", "form"] });
        serde_json::from_value::<T>(newer)
            .unwrap_or_else(|error| panic!("{name} must pass over what it does not know: {error}"));
    }
}

fn members(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document.as_object().expect("a message is an object").iter()
}

#[test]
fn a_call_header() {
    check::<CallHeader>(
        json!({ "plugin": "database", "operation": "query" }),
        json!({
            "plugin": "database", "operation": "query", "deadline_ms": 1500,
            "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "caller": "memory_service", "person": "ali",
            "level": "attested", "idempotency_key": "a1",
        }),
    );
}

#[test]
fn a_create_request() {
    let least = json!({
        "instance": "openai_eu", "settings": { "api_key": "x" }, "log_level": "info", "data_dir": "/data",
        "config_dir": "/etc",
    });
    let mut full = least.clone();
    full["dependencies"] = json!(["database"]);
    check::<CreateRequest>(least, full);
}

#[test]
fn the_level_of_a_log() {
    check::<SetLogLevel>(json!({ "level": "debug" }), json!({ "level": "off" }));
}

#[test]
fn a_log_record() {
    check::<LogRecord>(
        json!({ "level": "INFO", "target": "smtp::client", "message": "sent" }),
        json!({
            "level": "WARN", "target": "smtp::client", "message": "sent", "fields": { "took_ms": 7 },
            "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
        }),
    );
}

#[test]
fn a_failure() {
    check::<Failure>(
        json!({ "code": "timeout", "message": "no answer" }),
        json!({
            "code": "rate_limited", "message": "slow down", "setting": "token", "href": "/consent",
            "retry_after_ms": 30_000,
        }),
    );
    for code in [
        "timeout",
        "dns",
        "refused",
        "tls",
        "unavailable",
        "rate_limited",
        "auth_invalid",
        "auth_expired",
        "forbidden",
        "account",
        "consent_required",
        "quota",
        "config_missing",
        "config_invalid",
        "dependency_unhealthy",
        "protocol",
        "panicked",
        "crashed",
        "load_failed",
        "internal",
    ] {
        check::<Failure>(json!({ "code": code, "message": "" }), json!({ "code": code, "message": "x" }));
    }
}

#[test]
fn an_operations_error() {
    check::<OperationError>(
        json!({ "kind": "internal", "message": "broken" }),
        json!({
            "kind": "unavailable", "message": "no answer", "retry_after_ms": 7, "details": { "any": "thing" },
            "root_causes": [
                { "name": "database", "status": "error", "code": "refused", "message": "nobody listens" },
                { "name": "smtp", "status": "not_configured" },
            ],
            "trouble": "quota",
            "fix": { "label": "Top up", "setting": "api_key", "href": "https://vendor.example" },
        }),
    );
    for kind in [
        "invalid",
        "denied",
        "not_found",
        "conflict",
        "cancelled",
        "panicked",
        "internal",
        "unknown_outcome",
        "overloaded",
        "unavailable",
        "deadline",
    ] {
        check::<OperationError>(
            json!({ "kind": kind, "message": "" }),
            json!({ "kind": kind, "message": "x" }),
        );
    }
}

#[test]
fn a_close_reason() {
    check::<CloseReason>(
        json!({ "message": "done" }),
        json!({ "message": "broken", "error": { "kind": "internal", "message": "broken" } }),
    );
}

#[test]
fn a_manifest() {
    check::<Manifest>(
        json!({ "name": "mail", "version": "0.1.0", "kind": "service", "settings": {} }),
        json!({
            "name": "mail", "version": "0.1.0", "kind": "integration", "about": "Sends.",
            "requires": ["database"], "wants": ["smtp"], "settings": { "type": "object" },
            "require_any": [["file", "json"]], "all_or_none": [["user", "password"]],
            "probe_interval_ms": 60_000, "multi_instance": true,
            "operations": [{
                "name": "send", "mode": "call", "about": "Sends.", "request": {}, "response": {}, "tool": true,
                "idempotent": true, "keyed": true, "doctor": true, "needs_approval": true,
                "needs": "attested", "decisive": ["to"],
            }],
            "routes": [{
                "method": "POST", "path": "/mail", "operation": "send", "access": { "guard": "mail.admit" },
                "body_limit": 1000,
            }],
        }),
    );
    for access in [json!("operator"), json!("public"), json!({ "guard": "a.b" })] {
        let route = json!({ "method": "GET", "path": "/x", "operation": "y", "access": access });
        let manifest =
            json!({ "name": "m", "version": "1", "kind": "service", "settings": {}, "routes": [route] });
        let read: Manifest = serde_json::from_value(manifest).expect("its access is known");
        assert_eq!(serde_json::to_value(&read.routes[0].access).expect("it is JSON"), access);
    }
}

#[test]
fn what_routes_hand_over() {
    check::<HttpRequest>(
        json!({ "method": "GET", "url": "http://localhost/" }),
        json!({
            "method": "POST", "url": "http://localhost/a?b=c", "params": { "id": "1" }, "query": "b=c",
            "headers": [["x-a", "b"]], "body": { "text": "hello" },
        }),
    );
    check::<HttpResponse>(
        json!({ "status": 204 }),
        json!({ "status": 200, "headers": [["x-a", "b"]], "body": { "base64": "/w==" } }),
    );
    check::<Admission>(json!({}), json!({ "person": "ali", "level": "signed" }));
}
