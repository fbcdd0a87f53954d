//! A request as access looks at it: who sent it, what it shows, and what it is about to do.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap, HeaderName, Method, Request, Uri, header, request::Parts},
};

use crate::http::problem::Problem;

/// The cookie that a browser gets for the token.
pub(in crate::http) const COOKIE: &str = "switchboard_session";

/// The head of a request.
#[derive(Clone, Copy)]
pub(in crate::http) struct Asked<'r> {
    pub method: &'r Method,
    pub uri: &'r Uri,
    pub headers: &'r HeaderMap,
    extensions: &'r Extensions,
}

impl<'r> Asked<'r> {
    /// Who is at the other end of the connection, be it a proxy; `None` if the server does not tell.
    pub fn peer(self) -> Option<IpAddr> {
        let ConnectInfo(address) = self.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(address.ip().to_canonical())
    }

    /// Whether it changes nothing and opens nothing: a WebSocket is opened by a `GET`.
    pub fn only_reads(self) -> bool {
        let is_read = matches!(*self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        is_read && !self.headers.contains_key(header::UPGRADE)
    }

    /// The token that it carries, if it carries one.
    pub fn bearer(self) -> Option<&'r [u8]> {
        let value = self.headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, token) = value.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
    }

    /// The values of our cookie.
    pub fn sessions(self) -> impl Iterator<Item = &'r str> {
        let cookies = self.headers.get_all(header::COOKIE).into_iter();
        let pairs = cookies.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
        pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
    }

    /// The value of a header that may stand there once.
    pub fn only(self, name: HeaderName) -> Result<Option<&'r str>, Problem> {
        let mut values = self.headers.get_all(&name).iter();
        let first = values.next().map(|value| value.to_str());
        match (first, values.next()) {
            (None, _) => Ok(None),
            (Some(Ok(value)), None) => Ok(Some(value)),
            _ => {
                let detail = format!("the header `{name}` is given twice or is not plain text");
                Err(Problem::bad_request(detail, "send it once, in ASCII"))
            }
        }
    }

    /// Whether it comes from a browser that wants a page.
    pub fn wants_a_page(self) -> bool {
        let accept = self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| accept.contains("text/html"))
    }
}

impl<'r, B> From<&'r Request<B>> for Asked<'r> {
    fn from(request: &'r Request<B>) -> Self {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        Self { method, uri, headers, extensions: request.extensions() }
    }
}

impl<'r> From<&'r Parts> for Asked<'r> {
    fn from(parts: &'r Parts) -> Self {
        let Parts { method, uri, headers, extensions, .. } = parts;
        Self { method, uri, headers, extensions }
    }
}
