//! Takes lanes that are due, works on them side by side, and lets them go: on this host as on every other one that shares
//! the database. Whatever it does not live to see, another one takes up when the lease is over.

use std::sync::atomic::{AtomicU64, Ordering};

use plugin_api::{
    context::Context,
    error::OperationError,
    prelude::{Arc, Duration},
    tokio::{
        self,
        sync::{Notify, Semaphore},
        task::JoinSet,
        time::{Instant, sleep, timeout},
    },
    tracing,
    worker::{Pulse, Worker},
};

use crate::{
    answering, sending,
    settings::Config,
    store::{Direction, Lane, Store, is_lost},
    unanswered::Unanswered,
    undelivered,
};

/// How often it looks for what other hosts left, or what is due by now.
const LOOK: Duration = Duration::from_millis(500);
/// While the database is away.
const AWAY: Duration = Duration::from_secs(2);
/// How often it looks how messages ended, also on other hosts.
const LOOK_AT_ENDS: Duration = Duration::from_secs(5);
/// After a lane that could not be worked on.
const AGAIN_MS: i64 = 1_000;
/// How often what is old is forgotten.
const TIDYING: Duration = Duration::from_secs(60 * 60);
/// How long a step on a message takes at most: more than all its calls together, by their deadlines.
pub const LONGEST_STEP: Duration = Duration::from_secs(150);
/// Taking lanes is a few statements. If all lanes are taken, one of them ends a step by then.
const LONGEST_TURN: Duration = Duration::from_secs(180);

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

/// Begins to work.
pub fn start(pump: &Arc<Pump>) -> [Worker; 3] {
    let (run, tidy, looked) = (pump.clone(), pump.clone(), pump.clone());
    [
        Worker::start(&pump.context, "pump", LONGEST_TURN, move |pulse| run.clone().run(pulse)),
        Worker::start(&pump.context, "tidying", LONGEST_TURN, move |pulse| tidy.clone().tidy(pulse)),
        Worker::start(&pump.context, "undelivered", LONGEST_TURN, move |pulse| {
            undelivered::look_for_ever(looked.clone(), pulse)
        }),
    ]
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

    /// A step on a message is over.
    pub fn stepped(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Works for ever.
    async fn run(self: Arc<Self>, pulse: Pulse) {
        let free = Arc::new(Semaphore::new(self.config.concurrency));
        let (mut lanes, mut seen) = (JoinSet::new(), None);
        let mut looked: Option<Instant> = None;
        loop {
            // With all places taken, nothing turns but the lanes.
            let steps = Some(self.steps.load(Ordering::Relaxed));
            if free.available_permits() > 0 || steps != seen {
                pulse.turn();
            }
            seen = steps;
            let wait = match self.take_up(&free, &mut lanes).await {
                Ok(()) => {
                    // A trouble outlasts the run that noticed it, and may end by what another host does.
                    if looked.is_none_or(|looked| looked.elapsed() >= LOOK_AT_ENDS) {
                        looked = Some(Instant::now());
                        self.unanswered.look(&self.context, &self.store).await;
                    }
                    LOOK
                }
                Err(error) => {
                    tracing::debug!(%error, "no messages can be claimed at the moment");
                    AWAY
                }
            };
            while lanes.try_join_next().is_some() {}
            if free.available_permits() > 0 {
                pulse.rest();
            }
            tokio::select! {
                () = self.work.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Forgets what is old, for ever.
    async fn tidy(self: Arc<Self>, pulse: Pulse) {
        loop {
            pulse.turn();
            if let Err(error) = self.store.forget_old().await {
                tracing::debug!(%error, "old messages cannot be forgotten at the moment");
            }
            pulse.rest();
            sleep(TIDYING).await;
        }
    }

    /// Takes as many lanes as may be worked on at once.
    async fn take_up(self: &Arc<Self>, free: &Arc<Semaphore>, lanes: &mut JoinSet<()>) -> Outcome<()> {
        let most = free.available_permits();
        if most == 0 {
            return Ok(());
        }
        for lane in self.store.claim(most).await? {
            // There is room: only this loop takes any.
            let Ok(permit) = free.clone().acquire_owned().await else { break };
            let pump = self.clone();
            lanes.spawn(async move {
                pump.work_on(lane).await;
                drop(permit);
                pump.wake();
            });
        }
        Ok(())
    }

    async fn work_on(self: &Arc<Self>, lane: Lane) {
        let worked = match lane.direction {
            Direction::In => answering::work(self, &lane).await,
            Direction::Out => sending::work(self, &lane).await,
        };
        self.let_go(&lane, worked).await;
    }

    /// Sends what is to go to a person now, if nobody else is at it.
    pub async fn send_to(self: &Arc<Self>, person: &str) -> Outcome<()> {
        if let Some(lane) = self.store.claim_of(Direction::Out, person).await? {
            let worked = sending::work(self, &lane).await;
            self.let_go(&lane, worked).await;
        }
        Ok(())
    }

    async fn let_go(&self, lane: &Lane, worked: Outcome<Option<i64>>) {
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
