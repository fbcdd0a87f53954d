//! Messages that the tools of runs sent, and which of them did not arrive.

use std::collections::BTreeSet;

use plugin_api::{
    requests::{
        orchestrator::LostMessage,
        sql::{Execute, Query, Row, Statement, Value},
        twilio_service::NotDelivered,
    },
    serde_json::json,
};

use super::{Outcome, Store};
use crate::run::{Sent, ToolRun};

/// A message that did not arrive, and the call that sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    pub step: i64,
    pub position: i64,
    pub message: LostMessage,
}

impl Store {
    /// Which of these messages a run's tool sent, or told the approver of a decision that waits.
    pub async fn ours(&self, sids: &[&str]) -> Outcome<BTreeSet<String>> {
        let sids_in = self.tables.dialect().await?.texts(1);
        let query = format!(
            "select sid from orchestrator_service_messages where sid in {sids_in}
            union select told_by from orchestrator_service_calls where state = 'waiting' and told_by in {sids_in}"
        );
        self.query(Query::new(query).bind(Value::Json(json!(sids))))
            .await?
            .iter()
            .map(|row| row.get("sid"))
            .collect()
    }

    /// A message did not arrive: the runs that had not known it.
    pub async fn not_delivered_by_runs(&self, report: &NotDelivered) -> Outcome<Vec<String>> {
        let set =
            "update orchestrator_service_messages set error_code = $2, why = $3, advice = $4, lost_ms = $5
            where sid = $1 and lost_ms = 0 returning run";
        let set = Execute::new(set)
            .bind(&report.sid)
            .bind(i64::from(report.error_code.unwrap_or_default()))
            .bind(&report.why)
            .bind(&report.advice)
            .bind(report.at_ms);
        self.execute(set).await?.returned.iter().map(|row| row.get("run")).collect()
    }

    /// Messages of a run that did not arrive.
    pub async fn lost(&self, run: &str) -> Outcome<Vec<Lost>> {
        let query = "select * from orchestrator_service_messages where run = $1 and lost_ms > 0
            order by step, position, sid";
        self.query(Query::new(query).bind(run)).await?.iter().map(lost).collect()
    }
}

/// Keeps a message that a call sent. A second time changes nothing.
pub(super) fn insert(run: &str, call: &ToolRun, sent: &Sent) -> Statement {
    let insert = Statement::new(
        "insert into orchestrator_service_messages
            (sid, run, step, position, tool, recipient, error_code, why, advice, lost_ms)
        values ($1, $2, $3, $4, $5, $6, 0, '', '', 0) on conflict do nothing",
    );
    let insert = insert.bind(&sent.sid).bind(run).bind(call.step).bind(call.position);
    insert.bind(&call.tool).bind(&sent.to)
}

fn lost(row: Row<'_>) -> Outcome<Lost> {
    let code = u32::try_from(row.get::<i64>("error_code")?).ok();
    let message = LostMessage {
        tool: row.get("tool")?,
        to: row.get("recipient")?,
        sid: row.get("sid")?,
        error_code: code.filter(|code| *code != 0),
        why: row.get("why")?,
        advice: row.get("advice")?,
        at_ms: row.get("lost_ms")?,
    };
    Ok(Lost { step: row.get("step")?, position: row.get("position")?, message })
}
