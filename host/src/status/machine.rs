//! The state machine of one plugin: an event and a time become its next status, with hysteresis. It knows nothing of
//! other plugins.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use plugin_api::error::{Failure, Policy};

use super::{
    event::Event,
    explanation::Explanation,
    failing::Finding,
    history::History,
    model::{Retry, Status, Timing, Transition},
    probes::ProbeDurations,
    spec::PluginSpec,
    time::{self, shifted},
};

/// How many hung instances of one plugin are given up in a run of the host: each keeps its threads until the end.
pub const MOST_ABANDONED: u32 = 5;

/// Transient failures in a row that leave `connected`.
const FAILURES_TO_LEAVE: u32 = 3;
/// Successes in a row that return from `error`, unless what led there was certain.
const SUCCESSES_TO_RETURN: u32 = 2;
/// Intervals without a completed check after which what is known is stale.
const STALE_AFTER_INTERVALS: i32 = 3;

/// What is known of one plugin by itself.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) spec: PluginSpec,
    pub(super) status: Status,
    pub(super) since: Timestamp,
    pub(super) explanation: Explanation,
    pub(super) generation: u64,
    pub(super) abandoned: u32,
    pub(super) retry: Retry,
    pub(super) checked_at: Option<Timestamp>,
    pub(super) next_check_at: Option<Timestamp>,
    pub(super) latency_ms: Option<f64>,
    pub(super) notes: Vec<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) settled: bool,
    pub(super) timing: Timing,
    /// What leads from the times that are handed in to those that people see.
    pub(super) shift: SignedDuration,
    pub(super) stale: bool,
    pub(super) flapping: bool,
    pub(super) history: History,
    pub(super) probes: Arc<ProbeDurations>,
    has_instance: bool,
    failures: u32,
    successes: u32,
    /// Whether the last failure was known for certain: so is its end.
    certain: bool,
}

impl Machine {
    pub(super) fn new(spec: PluginSpec, now: Timestamp) -> Self {
        Self {
            status: Status::NotInitialized,
            since: now,
            explanation: Explanation::default(),
            generation: 1,
            abandoned: 0,
            retry: Retry { attempt: 0, max_attempts: spec.max_attempts, next_attempt_at: None },
            checked_at: None,
            next_check_at: None,
            latency_ms: None,
            notes: Vec::new(),
            findings: Vec::new(),
            settled: false,
            timing: Timing::default(),
            shift: SignedDuration::ZERO,
            stale: false,
            flapping: false,
            history: History::default(),
            probes: Arc::default(),
            has_instance: false,
            failures: 0,
            successes: 0,
            certain: false,
            spec,
        }
    }

    /// From now on the plugin is this one; what is known of it stays.
    pub(super) fn become_of(&mut self, spec: PluginSpec) {
        self.retry.max_attempts = spec.max_attempts;
        self.spec = spec;
    }

    /// Takes in what happened. The transition is `None` if the status stays.
    pub(super) fn apply(&mut self, event: Event, now: Timestamp) -> Option<Transition> {
        let transition = match event {
            Event::Held { causes } => self.rest(Status::NotInitialized, Explanation::held(&causes), now),
            Event::NotConfigured { missing, message } => {
                self.rest(Status::NotConfigured, Explanation::not_configured(missing, message), now)
            }
            Event::ConfigInvalid { invalid, message } => {
                self.rest(Status::Error, Explanation::config_invalid(invalid, message), now)
            }
            Event::LoadFailed { message, fix } => {
                self.rest(Status::Error, Explanation::load_failed(message, fix), now)
            }
            Event::InitStarted { generation, attempt } => self.init_started(generation, attempt, now),
            Event::InitFailed { failure, next_attempt_at } => self.init_failed(failure, next_attempt_at, now),
            Event::InitSucceeded { took } => self.init_succeeded(took, now),
            Event::ProbeSucceeded { latency } => {
                self.probed(latency, now).then(|| self.succeeded(now)).flatten()
            }
            Event::ProbeFailed { failure, latency } => {
                self.probed(latency, now).then(|| self.failed(failure, now)).flatten()
            }
            Event::EvidenceSucceeded => self.checked(now).then(|| self.succeeded(now)).flatten(),
            Event::EvidenceFailed { failure } => {
                self.checked(now).then(|| self.failed(failure, now)).flatten()
            }
            Event::Noted { notes } => {
                // What a stopped instance still says counts no more.
                if self.has_instance {
                    self.notes = notes;
                }
                None
            }
            Event::Failing { findings } => {
                self.findings = findings;
                None
            }
            Event::NextCheck { at } => {
                self.next_check_at = at;
                None
            }
            Event::Settled { waited, init } => {
                self.settled = true;
                let init_ms = init.map(time::millis);
                self.timing = Timing { waited_ms: Some(time::millis(waited)), init_ms };
                None
            }
            Event::Abandoned { total } => {
                self.abandoned = total;
                None
            }
            Event::Unsupervised { failure } => {
                let explanation = Explanation::failure(&self.spec, failure);
                self.rest(Status::Error, explanation, now)
            }
            Event::Stopped => {
                let settled = self.settled;
                let transition = self.rest(Status::NotInitialized, Explanation::default(), now);
                self.history.stopped(now);
                self.settled = settled;
                transition
            }
        };
        self.tick(now);
        transition
    }

    /// Staleness and flapping change by time alone. Answers whether they did.
    pub(super) fn tick(&mut self, now: Timestamp) -> bool {
        let before = (self.stale, self.flapping);
        self.stale = self.is_stale(now);
        self.flapping = self.history.is_flapping(now);
        before != (self.stale, self.flapping)
    }

