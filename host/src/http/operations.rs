//! `POST /api/operations/{plugin}/{operation}`: JSON in, JSON out, through the switch. The command line calls this way.
//! Two headers travel with the call: on whose behalf it is, and by which key a repeat is recognised.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use plugin_api::{level::Level, protocol::CallHeader};
use serde::de::IgnoredAny;

use super::{
    paths::plain,
    problem::{Problem, REPORT_PLUGIN, quoted},
    site::Site,
    write::Write,
};

/// The person on whose behalf an operator calls.
const PERSON: HeaderName = HeaderName::from_static("switchboard-person");

/// The same key means the same effect: at most once (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest value of either.
const LONGEST: usize = 256;

pub(super) async fn call(
    State(site): State<Arc<Site>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    Write { body }: Write,
) -> Result<Response, Problem> {
    let (plugin, operation) = plain(path)?;
    check_json(&body)?;
    let name = format!("{plugin}.{operation}");
    let person = value(&headers, PERSON)?;
    let idempotency_key = value(&headers, IDEMPOTENCY_KEY)?;
    // Operators answer for those whom they name.
    let level = person.as_ref().map(|_| Level::Signed);
    let header = CallHeader { plugin, operation, person, level, idempotency_key, ..CallHeader::default() };
    let response = site.operations.call(header, body).await.map_err(Problem::of_plugin)?;
    if serde_json::from_slice::<IgnoredAny>(&response).is_err() {
        return Err(Problem::internal(
            format!("{} gave an answer that is not JSON", quoted(&name)),
            REPORT_PLUGIN,
        ));
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, response).into_response())
}

/// What a header says that may stand there once.
fn value(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_plain = |text: &&str| (1..=LONGEST).contains(&text.len());
    match (value.to_str().ok().filter(is_plain), values.next()) {
        (Some(value), None) => Ok(Some(value.to_owned())),
        _ => Err(Problem::bad_request(
            format!("the header `{name}` does not fit"),
            format!("give it once, as plain text of at most {LONGEST} characters"),
        )),
    }
}

/// No body stands for an empty object, which is the callee's to say.
fn check_json(body: &[u8]) -> Result<(), Problem> {
    if body.is_empty() {
        return Ok(());
    }
    serde_json::from_slice::<IgnoredAny>(body).map(|_| ()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::bad_request(
            format!("the body is not JSON: line {line}, column {column}"),
            "send the request as JSON, or nothing for `{}`",
        )
    })
}
