//! What proxies say of a request: `Forwarded` (RFC 7239) and `X-Forwarded-*`. That one of them is there can only take
//! rights away, and is always believed; what they say is believed of proxies that the configuration names.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use super::asked::Asked;
use crate::config::Network;

/// A request as the outside world sent it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Outside<'r> {
    /// Who sent it; `None` if the server does not tell.
    pub client: Option<IpAddr>,
    /// Whether it was encrypted on its way.
    pub is_https: bool,
    /// Which host it was meant for, where that is not its `Host`.
    pub host: Option<&'r str>,
}

/// Whether a proxy has had a hand in it.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    let adds = |name: &HeaderName| {
        *name == header::FORWARDED || *name == header::VIA || name.as_str().starts_with("x-forwarded-")
    };
    headers.keys().any(adds)
}

/// What is believed of the outside.
pub(super) fn outside<'r>(asked: Asked<'r>, trusted: &[Network]) -> Outside<'r> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let peer = asked.peer();
    if !peer.is_some_and(is_trusted) {
        return Outside { client: peer, ..Outside::default() };
    }
    let hops = Hops::of(asked.headers);
    // Each proxy adds whom it saw: the last one that is no proxy of ours is the first that may have lied.
    let mut client = peer;
    for hop in hops.clients.iter().rev() {
        let Some(address) = address(hop) else { break };
        client = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    let is_https = hops.scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    Outside { client, is_https, host: hops.host }
}

/// What the headers say: all clients, and of the rest what the nearest proxy said.
#[derive(Default)]
struct Hops<'r> {
    clients: Vec<&'r str>,
    scheme: Option<&'r str>,
    host: Option<&'r str>,
}

impl<'r> Hops<'r> {
    fn of(headers: &'r HeaderMap) -> Self {
        if !headers.contains_key(header::FORWARDED) {
            return Self {
                clients: list(headers, "x-forwarded-for").collect(),
                scheme: list(headers, "x-forwarded-proto").last(),
                host: list(headers, "x-forwarded-host").last(),
            };
        }
        let mut hops = Self::default();
        for element in list(headers, "forwarded") {
            (hops.scheme, hops.host) = (None, None);
            for (key, value) in element.split(';').filter_map(|pair| pair.trim().split_once('=')) {
                let value = value.trim_matches('"');
                match key.to_ascii_lowercase().as_str() {
                    "for" => hops.clients.push(value),
                    "proto" => hops.scheme = Some(value),
                    "host" => hops.host = Some(value),
                    _ => {}
                }
            }
        }
        hops
    }
}

/// The members of a header, however many lines they stand on.
fn list<'r>(headers: &'r HeaderMap, name: &'static str) -> impl Iterator<Item = &'r str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty())
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(hop: &str) -> Option<IpAddr> {
    let plain = hop.trim_start_matches('[').trim_end_matches(']').parse();
    plain.or_else(|_| hop.parse().map(|address: SocketAddr| address.ip())).ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::{extract::ConnectInfo, http::Request};

    use super::*;

    #[track_caller]
    fn check(peer: [u8; 4], headers: &[(&str, &str)], expected: (&str, bool, Option<&str>)) {
        let mut request = Request::new(());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 1))));
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let (client, is_https, host) = expected;
        let expected = Outside { client: Some(client.parse().unwrap()), is_https, host };
        assert_eq!(outside(Asked::from(&request), &trusted), expected, "{headers:?}");
        assert_eq!(is_forwarded(request.headers()), !headers.is_empty(), "{headers:?}");
    }

    const NEAR: [u8; 4] = [10, 0, 0, 1];

    #[test]
    fn only_named_proxies_are_believed() {
        let said =
            [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "a.b")];
        check(NEAR, &said, ("192.0.2.1", true, Some("a.b")));
        check([203, 0, 113, 9], &said, ("203.0.113.9", false, None));
        check(NEAR, &[], ("10.0.0.1", false, None));
        check(NEAR, &[("via", "1.1 squid")], ("10.0.0.1", false, None));
    }

    #[test]
    fn the_client_is_whom_the_outermost_proxy_of_ours_saw() {
        check(NEAR, &[("x-forwarded-for", "198.51.100.1, 192.0.2.1, 10.9.9.9")], ("192.0.2.1", false, None));
        check(
            NEAR,
            &[("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "192.0.2.1")],
            ("192.0.2.1", false, None),
        );
        check(NEAR, &[("x-forwarded-for", "192.0.2.1, unknown")], ("10.0.0.1", false, None));
        check(NEAR, &[("x-forwarded-for", "10.2.2.2")], ("10.2.2.2", false, None));
    }

    #[test]
    fn the_standard_header_wins() {
        let said = "for=198.51.100.1;proto=http, for=\"[2001:db8::1]:4711\";Proto=https;host=\"a.b:8443\"";
        let said = [("forwarded", said), ("x-forwarded-for", "192.0.2.1")];
        check(NEAR, &said, ("2001:db8::1", true, Some("a.b:8443")));
        check(NEAR, &[("forwarded", "proto=https, for=192.0.2.1:80")], ("192.0.2.1", false, None));
    }
}
