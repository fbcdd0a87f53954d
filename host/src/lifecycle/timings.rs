//! How long the start of each plugin took.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Collects the timings of one start. Cheap to clone.
#[derive(Clone)]
pub(super) struct Timings {
    began: Instant,
    settled: Arc<Mutex<Settled>>,
}

#[derive(Default)]
struct Settled {
    inits: HashMap<String, Duration>,
    last: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self { began: Instant::now(), settled: Arc::default() }
    }
}

impl Timings {
    /// How long ago the start began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes that a plugin settled now, and how long its first attempt took.
    pub(super) fn note(&self, name: &str, init: Option<Duration>) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.last = self.began.elapsed();
        settled.inits.insert(name.to_owned(), init.unwrap_or_default());
    }

    /// From the beginning to the last plugin that settled.
    pub(super) fn total(&self) -> Duration {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// How long the first attempt of each plugin took.
    pub(super) fn inits(&self) -> HashMap<String, Duration> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).inits.clone()
    }
}
