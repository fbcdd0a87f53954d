//! What all work on lanes shares, and how it hears of what there is to do.

use std::sync::atomic::{AtomicU64, Ordering};

use plugin_api::{
    context::Context,
    error::OperationError,
    prelude::Duration,
    tokio::{sync::Notify, time::timeout},
    tracing,
};

use crate::{
    settings::Config,
    store::{Lane, Store, is_lost},
    unanswered::Unanswered,
};

/// After a lane that could not be worked on.
const AGAIN_MS: i64 = 1_000;
/// How long a step on a message takes at most: more than all its calls together, by their deadlines.
pub const LONGEST_STEP: Duration = Duration::from_secs(150);

type Outcome<T> = Result<T, OperationError>;

/// What all lanes share.
pub struct Pump {
    pub context: Context,
    pub config: Config,
    pub store: Store,
    pub unanswered: Unanswered,
    work: Notify,
    change: Notify,
    /// How many steps on messages are over.
    steps: AtomicU64,
}

impl Pump {
    pub fn new(context: Context, config: Config) -> Self {
        let store = Store::new(context.clone());
        let (work, change) = (Notify::new(), Notify::new());
        Self { context, config, store, unanswered: Unanswered::new(), work, change, steps: AtomicU64::new(0) }
    }

    /// Something was put into a lane.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Something became of a part.
    pub fn changed(&self) {
        self.change.notify_waiters();
    }

    /// Waits until something becomes of a part here, or for so long: it may happen on another host.
    pub async fn change(&self, most: Duration) {
        // That nothing happened is no news.
        let _ = timeout(most, self.change.notified()).await;
    }

    /// Counts something in the metrics of the host; that is not worth an error.
    pub async fn count(&self, name: &str) {
        if let Err(error) = self.context.host().count(name, 1).await {
            tracing::debug!(%error, "`{name}` could not be counted");
        }
    }

    /// Waits until something is put into a lane here.
    pub async fn woken(&self) {
        self.work.notified().await;
    }

    /// How many steps on messages are over.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// A step on a message is over.
    pub fn stepped(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets a lane go, with what came of the work on it.
    pub async fn let_go(&self, lane: &Lane, worked: Outcome<Option<i64>>) {
        let person = &lane.person;
        let due = match worked {
            Ok(next) => next,
            Err(error) if is_lost(&error) => {
                tracing::debug!(person, "another claim took over, here or on another host");
                return;
            }
            Err(error) => {
                tracing::warn!(person, %error, "a thread cannot be worked on at the moment");
                Some(self.store.now_ms() + AGAIN_MS)
            }
        };
        if let Err(error) = self.store.release(lane, due).await {
            tracing::debug!(person, %error, "a lane could not be released before its lease ends");
        }
    }
}
