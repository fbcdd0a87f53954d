//! What people decide, and the links by which they do. Of a link only its hash is kept.

use std::time::Duration;

use plugin_api::{
    lease::{self, NEVER},
    requests::sql::{Execute, Query, Row, Statement, Transaction},
};

use super::{Outcome, Store, rows, tables};
use crate::run::ToolRun;

/// Told, and never to be told again.
pub(super) const TOLD: i64 = NEVER;

/// Of so many decisions one message tells.
const TOLD_AT_ONCE: u32 = 200;

/// What a decision leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    Now,
    /// Somebody decided before, or nobody asked.
    Before,
    /// The run is over.
    TooLate,
}

/// A call that the approver is to be told of.
pub struct Untold {
    pub run: String,
    pub call: ToolRun,
    /// The SMS that told of it before, and did not arrive; empty if there is none.
    pub lost: String,
}

/// A decision that a link leads to.
#[derive(Debug, Clone)]
pub struct Link {
    pub run: String,
    pub decision: String,
    /// By what it is known that the link was given out for it.
    pub seal: String,
}

/// How often an approver is told of decisions.
#[derive(Debug, Clone)]
pub struct Telling {
    /// Their address.
    pub approver: String,
    pub every: Duration,
    /// After telling failed.
    pub again: Duration,
}

impl Telling {
    pub fn longest(&self) -> Duration {
        self.every.max(self.again)
    }
}

impl Store {
    /// Decides, once. `verdict` holds the call as it is from now on: approved, or failed with what the model is told.
    pub async fn decide(&self, run: &str, verdict: &ToolRun) -> Outcome<Decided> {
        // First of all it waits for whoever is about to let the run wait.
        let goes_on = "
            update orchestrator_service_runs set changed_ms = now_ms() where id = $1 and state in ('running', 'waiting')";
        let decide = "
            update orchestrator_service_calls set state = $5, result = $6, approval = $7
            where run = $1 and step = $2 and position = $3 and attempts = $4 and state = 'waiting'";
        let resume = "
            update orchestrator_service_runs set state = 'running', owner = '', lease_ms = 0
            where id = $1 and (state = 'waiting' or (state = 'running' and owner = '')) and not exists
                (select 1 from orchestrator_service_calls where run = $1 and state = 'waiting')";
        let transaction = Transaction::default()
            .then(Statement::new(goes_on).bind(run).expect_rows(1))
            .then(
                Statement::new(decide)
                    .bind(run)
                    .bind(verdict.step)
                    .bind(verdict.position)
                    .bind(verdict.attempts)
                    .bind(rows::call_state_name(verdict.state))
                    .bind(verdict.result.as_deref().unwrap_or_default())
                    .bind(&verdict.approval)
                    .expect_rows(1),
            )
            .then(Statement::new(resume).bind(run));
        Ok(match self.transaction(transaction).await? {
            Ok(()) => Decided::Now,
            Err(0) => Decided::TooLate,
            Err(_) => Decided::Before,
        })
    }

    /// The call that a decision is, or was, about.
    pub async fn asked(&self, run: &str, decision: &str) -> Outcome<Option<ToolRun>> {
        let mut numbers = decision.split('.').map(|number| number.parse::<i64>().unwrap_or(-1));
        let (step, position) = (numbers.next().unwrap_or(-1), numbers.next().unwrap_or(-1));
        let query = format!("{} where run = $1 and step = $2 and position = $3", tables::CALL);
        let rows = self.query(Query::new(query).bind(run).bind(step).bind(position)).await?;
        rows.first().map(rows::call).transpose()
    }

    /// Calls that nobody decided in time, with their runs.
    pub async fn expired(&self) -> Outcome<Vec<(String, ToolRun)>> {
        let query = format!("{} where state = 'waiting' and expires_ms <= now_ms() limit 100", tables::CALL);
        let rows = self.query(Query::new(query)).await?;
        rows.iter().map(|row| Ok((row.get("run")?, rows::call(row)?))).collect()
    }

