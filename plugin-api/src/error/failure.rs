//! Why a plugin does not work: a code that picks what the host does about it, and words for a person.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the host does about a plugin that does not work : every [`ReasonCode`] has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It may pass by itself: retried with full-jitter backoff, then `error` and a slow recovery probe.
    NotReady,
    /// A person must authorise it: `disconnected` with the link to follow, no retry.
    NeedsPerson,
    /// A setting or an account is wrong: `error` at once.
    Misconfigured,
    /// The plugin is at fault: `error` at once.
    Broken,
    /// Required settings are absent: `not_configured`. Only the host says so.
    NotConfigured,
    /// The library could not be loaded: quarantined. Only the host says so.
    Quarantined,
    /// It waits for another plugin. Only the host says so.
    Dependency,
}

/// What a dashboard offers to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FixAction {
    /// Set the missing variables.
    SetVariables,
    /// Mend the setting that is named.
    CorrectSetting,
    /// Follow the link and give consent.
    Authorize,
    /// Look at the account in the vendor's console.
    SeeVendor,
    /// Wait, or verify now.
    Retry,
    /// Rebuild or upgrade the library.
    Upgrade,
    /// Look at the plugin that causes it.
    SeeDependency,
}

/// Why a plugin does not work: a closed set, each with its policy and its fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it, and the constructors of `Failure` when to use which")]
pub enum ReasonCode {
    Timeout,
    Dns,
    Refused,
    Tls,
    Unavailable,
    RateLimited,
    AuthInvalid,
    AuthExpired,
    Forbidden,
    Account,
    ConsentRequired,
    Quota,
    ConfigMissing,
    ConfigInvalid,
    DependencyUnhealthy,
    Protocol,
    Panicked,
    Crashed,
    LoadFailed,
    Internal,
}

impl ReasonCode {
    /// All codes.
    pub const ALL: [ReasonCode; 20] = [
        Self::Timeout,
        Self::Dns,
        Self::Refused,
        Self::Tls,
        Self::Unavailable,
        Self::RateLimited,
        Self::AuthInvalid,
        Self::AuthExpired,
        Self::Forbidden,
        Self::Account,
        Self::ConsentRequired,
        Self::Quota,
        Self::ConfigMissing,
        Self::ConfigInvalid,
        Self::DependencyUnhealthy,
        Self::Protocol,
        Self::Panicked,
        Self::Crashed,
        Self::LoadFailed,
        Self::Internal,
    ];

    /// What the host does about it.
    pub fn policy(self) -> Policy {
        match self {
            Self::Timeout | Self::Dns | Self::Refused | Self::Unavailable | Self::RateLimited => {
                Policy::NotReady
            }
            Self::AuthInvalid | Self::ConfigInvalid | Self::Tls => Policy::Misconfigured,
            Self::Forbidden | Self::Account | Self::Quota => Policy::Misconfigured,
            Self::ConsentRequired | Self::AuthExpired => Policy::NeedsPerson,
            Self::Protocol | Self::Panicked | Self::Crashed | Self::Internal => Policy::Broken,
            Self::ConfigMissing => Policy::NotConfigured,
            Self::LoadFailed => Policy::Quarantined,
            Self::DependencyUnhealthy => Policy::Dependency,
        }
    }

    /// What a person can do about it.
    pub fn fix(self) -> FixAction {
        match self {
            Self::Timeout | Self::Dns | Self::Refused | Self::Unavailable | Self::RateLimited => {
                FixAction::Retry
            }
            Self::AuthInvalid | Self::ConfigInvalid | Self::Tls => FixAction::CorrectSetting,
            Self::Forbidden | Self::Account | Self::Quota => FixAction::SeeVendor,
            Self::ConsentRequired | Self::AuthExpired => FixAction::Authorize,
            Self::Protocol | Self::Panicked | Self::Crashed | Self::Internal => FixAction::Retry,
            Self::ConfigMissing => FixAction::SetVariables,
            Self::LoadFailed => FixAction::Upgrade,
            Self::DependencyUnhealthy => FixAction::SeeDependency,
        }
    }

