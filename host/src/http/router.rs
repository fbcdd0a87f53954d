//! The table of contents: what serves each path of the host's own, grouped by who uses it.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    routing::{MethodRouter, get, post},
};
use plugin_api::manifest::judge::HOST_PATHS;
use tower::layer::layer_fn;

use super::{
    HttpState,
    access::Access,
    assets,
    bodies::Bodies,
    events::{self, seats::Events},
    health, liveness, login, metrics, openapi, operations, page,
    paths::wrong_method_of,
    plugins,
    problem::{Problem, quoted},
    site::Site,
    stamp, verify,
    views::Views,
    write,
};

/// Serves everything that the host itself answers for.
pub fn router(state: HttpState) -> Router {
    let HttpState { board, operations, routes, registry, draining, access, operators, clock } = state;
    let site = Site {
        board: board.clone(),
        events: Events::new(board.clone()),
        views: Views::new(board.clone(), clock),
        access: Access::new(access, operators, clock),
        bodies: Bodies::new(),
        operations,
        routes,
        registry,
        draining,
    };
    let own = HOST_PATHS.into_iter().fold(Router::new(), |router, path| router.route(path, own(path)));
    own.fallback(plugins::serve)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(site))
        .layer(layer_fn(move |answers| stamp::Stamp { answers, board: board.clone() }))
}

/// What serves a path of the host's own.
fn own(path: &str) -> MethodRouter<Arc<Site>> {
    let write = |method: MethodRouter<Arc<Site>>| method.layer(DefaultBodyLimit::max(write::BODY_LIMIT));
    match path {
        // Orchestrators and scrapers.
        "/livez" => get(liveness::livez),
        "/readyz" => get(liveness::readyz),
        "/metrics" => get(metrics::show),
        // Dashboards and monitors.
        "/api/health" => get(health::overview),
        "/api/health/integrations" => get(health::integrations),
        "/api/health/integrations/{name}" => get(health::integration),
        "/api/health/services" => get(health::services),
        "/api/health/services/{name}" => get(health::service),
        "/api/health/connections" => get(health::connections),
        "/api/health/connections/summary" => get(health::summary),
        "/api/health/events" => get(events::follow),
        // A person's browser.
        "/" => get(page::show),
        "/api/docs" => get(openapi::docs),
        "/login" => get(login::show).post(login::log_in).layer(DefaultBodyLimit::max(login::FORM_LIMIT)),
        "/logout" => post(login::log_out),
        "/assets/{fingerprint}/{name}" => get(assets::show),
        // Operators and the command line.
        "/api/openapi.json" => get(openapi::document),
        "/api/health/integrations/{name}/verify" => write(post(verify::integration)),
        "/api/health/services/{name}/verify" => write(post(verify::service)),
        "/api/operations/{plugin}/{operation}" => write(post(operations::call)),
        _ => unreachable!("`{path}` is a path of the host: add what serves it here"),
    }
}

async fn wrong_method(request: Request) -> Problem {
    let (method, path) = (request.method(), quoted(request.uri().path()));
    wrong_method_of(&path, method.as_str())
}
