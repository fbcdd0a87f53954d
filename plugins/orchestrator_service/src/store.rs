//! What lasts of runs: in the database, across restarts and all hosts that share it. Every change is one statement or one
//! transaction, and those of whoever works on a run hold only as long as its claim does. Repeated, a change changes
//! nothing more: an answer that was lost on the way is asked for again.

mod decisions;
mod messages;
mod rows;
mod tables;
mod work;

use std::time::Duration;

use plugin_api::{
    context::Context,
    error::{ErrorKind, OperationError},
    lease::millis,
    process::Leases,
    requests::{
        orchestrator::ListRuns,
        sql::{Execute, Executed, Migrate, Query, Rows, Statement, Transaction},
    },
    tables::Tables,
};

pub use decisions::{Decided, Link, Telling};
pub use messages::Lost;
pub use work::{Claim, End, Progress};

use crate::run::{Run, Step, ToolRun};

/// Where a page of a list ends that does not say.
pub const PAGE: u32 = 50;
const LONGEST_PAGE: u32 = 200;
/// Rows of a run read at once; fewer, if they are large.
const PAGE_OF_A_RUN: u32 = 500;
/// More calls than the settings allow.
const LONGEST_OUTLINE: u32 = 100_000;

type Outcome<T> = Result<T, OperationError>;

/// Remembers runs.
pub struct Store {
    tables: Tables,
    lease: Duration,
}

/// A run that is there, and whether an earlier call made it.
pub struct Started {
    pub run: Run,
    pub repeated: bool,
}

/// What there is to do.
#[plugin_api::row]
#[derive(Default, Copy, PartialEq, Eq)]
pub struct Due {
    /// Runs that nobody works on.
    pub runs: i64,
    /// Runs that wait for plugins.
    pub held: i64,
    /// Decisions that nobody made in time.
    pub expired: i64,
    /// Decisions that the approver is to be told of now.
    pub untold: i64,
    /// Decisions that the approver was not told of, now or later.
    pub unheard: i64,
}

impl Store {
    pub fn new(context: Context, lease: Duration) -> Self {
        let versions = Migrate::new("orchestrator_service")
            .version("runs, steps, calls, links", tables::TABLES)
            .version("what the model's server writes beside", tables::WORDS_OF_SERVERS)
            .version("the SMS that told the approver", tables::TOLD_BY)
            .version("what tools sent", tables::MESSAGES)
            .version("waits for plugins", tables::HELD)
            .version("who speaks, and what is known beside", tables::BESIDE)
            .version("seals and approvals", tables::SEALS);
        let runs = Leases { table: "orchestrator_service_runs", owner: "owner", until: "lease_ms" };
        let tables = Tables::new(context, versions, "runs cannot be kept at the moment");
        Self { tables: tables.leases(runs, "state = 'running'"), lease }
    }

