//! What is refused, each kind in its words, and all of it at once.

use expect_test::{Expect, expect};
use serde_json::json;

use super::judge;
use crate::manifest::{Access, Kind, Manifest, RouteManifest, WEBSOCKET, schema};
use crate::requests::{Empty, doctor::Examine, http::HttpRequest};

/// A manifest that can be used, changed.
#[track_caller]
fn check(change: impl FnOnce(&mut Manifest), expected: Expect) {
    let mut manifest = serde_json::from_value(json!({
        "name": "mail", "version": "0.1.0", "kind": "integration", "probe_interval_ms": 60_000,
        "wants": ["gate"],
        "settings": { "type": "object", "properties": { "server": { "type": "string" } } },
        "operations": [
            { "name": "show", "mode": "call", "guard": true, "request": schema::<HttpRequest>() },
            { "name": "talk", "mode": "stream", "request": schema::<HttpRequest>() },
            { "name": "send", "mode": "call", "tool": true, "request": {
                "type": "object", "required": ["to"], "properties": { "to": { "type": "string" } },
            } },
            { "name": "doctor", "mode": "call", "doctor": true, "request": schema::<Examine>() },
        ],
        "routes": [
            { "method": "GET", "path": "/mail/{id}", "operation": "show", "access": { "guard": "mail.show" } },
            { "method": "GET", "path": "/mail/all", "operation": "show", "access": { "guard": "gate.admit" } },
            { "method": "POST", "path": "/mail/{id}", "operation": "show" },
            { "method": WEBSOCKET, "path": "/mail/talk", "operation": "talk" },
        ],
    }))
    .unwrap();
    change(&mut manifest);
    expected.assert_eq(&judge(&manifest).join("\n"));
}

fn route(method: &str, path: &str, operation: &str, access: Access) -> RouteManifest {
    let (method, path, operation) = (method.to_owned(), path.to_owned(), operation.to_owned());
    RouteManifest { method, path, operation, access, body_limit: None }
}

#[test]
fn a_good_manifest_has_no_problems() {
    check(|_| {}, expect![""]);
    check(
        |manifest| {
            manifest.kind = Kind::Service;
            manifest.probe_interval_ms = None;
        },
        expect![""],
    );
}

