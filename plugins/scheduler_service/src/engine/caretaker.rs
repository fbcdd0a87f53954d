//! What goes on beside the jobs: leases are renewed, what was parked is resumed when what it waits for is back, what is
//! old is forgotten, and the host is told what waits for somebody.

use std::{collections::BTreeMap, time::Instant};

use plugin_api::{
    prelude::*,
    requests::{host::Trouble, messaging::ListUnprocessed},
    tokio::time::sleep,
    tracing,
    worker::Pulse,
};

use super::{Engine, presence::Presence};
use crate::MESSAGING;

const DAY_MS: i64 = 24 * 3600 * 1000;
const JOBS_KEPT_MS: i64 = 30 * DAY_MS;
const LETTERS_KEPT_MS: i64 = 90 * DAY_MS;
/// Carriers report within days whether a message arrived.
const SENT_KEPT_MS: i64 = 4 * DAY_MS;
/// How often it is looked for messages that did not arrive.
const LOOK: Duration = Duration::from_secs(5);
/// How many are looked for at once: if there are more, the next ones the next time.
const MOST_LOOKED_AT: u32 = 500;
/// The trouble that jobs fail for good.
pub const LOST_JOBS: &str = "lost_jobs";
const LETTERS_PATH: &str = "/api/schedule/dead-letters";
/// So many make it; fewer are a note.
const FAULTS: u64 = 3;
/// How often old things are forgotten.
const TIDY: Duration = Duration::from_secs(60);

impl Engine {
    /// Three times in each lease, so that one that fails is not missed.
    pub(super) async fn renew_for_ever(self: Arc<Self>, pulse: Pulse) {
        loop {
            pulse.rest();
            sleep(self.config.lease / 3).await;
            pulse.turn();
            let jobs = self.working.all();
            if jobs.is_empty() {
                continue;
            }
            if let Err(error) = self.store.renew(&jobs, self.config.lease).await {
                tracing::warn!("the leases of {} jobs cannot be renewed: {error}", jobs.len());
            }
        }
    }

    pub(super) async fn care_for_ever(self: Arc<Self>, pulse: Pulse) {
        let mut told: Option<Vec<String>> = None;
        let (mut tidied, mut looked): (Option<Instant>, Option<Instant>) = (None, None);
        let mut seen = String::new();
        loop {
            pulse.turn();
            if let Err(error) = self.store.look_at_clock().await {
                tracing::debug!(%error, "the database's clock cannot be read at the moment");
            }
            if let Ok(notes) = self.resume_and_note().await
                && told.as_ref() != Some(&notes)
                && self.context.host().note(notes.clone()).await.is_ok()
            {
                told = Some(notes);
            }
            if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY) && self.tidy().await.is_ok() {
                tidied = Some(Instant::now());
            }
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                looked = Some(Instant::now());
                if let Err(error) = self.look_after_sent(&mut seen).await {
                    tracing::debug!(%error, "the outcome of messages is looked up later");
                }
            }
            pulse.rest();
            sleep(self.config.poll).await;
        }
    }

    /// What is still parked, and what nobody has dealt with, in words.
    async fn resume_and_note(&self) -> Result<Vec<String>, OperationError> {
        let mut notes = Vec::new();
        for (plugin, jobs) in self.store.parked().await? {
            let why = match self.presences.ask(&plugin).await {
                Presence::Connected => {
                    let resumed = self.store.resume(&plugin).await?;
                    tracing::info!("`{plugin}` is back: {resumed} parked jobs go on");
                    self.wake();
                    continue;
                }
                Presence::Away(status) => format!("which is `{status}`"),
                Presence::Absent => "which plugins.toml does not name".to_owned(),
            };
            notes
                .push(format!("{} parked, waiting for `{plugin}`, {why}", count(jobs, "job is", "jobs are")));
        }
        let letters = self.store.open_letters().await?;
        if !self.told_of_faults(letters.values().sum()).await? {
            notes.extend(dead(&letters));
        }
        Ok(notes)
    }

    /// Whether jobs fail for good again and again by no fault of those who made them: that is a trouble, until an operator
    /// has dealt with them. It is raised again after a restart, for the letters are still there.
    async fn told_of_faults(&self, letters: u64) -> Result<bool, OperationError> {
        let faults = if letters < FAULTS { 0 } else { self.store.open_faults().await? };
        if faults < FAULTS {
            self.lost_jobs.clear(&self.context).await;
            return Ok(false);
        }
        let message =
            format!("{faults} jobs could not be done, or their outcome is unknown: see {LETTERS_PATH}");
        let failure = Failure::internal(message).href(LETTERS_PATH);
        let trouble =
            Trouble::raised(LOST_JOBS, failure).label("See the dead letters, and retry or dismiss each");
        self.lost_jobs.raise(&self.context, trouble).await;
        Ok(true)
    }

    /// A message that was taken and did not arrive makes a dead letter of its job: whoever counts on it is told.
    ///
    /// `seen`: the last message that was looked for; after the last of all it begins anew.
    async fn look_after_sent(&self, seen: &mut String) -> Result<(), OperationError> {
        let ids = self.store.sent_after(seen, MOST_LOOKED_AT).await?;
        let last = ids.last().filter(|_| ids.len() == MOST_LOOKED_AT as usize).cloned();
        if !ids.is_empty() {
            if self.presences.ask(MESSAGING).await != Presence::Connected {
                return Ok(());
            }
            let ask = ListUnprocessed { failed_only: true, ids, limit: Some(MOST_LOOKED_AT) };
            let failed = self.context.dependency(MESSAGING)?.call(ask).await?;
            // Of the parts of a message the first one counts: those behind it were not sent because of it.
            let lost: BTreeMap<_, _> =
                failed.messages.iter().rev().map(|message| (&message.id, message.error.as_deref())).collect();
            for (message, why) in lost {
                let why = why.unwrap_or("it was not sent");
                if self.store.lost_message(message, why, self.store.now_ms()).await? {
                    tracing::warn!(text = message, "what a job sent did not reach its recipient: {why}");
                }
            }
        }
        *seen = last.unwrap_or_default();
        Ok(())
    }

    async fn tidy(&self) -> Result<(), OperationError> {
        let now = self.store.now_ms();
        self.store.forget_sent(now - SENT_KEPT_MS).await?;
        self.store.forget_jobs(now - JOBS_KEPT_MS).await?;
        self.store.forget_letters(now - LETTERS_KEPT_MS).await
    }
}

/// One note for all letters.
pub fn dead(letters: &BTreeMap<String, u64>) -> Option<String> {
    let total: u64 = letters.values().sum();
    let kinds: Vec<_> = letters.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
    let subject = count(total, "dead letter waits", "dead letters wait");
    (total > 0).then(|| format!("{subject} for an operator ({}): see {LETTERS_PATH}", kinds.join(", ")))
}

fn count(n: u64, one: &str, more: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {more}") }
}
