//! A request and the address under which Twilio knows this host -> the URLs that Twilio may have signed. The query stays
//! as it was sent, to the byte.

use plugin_api::{error::OperationError, requests::http::HttpRequest};

/// A URL in its parts, none of them decoded.
struct Parts<'u> {
    scheme: &'u str,
    authority: &'u str,
    /// Path and query.
    rest: &'u str,
}

/// Every URL that the request may have been signed by. With a base, scheme and host of the request count for nothing:
/// behind a proxy they are the proxy's.
pub fn candidates(request: &HttpRequest, base: Option<&str>) -> Result<Vec<String>, OperationError> {
    let asked = Parts::of(&request.url)?;
    let query = asked.rest.split_once('?').map_or("", |(_, query)| query);
    if query != request.query {
        return Err(OperationError::invalid("the query of the request is not that of its URL"));
    }
    let scheme = |scheme: &'static str| match (is_websocket(request), scheme) {
        (true, "https") => "wss",
        (true, "http") => "ws",
        _ => scheme,
    };
    let mut urls = Vec::new();
    match base {
        None => with_and_without_port(scheme(known(asked.scheme)?), asked.authority, asked.rest, &mut urls),
        Some(base) => {
            let base = Parts::of(base)?;
            let prefix = base.rest.trim_end_matches('/');
            let scheme = scheme(known(base.scheme)?);
            with_and_without_port(scheme, base.authority, &format!("{prefix}{}", asked.rest), &mut urls);
            // A proxy may hand the prefix on instead of taking it away.
            if !prefix.is_empty() && asked.rest.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
            {
                with_and_without_port(scheme, base.authority, asked.rest, &mut urls);
            }
        }
    }
    Ok(urls)
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Result<Self, OperationError> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| OperationError::invalid("the request has no complete URL"))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        Ok(Self { scheme, authority, rest })
    }
}

fn known(scheme: &str) -> Result<&'static str, OperationError> {
    match scheme {
        "https" => Ok("https"),
        "http" => Ok("http"),
        _ => Err(OperationError::invalid("the URL of the request is neither `http` nor `https`")),
    }
}

fn is_websocket(request: &HttpRequest) -> bool {
    request.method == "GET"
        && request.header("upgrade").is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// Twilio is not consistent about the port (twilio-python tries both, too).
fn with_and_without_port(scheme: &str, authority: &str, rest: &str, urls: &mut Vec<String>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let default = if matches!(scheme, "https" | "wss") { "443" } else { "80" };
    urls.push(format!("{scheme}://{host}{rest}"));
    urls.push(format!("{scheme}://{host}:{}{rest}", port.unwrap_or(default)));
}
