//! Runs the plan. Each plugin has a supervisor, a task that starts it as soon as everything it depends on has settled,
//! retries, probes, heals and stops it, and tells the board what happens. Supervisors know of each other only whether
//! they have settled, and whether they hold their dependents.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use plugin_api::{error::OperationError, protocol::CreateRequest, requests::host::Report};
use tokio::sync::{mpsc, oneshot};

use crate::{
    graph::StartPlan,
    loader::Library,
    scrub::Scrubber,
    status::{Board, StartReport},
    switch::Switch,
};

mod backoff;
mod gate;
mod inbox;
mod incarnation;
mod supervisor;
mod timings;

pub use backoff::Backoff;

use gate::Gates;
use inbox::Command;
use supervisor::Supervisor;
use timings::Timings;

/// How many commands of one plugin may wait. Evidence beyond that says nothing new.
const COMMANDS: usize = 64;

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
    },
}

/// How long attempts and probes may take, and how they are repeated.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How long `create`, and one attempt of `init`, may take.
    pub init_timeout: Duration,
    /// How often to probe; `None` without a probe of its own.
    pub probe_interval: Option<Duration>,
    /// How long one probe may take.
    pub probe_timeout: Duration,
    /// How many attempts make a series.
    pub attempts: u32,
    /// How long to wait between them.
    pub backoff: Backoff,
    /// How long to wait between attempts after a series has failed.
    pub recovery: Duration,
}

/// A running set of plugins.
#[derive(Clone)]
pub struct Lifecycle {
    commands: Arc<HashMap<String, mpsc::Sender<Command>>>,
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
        let gates = Gates::new(units.iter().map(|unit| unit.name.clone()));
        let timings = Timings::default();
        let mut commands = HashMap::new();
        for unit in units {
            let (sender, receiver) = mpsc::channel(COMMANDS);
            commands.insert(unit.name.clone(), sender);
            let surroundings = supervisor::Surroundings {
                board: board.clone(),
                switch: switch.clone(),
                scrubber: scrubber.clone(),
                gates: gates.clone(),
                timings: timings.clone(),
            };
            tokio::spawn(Supervisor::new(unit, surroundings, receiver).run());
        }
        tokio::spawn(report_start(plan.clone(), gates, timings, board.clone()));
        Self { commands: Arc::new(commands), plan }
    }

    /// Probes a plugin now, or attempts to bring it up, and waits for the outcome. Who asks meanwhile shares it.
    ///
    /// # Errors
    /// `not_found` for an unknown name; `unavailable` while the host stops.
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

    /// Stops every plugin, dependents before what they depend on; each may take `grace` to end what it began.
    pub async fn stop(&self, grace: Duration) {
        for wave in self.plan.waves().iter().rev() {
            join_all(wave.iter().map(|name| self.stop_one(name, grace))).await;
        }
    }

    async fn stop_one(&self, name: &str, grace: Duration) {
        let Ok(commands) = self.commands_of(name) else { return };
        let (done, stopped) = oneshot::channel();
        if commands.send(Command::Stop { grace, done }).await.is_ok() {
            // The supervisor drops it when it ends in another way.
            let _ = stopped.await;
        }
    }

    fn commands_of(&self, name: &str) -> Result<&mpsc::Sender<Command>, OperationError> {
        self.commands
            .get(name)
            .ok_or_else(|| OperationError::not_found(format!("there is no plugin `{name}`")))
    }
}

/// Tells the board of the order at once, and of the critical path when everything has settled.
async fn report_start(plan: Arc<StartPlan>, gates: Gates, timings: Timings, board: Board) {
    let report = StartReport { waves: plan.waves().to_vec(), ..StartReport::default() };
    board.set_start(report.clone());
    gates.all_settled().await;
    let total_ms = Some((timings.total().as_secs_f64() * 10_000.0).round() / 10.0);
    let critical_path = plan.critical_path(&timings.inits());
    board.set_start(StartReport { critical_path, total_ms, ..report });
}

#[cfg(test)]
mod tests;
