//! Routes: where they lead, who guards them, and whether their paths can be told apart.

use std::collections::BTreeSet;

use matchit::{InsertError, Router as Paths};

use super::{cannot_guard, takes_request};
use crate::{
    manifest::{Access, Manifest, OperationMode, RouteManifest, WEBSOCKET},
    protocol::HOST,
};

/// What a route may answer to.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", WEBSOCKET];

/// Every path that the host itself serves. A plugin has no route there, and none below the part before the first `{name}`.
pub const HOST_PATHS: [&str; 20] = [
    "/",
    "/api/health",
    "/api/health/integrations",
    "/api/health/integrations/{name}",
    "/api/health/integrations/{name}/verify",
    "/api/health/services",
    "/api/health/services/{name}",
    "/api/health/services/{name}/verify",
    "/api/health/connections",
    "/api/health/connections/summary",
    "/api/health/events",
    "/api/operations/{plugin}/{operation}",
    "/api/openapi.json",
    "/api/docs",
    "/login",
    "/logout",
    "/assets/{fingerprint}/{name}",
    "/livez",
    "/readyz",
    "/metrics",
];

pub(super) fn check(manifest: &Manifest, problems: &mut Vec<String>) {
    for route in &manifest.routes {
        let mut add = |what: String| problems.push(format!("route `{} {}` {what}", route.method, route.path));
        check_address(route, &mut add);
        check_target(manifest, route, &mut add);
        check_guard(manifest, route, &mut add);
    }
    check_clashes(manifest, problems);
}

fn check_address(route: &RouteManifest, add: &mut impl FnMut(String)) {
    if !METHODS.contains(&route.method.as_str()) {
        add(format!("has an unknown method; known are {}", METHODS.join(", ")));
    }
    if !route.path.starts_with('/') {
        add("does not begin with `/`".to_owned());
    }
    if is_hosts(&route.path) {
        add("is a route of the host itself".to_owned());
    }
}

fn check_target(manifest: &Manifest, route: &RouteManifest, add: &mut impl FnMut(String)) {
    let target = &route.operation;
    match manifest.operation(target) {
        None => add(format!("leads to `{target}`, which is not an operation")),
        Some(operation) if operation.mode == OperationMode::Call && route.method == WEBSOCKET => {
            add(format!("leads to `{target}`, which is a call: it needs a stream"));
        }
        Some(operation) if !takes_request(&operation.request) => {
            add(format!("leads to `{target}`, which does not take an HTTP request"));
        }
        Some(_) => {}
    }
}

/// What guards in another plugin can be said only where that one is known.
fn check_guard(manifest: &Manifest, route: &RouteManifest, add: &mut impl FnMut(String)) {
    let Access::Guard(guard) = &route.access else { return };
    let parts =
        guard.split_once('.').filter(|(plugin, operation)| !plugin.is_empty() && !operation.is_empty());
    let Some((plugin, operation)) = parts else {
        return add(format!("is guarded by `{guard}`: write it as `plugin.operation`"));
    };
    let mut declared = manifest.requires.iter().chain(&manifest.wants);
    if plugin == manifest.name {
        if let Some(why) = cannot_guard(manifest, operation) {
            add(format!("is guarded by `{guard}`, which {why}"));
        }
    } else if plugin == HOST {
        add(format!("is guarded by `{guard}`: operations of the host guard nothing"));
    } else if !declared.any(|name| name == plugin) {
        add(format!("is guarded by `{guard}`, and `{plugin}` is no dependency"));
    }
}

/// Two routes of one method and path, and paths that cannot be told apart.
fn check_clashes(manifest: &Manifest, problems: &mut Vec<String>) {
    let (mut seen, mut paths, mut known) = (BTreeSet::new(), Paths::new(), BTreeSet::new());
    for RouteManifest { method, path, .. } in &manifest.routes {
        if !seen.insert((method, path)) {
            problems.push(format!("route `{method} {path}` is declared twice"));
        }
        if !known.insert(path) {
            continue;
        }
        match paths.insert(path, ()) {
            Ok(()) => {}
            Err(InsertError::Conflict { with }) => {
                problems.push(format!("route `{method} {path}` clashes with `{with}`"));
            }
            Err(_) => problems.push(format!(
                "route `{method} {path}` has no path: a segment is text, `{{name}}`, or `{{*name}}` at the end"
            )),
        }
    }
}

fn is_hosts(path: &str) -> bool {
    let is_below = |host: &str| {
        let literal = host.split("/{").next().unwrap_or(host);
        path.strip_prefix(literal).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // A parameter in the first segments would take the host's paths, too.
    path.starts_with("/{") || path.starts_with("/api/{") || HOST_PATHS.into_iter().any(is_below)
}
