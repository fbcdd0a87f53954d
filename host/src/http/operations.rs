//! `POST /api/operations/{plugin}/{operation}`: JSON in, JSON out, through the switch. The command line calls this way.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::header,
    response::{IntoResponse, Response},
};
use serde::de::IgnoredAny;

use super::{
    health::plain,
    problem::{Problem, quoted},
    router::Site,
    write::Write,
};

pub(super) async fn call(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String)>, PathRejection>,
    Write { body }: Write,
) -> Result<Response, Problem> {
    let (plugin, operation) = plain(path)?;
    check_json(&body)?;
    let name = format!("{plugin}.{operation}");
    let response = site.call(plugin, operation, body).await?;
    if serde_json::from_slice::<IgnoredAny>(&response).is_err() {
        return Err(Problem::internal(format!("{} answered what is no JSON", quoted(&name)))
            .hint("the plugin is at fault, not the request"));
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, response).into_response())
}

/// No body stands for an empty object, which is the callee's to say.
fn check_json(body: &[u8]) -> Result<(), Problem> {
    if body.is_empty() {
        return Ok(());
    }
    serde_json::from_slice::<IgnoredAny>(body).map(|_| ()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::bad_request(format!("the body is not JSON: line {line}, column {column}"))
            .hint("send the request as JSON, or nothing for `{}`")
    })
}
