//! Whose fault a failed call was: a plugin that fails because a call of its own failed only passes it on. A failed call is
//! noted with its trace and its caller, and found again when that caller fails under the same trace.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use plugin_api::error::{ErrorKind, OperationError};

/// So many are kept; what fails up the chain fails soon afterwards.
const MOST: usize = 4096;
/// After so long a failure is no cause of another one.
const LASTS: Duration = Duration::from_secs(600);

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

/// The failed calls of late.
#[derive(Default)]
pub(super) struct Blame {
    kept: Mutex<Kept>,
}

/// A trace, and the plugin that called under it.
type Place = (String, String);

#[derive(Default)]
struct Kept {
    culprits: HashMap<Place, (Culprit, Instant)>,
    /// Oldest first.
    order: VecDeque<(Place, Instant)>,
}

impl Blame {
    /// A call of this caller failed.
    pub(super) fn lay(&self, trace: &str, caller: &str, culprit: Culprit) {
        let (place, now) = ((trace.to_owned(), caller.to_owned()), Instant::now());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.culprits.insert(place.clone(), (culprit, now));
        kept.order.push_back((place, now));
        while kept.order.len() > MOST
            && let Some((place, at)) = kept.order.pop_front()
        {
            // It may have been laid anew since.
            if kept.culprits.get(&place).is_some_and(|(_, laid)| *laid == at) {
                kept.culprits.remove(&place);
            }
        }
    }

    /// What failed when this plugin called it under this trace.
    pub(super) fn find(&self, trace: &str, caller: &str) -> Option<Culprit> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (culprit, at) = kept.culprits.get(&(trace.to_owned(), caller.to_owned()))?;
        (at.elapsed() < LASTS).then(|| culprit.clone())
    }

    /// The same call went well after all.
    pub(super) fn forgive(&self, trace: &str, caller: &str, plugin: &str, operation: &str) {
        let place = (trace.to_owned(), caller.to_owned());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same =
            |(culprit, _): &(Culprit, Instant)| culprit.plugin == plugin && culprit.operation == operation;
        if kept.culprits.get(&place).is_some_and(is_same) {
            kept.culprits.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn culprit(plugin: &str) -> Culprit {
        Culprit { plugin: plugin.to_owned(), operation: "work".to_owned() }
    }

    #[test]
    fn a_failed_call_is_found_by_its_trace_and_its_caller() {
        let blame = Blame::default();
        blame.lay("t", "web", culprit("store"));
        assert_eq!(blame.find("t", "web"), Some(culprit("store")));
        assert_eq!((blame.find("u", "web"), blame.find("t", "store")), (None, None));
        blame.forgive("t", "web", "mail", "work");
        assert_eq!(blame.find("t", "web"), Some(culprit("store")), "another call went well");
        blame.forgive("t", "web", "store", "work");
        assert_eq!(blame.find("t", "web"), None);
    }

    #[test]
    fn only_the_last_ones_are_kept() {
        let blame = Blame::default();
        blame.lay("t", "first", culprit("store"));
        blame.lay("t", "again", culprit("store"));
        for number in 0..MOST - 1 {
            blame.lay(&number.to_string(), "web", culprit("store"));
        }
        assert_eq!(blame.find("t", "first"), None);
        blame.lay("t", "again", culprit("mail"));
        assert_eq!(blame.find("t", "again"), Some(culprit("mail")), "laid anew, so it is not the oldest");
        assert_eq!(blame.kept.lock().unwrap().culprits.len(), MOST);
    }

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