    /// The name in JSON, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Tls => "tls",
            Self::Unavailable => "unavailable",
            Self::RateLimited => "rate_limited",
            Self::AuthInvalid => "auth_invalid",
            Self::AuthExpired => "auth_expired",
            Self::Forbidden => "forbidden",
            Self::Account => "account",
            Self::ConsentRequired => "consent_required",
            Self::Quota => "quota",
            Self::ConfigMissing => "config_missing",
            Self::ConfigInvalid => "config_invalid",
            Self::DependencyUnhealthy => "dependency_unhealthy",
            Self::Protocol => "protocol",
            Self::Panicked => "panicked",
            Self::Crashed => "crashed",
            Self::LoadFailed => "load_failed",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why `create`, `init` or `probe` did not succeed. The code picks the policy: what is retried, what waits for a
/// person, what is wrong for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{code}: {message}")]
pub struct Failure {
    /// What kind of failure.
    pub code: ReasonCode,
    /// For a person: lower case, no period, no secret, not a driver's raw text.
    pub message: String,
    /// The key of the setting to mend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// The link to follow: to consent, or to the vendor's console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub href: Option<String>,
    /// How long to wait before the next attempt, in milliseconds, where the other side said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What mends it, where the code alone would advise something that does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<Advice>,
    /// Known for certain: see [`Failure::certain`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub certain: bool,
}

/// What a person does about a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// For programs.
    pub action: FixAction,
    /// For a person: a short imperative sentence that begins with a capital, no period.
    pub label: String,
}

impl Failure {
    /// A failure with this code.
    pub fn new(code: ReasonCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            setting: None,
            href: None,
            retry_after_ms: None,
            advice: None,
            certain: false,
        }
    }

    /// It did not answer in time. Retried.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Timeout, message)
    }

    /// Its name does not resolve. Retried.
    pub fn dns(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Dns, message)
    }

    /// Nobody listens there. Retried.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Refused, message)
    }

    /// It answers that it cannot serve now. Retried.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Unavailable, message)
    }

    /// It asks us to slow down; see [`Failure::retry_after`]. Retried.
    pub fn rate_limited(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::RateLimited, message)
    }

    /// It refuses the credentials; name the setting. Not retried.
    pub fn auth_invalid(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::AuthInvalid, message)
    }

    /// A setting has a value that cannot work; name the setting. Not retried.
    pub fn config_invalid(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::ConfigInvalid, message)
    }

    /// No trustworthy TLS connection can be made. Not retried.
    pub fn tls(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Tls, message)
    }

    /// The credentials are good, but do not permit this. Not retried.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Forbidden, message)
    }

    /// The account is suspended or closed. Not retried.
    pub fn account(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Account, message)
    }

    /// The account's quota is used up. Not retried.
    pub fn quota(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Quota, message)
    }

    /// Nobody has authorised it yet; give the link with [`Failure::href`]. Waits for a person.
    pub fn consent_required(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::ConsentRequired, message)
    }

    /// The authorisation was revoked or ran out; give the link. Waits for a person.
    pub fn auth_expired(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::AuthExpired, message)
    }

    /// It answers something that is not its protocol. Not retried.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Protocol, message)
    }

    /// Anything else that is the plugin's fault. Not retried.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ReasonCode::Internal, message)
    }

    /// With the key of the setting to mend.
    pub fn setting(mut self, key: impl Into<String>) -> Self {
        self.setting = Some(key.into());
        self
    }

    /// With the link to follow.
    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// With the time that the other side asked to wait.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = Some(wait.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// With what mends it, in place of the advice that its code stands for.
    pub fn advise(mut self, action: FixAction, label: impl Into<String>) -> Self {
        self.advice = Some(Advice { action, label: label.into() });
        self
    }

    /// Known for certain, such as a full disk or a server that says itself that it takes no writes. Of a failure that is
    /// retried, one is enough to leave `connected`, and one success to return; without it a few in a row count, because
    /// a single one may be a hiccup.
    pub fn certain(mut self) -> Self {
        self.certain = true;
        self
    }

    /// What the host will do about it.
    pub fn policy(&self) -> Policy {
        self.code.policy()
    }
}
