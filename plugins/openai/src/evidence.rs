//! What calls show of the plugin as a whole -> evidence for the host, so that a busy API is not probed and an outage is
//! known at once. No call waits for it.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use plugin_api::{
    prelude::*,
    requests::{
        host::{self, Report},
        openai::Usage,
    },
    standing::Standing,
    tokio, tracing,
};

use crate::{models::Ending, trouble::Trouble};

/// Success is reported once in this time: more often says nothing new, and the host would not count it.
const PAUSE: Duration = Duration::from_secs(1);

/// The trouble of realtime sessions that open and are refused every answer.
const IN_SESSION: &str = "realtime";

/// Tells the host.
pub struct Evidence {
    context: Context,
    last_success: Mutex<Option<Instant>>,
    in_session: Standing,
    endings: Mutex<Vec<Ending>>,
}

impl Evidence {
    pub fn new(context: Context) -> Self {
        let (last_success, endings) = (Mutex::default(), Mutex::default());
        Self { context, last_success, in_session: Standing::new(IN_SESSION), endings }
    }

    /// Takes over the outcome of a call.
    pub fn of<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        match &outcome {
            Ok(_) => self.success(),
            Err(trouble) => self.failure(trouble),
        }
        outcome
    }

    /// An authenticated request just succeeded.
    pub fn success(&self) {
        let mut last = self.last_success.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= PAUSE) {
            *last = Some(Instant::now());
            self.report(Report::Success);
        }
    }

    /// A request just failed; what concerns it alone is nobody else's affair.
    pub fn failure(&self, trouble: &Trouble) {
        if trouble.is_about_the_plugin() {
            *self.last_success.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.report(Failure::from(trouble.clone()).into());
        }
    }

    /// A session opened, and the server refuses us in it: no outcome of the stream tells.
    pub async fn refused_in_session(&self, trouble: Trouble) {
        let trouble = host::Trouble::raised(IN_SESSION, Failure::from(trouble));
        self.in_session.raise(&self.context, trouble).await;
    }

    /// A session was answered.
    pub async fn answered_in_session(&self) {
        self.in_session.clear(&self.context).await;
    }

    /// What an answer took.
    pub fn took(&self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let context = self.context.clone();
        tokio::spawn(async move {
            let host = context.host();
            for (name, tokens) in
                [("input_tokens", usage.input_tokens), ("output_tokens", usage.output_tokens)]
            {
                if let Err(error) = host.count(name, tokens).await {
                    tracing::debug!(%error, "the host did not count the tokens");
                }
            }
        });
    }

    /// Models are about to be shut down: this is noted beside the plugin's health, and logged once.
    pub fn note_endings(&self, endings: Vec<Ending>) {
        let mut known = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == endings {
            return;
        }
        for ending in &endings {
            tracing::warn!(model = ending.model, "{}: set `{}`", ending.message(), ending.variable);
        }
        let note = |ending: &Ending| format!("{}: set `{}`", ending.message(), ending.variable);
        let notes = endings.iter().map(note).collect();
        *known = endings;
        let context = self.context.clone();
        tokio::spawn(async move {
            if let Err(error) = context.host().note(notes).await {
                tracing::debug!(%error, "the host did not accept the note");
            }
        });
    }

    fn report(&self, report: Report) {
        let context = self.context.clone();
        tokio::spawn(async move {
            if let Err(error) = context.host().report(report).await {
                tracing::debug!(%error, "the host did not accept the health report");
            }
        });
    }
}
