//! What went wrong between us and the server: a code, our own words, and what follows for the plugin and for the caller.
//! The server's words go into no message of a call: they may repeat the key, or what a person said. Bounded, and without
//! what may be a key, they are in the log at `debug` and in an error's details, for the operator.
//! - [`status`]: an answer that is a refusal -> a [`Trouble`].
//! - [`connecting`]: no answer at all -> a [`Trouble`].

pub mod connecting;
pub mod status;

use crate::settings::Choice;
use plugin_api::{
    prelude::*,
    requests::openai::{OpenAiTrouble, TroubleCode, Usage},
    serde_json, tracing,
};

/// What is kept of a server's words, in bytes.
const LONGEST_WORDS: usize = 500;
/// Fewer bytes are no secret.
const SHORTEST_SECRET: usize = 8;

/// Something that went wrong.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub code: TroubleCode,
    /// For a person, in our words.
    pub message: String,
    /// The key of the setting to mend.
    pub setting: Option<&'static str>,
    /// The remedy, where its code alone would give other advice.
    pub advice: Option<String>,
    pub retry_after: Option<Duration>,
    pub http_status: Option<u16>,
    /// The server's own code: one word.
    pub vendor_code: Option<String>,
    /// What the server said.
    pub words: Option<String>,
    /// The words by which the model refuses.
    pub refusal: Option<String>,
    pub usage: Option<Usage>,
    /// The server refuses us, not the request: by the key, the project, or a model of our settings.
    pub is_ours: bool,
}

