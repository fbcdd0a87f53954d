//! Runs the plan. Each plugin has a supervisor, a task that starts it as soon as everything it depends on has settled,
//! retries, probes, heals and stops it, and tells the board what happens. Supervisors know of each other only whether
//! they have settled, and whether they hold their dependents.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use plugin_api::{error::OperationError, protocol::CreateRequest, requests::host::Report};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    graph::StartPlan,
    loader::Library,
    scrub::Scrubber,
    status::{Board, StartReport},
    switch::Switch,
    tasks,
};

mod backoff;
mod gate;
mod inbox;
mod incarnation;
mod supervisor;
mod timings;

pub use backoff::Backoff;

use gate::Gates;
use inbox::{Command, Stop};
use supervisor::Supervisor;
use timings::Timings;

/// How many commands of one plugin may wait. Evidence beyond that says nothing new.
const COMMANDS: usize = 64;
/// What a plugin has for its `stop`, however long others took.
const LEAST_GRACE: Duration = Duration::from_secs(1);

/// A plugin to be run.
pub struct Unit {
    /// The instance's name.
    pub name: String,
    /// What can be done with it.
    pub standing: Standing,
    /// The declared dependencies that plugins.toml names, and whether they are required.
    pub dependencies: BTreeMap<String, bool>,
    /// How long attempts and probes may take, and how they are repeated.
    pub pace: Pace,
    /// What was before it, in this run of the host.
    pub before: Before,
}

/// What can be done with a plugin before anything was tried.
pub enum Standing {
    /// It has a library and settings.
    Startable {
        /// The library.
        library: Arc<dyn Library>,
        /// What an instance is made from.
        request: Box<CreateRequest>,
    },
    /// Required settings are absent.
    NotConfigured {
        /// The variable of each, else its place in plugins.toml.
        missing: Vec<String>,
        /// More than "is not set", where there is more to say.
        message: Option<String>,
    },
    /// Its settings cannot be read.
    ConfigInvalid {
        /// The variable of each, else its place in plugins.toml.
        invalid: Vec<String>,
        /// For a person.
        message: String,
    },
    /// Its library cannot be used.
    Quarantined {
        /// For a person.
        message: String,
        /// What to do about it.
        fix: String,
    },
}

/// How long attempts and probes may take, and how they are repeated.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How long `create`, and one attempt of `init`, may take.
    pub init_timeout: Duration,
    /// How often to probe; `None` without a probe of its own.
    pub probe_interval: Option<Duration>,
    /// How often an instance without a probe is asked whether its threads still turn.
    pub heartbeat: Duration,
    /// How long one probe may take.
    pub probe_timeout: Duration,
    /// How many attempts make a series.
    pub attempts: u32,
    /// How long to wait between them.
    pub backoff: Backoff,
    /// How long to wait at most between attempts after a series has failed.
    pub recovery: Duration,
}

impl Pace {
    /// How long to wait for another attempt of what has not been ready for so long: a quarter of that, so that a hiccup
    /// is over soon after it ends, and a server that is gone for the night is not asked all the time.
    fn recovery_after(&self, failing_for: Duration) -> Duration {
        (failing_for / 4).max(self.backoff.base.saturating_mul(4)).min(self.recovery)
    }
}

/// What is left of a plugin's instances in this run of the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Before {
    /// How many there were.
    pub(crate) generation: u64,
    /// How many of them hung and were given up.
    pub(crate) abandoned: u32,
}

/// A running set of plugins. Cheap to clone.
#[derive(Clone)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

struct Inner {
    board: Board,
    switch: Switch,
    scrubber: Scrubber,
    running: ArcSwap<Running>,
}

/// The plugins that there are now.
struct Running {
    commands: HashMap<String, mpsc::Sender<Command>>,
    gates: Gates,
    plan: Arc<StartPlan>,
}

impl Lifecycle {
    /// Starts a supervisor for each plugin, and returns at once.
    pub fn start(
        units: Vec<Unit>,
        plan: Arc<StartPlan>,
        board: &Board,
        switch: &Switch,
        scrubber: &Scrubber,
    ) -> Self {
        let nothing = Running { commands: HashMap::new(), gates: Gates::default(), plan: plan.clone() };
        let lifecycle = Self {
            inner: Arc::new(Inner {
                board: board.clone(),
                switch: switch.clone(),
                scrubber: scrubber.clone(),
                running: ArcSwap::from_pointee(nothing),
            }),
        };
        let timings = Timings::default();
        lifecycle.launch(units, plan.clone(), &timings);
        let gates = lifecycle.inner.running.load().gates.clone();
        let reported = board.clone();
        tasks::spawn(board, "start_report", move || {
            report_start(plan.clone(), gates.clone(), timings.clone(), reported.clone())
        });
        lifecycle
    }

