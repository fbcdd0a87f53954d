//! The operations of `database` on an SQLite in memory, which several instances may share as several hosts would.

use std::sync::{Arc, Mutex};

use plugin_api::{
    prelude::*,
    requests::sql::{
        Committed, Description, Dialect, Execute, Executed, Migrate, Migrated, Query, Rows, Transaction,
        Value,
    },
};
use rusqlite::{Connection, types};

#[derive(Clone)]
pub struct Database(Arc<Mutex<State>>);

struct State {
    connection: Connection,
    is_migrated: bool,
    is_away: bool,
}

impl Database {
    pub fn new() -> Self {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        Self(Arc::new(Mutex::new(State { connection, is_migrated: false, is_away: false })))
    }

    /// From now on it is away, or back.
    pub fn go_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    /// Runs a statement of the test.
    pub fn run(&self, sql: &str) -> Rows {
        run(&self.lock().connection, sql, &[]).expect("the test's SQL is good").returned
    }

    /// The one number that a statement of the test answers.
    pub fn number(&self, sql: &str) -> i64 {
        let rows = self.run(sql);
        let Value::Int(number) = rows.rows[0][0] else { panic!("not a number: {rows:?}") };
        number
    }

    pub fn query(&self, query: Query) -> Result<Rows, OperationError> {
        let mut found = run(&self.here()?.connection, &query.sql, &query.params)?.returned;
        found.rows.truncate(query.row_limit.unwrap_or(1000) as usize);
        Ok(found)
    }

    pub fn execute(&self, execute: Execute) -> Result<Executed, OperationError> {
        run(&self.here()?.connection, &execute.sql, &execute.params)
    }

    pub fn transaction(&self, transaction: Transaction) -> Result<Committed, OperationError> {
        let state = self.here()?;
        state.connection.execute_batch("begin").expect("a transaction begins");
        let outcome: Result<Vec<_>, _> = transaction
            .statements
            .iter()
            .map(|statement| {
                let executed = run(&state.connection, &statement.sql, &statement.params)?;
                match statement.expect_rows {
                    Some(rows) if rows != executed.rows_affected => {
                        Err(OperationError::conflict("other rows than expected"))
                    }
                    _ => Ok(executed),
                }
            })
            .collect();
        state.connection.execute_batch(if outcome.is_ok() { "commit" } else { "rollback" }).expect("it ends");
        Ok(Committed { results: outcome? })
    }

    pub fn migrate(&self, migrate: Migrate) -> Result<Migrated, OperationError> {
        let mut state = self.here()?;
        if !std::mem::replace(&mut state.is_migrated, true) {
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
        drop(self.here()?);
        Ok(Description { dialect: Dialect::Sqlite, version: "3".to_owned(), vector: None })
    }

    fn here(&self) -> Result<std::sync::MutexGuard<'_, State>, OperationError> {
        let state = self.lock();
        if state.is_away { Err(OperationError::unavailable("the database is away")) } else { Ok(state) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics here")
    }
}

fn run(connection: &Connection, sql: &str, params: &[Value]) -> Result<Executed, OperationError> {
    let wrong = |error: rusqlite::Error| OperationError::invalid(format!("{error}: {sql}"));
    let mut statement = connection.prepare(sql).map_err(wrong)?;
    for (index, value) in params.iter().enumerate() {
        let place = statement.parameter_index(&format!("${}", index + 1)).map_err(wrong)?;
        let place = place.expect("every parameter is used");
        statement.raw_bind_parameter(place, to_sqlite(value)).map_err(wrong)?;
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
        Value::Json(json) => types::Value::Text(json.to_string()),
        Value::Null => types::Value::Null,
        other => panic!("the plugin binds only numbers, text and JSON, not {other:?}"),
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