    /// It has no instance, and will get none for now.
    fn rest(&mut self, status: Status, explanation: Explanation, now: Timestamp) -> Option<Transition> {
        self.settled = true;
        self.has_instance = false;
        self.notes.clear();
        self.next_check_at = None;
        self.retry.attempt = 0;
        self.retry.next_attempt_at = None;
        self.enter(status, explanation, now)
    }

    fn init_started(&mut self, generation: u64, attempt: u32, now: Timestamp) -> Option<Transition> {
        let same_instance = self.has_instance && self.generation == generation;
        self.has_instance = true;
        self.generation = generation;
        if !same_instance {
            self.notes.clear();
        }
        self.retry.next_attempt_at = None;
        if same_instance && self.status != Status::Initializing {
            return None;
        }
        self.retry.attempt = attempt;
        let explanation = if same_instance { self.explanation.clone() } else { Explanation::default() };
        self.enter(Status::Initializing, explanation, now)
    }

    fn init_failed(
        &mut self,
        failure: Failure,
        next_attempt_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Transition> {
        if !self.checked(now) {
            return None;
        }
        self.settled = true;
        self.retry.next_attempt_at = next_attempt_at;
        let policy = failure.policy();
        self.certain = failure.certain;
        if next_attempt_at.is_none() && !is_transient(policy) {
            self.retry.attempt = 0;
        }
        if self.status != Status::Initializing {
            return self.failed(failure, now);
        }
        let status = if next_attempt_at.is_some() { Status::Initializing } else { ends_in(policy) };
        self.enter(status, Explanation::failure(&self.spec, failure), now)
    }

    fn init_succeeded(&mut self, took: Duration, now: Timestamp) -> Option<Transition> {
        if !self.checked(now) {
            return None;
        }
        self.settled = true;
        self.latency_ms = Some(time::millis(took));
        self.connect(now)
    }

    /// One success returns from `disconnected`, because a person acted, and from what was certain; two return from any
    /// other `error`.
    fn succeeded(&mut self, now: Timestamp) -> Option<Transition> {
        self.failures = 0;
        self.successes += 1;
        match self.status {
            Status::Disconnected => self.connect(now),
            Status::Error if self.certain || self.successes >= SUCCESSES_TO_RETURN => self.connect(now),
            _ => None,
        }
    }

    /// Transient failures leave `connected` only together, unless they are certain, and tell nothing of a consent that is
    /// missing; all others act at once. While it comes up, its init decides alone.
    fn failed(&mut self, failure: Failure, now: Timestamp) -> Option<Transition> {
        self.successes = 0;
        self.failures += 1;
        self.certain = failure.certain;
        let policy = failure.policy();
        let stays = match self.status {
            Status::Connected => {
                is_transient(policy) && !failure.certain && self.failures < FAILURES_TO_LEAVE
            }
            Status::Disconnected => is_transient(policy),
            Status::Error => false,
            Status::Initializing | Status::NotInitialized | Status::NotConfigured => true,
        };
        if !is_transient(policy) {
            self.failures = 0;
        }
        if stays {
            return None;
        }
        self.enter(ends_in(policy), Explanation::failure(&self.spec, failure), now)
    }

    fn connect(&mut self, now: Timestamp) -> Option<Transition> {
        self.retry.attempt = 0;
        self.retry.next_attempt_at = None;
        self.enter(Status::Connected, Explanation::default(), now)
    }

    /// The only place where the status changes.
    fn enter(&mut self, to: Status, explanation: Explanation, now: Timestamp) -> Option<Transition> {
        let from = self.status;
        if from != to && !from.may_become(to) {
            return None;
        }
        self.explanation = explanation;
        if from == to {
            return None;
        }
        let (code, message) =
            self.explanation.reason.clone().map(|reason| (reason.code, reason.message)).unzip();
        let at = shifted(now, self.shift);
        let transition = Transition { at, recorded_at: at, from, to, code, message };
        (self.status, self.since, self.failures, self.successes) = (to, now, 0, 0);
        self.history.push(transition.clone(), now);
        Some(transition)
    }

    fn probed(&mut self, latency: Duration, now: Timestamp) -> bool {
        let counts = self.checked(now);
        if counts {
            self.latency_ms = Some(time::millis(latency));
            Arc::make_mut(&mut self.probes).observe(latency);
        }
        counts
    }

    /// Something told of the instance; `false` if there is none any more.
    fn checked(&mut self, now: Timestamp) -> bool {
        if self.has_instance {
            self.checked_at = Some(now);
        }
        self.has_instance
    }

    /// Only what is checked regularly can be stale: while it recovers slowly, the pause that was announced counts.
    fn is_stale(&self, now: Timestamp) -> bool {
        let (Some(interval), Some(checked_at)) = (self.spec.probe_interval, self.checked_at) else {
            return false;
        };
        let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
        let pause = self.next_check_at.map(|next| next.duration_since(checked_at));
        let regular = match self.status {
            Status::Connected => true,
            Status::Error | Status::Disconnected => self.has_instance && pause.is_some(),
            Status::Initializing | Status::NotInitialized | Status::NotConfigured => false,
        };
        let limit = interval.max(pause.unwrap_or_default()).saturating_mul(STALE_AFTER_INTERVALS);
        regular && now.duration_since(checked_at) > limit
    }
}

/// Passes by itself. A plugin that blames a dependency is in the same position.
fn is_transient(policy: Policy) -> bool {
    matches!(policy, Policy::NotReady | Policy::Dependency)
}

fn ends_in(policy: Policy) -> Status {
    if policy == Policy::NeedsPerson { Status::Disconnected } else { Status::Error }
}

#[cfg(test)]
mod tests;
