//! The routes of the host itself, each with what it takes and answers. `router` serves exactly these; a test holds the two
//! against each other.

use serde_json::{Value, json};

use super::{
    super::{events::Told, metrics, outline, problem::Problem, render},
    components::Components,
    endpoint::{Endpoint, Who},
};

pub(super) const TAGS: [(&str, &str); 4] = [
    (
        "health",
        "The health of the host and its plugins. Every answer is read from memory: no request causes a probe.",
    ),
    ("process", "For Kubernetes and Prometheus."),
    ("operations", "Calls by operators and the command line."),
    ("pages", "For people."),
];

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const HTML: &str = "text/html; charset=utf-8";

/// All of them.
pub(super) fn endpoints(components: &mut Components) -> Vec<Endpoint> {
    let mut endpoints = health(components);
    endpoints.extend(process());
    endpoints.extend(operations(components));
    let problem = components.of::<Problem>();
    endpoints.extend(pages(&problem));
    let with_failures = |endpoint: Endpoint| failures(endpoint, &problem);
    endpoints.into_iter().map(with_failures).collect()
}

/// Whatever else is answered says what is wrong.
pub(super) fn failures(endpoint: Endpoint, problem: &Value) -> Endpoint {
    endpoint.answer("default", "What is wrong, and what to do about it.", [(PROBLEM, problem.clone())])
}

fn health(components: &mut Components) -> Vec<Endpoint> {
    let whole = components.of::<outline::Whole>();
    let one = components.of::<outline::Outline>();
    let or_less = |full: Value, less: &Value| json!({ "anyOf": [full, less] });
    let overview = or_less(components.of::<render::Overview>(), &whole);
    let integrations = or_less(components.of::<render::Integrations>(), &whole);
    let services = or_less(components.of::<render::Services>(), &whole);
    let connections = or_less(components.of::<render::Connections>(), &whole);
    let summary = or_less(components.of::<render::Summary>(), &whole);
    let plugin = or_less(components.of::<render::WithHistory>(), &one);
    let change = or_less(components.of::<Told>(), &one);
    let view = |path: &str, summary: &str, schema: &Value| {
        view(Endpoint::new("GET", path, "health", summary), schema)
    };
    let verify = |path: &str, schema: &Value| {
        Endpoint::new("POST", path, "health", "Probes now, and answers with the new status.")
            .who(Who::Operators)
            .answer("200", "Its health now.", [(JSON, schema.clone())])
    };
    vec![
        view("/api/health", "The host as a whole; 503 when it is unhealthy.", &overview),
        view("/api/health/integrations", "Every integration.", &integrations),
        view("/api/health/integrations/{name}", "One integration, with its history.", &plugin),
        view("/api/health/services", "Every service.", &services),
        view("/api/health/services/{name}", "One service, with its history.", &plugin),
        view(
            "/api/health/connections",
            "All plugins, every dependency, and how the start went.",
            &connections,
        ),
        view("/api/health/connections/summary", "Counts, causes, and what needs a person.", &summary),
        events(&change),
        verify("/api/health/integrations/{name}/verify", &plugin),
        verify("/api/health/services/{name}/verify", &plugin),
    ]
}

fn view(endpoint: Endpoint, schema: &Value) -> Endpoint {
    let strict = json!({ "type": "string", "enum": ["0", "1"] });
    endpoint
        .who(Who::AnybodySeesLess)
        .takes("query", "strict", strict, "1 answers 503 if the status is not healthy.")
        .takes(
            "header",
            "If-None-Match",
            json!({ "type": "string" }),
            "The `ETag` of the answer that the client has.",
        )
        .answer("200", "The health.", [(JSON, schema.clone())])
        .answer("304", "Unchanged since the client's copy.", [])
        .answer("503", "The same, if the status calls for a 503.", [(JSON, schema.clone())])
}

