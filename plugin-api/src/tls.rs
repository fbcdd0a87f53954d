//! TLS without OpenSSL, and the words about what is wrong with it. Each library has its own copy of rustls, whose provider
//! must be installed there.

use std::{io, path::Path, sync::Once};

use rustls::{AlertDescription, CertificateError, Error};

use crate::{
    error::{Failure, FixAction, ReasonCode},
    files::Unreadable,
};

/// Makes ring the provider of this library's rustls. Call it in `create`, before a client is built; more than once
/// does no harm.
pub fn install_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error says that this library has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A server to connect to by TLS, and how its settings are named in messages.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// Its host, with or without port, such as `smtp.example.com:465`.
    pub address: &'a str,
    /// The key of the setting that names it.
    pub setting: &'static str,
    /// How to give it another name: the beginning of "set `SMTP_SERVER` to the name that it is for".
    pub rename: &'a str,
    /// The variable of the setting `ca_file`, such as `SMTP_CA_FILE`.
    pub ca_variable: &'a str,
    /// What to do if it does not encrypt, and the key of the setting for it; `None` if it is known to.
    pub unencrypted: Option<(&'a str, &'static str)>,
}

/// Why there is no trustworthy TLS connection: `tls` or `config_invalid`, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoTrust {
    /// [`ReasonCode::Tls`], or [`ReasonCode::ConfigInvalid`] for a file of the settings.
    pub code: ReasonCode,
    /// For a person.
    pub message: String,
    /// The key of the setting to mend.
    pub setting: Option<&'static str>,
    /// What mends it, where the code or the setting do not say it.
    pub advice: Option<(FixAction, String)>,
}

impl Server<'_> {
    /// What an error of rustls means.
    pub fn no_trust(&self, error: &Error) -> NoTrust {
        let Self { address, .. } = self;
        match (error, self.unencrypted) {
            (Error::InvalidCertificate(error), _) => self.certificate(error),
            (Error::InvalidMessage(_), Some((hint, setting))) => {
                NoTrust::new(format!("`{address}` does not answer in TLS: {hint}")).setting(setting)
            }
            (Error::PeerIncompatible(_), _) => self.nothing_common(),
            (Error::AlertReceived(alert), _) => self.alert(*alert, error),
            _ => self.handshake(error),
        }
    }

    /// What the server refuses us with (RFC 8446, 6.2).
    fn alert(&self, alert: AlertDescription, error: &Error) -> NoTrust {
        let Self { address, .. } = self;
        match alert {
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity => self.nothing_common(),
            // No plugin has a client certificate, so that the server misses it rather than its authority.
            AlertDescription::CertificateRequired | AlertDescription::UnknownCA => NoTrust::new(format!(
                "`{address}` requires a client certificate, which Switchboard does not send"
            ))
            .advise(FixAction::SeeVendor, format!("Let `{address}` accept clients without a certificate")),
            AlertDescription::AccessDenied => NoTrust::new(format!("`{address}` denies this client access"))
                .advise(
                    FixAction::SeeVendor,
                    format!("Let `{address}` accept connections from this machine"),
                ),
            _ => self.handshake(error),
        }
    }

    fn nothing_common(&self) -> NoTrust {
        let Self { address, .. } = self;
        NoTrust::new(format!(
            "no TLS connection with `{address}` can be made: no common version or cipher suite"
        ))
        .advise(FixAction::SeeVendor, format!("Let `{address}` speak TLS 1.2 or later"))
    }

    fn handshake(&self, error: &Error) -> NoTrust {
        let Self { address, .. } = self;
        NoTrust::new(format!("the TLS handshake with `{address}` failed: {error}"))
            .advise(FixAction::SeeVendor, format!("Check the TLS configuration and the log of `{address}`"))
    }

    fn certificate(&self, error: &CertificateError) -> NoTrust {
        let Self { address, setting, rename, ca_variable, .. } = self;
        let certificate = |words: &str| NoTrust::new(format!("the certificate of `{address}` {words}"));
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                certificate("has expired: it must be renewed there")
                    .advise(FixAction::SeeVendor, format!("Renew the certificate of `{address}`"))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                certificate("is not valid yet: check the clocks of both machines").advise(
                    FixAction::Retry,
                    format!("Correct the clock of this machine or of `{address}`, then verify it"),
                )
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                certificate(&format!("is for another name: {rename} the name that it is for"))
                    .setting(setting)
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => certificate(&format!(
                "is signed by no trusted authority: if it is a private one, give the certificate of its authority in \
                 `{ca_variable}`"
            ))
            .setting("ca_file"),
            _ => certificate("cannot be trusted").setting("ca_file"),
        }
    }
}

impl NoTrust {
    /// The file of the setting `ca_file` cannot be read.
    pub fn unreadable_authorities(path: &Path, error: &Unreadable) -> Self {
        let why = match error {
            Unreadable::System(io::ErrorKind::NotFound) => "does not exist".to_owned(),
            Unreadable::System(io::ErrorKind::PermissionDenied) => {
                "may not be read by this process".to_owned()
            }
            error => format!("cannot be read: {error}"),
        };
        Self::of_file(path, &why)
    }

    /// There is nothing in that file to trust, or without a file nothing on this machine. `variable` is that of the setting
    /// `ca_file`.
    pub fn no_authorities(path: Option<&Path>, variable: &str) -> Self {
        let Some(path) = path else {
            return Self::new(format!(
                "this machine trusts no certificate authorities: install its `ca-certificates`, or set `{variable}`"
            ))
            .advise(
                FixAction::CorrectSetting,
                format!("Install `ca-certificates` on this machine, or set `{variable}`"),
            )
            .setting("ca_file");
        };
        Self::of_file(path, "holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")
    }

    fn of_file(path: &Path, why: &str) -> Self {
        let message = format!("`{}` {why}", path.display());
        Self { code: ReasonCode::ConfigInvalid, ..Self::new(message) }.setting("ca_file")
    }

    fn new(message: String) -> Self {
        Self { code: ReasonCode::Tls, message, setting: None, advice: None }
    }

    fn setting(self, key: &'static str) -> Self {
        Self { setting: Some(key), ..self }
    }

    fn advise(self, action: FixAction, label: String) -> Self {
        Self { advice: Some((action, label)), ..self }
    }
}

impl From<NoTrust> for Failure {
    fn from(NoTrust { code, message, setting, advice }: NoTrust) -> Self {
        let failure = setting.into_iter().fold(Self::new(code, message), Self::setting);
        advice.into_iter().fold(failure, |failure, (action, label)| failure.advise(action, label))
    }
}
