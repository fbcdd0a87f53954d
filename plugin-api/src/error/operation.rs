//! Why an operation did not give its response: by kind for programs, by message for people.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FixHint, ReasonCode};

/// Why an operation did not give its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request itself is wrong: the same request will fail again. 400
    Invalid,
    /// The caller may not do this. 403
    Denied,
    /// There is no such plugin, operation or thing. 404
    NotFound,
    /// It contradicts what is there already. 409
    Conflict,
    /// The caller gave up, or the instance was stopped. 499
    Cancelled,
    /// The plugin's code panicked. 500
    Panicked,
    /// Anything else that is the plugin's fault. 500
    Internal,
    /// It may have taken effect, and nobody can tell: do not repeat it blindly. 502
    UnknownOutcome,
    /// Too much is under way: try again later. 503
    Overloaded,
    /// What it needs does not answer: try again later. 503
    Unavailable,
    /// It did not end in time: repeat it only if it is idempotent. 504
    Deadline,
}

impl ErrorKind {
    /// All kinds, in the order of their HTTP statuses.
    pub const ALL: [ErrorKind; 11] = [
        Self::Invalid,
        Self::Denied,
        Self::NotFound,
        Self::Conflict,
        Self::Cancelled,
        Self::Panicked,
        Self::Internal,
        Self::UnknownOutcome,
        Self::Overloaded,
        Self::Unavailable,
        Self::Deadline,
    ];

    /// The HTTP status that a route or the command line answers with.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Denied => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Cancelled => 499,
            Self::Panicked | Self::Internal => 500,
            Self::UnknownOutcome => 502,
            Self::Overloaded | Self::Unavailable => 503,
            Self::Deadline => 504,
        }
    }

    /// Whether the same request may be sent again: always after a 503; after a deadline, or when the instance was stopped while
    /// it worked, only if it is idempotent.
    pub fn may_retry(self, idempotent: bool) -> bool {
        match self {
            Self::Overloaded | Self::Unavailable => true,
            Self::Deadline | Self::Cancelled => idempotent,
            _ => false,
        }
    }

    /// The name in JSON, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::Internal => "internal",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A plugin that is the root of somebody else's trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RootCause {
    /// The plugin.
    pub name: String,
    /// Its status, one of the six.
    pub status: String,
    /// Its reason, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ReasonCode>,
    /// The same for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The error of an operation: its kind for programs, its message for people, and what helps to act on it.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize, JsonSchema)]
#[error("{kind}: {message}")]
pub struct OperationError {
    /// What a caller decides by.
    pub kind: ErrorKind,
    /// Lower case, no period, no secret, not a driver's raw text.
    pub message: String,
    /// How long to wait before a retry, in milliseconds, where the other side said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The plugins that caused it; the host fills this in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub root_causes: Vec<RootCause>,
    /// What a program may want to know beside the kind, in a form that the operation documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// The plugin is in trouble, whatever the kind tells the caller: the outside system refuses the plugin, not this one
    /// request (a key that may not use the model, a number that is blocked). The host counts it for `failing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<ReasonCode>,
    /// What mends the trouble, where its code alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Box<FixHint>>,
}

impl OperationError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (retry_after_ms, root_causes, details) = (None, Vec::new(), None);
        Self { kind, message: message.into(), retry_after_ms, root_causes, details, trouble: None, fix: None }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// The caller may not do this.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// It contradicts what is there already.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// It was given up.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, message)
    }

    /// The plugin's fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// It may have taken effect.
    pub fn unknown_outcome(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::UnknownOutcome, message)
    }

    /// Too much is under way.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Overloaded, message)
    }

    /// What it needs does not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// It did not end in time.
    pub fn deadline(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Deadline, message)
    }

    /// With the time that the other side asked to wait.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = Some(wait.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// With details for a program.
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// Says that the plugin itself is in trouble, whatever the kind: the host counts it for `failing`.
    pub fn with_trouble(mut self, code: ReasonCode) -> Self {
        self.trouble = Some(code);
        self
    }

    /// With what mends the trouble, where its code alone does not say it.
    pub fn with_fix(mut self, hint: FixHint) -> Self {
        self.fix = Some(Box::new(hint));
        self
    }
}