    /// Now by the database's clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.tables.now_ms()
    }

    /// Keeps a new run, unless one with the same key is there.
    pub async fn insert(
        &self,
        run: &Run,
        key: &str,
        fingerprint: &str,
        claim: Option<&Claim>,
    ) -> Outcome<Started> {
        let insert = || self.execute(rows::insert(run, key, fingerprint, claim));
        match insert().await {
            // It is there or not; either way a second time makes it one.
            Err(error) if error.kind == ErrorKind::UnknownOutcome => drop(insert().await?),
            inserted => drop(inserted?),
        }
        let query = format!("{} where start_key = $1", tables::RUN);
        let rows = self.query(Query::new(query).bind(key)).await?;
        let row =
            rows.first().ok_or_else(|| OperationError::unavailable("the run was forgotten just now"))?;
        if row.get::<String>("fingerprint")? != fingerprint {
            return Err(OperationError::conflict(
                "the idempotency key was used for another goal: use a new key for a new goal",
            ));
        }
        let kept = rows::run(row)?;
        let repeated = kept.id != run.id;
        Ok(Started { run: kept, repeated })
    }

    pub async fn run(&self, id: &str) -> Outcome<Option<Run>> {
        let rows = self.query(Query::new(format!("{} where id = $1", tables::RUN)).bind(id)).await?;
        rows.first().map(rows::run).transpose()
    }

    /// The steps of a run with their calls.
    pub async fn steps(&self, run: &str) -> Outcome<Vec<Step>> {
        let mut steps: Vec<Step> = Vec::new();
        loop {
            let last = steps.last().map_or(0, |step| step.number);
            let query = Query::new(tables::STEPS).bind(run).bind(last).row_limit(PAGE_OF_A_RUN);
            let rows = self.query(query).await?;
            for row in rows.iter() {
                steps.push(rows::step(row)?);
            }
            if !rows.truncated {
                break;
            }
        }
        for call in self.calls(run).await? {
            if let Some(step) = steps.iter_mut().find(|step| step.number == call.step) {
                step.calls.push(call);
            }
        }
        Ok(steps)
    }

    /// The tool calls of a run, in their order. Their results may be more than one answer of the database holds.
    pub async fn calls(&self, run: &str) -> Outcome<Vec<ToolRun>> {
        let mut calls: Vec<ToolRun> = Vec::new();
        let query = format!(
            "{} where run = $1 and (step > $2 or (step = $2 and position > $3)) order by step, position",
            tables::CALL
        );
        loop {
            let (step, position) = calls.last().map_or((0, 0), |call| (call.step, call.position));
            let query = Query::new(&query).bind(run).bind(step).bind(position).row_limit(PAGE_OF_A_RUN);
            let rows = self.query(query).await?;
            for row in rows.iter() {
                calls.push(rows::call(row)?);
            }
            if !rows.truncated {
                return Ok(calls);
            }
        }
    }

    /// The same without what they were called with, and what they returned.
    pub async fn outline(&self, run: &str) -> Outcome<Vec<ToolRun>> {
        let query = Query::new(tables::OUTLINE).bind(run).row_limit(LONGEST_OUTLINE);
        self.query(query).await?.iter().map(rows::call).collect()
    }

    /// The calls that wait for a person.
    pub async fn waiting(&self, run: &str) -> Outcome<Vec<ToolRun>> {
        let query = format!("{} where run = $1 and state = 'waiting' order by step, position", tables::CALL);
        self.query(Query::new(query).bind(run)).await?.iter().map(rows::call).collect()
    }

    /// Runs, the newest first: one more than the page holds, if there are more.
    pub async fn list(&self, list: &ListRuns) -> Outcome<(Vec<Run>, usize)> {
        let page = list.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
        let state = list.state.map(rows::state_name).unwrap_or_default();
        let query = format!(
            "{} where ($1 = '' or person = $1) and ($2 = '' or state = $2) and ($3 = '' or id < $3)
            order by id desc limit $4",
            tables::LISTED_RUN
        );
        let query = Query::new(query)
            .bind(list.person.as_deref().unwrap_or_default())
            .bind(state)
            .bind(list.before.as_deref().unwrap_or_default())
            .bind(i64::from(page) + 1);
        let runs = self.query(query.row_limit(page + 1)).await?;
        let runs: Vec<Run> = runs.iter().map(rows::run).collect::<Outcome<_>>()?;
        Ok((runs, page as usize))
    }

    /// Ends a run, whoever works on it; false if it was over already.
    pub async fn cancel(&self, run: &str, why: &str) -> Outcome<bool> {
        let cancel = "
            update orchestrator_service_runs set state = 'cancelled', error = $2, changed_ms = now_ms()
            where id = $1 and state in ('running', 'waiting')";
        let leave = "
            update orchestrator_service_calls set state = 'failed', result = $2
            where run = $1 and state in ('waiting', 'approved')";
        let cancel = Statement::new(cancel).bind(run).bind(why).expect_rows(1);
        let leave = Statement::new(leave).bind(run).bind(why);
        Ok(self.transaction(Transaction::default().then(cancel).then(leave)).await?.is_ok())
    }

    /// What there is to do, at the price of one read.
    pub async fn due(&self, telling: &Telling) -> Outcome<Due> {
        let due = Query::new(tables::due(self.lease, telling.longest())).bind(decisions::TOLD);
        let rows = self.query(due.bind(&telling.approver)).await?;
        let row = rows.first().ok_or_else(|| OperationError::internal("the database counts nothing"))?;
        self.tables.set_clock(row)?;
        row.read()
    }

    /// Forgets runs that have been over for so long.
    pub async fn forget(&self, keep: Duration) -> Outcome<()> {
        let over = "(select id from orchestrator_service_runs
            where state in ('done', 'failed', 'cancelled') and changed_ms < $1)";
        // One moment for all: of a run that is forgotten only in part, calls without steps would be left.
        let before_ms = self.now_ms() - millis(keep);
        for (table, key) in
            [("links", "run"), ("messages", "run"), ("calls", "run"), ("steps", "run"), ("runs", "id")]
        {
            let delete = format!("delete from orchestrator_service_{table} where {key} in {over}");
            self.execute(Execute::new(delete).bind(before_ms)).await?;
        }
        Ok(())
    }

    async fn execute(&self, statement: Execute) -> Outcome<Executed> {
        self.tables.execute(statement).await
    }

    async fn query(&self, query: Query) -> Outcome<Rows> {
        self.tables.query(query).await
    }

    /// Which statement did not affect the expected number of rows, if one did not: then nothing was changed.
    async fn transaction(&self, transaction: Transaction) -> Outcome<Result<(), usize>> {
        let attempt = self.tables.attempt(transaction.statements).await?;
        Ok(attempt.map(drop).map_err(|unexpected| unexpected.statement))
    }
}

fn did_something(executed: Executed) -> bool {
    executed.rows_affected > 0
}
