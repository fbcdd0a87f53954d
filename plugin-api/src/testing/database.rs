//! The operations of the `database` plugin on an SQLite in memory, for the tests of a plugin that keeps something there.
//! Several instances may share one, as several hosts would. Values come back in SQLite's storage classes, whatever type the
//! column declares.
//!
//! ```
//! use plugin_api::{requests::sql::{Execute, Migrate, Query, Value}, testing::database::Database};
//!
//! let database = Database::new();
//! database.migrate(Migrate::new("notes").version("notes", "create table notes_all (body text not null)")).unwrap();
//! database.execute(Execute::new("insert into notes_all values ($1)").bind("buy milk")).unwrap();
//! assert_eq!(database.run("select body from notes_all").rows, [[Value::from("buy milk")]]);
//! ```

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use rusqlite::{Connection, types};
use serde_json::json;

use super::TestPlugin;
use crate::{
    error::OperationError,
    plugin::Plugin,
    requests::sql::{
        Committed, Describe, Description, Dialect, Execute, Executed, Migrate, Migrated, Query, Rows,
        Statement, Transaction, Value, Vector,
    },
};

/// Rows that are answered to who does not say how many.
const ROWS: u32 = 1000;

/// A database, as one host sees it. Clones are the same host's.
#[derive(Clone)]
pub struct Database {
    state: Arc<Mutex<State>>,
    is_down: Arc<AtomicBool>,
    /// How many more writes this host can make.
    writes: Arc<AtomicI64>,
    /// The SQL of the plugin's queries and statements outside transactions.
    asked: Arc<Mutex<Vec<String>>>,
    vector: Option<Vector>,
}

