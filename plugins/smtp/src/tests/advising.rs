//! Every failure that the plugin can build, with its setting and what mends it. What the host says by the code alone has
//! to fit where the plugin says nothing itself.

use std::{io, path::Path, path::PathBuf};

use expect_test::expect;
use plugin_api::{
    files::Unreadable,
    prelude::*,
    serde_json::{self, json},
};
use rustls::{CertificateError, Error as TlsError, InvalidMessage};

use super::setup::shown_failure;
use crate::{
    errors::{
        connecting::{self, GREETING},
        reply::Reply,
        tls,
    },
    settings::{Config, TlsMode},
};

fn config(tls: TlsMode) -> Config {
    let settings =
        json!({ "server": "smtp.example.com", "from_email": "bot@example.com", "tls": "starttls" });
    let settings = serde_json::from_value(settings).unwrap();
    Config { tls, ..Config::check(settings, |path| PathBuf::from(path)).unwrap() }
}

fn table(failures: impl IntoIterator<Item = Failure>) -> String {
    let lines: Vec<_> = failures.into_iter().map(|failure| shown_failure(&failure, 0)).collect();
    lines.join("\n")
}

#[test]
fn no_way_to_the_server() {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, InvalidData, NetworkUnreachable, NotFound,
        TimedOut,
    };
    let config = config(TlsMode::Starttls);
    let kinds =
        [ConnectionRefused, TimedOut, HostUnreachable, NetworkUnreachable, InvalidData, ConnectionReset];
    let network = kinds.map(|kind| connecting::network(kind, &config));
    let steps = [GREETING, "no answer to the login"].map(|missing| connecting::too_slow(missing, &config));
    let name = connecting::resolving(&io::Error::from(NotFound), &config);
    expect![[r#"
        refused [-]: nobody listens at `smtp.example.com:587`
        timeout [-]: `smtp.example.com:587` gave no connection within 10s
        refused [-]: there is no way to `smtp.example.com:587` from this machine's network => Check this machine's network and firewall, or correct `SMTP_SERVER`
        refused [-]: there is no way to `smtp.example.com:587` from this machine's network => Check this machine's network and firewall, or correct `SMTP_SERVER`
        protocol [server]: `smtp.example.com:587` does not answer as a mail server: check `SMTP_SERVER` and `SMTP_PORT`
        unavailable [-]: the connection to `smtp.example.com:587` broke
        timeout [tls]: `smtp.example.com:587` gave no greeting within 10s: if the port expects TLS from the first byte, set `SMTP_TLS=implicit`
        timeout [-]: `smtp.example.com:587` gave no answer to the login within 10s
        dns [server]: the name `smtp.example.com` does not resolve to an address"#]].assert_eq(&table(network.into_iter().chain(steps).chain([name])));
}

#[test]
fn a_server_that_answers_no() {
    let config = config(TlsMode::Starttls);
    let reply = |code| Reply::bare(code);
    let logins = [530, 534, 535, 538].map(|code| connecting::refused_login(&reply(code), &config));
    let others = [421, 554].map(|code| connecting::unwilling(&reply(code), &config));
    let none = [TlsMode::None, TlsMode::Implicit].map(|tls| connecting::no_login(&self::config(tls)));
    expect![[r#"
        auth_invalid [username]: `smtp.example.com:587` wants a login (SMTP 530): set `SMTP_USERNAME` and `SMTP_PASSWORD` => Set `SMTP_USERNAME` and `SMTP_PASSWORD`
        auth_invalid [password]: `smtp.example.com:587` refuses this kind of login (SMTP 534): many providers want a password made for one application
        auth_invalid [password]: `smtp.example.com:587` refuses the user name or the password (SMTP 535)
        auth_invalid [tls]: `smtp.example.com:587` takes a login only over an encrypted connection (SMTP 538): set `SMTP_TLS`
        unavailable [-]: `smtp.example.com:587` does not serve at the moment (SMTP 421)
        forbidden [-]: `smtp.example.com:587` refuses to serve this machine (SMTP 554) => Ask the operator of `smtp.example.com:587` to take mail from this machine, or use another server
        config_invalid [tls]: `smtp.example.com:587` offers no login with a password over an unencrypted connection: set `SMTP_TLS`, or unset `SMTP_USERNAME` and `SMTP_PASSWORD`
        config_invalid [username]: `smtp.example.com:587` offers no login with a password (PLAIN or LOGIN): unset `SMTP_USERNAME` and `SMTP_PASSWORD` if it wants none"#]].assert_eq(&table(logins.into_iter().chain(others).chain(none)));
}

#[test]
fn no_trustworthy_encryption() {
    let config = config(TlsMode::Implicit);
    let certificate = |error| TlsError::InvalidCertificate(error);
    let errors = [
        certificate(CertificateError::Expired),
        certificate(CertificateError::NotValidYet),
        certificate(CertificateError::NotValidForName),
        certificate(CertificateError::UnknownIssuer),
        certificate(CertificateError::Revoked),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType),
        TlsError::HandshakeNotComplete,
    ];
    let errors = errors.map(|error| tls::failure(&io::Error::other(error), &config).unwrap());
    let path = Path::new("/etc/ca.pem");
    let files = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied, io::ErrorKind::IsADirectory]
        .map(|kind| tls::unreadable_authorities(path, &Unreadable::System(kind)));
    let none = [Some(path), None].map(tls::no_authorities);
    expect![[r#"
        tls [-]: the certificate of `smtp.example.com:587` has expired: it must be renewed there => Renew the certificate of `smtp.example.com:587`
        tls [-]: the certificate of `smtp.example.com:587` is not valid yet: check the clocks of both machines => Correct the clock of this machine or of `smtp.example.com:587`, then verify it
        tls [server]: the certificate of `smtp.example.com:587` is for another name: set `SMTP_SERVER` to the name that it is for
        tls [ca_file]: the certificate of `smtp.example.com:587` is signed by nobody who is trusted: if it is a private one, give the certificate of its authority in `SMTP_CA_FILE`
        tls [ca_file]: the certificate of `smtp.example.com:587` cannot be trusted
        tls [tls]: `smtp.example.com:587` does not answer in TLS: if the port begins unencrypted, set `SMTP_TLS=starttls`
        tls [-]: no TLS connection with `smtp.example.com:587` comes about: no common version or method => Let `smtp.example.com:587` speak TLS 1.2 or later
        tls [tls]: `smtp.example.com:587` offers no STARTTLS: set `SMTP_TLS=implicit` if the port expects TLS from the first byte, or `SMTP_TLS=none` to send unencrypted
        config_invalid [ca_file]: `/etc/ca.pem` does not exist
        config_invalid [ca_file]: `/etc/ca.pem` may not be read by this process
        config_invalid [ca_file]: `/etc/ca.pem` cannot be read: is a directory
        config_invalid [ca_file]: `/etc/ca.pem` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)
        tls [ca_file]: this machine trusts no certificate authorities: install its `ca-certificates`, or set `SMTP_CA_FILE` => Install `ca-certificates` on this machine, or set `SMTP_CA_FILE`"#]]
        .assert_eq(&table(errors.into_iter().chain([tls::no_starttls(&config)]).chain(files).chain(none)));
}
