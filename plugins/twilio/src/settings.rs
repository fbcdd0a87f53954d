//! The settings as plugins.toml and the environment give them -> [`Config`], checked, with every default decided. No
//! I/O.

use std::time::Duration;

use plugin_api::{
    phone::{is_number, is_sid},
    prelude::*,
    settings::Span,
    web::check_plaintext,
};
use url::Url;

const DEFAULT_BASE_URL: &str = "https://api.twilio.com";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// An account at Twilio and its number.
#[plugin_api::settings]
pub struct Settings {
    /// The account, `AC…`: on the first page of Twilio's console.
    #[setting(env = "TWILIO_ACCOUNT_SID")]
    pub account_sid: String,
    /// The account's auth token, beside the account SID. Webhooks are signed with it: with an API key alone they cannot
    /// be verified, and are refused.
    #[setting(env = "TWILIO_AUTH_TOKEN")]
    pub auth_token: Option<Secret>,
    /// An API key, `SK…`, which is used for requests instead of the auth token.
    #[setting(env = "TWILIO_API_KEY")]
    pub api_key_sid: Option<String>,
    /// The API key's secret.
    #[setting(env = "TWILIO_API_SECRET")]
    pub api_secret: Option<Secret>,
    /// The account's number that messages and calls come from, as `+15551234567`.
    #[setting(env = "TWILIO_PHONE_NUMBER")]
    pub phone_number: String,
    /// Where Twilio's API is, for another region or a stand-in. Default `https://api.twilio.com`.
    #[setting(env = "TWILIO_API_BASE_URL")]
    pub api_base_url: Option<String>,
    /// Lets the credentials be sent unencrypted (`http:`) to another machine. Default false.
    #[setting(env = "TWILIO_ALLOW_PLAINTEXT")]
    pub allow_plaintext: Option<bool>,
    /// The secret of the SharedKey that Twilio signs webhooks with, where a webhook setting of the account names one.
    #[setting(env = "TWILIO_WEBHOOK_SHARED_KEY")]
    pub webhook_shared_key: Option<Secret>,
    /// The id of that key, `webhooks_sharedkey_…`. With it, webhooks that another key signed are refused by name.
    #[setting(env = "TWILIO_WEBHOOK_SHARED_KEY_ID")]
    pub webhook_shared_key_id: Option<String>,
    /// Longest wait for a connection, and for one answer. Default 10s.
    pub timeout: Option<Span>,
}

/// The settings, checked and complete.
#[derive(Debug)]
pub struct Config {
    pub account_sid: String,
    pub credentials: Credentials,
    pub phone_number: String,
    pub base_url: Url,
    pub webhook_keys: WebhookKeys,
    pub timeout: Duration,
}

/// What requests are made with.
#[derive(Debug)]
pub struct Credentials {
    pub user: String,
    pub password: Secret,
    /// The setting that holds the password.
    pub setting: &'static str,
}

/// What webhooks are verified with.
#[derive(Debug, Default)]
pub struct WebhookKeys {
    pub auth_token: Option<Secret>,
    pub shared_key: Option<Secret>,
    pub shared_key_id: Option<String>,
}

impl WebhookKeys {
    /// Whether any webhook can be verified.
    pub fn are_there(&self) -> bool {
        self.auth_token.is_some() || self.shared_key.is_some()
    }
}

impl Credentials {
    /// Whether it is an API key, which may be allowed less than the account itself.
    pub fn is_api_key(&self) -> bool {
        self.setting == "api_secret"
    }
}

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings) -> Result<Self, Failure> {
        check_sid("account_sid", &settings.account_sid, "AC")?;
        if let Some(key) = &settings.api_key_sid {
            check_sid("api_key_sid", key, "SK")?;
        }
        check_number(&settings.phone_number)?;
        let base_url = base_url(settings.api_base_url.as_deref().unwrap_or(DEFAULT_BASE_URL))?;
        let address = (base_url.scheme(), base_url.host_str().unwrap_or_default());
        let permit = ("TWILIO_ALLOW_PLAINTEXT", settings.allow_plaintext == Some(true));
        check_plaintext("api_base_url", address, Some(permit))?;
        Ok(Self {
            credentials: credentials(&settings)?,
            account_sid: settings.account_sid,
            phone_number: settings.phone_number,
            base_url,
            webhook_keys: WebhookKeys {
                auth_token: settings.auth_token,
                shared_key: settings.webhook_shared_key,
                shared_key_id: settings.webhook_shared_key_id,
            },
            timeout: timeout(settings.timeout)?,
        })
    }

    /// Whether the address is one of Twilio's own.
    pub fn is_twilio(&self) -> bool {
        self.base_url.host_str().is_some_and(|host| host.ends_with(".twilio.com"))
    }

    /// Twilio as messages name it: `api.twilio.com`, or `127.0.0.1:8080`.
    pub fn address(&self) -> String {
        let host = self.base_url.host_str().unwrap_or_default();
        self.base_url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// An API key is made for requests, so it goes first; the host has seen to it that one of the two is there.
fn credentials(settings: &Settings) -> Result<Credentials, Failure> {
    if let Some((key, secret)) = settings.api_key_sid.clone().zip(settings.api_secret.clone()) {
        return Ok(Credentials { user: key, password: secret, setting: "api_secret" });
    }
    let token = settings.auth_token.clone().ok_or_else(|| {
        Failure::config_invalid(
            "neither `TWILIO_AUTH_TOKEN` nor `TWILIO_API_KEY` with `TWILIO_API_SECRET` is set",
        )
        .setting("auth_token")
    })?;
    Ok(Credentials { user: settings.account_sid.clone(), password: token, setting: "auth_token" })
}

fn check_sid(key: &str, sid: &str, prefix: &str) -> Result<(), Failure> {
    if is_sid(sid, &[prefix]) {
        return Ok(());
    }
    Err(Failure::config_invalid(format!("`{key}` is `{sid}`: expected `{prefix}` and 32 hexadecimal digits"))
        .setting(key))
}

fn check_number(number: &str) -> Result<(), Failure> {
    if is_number(number) {
        return Ok(());
    }
    Err(Failure::config_invalid(format!(
        "`phone_number` is `{number}`: expected `+`, the country and the number, without spaces, such as `+15551234567`"
    ))
    .setting("phone_number"))
}

fn base_url(text: &str) -> Result<Url, Failure> {
    let refuse = |why: &str| {
        Failure::config_invalid(format!(
            "`api_base_url` {why}: expected an address such as `{DEFAULT_BASE_URL}`"
        ))
        .setting("api_base_url")
    };
    let mut url = Url::parse(text).map_err(|_| refuse("is no address"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refuse("is no web address"));
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err(refuse("holds more than scheme, host and path"));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
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
