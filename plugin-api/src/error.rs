//! What can go wrong in an operation, and what can keep a plugin from working. Both are closed sets, because callers,
//! dashboards and retry policies act on them; both travel as JSON.

mod failure;
mod fix_hint;
mod operation;

pub use failure::{Advice, Failure, FixAction, Policy, ReasonCode};
pub use fix_hint::FixHint;
pub use operation::{ErrorKind, OperationError, RootCause};

/// A dependency's operation failed while the plugin came up: the failure takes over what it means for a retry. A
/// dependency's refusal is mended there, and not in the account of a vendor.
impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        let (code, advice) = match error.kind {
            ErrorKind::Deadline => (ReasonCode::Timeout, None),
            ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Cancelled => {
                (ReasonCode::Unavailable, None)
            }
            ErrorKind::Denied => (ReasonCode::Forbidden, Some(GRANT)),
            ErrorKind::Conflict => (ReasonCode::Protocol, Some(RESOLVE)),
            ErrorKind::Invalid | ErrorKind::NotFound => (ReasonCode::Protocol, Some(MATCH)),
            ErrorKind::Panicked | ErrorKind::Internal => (ReasonCode::Internal, Some(DEPENDENCY_BROKEN)),
            ErrorKind::UnknownOutcome => (ReasonCode::Internal, Some(TRY_AGAIN)),
        };
        let failure = Self { retry_after_ms: error.retry_after_ms, ..Self::new(code, error.message) };
        match advice {
            Some((action, label)) => failure.advise(action, label),
            None => failure,
        }
    }
}

const GRANT: (FixAction, &str) =
    (FixAction::SeeDependency, "Grant what the reason says is missing, then verify it");
const RESOLVE: (FixAction, &str) =
    (FixAction::SeeDependency, "Resolve the conflict that the reason names, then verify it");
const MATCH: (FixAction, &str) =
    (FixAction::Upgrade, "Install a version of it that fits what it requires, then reload");
const DEPENDENCY_BROKEN: (FixAction, &str) = (
    FixAction::SeeDependency,
    "See the log of the plugin that it requires, fix or upgrade it, then verify it",
);
const TRY_AGAIN: (FixAction, &str) = (FixAction::Retry, "Verify it to try again");

/// An operation found the outside system unusable: callers are told whether a retry makes sense, and the host that the
/// plugin itself is in trouble.
impl From<Failure> for OperationError {
    fn from(failure: Failure) -> Self {
        let kind = match failure.policy() {
            Policy::Broken => ErrorKind::Internal,
            _ => ErrorKind::Unavailable,
        };
        let label = failure.advice.map(|advice| advice.label);
        let hint = FixHint { label, setting: failure.setting, href: failure.href };
        let error = Self { retry_after_ms: failure.retry_after_ms, ..Self::new(kind, failure.message) };
        Self { trouble: Some(failure.code), fix: hint.or_none().map(Box::new), ..error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table: a failure that came from a dependency never sends anybody to a vendor.
    #[test]
    fn every_error_of_a_dependency_leads_to_what_mends_it() {
        let told: Vec<_> = ErrorKind::ALL
            .iter()
            .map(|kind| {
                let failure = Failure::from(OperationError::new(*kind, "as it was told"));
                let label = failure.advice.map_or("(by its code)".to_owned(), |advice| advice.label);
                format!("{kind} -> {}: {label}", failure.code)
            })
            .collect();
        expect_test::expect![[r#"
            invalid -> protocol: Install a version of it that fits what it requires, then reload
            denied -> forbidden: Grant what the reason says is missing, then verify it
            not_found -> protocol: Install a version of it that fits what it requires, then reload
            conflict -> protocol: Resolve the conflict that the reason names, then verify it
            cancelled -> unavailable: (by its code)
            panicked -> internal: See the log of the plugin that it requires, fix or upgrade it, then verify it
            internal -> internal: See the log of the plugin that it requires, fix or upgrade it, then verify it
            unknown_outcome -> internal: Verify it to try again
            overloaded -> unavailable: (by its code)
            unavailable -> unavailable: (by its code)
            deadline -> timeout: (by its code)"#]]
        .assert_eq(&told.join("\n"));
    }
}
