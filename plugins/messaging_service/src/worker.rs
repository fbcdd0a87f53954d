//! Takes lanes that are due, works on them side by side, and lets them go: on this host as on every other one that shares
//! the database. Whatever it does not live to see, another one takes up when the lease is over.

use plugin_api::{
    error::OperationError,
    prelude::{Arc, Duration},
    tokio::{
        self,
        sync::Semaphore,
        task::JoinSet,
        time::{Instant, sleep},
    },
    tracing,
    worker::{Pulse, Worker},
};

use crate::{
    answering,
    pump::Pump,
    sending,
    store::{Direction, Lane},
    undelivered,
};

/// How often it looks for what other hosts left, or what is due by now.
const LOOK: Duration = Duration::from_millis(500);
/// While the database is away.
const AWAY: Duration = Duration::from_secs(2);
/// How often it looks how messages ended, also on other hosts.
const LOOK_AT_ENDS: Duration = Duration::from_secs(5);
/// How often what is old is forgotten.
const TIDYING: Duration = Duration::from_secs(60 * 60);
/// Taking lanes is a few statements. If all lanes are taken, one of them ends a step by then.
const LONGEST_TURN: Duration = Duration::from_secs(180);

type Outcome<T> = Result<T, OperationError>;

/// Begins to work.
pub fn start(pump: &Arc<Pump>) -> [Worker; 3] {
    let (running, tidied, looked) = (pump.clone(), pump.clone(), pump.clone());
    [
        Worker::start(&pump.context, "pump", LONGEST_TURN, move |pulse| run(running.clone(), pulse)),
        Worker::start(&pump.context, "tidying", LONGEST_TURN, move |pulse| tidy(tidied.clone(), pulse)),
        Worker::start(&pump.context, "undelivered", LONGEST_TURN, move |pulse| {
            undelivered::look_for_ever(looked.clone(), pulse)
        }),
    ]
}

/// Works for ever.
async fn run(pump: Arc<Pump>, pulse: Pulse) {
    let free = Arc::new(Semaphore::new(pump.config.concurrency));
    let (mut lanes, mut seen) = (JoinSet::new(), None);
    let mut looked: Option<Instant> = None;
    loop {
        // With all places taken, nothing turns but the lanes.
        let steps = Some(pump.steps());
        if free.available_permits() > 0 || steps != seen {
            pulse.turn();
        }
        seen = steps;
        let wait = match take_up(&pump, &free, &mut lanes).await {
            Ok(()) => {
                // A trouble outlasts the run that noticed it, and may end by what another host does.
                if looked.is_none_or(|looked| looked.elapsed() >= LOOK_AT_ENDS) {
                    looked = Some(Instant::now());
                    pump.unanswered.look(&pump.context, &pump.store).await;
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
            () = pump.woken() => {}
            () = sleep(wait) => {}
        }
    }
}

/// Forgets what is old, for ever.
async fn tidy(pump: Arc<Pump>, pulse: Pulse) {
    loop {
        pulse.turn();
        if let Err(error) = pump.store.forget_old().await {
            tracing::debug!(%error, "old messages cannot be forgotten at the moment");
        }
        pulse.rest();
        sleep(TIDYING).await;
    }
}

/// Takes as many lanes as may be worked on at once.
async fn take_up(pump: &Arc<Pump>, free: &Arc<Semaphore>, lanes: &mut JoinSet<()>) -> Outcome<()> {
    let most = free.available_permits();
    if most == 0 {
        return Ok(());
    }
    for lane in pump.store.claim(most).await? {
        // There is room: only this loop takes any.
        let Ok(permit) = free.clone().acquire_owned().await else { break };
        let pump = pump.clone();
        lanes.spawn(async move {
            work_on(&pump, lane).await;
            drop(permit);
            pump.wake();
        });
    }
    Ok(())
}

async fn work_on(pump: &Arc<Pump>, lane: Lane) {
    let worked = match lane.direction {
        Direction::In => answering::work(pump, &lane).await,
        Direction::Out => sending::work(pump, &lane).await,
    };
    pump.let_go(&lane, worked).await;
}
