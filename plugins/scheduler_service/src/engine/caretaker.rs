//! What goes on beside the jobs: leases are renewed, what was parked is resumed when what it waits for is back, what is
//! old is forgotten, and the host is told what waits for somebody.

use std::{collections::BTreeMap, time::Instant};

use plugin_api::{prelude::*, tokio::time::sleep, tracing};

use super::{Engine, now_ms, presence::Presence};
use crate::settings::millis;

const DAY_MS: i64 = 24 * 3600 * 1000;
const JOBS_KEPT_MS: i64 = 30 * DAY_MS;
const LETTERS_KEPT_MS: i64 = 90 * DAY_MS;
/// How often old things are forgotten, and leases looked at that no clock can mean.
const TIDY: Duration = Duration::from_secs(60);

impl Engine {
    /// Three times in each lease, so that one that fails is not missed.
    pub(super) async fn renew_for_ever(self: Arc<Self>) {
        loop {
            sleep(self.config.lease / 3).await;
            let jobs: Vec<String> = self.working().iter().cloned().collect();
            if jobs.is_empty() {
                continue;
            }
            let until = now_ms() + millis(self.config.lease);
            if let Err(error) = self.store.renew(&self.owner, &jobs, until).await {
                tracing::warn!("the leases of {} jobs cannot be renewed: {error}", jobs.len());
            }
        }
    }

    pub(super) async fn care_for_ever(self: Arc<Self>) {
        let mut told: Option<Vec<String>> = None;
        let mut tidied: Option<Instant> = None;
        loop {
            if let Ok(notes) = self.resume_and_note().await
                && told.as_ref() != Some(&notes)
                && self.context.host().note(notes.clone()).await.is_ok()
            {
                told = Some(notes);
            }
            if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY) && self.tidy().await.is_ok() {
                tidied = Some(Instant::now());
            }
            sleep(self.config.poll).await;
        }
    }

    /// What is still parked, and what nobody has dealt with, in words.
    async fn resume_and_note(&self) -> Result<Vec<String>, OperationError> {
        let mut notes = Vec::new();
        for (plugin, jobs) in self.store.parked().await? {
            let why = match self.presences.ask(&plugin).await {
                Presence::Connected => {
                    let resumed = self.store.resume(&plugin, now_ms()).await?;
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
        notes.extend(dead(&self.store.open_letters().await?));
        Ok(notes)
    }

    async fn tidy(&self) -> Result<(), OperationError> {
        let now = now_ms();
        self.store.end_impossible_leases(now, now + 10 * millis(self.config.lease)).await?;
        self.store.forget_jobs(now - JOBS_KEPT_MS).await?;
        self.store.forget_letters(now - LETTERS_KEPT_MS).await
    }
}

/// One note for all letters.
pub fn dead(letters: &BTreeMap<String, u64>) -> Option<String> {
    let total: u64 = letters.values().sum();
    let kinds: Vec<_> = letters.iter().map(|(outcome, n)| format!("{n} {outcome}")).collect();
    let subject = count(total, "dead letter waits", "dead letters wait");
    (total > 0)
        .then(|| format!("{subject} for an operator ({}): see /api/schedule/dead-letters", kinds.join(", ")))
}

fn count(n: u64, one: &str, more: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {more}") }
}
