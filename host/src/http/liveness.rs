//! Whether this process works, for who decides to restart it or to send it traffic; never a dependency's health.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::{problem::Problem, site::Site};

/// The loop turns: this is answered, and the checker ticks.
pub(super) async fn livez(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    if site.views.current().is_stale() {
        return Err(Problem::unavailable(
            "the health checker has not run for a while",
            "the process hangs or gets no processor time: if this lasts, restart it and report it with its log",
        ));
    }
    Ok(fine("alive"))
}

/// Everything has settled, and nothing drains.
pub(super) async fn readyz(State(site): State<Arc<Site>>) -> Result<Response, Problem> {
    let rendered = site.views.current();
    let plugins = &rendered.snapshot.plugins;
    if *site.draining.borrow() {
        Err(stopping())
    } else if !rendered.snapshot.settled {
        let waiting = plugins.iter().filter(|plugin| !plugin.settled).count();
        let detail = format!("{waiting} of {} plugins have not settled yet", plugins.len());
        Err(Problem::unavailable(detail, "see `/api/health/connections` for what each of them waits for"))
    } else {
        Ok(fine("ready"))
    }
}

/// Once and for all.
pub(super) fn stopping() -> Problem {
    Problem::unavailable("the host is stopping", "try again once it has been restarted")
}

fn fine(status: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, format!("{{\"status\":\"{status}\"}}")).into_response()
}
