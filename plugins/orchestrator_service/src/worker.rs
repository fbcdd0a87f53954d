//! One run, from where it stands to its end, or to where a person must decide: model, tools and results alternately. Each
//! step is written before it is taken, and its outcome as soon as it is known.

mod acting;
mod asking;

use std::sync::Arc;

use plugin_api::{
    lease::millis,
    prelude::*,
    requests::orchestrator::RunState,
    tokio::{
        select,
        sync::watch,
        time::{Instant, sleep},
    },
    tools::Toolbox,
    tracing,
};

#[cfg(test)]
pub use asking::no_model;

use crate::{
    run::{Held, Run, Step},
    shared::Shared,
    store::{Claim, End, Progress},
};

/// Between two looks whether a plugin is in service again, beside those when one comes back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LONGEST_LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Between two tries to write.
const WRITE_AGAIN: Duration = Duration::from_millis(200);

/// Works on one run.
pub struct Worker {
    shared: Arc<Shared>,
    run: Run,
    steps: Vec<Step>,
    claim: Claim,
    lost: watch::Receiver<bool>,
    clock: Clock,
}

/// Why the work ended.
#[derive(Debug)]
pub enum Halt {
    /// A person must decide, or a plugin be in service.
    Parked,
    /// The run is over.
    Over,
    /// Somebody else has it, or it was cancelled.
    Lost,
    /// This host is told to stop.
    Stopped,
    /// It is left as it is, to be taken up again.
    Trouble(OperationError),
}

/// How long a run has been worked on.
#[derive(Clone, Copy)]
pub struct Clock {
    before_ms: i64,
    began: Instant,
}

impl Clock {
    pub fn worked_ms(self) -> i64 {
        self.before_ms + millis(self.began.elapsed())
    }
}

impl From<OperationError> for Halt {
    fn from(error: OperationError) -> Self {
        Self::Trouble(error)
    }
}

impl Worker {
    pub fn new(shared: Arc<Shared>, run: Run, claim: Claim, lost: watch::Receiver<bool>) -> Self {
        let clock = Clock { before_ms: run.worked_ms, began: Instant::now() };
        Self { shared, run, steps: Vec::new(), claim, lost, clock }
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Works until there is a reason to end.
    pub async fn drive(mut self) -> Halt {
        match self.work().await {
            Ok(never) => match never {},
            Err(halt) => halt,
        }
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, Halt> {
        self.steps = self.shared.store.steps(&self.run.id).await?;
        loop {
            if self.steps.last().is_some_and(Step::is_open) {
                self.act().await?;
                continue;
            }
            self.stop_if_told()?;
            if let Some(why) = self.exceeded() {
                return Err(self.finish(End::failed(why)).await?);
            }
            self.ask().await?;
        }
    }

    fn stop_if_told(&self) -> Result<(), Halt> {
        if *self.lost.borrow() {
            return Err(Halt::Lost);
        }
        if *self.shared.stopping.borrow() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Which limit is reached.
    fn exceeded(&self) -> Option<String> {
        let (limits, usage) = (self.run.limits, self.run.usage);
        let what = if usage.steps >= limits.steps {
            format!("{} steps", limits.steps)
        } else if self.run.tokens() >= limits.tokens {
            format!("{} tokens", limits.tokens)
        } else if self.left().is_zero() {
            format!("{} seconds of work", limits.ms / 1000)
        } else {
            return None;
        };
        Some(format!("given up: it is limited to {what}, and was not done by then"))
    }

    /// How much time there is left.
    fn left(&self) -> Duration {
        let left = self.run.limits.ms - self.clock.worked_ms();
        Duration::from_millis(left.try_into().unwrap_or(0))
    }

    fn progress(&self) -> Progress {
        Progress { usage: self.run.usage, worked_ms: self.clock.worked_ms() }
    }

    /// The tools that are there now, and those that are away.
    async fn toolbox(&self) -> Result<Toolbox, Halt> {
        let host = self.shared.context.host();
        let host = match self.run.beside.level {
            Some(level) => host.level(level),
            None => host,
        };
        Ok(Toolbox::new(host.toolset().await?))
    }

    /// Since when the run has been waiting for plugins: since now, if it was not.
    fn held_since(&self) -> i64 {
        let now = self.shared.store.now_ms();
        // The clock may have been put back since.
        self.run.held.as_ref().map_or(now, |held| held.since_ms.min(now))
    }

    /// Ends the work until these plugins may be in service, or until this moment. It holds no place meanwhile.
    async fn hold(&self, by: Vec<String>, until_ms: i64) -> Result<Halt, Halt> {
        let (now, since_ms) = (self.shared.store.now_ms(), self.held_since());
        let after = |ms: i64| Duration::from_millis(ms.try_into().unwrap_or(0));
        // A lease that lies far ahead of its length counts as over.
        let longest = LONGEST_LOOK_AGAIN.min(self.shared.config.lease * 5);
        let pause = (after(now - since_ms) / 4).clamp(LOOK_AGAIN, longest).min(after(until_ms - now));
        if self.run.held.is_none() {
            tracing::info!(
                run = self.run.id,
                plugins = by.join(", "),
                "a run waits for plugins that are not in service"
            );
        }
        let held_by = Held { by, since_ms };
        let hold = || async {
            self.shared.store.hold(&self.run.id, &self.claim, &held_by, pause, self.progress()).await
        };
        held(self.write(hold).await?)?;
        Ok(Halt::Parked)
    }

    /// Nothing is waited for any more.
    async fn go_on(&mut self) -> Result<(), Halt> {
        if self.run.held.take().is_some() {
            let go_on = || async { self.shared.store.go_on(&self.run.id, &self.claim).await };
            held(self.write(go_on).await?)?;
        }
        Ok(())
    }

    async fn finish(&self, end: End) -> Result<Halt, Halt> {
        let finish =
            || async { self.shared.store.finish(&self.run.id, &self.claim, &end, self.progress()).await };
        if !self.write(finish).await? {
            return Ok(Halt::Lost);
        }
        let metric = if end.state == RunState::Done { "runs_done" } else { "runs_failed" };
        // A metric that is lost harms nobody.
        let _ = self.shared.context.host().count(metric, 1).await;
        Ok(Halt::Over)
    }

    /// Writes, however often that must be tried, as long as the claim is good. A second write changes nothing.
    async fn write<F, T>(&self, write: impl Fn() -> F) -> Result<T, Halt>
    where
        F: Future<Output = Result<T, OperationError>>,
    {
        let mut lost = self.lost.clone();
        loop {
            let error = match write().await {
                Ok(written) => {
                    self.shared.changed();
                    return Ok(written);
                }
                Err(error) => error,
            };
            if !error.kind.may_retry(true) && error.kind != ErrorKind::UnknownOutcome {
                return Err(Halt::Trouble(error));
            }
            select! {
                () = sleep(WRITE_AGAIN) => {}
                _ = lost.wait_for(|lost| *lost) => return Err(Halt::Trouble(error)),
            }
        }
    }
}

/// A claim that ends in the middle of a write is found out by the write.
pub fn held(is_held: bool) -> Result<(), Halt> {
    if is_held { Ok(()) } else { Err(Halt::Lost) }
}
