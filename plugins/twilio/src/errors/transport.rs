//! An exchange that came to no answer -> a `Failure`, and whether anything was sent.

use std::{error::Error, io, time::Duration};

use plugin_api::{prelude::*, tracing};

use crate::{client::Broken, settings::Config};

/// The client could not be made.
pub fn no_client(error: &reqwest::Error) -> Failure {
    tracing::debug!(%error, "no HTTP client");
    Failure::tls("no client for TLS can be made: this machine has no certificate authorities to trust")
}

/// No answer came within the limit.
pub fn too_slow(limit: Duration, config: &Config) -> Failure {
    Failure::timeout(format!("`{}` gave no answer within {limit:?}", config.address()))
}

/// The connection could not be made, or broke.
pub fn broken(error: &reqwest::Error, config: &Config) -> Broken {
    tracing::debug!(error = ?error, "no answer from Twilio");
    if error.is_connect() || error.is_builder() {
        return Broken::Unsent(connecting(error, &config.address(), config.timeout));
    }
    Broken::Sent(Failure::unavailable(format!(
        "`{}` broke the connection before it answered",
        config.address()
    )))
}

/// Why there is no connection to this server.
pub fn connecting(error: &reqwest::Error, server: &str, limit: Duration) -> Failure {
    if error.is_timeout() {
        return Failure::timeout(format!("no connection to `{server}` within {limit:?}"));
    }
    for cause in causes(error) {
        // hyper says so in words only.
        if cause.to_string().starts_with("dns error") {
            return Failure::dns(format!("the name `{server}` does not resolve to an address"))
                .setting("api_base_url");
        }
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return untrusted(tls, server);
            }
            if io.kind() == io::ErrorKind::ConnectionRefused {
                return Failure::refused(format!("nobody listens at `{server}`"));
            }
            if matches!(io.kind(), io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) {
                return Failure::refused(format!(
                    "there is no way to `{server}` from this machine's network"
                ));
            }
        }
    }
    Failure::unavailable(format!("no connection to `{server}` can be made"))
}

fn untrusted(error: &rustls::Error, server: &str) -> Failure {
    let why = match error {
        rustls::Error::InvalidCertificate(_) => "its certificate cannot be trusted",
        _ => "it does not speak TLS as expected",
    };
    Failure::tls(format!("no encrypted connection to `{server}`: {why}")).setting("api_base_url")
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
