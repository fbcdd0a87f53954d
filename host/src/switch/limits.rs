//! How many calls of one plugin run at once, how many wait, and for how long: more than that is `overloaded` at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use plugin_api::error::OperationError;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The limits of a plugin's calls (`calls` in plugins.toml).
#[derive(Clone)]
pub struct Limits {
    timeout: Duration,
    concurrent: usize,
    queue: usize,
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Limits {
    /// At most `concurrent` calls at once, at most `queue` waiting, each for at most `timeout`.
    pub fn new(timeout: Duration, concurrent: usize, queue: usize) -> Self {
        let running = Arc::new(Semaphore::new(concurrent));
        Self { timeout, concurrent, queue, running, waiting: Arc::default() }
    }

    /// The shorter of the caller's deadline and the plugin's own.
    pub(super) fn deadline(&self, asked_ms: Option<u64>) -> Duration {
        asked_ms.map_or(self.timeout, |asked| self.timeout.min(Duration::from_millis(asked)))
    }

    /// The plugin's own limit for a call.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Takes a place, or waits for one in the queue.
    pub(super) async fn enter(&self, name: &str) -> Result<SemaphorePermit<'_>, OperationError> {
        if let Ok(permit) = self.running.try_acquire() {
            return Ok(permit);
        }
        let _place = Place::take(&self.waiting, self.queue).ok_or_else(|| {
            OperationError::overloaded(format!(
                "`{name}` runs {} calls, and {} wait: both are the limit",
                self.concurrent, self.queue
            ))
        })?;
        self.running.acquire().await.map_err(|_| OperationError::cancelled(format!("`{name}` was stopped")))
    }
}

/// A place in the queue, given back when the wait ends in whatever way.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let place = Self(waiting);
        // The guard exists before the check, so that a refusal gives the place back, too.
        (waiting.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::error::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn beyond_the_queue_a_call_is_refused_at_once() {
        let limits = Limits::new(Duration::from_secs(1), 1, 1);
        let first = limits.enter("mail").await.unwrap();
        let second = limits.clone();
        let waiting = tokio::spawn(async move { second.enter("mail").await.map(drop) });
        while limits.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let refused = limits.enter("mail").await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Overloaded);
        assert_eq!(refused.message, "`mail` runs 1 calls, and 1 wait: both are the limit");
        drop(first);
        waiting.await.unwrap().unwrap();
        drop(limits.enter("mail").await.unwrap());
    }

    #[test]
    fn the_shorter_deadline_counts() {
        let limits = Limits::new(Duration::from_secs(10), 1, 1);
        assert_eq!(limits.deadline(None), Duration::from_secs(10));
        assert_eq!(limits.deadline(Some(500)), Duration::from_millis(500));
        assert_eq!(limits.deadline(Some(60_000)), Duration::from_secs(10));
    }
}