fn events(change: &Value) -> Endpoint {
    const ABOUT: &str = "Server-sent events with ids `<boot>-<revision>`: a `snapshot` with what `/api/health/connections` \
        answers, a `transition` with each change of a status, a `resync` with everything again if the client missed something.";
    let stream = json!({ "type": "string", "x-switchboard-transition": change });
    Endpoint::new("GET", "/api/health/events", "health", "Everything, and then each change as it happens.")
        .who(Who::AnybodySeesLess)
        .takes(
            "header",
            "Last-Event-ID",
            json!({ "type": "string" }),
            "The id of the last event that the client got.",
        )
        .answer("200", ABOUT, [("text/event-stream", stream)])
}

fn process() -> Vec<Endpoint> {
    let probe = |path: &str, summary: &str, status: &str| {
        let schema = json!({
            "type": "object", "required": ["status"], "properties": { "status": { "const": status } },
        });
        Endpoint::new("GET", path, "process", summary).answer("200", "It is.", [(JSON, schema)])
    };
    let text = || json!({ "type": "string" });
    let kinds = [metrics::CONTENT_TYPE, metrics::OPENMETRICS].map(|kind| (kind, text()));
    vec![
        probe("/livez", "Whether the process works.", "alive"),
        probe("/readyz", "Whether everything has settled, and the host is not stopping.", "ready"),
        Endpoint::new("GET", "/metrics", "process", "Metrics; OpenMetrics if `Accept` asks for it.")
            .who(Who::Operators)
            .answer("200", "All metrics.", kinds),
    ]
}

fn operations(components: &mut Components) -> Vec<Endpoint> {
    let call = Endpoint::new(
        "POST",
        "/api/operations/{plugin}/{operation}",
        "operations",
        "Calls an operation of a plugin, or of `host`.",
    );
    let document = components.embed(
        "OpenApi",
        &json!({
            "type": "object", "required": ["openapi", "info", "paths"],
        }),
    );
    vec![
        called(call).body(JSON, json!(true)).answer("200", "What it answers.", [(JSON, json!(true))]),
        Endpoint::new("GET", "/api/openapi.json", "operations", "This document.")
            .who(Who::AnybodySeesLess)
            .answer("200", "OpenAPI 3.1.", [(JSON, document)]),
    ]
}

/// What travels with a call beside its request.
pub(super) fn called(endpoint: Endpoint) -> Endpoint {
    let text = || json!({ "type": "string", "minLength": 1, "maxLength": 256 });
    endpoint.who(Who::Operators).takes("header", "Switchboard-Person", text(), "On whose behalf.").takes(
        "header",
        "Idempotency-Key",
        text(),
        "Makes a repeated call harmless if the operation supports it.",
    )
}

fn pages(problem: &Value) -> Vec<Endpoint> {
    let html = || [(HTML, json!({ "type": "string" }))];
    // A browser gets the form again.
    let refused = html().into_iter().chain([(PROBLEM, problem.clone())]);
    let page = |path: &str, summary: &str| {
        Endpoint::new("GET", path, "pages", summary).answer("200", "A page.", html())
    };
    let form = json!({
        "type": "object", "required": ["token"], "properties": { "token": { "type": "string" } },
    });
    vec![
        page("/", "The dashboard.")
            .who(Who::Operators)
            .answer("303", "A browser is sent to `/login`.", [])
            .answer("304", "Unchanged since the browser's copy.", []),
        page("/api/docs", "This document for people.").who(Who::AnybodySeesLess),
        page("/login", "Where a browser logs in; 404 on a host without a token."),
        Endpoint::new("POST", "/login", "pages", "Exchanges the token for a cookie.")
            .body("application/x-www-form-urlencoded", form)
            .answer("303", "The token is right.", [])
            .answer("401", "The token is wrong.", refused),
        Endpoint::new("GET", "/assets/{fingerprint}/{name}", "pages", "A file of the pages of this build.")
            .answer("200", "Its contents, which never change.", [("*/*", json!(true))])
            .answer("304", "Unchanged since the browser's copy.", []),
        Endpoint::new("POST", "/logout", "pages", "Ends the session.").answer(
            "303",
            "The session has ended.",
            [],
        ),
    ]
}
