//! What makes the jobs happen: takes those whose moment has come, does them, and writes what became of them. One engine a
//! host; they meet only in the database. In the order in which a job passes:
//! - `claiming`: takes jobs, as many as there is room for.
//! - `presence`: whether what a job needs is there.
//! - `firing`: one claimed job -> what became of it.
//! - `recorder`: beginnings and ends of many jobs, each in one statement.
//! - `caretaker`: renews leases, resumes what was parked, forgets what is old, tells the host what waits for a person.

mod caretaker;
mod claiming;
mod firing;
mod presence;
mod recorder;

use std::sync::atomic::AtomicU64;

use plugin_api::{
    lease::Working,
    prelude::*,
    process,
    standing::Standing,
    tokio::{self, sync::Notify, sync::Semaphore},
    worker::Worker,
};

use self::{presence::Presences, recorder::Recorder};
use crate::{
    settings::Config,
    store::{Claim, Store},
};

/// A turn of a loop is a few statements.
const LONGEST_TURN: Duration = Duration::from_secs(120);
/// How long what is under way may take to end when the engine is stopped.
const FAREWELL: Duration = Duration::from_secs(5);

/// Makes the jobs happen.
pub struct Engine {
    context: Context,
    config: Arc<Config>,
    store: Arc<Store>,
    recorder: Recorder,
    presences: Presences,
    lost_jobs: Standing,
    /// Begins the names of all its claims, and of nothing else.
    owner: String,
    claims: AtomicU64,
    /// The jobs that it is at.
    working: Working<Claim>,
    room: Arc<Semaphore>,
    wake: Notify,
}

impl Engine {
    pub fn new(context: Context, config: Arc<Config>, store: Arc<Store>) -> Self {
        let owner = format!("{}{}:", process::name(), random_id());
        Self {
            recorder: Recorder::start(context.clone(), store.clone()),
            presences: Presences::new(context.clone(), config.poll),
            lost_jobs: Standing::new(caretaker::LOST_JOBS),
            room: Arc::new(Semaphore::new(config.concurrent)),
            context,
            config,
            store,
            owner,
            claims: AtomicU64::new(0),
            working: Working::default(),
            wake: Notify::new(),
        }
    }

    /// Begins to look for jobs.
    pub fn start(self: &Arc<Self>) -> [Worker; 3] {
        let (context, [claims, renews, cares]) = (&self.context, [self.clone(), self.clone(), self.clone()]);
        [
            Worker::start(context, "claiming", LONGEST_TURN, move |pulse| {
                claims.clone().claim_for_ever(pulse)
            }),
            Worker::start(context, "renewing", LONGEST_TURN, move |pulse| {
                renews.clone().renew_for_ever(pulse)
            }),
            Worker::start(context, "caretaking", LONGEST_TURN, move |pulse| {
                cares.clone().care_for_ever(pulse)
            }),
        ]
    }

    /// Something may be due at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Lets what is under way end, and leaves the rest to others. Nothing is claimed any more by then.
    pub async fn farewell(&self) {
        let all = u32::try_from(self.config.concurrent).unwrap_or(u32::MAX);
        // What takes longer is found by its lease.
        let _ = tokio::time::timeout(FAREWELL, self.room.acquire_many(all)).await;
        if let Err(error) = self.store.release(&self.owner).await {
            plugin_api::tracing::warn!("jobs could not be released before their leases end: {error}");
        }
    }
}

/// A name that nothing else has.
pub fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
