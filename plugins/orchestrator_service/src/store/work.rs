//! What whoever works on a run writes. Each of these holds only under a claim that is still good, and extends it.

use std::{collections::BTreeSet, time::Duration};

use plugin_api::{
    lease::millis,
    requests::{
        orchestrator::{Question, RunState, RunUsage},
        sql::{Dialect, Execute, Statement, Transaction, Value},
    },
    serde_json::{self, json},
};

use super::{Outcome, Store, did_something, messages, rows, tables};
use crate::run::{Held, Sent, Step, ToolRun};

/// Who works on a run, and how long after each step at least.
#[derive(Debug, Clone)]
pub struct Claim {
    pub owner: String,
    pub lease: Duration,
}

/// What was used up so far.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub usage: RunUsage,
    pub worked_ms: i64,
}

/// How a run ends.
#[derive(Debug, Clone)]
pub struct End {
    pub state: RunState,
    /// The answer, or why there is none.
    pub text: String,
    /// What the model's server said of it, for operators.
    pub detail: Option<String>,
}

impl End {
    pub fn done(answer: &str) -> Self {
        Self { state: RunState::Done, text: answer.to_owned(), detail: None }
    }

    pub fn failed(why: impl Into<String>) -> Self {
        Self { state: RunState::Failed, text: why.into(), detail: None }
    }
}

