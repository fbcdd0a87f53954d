//! How long the body of a request may take to arrive: a while, for as many as are a client's share. Further ones have to
//! be there at once, as those of a webhook are, so that no client holds all connections by bodies that never end.

use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{problem::Problem, shares::Shares};

/// How long a body may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long one may take beyond the share of its client.
const NO_PATIENCE: Duration = Duration::from_secs(1);

/// How many of a client may take their time at once.
const SHARE: usize = 64;

/// Waits for bodies.
pub(super) struct Bodies(Arc<Shares>);

impl Bodies {
    pub(super) fn new() -> Self {
        Self(Shares::new(SHARE))
    }

    /// Reads one, in time.
    pub(super) async fn read<T>(
        &self,
        client: Option<IpAddr>,
        body: impl Future<Output = T>,
    ) -> Result<T, Problem> {
        let part = self.0.take(client);
        let patience = if part.is_some() { PATIENCE } else { NO_PATIENCE };
        timeout(patience, body).await.map_err(|_| too_slow(patience))
    }
}

/// The body of a request did not arrive in time.
pub(super) fn too_slow(patience: Duration) -> Problem {
    let detail = format!("the body did not arrive within {} s", patience.as_secs());
    Problem::request_timeout(detail, "send less at a time, or over a faster connection")
}
