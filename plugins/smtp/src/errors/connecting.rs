//! No working connection -> a `Failure` whose code picks what the host does, with the setting to mend.

use std::io;

use lettre::transport::smtp;
use plugin_api::{prelude::*, tracing};

use super::{io_error, reply::Reply, tls};
use crate::settings::{Config, TlsMode};

/// The step after which a wrong choice of TLS shows as silence.
pub const GREETING: &str = "no greeting";

/// What lettre says when the peer closes the connection before an answer is complete.
const CLOSED: &str = "incomplete response";

/// The server could not be reached, or does not speak as a mail server does.
pub fn reaching(error: &smtp::Error, config: &Config) -> Failure {
    tracing::debug!(%error, "no connection to the mail server");
    if let Some(reply) = Reply::of(error) {
        return unwilling(&reply, config);
    }
    if let Some(error) = io_error(error) {
        return tls::failure(error, config).unwrap_or_else(|| network(error.kind(), config));
    }
    let server = config.address();
    if error.is_response() && !is_closed(error) {
        return Failure::protocol(format!(
            "`{server}` does not answer as a mail server: check `SMTP_SERVER` and `SMTP_PORT`"
        ))
        .setting("server");
    }
    Failure::unavailable(format!("`{server}` closed the connection before it was usable"))
}

/// The server's name does not lead to an address.
pub fn resolving(error: &io::Error, config: &Config) -> Failure {
    tracing::debug!(%error, "the mail server's name does not resolve");
    Failure::dns(format!("the name `{}` does not resolve to an address", config.server)).setting("server")
}

/// A step took longer than the setting `timeout` allows.
pub fn too_slow(missing: &str, config: &Config) -> Failure {
    let Config { timeout, .. } = config;
    let hint = match config.tls {
        TlsMode::Implicit => "if the port begins unencrypted, set `SMTP_TLS=starttls`",
        TlsMode::Starttls | TlsMode::None => {
            "if the port expects TLS from the first byte, set `SMTP_TLS=implicit`"
        }
    };
    let server = config.address();
    if missing == GREETING {
        return Failure::timeout(format!("`{server}` gave {missing} within {timeout:?}: {hint}"))
            .setting("tls");
    }
    Failure::timeout(format!("`{server}` gave {missing} within {timeout:?}"))
}

/// The login failed.
pub fn login(error: &smtp::Error, config: &Config) -> Failure {
    match Reply::of(error) {
        Some(reply) if !reply.is_transient() => {
            tracing::debug!(%error, "the mail server refuses the login");
            refused_login(&reply, config)
        }
        _ => reaching(error, config),
    }
}

/// The server answers that the login is missing, wrong, or of the wrong kind.
pub fn refused_login(reply: &Reply, config: &Config) -> Failure {
    let server = config.address();
    match reply.code {
        530 if config.credentials.is_none() => Failure::auth_invalid(format!(
            "`{server}` wants a login ({reply}): set `SMTP_USERNAME` and `SMTP_PASSWORD`"
        ))
        .setting("username")
        .advise(FixAction::CorrectSetting, "Set `SMTP_USERNAME` and `SMTP_PASSWORD`"),
        534 => Failure::auth_invalid(format!(
            "`{server}` refuses this kind of login ({reply}): many providers want a password made for one application"
        ))
        .setting("password"),
        538 => Failure::auth_invalid(format!(
            "`{server}` takes a login only over an encrypted connection ({reply}): set `SMTP_TLS`"
        ))
        .setting("tls"),
        _ => Failure::auth_invalid(format!("`{server}` refuses the user name or the password ({reply})"))
            .setting("password"),
    }
}

/// The server offers none of the ways to log in that lettre knows and a password can be used with.
pub fn no_login(config: &Config) -> Failure {
    let server = config.address();
    match config.tls {
        TlsMode::None => Failure::config_invalid(format!(
            "`{server}` offers no login with a password over an unencrypted connection: set `SMTP_TLS`, or unset \
             `SMTP_USERNAME` and `SMTP_PASSWORD`"
        ))
        .setting("tls"),
        TlsMode::Implicit | TlsMode::Starttls => Failure::config_invalid(format!(
            "`{server}` offers no login with a password (PLAIN or LOGIN): unset `SMTP_USERNAME` and `SMTP_PASSWORD` \
             if it wants none"
        ))
        .setting("username"),
    }
}

/// The server answers, and will not work for us.
pub fn unwilling(reply: &Reply, config: &Config) -> Failure {
    let server = config.address();
    if reply.is_transient() {
        Failure::unavailable(format!("`{server}` does not serve at the moment ({reply})"))
    } else {
        Failure::forbidden(format!("`{server}` refuses to serve this machine ({reply})")).advise(
            FixAction::SeeVendor,
            format!("Ask the operator of `{server}` to take mail from this machine, or use another server"),
        )
    }
}

pub fn network(kind: io::ErrorKind, config: &Config) -> Failure {
    let server = config.address();
    match kind {
        io::ErrorKind::ConnectionRefused => Failure::refused(format!("nobody listens at `{server}`")),
        io::ErrorKind::TimedOut => too_slow("no connection", config),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Failure::refused(format!(
            "there is no way to `{server}` from this machine's network"
        ))
        .advise(FixAction::Retry, "Check this machine's network and firewall, or correct `SMTP_SERVER`"),
        io::ErrorKind::InvalidData => Failure::protocol(format!(
            "`{server}` does not answer as a mail server: check `SMTP_SERVER` and `SMTP_PORT`"
        ))
        .setting("server"),
        _ => Failure::unavailable(format!("the connection to `{server}` broke")),
    }
}

fn is_closed(error: &smtp::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.to_string() == CLOSED)
}
