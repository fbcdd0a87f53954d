//! The runs that this host works on: taken up when they are started here, when a person decided, and when whoever had
//! them is gone. One worker a run; its claim is renewed as long as it works, and when it cannot be, the work ends.

use std::collections::BTreeSet;

use plugin_api::{
    error::OperationError,
    lease::Working,
    prelude::*,
    tokio::{
        self, select,
        sync::{OwnedSemaphorePermit, Semaphore, watch},
        task::JoinSet,
        time::{Instant, sleep, timeout},
    },
    tracing,
    worker::{Pulse, Worker},
};

use crate::{
    decisions::{Decisions, TWILIO_SERVICE},
    messages,
    run::Run,
    shared::Shared,
    store::{Claim, Due, Started},
    worker::{self, Halt},
};

/// How often it is looked what there is to do; what happens on this host is known at once.
const LOOK: Duration = Duration::from_secs(1);
/// After trouble with the database.
const REST: Duration = Duration::from_secs(3);
/// How often it is looked for what is to be forgotten, at most.
const FORGET: Duration = Duration::from_secs(60 * 60);
/// A few statements, and one person is told.
const LONGEST_TURN: Duration = Duration::from_secs(120);
/// How long a stop waits for tools that are being called.
const LAST_CALLS: Duration = Duration::from_secs(5);

/// Begins to look what there is to do.
pub fn start(pool: &Arc<Pool>) -> Vec<Worker> {
    let (context, looking) = (&pool.shared.context, pool.clone());
    let mut workers =
        vec![Worker::start(context, "looking", LONGEST_TURN, move |pulse| looking.clone().look(pulse))];
    if context.has(TWILIO_SERVICE) {
        let (shared, decisions) = (pool.shared.clone(), pool.decisions.clone());
        workers.push(Worker::start(context, "undelivered", LONGEST_TURN, move |pulse| {
            messages::look_for_ever(shared.clone(), decisions.clone(), pulse)
        }));
    }
    workers
}

/// Works.
pub struct Pool {
    shared: Arc<Shared>,
    decisions: Arc<Decisions>,
    places: Arc<Semaphore>,
    /// The runs that it works on.
    working: Working<String>,
}

impl Pool {
    pub fn new(shared: Arc<Shared>, decisions: Arc<Decisions>) -> Self {
        let places = Arc::new(Semaphore::new(shared.config.concurrent_runs));
        Self { shared, decisions, places, working: Working::default() }
    }

    /// Keeps a new run, and begins it if there is a place for it; if not, it is taken up later, here or elsewhere.
    pub async fn start(&self, run: Run, key: &str, fingerprint: &str) -> Result<Started, OperationError> {
        let place = self.places.clone().try_acquire_owned().ok();
        let place = place.filter(|_| !*self.shared.stopping.borrow());
        let claim = place.as_ref().map(|_| self.shared.claim());
        let started = self.shared.store.insert(&run, key, fingerprint, claim.as_ref()).await?;
        match place.zip(claim) {
            Some((place, claim)) if !started.repeated => self.work(place, claim, started.run.clone()),
            _ => self.shared.wake.notify_one(),
        }
        Ok(started)
    }

