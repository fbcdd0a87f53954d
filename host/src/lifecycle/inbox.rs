//! What a supervisor is asked while it waits or works: it listens at every moment, and an order to stop ends whatever is
//! under way.

use std::{future::Future, time::Duration};

use plugin_api::requests::host::Report;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::Before;

/// What a supervisor is asked.
pub(super) enum Command {
    /// Probe now, or attempt to come up; says when it is done.
    Verify(Option<oneshot::Sender<()>>),
    /// The plugin's own evidence.
    Report(Report),
    /// End the instance and the supervisor.
    Stop(Stop),
}

/// The order to stop.
pub(super) struct Stop {
    /// Until when calls and streams in progress may end.
    pub(super) drain_until: Instant,
    /// How long the plugin's own `stop` may take at least, if that time is over by then.
    pub(super) least: Duration,
    /// Says when it is done, and what is left of the plugin.
    pub(super) done: oneshot::Sender<Before>,
}

/// Commands, and who waits for a verification.
pub(super) struct Inbox {
    commands: mpsc::Receiver<Command>,
    waiting: Vec<oneshot::Sender<()>>,
    /// Something said that an attempt or a probe makes sense now.
    nudged: bool,
    /// Evidence that is not on the board yet.
    pub(super) evidence: Vec<Report>,
}

impl Inbox {
    pub(super) fn new(commands: mpsc::Receiver<Command>) -> Self {
        Self { commands, waiting: Vec::new(), nudged: false, evidence: Vec::new() }
    }

    /// Runs some work and takes commands meanwhile. An order to stop drops the work.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => self.take(command)?,
                done = &mut work => return Ok(done),
            }
        }
    }

    /// Waits for a time, or until a command makes an attempt or a probe due, or brings evidence.
    pub(super) async fn until(&mut self, time: Option<Instant>) -> Result<(), Stop> {
        loop {
            if std::mem::take(&mut self.nudged) || !self.evidence.is_empty() {
                return Ok(());
            }
            let due = async {
                match time {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                command = self.commands.recv() => self.take(command)?,
                () = due => return Ok(()),
            }
        }
    }

    /// Makes an attempt or a probe due now.
    pub(super) fn nudge(&mut self) {
        self.nudged = true;
    }

    /// Answers until the order to stop.
    pub(super) async fn idle(&mut self) -> Stop {
        loop {
            self.answer();
            let command = self.commands.recv().await;
            if let Err(stop) = self.take(command) {
                return stop;
            }
        }
    }

    /// Says to all who wait for a verification that it is done.
    pub(super) fn answer(&mut self) {
        self.nudged = false;
        for waiting in self.waiting.drain(..) {
            // Who asked may have gone.
            let _ = waiting.send(());
        }
    }

    fn take(&mut self, command: Option<Command>) -> Result<(), Stop> {
        match command {
            Some(Command::Verify(waiting)) => {
                self.waiting.extend(waiting);
                self.nudged = true;
            }
            Some(Command::Report(report)) => self.evidence.push(report),
            Some(Command::Stop(stop)) => return Err(stop),
            // Every handle of the lifecycle is gone: the host was dropped.
            None => {
                let drain_until = Instant::now();
                return Err(Stop { drain_until, least: Duration::ZERO, done: oneshot::channel().0 });
            }
        }
        Ok(())
    }
}
