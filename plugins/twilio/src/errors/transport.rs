//! An exchange that came to no answer -> a `Failure`, and whether anything was sent.

use std::{error::Error, io, time::Duration};

use plugin_api::{prelude::*, tracing};
use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};

use crate::settings::Config;

/// Where an exchange broke.
#[derive(Debug)]
pub enum Broken {
    /// Before the request was sent.
    Unsent(Failure),
    /// After: nobody knows what became of it.
    Sent(Failure),
}

impl Broken {
    pub fn failure(&self) -> &Failure {
        let (Self::Unsent(failure) | Self::Sent(failure)) = self;
        failure
    }
}

/// The client could not be made.
pub fn no_client(error: &reqwest::Error) -> Failure {
    tracing::debug!(%error, "no HTTP client");
    no_authorities()
}

pub fn no_authorities() -> Failure {
    Failure::tls("no client for TLS can be made: this machine has no certificate authorities to trust")
        .advise(FixAction::Retry, "Install `ca-certificates` on this machine, then restart the host")
}

/// No answer came within the limit.
pub fn too_slow(limit: Duration, config: &Config) -> Failure {
    Failure::timeout(format!("`{}` gave no answer within {limit:?}", config.address()))
}

/// The connection could not be made, or broke.
pub fn broken(error: &reqwest::Error, config: &Config) -> Broken {
    tracing::debug!(error = ?error, "no answer from Twilio");
    if error.is_connect() || error.is_builder() {
        return Broken::Unsent(blame(connecting(error, &config.address(), config.timeout), config));
    }
    Broken::Sent(Failure::unavailable(format!(
        "`{}` broke the connection before it answered",
        config.address()
    )))
}

/// An address of Twilio's own is right: then this machine or its network is in the way.
pub fn blame(failure: Failure, config: &Config) -> Failure {
    let (is_twilio, code) = (config.is_twilio(), failure.code);
    match code {
        _ if failure.advice.is_some() => failure,
        ReasonCode::Dns | ReasonCode::Refused | ReasonCode::Tls if !is_twilio => {
            failure.setting("api_base_url")
        }
        ReasonCode::Dns => failure.advise(FixAction::Retry, "Check this machine's DNS"),
        ReasonCode::Refused => failure.advise(FixAction::Retry, "Check this machine's network and firewall"),
        ReasonCode::Tls => failure.advise(
            FixAction::Retry,
            "Update `ca-certificates` of this machine; a proxy that decrypts TLS needs its authority there",
        ),
        _ => failure,
    }
}

/// Why there is no connection to this server.
pub fn connecting(error: &reqwest::Error, server: &str, limit: Duration) -> Failure {
    if error.is_timeout() {
        return Failure::timeout(format!("no connection to `{server}` within {limit:?}"));
    }
    for cause in causes(error) {
        // hyper says so in words only.
        if cause.to_string().starts_with("dns error") {
            return unresolved(server);
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return untrusted(tls, server);
            }
            if let Some(failure) = network(io.kind(), server) {
                return failure;
            }
        }
    }
    Failure::unavailable(format!("no connection to `{server}` can be made"))
}

pub fn unresolved(server: &str) -> Failure {
    Failure::dns(format!("the name `{server}` does not resolve to an address"))
}

pub fn network(kind: io::ErrorKind, server: &str) -> Option<Failure> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some(Failure::refused(format!("nobody listens at `{server}`"))),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            Some(Failure::refused(format!("there is no way to `{server}` from this machine's network")))
        }
        _ => None,
    }
}

pub fn untrusted(error: &rustls::Error, server: &str) -> Failure {
    let failure = |why| Failure::tls(format!("no encrypted connection to `{server}`: {why}"));
    match error {
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => failure("by this machine's clock its certificate is not valid now")
            .advise(FixAction::Retry, "Correct the clock of this machine, or the certificate of the server"),
        rustls::Error::InvalidCertificate(_) => failure("its certificate cannot be trusted"),
        _ => failure("it does not speak TLS as expected"),
    }
}

fn causes(error: &reqwest::Error) -> Vec<&(dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}
