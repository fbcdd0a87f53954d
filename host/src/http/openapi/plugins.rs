//! The routes and operations of plugins, as their manifests tell them.

use plugin_api::manifest::{Access, OperationManifest, OperationMode, WEBSOCKET};
use serde_json::{Value, json};

use super::{
    super::{
        problem::Problem,
        routes::{PluginRoute, RouteTable},
    },
    components::Components,
    endpoint::{Endpoint, Who},
    own::{called, failures},
};
use crate::switch::Offer;

const JSON: &str = "application/json";

/// Where plugins are reached over HTTP. Only they know what their answers hold.
pub(super) fn routes(table: &RouteTable, offers: &[Offer]) -> Vec<Endpoint> {
    let mut endpoints: Vec<_> = table.routes().map(|route| endpoint(route, about(route, offers))).collect();
    // Where a path is a page and a WebSocket, the document has room for one `GET`: the page.
    endpoints.sort_by_key(|endpoint| endpoint.answers.iter().any(|answer| answer.status == "101"));
    endpoints
}

/// One path for each operation that can be called.
pub(super) fn operations(offers: &[Offer], components: &mut Components) -> Vec<Endpoint> {
    let problem = components.of::<Problem>();
    let mut endpoints = Vec::new();
    for offer in offers {
        let calls = offer.operations.iter().filter(|operation| operation.mode == OperationMode::Call);
        endpoints.extend(calls.map(|operation| {
            let endpoint = operation_endpoint(&offer.plugin, operation, components);
            failures(endpoint, &problem)
        }));
    }
    endpoints
}

fn operation_endpoint(plugin: &str, operation: &OperationManifest, components: &mut Components) -> Endpoint {
    let OperationManifest { name, about, request, response, .. } = operation;
    let id = format!("{plugin}.{name}");
    let request = components.embed(&format!("{id}.request"), request);
    let response = components.embed(&format!("{id}.response"), response);
    let path = format!("/api/operations/{plugin}/{name}");
    let summary = if about.is_empty() { format!("Calls `{id}`.") } else { sentence(about) };
    called(Endpoint::new("POST", &path, plugin, summary).id(id)).body(JSON, request).answer(
        "200",
        "What it answers.",
        [(JSON, response)],
    )
}

/// A line that people read.
fn sentence(about: &str) -> String {
    let mut letters = about.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let end = if about.ends_with('.') { "" } else { "." };
    first.chain(letters).chain(end.chars()).collect()
}

fn about(route: &PluginRoute, offers: &[Offer]) -> String {
    let offer = offers.iter().find(|offer| offer.plugin == route.plugin);
    let operations = offer.map(|offer| offer.operations.as_slice()).unwrap_or_default();
    let operation = operations.iter().find(|operation| operation.name == route.manifest.operation);
    match operation.map(|operation| operation.about.as_str()).filter(|about| !about.is_empty()) {
        Some(about) => sentence(about),
        None => format!("Served by `{}.{}`.", route.plugin, route.manifest.operation),
    }
}

fn endpoint(route: &PluginRoute, about: String) -> Endpoint {
    let anything = || [("*/*", json!(true))];
    let who = match (&route.manifest.access, &route.guard) {
        (Access::Operator, _) => Who::Operators,
        (Access::Public, _) => Who::Anybody,
        (Access::Guard(_), Some(guard)) => Who::Guarded(format!("{}.{}", guard.plugin, guard.operation)),
        (Access::Guard(named), None) => Who::Guarded(named.clone()),
    };
    let is_socket = route.manifest.method == WEBSOCKET;
    let method = if is_socket { "GET" } else { route.manifest.method.as_str() };
    let endpoint = Endpoint::new(method, &route.manifest.path, &route.plugin, about).who(who);
    if is_socket {
        return endpoint.answer("101", "A WebSocket.", []).answer(
            "default",
            "What is wrong, and what to do about it.",
            anything(),
        );
    }
    let endpoint = if method == "GET" { endpoint } else { endpoint.body("*/*", Value::Bool(true)) };
    endpoint.answer("default", format!("The answer of `{}`, or what is wrong.", route.plugin), anything())
}
