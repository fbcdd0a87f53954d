//! What an exchange showed of the plugin's own health -> the host: successes once in a while, failures at once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use plugin_api::{prelude::*, requests::host::Report, tokio, tracing};

/// A busy account tells that it works no more often than this.
const SUCCESS_INTERVAL: Duration = Duration::from_secs(1);

/// Tells the host.
#[derive(Clone)]
pub struct Reporter {
    context: Context,
    successes: Arc<Throttle>,
}

impl Reporter {
    pub fn new(context: Context) -> Self {
        Self { context, successes: Arc::new(Throttle::new(SUCCESS_INTERVAL)) }
    }

    /// An authenticated request succeeded.
    pub fn success(&self) {
        if self.successes.passes() {
            self.report(Report::Success);
        }
    }

    /// Something is wrong with more than one request.
    pub fn failure(&self, failure: Failure) {
        self.report(failure.into());
    }

    /// Does not wait: no request depends on it.
    fn report(&self, report: Report) {
        let context = self.context.clone();
        tokio::spawn(async move {
            if let Err(error) = context.host().report(report).await {
                tracing::debug!(%error, "the host did not accept the health report");
            }
        });
    }
}

/// Lets something pass once in an interval.
pub struct Throttle {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl Throttle {
    pub fn new(interval: Duration) -> Self {
        Self { interval, last: Mutex::new(None) }
    }

    /// Whether it may pass now; then it has.
    pub fn passes(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passes = last.is_none_or(|last| last.elapsed() >= self.interval);
        if passes {
            *last = Some(Instant::now());
        }
        passes
    }
}
