//! No answer: an error of the network, of TLS or of a clock -> a [`Trouble`].

use std::{error::Error, fmt, io, path::Path, time::Duration};

use plugin_api::{
    error::ReasonCode,
    files::Unreadable,
    requests::openai::TroubleCode,
    tls::{NoTrust, Server},
    tracing,
};
use rustls::Error as TlsError;

use super::Trouble;

/// The variable of the setting `ca_file`.
const CA_FILE: &str = "OPENAI_CA_FILE";

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
    no_trust(NoTrust::unreadable_authorities(path, error))
}

/// There is nothing in that file to trust, or nothing on this machine.
pub fn no_authorities(path: Option<&Path>) -> Trouble {
    no_trust(NoTrust::no_authorities(path, CA_FILE))
}

fn tls(error: &TlsError, Way { server, setting, variable }: Way<'_>) -> Trouble {
    let unencrypted =
        format!("if it serves without encryption, write `{variable}` with `http://` or `ws://`");
    let server = Server {
        address: server,
        setting,
        rename: &format!("write `{variable}` with"),
        ca_variable: CA_FILE,
        unencrypted: Some((&unencrypted, setting)),
    };
    no_trust(server.no_trust(error))
}

fn no_trust(NoTrust { code, message, setting, advice }: NoTrust) -> Trouble {
    let code = match code {
        ReasonCode::ConfigInvalid => TroubleCode::ConfigInvalid,
        _ => TroubleCode::Tls,
    };
    let advice = advice.map(|(_, label)| label);
    Trouble { setting, advice, ..Trouble::new(code, message) }
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
