//! Whose fault a failed call was: a plugin that fails because a call of its own failed only passes it on. A failed call is
//! noted with its trace and its caller, and found again when that caller fails under the same trace.

use std::time::Duration;

use plugin_api::error::{ErrorKind, OperationError};

use super::recent::Recent;

/// The failed calls of late, by trace and caller: where each of them counts.
pub(super) type Blame = Recent<Culprit>;

/// Where a failure counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Culprit {
    pub(super) plugin: String,
    pub(super) operation: String,
}

/// How a call was limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// The plugin's own `calls.timeout` was the shorter limit.
    pub(super) own_limit: bool,
    /// The caller may have left too little time.
    pub(super) hurried: bool,
}

impl Terms {
    /// A caller that leaves less than this may leave too little, however soon the plugin gave up.
    const SHORT: Duration = Duration::from_secs(1);

    pub(super) fn of(asked: Option<Duration>, timeout: Duration, took: Duration) -> Self {
        let own_limit = asked.is_none_or(|asked| asked >= timeout);
        // Plugins give up before their time is over, so as to be able to say why.
        let hurried = asked.is_some_and(|asked| asked < Self::SHORT || took >= asked / 2);
        Self { own_limit, hurried: hurried && !own_limit }
    }
}

/// Whether an error is the fault of the plugin that answered it, as far as this call alone tells.
pub(super) fn is_own_fault(error: &OperationError, terms: Terms) -> bool {
    if error.trouble.is_some() {
        return true;
    }
    match error.kind {
        ErrorKind::Panicked => true,
        ErrorKind::Internal | ErrorKind::UnknownOutcome | ErrorKind::Unavailable | ErrorKind::Overloaded => {
            !terms.hurried
        }
        ErrorKind::Deadline => terms.own_limit,
        _ => false,
    }
}

/// What the caller did wrong, or gave up.
pub(super) fn is_callers(error: &OperationError) -> bool {
    use ErrorKind::{Cancelled, Conflict, Denied, Invalid, NotFound};
    matches!(error.kind, Invalid | Denied | NotFound | Conflict | Cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impatient_caller_blames_nobody() {
        let (second, millis) = (Duration::from_secs(1), Duration::from_millis);
        let timeout = 10 * second;
        for (asked, took, own_limit, hurried) in [
            (None, timeout, true, false),
            (Some(20 * second), timeout, true, false),
            (Some(8 * second), second, false, false),
            (Some(8 * second), 4 * second, false, true),
            (Some(millis(300)), millis(1), false, true),
        ] {
            assert_eq!(Terms::of(asked, timeout, took), Terms { own_limit, hurried }, "{asked:?}, {took:?}");
        }
    }

    #[test]
    fn kinds_tell_whose_fault_it_is() {
        use ErrorKind::{Deadline, Internal, Overloaded, Panicked, Unavailable, UnknownOutcome};
        let own = |terms: Terms| {
            let of = |kind: &ErrorKind| is_own_fault(&OperationError::new(*kind, ""), terms);
            ErrorKind::ALL.into_iter().filter(of).collect::<Vec<_>>()
        };
        let patient = Terms { own_limit: true, hurried: false };
        assert_eq!(own(patient), [Panicked, Internal, UnknownOutcome, Overloaded, Unavailable, Deadline]);
        assert_eq!(own(Terms { own_limit: false, hurried: true }), [Panicked]);
        let denied = OperationError::denied("").with_trouble(plugin_api::error::ReasonCode::Forbidden);
        assert!(is_own_fault(&denied, patient) && !is_own_fault(&OperationError::denied(""), patient));
    }
}
