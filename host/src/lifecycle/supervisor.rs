//! The life of one plugin, as one task: wait, attempt, probe, recover, stop. It alone touches the plugin's instance,
//! and answers commands at every moment. A panic in it is not its end: see [`Supervisor::pick_up`].

use std::time::Duration;

use plugin_api::{
    error::{Failure, Policy},
    requests::host::Report,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};

use crate::{
    clock,
    scrub::Scrubber,
    status::{Board, Event, Status, Transition},
    switch::Switch,
    tasks::{self, Panicked},
};

use super::{
    Before, Standing, Unit,
    gate::{Gate, Gates},
    inbox::{Command, Inbox, Stop},
    incarnation::Incarnation,
    timings::Timings,
};

/// Evidence of success counts once in this time: a busy plugin reports with every call.
const EVIDENCE_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait after the second panic in a row, doubled with each further one.
const PANIC_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PANIC_PAUSE: Duration = Duration::from_secs(300);

/// How long an instance may take to stop whose supervision panics.
const PANIC_GRACE: Duration = Duration::from_secs(5);

/// What all supervisors share.
pub(super) struct Surroundings {
    pub(super) board: Board,
    pub(super) switch: Switch,
    pub(super) scrubber: Scrubber,
    pub(super) gates: Gates,
    pub(super) timings: Timings,
}

/// The task of one plugin.
pub(super) struct Supervisor {
    unit: Unit,
    around: Surroundings,
    inbox: Inbox,
    settled: bool,
    /// Panics since it last looked at the plugin with success.
    panics: u32,
}