    /// Looks what there is to do, again and again.
    pub async fn look(self: Arc<Self>, pulse: Pulse) {
        let mut stopping = self.shared.stopping.subscribe();
        let (mut forgotten, mut is_begun): (Option<Instant>, bool) = (None, false);
        let mut away = BTreeSet::new();
        while !*stopping.borrow() {
            let mut rest = LOOK;
            pulse.turn();
            is_begun = is_begun || self.begin().await.is_ok();
            if let Err(error) = self.take_up(&pulse, &mut forgotten, &mut away).await {
                tracing::debug!(%error, "runs cannot be claimed or tidied up at the moment");
                rest = REST;
            }
            pulse.rest();
            select! {
                () = sleep(rest) => {}
                () = self.shared.wake.notified() => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Lets go of all runs. Tools that are being called may end.
    pub async fn stop(&self) {
        self.shared.stopping.send_replace(true);
        let all = u32::try_from(self.shared.config.concurrent_runs).unwrap_or(u32::MAX);
        if timeout(LAST_CALLS, self.places.acquire_many(all)).await.is_err() {
            tracing::info!(
                "tools are still being called: the host that resumes their runs finds out what they did"
            );
        }
    }

    /// Settings and plugins may be others by now.
    async fn begin(&self) -> Result<(), OperationError> {
        self.shared.store.tell_again().await?;
        self.shared.store.look_again().await
    }

    async fn take_up(
        &self,
        pulse: &Pulse,
        forgotten: &mut Option<Instant>,
        away: &mut BTreeSet<String>,
    ) -> Result<(), OperationError> {
        let Due { mut runs, held, expired, untold, unheard } =
            self.shared.store.due(&self.decisions.telling()).await?;
        // Nothing else waits for an answer to that.
        if held > 0 && self.came_back(away).await.unwrap_or(false) {
            self.shared.store.look_again().await?;
            runs += held;
        }
        if runs > 0 {
            self.claim_free().await?;
        }
        if expired > 0 {
            self.decisions.expire().await?;
        }
        if untold > 0 {
            self.decisions.tell(pulse).await?;
        }
        // They were told, here or by another host, or somebody decided, or time did.
        if unheard == 0 || self.shared.config.approver.is_none() {
            self.shared.approver.clear(&self.shared.context).await;
        }
        let keep = self.shared.config.keep;
        if forgotten.is_none_or(|last| last.elapsed() > keep.min(FORGET)) {
            self.shared.store.forget(keep).await?;
            *forgotten = Some(Instant::now());
        }
        Ok(())
    }

    /// Whether a plugin with tools is not away any more; it may be gone for good, too.
    async fn came_back(&self, away: &mut BTreeSet<String>) -> Result<bool, OperationError> {
        let toolset = self.shared.context.host().toolset().await?;
        let now = toolset.away.into_iter().map(|away| away.plugin).collect();
        let before = std::mem::replace(away, now);
        Ok(!before.is_subset(away))
    }

    async fn claim_free(&self) -> Result<(), OperationError> {
        let mut places = Vec::new();
        while let Ok(place) = self.places.clone().try_acquire_owned() {
            places.push(place);
        }
        if places.is_empty() {
            return Ok(());
        }
        let claim = self.shared.claim();
        let working = self.working.all();
        for id in self.shared.store.claim(places.len(), &claim, &working).await? {
            match self.shared.store.run(&id).await {
                Ok(run) => {
                    run.zip(places.pop()).map_or((), |(run, place)| self.work(place, claim.clone(), run))
                }
                // One that cannot be read holds up no other.
                Err(error) => tracing::warn!(run = id, %error, "a run cannot be taken up"),
            }
        }
        Ok(())
    }

    fn work(&self, place: OwnedSemaphorePermit, claim: Claim, run: Run) {
        let shared = self.shared.clone();
        let at_work = self.working.begin(run.id.clone());
        tokio::spawn(async move {
            let _place = place;
            let id = run.id.clone();
            let (lost, watcher) = watch::channel(false);
            let worker = worker::Worker::new(shared.clone(), run, claim.clone(), watcher);
            let clock = worker.clock();
            let (renewer, renewed, run) = (shared.clone(), claim.clone(), id.clone());
            // Ends with the work, in whatever way that ends.
            let mut renewing = JoinSet::new();
            renewing.spawn(async move {
                renew(&renewer, &run, renewed, || clock.worked_ms()).await;
                lost.send_replace(true);
            });
            let halt = worker.drive().await;
            drop(renewing);
            drop(at_work);
            match halt {
                Halt::Parked | Halt::Over | Halt::Lost => {}
                Halt::Stopped => release(&shared, &id, &claim, clock.worked_ms()).await,
                Halt::Trouble(error) => {
                    tracing::warn!(run = id, %error, "a run is interrupted, and resumed later");
                }
            }
            shared.changed();
            shared.wake.notify_one();
        });
    }
}

/// Ends when the claim is not good any more, or nobody could say so for as long as it holds.
async fn renew(shared: &Shared, run: &str, claim: Claim, worked_ms: impl Fn() -> i64) {
    let mut until = Instant::now() + claim.lease;
    loop {
        sleep(claim.lease / 3).await;
        let asked = Instant::now();
        match shared.store.renew(run, &claim, worked_ms()).await {
            Ok(true) => until = asked + claim.lease,
            Ok(false) => return,
            Err(error) => {
                tracing::debug!(run, %error, "a claim cannot be renewed at the moment");
                if Instant::now() > until {
                    return;
                }
            }
        }
    }
}

async fn release(shared: &Shared, run: &str, claim: &Claim, worked_ms: i64) {
    if let Err(error) = shared.store.release(run, claim, worked_ms).await {
        tracing::debug!(run, %error, "a run could not be released before its lease ends");
    }
}
