//! A run as it lies in the database -> what those who ask are told. Links are for operators alone.

use std::sync::Arc;

use plugin_api::{
    prelude::*,
    requests::orchestrator::{RunList, RunRecord, RunReport, RunSummary, ToolRecord},
    tools::data::cut_off,
};

use crate::{
    decisions::Decisions,
    run::{Run, ToolRun},
    shared::Shared,
};

const LISTED_GOAL: usize = 200;

/// Tells of runs.
pub struct Reporter {
    pub shared: Arc<Shared>,
    pub decisions: Arc<Decisions>,
}

impl Reporter {
    /// How a run goes.
    pub async fn report(&self, run: &Run, with_links: bool) -> Result<RunReport, OperationError> {
        let mut waiting_for = Vec::new();
        if !run.state.is_over() {
            for call in self.shared.store.waiting(&run.id).await? {
                waiting_for.push(self.decisions.of(&run.id, &call, with_links).await?);
            }
        }
        let lost = self.shared.store.lost(&run.id).await?;
        Ok(RunReport {
            run: run.id.clone(),
            state: run.state,
            answer: run.answer.clone(),
            error: run.error.clone(),
            waiting_for,
            held_by: run.held_by(),
            undelivered: lost.into_iter().map(|lost| lost.message).collect(),
            repeated: false,
            usage: run.usage,
        })
    }

    /// How a run goes, and all that was done in it.
    pub async fn record(&self, run: &Run, with_links: bool) -> Result<RunRecord, OperationError> {
        let calls = self.shared.store.calls(&run.id).await?;
        Ok(RunRecord {
            report: self.report(run, with_links).await?,
            person: run.person.clone(),
            goal: run.goal.clone(),
            started_ms: run.created_ms,
            changed_ms: run.changed_ms,
            detail: run.detail.clone().filter(|_| with_links),
            calls: calls.into_iter().map(recorded).collect(),
        })
    }
}

/// A page of runs.
pub fn list(mut runs: Vec<Run>, page: usize) -> RunList {
    let more = runs.len() > page;
    runs.truncate(page);
    let next = runs.last().filter(|_| more).map(|run| run.id.clone());
    RunList { runs: runs.into_iter().map(summary).collect(), next }
}

fn summary(run: Run) -> RunSummary {
    RunSummary {
        held_by: run.held_by(),
        goal: run.goal.chars().take(LISTED_GOAL).collect(),
        run: run.id,
        state: run.state,
        person: run.person,
        started_ms: run.created_ms,
        changed_ms: run.changed_ms,
        usage: run.usage,
    }
}

fn recorded(call: ToolRun) -> ToolRecord {
    ToolRecord {
        step: call.step.try_into().unwrap_or(u32::MAX),
        tool: cut_off(&call.tool, LISTED_GOAL).to_owned(),
        arguments: call.arguments,
        state: call.state,
        attempts: call.attempts.try_into().unwrap_or(u32::MAX),
        result: call.result,
    }
}
