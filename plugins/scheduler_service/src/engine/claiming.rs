//! Jobs whose moment has come -> tasks of this host, never more than there is room for.

use std::sync::atomic::Ordering;

use plugin_api::{
    lease::AtWork,
    prelude::*,
    tokio::{
        self,
        sync::OwnedSemaphorePermit,
        time::{sleep, timeout},
    },
    tracing,
    worker::Pulse,
};

use super::Engine;
use crate::store::{Claim, Job};

/// Room that becomes free within this time is filled by one claim.
const GATHER: Duration = Duration::from_millis(5);
/// The most jobs in one claim.
const MOST: usize = 200;
/// How often it shows that it turns while there is no room.
const SIGN: Duration = Duration::from_secs(5);

impl Engine {
    pub(super) async fn claim_for_ever(self: Arc<Self>, pulse: Pulse) {
        let mut is_down = false;
        loop {
            pulse.turn();
            let Some(room) = self.find_room().await else { continue };
            let claimed = self.claim(room).await;
            let was_down = std::mem::replace(&mut is_down, claimed.is_err());
            match claimed {
                Ok(_) if was_down => tracing::info!("jobs can be claimed again"),
                Ok(0) => {
                    pulse.rest();
                    self.pause().await;
                }
                Ok(_) => {}
                Err(error) => {
                    if !was_down {
                        tracing::warn!("no jobs can be claimed: {error}");
                    }
                    sleep(self.config.poll).await;
                }
            }
        }
    }

    /// All room that there is; `None` if none became free for a while.
    async fn find_room(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = timeout(SIGN, self.room.clone().acquire_owned()).await.ok()?.ok()?;
        if self.room.available_permits() < self.config.concurrent / 2 {
            sleep(GATHER).await;
        }
        let mut room = vec![first];
        while room.len() < MOST
            && let Ok(more) = self.room.clone().try_acquire_owned()
        {
            room.push(more);
        }
        Some(room)
    }

    async fn claim(self: &Arc<Self>, room: Vec<OwnedSemaphorePermit>) -> Result<usize, OperationError> {
        let owner = format!("{}{}", self.owner, self.claims.fetch_add(1, Ordering::Relaxed));
        let working = self.working.all();
        let jobs = self.store.claim(&owner, self.config.lease, room.len(), &working).await?;
        let claimed = jobs.len();
        for (job, permit) in jobs.into_iter().zip(room) {
            let at_work = self.working.begin((job.id.clone(), job.owner.clone()));
            tokio::spawn(self.clone().work(job, permit, at_work));
        }
        Ok(claimed)
    }

    /// The permit is given back when all is written. Until then the lease is renewed, however the work ends.
    async fn work(self: Arc<Self>, job: Job, permit: OwnedSemaphorePermit, at_work: AtWork<Claim>) {
        self.fire(&job).await;
        drop((at_work, permit));
    }

    async fn pause(&self) {
        // Either way it is time to look.
        let _ = timeout(self.config.poll, self.wake.notified()).await;
    }
}