impl Supervisor {
    pub(super) fn new(unit: Unit, around: Surroundings, commands: mpsc::Receiver<Command>) -> Self {
        Self { unit, around, inbox: Inbox::new(commands), settled: false, panics: 0 }
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(mut self) {
        let mut incarnation = None;
        let stop = loop {
            let stop = match tasks::caught(self.until_stopped(&mut incarnation)).await {
                Ok(stop) => Some(stop),
                Err(Panicked) => self.pick_up(&mut incarnation).await.err(),
            };
            if let Some(stop) = stop {
                break stop;
            }
        };
        let mut before = self.unit.before;
        if let Some(incarnation) = &mut incarnation {
            self.end(incarnation, &stop).await;
            before = incarnation.before();
        }
        self.tell(Event::Stopped);
        self.around.gates.give_up(&self.unit.name);
        // Nobody waits for it any more if the host ends at once.
        let _ = stop.done.send(before);
    }

    async fn until_stopped(&mut self, slot: &mut Option<Incarnation>) -> Stop {
        match self.live(slot).await {
            Err(stop) => stop,
            // There is nothing to run: it only answers.
            Ok(()) => self.inbox.idle().await,
        }
    }

    /// After a panic of this very task. The plugin itself may be well: its instance is looked at again at once. After
    /// another panic in a row it is in `error`, and a fresh instance is tried, more and more slowly.
    async fn pick_up(&mut self, slot: &mut Option<Incarnation>) -> Result<(), Stop> {
        tasks::tell(&self.around.board, "supervisor", Some(&self.unit.name));
        self.panics += 1;
        self.inbox.nudge();
        let Some(again) = self.panics.checked_sub(2) else { return Ok(()) };
        if let Some(incarnation) = slot {
            let now = Instant::now();
            let order = Stop { drain_until: now, least: PANIC_GRACE, done: oneshot::channel().0 };
            self.end(incarnation, &order).await;
        }
        let message =
            "the host panicked while supervising it, and tries a fresh instance: report it with the log";
        self.tell(Event::Unsupervised { failure: Failure::internal(message) });
        self.settle(Gate::Open, self.around.timings.elapsed(), None);
        self.inbox.answer();
        let pause = PANIC_PAUSE.saturating_mul(2_u32.saturating_pow(again)).min(LONGEST_PANIC_PAUSE);
        self.inbox.during(sleep(pause)).await
    }

    /// Stops the instance, whatever happens meanwhile.
    async fn end(&self, incarnation: &mut Incarnation, order: &Stop) {
        if tasks::caught(incarnation.stop(order)).await.is_err() {
            tasks::tell(&self.around.board, "supervisor", Some(&self.unit.name));
        }
    }

    /// `Ok` if there is nothing to run.
    async fn live(&mut self, slot: &mut Option<Incarnation>) -> Result<(), Stop> {
        let (gate, event) = match &self.unit.standing {
            Standing::Startable { library, request } => {
                let (library, request) = (library.clone(), request.as_ref().clone());
                let (before, switch) = (self.unit.before, self.around.switch.clone());
                let incarnation =
                    slot.get_or_insert_with(|| Incarnation::new(library, request, before, switch));
                return self.supervise(incarnation).await;
            }
            Standing::NotConfigured { missing, message } => {
                (Gate::Holding, Event::NotConfigured { missing: missing.clone(), message: message.clone() })
            }
            Standing::ConfigInvalid { invalid, message } => {
                (Gate::Open, Event::ConfigInvalid { invalid: invalid.clone(), message: message.clone() })
            }
            Standing::Quarantined { message, fix } => {
                (Gate::Holding, Event::LoadFailed { message: message.clone(), fix: fix.clone() })
            }
        };
        self.tell(event);
        self.settle(gate, Duration::ZERO, None);
        Ok(())
    }

    async fn supervise(&mut self, incarnation: &mut Incarnation) -> Result<(), Stop> {
        if !incarnation.is_up() {
            self.wait_for_dependencies().await?;
        }
        let waited = self.around.timings.elapsed();
        loop {
            if !incarnation.is_up() {
                self.bring_up(incarnation, waited).await?;
            }
            self.keep_up(incarnation).await?;
        }
    }

    /// Waits until every dependency has settled and none that is required holds this plugin.
    async fn wait_for_dependencies(&mut self) -> Result<(), Stop> {
        let gates = self.around.gates.clone();
        let dependencies = self.unit.dependencies.clone();
        self.inbox.during(gates.settled(dependencies.keys())).await?;
        loop {
            let causes = gates.holding(&dependencies);
            if causes.is_empty() {
                return Ok(());
            }
            self.tell(Event::Held { causes: causes.clone() });
            self.settle(Gate::Holding, self.around.timings.elapsed(), None);
            self.inbox.answer();
            self.inbox.during(gates.released(&causes)).await?;
        }
    }

    /// Attempts until one succeeds: a series with backoff first, then one from time to time.
    async fn bring_up(&mut self, incarnation: &mut Incarnation, waited: Duration) -> Result<(), Stop> {
        let (mut attempt, first) = (1, Instant::now());
        loop {
            let mut returns = Some(self.returns());
            self.tell(Event::InitStarted { generation: incarnation.generation(), attempt });
            let began = Instant::now();
            let outcome = self.inbox.during(incarnation.attempt(self.unit.pace.init_timeout)).await?;
            let took = began.elapsed();
            self.inbox.evidence.clear();
            let next = match outcome {
                Ok(()) => {
                    tracing::info!(plugin = %self.unit.name, took_ms = took.as_millis(), "connected");
                    self.around.switch.came_into_service(&self.unit.name);
                    self.tell(Event::InitSucceeded { took });
                    self.settle(Gate::Open, waited, Some(took));
                    self.inbox.answer();
                    return Ok(());
                }
                Err(failure) => {
                    returns = returns.filter(|_| failure.policy() == Policy::NotReady);
                    let failing_for = incarnation.is_live().then(|| first.elapsed());
                    self.failed_attempt(failure, &mut attempt, failing_for)
                }
            };
            self.tell_abandoned(incarnation);
            self.settle(Gate::Open, waited, Some(took));
            self.inbox.answer();
            self.wait_for_next_attempt(next, returns).await?;
        }
    }

    /// Waits for the time of the next attempt, for a person who asks, or for evidence that things are well again.
    async fn wait_for_next_attempt(
        &mut self,
        next: Option<Instant>,
        returns: Option<u64>,
    ) -> Result<(), Stop> {
        loop {
            self.until(next, returns).await?;
            let evidence = std::mem::take(&mut self.inbox.evidence);
            if evidence.is_empty() || evidence.iter().any(|report| matches!(report, Report::Success)) {
                return Ok(());
            }
        }
    }

    /// How often its dependencies have come back so far.
    fn returns(&self) -> u64 {
        self.around.gates.returns(self.unit.dependencies.keys())
    }

    /// Waits for a time, for a command or evidence, or until dependencies have come back more often than `returns`.
    async fn until(&mut self, time: Option<Instant>, returns: Option<u64>) -> Result<(), Stop> {
        let Some(returns) = returns else { return self.inbox.until(time).await };
        tokio::select! {
            biased;
            waited = self.inbox.until(time) => waited,
            () = self.around.gates.returned(self.unit.dependencies.keys(), returns) => Ok(()),
        }
    }

    /// Tells of a failed attempt, and when the next one is due; `None`: when something says that it makes sense.
    /// `failing_for`: since the first of them, while there is an instance to try again with.
    fn failed_attempt(
        &self,
        failure: Failure,
        attempt: &mut u32,
        failing_for: Option<Duration>,
    ) -> Option<Instant> {
        let failure = self.scrubbed(failure);
        let pace = &self.unit.pace;
        let policy = failure.policy();
        tracing::warn!(
            plugin = %self.unit.name, attempt = *attempt, code = %failure.code, "could not be started: {}",
            failure.message
        );
        let (wait, final_one) = match policy {
            // Another attempt in a moment would find the same; when it ends is seen by asking like a probe.
            Policy::NotReady if failure.certain => {
                (Some(jittered(pace.probe_interval.unwrap_or(pace.heartbeat))), true)
            }
            Policy::NotReady if *attempt < pace.attempts => {
                (Some(pace.backoff.wait(*attempt, rand::random(), asked(&failure))), false)
            }
            Policy::NotReady => {
                let wait = failing_for.map_or(pace.recovery, |failing_for| pace.recovery_after(failing_for));
                (Some(jittered(wait)), true)
            }
            Policy::NeedsPerson => (None, true),
            _ => (Some(jittered(pace.recovery)), true),
        };
        *attempt += 1;
        let at = wait.map(|wait| clock::now() + wait);
        self.tell(Event::InitFailed { failure, next_attempt_at: if final_one { None } else { at } });
        if final_one {
            self.tell(Event::NextCheck { at });
        }
        wait.map(|wait| Instant::now() + wait)
    }

    /// Probes until the instance is gone. A plugin without a probe counts by its init, and by what it reports.
    async fn keep_up(&mut self, incarnation: &mut Incarnation) -> Result<(), Stop> {
        let (mut failures, mut returns) = (0, None);
        let pace = &self.unit.pace;
        let mut wait = Some(jittered(pace.probe_interval.unwrap_or(pace.heartbeat)));
        loop {
            if self.unit.pace.probe_interval.is_some() {
                self.tell(Event::NextCheck { at: wait.map(|wait| clock::now() + wait) });
            }
            self.until(wait.map(|wait| Instant::now() + wait), returns).await?;
            let before = self.returns();
            let outcome = match self.inbox.evidence.pop() {
                Some(report) => self.weigh(report).await?,
                None if self.unit.pace.probe_interval.is_some() => self.probe(incarnation).await?,
                None => self.beat(incarnation).await?,
            };
            wait = match outcome {
                Ok(()) => {
                    (failures, returns) = (0, None);
                    self.panics = 0;
                    self.wait_after_success()
                }
                Err(failure) => {
                    failures += 1;
                    returns = Some(before).filter(|_| failure.policy() == Policy::NotReady);
                    self.wait_after_failure(&failure, failures)
                }
            };
            self.inbox.answer();
            if !incarnation.is_live() {
                self.tell_abandoned(incarnation);
                return Ok(());
            }
        }
    }

    /// Without a probe: tells only of an instance that hangs, and was given up.
    async fn beat(&mut self, incarnation: &mut Incarnation) -> Result<Result<(), Failure>, Stop> {
        let began = Instant::now();
        let outcome = self.inbox.during(incarnation.beat(self.unit.pace.probe_timeout)).await?;
        if let (Err(failure), false) = (&outcome, incarnation.is_live()) {
            self.tell(Event::ProbeFailed { failure: failure.clone(), latency: began.elapsed() });
        }
        Ok(outcome)
    }

    /// Probes, and tells what came of it.
    async fn probe(&mut self, incarnation: &mut Incarnation) -> Result<Result<(), Failure>, Stop> {
        let began = Instant::now();
        let outcome = self.inbox.during(incarnation.probe(self.unit.pace.probe_timeout)).await?;
        let latency = began.elapsed();
        let outcome = outcome.map_err(|failure| self.scrubbed(failure));
        match &outcome {
            Ok(()) => self.tell_success(Event::ProbeSucceeded { latency }),
            Err(failure) => {
                tracing::warn!(plugin = %self.unit.name, code = %failure.code, "probe failed: {}", failure.message);
                self.tell(Event::ProbeFailed { failure: failure.clone(), latency });
            }
        }
        Ok(outcome)
    }

    /// Takes the plugin's own evidence, which counts as a probe; of what has gathered, the last word.
    async fn weigh(&mut self, report: Report) -> Result<Result<(), Failure>, Stop> {
        self.inbox.evidence.clear();
        match report {
            Report::Success => {
                self.tell_success(Event::EvidenceSucceeded);
                // What comes within this time says the same.
                self.inbox.during(sleep(EVIDENCE_PAUSE)).await?;
                self.inbox.evidence.retain(|report| !matches!(report, Report::Success));
                Ok(Ok(()))
            }
            Report::Failure { code, message, setting, href, advice, certain } => {
                let failure = Failure { setting, href, advice, certain, ..Failure::new(code, message) };
                let failure = self.scrubbed(failure);
                if self.tell(Event::EvidenceFailed { failure: failure.clone() }).is_some() {
                    tracing::warn!(plugin = %self.unit.name, code = %failure.code, "stopped working: {}", failure.message);
                }
                Ok(Err(failure))
            }
        }
    }

    /// How long until the next probe: the interval, or less until the plugin is `connected` again.
    fn wait_after_success(&self) -> Option<Duration> {
        let Some(interval) = self.unit.pace.probe_interval else {
            return Some(jittered(self.unit.pace.heartbeat));
        };
        let connected = self.status() == Some(Status::Connected);
        Some(if connected { jittered(interval) } else { interval.min(self.unit.pace.backoff.base) })
    }

    /// How long until the next probe: an outage is noticed, and its end too, faster than by the interval.
    fn wait_after_failure(&self, failure: &Failure, failures: u32) -> Option<Duration> {
        let Some(interval) = self.unit.pace.probe_interval else {
            return Some(jittered(self.unit.pace.heartbeat));
        };
        match failure.policy() {
            Policy::NotReady => {
                let wait = self.unit.pace.backoff.wait(failures, rand::random(), asked(failure));
                Some(wait.min(interval))
            }
            Policy::NeedsPerson => None,
            _ => Some(jittered(self.unit.pace.recovery)),
        }
    }

    fn settle(&mut self, gate: Gate, waited: Duration, init: Option<Duration>) {
        if !std::mem::replace(&mut self.settled, true) {
            self.tell(Event::Settled { waited, init });
            self.around.timings.note(&self.unit.name, init);
        }
        self.around.gates.set(&self.unit.name, gate);
    }

    /// Tells how many hung instances were given up, when it has become one more.
    fn tell_abandoned(&mut self, incarnation: &Incarnation) {
        let Before { abandoned, .. } = incarnation.before();
        if self.unit.before.abandoned != abandoned {
            self.unit.before.abandoned = abandoned;
            self.tell(Event::Abandoned { total: abandoned });
        }
    }

    /// Tells the board; gives the change of the status, if it made one.
    fn tell(&self, event: Event) -> Option<Transition> {
        let transition = self.around.board.apply(&self.unit.name, event, clock::now());
        if transition.as_ref().is_some_and(|transition| transition.to == Status::Connected) {
            self.around.gates.came_back(&self.unit.name);
        }
        transition
    }

    /// The log has said what was lost, so it says as well that it is back.
    fn tell_success(&self, event: Event) {
        if let Some(change) = self.tell(event) {
            tracing::info!(plugin = %self.unit.name, was = %change.from, "connected again");
        }
    }

    fn status(&self) -> Option<Status> {
        self.around.board.snapshot().plugin(&self.unit.name).map(|plugin| plugin.status)
    }

    fn scrubbed(&self, mut failure: Failure) -> Failure {
        self.around.scrubber.clean_failure(&mut failure);
        failure
    }
}

/// How long the other side asked to wait.
fn asked(failure: &Failure) -> Option<Duration> {
    failure.retry_after_ms.map(Duration::from_millis)
}

/// Ten percent more or less, so that many plugins are not probed at the same time.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.9..1.1))
}
