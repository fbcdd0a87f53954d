//! The settings as plugins.toml and the environment give them -> [`Config`], checked, with every default decided.
//! No I/O: the file of `ca_file` is read when the first connection is made.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use lettre::message::Mailbox;
use plugin_api::{message, prelude::*, settings::Span};

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
    /// The sender of every mail: `bot@example.com` or `Example Bot <bot@example.com>`.
    #[setting(env = "SMTP_FROM_EMAIL")]
    pub from_email: String,
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
    pub credentials: Option<(String, Secret)>,
    pub from: Mailbox,
    pub ca_file: Option<PathBuf>,
    pub timeout: Duration,
    pub message_timeout: Duration,
    pub connections: usize,
    pub max_message_size: usize,
}

impl Config {
    /// Checks the settings; `resolve` makes a path of the settings absolute.
    pub fn check(settings: Settings, resolve: impl Fn(&str) -> PathBuf) -> Result<Self, Failure> {
        check_server(&settings.server)?;
        let (port, tls) = port_and_tls(settings.port, settings.tls)?;
        let config = Self {
            server: settings.server,
            port,
            tls,
            credentials: settings.username.zip(settings.password),
            from: sender(&settings.from_email)?,
            ca_file: settings.ca_file.as_deref().map(resolve),
            timeout: positive("timeout", settings.timeout, DEFAULT_TIMEOUT)?,
            message_timeout: positive("message_timeout", settings.message_timeout, DEFAULT_MESSAGE_TIMEOUT)?,
            connections: settings.connections.unwrap_or(DEFAULT_CONNECTIONS).max(1).into(),
            max_message_size: settings.max_message_size.unwrap_or(DEFAULT_MAX_MESSAGE_SIZE),
        };
        let exposed = config.tls == TlsMode::None && config.credentials.is_some() && !config.is_loopback();
        if exposed && settings.allow_plaintext_login != Some(true) {
            return Err(Failure::config_invalid(format!(
                "`SMTP_TLS=none` would send the password to `{}` unencrypted: choose `starttls` or `implicit`, or set \
                 `SMTP_ALLOW_PLAINTEXT_LOGIN=true` if the network between is trusted",
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

    fn is_loopback(&self) -> bool {
        let name = self.server.to_ascii_lowercase();
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn check_server(server: &str) -> Result<(), Failure> {
    let is_address = server.parse::<IpAddr>().is_ok();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    if is_address || (!server.is_empty() && server.chars().all(is_name)) {
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
    let refuse =
        |why: &str| Failure::config_invalid(format!("`from_email` is `{text}`: {why}")).setting("from_email");
    let mailbox = address::parse(text).map_err(|why| refuse(&why))?;
    if !mailbox.email.domain().is_ascii() {
        return Err(refuse("its domain must be written in ASCII, as `xn--…`"));
    }
    Ok(mailbox)
}

fn positive(key: &str, span: Option<Span>, default: Duration) -> Result<Duration, Failure> {
    match span {
        Some(Span(Duration::ZERO)) => {
            Err(Failure::config_invalid(format!("`{key}` is 0: expected more than nothing, such as `10s`"))
                .setting(key))
        }
        Some(Span(span)) => Ok(span),
        None => Ok(default),
    }
}
