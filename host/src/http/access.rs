//! A request that wants to change something becomes its body, or is refused. The host listens on loopback only, so what
//! has to be kept out is a web page in the operator's browser: by the Host that it thinks it talks to (DNS rebinding),
//! by its Origin, and by a content type that no plain form can send.

use axum::{
    body::{Bytes, HttpBody},
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, HeaderName, StatusCode, Uri, header, uri::Authority},
};

use super::problem::{Problem, quoted};

/// The most that a request may carry.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

/// A write that may be served.
pub(super) struct Write {
    /// JSON, or empty.
    pub(super) body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Write {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let host = host(&request)?;
        check_origin(request.headers(), &host)?;
        no_query(request.uri())?;
        let is_json = is_json(request.headers())?;
        if request.body().size_hint().lower() > BODY_LIMIT as u64 {
            // Said before the rest is sent, and not waited for.
            return Err(too_large());
        }
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        if !is_json && !body.is_empty() {
            return Err(Problem::unsupported_media_type("the body has no content type")
                .hint("send `Content-Type: application/json`"));
        }
        Ok(Self { body })
    }
}

/// The host that the client believes to talk to, if it is this machine.
fn host(request: &Request) -> Result<Authority, Problem> {
    let named = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => only(request.headers(), header::HOST)?,
    };
    let named = named.ok_or_else(|| Problem::bad_request("the request has no `Host`"))?;
    named.parse().ok().filter(is_loopback).ok_or_else(|| {
        Problem::forbidden(format!(
            "the `Host` is {}, which is not this machine's loopback name",
            quoted(named)
        ))
        .hint("use `localhost`, `127.0.0.1` or `[::1]`")
    })
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let named = host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]";
    named && !authority.as_str().contains('@')
}

/// A page of the same host may write; one of another host, or a sandboxed one (`null`), may not.
fn check_origin(headers: &HeaderMap, host: &Authority) -> Result<(), Problem> {
    let Some(origin) = only(headers, header::ORIGIN)? else { return Ok(()) };
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str())) {
        return Ok(());
    }
    Err(Problem::forbidden(format!("the `Origin` is {}, the `Host` is `{host}`", quoted(origin)))
        .hint("only pages of this host may write"))
}

/// `Ok(false)`: no content type is given, as is right without a body.
fn is_json(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(given) = only(headers, header::CONTENT_TYPE)? else { return Ok(false) };
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(true);
    }
    let detail = format!("the content type is {}, not `application/json`", quoted(given));
    Err(Problem::unsupported_media_type(detail).hint("send `Content-Type: application/json`"))
}

/// The value of a header that may stand there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let first = values.next().map(|value| value.to_str());
    match (first, values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(Problem::bad_request(format!("the header `{name}` is given twice or is not plain text"))),
    }
}

fn no_query(uri: &Uri) -> Result<(), Problem> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(query) => Err(Problem::bad_request(format!("this route takes no query, not {}", quoted(query)))
            .hint("what it needs stands in the path and the body")),
    }
}

fn unreadable(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    Problem::bad_request("the body could not be read to its end")
}

fn too_large() -> Problem {
    Problem::too_large(format!("the body is larger than {BODY_LIMIT} bytes")).hint("send less at a time")
}
