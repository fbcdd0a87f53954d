//! The operations of `database` on an SQLite in memory, which several instances may share as several hosts would.

use std::sync::{Arc, Mutex};

use plugin_api::{
    prelude::*,
    requests::sql::{Committed, Execute, Executed, Migrate, Migrated, Query, Rows, Transaction, Value},
};
use rusqlite::{Connection, types};

#[derive(Clone)]
pub struct Database(Arc<Mutex<State>>);

struct State {
    connection: Connection,
    migrated: bool,
    /// How many more writes there are before it is away.
    writes: usize,
}

impl Database {
    pub fn new() -> Self {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        Self(Arc::new(Mutex::new(State { connection, migrated: false, writes: usize::MAX })))
    }

    /// After so many more writes nothing can be written.
    pub fn take_writes(&self, writes: usize) {
        self.0.lock().expect("no test panics here").writes = writes;
    }

    /// Runs a statement of the test.
    pub fn run(&self, sql: &str) -> Rows {
        let state = self.0.lock().expect("no test panics here");
        run(&state.connection, sql, &[]).expect("the test's SQL is good").returned
    }

    pub fn query(&self, query: Query) -> Result<Rows, OperationError> {
        let state = self.0.lock().expect("no test panics here");
        Ok(run(&state.connection, &query.sql, &query.params)?.returned)
    }

    pub fn execute(&self, execute: Execute) -> Result<Executed, OperationError> {
        let mut state = self.0.lock().expect("no test panics here");
        let left = state.writes.checked_sub(1);
        state.writes = left.ok_or_else(|| OperationError::unavailable("the database is away"))?;
        run(&state.connection, &execute.sql, &execute.params)
    }

    pub fn transaction(&self, transaction: Transaction) -> Result<Committed, OperationError> {
        let state = self.0.lock().expect("no test panics here");
        let results = transaction.statements.iter();
        let results = results.map(|statement| run(&state.connection, &statement.sql, &statement.params));
        Ok(Committed { results: results.collect::<Result<_, _>>()? })
    }

    pub fn migrate(&self, migrate: Migrate) -> Result<Migrated, OperationError> {
        let mut state = self.0.lock().expect("no test panics here");
        if !std::mem::replace(&mut state.migrated, true) {
            for migration in &migrate.migrations {
                let sql = migration.sql.of(plugin_api::requests::sql::Dialect::Sqlite);
                state.connection.execute_batch(sql).expect("the migration is good");
            }
        }
        Ok(Migrated { applied: Vec::new(), version: 1 })
    }
}

fn run(connection: &Connection, sql: &str, params: &[Value]) -> Result<Executed, OperationError> {
    let wrong = |error: rusqlite::Error| OperationError::invalid(error.to_string());
    let mut statement = connection.prepare(sql).map_err(wrong)?;
    for (index, value) in params.iter().enumerate() {
        let place = statement.parameter_index(&format!("${}", index + 1)).map_err(wrong)?;
        statement
            .raw_bind_parameter(place.expect("every parameter is used"), to_sqlite(value))
            .map_err(wrong)?;
    }
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(wrong)? {
        let values = (0..columns.len()).map(|column| row.get::<_, types::Value>(column).map(from_sqlite));
        found.push(values.collect::<Result<_, _>>().map_err(wrong)?);
    }
    drop(rows);
    let rows_affected = connection.changes();
    Ok(Executed { rows_affected, returned: Rows { columns, rows: found, truncated: false } })
}

fn to_sqlite(value: &Value) -> types::Value {
    match value {
        Value::Int(number) => types::Value::Integer(*number),
        Value::Text(text) => types::Value::Text(text.clone()),
        Value::Null => types::Value::Null,
        other => panic!("the plugin binds only numbers and text, not {other:?}"),
    }
}

fn from_sqlite(value: types::Value) -> Value {
    match value {
        types::Value::Integer(number) => Value::Int(number),
        types::Value::Text(text) => Value::Text(text),
        types::Value::Null => Value::Null,
        other => panic!("the plugin keeps only numbers and text, not {other:?}"),
    }
}