#[test]
fn only_what_is_declared_as_a_guard_guards() {
    check(
        |manifest| manifest.operations[0].guard = false,
        expect![
            "route `GET /mail/{id}` is guarded by `mail.show`, which is not declared as a guard: mark the operation with `.guard()`"
        ],
    );
    check(
        |manifest| manifest.operations[1..3].iter_mut().for_each(|operation| operation.guard = true),
        expect![[r#"
            operation `talk` is a guard, but is not a call that takes an HTTP request
            operation `send` is a guard, but is not a call that takes an HTTP request
            operation `send` is a guard and a tool: a guard decides about requests, and has no effect"#]],
    );
}

#[test]
fn what_decides_is_in_the_request_of_a_tool() {
    check(|manifest| manifest.operations[2].decisive = vec!["to".into()], expect![""]);
    check(
        |manifest| {
            manifest.operations[2].request = json!({ "type": "object", "properties": { "mail": { "anyOf": [
                { "type": "object", "properties": { "to": {} } }, { "type": "null" },
            ] } } });
            manifest.operations[2].decisive = vec!["mail.to".into(), "mail.from".into(), "to".into()];
        },
        expect![[r#"
            operation `send` names `mail.from` as decisive, which its request does not have
            operation `send` names `to` as decisive, which its request does not have"#]],
    );
    check(
        |manifest| {
            manifest.operations[2].decisive = vec!["to".into(), "recipient".into()];
            manifest.operations[0].decisive = vec!["url".into()];
        },
        expect![[r#"
            operation `show` has decisive members and is no tool: only tool calls are approved
            operation `send` names `recipient` as decisive, which its request does not have"#]],
    );
}

#[test]
fn names_and_groups_are_judged_all_at_once() {
    check(
        |manifest| {
            manifest.name = "E-Mail".into();
            manifest.require_any = vec![vec!["server".into(), "host".into()]];
            manifest.requires = vec!["database".into(), "database".into()];
            manifest.routes.clear();
        },
        expect![[r#"
            the plugin is named `E-Mail`: a name is snake_case, begins with a letter and has at most 64 characters
            a group of settings names `host`, which is no setting
            dependency `database` is declared twice"#]],
    );
    check(
        |manifest| {
            manifest.name = "host".into();
            manifest.routes.clear();
        },
        expect!["`host` is reserved for the host itself"],
    );
}

#[test]
fn integrations_have_a_probe_with_a_pause_that_ends() {
    check(
        |manifest| manifest.probe_interval_ms = None,
        expect![
            "an integration needs a probe: without one it would be `connected` for ever, whatever happens outside"
        ],
    );
    check(
        |manifest| manifest.probe_interval_ms = Some(0),
        expect!["its probe interval is 0 ms: expected 100 ms at least, 86400000 ms at most"],
    );
    check(
        |manifest| manifest.probe_interval_ms = Some(u64::MAX),
        expect![
            "its probe interval is 18446744073709551615 ms: expected 100 ms at least, 86400000 ms at most"
        ],
    );
    check(|manifest| manifest.probe_interval_ms = Some(100), expect![""]);
}

#[test]
fn a_route_needs_an_operation_that_can_serve_it() {
    check(
        |manifest| {
            manifest.routes = vec![
                route("FETCH", "mail", "hide", Access::Operator),
                route(WEBSOCKET, "/show", "show", Access::Public),
                route("POST", "/send", "send", Access::Public),
            ];
        },
        expect![[r#"
            route `FETCH mail` has an unknown method; known are GET, POST, PUT, PATCH, DELETE, WEBSOCKET
            route `FETCH mail` does not begin with `/`
            route `FETCH mail` leads to `hide`, which is not an operation
            route `WEBSOCKET /show` leads to `show`, which is a call: it needs a stream
            route `POST /send` leads to `send`, which does not take an HTTP request"#]],
    );
    let takes_nothing = |manifest: &mut Manifest| manifest.operations[0].request = schema::<String>();
    check(
        takes_nothing,
        expect![[r#"
            operation `show` is a guard, but is not a call that takes an HTTP request
            route `GET /mail/{id}` leads to `show`, which does not take an HTTP request
            route `GET /mail/{id}` is guarded by `mail.show`, which does not take an HTTP request
            route `GET /mail/all` leads to `show`, which does not take an HTTP request
            route `POST /mail/{id}` leads to `show`, which does not take an HTTP request"#]],
    );
    check(|manifest| manifest.operations[0].request = json!({}), expect![""]);
    assert!(!super::takes_request(&schema::<Empty>()), "it takes nothing");
}

#[test]
fn a_guard_is_there_to_be_asked() {
    let guarded = |guard: &str| route("GET", "/mail", "show", Access::Guard(guard.to_owned()));
    check(
        |manifest| {
            manifest.routes =
                ["gate", "mail.nobody", "mail.talk", "mail.send", "stranger.admit", "host.status"]
                    .map(guarded)
                    .into();
            manifest
                .routes
                .iter_mut()
                .enumerate()
                .for_each(|(index, route)| route.path = format!("/{index}x"));
        },
        expect![[r#"
            route `GET /0x` is guarded by `gate`: write it as `plugin.operation`
            route `GET /1x` is guarded by `mail.nobody`, which is not an operation
            route `GET /2x` is guarded by `mail.talk`, which is a stream: it needs a call
            route `GET /3x` is guarded by `mail.send`, which does not take an HTTP request
            route `GET /4x` is guarded by `stranger.admit`, and `stranger` is no dependency
            route `GET /5x` is guarded by `host.status`: operations of the host guard nothing"#]],
    );
}

#[test]
fn nothing_is_there_twice_and_paths_can_be_told_apart() {
    check(
        |manifest| {
            manifest.operations.push(manifest.operations[0].clone());
            manifest.routes.extend([
                route("GET", "/mail/{id}", "show", Access::Operator),
                route("GET", "/mail/{name}", "show", Access::Operator),
                route("GET", "/x/{", "show", Access::Operator),
            ]);
        },
        expect![[r#"
            operation `show` is declared twice
            route `GET /mail/{id}` is declared twice
            route `GET /mail/{name}` clashes with `/mail/{id}`
            route `GET /x/{` has no path: a segment is text, `{name}`, or `{*name}` at the end"#]],
    );
}

#[test]
fn the_hosts_paths_cannot_be_claimed() {
    check(
        |manifest| {
            let paths = ["/", "/api/health/mail", "/{anything}", "/api/healthy", "/login"];
            manifest.routes = paths.map(|path| route("GET", path, "show", Access::Public)).into();
        },
        expect![[r#"
            route `GET /` is a route of the host itself
            route `GET /api/health/mail` is a route of the host itself
            route `GET /{anything}` is a route of the host itself
            route `GET /login` is a route of the host itself"#]],
    );
}

#[test]
fn marks_do_not_contradict_each_other() {
    check(
        |manifest| {
            let [show, talk, send, doctor] = &mut manifest.operations[..] else { panic!("four operations") };
            show.needs_approval = true;
            talk.tool = true;
            send.request = json!({ "type": "string" });
            send.name = "Send-Mail".into();
            (doctor.idempotent, doctor.keyed) = (true, true);
            doctor.request = schema::<String>();
        },
        expect![[r#"
            operation `show` needs approval and is no tool: only tool calls are approved
            operation `talk` is a tool and a stream: a language model can only make calls
            an operation is named `Send-Mail`: a name is snake_case, begins with a letter and has at most 64 characters
            operation `Send-Mail` is a tool whose request is not an object, but a language model can send only an object
            operation `doctor` is idempotent and keyed: an operation that may be repeated anyway needs no key
            operation `doctor` is for the doctor, but is not a call that takes an `Examine`"#]],
    );
}