impl Store {
    /// Takes up to so many runs that nobody works on, those that wait longest first; none of `working`.
    pub async fn claim(
        &self,
        most: usize,
        claim: &Claim,
        working: &BTreeSet<String>,
    ) -> Outcome<Vec<String>> {
        // Elsewhere than on PostgreSQL there is one writer at a time, and nothing to skip.
        let dialect = self.tables.dialect().await?;
        let lock = if dialect == Dialect::Postgres { "for update skip locked" } else { "" };
        let update = format!(
            "with free as (
                select id from orchestrator_service_runs where {} and id not in {}
                order by lease_ms limit $2 {lock})
            update orchestrator_service_runs set owner = $3, lease_ms = now_ms() + $4
            where id in (select id from free) returning id",
            tables::is_free(claim.lease),
            dialect.texts(1)
        );
        let update = Execute::new(update)
            .bind(Value::Json(json!(working)))
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .bind(&claim.owner)
            .bind(millis(claim.lease));
        self.execute(update).await?.returned.iter().map(|row| row.get("id")).collect()
    }

    /// Keeps a claim; false if it is not good any more.
    pub async fn renew(&self, run: &str, claim: &Claim, worked_ms: i64) -> Outcome<bool> {
        let renew = format!(
            "update orchestrator_service_runs set lease_ms = now_ms() + $3, worked_ms = $4 where {}",
            tables::IS_OURS
        );
        let renew =
            Execute::new(renew).bind(run).bind(&claim.owner).bind(millis(claim.lease)).bind(worked_ms);
        self.execute(renew).await.map(did_something)
    }

    /// Lets a run wait for plugins: after this pause at most it is taken up again.
    pub async fn hold(
        &self,
        run: &str,
        claim: &Claim,
        held: &Held,
        pause: Duration,
        progress: Progress,
    ) -> Outcome<bool> {
        let hold = format!(
            "update orchestrator_service_runs set owner = '', lease_ms = now_ms() + $3, held_by = $4, held_ms = $5 where {}",
            tables::IS_OURS
        );
        let hold = Statement::new(hold).bind(run).bind(&claim.owner).bind(millis(pause));
        let hold = hold.bind(held.by.join(",")).bind(held.since_ms).expect_rows(1);
        let transaction = Transaction::default().then(advance(run, claim, progress)).then(hold);
        Ok(self.transaction(transaction).await?.is_ok())
    }

    /// The run waits for no plugin any more.
    pub async fn go_on(&self, run: &str, claim: &Claim) -> Outcome<bool> {
        let go_on = format!(
            "update orchestrator_service_runs set held_by = '', held_ms = 0 where {}",
            tables::IS_OURS
        );
        self.execute(Execute::new(go_on).bind(run).bind(&claim.owner)).await.map(did_something)
    }

    /// Plugins have come back: whoever waits for some looks again at once.
    pub async fn look_again(&self) -> Outcome<()> {
        let again = "update orchestrator_service_runs set lease_ms = 0
            where state = 'running' and owner = '' and held_by <> ''";
        self.execute(Execute::new(again)).await.map(drop)
    }

    /// Gives a run back, so that another host may take it up at once.
    pub async fn release(&self, run: &str, claim: &Claim, worked_ms: i64) -> Outcome<()> {
        let release = format!(
            "update orchestrator_service_runs set owner = '', lease_ms = 0, worked_ms = $3 where {}",
            tables::IS_OURS
        );
        let release = Execute::new(release).bind(run).bind(&claim.owner).bind(worked_ms);
        self.execute(release).await.map(drop)
    }

    /// Keeps a turn of the model with the calls that it wants, before any of them is made.
    pub async fn add_step(&self, run: &str, claim: &Claim, step: &Step, progress: Progress) -> Outcome<bool> {
        let insert = "
            insert into orchestrator_service_steps (run, step, content, wire) values ($1, $2, $3, $4)
            on conflict do nothing";
        let wire = serde_json::to_string(&step.wire).expect("what came as JSON is JSON");
        let insert = Statement::new(insert)
            .bind(run)
            .bind(step.number)
            .bind(step.content.as_deref().unwrap_or_default())
            .bind(wire);
        let mut transaction = Transaction::default().then(advance(run, claim, progress)).then(insert);
        for call in &step.calls {
            transaction = transaction.then(rows::insert_call(run, call));
        }
        Ok(self.transaction(transaction).await?.is_ok())
    }

    /// Ends a run.
    pub async fn finish(&self, run: &str, claim: &Claim, end: &End, progress: Progress) -> Outcome<bool> {
        let column = if end.state == RunState::Done { "answer" } else { "error" };
        let finish = format!(
            "update orchestrator_service_runs
            set state = $3, {column} = $4, steps = $5, prompt_tokens = $6, completion_tokens = $7, worked_ms = $8,
                changed_ms = now_ms(), detail = $9
            where {}",
            tables::IS_OURS
        );
        let finish = Execute::new(finish)
            .bind(run)
            .bind(&claim.owner)
            .bind(rows::state_name(end.state))
            .bind(&end.text)
            .bind(i64::from(progress.usage.steps))
            .bind(rows::signed(progress.usage.prompt_tokens))
            .bind(rows::signed(progress.usage.completion_tokens))
            .bind(progress.worked_ms)
            .bind(end.detail.as_deref().unwrap_or_default());
        self.execute(finish).await.map(did_something)
    }

    /// Notes that a call is about to be made, so many times by now; or that nothing was begun after all, and it is
    /// approved as before.
    pub async fn mark(&self, run: &str, claim: &Claim, call: &ToolRun) -> Outcome<bool> {
        let mark = format!(
            "update orchestrator_service_calls set state = $6, attempts = $5
            where run = $1 and step = $3 and position = $4 and state in ('begun', 'approved') and exists
                (select 1 from orchestrator_service_runs where {})",
            tables::IS_OURS
        );
        let mark = at(Execute::new(mark).bind(run).bind(&claim.owner), call).bind(call.attempts);
        self.execute(mark.bind(rows::call_state_name(call.state))).await.map(did_something)
    }

    /// Keeps the result of a call with what it sent, also of a run that was cancelled meanwhile.
    pub async fn settle(&self, run: &str, claim: &Claim, call: &ToolRun, sent: &[Sent]) -> Outcome<bool> {
        let settle = "
            update orchestrator_service_calls set state = $5, result = $6
            where run = $1 and step = $3 and position = $4 and state not in ('waiting') and exists
                (select 1 from orchestrator_service_runs where id = $1 and owner = $2)";
        let settle = Statement::new(settle)
            .bind(run)
            .bind(&claim.owner)
            .bind(call.step)
            .bind(call.position)
            .bind(rows::call_state_name(call.state))
            .bind(call.result.as_deref().unwrap_or_default())
            .expect_rows(1);
        let touch = "update orchestrator_service_runs set changed_ms = now_ms() where id = $1";
        let touch = Statement::new(touch).bind(run);
        let mut transaction = Transaction::default().then(settle).then(touch);
        for sent in sent {
            transaction = transaction.then(messages::insert(run, call, sent));
        }
        Ok(self.transaction(transaction).await?.is_ok())
    }

    /// Leaves a call to a person.
    pub async fn ask(&self, run: &str, claim: &Claim, call: &ToolRun) -> Outcome<bool> {
        let ask = format!(
            "update orchestrator_service_calls
            set state = 'waiting', question = $5, expires_ms = $6, seal = $7, approval = '', tell_ms = 0
            where run = $1 and step = $3 and position = $4 and state in ('begun', 'waiting') and exists
                (select 1 from orchestrator_service_runs where {})",
            tables::IS_OURS
        );
        let ask = at(Execute::new(ask).bind(run).bind(&claim.owner), call)
            .bind(rows::question_name(call.question.or(Some(Question::UnknownOutcome))))
            .bind(call.expires_ms)
            .bind(&call.seal);
        self.execute(ask).await.map(did_something)
    }

    /// Lets a run wait for people; false if there is nothing left to wait for, or the claim is not good any more.
    pub async fn park(&self, run: &str, claim: &Claim, progress: Progress) -> Outcome<bool> {
        // The first statement waits for whoever is deciding, so that the second one sees the decision.
        let park = format!(
            "update orchestrator_service_runs set state = 'waiting', owner = '', lease_ms = 0
            where {} and exists (select 1 from orchestrator_service_calls where run = $1 and state = 'waiting')",
            tables::IS_OURS
        );
        let park = Statement::new(park).bind(run).bind(&claim.owner).expect_rows(1);
        let transaction = Transaction::default().then(advance(run, claim, progress)).then(park);
        Ok(self.transaction(transaction).await?.is_ok())
    }
}

/// What was used up, under a claim that is still good.
fn advance(run: &str, claim: &Claim, progress: Progress) -> Statement {
    let advance = format!(
        "update orchestrator_service_runs
        set steps = $3, prompt_tokens = $4, completion_tokens = $5, worked_ms = $6, changed_ms = now_ms(),
            lease_ms = now_ms() + $7
        where {}",
        tables::IS_OURS
    );
    Statement::new(advance)
        .bind(run)
        .bind(&claim.owner)
        .bind(i64::from(progress.usage.steps))
        .bind(rows::signed(progress.usage.prompt_tokens))
        .bind(rows::signed(progress.usage.completion_tokens))
        .bind(progress.worked_ms)
        .bind(millis(claim.lease))
        .expect_rows(1)
}

fn at(statement: Execute, call: &ToolRun) -> Execute {
    statement.bind(call.step).bind(call.position)
}
