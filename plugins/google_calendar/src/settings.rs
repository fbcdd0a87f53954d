//! The settings as plugins.toml and the environment give them -> [`Config`], checked, with every default decided.
//! No I/O: the file of the client secrets is read when the plugin is brought up.

use std::{path::PathBuf, time::Duration};

use jiff::tz::TimeZone;
use plugin_api::{
    prelude::*,
    settings::Span,
    web::{self, check_plaintext},
};
use reqwest::Url;

use crate::times;

/// Where Google sends the browser back to, below the host's address.
pub const CALLBACK_PATH: &str = "/api/calendar/oauth/callback";
/// Where consent begins.
pub const START_PATH: &str = "/api/calendar/oauth/start";

const API_BASE_URL: &str = "https://www.googleapis.com/calendar/v3";
/// The least that the operations need: events of all calendars, and when they are busy.
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/calendar.events", "https://www.googleapis.com/auth/calendar.freebusy"];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which OAuth client of Google, and which calendar.
#[plugin_api::settings]
pub struct Settings {
    /// The file of the OAuth client that Google's console offers for download (`client_secret_….json`), relative to
    /// plugins.toml.
    #[setting(env = "GOOGLE_OAUTH_CLIENT_SECRETS_FILE")]
    pub client_secrets_file: Option<String>,
    /// The content of that file, instead of the file.
    #[setting(env = "GOOGLE_OAUTH_CLIENT_SECRETS_JSON")]
    pub client_secrets_json: Option<Secret>,
    /// Where the Calendar API is served. By default Google's own address.
    #[setting(env = "GOOGLE_CALENDAR_API_BASE_URL")]
    pub api_base_url: Option<String>,
    /// The id of the calendar to use when a request names none. By default `primary`, the account's own.
    #[setting(env = "GOOGLE_CALENDAR_ID")]
    pub calendar: Option<String>,
    /// The ids of the calendars that requests may name, beside `calendar`; of a person it is the email address.
    /// `*@example.com` stands for all that end so, `*` for all that the account can reach. By default none.
    pub calendars: Option<Vec<String>>,
    /// The time zone to use when a request names none, such as `Europe/Berlin`. By default the calendar's.
    #[setting(env = "GOOGLE_CALENDAR_TIME_ZONE")]
    pub time_zone: Option<String>,
    /// What consent is asked for. By default events and free/busy.
    pub scopes: Option<Vec<String>>,
    /// Where Google sends the browser after consent; must be registered for the OAuth client. By default
    /// `PUBLIC_BASE_URL`, or the address that the browser uses, and `/api/calendar/oauth/callback`.
    #[setting(env = "GOOGLE_OAUTH_REDIRECT_URI")]
    pub redirect_uri: Option<String>,
    /// How the outside world reaches the host, as in `[host]`.
    #[setting(env = "PUBLIC_BASE_URL")]
    pub public_base_url: Option<String>,
    /// Longest wait for each answer of Google. Default 10s.
    pub timeout: Option<Span>,
}

/// The settings, checked and complete.
#[derive(Debug)]
pub struct Config {
    pub client_secrets: Source,
    pub api_base_url: Url,
    pub calendar: String,
    pub calendars: Vec<String>,
    pub time_zone: Option<TimeZone>,
    pub scopes: Vec<String>,
    pub redirect_uri: Option<Url>,
    pub timeout: Duration,
}

/// Where the client secrets are.
#[derive(Debug, Clone)]
pub enum Source {
    File(PathBuf),
    Json(Secret),
}

impl Source {
    /// The setting to mend when what is there is wrong.
    pub fn setting(&self) -> &'static str {
        match self {
            Self::File(_) => "client_secrets_file",
            Self::Json(_) => "client_secrets_json",
        }
    }
}

