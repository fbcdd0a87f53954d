//! The table of contents: every path that the host itself serves, grouped by who uses it.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request},
    routing::{get, post},
};
use plugin_api::{error::OperationError, protocol::CallHeader};
use tokio::sync::watch;
use tower::layer::layer_fn;

use super::{
    HttpState, Operations,
    access::Access,
    assets,
    events::{self, Events},
    health, liveness, login, metrics, openapi, operations, page, plugins,
    problem::{Problem, quoted},
    routes::{RouteTable, Routes},
    stamp, verify,
    views::Views,
    write,
};
use crate::status::Board;

/// What the handlers share.
pub(super) struct Site {
    pub(super) board: Board,
    pub(super) views: Views,
    pub(super) events: Events,
    pub(super) access: Access,
    pub(super) operations: Arc<dyn Operations>,
    pub(super) routes: Routes,
    pub(super) registry: prometheus::Registry,
    pub(super) draining: watch::Receiver<bool>,
}

/// The paths that a person may have meant.
const PATHS: [&str; 16] = [
    "/",
    "/api/health",
    "/api/health/integrations",
    "/api/health/integrations/{name}",
    "/api/health/services",
    "/api/health/services/{name}",
    "/api/health/connections",
    "/api/health/connections/summary",
    "/api/health/events",
    "/api/operations/{plugin}/{operation}",
    "/api/openapi.json",
    "/api/docs",
    "/login",
    "/livez",
    "/readyz",
    "/metrics",
];

/// Serves everything that the host itself answers for.
pub fn router(state: HttpState) -> Router {
    let HttpState { board, operations, routes, registry, draining, access, operators, clock } = state;
    let site = Site {
        board: board.clone(),
        events: Events::new(board.clone()),
        views: Views::new(board.clone(), clock),
        access: Access::new(access, operators, clock),
        operations,
        routes,
        registry,
        draining,
    };
    let body_limit = || DefaultBodyLimit::max(write::BODY_LIMIT);

    // Orchestrators and scrapers.
    let process = Router::new()
        .route("/livez", get(liveness::livez))
        .route("/readyz", get(liveness::readyz))
        .route("/metrics", get(metrics::show));
    // Whoever polls.
    let health = Router::new()
        .route("/api/health", get(health::overview))
        .route("/api/health/integrations", get(health::integrations))
        .route("/api/health/integrations/{name}", get(health::integration))
        .route("/api/health/services", get(health::services))
        .route("/api/health/services/{name}", get(health::service))
        .route("/api/health/connections", get(health::connections))
        .route("/api/health/connections/summary", get(health::summary))
        .route("/api/health/events", get(events::follow));
    // A person's browser.
    let browser = Router::new()
        .route("/", get(page::show))
        .route("/api/docs", get(openapi::docs))
        .route("/login", get(login::show).post(login::log_in).layer(DefaultBodyLimit::max(login::FORM_LIMIT)))
        .route("/logout", post(login::log_out))
        .route("/assets/{fingerprint}/{name}", get(assets::show));
    // Operators and the command line.
    let writes = Router::new()
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/health/integrations/{name}/verify", post(verify::integration).layer(body_limit()))
        .route("/api/health/services/{name}/verify", post(verify::service).layer(body_limit()))
        .route("/api/operations/{plugin}/{operation}", post(operations::call).layer(body_limit()));

    Router::new()
        .merge(browser)
        .merge(process)
        .merge(health)
        .merge(writes)
        .fallback(plugins::serve)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(site))
        .layer(layer_fn(move |answers| stamp::Stamp { answers, board: board.clone() }))
}

impl Site {
    /// Calls an operation with nothing but a payload.
    pub(super) async fn call(
        &self,
        plugin: impl Into<String>,
        operation: impl Into<String>,
        payload: Bytes,
    ) -> Result<Vec<u8>, OperationError> {
        let header =
            CallHeader { plugin: plugin.into(), operation: operation.into(), ..CallHeader::default() };
        self.operations.call(header, payload).await
    }
}

/// What stands where nothing is.
pub(super) fn unknown_path(path: &str, routes: &RouteTable) -> Problem {
    let known = PATHS.into_iter().chain(routes.paths());
    let mut paths: Vec<_> = known.map(|known| (strsim::jaro_winkler(known, path), known)).collect();
    paths.sort_by(|one, other| other.0.total_cmp(&one.0));
    let near: Vec<_> = paths.iter().take(3).map(|(_, known)| format!("`{known}`")).collect();
    Problem::not_found(
        format!("there is no route {}", quoted(path)),
        format!("the nearest are {}", near.join(", ")),
    )
}

/// The answer to this has the header that it names.
pub(super) fn wrong_method_of(path: &str, method: &str) -> Problem {
    let detail = format!("{path} does not take {}", quoted(method));
    Problem::method_not_allowed(detail, "use one of the methods that the header `Allow` names")
}

async fn wrong_method(request: Request) -> Problem {
    let (method, path) = (request.method(), quoted(request.uri().path()));
    wrong_method_of(&path, method.as_str())
}