    /// Takes the calls that the approver is to be told of; if that fails, they are taken again after this time.
    pub async fn take_untold(&self, again: Duration) -> Outcome<Vec<Untold>> {
        let is_due = tables::is_to_be_told();
        let take = format!(
            "
            with untold as (select run, step, position from orchestrator_service_calls
                where state = 'waiting' and {is_due} order by run, step, position limit {TOLD_AT_ONCE})
            update orchestrator_service_calls set tell_ms = now_ms() + $1
            where (run, step, position) in (select run, step, position from untold)
                and state = 'waiting' and {is_due}
            returning run, step, position, name, tool, arguments, state, attempts, result, question, expires_ms,
                decisive, seal, approval, told_by"
        );
        let taken = self.execute(Execute::new(take).bind(lease::millis(again))).await?;
        let untold = |row: Row<'_>| {
            Ok(Untold { run: row.get("run")?, call: rows::call(row)?, lost: row.get("told_by")? })
        };
        taken.returned.iter().map(untold).collect()
    }

    /// Takes the turn of telling an approver; false if they were told a short while ago, or another host is about to.
    /// It counts as failed until it ended.
    pub async fn begin_telling(&self, telling: &Telling) -> Outcome<bool> {
        let begin = format!(
            "insert into orchestrator_service_tellings (approver, next_ms, failed) values ($1, now_ms() + $2, 1)
            on conflict (approver) do update set next_ms = excluded.next_ms, failed = 1
            where {}",
            lease::is_over("orchestrator_service_tellings.next_ms", telling.longest())
        );
        let begin = Execute::new(begin).bind(&telling.approver).bind(lease::millis(telling.again));
        self.execute(begin).await.map(super::did_something)
    }

    /// The approver was told: of what comes from now on they are told after this pause, all at once.
    pub async fn end_telling(&self, telling: &Telling, pause: Duration) -> Outcome<()> {
        let end = "update orchestrator_service_tellings set next_ms = now_ms() + $2, failed = 0 where approver = $1";
        let end = Execute::new(end).bind(&telling.approver).bind(lease::millis(pause));
        self.execute(end).await.map(drop)
    }

    /// A setting may have been mended: those whom telling failed are told at once.
    pub async fn tell_again(&self) -> Outcome<()> {
        let again = "update orchestrator_service_calls set tell_ms = 0
            where state = 'waiting' and tell_ms > 0 and tell_ms < $1";
        self.execute(Execute::new(again).bind(TOLD)).await?;
        let turn = "update orchestrator_service_tellings set next_ms = 0 where failed = 1";
        self.execute(Execute::new(turn)).await.map(drop)
    }

    /// The approver knows, or nobody is there to be told.
    pub async fn told(&self, run: &str, call: &ToolRun, sid: &str) -> Outcome<()> {
        let told = "
            update orchestrator_service_calls set tell_ms = $5, told_by = $6
            where run = $1 and step = $2 and position = $3 and attempts = $4 and state = 'waiting'";
        let told =
            Execute::new(told).bind(run).bind(call.step).bind(call.position).bind(call.attempts).bind(TOLD);
        self.execute(told.bind(sid)).await.map(drop)
    }

    /// The SMS that told the approver did not arrive: they are told again after this time. `None` if it told of nothing, the
    /// decision was made, or that is known already.
    pub async fn not_delivered(&self, sid: &str) -> Outcome<Option<String>> {
        let set = "update orchestrator_service_calls set tell_ms = now_ms() + $2
            where told_by = $1 and tell_ms = $3 and state = 'waiting' returning run";
        let again = lease::millis(tables::SEND_AGAIN);
        let set = self.execute(Execute::new(set).bind(sid).bind(again).bind(TOLD)).await?;
        set.returned.first().map(|row| row.get("run")).transpose()
    }

    pub async fn add_links(&self, hash: &str, links: &[Link]) -> Outcome<()> {
        let insert = "
            insert into orchestrator_service_links (hash, run, decision, seal) values ($1, $2, $3, $4)
            on conflict do nothing";
        let insert = |link: &Link| {
            Statement::new(insert).bind(hash).bind(&link.run).bind(&link.decision).bind(&link.seal)
        };
        let all = links.iter().map(insert).fold(Transaction::default(), Transaction::then);
        self.transaction(all).await.map(drop)
    }

    /// What a link leads to; nothing if nobody ever gave it out.
    pub async fn links(&self, hash: &str) -> Outcome<Vec<Link>> {
        let query = "select run, decision, seal from orchestrator_service_links where hash = $1 order by run, decision";
        let rows = self.query(Query::new(query).bind(hash)).await?;
        let link = |row: Row<'_>| {
            Ok(Link { run: row.get("run")?, decision: row.get("decision")?, seal: row.get("seal")? })
        };
        rows.iter().map(link).collect()
    }
}
