//! How long a request may take: the statement timeout, or less where its caller waits less.

use std::time::{Duration, Instant};

use plugin_api::tokio::time::{Instant as TokioInstant, timeout_at};

use crate::errors::Trouble;

/// The server is to notice first: then the connection stays good. This is how much later we do.
const GRACE: Duration = Duration::from_millis(250);

/// A point in time by which a request must be done.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    ends: Instant,
}

impl Budget {
    /// At most `limit` from now, or less if the caller waits less.
    pub fn new(limit: Duration, caller: Option<Duration>) -> Self {
        Self { ends: Instant::now() + caller.map_or(limit, |caller| caller.min(limit)) }
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Does it within the time, or gives it up.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        timeout_at(TokioInstant::from_std(self.ends + GRACE), work)
            .await
            .unwrap_or_else(|_| Err(Trouble::deadline()))
    }
}
