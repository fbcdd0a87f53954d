//! Keeps web pages of others from using an operator's browser: by the Host that it thinks it talks to (DNS rebinding),
//! and by the site that the page comes from.

use axum::http::header;

use super::asked::Asked;
use crate::http::problem::{Problem, quoted};

const LOOPBACK_NAMES: &str =
    "use `localhost`, `127.0.0.1` or `[::1]` as the host; to reach it by another name, set a token";

/// Whether what needs no token was meant for this machine. Programs may leave the Host out where they only read.
pub(super) fn is_meant_for_here(asked: Asked<'_>) -> bool {
    match named(asked) {
        Ok(Some(name)) => is_loopback(name),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// What needs no token, and only reads.
pub(super) fn check_local_read(asked: Asked<'_>) -> Result<(), Problem> {
    if is_meant_for_here(asked) { Ok(()) } else { local_host(asked).map(drop) }
}

/// What needs no token, and writes: a page of the same host may; one of another host, or a sandboxed one (`null`), may
/// not.
pub(super) fn check_local_write(asked: Asked<'_>) -> Result<(), Problem> {
    let host = local_host(asked)?;
    let Some(origin) = asked.only(header::ORIGIN)? else { return Ok(()) };
    if site_of(origin).is_some_and(|site| site.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    Err(foreign(format!("the `Origin` is {}, the `Host` is `{host}`", quoted(origin))))
}

/// What a browser's cookie stands for: only a page of this host may write by it, under any of the host's names.
pub(super) fn check_page(asked: Asked<'_>, other_names: [Option<&str>; 2]) -> Result<(), Problem> {
    match asked.headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        Some(b"same-origin") => return Ok(()),
        Some(_) => return Err(foreign("the request comes from a page of another site")),
        None => {}
    }
    let Some(origin) = asked.only(header::ORIGIN)? else {
        let detail = "the request has a cookie, and neither `Origin` nor `Sec-Fetch-Site`";
        return Err(Problem::forbidden(
            detail,
            "programs send `Authorization: Bearer <token>`, and no cookie",
        ));
    };
    let names = [named(asked)?, other_names[0], other_names[1]];
    let is_ours = |site: &str| names.into_iter().flatten().any(|name| name.eq_ignore_ascii_case(site));
    if site_of(origin).is_some_and(is_ours) {
        return Ok(());
    }
    Err(foreign(format!("the `Origin` is {}, which is not this host", quoted(origin))))
}

/// The host and port of an address: `a.b:1` of `https://a.b:1/c`.
pub(super) fn site_of(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"))?;
    rest.split('/').next()
}

/// The host that the client believes to talk to, if it is this machine.
fn local_host(asked: Asked<'_>) -> Result<&str, Problem> {
    let named =
        named(asked)?.ok_or_else(|| Problem::bad_request("the request has no `Host`", LOOPBACK_NAMES))?;
    if is_loopback(named) {
        return Ok(named);
    }
    let detail = format!("the `Host` is {}, which is not this machine's loopback name", quoted(named));
    Err(Problem::forbidden(detail, LOOPBACK_NAMES))
}

fn named(asked: Asked<'_>) -> Result<Option<&str>, Problem> {
    match asked.uri.authority() {
        Some(authority) => Ok(Some(authority.as_str())),
        None => asked.only(header::HOST),
    }
}

/// Whether it is a loopback name, with or without a port.
fn is_loopback(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are within brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let named = host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]";
    named && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn foreign(detail: impl Into<String>) -> Problem {
    Problem::forbidden(
        detail,
        "use the host's own pages, at the address where it is reached: behind a proxy set `public_base_url` to that \
         address; programs send no `Origin`",
    )
}