    /// From now on this plan holds. Its plugins that are among `units` have been stopped, or are new: they are started;
    /// the others go on.
    pub fn resume(&self, units: Vec<Unit>, plan: Arc<StartPlan>) {
        self.launch(units, plan.clone(), &Timings::default());
        let start = self.inner.board.snapshot().start.clone();
        self.inner
            .board
            .set_start(StartReport { waves: plan.waves().to_vec(), ..StartReport::clone(&start) });
    }

    fn launch(&self, units: Vec<Unit>, plan: Arc<StartPlan>, timings: &Timings) {
        let before = self.inner.running.load_full();
        let starts: BTreeSet<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
        let gates = Gates::new(plan.order(), &before.gates, |name| !starts.contains(name));
        let goes_on = before.commands.iter().filter(|(name, _)| plan.contains(name));
        let mut commands: HashMap<_, _> =
            goes_on.map(|(name, sender)| (name.clone(), sender.clone())).collect();
        for unit in units {
            let (sender, receiver) = mpsc::channel(COMMANDS);
            commands.insert(unit.name.clone(), sender);
            let surroundings = supervisor::Surroundings {
                board: self.inner.board.clone(),
                switch: self.inner.switch.clone(),
                scrubber: self.inner.scrubber.clone(),
                gates: gates.clone(),
                timings: timings.clone(),
            };
            tokio::spawn(Supervisor::new(unit, surroundings, receiver).run());
        }
        self.inner.running.store(Arc::new(Running { commands, gates, plan }));
    }

    /// Probes a plugin now, or attempts to bring it up, and waits for the outcome. Callers meanwhile share it.
    ///
    /// # Errors
    /// `not_found` for an unknown name; `unavailable` while it is stopped.
    pub async fn verify(&self, name: &str) -> Result<(), OperationError> {
        let (done, verified) = oneshot::channel();
        let stopping = || OperationError::unavailable(format!("`{name}` is being stopped"));
        self.commands_of(name)?.send(Command::Verify(Some(done))).await.map_err(|_| stopping())?;
        verified.await.map_err(|_| stopping())
    }

    /// Asks for a probe of a plugin soon.
    ///
    /// # Errors
    /// `not_found` for an unknown name.
    pub fn verify_soon(&self, name: &str) -> Result<(), OperationError> {
        // A full queue holds what leads to a probe, too.
        let _ = self.commands_of(name)?.try_send(Command::Verify(None));
        Ok(())
    }

    /// Takes a plugin's evidence of its own health.
    ///
    /// # Errors
    /// `not_found` for an unknown name.
    pub fn report(&self, name: &str, report: Report) -> Result<(), OperationError> {
        // What does not fit says nothing that the waiting evidence does not say.
        let _ = self.commands_of(name)?.try_send(Command::Report(report));
        Ok(())
    }

    /// Stops every plugin, dependents before what they depend on, within `grace` of now: calls and streams in progress may
    /// end, and then each plugin what it began. Of those whose turn comes later than that, each has a second.
    pub async fn stop(&self, grace: Duration) {
        self.stop_some(|_| true, grace).await;
    }

    /// Stops the plugins of these names, as [`Lifecycle::stop`] does; gives what is left of each.
    pub async fn stop_some(&self, stops: impl Fn(&str) -> bool, grace: Duration) -> HashMap<String, Before> {
        let plan = self.inner.running.load().plan.clone();
        let stop_until = Instant::now() + grace;
        let mut left = HashMap::new();
        for wave in plan.waves().iter().rev() {
            let names = wave.iter().filter(|name| stops(name));
            let stopping = names.map(async |name| {
                let before = self.stop_one(name, stop_until).await;
                before.map(|before| (name.clone(), before))
            });
            left.extend(join_all(stopping).await.into_iter().flatten());
        }
        left
    }

    /// `None` if its supervisor is gone already.
    async fn stop_one(&self, name: &str, drain_until: Instant) -> Option<Before> {
        let commands = self.commands_of(name).ok()?;
        let (done, stopped) = oneshot::channel();
        commands.send(Command::Stop(Stop { drain_until, least: LEAST_GRACE, done })).await.ok()?;
        stopped.await.ok()
    }

    fn commands_of(&self, name: &str) -> Result<mpsc::Sender<Command>, OperationError> {
        let running = self.inner.running.load();
        let commands = running.commands.get(name).cloned();
        commands.ok_or_else(|| OperationError::not_found(format!("there is no plugin `{name}`")))
    }
}

/// Tells the board of the order at once, and of the critical path when everything has settled.
async fn report_start(plan: Arc<StartPlan>, gates: Gates, timings: Timings, board: Board) {
    let report = StartReport { waves: plan.waves().to_vec(), ..StartReport::default() };
    board.set_start(report);
    gates.all_settled().await;
    let total_ms = Some((timings.total().as_secs_f64() * 10_000.0).round() / 10.0);
    let critical_path = plan.critical_path(&timings.inits());
    // A reload may have changed the order meanwhile.
    let waves = board.snapshot().start.waves.clone();
    board.set_start(StartReport { waves, critical_path, total_ms });
}

#[cfg(test)]
mod tests;
