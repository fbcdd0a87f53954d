//! The operations of `database` on an SQLite in memory with sqlite-vec, which several instances may share as several
//! hosts would.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

use plugin_api::{
    prelude::*,
    requests::sql::{
        Committed, Description, Dialect, Execute, Executed, Migrate, Migrated, Query, Rows, Statement,
        Transaction, Value, Vector,
    },
};
use rusqlite::{Connection, types};

#[derive(Clone)]
pub struct Database {
    connection: Arc<Mutex<Connection>>,
    is_down: Arc<AtomicBool>,
    is_migrated: Arc<AtomicBool>,
}

impl Database {
    pub fn new() -> Self {
        super::vec::register();
        let connection = Connection::open_in_memory().expect("SQLite opens");
        connection.execute_batch("pragma foreign_keys = on").expect("it is known");
        Self {
            connection: Arc::new(Mutex::new(connection)),
            is_down: Arc::default(),
            is_migrated: Arc::default(),
        }
    }

    /// From now on it does not answer, or answers again.
    pub fn set_down(&self, down: bool) {
        self.is_down.store(down, Ordering::Relaxed);
    }

    /// Runs a statement of the test.
    pub fn run(&self, sql: &str) -> Rows {
        run(&self.lock(), sql, &[]).expect("the test's SQL is good").returned
    }

    /// The only number that a query answers.
    pub fn number(&self, sql: &str) -> i64 {
        match self.run(sql).rows.first().and_then(|row| row.first()) {
            Some(Value::Int(number)) => *number,
            other => panic!("no number: {other:?}"),
        }
    }

    /// Whether the words are found in any column of any table, those that SQLite keeps for itself included.
    pub fn holds(&self, words: &str) -> bool {
        let tables = self.run("select name from sqlite_schema where type = 'table'");
        let names = tables.iter().map(|row| row.get::<String>("name").expect("tables have names"));
        names.into_iter().any(|name| {
            let rows = self.run(&format!("select * from \"{name}\"")).rows;
            rows.iter().flatten().any(|value| match value {
                Value::Text(text) => text.contains(words),
                Value::Bytes(bytes) => bytes.windows(words.len()).any(|part| part == words.as_bytes()),
                _ => false,
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().expect("no test panics here")
    }

    fn up(&self) -> Result<MutexGuard<'_, Connection>, OperationError> {
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(OperationError::unavailable("the database is away")),
            false => Ok(self.lock()),
        }
    }

    pub fn query(&self, query: Query) -> Result<Rows, OperationError> {
        let mut rows = run(&*self.up()?, &query.sql, &query.params)?.returned;
        let limit = query.row_limit.map_or(1000, |limit| limit as usize);
        rows.truncated = rows.len() > limit;
        rows.rows.truncate(limit);
        Ok(rows)
    }

    pub fn execute(&self, execute: Execute) -> Result<Executed, OperationError> {
        run(&*self.up()?, &execute.sql, &execute.params)
    }

    pub fn transaction(&self, transaction: Transaction) -> Result<Committed, OperationError> {
        let connection = self.up()?;
        connection.execute_batch("begin immediate").expect("nobody else has one");
        let one = |statement: &Statement| run(&connection, &statement.sql, &statement.params);
        let results: Result<Vec<_>, _> = transaction.statements.iter().map(one).collect();
        connection.execute_batch(if results.is_ok() { "commit" } else { "rollback" }).expect("it ends");
        Ok(Committed { results: results? })
    }

    pub fn migrate(&self, migrate: Migrate) -> Result<Migrated, OperationError> {
        let connection = self.up()?;
        if !self.is_migrated.swap(true, Ordering::Relaxed) {
            for migration in &migrate.migrations {
                connection.execute_batch(migration.sql.of(Dialect::Sqlite)).expect("the migration is good");
            }
        }
        Ok(Migrated { applied: Vec::new(), version: 1 })
    }

    pub fn describe(&self) -> Result<Description, OperationError> {
        drop(self.up()?);
        let vector =
            Vector { extension: "sqlite-vec".to_owned(), version: "0.1.9".to_owned(), installed: true };
        Ok(Description {
            dialect: Dialect::Sqlite,
            version: rusqlite::version().to_owned(),
            vector: Some(vector),
        })
    }
}

fn run(connection: &Connection, sql: &str, params: &[Value]) -> Result<Executed, OperationError> {
    let wrong = |error: rusqlite::Error| OperationError::invalid(format!("{error}: {sql}"));
    let mut statement = connection.prepare(sql).map_err(wrong)?;
    for (index, value) in params.iter().enumerate() {
        let place = statement.parameter_index(&format!("${}", index + 1)).map_err(wrong)?;
        let place = place.unwrap_or_else(|| panic!("parameter {} is not used: {sql}", index + 1));
        statement.raw_bind_parameter(place, to_sqlite(value)).map_err(wrong)?;
    }
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let is_reading = statement.readonly();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(wrong)? {
        let values = (0..columns.len()).map(|column| row.get::<_, types::Value>(column).map(from_sqlite));
        found.push(values.collect::<Result<_, _>>().map_err(wrong)?);
    }
    drop(rows);
    let rows_affected = if is_reading { found.len() as u64 } else { connection.changes() };
    Ok(Executed { rows_affected, returned: Rows { columns, rows: found, truncated: false } })
}

fn to_sqlite(value: &Value) -> types::Value {
    match value {
        Value::Int(number) => types::Value::Integer(*number),
        Value::Text(text) => types::Value::Text(text.clone()),
        Value::Bytes(bytes) => types::Value::Blob(bytes.clone()),
        Value::Null => types::Value::Null,
        other => panic!("the plugin binds no {other:?} on SQLite"),
    }
}

fn from_sqlite(value: types::Value) -> Value {
    match value {
        types::Value::Integer(number) => Value::Int(number),
        types::Value::Text(text) => Value::Text(text),
        types::Value::Blob(bytes) => Value::Bytes(bytes),
        types::Value::Real(number) => Value::Float(number),
        types::Value::Null => Value::Null,
    }
}
