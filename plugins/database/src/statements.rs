//! The operations `query`, `execute` and `transaction`.

use std::time::Duration;

use plugin_api::{
    prelude::*,
    requests::sql::{Committed, Execute, Executed, Query, Rows, Statement, Transaction, Value},
};

use crate::{
    budget::Budget,
    client::Client,
    errors::Trouble,
    scan::{Sketch, scan},
    session::{Cap, Mode, Session},
};

/// Statements that would end the transaction around them, or change the connection for whoever has it next.
const BARRED: [&str; 18] = [
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "prepare",
    "set",
    "reset",
    "discard",
    "listen",
    "unlisten",
    "copy",
    "pragma",
    "attach",
    "detach",
];

impl Client {
    /// Reads rows.
    pub async fn query(&self, request: &Query, caller: Option<Duration>) -> Result<Rows, Trouble> {
        let sketch = self.check(&request.sql, &request.params)?;
        let sql = sketch.translate(&request.sql, self.dialect());
        let limit = request.row_limit.and_then(|limit| usize::try_from(limit).ok());
        let cap = Cap { rows: limit.unwrap_or(self.limits.rows), bytes: self.limits.bytes, truncate: true };
        let budget = self.budget(caller);
        let mut session = Session::begin(self, Mode::Read, &budget).await?;
        let outcome = budget.run(session.run(&sql, &request.params, cap)).await;
        session.finish(outcome).await.map(|(rows, _)| rows)
    }

    /// Runs one statement in a transaction of its own.
    pub async fn execute(&self, request: Execute, caller: Option<Duration>) -> Result<Executed, Trouble> {
        let Execute { sql, params } = request;
        let statement = Statement { sql, params, expect_rows: None };
        let sketch = self.check(&statement.sql, &statement.params)?;
        let budget = self.budget(caller);
        let mut outcome = self.execute_once(&statement, &sketch, &budget).await;
        if self.may_try_another(&mut outcome).await {
            outcome = self.execute_once(&statement, &sketch, &budget).await;
        }
        self.shown(outcome, |executed| changed(&sketch, executed))
    }

    async fn execute_once(
        &self,
        statement: &Statement,
        sketch: &Sketch,
        budget: &Budget,
    ) -> Result<Executed, Trouble> {
        let mut session = Session::begin(self, Mode::Write, budget).await?;
        let outcome = budget.run(self.step(&mut session, statement, sketch)).await;
        session.finish(outcome).await
    }

    /// Runs statements, all of them or none.
    pub async fn transaction(
        &self,
        request: &Transaction,
        caller: Option<Duration>,
    ) -> Result<Committed, Trouble> {
        if request.statements.is_empty() {
            return Ok(Committed { results: Vec::new() });
        }
        let sketches = request.statements.iter().enumerate().map(|(index, statement)| {
            self.check(&statement.sql, &statement.params).map_err(|error| at_statement(index, error.into()))
        });
        let sketches: Vec<Sketch> = sketches.collect::<Result<_, _>>()?;
        let budget = self.budget(caller);
        let mut outcome = self.transact_once(request, &sketches, &budget).await;
        if self.may_try_another(&mut outcome).await {
            outcome = self.transact_once(request, &sketches, &budget).await;
        }
        self.shown(outcome, |Committed { results }| {
            results.iter().zip(&sketches).any(|(executed, sketch)| changed(sketch, executed))
        })
    }

    async fn transact_once(
        &self,
        request: &Transaction,
        sketches: &[Sketch],
        budget: &Budget,
    ) -> Result<Committed, Trouble> {
        let mut session = Session::begin(self, Mode::Write, budget).await?;
        let work = async {
            let mut results = Vec::with_capacity(sketches.len());
            for (index, (statement, sketch)) in request.statements.iter().zip(sketches).enumerate() {
                let done = self.step(&mut session, statement, sketch).await;
                results.push(done.map_err(|trouble| at_statement(index, trouble))?);
            }
            Ok(Committed { results })
        };
        let outcome = budget.run(work).await;
        session.finish(outcome).await
    }

    /// One statement of a transaction, with the number of rows that it must affect.
    async fn step(
        &self,
        session: &mut Session,
        statement: &Statement,
        sketch: &Sketch,
    ) -> Result<Executed, Trouble> {
        let cap = Cap { rows: self.limits.rows, bytes: self.limits.bytes, truncate: false };
        let sql = sketch.translate(&statement.sql, self.dialect());
        let (returned, affected) = session.run(&sql, &statement.params, cap).await?;
        // SQLite would repeat the number of the statement before.
        let rows_affected = if changes_rows(sketch) { affected } else { returned.len() as u64 };
        match statement.expect_rows {
            Some(expected) if expected != rows_affected => Err(unexpected_rows(expected, rows_affected)),
            _ => Ok(Executed { rows_affected, returned }),
        }
    }

    /// Refuses what the database would misunderstand, or what would harm others.
    fn check(&self, sql: &str, params: &[Value]) -> Result<Sketch, OperationError> {
        let mut sketches = scan(sql, self.dialect());
        let sketch = sketches.pop().ok_or_else(|| OperationError::invalid("the SQL holds no statement"))?;
        if !sketches.is_empty() {
            return Err(OperationError::invalid(format!(
                "one statement at a time, found {}: use `transaction`, or `migrate` for what creates tables",
                sketches.len() + 1
            )));
        }
        if BARRED.contains(&sketch.verb.as_str()) {
            return Err(OperationError::invalid(format!(
                "`{}` cannot be used here: each request is a transaction of its own, on a connection that others use \
                 next",
                sketch.verb
            )));
        }
        if let Some(sign) = sketch.foreign {
            return Err(OperationError::invalid(format!(
                "a parameter begins with `{sign}`: write them as `$1`, `$2` …"
            )));
        }
        parameters_fit(&sketch, params)?;
        Ok(sketch)
    }
}

fn changes_rows(sketch: &Sketch) -> bool {
    matches!(sketch.verb.as_str(), "insert" | "update" | "delete" | "replace" | "merge")
}

/// Whether what was committed shows that the database takes writes.
fn changed(sketch: &Sketch, executed: &Executed) -> bool {
    changes_rows(sketch) && executed.rows_affected > 0
}

fn parameters_fit(sketch: &Sketch, params: &[Value]) -> Result<(), OperationError> {
    let (wanted, given) = (sketch.parameters, params.len());
    if wanted == given {
        return Ok(());
    }
    let wanted =
        if wanted == 0 { "no parameters".to_owned() } else { format!("parameters up to `${wanted}`") };
    Err(OperationError::invalid(format!(
        "the statement has {wanted}, and the number of values given is {given}"
    )))
}

fn at_statement(index: usize, trouble: Trouble) -> Trouble {
    trouble.in_context(&format!("statement {index}")).detail("statement", index)
}

fn unexpected_rows(expected: u64, actual: u64) -> Trouble {
    let error = OperationError::conflict(format!(
        "expected {expected} rows, found {actual}: everything was rolled back"
    ));
    Trouble::from(error).detail("expected_rows", expected).detail("actual_rows", actual)
}
