//! The operations of `database` on an SQLite in memory, which several instances may share as several hosts would.

use std::sync::{Arc, Mutex, MutexGuard};

use plugin_api::{
    error::OperationError,
    requests::sql::{
        Committed, Dialect, Execute, Executed, Migrate, Migrated, Query, Rows, Statement, Transaction, Value,
    },
    serde_json::json,
};
use rusqlite::{Connection, types};

#[derive(Clone)]
pub struct Database(Arc<Mutex<State>>);

struct State {
    connection: Connection,
    migrated: bool,
    is_away: bool,
}

type Outcome<T> = Result<T, OperationError>;

impl Default for Database {
    fn default() -> Self {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        Self(Arc::new(Mutex::new(State { connection, migrated: false, is_away: false })))
    }
}

impl Database {
    /// From now on it does not answer, or answers again.
    pub fn set_away(&self, is_away: bool) {
        self.0.lock().unwrap().is_away = is_away;
    }

    /// Runs a statement of the test.
    pub fn run(&self, sql: &str) -> Rows {
        let state = self.0.lock().unwrap();
        run(&state.connection, sql, &[]).expect("the test's SQL is good").returned
    }

    fn state(&self) -> Outcome<MutexGuard<'_, State>> {
        let state = self.0.lock().unwrap();
        if state.is_away { Err(OperationError::unavailable("the database is away")) } else { Ok(state) }
    }

    pub fn query(&self, query: Query) -> Outcome<Rows> {
        let mut rows = run(&self.state()?.connection, &query.sql, &query.params)?.returned;
        let limit = query.row_limit.map_or(1000, |limit| limit as usize);
        rows.truncated = rows.rows.len() > limit;
        rows.rows.truncate(limit);
        Ok(rows)
    }

    pub fn execute(&self, execute: Execute) -> Outcome<Executed> {
        run(&self.state()?.connection, &execute.sql, &execute.params)
    }

    pub fn transaction(&self, transaction: Transaction) -> Outcome<Committed> {
        let state = self.state()?;
        state.connection.execute_batch("begin immediate").expect("a transaction begins");
        let results = transaction.statements.iter().map(|statement| expecting(&state.connection, statement));
        let results: Outcome<_> = results.collect();
        let end = if results.is_ok() { "commit" } else { "rollback" };
        state.connection.execute_batch(end).expect("a transaction ends");
        Ok(Committed { results: results? })
    }

    pub fn migrate(&self, migrate: Migrate) -> Outcome<Migrated> {
        let mut state = self.state()?;
        if !std::mem::replace(&mut state.migrated, true) {
            for migration in &migrate.migrations {
                state.connection.execute_batch(migration.sql.of(Dialect::Sqlite)).expect("it is good SQL");
            }
        }
        Ok(Migrated { applied: Vec::new(), version: 1 })
    }
}

fn expecting(connection: &Connection, statement: &Statement) -> Outcome<Executed> {
    let done = run(connection, &statement.sql, &statement.params)?;
    match statement.expect_rows {
        Some(expected) if expected != done.rows_affected => {
            let details = json!({ "expected_rows": expected, "actual_rows": done.rows_affected });
            Err(OperationError::conflict("another number of rows").details(details))
        }
        _ => Ok(done),
    }
}

fn run(connection: &Connection, sql: &str, params: &[Value]) -> Outcome<Executed> {
    let wrong = |error: rusqlite::Error| OperationError::invalid(format!("{error}: {sql}"));
    let mut statement = connection.prepare(sql).map_err(wrong)?;
    for (index, value) in params.iter().enumerate() {
        let place = statement.parameter_index(&format!("${}", index + 1)).map_err(wrong)?;
        let place = place.unwrap_or_else(|| panic!("a parameter is not used: {sql}"));
        statement.raw_bind_parameter(place, to_sqlite(value)).map_err(wrong)?;
    }
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let before = connection.total_changes();
    let mut found = Vec::new();
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
        types::Value::Null => Value::Null,
        other => panic!("the plugin keeps only numbers and text, not {other:?}"),
    }
}
