//! No trustworthy encryption -> a `Failure` that says which of the many reasons it is.

use std::{io, path::Path};

use plugin_api::{files::Unreadable, prelude::*};
use rustls::{CertificateError, Error as TlsError};

use crate::settings::{Config, TlsMode};

/// The failure behind an error of rustls; `None` if it is another error.
pub fn failure(error: &io::Error, config: &Config) -> Option<Failure> {
    let error = error.get_ref()?.downcast_ref::<TlsError>()?;
    let server = config.address();
    Some(match error {
        TlsError::InvalidCertificate(error) => certificate(error, config),
        TlsError::InvalidMessage(_) if config.tls == TlsMode::Implicit => Failure::tls(format!(
            "`{server}` does not answer in TLS: if the port begins unencrypted, set `SMTP_TLS=starttls`"
        ))
        .setting("tls"),
        _ => Failure::tls(format!(
            "no TLS connection with `{server}` comes about: no common version or method"
        ))
        .advise(FixAction::SeeVendor, format!("Let `{server}` speak TLS 1.2 or later")),
    })
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
        "`{server}` said more than yes to STARTTLS before the encryption began: somebody on the way may have added it, so \
         that the connection was closed"
    ))
    .advise(
        FixAction::CorrectSetting,
        format!("Set `SMTP_TLS=implicit` if `{server}` has a port for it, or look into the network on the way there"),
    )
}

/// The file of the setting `ca_file` cannot be read.
pub fn unreadable_authorities(path: &Path, error: &Unreadable) -> Failure {
    let why = match error {
        Unreadable::System(io::ErrorKind::NotFound) => "does not exist".to_owned(),
        Unreadable::System(io::ErrorKind::PermissionDenied) => "may not be read by this process".to_owned(),
        error => format!("cannot be read: {error}"),
    };
    Failure::config_invalid(format!("`{}` {why}", path.display())).setting("ca_file")
}

/// There is nothing in that file to trust, or nothing on this machine.
pub fn no_authorities(path: Option<&Path>) -> Failure {
    match path {
        Some(path) => Failure::config_invalid(format!(
            "`{}` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)",
            path.display()
        )),
        None => Failure::tls(
            "this machine trusts no certificate authorities: install its `ca-certificates`, or set `SMTP_CA_FILE`",
        )
        .advise(FixAction::CorrectSetting, "Install `ca-certificates` on this machine, or set `SMTP_CA_FILE`"),
    }
    .setting("ca_file")
}

fn certificate(error: &CertificateError, config: &Config) -> Failure {
    let server = config.address();
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Failure::tls(format!("the certificate of `{server}` has expired: it must be renewed there"))
                .advise(FixAction::SeeVendor, format!("Renew the certificate of `{server}`"))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Failure::tls(format!(
            "the certificate of `{server}` is not valid yet: check the clocks of both machines"
        ))
        .advise(FixAction::Retry, format!("Correct the clock of this machine or of `{server}`, then verify it")),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Failure::tls(
            format!("the certificate of `{server}` is for another name: set `SMTP_SERVER` to the name that it is for"),
        )
        .setting("server"),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Failure::tls(format!(
            "the certificate of `{server}` is signed by nobody who is trusted: if it is a private one, give the \
             certificate of its authority in `SMTP_CA_FILE`"
        ))
        .setting("ca_file"),
        _ => Failure::tls(format!("the certificate of `{server}` cannot be trusted")).setting("ca_file"),
    }
}
