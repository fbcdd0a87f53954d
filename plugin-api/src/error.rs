//! What can go wrong in an operation, and what can keep a plugin from working. Both are closed sets, because callers,
//! dashboards and retry policies act on them; both travel as JSON.

mod failure;
mod fix_hint;
mod operation;

pub use failure::{Failure, FixAction, Policy, ReasonCode};
pub use fix_hint::FixHint;
pub use operation::{ErrorKind, OperationError, RootCause};

/// A dependency's operation failed while the plugin came up: the failure takes over what it means for a retry.
impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        let code = match error.kind {
            ErrorKind::Deadline => ReasonCode::Timeout,
            ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Cancelled => ReasonCode::Unavailable,
            ErrorKind::Denied => ReasonCode::Forbidden,
            ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict => ReasonCode::Protocol,
            ErrorKind::Panicked | ErrorKind::Internal | ErrorKind::UnknownOutcome => ReasonCode::Internal,
        };
        Self { retry_after_ms: error.retry_after_ms, ..Self::new(code, error.message) }
    }
}

/// An operation found the outside system unusable: callers are told whether a retry makes sense, and the host that the
/// plugin itself is in trouble.
impl From<Failure> for OperationError {
    fn from(failure: Failure) -> Self {
        let kind = match failure.policy() {
            Policy::Broken => ErrorKind::Internal,
            _ => ErrorKind::Unavailable,
        };
        let hint = FixHint { label: None, setting: failure.setting, href: failure.href };
        let error = Self { retry_after_ms: failure.retry_after_ms, ..Self::new(kind, failure.message) };
        Self { trouble: Some(failure.code), fix: hint.or_none().map(Box::new), ..error }
    }
}
