//! An answer that is no success -> Twilio's code in it, and what it says of the plugin as a whole.

use std::fmt;

use plugin_api::{prelude::*, serde_json::Value, tracing};

use crate::{client::Answer, settings::Config};

/// The codes of a negative answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Twilio's own code, if it gave one.
    pub code: Option<u32>,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// The refusal in an answer.
    pub fn of(answer: &Answer) -> Self {
        let member = |name: &str| answer.json.as_ref().and_then(|json| json.get(name));
        let code = member("code").and_then(Value::as_u64).and_then(|code| code.try_into().ok());
        tracing::debug!(status = answer.status, code, words = ?member("message"), "Twilio refuses");
        Self { status: answer.status, code, retry_after: answer.retry_after }
    }

    /// Twilio did nothing, and asks to slow down.
    pub fn is_too_many(self) -> bool {
        self.status == 429
    }

    /// Something broke at Twilio: what it had done by then is unknown.
    pub fn is_server_error(self) -> bool {
        self.status >= 500
    }

    /// The account does not work at all.
    pub fn is_about_account(self) -> bool {
        matches!(self.code, Some(20005 | 10001 | 90010))
    }

    /// The credentials are refused.
    pub fn is_about_credentials(self) -> bool {
        self.status == 401
    }

    /// What it says of the plugin as a whole; `None` if it is about the one request.
    pub fn failure(self, config: &Config) -> Option<Failure> {
        if self.is_about_account() {
            return Some(inactive_account(&format!("Twilio says that it is not active ({self})")));
        }
        if self.is_about_credentials() {
            return Some(wrong_credentials(self, config));
        }
        if self.is_server_error() {
            return Some(Failure::unavailable(format!("Twilio does not serve at the moment ({self})")));
        }
        None
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(formatter, "Twilio {code}"),
            None => write!(formatter, "HTTP {}", self.status),
        }
    }
}

/// The account is suspended or closed.
pub fn inactive_account(how: &str) -> Failure {
    Failure::account(format!("the account cannot be used: {how}; Twilio's console says why"))
        .href("https://console.twilio.com/")
}

/// Account or password are wrong. Twilio answers so too where an account is suspended.
pub fn wrong_credentials(refusal: Refusal, config: &Config) -> Failure {
    let (what, label) = if config.credentials.is_api_key() {
        (
            "the API key or its secret",
            "Correct `TWILIO_API_KEY` and `TWILIO_API_SECRET`, or create another key",
        )
    } else {
        (
            "the account SID or the auth token",
            "Correct `TWILIO_ACCOUNT_SID` and `TWILIO_AUTH_TOKEN`; Twilio answers so, too, if the account is suspended",
        )
    };
    Failure::auth_invalid(format!("Twilio refuses {what} ({refusal})"))
        .setting(config.credentials.setting)
        .advise(FixAction::CorrectSetting, label)
}
