//! The instances of one plugin, one after another: made, attached to the switch, and given up when they hang.

use std::{pin::pin, sync::Arc, time::Duration};

use plugin_api::{
    error::{Failure, FixAction, ReasonCode},
    protocol::{CallHeader, CreateRequest, PING},
};
use tokio::time::{Instant, timeout};

use crate::{
    loader::{Instance, Library},
    status::MOST_ABANDONED,
    switch::Switch,
};

use super::{Before, inbox::Stop};

/// How long the runtime of an instance may take to answer before it counts as hung.
const PING_LIMIT: Duration = Duration::from_secs(1);
/// If the host's own clock was later than this meanwhile, the machine is starved, and the instance has another chance.
const PUNCTUAL: Duration = Duration::from_millis(100);
/// How many chances it has at most.
const MOST_CHANCES: u32 = 10;

/// The current instance of a plugin, if there is one, and how many came before it.
pub(super) struct Incarnation {
    name: String,
    library: Arc<dyn Library>,
    request: CreateRequest,
    switch: Switch,
    instance: Option<Arc<dyn Instance>>,
    /// Its `init` has succeeded.
    is_up: bool,
    generation: u64,
    abandoned: u32,
}

impl Incarnation {
    pub(super) fn new(
        library: Arc<dyn Library>,
        request: CreateRequest,
        before: Before,
        switch: Switch,
    ) -> Self {
        let name = request.instance.clone();
        let Before { generation, abandoned } = before;
        Self { name, library, request, switch, instance: None, is_up: false, generation, abandoned }
    }

    /// What the next one is told of this one and those before.
    pub(super) fn before(&self) -> Before {
        Before { generation: self.generation, abandoned: self.abandoned }
    }

    /// The generation that the next attempt belongs to.
    pub(super) fn generation(&self) -> u64 {
        self.generation + u64::from(self.instance.is_none())
    }

    /// One attempt to bring the plugin up: makes an instance if there is none, and runs its `init`.
    pub(super) async fn attempt(&mut self, limit: Duration) -> Result<(), Failure> {
        let instance = match &self.instance {
            Some(instance) => instance.clone(),
            None => self.create(limit).await?,
        };
        let outcome = match timeout(limit, instance.init()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out("init", limit).await),
        };
        self.is_up = outcome.is_ok();
        outcome
    }

    /// One probe.
    pub(super) async fn probe(&mut self, limit: Duration) -> Result<(), Failure> {
        let Some(instance) = self.instance.clone() else {
            return Err(Failure::internal("there is no instance to probe"));
        };
        match timeout(limit, instance.probe()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out("probe", limit).await),
        }
    }

    /// Whether the instance's threads still turn: what a plugin without a probe is asked instead.
    pub(super) async fn beat(&mut self, limit: Duration) -> Result<(), Failure> {
        match timeout(limit, self.answers()).await {
            Ok(true) => Ok(()),
            _ => Err(self.timed_out("heartbeat", limit).await),
        }
    }

    /// Whether there is an instance: after a failure, none is left if it hung.
    pub(super) fn is_live(&self) -> bool {
        self.instance.is_some()
    }

    /// Whether there is an instance whose `init` has succeeded.
    pub(super) fn is_up(&self) -> bool {
        self.is_up && self.is_live()
    }

    /// Takes the instance out of the switch, lets it end what is in progress and what it began, and drops it.
    pub(super) async fn stop(&mut self, order: &Stop) {
        let Some(instance) = self.instance.take() else { return };
        let detached = self.switch.detach(&self.name);
        detached.drained(order.drain_until.saturating_duration_since(Instant::now())).await;
        drop(detached);
        let grace = order.drain_until.saturating_duration_since(Instant::now()).max(order.least);
        match timeout(grace, instance.stop()).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::warn!(plugin = %self.name, "stop failed: {}", failure.message),
            Err(_) => tracing::warn!(plugin = %self.name, "stop did not end within {grace:?}"),
        }
    }

    async fn create(&mut self, limit: Duration) -> Result<Arc<dyn Instance>, Failure> {
        if self.abandoned >= MOST_ABANDONED {
            let message =
                format!("{MOST_ABANDONED} instances hung and were abandoned: restart the host to try again");
            return Err(Failure::new(ReasonCode::Crashed, message)
                .advise(FixAction::Retry, "Upgrade it or report this to its author, then restart the host"));
        }
        self.generation += 1;
        let host = self.switch.end(&self.name);
        let created = self.library.create(host, self.request.clone(), limit).await;
        if created.as_ref().is_err_and(|failure| failure.code == ReasonCode::Timeout) {
            self.abandoned += 1;
        }
        let instance = created?;
        self.is_up = false;
        self.switch.attach(&self.name, instance.clone());
        self.instance = Some(instance.clone());
        Ok(instance)
    }

    /// The failure of an entry that did not end. If not even the instance's runtime answers, it is given up.
    async fn timed_out(&mut self, entry: &str, limit: Duration) -> Failure {
        if self.answers().await {
            return Failure::timeout(format!("`{entry}` did not end within {limit:?}"));
        }
        self.abandoned += 1;
        // What is in progress there would never end.
        drop(self.switch.detach(&self.name));
        self.instance = None;
        tracing::warn!(
            plugin = %self.name, generation = self.generation, abandoned = self.abandoned,
            "instance hangs and is abandoned"
        );
        Failure::timeout(format!(
            "`{entry}` did not end within {limit:?}, its threads are blocked: it is abandoned, as number {} of at most \
             {MOST_ABANDONED}",
            self.abandoned
        ))
        .advise(FixAction::Retry, "Wait for a fresh instance, and report to its author that it blocks its threads")
    }

    async fn answers(&self) -> bool {
        let Some(instance) = &self.instance else { return false };
        let header = CallHeader { operation: PING.to_owned(), ..CallHeader::default() };
        let mut ping = pin!(instance.call(&header, Vec::new()));
        for _ in 0..MOST_CHANCES {
            let begun = Instant::now();
            if let Ok(answer) = timeout(PING_LIMIT, &mut ping).await {
                return answer.is_ok();
            }
            if begun.elapsed() < PING_LIMIT + PUNCTUAL {
                return false;
            }
        }
        false
    }
}
