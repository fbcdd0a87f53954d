//! Outcomes of recent calls, by their trace and caller: found again when that caller fails under the same trace, unless
//! the same call has gone well since.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use plugin_api::protocol::CallHeader;

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
    values: HashMap<Place, Entry<T>>,
    /// Oldest first.
    order: VecDeque<(Place, Instant)>,
}

struct Entry<T> {
    value: T,
    /// Whose outcome it is: plugin and operation.
    call: (String, String),
    at: Instant,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { kept: Mutex::new(Kept { values: HashMap::new(), order: VecDeque::new() }) }
    }
}

impl<T: Clone> Recent<T> {
    /// In the place of what was there.
    pub(super) fn lay(&self, header: &CallHeader, value: T) {
        let Some(place) = place(header) else { return };
        let entry = Entry { value, call: call(header), at: Instant::now() };
        let mut kept = self.lock();
        kept.order.push_back((place.clone(), entry.at));
        kept.values.insert(place, entry);
        while kept.order.len() > MOST
            && let Some((place, at)) = kept.order.pop_front()
        {
            // It may have been laid anew since.
            if kept.values.get(&place).is_some_and(|entry| entry.at == at) {
                kept.values.remove(&place);
            }
        }
    }

    pub(super) fn find(&self, trace: &str, caller: &str) -> Option<T> {
        let kept = self.lock();
        let entry = kept.values.get(&(trace.to_owned(), caller.to_owned()))?;
        (entry.at.elapsed() < LASTS).then(|| entry.value.clone())
    }

    /// The call went well after all.
    pub(super) fn went_well(&self, header: &CallHeader) {
        let Some(place) = place(header) else { return };
        let mut kept = self.lock();
        if kept.values.get(&place).is_some_and(|entry| entry.call == call(header)) {
            kept.values.remove(&place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` for a call that no plugin made.
fn place(header: &CallHeader) -> Option<Place> {
    Some((header.trace.clone()?, header.caller.clone()?))
}

fn call(header: &CallHeader) -> (String, String) {
    (header.plugin.clone(), header.operation.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(trace: &str, caller: &str, operation: &str) -> CallHeader {
        CallHeader {
            trace: Some(trace.to_owned()),
            caller: Some(caller.to_owned()),
            plugin: "store".to_owned(),
            operation: operation.to_owned(),
            ..CallHeader::default()
        }
    }

    #[test]
    fn only_the_last_ones_are_kept() {
        let recent = Recent::default();
        recent.lay(&header("t", "first", "work"), 1);
        recent.lay(&header("t", "again", "work"), 1);
        for number in 0..MOST - 1 {
            recent.lay(&header(&number.to_string(), "web", "work"), 1);
        }
        assert_eq!(recent.find("t", "first"), None);
        recent.lay(&header("t", "again", "work"), 2);
        assert_eq!(recent.find("t", "again"), Some(2), "laid anew, so it is not the oldest");
        assert_eq!(recent.lock().values.len(), MOST);
    }

    #[test]
    fn each_is_found_by_its_trace_and_its_caller() {
        let recent = Recent::default();
        recent.lay(&header("t", "web", "work"), 1);
        assert_eq!(
            (recent.find("t", "web"), recent.find("u", "web"), recent.find("t", "store")),
            (Some(1), None, None)
        );
        recent.went_well(&header("t", "web", "rest"));
        assert_eq!(recent.find("t", "web"), Some(1), "another call tells nothing of it");
        recent.went_well(&header("t", "web", "work"));
        assert_eq!(recent.find("t", "web"), None);
    }
}
