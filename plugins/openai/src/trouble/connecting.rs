//! No answer: an error of the network, of TLS or of a clock -> a [`Trouble`].

use std::{error::Error, fmt, io, path::Path, time::Duration};

use plugin_api::{files::Unreadable, requests::openai::TroubleCode, tracing};
use rustls::{CertificateError, Error as TlsError};

use super::Trouble;

/// Which way it was, for the messages: the server, and the setting that names it.
#[derive(Debug, Clone, Copy)]
pub struct Way<'a> {
    pub server: &'a str,
    pub setting: &'static str,
    pub variable: &'static str,
}

impl<'a> Way<'a> {
    /// The API.
    pub fn http(server: &'a str) -> Self {
        Self { server, setting: "base_url", variable: "OPENAI_BASE_URL" }
    }

    /// The Realtime API.
    pub fn realtime(server: &'a str) -> Self {
        Self { server, setting: "realtime_url", variable: "OPENAI_REALTIME_API_URL" }
    }
}

/// The server's name does not lead to an address.
#[derive(Debug)]
pub struct NoAddress;

impl fmt::Display for NoAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name does not resolve to an address")
    }
}

impl Error for NoAddress {}

/// No connection came about, or it broke before the answer was whole.
pub fn network(error: &(dyn Error + 'static), way: Way<'_>) -> Trouble {
    tracing::debug!(%error, server = way.server, "no answer");
    let Way { server, setting, variable } = way;
    if find::<NoAddress>(error).is_some() {
        let message = format!("the name of `{server}` does not resolve to an address");
        return Trouble::new(TroubleCode::Dns, message).setting(setting);
    }
    if let Some(error) = find::<TlsError>(error) {
        return tls(error, way);
    }
    let trouble = |code, words: String| Trouble::new(code, words);
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => {
            trouble(TroubleCode::ConnectionRefused, format!("nobody listens at `{server}`"))
        }
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            let words = format!("there is no way to `{server}` from this machine's network");
            trouble(TroubleCode::ConnectionRefused, words)
                .advise(format!("Check this machine's network and firewall, or correct `{variable}`"))
        }
        Some(io::ErrorKind::TimedOut) => {
            trouble(TroubleCode::Timeout, format!("`{server}` does not answer")).setting("connect_timeout")
        }
        _ => trouble(
            TroubleCode::Unavailable,
            format!("the connection to `{server}` broke before the answer was whole"),
        ),
    }
}

/// No connection within the setting `connect_timeout`.
pub fn no_connection(way: Way<'_>, waited: Duration) -> Trouble {
    let words = format!("no connection with `{}` within {waited:?}", way.server);
    Trouble::new(TroubleCode::Timeout, words).setting("connect_timeout")
}

/// No answer within the setting of this name.
pub fn no_answer(server: &str, what: &str, waited: Duration, setting: &'static str) -> Trouble {
    Trouble::new(TroubleCode::Timeout, format!("`{server}` gave {what} within {waited:?}")).setting(setting)
}

/// The file of the setting `ca_file` cannot be read.
pub fn unreadable_authorities(path: &Path, error: &Unreadable) -> Trouble {
    let why = match error {
        Unreadable::System(io::ErrorKind::NotFound) => "does not exist".to_owned(),
        Unreadable::System(io::ErrorKind::PermissionDenied) => "may not be read by this process".to_owned(),
        error => format!("cannot be read: {error}"),
    };
    Trouble::new(TroubleCode::ConfigInvalid, format!("`{}` {why}", path.display())).setting("ca_file")
}

/// There is nothing in that file to trust, or nothing on this machine.
pub fn no_authorities(path: Option<&Path>) -> Trouble {
    match path {
        Some(path) => Trouble::new(
            TroubleCode::ConfigInvalid,
            format!("`{}` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)", path.display()),
        ),
        None => Trouble::new(
            TroubleCode::Tls,
            "this machine trusts no certificate authorities: install its `ca-certificates`, or set `OPENAI_CA_FILE`",
        )
        .advise("Install `ca-certificates` on this machine, or set `OPENAI_CA_FILE`"),
    }
    .setting("ca_file")
}

fn tls(error: &TlsError, way: Way<'_>) -> Trouble {
    let Way { server, setting, variable } = way;
    let trouble = |words: String| Trouble::new(TroubleCode::Tls, words);
    match error {
        TlsError::InvalidCertificate(error) => certificate(error, way),
        TlsError::InvalidMessage(_) => trouble(format!(
            "`{server}` does not answer in TLS: if it serves without encryption, write `{variable}` with `http://` or \
             `ws://`"
        ))
        .setting(setting),
        _ => trouble(format!("no TLS connection with `{server}` comes about: no common version or method"))
            .advise(format!("Let `{server}` speak TLS 1.2 or later")),
    }
}

fn certificate(error: &CertificateError, way: Way<'_>) -> Trouble {
    let Way { server, setting, variable } = way;
    let trouble =
        |words: &str| Trouble::new(TroubleCode::Tls, format!("the certificate of `{server}` {words}"));
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            trouble("has expired: it must be renewed there")
                .advise(format!("Renew the certificate of `{server}`"))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            trouble("is not valid yet: check the clocks of both machines")
                .advise(format!("Correct the clock of this machine or of `{server}`, then verify it"))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            trouble(&format!("is for another name: write `{variable}` with the name that it is for"))
                .setting(setting)
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => trouble(
            "is signed by nobody who is trusted: if it is a private one, give the certificate of its authority in \
             `OPENAI_CA_FILE`",
        )
        .setting("ca_file"),
        _ => trouble("cannot be trusted").setting("ca_file"),
    }
}

/// The first error of this type among an error and its causes, those inside of an [`io::Error`] included.
pub fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}