struct State {
    connection: Connection,
    /// The newest version of the plugin's tables.
    version: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Database {
    /// An empty one.
    ///
    /// # Panics
    /// If SQLite cannot be opened.
    pub fn new() -> Self {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        connection.execute_batch("pragma foreign_keys = on").expect("SQLite knows foreign keys");
        Self {
            state: Arc::new(Mutex::new(State { connection, version: 0 })),
            is_down: Arc::default(),
            writes: Arc::new(AtomicI64::new(i64::MAX)),
            asked: Arc::default(),
            vector: None,
        }
    }

    /// The same, which says of itself that it searches vectors so.
    pub fn with_vector(self, vector: Vector) -> Self {
        Self { vector: Some(vector), ..self }
    }

    /// Lets the plugin have it as its dependency `database`.
    pub fn serve<P: Plugin>(&self, plugin: TestPlugin<P>) -> TestPlugin<P> {
        let [one, two, three, four, five] = std::array::from_fn(|_| self.clone());
        plugin
            .fake("database", move |query: Query| one.query(query))
            .fake("database", move |execute: Execute| two.execute(execute))
            .fake("database", move |transaction: Transaction| three.transaction(transaction))
            .fake("database", move |migrate: Migrate| four.migrate(migrate))
            .fake("database", move |_: Describe| five.describe())
    }

    /// From now on it does not answer, or answers again.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// The same database as another host sees it, one that has so many more writes to live.
    pub fn mortal(&self, writes: i64) -> Self {
        let (is_down, writes) = (Arc::default(), Arc::new(AtomicI64::new(writes)));
        Self { is_down, writes, ..self.clone() }
    }

    /// From now on this host can make so many more writes.
    pub fn set_writes_left(&self, writes: i64) {
        self.writes.store(writes, Ordering::SeqCst);
    }

    /// Whether this host has lived to see a write fail.
    pub fn is_dead(&self) -> bool {
        self.writes.load(Ordering::SeqCst) < 0
    }

    /// Runs a statement of the test, whatever the state.
    ///
    /// # Panics
    /// If the SQL is not good.
    pub fn run(&self, sql: &str) -> Rows {
        run(&self.lock().connection, sql, &[]).expect("the test's SQL is good").returned
    }

    /// The one number that a statement of the test answers.
    ///
    /// # Panics
    /// If it answers something else.
    pub fn number(&self, sql: &str) -> i64 {
        match self.run(sql).rows.first().and_then(|row| row.first()) {
            Some(Value::Int(number)) => *number,
            other => panic!("no number: {other:?}"),
        }
    }

    /// Whether the words are found in any column of any table, those that SQLite keeps for itself included.
    pub fn holds(&self, words: &str) -> bool {
        let tables = self.run("select name from sqlite_schema where type = 'table'");
        tables.rows.iter().flatten().any(|table| {
            let Value::Text(name) = table else { return false };
            let rows = self.run(&format!("select * from \"{name}\"")).rows;
            rows.iter().flatten().any(|value| match value {
                Value::Text(text) => text.contains(words),
                Value::Bytes(bytes) => bytes.windows(words.len()).any(|part| part == words.as_bytes()),
                _ => false,
            })
        })
    }

    /// How many queries, and statements outside transactions, with these words plugins have made so far.
    pub fn asked(&self, words: &str) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|sql| sql.contains(words)).count()
    }

    fn note(&self, sql: &str) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(sql.to_owned());
    }

    /// As the operation of the plugin.
    ///
    /// # Errors
    /// It is down, or SQLite's.
    pub fn query(&self, query: Query) -> Result<Rows, OperationError> {
        self.note(&query.sql);
        let mut rows = run(&self.up()?.connection, &query.sql, &query.params)?.returned;
        let most = query.row_limit.unwrap_or(ROWS) as usize;
        rows.truncated = rows.rows.len() > most;
        rows.rows.truncate(most);
        Ok(rows)
    }

    /// As the operation of the plugin.
    ///
    /// # Errors
    /// It is down, or SQLite's.
    pub fn execute(&self, execute: Execute) -> Result<Executed, OperationError> {
        self.note(&execute.sql);
        let state = self.up_to_write()?;
        run(&state.connection, &execute.sql, &execute.params)
    }

    /// As the operation of the plugin.
    ///
    /// # Errors
    /// It is down, SQLite's, or another number of rows than expected; then nothing is changed.
    pub fn transaction(&self, transaction: Transaction) -> Result<Committed, OperationError> {
        let mut state = self.up_to_write()?;
        let open = state.connection.transaction().map_err(wrong("begin"))?;
        let numbered = transaction.statements.iter().enumerate();
        let results = numbered.map(|(index, statement)| expecting(&open, index, statement));
        let results = results.collect::<Result<_, _>>()?;
        open.commit().map_err(wrong("commit"))?;
        Ok(Committed { results })
    }

    /// As the operation of the plugin, for one owner.
    ///
    /// # Errors
    /// It is down, or SQLite's.
    pub fn migrate(&self, migrate: Migrate) -> Result<Migrated, OperationError> {
        let mut state = self.up()?;
        let mut applied = Vec::new();
        for migration in &migrate.migrations {
            if migration.version > state.version {
                let sql = migration.sql.of(Dialect::Sqlite);
                state.connection.execute_batch(sql).map_err(wrong(sql))?;
                state.version = migration.version;
                applied.push(migration.version);
            }
        }
        Ok(Migrated { applied, version: state.version })
    }

    /// As the operation of the plugin.
    ///
    /// # Errors
    /// It is down.
    pub fn describe(&self) -> Result<Description, OperationError> {
        drop(self.up()?);
        let version = rusqlite::version().to_owned();
        Ok(Description { dialect: Dialect::Sqlite, version, vector: self.vector.clone() })
    }

    fn up_to_write(&self) -> Result<MutexGuard<'_, State>, OperationError> {
        if self.writes.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(away());
        }
        self.up()
    }

    fn up(&self) -> Result<MutexGuard<'_, State>, OperationError> {
        match self.is_dead() || self.is_down.load(Ordering::SeqCst) {
            true => Err(away()),
            false => Ok(self.lock()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn away() -> OperationError {
    OperationError::unavailable("the database is away")
}

fn wrong(sql: &str) -> impl Fn(rusqlite::Error) -> OperationError {
    move |error| OperationError::invalid(format!("{error}: {sql}"))
}

fn expecting(
    connection: &Connection,
    index: usize,
    statement: &Statement,
) -> Result<Executed, OperationError> {
    let done = run(connection, &statement.sql, &statement.params)?;
    match statement.expect_rows {
        Some(expected) if expected != done.rows_affected => {
            let actual = done.rows_affected;
            let details = json!({ "statement": index, "expected_rows": expected, "actual_rows": actual });
            let words = format!("expected {expected} rows, found {actual}: everything was rolled back");
            Err(OperationError::conflict(words).details(details))
        }
        _ => Ok(done),
    }
}

fn run(connection: &Connection, sql: &str, params: &[Value]) -> Result<Executed, OperationError> {
    let sql = &sql.replace("now_ms()", Dialect::Sqlite.now_ms());
    let mut statement = connection.prepare(sql).map_err(wrong(sql))?;
    for (index, value) in params.iter().enumerate() {
        let name = format!("${}", index + 1);
        let place = statement.parameter_index(&name).map_err(wrong(sql))?;
        let place = place.ok_or_else(|| OperationError::invalid(format!("{name} is not used: {sql}")))?;
        statement.raw_bind_parameter(place, to_sqlite(value)).map_err(wrong(sql))?;
    }
    let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let is_reading = statement.readonly();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(wrong(sql))? {
        let values = (0..columns.len()).map(|column| row.get::<_, types::Value>(column).map(from_sqlite));
        found.push(values.collect::<Result<_, _>>().map_err(wrong(sql))?);
    }
    drop(rows);
    let rows_affected = if is_reading { found.len() as u64 } else { connection.changes() };
    Ok(Executed { rows_affected, returned: Rows { columns, rows: found, truncated: false } })
}

/// As the plugin stores it on SQLite.
fn to_sqlite(value: &Value) -> types::Value {
    match value {
        Value::Null => types::Value::Null,
        Value::Bool(flag) => types::Value::Integer(i64::from(*flag)),
        Value::Int(number) => types::Value::Integer(*number),
        Value::Float(number) => types::Value::Real(*number),
        Value::Text(text) => types::Value::Text(text.clone()),
        Value::Bytes(bytes) => types::Value::Blob(bytes.clone()),
        Value::Timestamp(moment) => types::Value::Text(format!("{moment:.6}")),
        Value::Json(json) => types::Value::Text(json.to_string()),
    }
}

fn from_sqlite(value: types::Value) -> Value {
    match value {
        types::Value::Null => Value::Null,
        types::Value::Integer(number) => Value::Int(number),
        types::Value::Real(number) => Value::Float(number),
        types::Value::Text(text) => Value::Text(text),
        types::Value::Blob(bytes) => Value::Bytes(bytes),
    }
}
