//! Outcomes of recent calls, by their trace and caller: found again when that caller fails under the same trace.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// So many are kept; what fails up the chain fails soon afterwards.
const MOST: usize = 4096;
/// After so long a failure is no cause of another one.
const LASTS: Duration = Duration::from_secs(600);

/// A bounded memory.
pub(super) struct Recent<T> {
    kept: Mutex<Kept<T>>,
}

/// A trace, and the plugin that called under it.
type Place = (String, String);

struct Kept<T> {
    values: HashMap<Place, (T, Instant)>,
    /// Oldest first.
    order: VecDeque<(Place, Instant)>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { kept: Mutex::new(Kept { values: HashMap::new(), order: VecDeque::new() }) }
    }
}

impl<T: Clone> Recent<T> {
    /// In the place of what was there.
    pub(super) fn lay(&self, trace: &str, caller: &str, value: T) {
        let (place, now) = ((trace.to_owned(), caller.to_owned()), Instant::now());
        let mut kept = self.lock();
        kept.values.insert(place.clone(), (value, now));
        kept.order.push_back((place, now));
        while kept.order.len() > MOST
            && let Some((place, at)) = kept.order.pop_front()
        {
            // It may have been laid anew since.
            if kept.values.get(&place).is_some_and(|(_, laid)| *laid == at) {
                kept.values.remove(&place);
            }
        }
    }

    pub(super) fn find(&self, trace: &str, caller: &str) -> Option<T> {
        let kept = self.lock();
        let (value, at) = kept.values.get(&(trace.to_owned(), caller.to_owned()))?;
        (at.elapsed() < LASTS).then(|| value.clone())
    }

    pub(super) fn forget(&self, trace: &str, caller: &str) {
        self.lock().values.remove(&(trace.to_owned(), caller.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ones_are_kept() {
        let recent = Recent::default();
        recent.lay("t", "first", 1);
        recent.lay("t", "again", 1);
        for number in 0..MOST - 1 {
            recent.lay(&number.to_string(), "web", 1);
        }
        assert_eq!(recent.find("t", "first"), None);
        recent.lay("t", "again", 2);
        assert_eq!(recent.find("t", "again"), Some(2), "laid anew, so it is not the oldest");
        assert_eq!(recent.lock().values.len(), MOST);
    }

    #[test]
    fn each_is_found_by_its_trace_and_its_caller() {
        let recent = Recent::default();
        recent.lay("t", "web", 1);
        assert_eq!(
            (recent.find("t", "web"), recent.find("u", "web"), recent.find("t", "store")),
            (Some(1), None, None)
        );
        recent.forget("t", "web");
        assert_eq!(recent.find("t", "web"), None);
    }
}