impl Config {
    /// Checks the settings; `resolve` makes a path of the settings absolute.
    pub fn check(settings: Settings, resolve: impl Fn(&str) -> PathBuf) -> Result<Self, Failure> {
        let base = settings.api_base_url.as_deref().unwrap_or(API_BASE_URL);
        let redirect = match (settings.redirect_uri, settings.public_base_url) {
            (Some(uri), _) => Some(web_address("redirect_uri", &uri)?),
            (None, Some(base)) => {
                let uri = format!("{}{CALLBACK_PATH}", base.trim_end_matches('/'));
                Some(web_address("public_base_url", &uri)?)
            }
            (None, None) => None,
        };
        Ok(Self {
            client_secrets: source(settings.client_secrets_file, settings.client_secrets_json, resolve)?,
            api_base_url: secure_address("api_base_url", base)?,
            calendar: settings.calendar.unwrap_or_else(|| "primary".to_owned()),
            calendars: calendars(settings.calendars)?,
            time_zone: settings.time_zone.as_deref().map(zone).transpose()?,
            scopes: scopes(settings.scopes)?,
            redirect_uri: redirect,
            timeout: timeout(settings.timeout)?,
        })
    }

    /// Whether requests may use this calendar.
    pub fn allows(&self, calendar: &str) -> bool {
        let is = |allowed: &str| allowed.eq_ignore_ascii_case(calendar);
        let calendar = calendar.to_ascii_lowercase();
        is(&self.calendar)
            || self.calendars.iter().any(|allowed| match allowed.strip_prefix('*') {
                Some(end) => calendar.ends_with(&end.to_ascii_lowercase()),
                None => is(allowed),
            })
    }
}

fn calendars(calendars: Option<Vec<String>>) -> Result<Vec<String>, Failure> {
    let calendars = calendars.unwrap_or_default();
    let odd = |allowed: &&String| allowed.trim().is_empty() || allowed.rfind('*').is_some_and(|at| at > 0);
    match calendars.iter().find(odd) {
        None => Ok(calendars),
        Some(odd) => Err(Failure::config_invalid(format!(
            "`calendars` names `{odd}`: expected the id of a calendar such as `ada@example.com`, or `*@example.com` \
             for all that end so"
        ))
        .setting("calendars")),
    }
}

fn source(
    file: Option<String>,
    json: Option<Secret>,
    resolve: impl Fn(&str) -> PathBuf,
) -> Result<Source, Failure> {
    match (file, json) {
        (Some(file), None) => Ok(Source::File(resolve(&file))),
        (None, Some(json)) => Ok(Source::Json(json)),
        (Some(_), Some(_)) => Err(Failure::config_invalid(
            "`GOOGLE_OAUTH_CLIENT_SECRETS_FILE` and `GOOGLE_OAUTH_CLIENT_SECRETS_JSON` are both set: keep one",
        )
        .setting("client_secrets_json")),
        (None, None) => Err(Failure::internal("the host did not check that the client secrets are there")),
    }
}

/// An address with http or https.
pub fn web_address(setting: &str, text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| {
        Failure::config_invalid(format!(
            "`{setting}` is `{text}`: expected a web address such as `https://switchboard.example.com`"
        ))
        .setting(setting)
    })
}

/// An address that tokens may be sent to.
pub fn secure_address(setting: &str, text: &str) -> Result<Url, Failure> {
    let url = web_address(setting, text)?;
    check_plaintext(setting, (url.scheme(), url.host_str().unwrap_or_default()), None)?;
    Ok(url)
}

/// Whether an address is of this machine itself.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(web::is_loopback)
}

fn zone(name: &str) -> Result<TimeZone, Failure> {
    times::zone("time_zone", name)
        .map_err(|error| Failure::config_invalid(error.message).setting("time_zone"))
}

fn scopes(scopes: Option<Vec<String>>) -> Result<Vec<String>, Failure> {
    let scopes = scopes.unwrap_or_else(|| SCOPES.map(str::to_owned).to_vec());
    let fits = |scope: &String| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic());
    if !scopes.is_empty() && scopes.iter().all(fits) {
        return Ok(scopes);
    }
    let example = SCOPES[0];
    Err(Failure::config_invalid(format!("`scopes` is a list of scopes such as `{example}`, one an entry"))
        .setting("scopes"))
}

fn timeout(span: Option<Span>) -> Result<Duration, Failure> {
    match span {
        Some(Span(Duration::ZERO)) => {
            Err(Failure::config_invalid("`timeout` is 0: expected a positive time, such as `10s`")
                .setting("timeout"))
        }
        Some(Span(span)) => Ok(span),
        None => Ok(DEFAULT_TIMEOUT),
    }
}
