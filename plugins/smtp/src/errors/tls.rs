//! No trustworthy encryption -> a `Failure` that says which of the many reasons it is.

use std::{io, path::Path};

use plugin_api::{
    files::Unreadable,
    prelude::*,
    tls::{NoTrust, Server},
};

use crate::settings::{Config, TlsMode};

/// The variable of the setting `ca_file`.
const CA_FILE: &str = "SMTP_CA_FILE";

/// The failure behind an error of rustls; `None` if it is another error.
pub fn failure(error: &io::Error, config: &Config) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let is_implicit = config.tls == TlsMode::Implicit;
    let server = Server {
        address: &config.address(),
        setting: "server",
        rename: "set `SMTP_SERVER` to",
        ca_variable: CA_FILE,
        unencrypted: is_implicit
            .then_some(("if the port begins unencrypted, set `SMTP_TLS=starttls`", "tls")),
    };
    Some(server.no_trust(error).into())
}

/// The server must be upgraded to TLS, and does not offer it.
pub fn no_starttls(config: &Config) -> Failure {
    Failure::tls(format!(
        "`{}` offers no STARTTLS: set `SMTP_TLS=implicit` if the port expects TLS from the first byte, or \
         `SMTP_TLS=none` to send unencrypted",
        config.address()
    ))
    .setting("tls")
}

/// More than the reply to STARTTLS came unencrypted: an attacker on the way may have put it there.
pub fn words_ahead(config: &Config) -> Failure {
    let server = config.address();
    Failure::tls(format!(
        "`{server}` sent extra data after its reply to STARTTLS: an attacker in between may have injected it, so \
         that the connection was closed"
    ))
    .advise(
        FixAction::CorrectSetting,
        format!("Set `SMTP_TLS=implicit` if `{server}` has a port for it, or look into the network on the way there"),
    )
}

/// The file of the setting `ca_file` cannot be read.
pub fn unreadable_authorities(path: &Path, error: &Unreadable) -> Failure {
    NoTrust::unreadable_authorities(path, error).into()
}

/// There is nothing in that file to trust, or nothing on this machine.
pub fn no_authorities(path: Option<&Path>) -> Failure {
    NoTrust::no_authorities(path, CA_FILE).into()
}
