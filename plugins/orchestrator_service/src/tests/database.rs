//! The operations of `database` on an SQLite in memory, which several instances share as several hosts would. One of them
//! can be cut off after so many writes, as a kill would.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use plugin_api::{
    prelude::*,
    requests::sql::{
        Committed, Description, Dialect, Execute, Executed, Migrate, Migrated, Query, Rows, Transaction,
        Value,
    },
    serde_json::json,
};
use rusqlite::{Connection, types};

/// Rows that are answered to who does not say how many.
const ROWS: usize = 1000;

#[derive(Clone)]
pub struct Database {
    state: Arc<Mutex<State>>,
    /// How many more writes this host can make.
    writes: Arc<AtomicI64>,
}

struct State {
    connection: Connection,
    migrated: bool,
}

impl Database {
    pub fn new() -> Self {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        let state = Arc::new(Mutex::new(State { connection, migrated: false }));
        Self { state, writes: Arc::new(AtomicI64::new(i64::MAX)) }
    }

    /// The same database as a host sees it that has so many more writes to live.
    pub fn mortal(&self, writes: i64) -> Self {
        Self { state: self.state.clone(), writes: Arc::new(AtomicI64::new(writes)) }
    }

    /// Whether its host has lived to see an error.
    pub fn is_dead(&self) -> bool {
        self.writes.load(Ordering::SeqCst) < 0
    }

    /// Runs a statement of the test.
    pub fn run(&self, sql: &str) -> Rows {
        let state = self.state.lock().expect("no test panics here");
        run(&state.connection, sql, &[]).expect("the test's SQL is good").returned
    }

    pub fn query(&self, query: Query) -> Result<Rows, OperationError> {
        if self.is_dead() {
            return Err(OperationError::unavailable("the database is away"));
        }
        let state = self.state.lock().expect("no test panics here");
        let mut rows = run(&state.connection, &query.sql, &query.params)?.returned;
        let most = query.row_limit.map_or(ROWS, |limit| limit as usize);
        rows.truncated = rows.rows.len() > most;
        rows.rows.truncate(most);
        Ok(rows)
    }

    pub fn execute(&self, execute: Execute) -> Result<Executed, OperationError> {
        self.take_write()?;
        let state = self.state.lock().expect("no test panics here");
        run(&state.connection, &execute.sql, &execute.params)
    }

    pub fn transaction(&self, transaction: Transaction) -> Result<Committed, OperationError> {
        self.take_write()?;
        let mut state = self.state.lock().expect("no test panics here");
        let open = state.connection.transaction().expect("a transaction begins");
        let mut results = Vec::new();
        for (index, statement) in transaction.statements.iter().enumerate() {
            let done = run(&open, &statement.sql, &statement.params)?;
            if statement.expect_rows.is_some_and(|expected| expected != done.rows_affected) {
                let details =
                    json!({ "statement": index, "expected_rows": 1, "actual_rows": done.rows_affected });
                return Err(OperationError::conflict("not so many rows").details(details));
            }
            results.push(done);
        }
        open.commit().expect("it commits");
        Ok(Committed { results })
    }

    pub fn migrate(&self, migrate: Migrate) -> Result<Migrated, OperationError> {
        let mut state = self.state.lock().expect("no test panics here");
        if !std::mem::replace(&mut state.migrated, true) {
            for migration in &migrate.migrations {
                state
                    .connection
                    .execute_batch(migration.sql.of(Dialect::Sqlite))
                    .expect("the migration is good");
            }
        }
        Ok(Migrated { applied: Vec::new(), version: 1 })
    }

    pub fn describe(&self) -> Result<Description, OperationError> {
        Ok(Description { dialect: Dialect::Sqlite, version: "3".to_owned(), vector: None })
    }

    fn take_write(&self) -> Result<(), OperationError> {
        if self.writes.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        Err(OperationError::unavailable("the database is away"))
    }
}

fn run(connection: &Connection, sql: &str, params: &[Value]) -> Result<Executed, OperationError> {
    let wrong = |error: rusqlite::Error| OperationError::invalid(format!("{error}: {sql}"));
    let mut statement = connection.prepare(sql).map_err(wrong)?;
    for (index, value) in params.iter().enumerate() {
        let place = statement.parameter_index(&format!("${}", index + 1)).map_err(wrong)?;
        let place = place.unwrap_or_else(|| panic!("${} is not used in {sql}", index + 1));
        statement.raw_bind_parameter(place, to_sqlite(value)).map_err(wrong)?;
    }
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut found = Vec::new();
    let before = connection.total_changes();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(wrong)? {
        let values = (0..columns.len()).map(|column| row.get::<_, types::Value>(column).map(from_sqlite));
        found.push(values.collect::<Result<_, _>>().map_err(wrong)?);
    }
    drop(rows);
    let rows_affected = connection.total_changes() - before;
    Ok(Executed { rows_affected, returned: Rows { columns, rows: found, truncated: false } })
}

fn to_sqlite(value: &Value) -> types::Value {
    match value {
        Value::Int(number) => types::Value::Integer(*number),
        Value::Text(text) => types::Value::Text(text.clone()),
        other => panic!("the plugin binds only numbers and text, not {other:?}"),
    }
}

fn from_sqlite(value: types::Value) -> Value {
    match value {
        types::Value::Integer(number) => Value::Int(number),
        types::Value::Text(text) => Value::Text(text),
        other => panic!("the plugin keeps only numbers and text, not {other:?}"),
    }
}
