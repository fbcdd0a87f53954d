//! A request that wants to change something becomes its body, or is refused: who may not ask, what is no JSON, what is
//! too large or takes too long.

use std::sync::Arc;

use axum::{
    body::{Bytes, HttpBody},
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{StatusCode, Uri, header},
};

use super::{
    access::Asked,
    problem::{Problem, quoted},
    site::Site,
};

/// The most that a request may carry.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

const SEND_JSON: &str = "send `Content-Type: application/json`";

/// Where the configuration is read again.
const RELOAD: &str = "/api/operations/host/reload";

/// A write that may be served.
pub(super) struct Write {
    /// JSON, or empty.
    pub(super) body: Bytes,
}

impl FromRequest<Arc<Site>> for Write {
    type Rejection = Problem;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Problem> {
        if let Err(refused) = site.access.operator(&request) {
            let is_told = refused.status() == StatusCode::UNAUTHORIZED;
            let may_reload = is_told
                && request.uri().path() == RELOAD
                && site.access.next_operator(Asked::from(&request)).await;
            if !may_reload {
                return Err(refused);
            }
        }
        no_query(request.uri())?;
        let is_json = is_json(Asked::from(&request))?;
        if request.body().size_hint().lower() > BODY_LIMIT as u64 {
            // Said before the rest is sent, and not waited for.
            return Err(too_large());
        }
        let client = site.access.client(&request);
        let body = site.bodies.read(client, Bytes::from_request(request, site)).await?;
        let body = body.map_err(unreadable)?;
        if !is_json && !body.is_empty() {
            return Err(Problem::unsupported_media_type("the body has no content type", SEND_JSON));
        }
        Ok(Self { body })
    }
}

/// `Ok(false)`: no content type is given, as is right without a body.
fn is_json(asked: Asked<'_>) -> Result<bool, Problem> {
    let Some(given) = asked.only(header::CONTENT_TYPE)? else { return Ok(false) };
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(true);
    }
    let detail = format!("the content type is {}, not `application/json`", quoted(given));
    Err(Problem::unsupported_media_type(detail, SEND_JSON))
}

/// Refuses a query.
pub(super) fn no_query(uri: &Uri) -> Result<(), Problem> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(query) => Err(Problem::bad_request(
            format!("this route takes no query, not {}", quoted(query)),
            "remove the query: the route reads only the path and the body",
        )),
    }
}

fn unreadable(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    Problem::bad_request(
        "the body could not be read to its end",
        "send the request again, with a body whose length matches its headers",
    )
}

fn too_large() -> Problem {
    larger_than(BODY_LIMIT)
}

/// The body of a request is too large.
pub(super) fn larger_than(limit: usize) -> Problem {
    Problem::too_large(format!("the body is larger than {limit} bytes"), "send less at a time")
}
