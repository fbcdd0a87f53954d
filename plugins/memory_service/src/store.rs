//! Everything that is remembered, in the database. Differences between SQLite and PostgreSQL are in here, and end here.
//!
//! - `tables`: what is kept where.
//! - `write`: people, facts and turns in, each once.
//! - `read`: threads and people out.
//! - `search`: what is near by its vector, what holds the words.
//! - `spaces`: whose vectors are comparable, and what waits for one.
//! - `erase`: out for good.
//! - `summaries`: what was said long ago, in short.

mod tables;
mod write;
mod read;
mod search;
mod spaces;
mod erase;
mod summaries;

pub use erase::Which;
pub use read::{Place, Placed};
pub use search::{Filter, Found, kind_name, medium_name};
pub use spaces::{Claimed, LONGEST_PAUSE, Space};
pub use summaries::Summary;
pub use write::{NewMemory, NewPerson, Written};

use plugin_api::{
    jiff::Timestamp,
    prelude::*,
    requests::sql::{Dialect, Execute, Executed, Query, Rows, Statement, Value},
    tables::Tables,
    tokio::sync::OnceCell,
    tracing,
};

use crate::vectors::Keeping;

/// The database, with the tables in it.
pub struct Store {
    tables: Tables,
    shape: OnceCell<Shape>,
}

/// What kind of database it is.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub dialect: Dialect,
    pub keeping: Keeping,
}

impl Shape {
    fn is_sqlite(self) -> bool {
        self.dialect == Dialect::Sqlite
    }

    /// What this kind of database understands.
    fn pick<T>(self, sqlite: T, postgres: T) -> T {
        if self.is_sqlite() { sqlite } else { postgres }
    }
}

type Outcome<T> = Result<T, OperationError>;

impl Store {
    pub fn new(context: Context) -> Self {
        let tables = Tables::new(context, tables::migrate(), "the memories cannot be used");
        Self { tables, shape: OnceCell::new() }
    }

    /// Finds out what the database can do, and makes the tables. It may come up after us.
    pub async fn ready(&self) -> Outcome<Shape> {
        self.shape.get_or_try_init(|| self.prepare()).await.copied()
    }

    async fn prepare(&self) -> Outcome<Shape> {
        let described = self.tables.description().await?;
        let pgvector = described.vector.as_ref().filter(|_| described.dialect == Dialect::Postgres);
        let keeping = match (described.dialect, pgvector.map(|vector| vector.installed)) {
            (Dialect::Sqlite, _) => Keeping::SqliteVec,
            (Dialect::Postgres, Some(true)) => Keeping::Pgvector,
            (Dialect::Postgres, _) => Keeping::Bytes,
        };
        if pgvector.is_some_and(|vector| !vector.installed) {
            tracing::info!("the server has pgvector: `create extension vector` and a restart put it to use");
        }
        if keeping == Keeping::Pgvector {
            tables::make_pgvector(&self.tables).await?;
        }
        Ok(Shape { dialect: described.dialect, keeping })
    }

    async fn query(&self, query: Query) -> Outcome<Rows> {
        self.tables.query(query).await
    }

    async fn execute(&self, execute: Execute) -> Outcome<Executed> {
        self.tables.execute(execute).await
    }

    async fn transaction(&self, statements: Vec<Statement>) -> Outcome<Vec<Executed>> {
        self.tables.transaction(statements).await
    }
}

/// Values on their way into a statement, each with its parameter.
#[derive(Debug, Clone, Default)]
struct Binds(Vec<Value>);

impl Binds {
    /// The parameter for a value.
    fn put(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }

    /// Parameters for a list, as it stands between the parentheses of `in`.
    fn list(&mut self, values: impl IntoIterator<Item = impl Into<Value>>) -> String {
        values.into_iter().map(|value| self.put(value)).collect::<Vec<_>>().join(", ")
    }

    fn query(self, sql: String) -> Query {
        Query { sql, params: self.0, row_limit: None }
    }

    fn statement(self, sql: String) -> Statement {
        Statement { sql, params: self.0, expect_rows: None }
    }
}

/// Where vectors lie that are kept so.
fn vectors_table(keeping: Keeping) -> &'static str {
    match keeping {
        Keeping::Pgvector => "memory_service_pgvectors",
        Keeping::SqliteVec | Keeping::Bytes => "memory_service_vectors",
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
