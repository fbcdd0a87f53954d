//! The settings as plugins.toml and the environment give them -> [`Config`], checked, with every default decided.
//! No I/O: the file of `ca_file` is read when the first connection is made.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    time::Duration,
};

use lettre::message::Mailbox;
use plugin_api::{
    message,
    prelude::*,
    settings::Span,
    web::{check_plaintext, is_loopback},
};
use reqwest::Url;

use crate::address;

const DEFAULT_PORT: u16 = 587;
const IMPLICIT_TLS_PORT: u16 = 465;
const STARTTLS_PORTS: [u16; 2] = [587, 25];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_MESSAGE_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_CONNECTIONS: u16 = 4;
const DEFAULT_MAX_MESSAGE_SIZE: usize = 10 * 1024 * 1024;

/// Where mail is handed over, and in whose name.
#[plugin_api::settings]
pub struct Settings {
    /// Host name or IP address of the mail server, without a port: `smtp.example.com`.
    #[setting(env = "SMTP_SERVER")]
    pub server: String,
    /// Its port. By default 465 with implicit TLS, otherwise 587.
    #[setting(env = "SMTP_PORT")]
    pub port: Option<u16>,
    /// The name to log in with; without it mail is sent without a login.
    #[setting(env = "SMTP_USERNAME")]
    pub username: Option<String>,
    /// The password to log in with.
    #[setting(env = "SMTP_PASSWORD")]
    pub password: Option<Secret>,
    /// An access token to log in with instead of a password (XOAUTH2), where something else renews it.
    #[setting(env = "SMTP_OAUTH_TOKEN")]
    pub oauth_token: Option<Secret>,
    /// The refresh token used to get access tokens, instead of a password.
    #[setting(env = "SMTP_OAUTH_REFRESH_TOKEN")]
    pub oauth_refresh_token: Option<Secret>,
    /// The id of the OAuth client that the refresh token was given to.
    #[setting(env = "SMTP_OAUTH_CLIENT_ID")]
    pub oauth_client_id: Option<String>,
    /// The secret of that client, if it has one.
    #[setting(env = "SMTP_OAUTH_CLIENT_SECRET")]
    pub oauth_client_secret: Option<Secret>,
    /// The token endpoint. By default that of Google or Microsoft, by `server`; elsewhere it must be given.
    #[setting(env = "SMTP_OAUTH_TOKEN_URL")]
    pub oauth_token_url: Option<String>,
    /// The sender of every mail: `bot@example.com` or `Example Bot <bot@example.com>`.
    #[setting(env = "SMTP_FROM_EMAIL")]
    pub from_email: String,
    /// The name by which this machine introduces itself (EHLO): a domain of yours that resolves, or an address such as
    /// `[192.0.2.1]`. By default the domain of `from_email`; if that is no full name, the address of this machine.
    #[setting(env = "SMTP_EHLO_NAME")]
    pub ehlo_name: Option<String>,
    /// How the connection is encrypted. By default `implicit` on port 465, `starttls` on 587 and 25; on any other port
    /// it must be given.
    #[setting(env = "SMTP_TLS")]
    pub tls: Option<TlsMode>,
    /// A PEM file with the certificates of the authorities to trust instead of the machine's own, for a server with a
    /// private certificate.
    #[setting(env = "SMTP_CA_FILE")]
    pub ca_file: Option<String>,
    /// Lets the password be sent over an unencrypted connection (`tls = "none"`) to a server on another machine.
    /// Default false.
    #[setting(env = "SMTP_ALLOW_PLAINTEXT_LOGIN")]
    pub allow_plaintext_login: Option<bool>,
    /// Longest wait for a connection with login, and for each answer of the server before the mail itself. Default
    /// 10s.
    pub timeout: Option<Span>,
    /// Longest wait for handing over one mail and for the server's answer to it. Default 120s.
    pub message_timeout: Option<Span>,
    /// Most mails that are sent at the same time, each over a connection of its own. Default 4.
    #[schemars(range(min = 1))]
    pub connections: Option<u16>,
    /// Largest mail, in bytes as it is sent, attachments encoded. Default 10485760.
    #[schemars(range(min = 1))]
    pub max_message_size: Option<usize>,
}

/// How the connection is encrypted.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// TLS from the first byte.
    Implicit,
    /// Plain at first, then encrypted before anything is said that matters; never without.
    Starttls,
    /// Not encrypted.
    None,
}

/// The settings, checked and complete.
#[derive(Debug)]
pub struct Config {
    pub server: String,
    pub port: u16,
    pub tls: TlsMode,
    pub credentials: Option<Credentials>,
    pub from: Mailbox,
    /// `None`: the address of this machine.
    pub ehlo_name: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub timeout: Duration,
    pub message_timeout: Duration,
    pub connections: usize,
    pub max_message_size: usize,
}