impl Trouble {
    pub fn new(code: TroubleCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            setting: None,
            advice: None,
            retry_after: None,
            http_status: None,
            vendor_code: None,
            words: None,
            refusal: None,
            usage: None,
            is_ours: false,
        }
    }

    pub fn setting(mut self, key: &'static str) -> Self {
        self.setting = Some(key);
        self
    }

    /// With what mends it, in words for an operator.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub fn usage(mut self, usage: Option<Usage>) -> Self {
        self.usage = usage;
        self
    }

    /// What the server said, bounded, and without this secret if it repeats it. A short one is none: where a server wants no
    /// key, it may be any word.
    pub fn without(mut self, secret: &str) -> Self {
        let is_secret = secret.len() >= SHORTEST_SECRET;
        self.words = self.words.map(|words| {
            // Before it is bounded, which might leave the beginning of a key.
            let mut words = if is_secret { words.replace(secret, status::HIDDEN) } else { words };
            words.truncate(words.floor_char_boundary(LONGEST_WORDS));
            words
        });
        self
    }

    /// Shows the operator who looks for it what the server said.
    pub fn log(&self) {
        if let Some(words) = &self.words {
            tracing::debug!(status = self.http_status, code = self.vendor_code, words, "{}", self.message);
        }
    }

    /// The answer has more bytes than any such answer has.
    pub fn too_large(server: &str, most: usize) -> Self {
        Self::protocol(server, &format!("more than {most} bytes, which no answer has"))
    }

    /// The server answers what is no answer.
    pub fn protocol(server: &str, what: &str) -> Self {
        Self::new(TroubleCode::Protocol, format!("`{server}` answers {what}"))
    }

    /// The same, once it is known which model was asked for. A model that the caller chose is the caller's affair; the one
    /// of the settings is ours.
    pub fn about_model(mut self, server: &str, model: &str, choice: Choice<'_>) -> Self {
        let is_chosen_here = model == choice.model;
        match self.code {
            TroubleCode::ModelNotFound => {
                let advice =
                    if is_chosen_here { format!(": set `{}`", choice.variable) } else { String::new() };
                self.message =
                    format!("`{server}` has no model `{model}`, or this key may not use it{advice}");
                self.setting = is_chosen_here.then_some(choice.setting);
                self.is_ours = is_chosen_here;
            }
            TroubleCode::Forbidden | TroubleCode::ToolsUnsupported => self.is_ours |= is_chosen_here,
            // The field that carries the limit is a setting; the caller cannot choose another.
            TroubleCode::InvalidRequest if self.setting.is_some() && is_chosen_here => {
                self.code = TroubleCode::ConfigInvalid;
            }
            _ => {}
        }
        self
    }

    /// The same of a model of the settings that no list has. The server refuses a question of our own here, so its words
    /// can be quoted: they repeat nobody else's.
    pub fn about_unlisted(mut self, choice: Choice<'_>) -> Self {
        if self.is_about_the_key() {
            return self;
        }
        let Choice { model, setting, variable } = choice;
        self.message += &format!("; its list of models does not have `{model}` (`{variable}`)");
        if self.code == TroubleCode::InvalidRequest {
            (self.code, self.setting) = (TroubleCode::ConfigInvalid, Some(setting));
            let said = self.words.as_ref().or(self.vendor_code.as_ref());
            self.message += &said.map(|said| format!("; it says: {said}")).unwrap_or_default();
        }
        self
    }

    /// The code under which it counts against the plugin; `None` where the request itself is at fault.
    pub fn fault(&self) -> Option<ReasonCode> {
        let is_of_the_request = match self.code {
            TroubleCode::ContextTooLong | TroubleCode::InvalidRequest => true,
            TroubleCode::Refused | TroubleCode::ContentFilter => true,
            TroubleCode::Forbidden | TroubleCode::ModelNotFound | TroubleCode::ToolsUnsupported => {
                !self.is_ours
            }
            _ => false,
        };
        (!is_of_the_request).then(|| self.reason())
    }

    /// Whether it says something of the plugin as a whole, and not of one request.
    pub fn is_about_the_plugin(&self) -> bool {
        match self.code {
            TroubleCode::AuthInvalid
            | TroubleCode::Account
            | TroubleCode::Quota
            | TroubleCode::ConnectionRefused
            | TroubleCode::Dns
            | TroubleCode::Tls
            | TroubleCode::ConfigInvalid => true,
            // A gateway says so of the server behind it; a 500 may be due to one request.
            TroubleCode::Unavailable => matches!(self.http_status, Some(502..=504)),
            // Without a connection; an answer that takes long may just be long.
            TroubleCode::Timeout => self.setting == Some("connect_timeout"),
            _ => false,
        }
    }

    /// Whether the server says that what was asked for is not there, or not for this key.
    pub fn says_missing(&self) -> bool {
        matches!(self.code, TroubleCode::ModelNotFound | TroubleCode::InvalidRequest | TroubleCode::Forbidden)
    }

    /// Whether a server that refuses the request says why: that need not be that the model is missing.
    pub fn gives_reason(&self) -> bool {
        self.code == TroubleCode::InvalidRequest && (self.words.is_some() || self.vendor_code.is_some())
    }

    /// Whether the server refuses the key or its account, whatever was asked for.
    pub fn is_about_the_key(&self) -> bool {
        matches!(self.code, TroubleCode::AuthInvalid | TroubleCode::Account | TroubleCode::Quota)
    }

    /// Whether it asks for fewer texts at once.
    pub fn is_about_batch(&self) -> bool {
        self.setting == Some("embedding_batch")
    }

    /// The setting to mend. Where to wait longer is no mistake in one.
    fn wrong_setting(&self) -> Option<&'static str> {
        self.setting.filter(|_| self.code != TroubleCode::Timeout)
    }

    fn reason(&self) -> ReasonCode {
        match self.code {
            TroubleCode::AuthInvalid => ReasonCode::AuthInvalid,
            TroubleCode::Forbidden | TroubleCode::Refused | TroubleCode::ContentFilter => {
                ReasonCode::Forbidden
            }
            TroubleCode::Account => ReasonCode::Account,
            TroubleCode::Quota => ReasonCode::Quota,
            TroubleCode::RateLimited => ReasonCode::RateLimited,
            TroubleCode::ModelNotFound | TroubleCode::ConfigInvalid | TroubleCode::ToolsUnsupported => {
                ReasonCode::ConfigInvalid
            }
            TroubleCode::Unavailable => ReasonCode::Unavailable,
            TroubleCode::Timeout => ReasonCode::Timeout,
            TroubleCode::ConnectionRefused => ReasonCode::Refused,
            TroubleCode::Dns => ReasonCode::Dns,
            TroubleCode::Tls => ReasonCode::Tls,
            TroubleCode::ContextTooLong
            | TroubleCode::InvalidRequest
            | TroubleCode::ToolUseFailed
            | TroubleCode::Protocol => ReasonCode::Protocol,
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.code {
            TroubleCode::Forbidden | TroubleCode::Refused | TroubleCode::ContentFilter => ErrorKind::Denied,
            TroubleCode::RateLimited => ErrorKind::Overloaded,
            TroubleCode::ModelNotFound => ErrorKind::NotFound,
            TroubleCode::ContextTooLong | TroubleCode::InvalidRequest | TroubleCode::ToolsUnsupported => {
                ErrorKind::Invalid
            }
            TroubleCode::Timeout => ErrorKind::Deadline,
            TroubleCode::Protocol | TroubleCode::ToolUseFailed => ErrorKind::Internal,
            TroubleCode::AuthInvalid
            | TroubleCode::Account
            | TroubleCode::Quota
            | TroubleCode::Unavailable
            | TroubleCode::ConnectionRefused
            | TroubleCode::Dns
            | TroubleCode::Tls
            | TroubleCode::ConfigInvalid => ErrorKind::Unavailable,
        }
    }
}

/// What it means for the plugin as a whole.
impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let (setting, code) = (trouble.wrong_setting(), trouble.reason());
        let failure = Self::new(code, trouble.message);
        let failure =
            trouble.advice.into_iter().fold(failure, |failure, advice| failure.advise(code.fix(), advice));
        let failure = setting.into_iter().fold(failure, Self::setting);
        trouble.retry_after.into_iter().fold(failure, Self::retry_after)
    }
}

/// What it means for a caller.
impl From<Trouble> for OperationError {
    fn from(trouble: Trouble) -> Self {
        let (kind, fault) = (trouble.kind(), trouble.fault());
        let setting = trouble.wrong_setting().map(str::to_owned);
        let hint = FixHint { label: trouble.advice, setting, ..FixHint::default() };
        let fix = fault.is_some().then_some(hint).filter(|hint| *hint != FixHint::default());
        let error = fault.into_iter().fold(Self::new(kind, trouble.message), Self::with_trouble);
        let error = fix.into_iter().fold(error, Self::with_fix);
        let error = trouble.retry_after.into_iter().fold(error, Self::retry_after);
        let details = OpenAiTrouble {
            code: trouble.code,
            http_status: trouble.http_status,
            vendor_code: trouble.vendor_code,
            words: trouble.words,
            refusal: trouble.refusal,
            usage: trouble.usage,
        };
        error.details(serde_json::to_value(details).expect("strings and numbers are always JSON"))
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Trouble {}
