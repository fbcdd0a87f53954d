//! No working connection -> a `Failure` whose code picks what the host does, with the setting to mend.

use std::io;

use plugin_api::{prelude::*, tracing};

use super::{reply::Reply, tls};
use crate::settings::{Config, TlsMode};

/// The advice for a name that is refused.
pub const HELLO: &str = "Set `SMTP_EHLO_NAME` to a domain of yours that resolves, such as `mail.example.com`";

/// The step after which a wrong choice of TLS shows as silence.
pub const GREETING: &str = "no greeting";

/// The server could not be reached, or does not speak as a mail server does.
pub fn reaching(error: &io::Error, config: &Config) -> Failure {
    tracing::debug!(%error, "no connection to the mail server");
    tls::failure(error, config).unwrap_or_else(|| network(error.kind(), config))
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

/// The server does not take the name by which this machine introduces itself.
pub fn refused_hello(reply: &Reply, name: &str, config: &Config) -> Failure {
    let server = config.address();
    let message =
        format!("`{server}` refuses `{name}`, the name by which this machine introduces itself ({reply})");
    let failure =
        if reply.is_transient() { Failure::unavailable(message) } else { Failure::config_invalid(message) };
    failure.setting("ehlo_name").advise(FixAction::CorrectSetting, HELLO)
}

/// The server answers, and will not work for us.
pub fn unwilling(reply: &Reply, config: &Config) -> Failure {
    tracing::debug!(%reply, words = reply.lines.join(" "), "the mail server is not willing");
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
        io::ErrorKind::UnexpectedEof => {
            Failure::unavailable(format!("`{server}` closed the connection before it was usable"))
        }
        _ => Failure::unavailable(format!("the connection to `{server}` broke")),
    }
}