/// Whom to log in as, and by what.
#[derive(Debug)]
pub struct Credentials {
    pub user: String,
    pub proof: Proof,
}

/// The proof of who logs in.
#[derive(Debug)]
pub enum Proof {
    Password(Secret),
    /// An access token.
    Token(Secret),
    /// A way to access tokens.
    Renewal(Box<Renewal>),
}

/// How an access token is got.
#[derive(Debug, Clone)]
pub struct Renewal {
    pub refresh: Secret,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub url: Url,
}

impl Config {
    /// Checks the settings; `resolve` makes a path of the settings absolute.
    pub fn check(settings: Settings, resolve: impl Fn(&str) -> PathBuf) -> Result<Self, Failure> {
        check_server(&settings.server)?;
        let (port, tls) = port_and_tls(settings.port, settings.tls)?;
        let from = sender(&settings.from_email)?;
        let config = Self {
            port,
            tls,
            credentials: credentials(&settings)?,
            ehlo_name: match &settings.ehlo_name {
                Some(name) => Some(ehlo_name(name)?),
                None => Some(from.email.domain()).filter(|domain| is_full_name(domain)).map(str::to_owned),
            },
            from,
            server: settings.server,
            ca_file: settings.ca_file.as_deref().map(resolve),
            timeout: positive("timeout", settings.timeout, DEFAULT_TIMEOUT)?,
            message_timeout: positive("message_timeout", settings.message_timeout, DEFAULT_MESSAGE_TIMEOUT)?,
            connections: settings.connections.unwrap_or(DEFAULT_CONNECTIONS).max(1).into(),
            max_message_size: settings.max_message_size.unwrap_or(DEFAULT_MAX_MESSAGE_SIZE),
        };
        let exposed =
            config.tls == TlsMode::None && config.credentials.is_some() && !is_loopback(&config.server);
        if exposed && settings.allow_plaintext_login != Some(true) {
            return Err(Failure::config_invalid(format!(
                "`SMTP_TLS=none` would send the {} to `{}` unencrypted: choose `starttls` or `implicit`, or set \
                 `SMTP_ALLOW_PLAINTEXT_LOGIN=true` if the network between is trusted",
                if settings.password.is_some() { "password" } else { "access token" },
                config.server
            ))
            .setting("tls"));
        }
        Ok(config)
    }

    /// The server as messages name it: `host:port`.
    pub fn address(&self) -> String {
        if self.server.contains(':') {
            format!("[{}]:{}", self.server, self.port)
        } else {
            format!("{}:{}", self.server, self.port)
        }
    }
}

fn check_server(server: &str) -> Result<(), Failure> {
    if server.parse::<IpAddr>().is_ok() || is_name(server) {
        return Ok(());
    }
    Err(Failure::config_invalid(format!(
        "`server` is `{server}`: expected a host name or an IP address alone, such as `smtp.example.com`; the port \
         goes into `SMTP_PORT`"
    ))
    .setting("server"))
}

/// The one follows from the other; a port that says nothing of TLS is not guessed at, because a wrong guess either
/// hangs or sends in the clear.
fn port_and_tls(port: Option<u16>, tls: Option<TlsMode>) -> Result<(u16, TlsMode), Failure> {
    match (port, tls) {
        (Some(0), _) => Err(Failure::config_invalid("`port` is 0: expected 1 to 65535").setting("port")),
        (Some(port), Some(tls)) => Ok((port, tls)),
        (None, Some(TlsMode::Implicit)) => Ok((IMPLICIT_TLS_PORT, TlsMode::Implicit)),
        (None, Some(tls)) => Ok((DEFAULT_PORT, tls)),
        (None, None) => Ok((DEFAULT_PORT, TlsMode::Starttls)),
        (Some(IMPLICIT_TLS_PORT), None) => Ok((IMPLICIT_TLS_PORT, TlsMode::Implicit)),
        (Some(port), None) if STARTTLS_PORTS.contains(&port) => Ok((port, TlsMode::Starttls)),
        (Some(port), None) => Err(Failure::config_invalid(format!(
            "port {port} does not tell how the connection is encrypted: set `SMTP_TLS` to `implicit` (TLS from the \
             first byte), `starttls` (upgraded before the login) or `none` (not encrypted)"
        ))
        .setting("tls")),
    }
}

fn sender(text: &str) -> Result<Mailbox, Failure> {
    address::parse(text).map_err(|why| {
        Failure::config_invalid(format!("`from_email` is `{text}`: {why}")).setting("from_email")
    })
}

