//! Every failure that the plugin can build, with its setting and what mends it. The host's words for the code alone
//! have to fit where the plugin has no description itself.

use std::{io, path::Path, path::PathBuf};

use expect_test::expect;
use plugin_api::{
    files::Unreadable,
    prelude::*,
    serde_json::{self, json},
};
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage, PeerIncompatible};

use super::setup::shown_failure;
use crate::{
    errors::{
        connecting::{self, GREETING},
        login,
        reply::Reply,
        tls, tokens,
    },
    settings::{Config, Credentials, Proof, TlsMode},
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

fn reply(line: &str) -> Reply {
    let (code, words) = line.split_once(' ').unwrap_or((line, ""));
    Reply::new(code.parse().unwrap(), vec![words.to_owned()])
}

fn with(server: &str, proof: Option<Proof>) -> Config {
    let credentials = proof.map(|proof| Credentials { user: "ada".to_owned(), proof });
    Config { server: server.to_owned(), credentials, ..config(TlsMode::Starttls) }
}

fn password(server: &str) -> Config {
    with(server, Some(Proof::Password(Secret::new("hidden".to_owned()))))
}

fn token(server: &str) -> Config {
    with(server, Some(Proof::Token(Secret::new("hidden".to_owned()))))
}

#[test]
fn a_server_that_answers_no() {
    let logins =
        ["530", "534", "535", "538"].map(|code| login::refused(&reply(code), &password("smtp.example.com")));
    let missing = login::refused(
        &reply("530 5.7.57 Client not authenticated to send mail"),
        &with("smtp.example.com", None),
    );
    let config = config(TlsMode::Starttls);
    let others = ["421", "554"].map(|code| connecting::unwilling(&reply(code), &config));
    let names = ["504 5.5.2", "450 4.7.1"].map(|line| connecting::refused_hello(&reply(line), "vm", &config));
    let none = [TlsMode::None, TlsMode::Implicit].map(|tls| login::not_offered(&[], &self::config(tls)));
    let xoauth2_alone = login::not_offered(&["XOAUTH2".to_owned()], &password("smtp.example.com"));
    let no_xoauth2 = login::not_offered(&[], &token("smtp.example.com"));
    expect![[r#"
        auth_invalid [password]: `smtp.example.com:587` refuses the user name or the password (SMTP 530)
        auth_invalid [password]: `smtp.example.com:587` refuses this kind of login (SMTP 534): many providers want a password made for one application
        auth_invalid [password]: `smtp.example.com:587` refuses the user name or the password (SMTP 535)
        auth_invalid [tls]: `smtp.example.com:587` takes a login only over an encrypted connection (SMTP 538): set `SMTP_TLS`
        auth_invalid [username]: `smtp.example.com:587` wants a login (SMTP 530 5.7.57): set `SMTP_USERNAME` and `SMTP_PASSWORD` => Set `SMTP_USERNAME` and `SMTP_PASSWORD`
        unavailable [-]: `smtp.example.com:587` does not serve at the moment (SMTP 421)
        forbidden [-]: `smtp.example.com:587` refuses to serve this machine (SMTP 554) => Ask the operator of `smtp.example.com:587` to take mail from this machine, or use another server
        config_invalid [ehlo_name]: `smtp.example.com:587` refuses `vm`, the name by which this machine introduces itself (SMTP 504 5.5.2) => Set `SMTP_EHLO_NAME` to a domain of yours that resolves, such as `mail.example.com`
        unavailable [ehlo_name]: `smtp.example.com:587` refuses `vm`, the name by which this machine introduces itself (SMTP 450 4.7.1) => Set `SMTP_EHLO_NAME` to a domain of yours that resolves, such as `mail.example.com`
        config_invalid [tls]: `smtp.example.com:587` offers no login with a password over an unencrypted connection: set `SMTP_TLS`, or unset `SMTP_USERNAME` and `SMTP_PASSWORD`
        config_invalid [username]: `smtp.example.com:587` offers no login with a password (PLAIN or LOGIN): unset `SMTP_USERNAME` and `SMTP_PASSWORD` if it wants none
        auth_invalid [oauth_refresh_token]: `smtp.example.com:587` offers no login with a password (PLAIN or LOGIN): it wants OAuth 2 => Unset `SMTP_PASSWORD`, and set `SMTP_OAUTH_REFRESH_TOKEN` with `SMTP_OAUTH_CLIENT_ID`
        config_invalid [password]: `smtp.example.com:587` offers no login with an access token (XOAUTH2): set `SMTP_PASSWORD` instead of it"#]].assert_eq(&table(
        logins.into_iter().chain([missing]).chain(others).chain(names).chain(none).chain([xoauth2_alone, no_xoauth2]),
    ));
}

/// As the providers say it: Microsoft 365 and Google. The reasons go by their codes, and by their words where one code has
/// several.
#[test]
fn a_login_that_a_provider_refuses() {
    let (microsoft, google) = ("smtp.office365.com", "smtp.gmail.com");
    let said = [
        (
            microsoft,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.",
        ),
        (
            microsoft,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
        ),
        (microsoft, "535 5.7.139 Authentication unsuccessful, basic authentication is disabled."),
        (microsoft, "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."),
        (microsoft, "550 5.7.30 Basic authentication is not supported for Client Submission."),
        (microsoft, "535 5.7.3 Authentication unsuccessful"),
        (google, "534 5.7.9 Application-specific password required."),
        (
            google,
            "534-5.7.14 <https://accounts.google.com/signin/continue> Please log in via your web browser",
        ),
        (google, "535 5.7.8 Username and Password not accepted."),
        ("smtp.example.com", "534 5.7.9 use an app password"),
    ];
    let passwords = said
        .map(|(server, line)| login::refused(&reply(&line.replacen("534-", "534 ", 1)), &password(server)));
    let tokens =
        [said[0], said[5], said[8]].map(|(server, line)| login::refused(&reply(line), &token(server)));
    expect![[r#"
        auth_invalid [username]: `smtp.office365.com:587` lets no program log in for this mailbox (SMTP 535 5.7.139): SMTP AUTH is switched off for it, or for the whole organisation => Enable "Authenticated SMTP" for the mailbox in Microsoft 365's admin center
        auth_invalid [username]: `smtp.office365.com:587` lets no program log in for this mailbox (SMTP 535 5.7.139): SMTP AUTH is switched off for it, or for the whole organisation => Enable "Authenticated SMTP" for the mailbox in Microsoft 365's admin center
        auth_invalid [oauth_refresh_token]: `smtp.office365.com:587` takes no password any more (SMTP 535 5.7.139): it wants OAuth 2 => Unset `SMTP_PASSWORD`, and set `SMTP_OAUTH_REFRESH_TOKEN` with `SMTP_OAUTH_CLIENT_ID`
        auth_invalid [password]: `smtp.office365.com:587` refuses the user name or the password (SMTP 535 5.7.139)
        auth_invalid [oauth_refresh_token]: `smtp.office365.com:587` takes no password any more (SMTP 550 5.7.30): it wants OAuth 2 => Unset `SMTP_PASSWORD`, and set `SMTP_OAUTH_REFRESH_TOKEN` with `SMTP_OAUTH_CLIENT_ID`
        auth_invalid [password]: `smtp.office365.com:587` refuses the user name or the password (SMTP 535 5.7.3)
        auth_invalid [password]: `smtp.gmail.com:587` wants a password made for one application (SMTP 534 5.7.9) => Make an app password at the provider, and set it as `SMTP_PASSWORD`
        auth_invalid [password]: `smtp.gmail.com:587` wants a person to log in with a browser first (SMTP 534 5.7.14) => Log in to the account with a browser, and allow the access there
        auth_invalid [password]: `smtp.gmail.com:587` refuses the user name or the password (SMTP 535 5.7.8)
        auth_invalid [password]: `smtp.example.com:587` wants a password made for one application (SMTP 534 5.7.9) => Make an app password at the provider, and set it as `SMTP_PASSWORD`
        auth_invalid [username]: `smtp.office365.com:587` lets no program log in for this mailbox (SMTP 535 5.7.139): SMTP AUTH is switched off for it, or for the whole organisation => Enable "Authenticated SMTP" for the mailbox in Microsoft 365's admin center
        auth_invalid [oauth_token]: `smtp.office365.com:587` refuses the access token (SMTP 535 5.7.3): it has ended, is of another user than `SMTP_USERNAME`, or was not granted for SMTP => Consent again as `SMTP_USERNAME`, with the scope `https://mail.google.com/` at Google or `https://outlook.office.com/SMTP.Send` at Microsoft
        auth_invalid [oauth_token]: `smtp.gmail.com:587` refuses the access token (SMTP 535 5.7.8): it has ended, is of another user than `SMTP_USERNAME`, or was not granted for SMTP => Consent again as `SMTP_USERNAME`, with the scope `https://mail.google.com/` at Google or `https://outlook.office.com/SMTP.Send` at Microsoft"#]].assert_eq(&table(passwords.into_iter().chain(tokens)));
}

#[test]
fn no_access_token() {
    let host = "login.microsoftonline.com";
    let failures = [
        tokens::ended(host),
        tokens::unknown_client(host),
        tokens::refused(host, "invalid_scope"),
        tokens::slow_down(host),
        tokens::outage(host, "503"),
        tokens::out_of_reach(host, true),
        tokens::out_of_reach(host, false),
        tokens::no_endpoint(host),
    ];
    expect![[r#"
        auth_invalid [oauth_refresh_token]: `login.microsoftonline.com` does not honour the refresh token any more: it has ended, or the consent was withdrawn => Consent again as `SMTP_USERNAME`, and set `SMTP_OAUTH_REFRESH_TOKEN` to the new refresh token
        auth_invalid [oauth_client_id]: `login.microsoftonline.com` does not know the OAuth client, or its secret is wrong => Correct `SMTP_OAUTH_CLIENT_ID` and `SMTP_OAUTH_CLIENT_SECRET`
        forbidden [-]: `login.microsoftonline.com` gives no access token: `invalid_scope` => Check the OAuth client and its permissions at `login.microsoftonline.com`
        rate_limited [-]: `login.microsoftonline.com` gives no access token at the moment: it asks to slow down
        unavailable [-]: `login.microsoftonline.com` gives no access token at the moment: it answers `503`
        timeout [-]: `login.microsoftonline.com` gave no access token in time
        unavailable [-]: `login.microsoftonline.com` cannot be reached for an access token
        protocol [oauth_token_url]: `login.microsoftonline.com` does not answer as a token endpoint: check `SMTP_OAUTH_TOKEN_URL`"#]].assert_eq(&table(failures));
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
        TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
        TlsError::AlertReceived(AlertDescription::HandshakeFailure),
        TlsError::AlertReceived(AlertDescription::ProtocolVersion),
        TlsError::AlertReceived(AlertDescription::InsufficientSecurity),
        TlsError::AlertReceived(AlertDescription::CertificateRequired),
        TlsError::AlertReceived(AlertDescription::UnknownCA),
        TlsError::AlertReceived(AlertDescription::AccessDenied),
        TlsError::AlertReceived(AlertDescription::InternalError),
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
        tls [ca_file]: the certificate of `smtp.example.com:587` is signed by no trusted authority: if it is a private one, give the certificate of its authority in `SMTP_CA_FILE`
        tls [ca_file]: the certificate of `smtp.example.com:587` cannot be trusted
        tls [tls]: `smtp.example.com:587` does not answer in TLS: if the port begins unencrypted, set `SMTP_TLS=starttls`
        tls [-]: no TLS connection with `smtp.example.com:587` can be made: no common version or cipher suite => Let `smtp.example.com:587` speak TLS 1.2 or later
        tls [-]: no TLS connection with `smtp.example.com:587` can be made: no common version or cipher suite => Let `smtp.example.com:587` speak TLS 1.2 or later
        tls [-]: no TLS connection with `smtp.example.com:587` can be made: no common version or cipher suite => Let `smtp.example.com:587` speak TLS 1.2 or later
        tls [-]: no TLS connection with `smtp.example.com:587` can be made: no common version or cipher suite => Let `smtp.example.com:587` speak TLS 1.2 or later
        tls [-]: `smtp.example.com:587` requires a client certificate, which Switchboard does not send => Let `smtp.example.com:587` accept clients without a certificate
        tls [-]: `smtp.example.com:587` requires a client certificate, which Switchboard does not send => Let `smtp.example.com:587` accept clients without a certificate
        tls [-]: `smtp.example.com:587` denies this client access => Let `smtp.example.com:587` accept connections from this machine
        tls [-]: the TLS handshake with `smtp.example.com:587` failed: received fatal alert: InternalError => Check the TLS configuration and the log of `smtp.example.com:587`
        tls [-]: the TLS handshake with `smtp.example.com:587` failed: handshake not complete => Check the TLS configuration and the log of `smtp.example.com:587`
        tls [tls]: `smtp.example.com:587` offers no STARTTLS: set `SMTP_TLS=implicit` if the port expects TLS from the first byte, or `SMTP_TLS=none` to send unencrypted
        tls [-]: `smtp.example.com:587` sent extra data after its reply to STARTTLS: an attacker in between may have injected it, so that the connection was closed => Set `SMTP_TLS=implicit` if `smtp.example.com:587` has a port for it, or look into the network on the way there
        config_invalid [ca_file]: `/etc/ca.pem` does not exist
        config_invalid [ca_file]: `/etc/ca.pem` may not be read by this process
        config_invalid [ca_file]: `/etc/ca.pem` cannot be read: is a directory
        config_invalid [ca_file]: `/etc/ca.pem` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)
        tls [ca_file]: this machine trusts no certificate authorities: install its `ca-certificates`, or set `SMTP_CA_FILE` => Install `ca-certificates` on this machine, or set `SMTP_CA_FILE`"#]]
        .assert_eq(&table(errors.into_iter().chain([tls::no_starttls(&config), tls::words_ahead(&config)]).chain(files).chain(none)));
}
