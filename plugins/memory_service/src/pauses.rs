//! People whose threads are left alone for a while, because the model's answers were no summary: each of them is paid for.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use plugin_api::prelude::*;

use crate::worker::pause_after;

/// Each person's pause, as long as this run of the plugin lasts.
#[derive(Default)]
pub struct Pauses(Mutex<HashMap<String, Pause>>);

struct Pause {
    until: Instant,
    failures: u32,
}

impl Pauses {
    /// Whether this person's thread is left alone now.
    pub fn holds(&self, person: &str, now: Instant) -> bool {
        self.lock().get(person).is_some_and(|pause| now < pause.until)
    }

    /// Leaves the thread alone after one more failure in a row, for this long.
    pub fn extend(&self, person: &str, now: Instant) -> Duration {
        let mut pauses = self.lock();
        let failures = pauses.get(person).map_or(0, |pause| pause.failures);
        let length = pause_after(failures);
        let pause = Pause { until: now + length, failures: failures.saturating_add(1) };
        pauses.insert(person.to_owned(), pause);
        length
    }

    /// The thread has a summary.
    pub fn clear(&self, person: &str) {
        self.lock().remove(person);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_grow_end_and_are_each_persons_own() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        assert!(!pauses.holds("ada", now));
        let lengths = [0; 12].map(|_| pauses.extend("ada", now).as_secs());
        assert_eq!(lengths[..4], [300, 600, 1200, 2400]);
        assert_eq!(lengths[11], 24 * 3600, "and no longer");
        let end = now + Duration::from_secs(24 * 3600);
        assert!(pauses.holds("ada", end - Duration::from_secs(1)) && !pauses.holds("bob", now));
        assert!(!pauses.holds("ada", end));
        pauses.clear("ada");
        assert!(!pauses.holds("ada", now));
        assert_eq!(pauses.extend("ada", now).as_secs(), 300, "from the beginning");
    }
}