/// Something to log in with needs a name, and a name one of them.
fn credentials(settings: &Settings) -> Result<Option<Credentials>, Failure> {
    let wrong = |setting: &str, message: &str| Err(Failure::config_invalid(message).setting(setting));
    let proof = match (&settings.password, &settings.oauth_token, &settings.oauth_refresh_token) {
        (None, None, None) => None,
        (Some(password), None, None) => Some(Proof::Password(password.clone())),
        (None, Some(token), None) => Some(Proof::Token(token.clone())),
        (None, None, Some(refresh)) => Some(Proof::Renewal(Box::new(renewal(settings, refresh)?))),
        _ => {
            return wrong(
                "password",
                "more than one of `SMTP_PASSWORD`, `SMTP_OAUTH_TOKEN` and `SMTP_OAUTH_REFRESH_TOKEN` is set: keep one",
            );
        }
    };
    match (&settings.username, proof) {
        (None, None) => Ok(None),
        (Some(user), Some(proof)) => Ok(Some(Credentials { user: user.clone(), proof })),
        (Some(_), None) => wrong(
            "password",
            "`SMTP_USERNAME` is set, and nothing to log in with: set `SMTP_PASSWORD`, `SMTP_OAUTH_TOKEN` or \
             `SMTP_OAUTH_REFRESH_TOKEN`, or unset it",
        ),
        (None, Some(_)) => {
            wrong("username", "a password or token is set without a user name: set `SMTP_USERNAME`")
        }
    }
}

fn renewal(settings: &Settings, refresh: &Secret) -> Result<Renewal, Failure> {
    let client_id = settings.oauth_client_id.clone();
    let client_id =
        client_id.ok_or_else(|| Failure::internal("the host did not check that the client's id is there"))?;
    let url =
        settings.oauth_token_url.as_deref().or_else(|| token_url(&settings.server)).ok_or_else(|| {
            Failure::config_invalid(format!(
                "where `{}` has its access tokens from is not known: set `SMTP_OAUTH_TOKEN_URL`",
                settings.server
            ))
            .setting("oauth_token_url")
        })?;
    let client_secret = settings.oauth_client_secret.clone();
    Ok(Renewal { refresh: refresh.clone(), client_id, client_secret, url: secure_address(url)? })
}

/// Where the provider of a mail server gives access tokens.
fn token_url(server: &str) -> Option<&'static str> {
    if is_google(server) {
        return Some("https://oauth2.googleapis.com/token");
    }
    let server = server.to_ascii_lowercase();
    let is_microsoft = [".office365.com", ".outlook.com"].iter().any(|domain| server.ends_with(domain));
    is_microsoft.then_some("https://login.microsoftonline.com/common/oauth2/v2.0/token")
}

/// Whether a mail server is Google's.
pub fn is_google(server: &str) -> bool {
    let server = server.to_ascii_lowercase();
    ["gmail.com", "googlemail.com"].iter().any(|domain| server.ends_with(domain))
}

/// Whether an address is on this machine.
pub fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

/// An address that secrets may be sent to.
fn secure_address(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| {
        Failure::config_invalid(format!("`oauth_token_url` is `{text}`: expected `https://…`"))
            .setting("oauth_token_url")
    })?;
    check_plaintext("oauth_token_url", (url.scheme(), url.host_str().unwrap_or_default()), None)?;
    Ok(url)
}

/// A domain (RFC 5321, 2.3.5) or an address literal (4.1.3).
fn ehlo_name(name: &str) -> Result<String, Failure> {
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_literal = address.is_some_and(|address| match address.strip_prefix("IPv6:") {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => address.parse::<Ipv4Addr>().is_ok(),
    });
    if is_literal {
        return Ok(name.to_owned());
    }
    let domain =
        address::ascii_domain(name).filter(|domain| is_name(domain) && domain.parse::<IpAddr>().is_err());
    domain.ok_or_else(|| {
        Failure::config_invalid(format!(
            "`ehlo_name` is `{}`: expected a domain such as `mail.example.com`, or an address such as `[192.0.2.1]` or \
             `[IPv6:2001:db8::1]`",
            name.escape_debug()
        ))
        .setting("ehlo_name")
    })
}

fn is_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(is_letter)
}

/// One that servers take for a name: with a dot, and no address.
fn is_full_name(domain: &str) -> bool {
    is_name(domain) && domain.contains('.') && domain.parse::<IpAddr>().is_err()
}

fn positive(key: &str, span: Option<Span>, default: Duration) -> Result<Duration, Failure> {
    match span {
        Some(Span(Duration::ZERO)) => {
            Err(Failure::config_invalid(format!("`{key}` is 0: expected a positive time, such as `10s`"))
                .setting(key))
        }
        Some(Span(span)) => Ok(span),
        None => Ok(default),
    }
}
