//! The tables of a plugin, in the database that it requires or wants.
//!
//! ```
//! use plugin_api::{prelude::*, requests::sql::{Execute, Migrate, Query}, tables::Tables};
//!
//! pub struct Store(Tables);
//!
//! impl Store {
//!     pub fn new(context: Context) -> Self {
//!         let versions = Migrate::new("notes").version("notes", "create table notes_all (body text not null)");
//!         Self(Tables::new(context, versions, "notes cannot be kept"))
//!     }
//!
//!     pub async fn add(&self, body: &str) -> Result<(), OperationError> {
//!         self.0.execute(Execute::new("insert into notes_all values ($1)").bind(body)).await.map(drop)
//!     }
//!
//!     pub async fn all(&self) -> Result<Vec<String>, OperationError> {
//!         self.0.query(Query::new("select body from notes_all")).await?.read()
//!     }
//! }
//! ```
//!
//! The tables are brought to their newest version before the first step, since the database may come up after the plugin;
//! on SQLite, leases of processes that are gone end then. A step is one statement or one transaction. It takes as long as
//! [`Tables::patience`] at most, 10 seconds if that is not set; bringing the tables up to date takes as long as the call that
//! is being served. Errors begin with what cannot be done without the database, since the plugin's callers do not know it.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::OnceCell;

use crate::{
    context::{Context, Dependency},
    error::{ErrorKind, OperationError},
    lease::DatabaseClock,
    process::{Leases, end_leases_of_others},
    requests::sql::{
        Describe, Description, Dialect, Execute, Executed, Migrate, PLUGIN, Query, Row, Rows, Statement,
        Transaction,
    },
};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The tables of a plugin.
pub struct Tables {
    context: Context,
    versions: Migrate,
    cannot: &'static str,
    leases: Vec<(Leases<'static>, &'static str)>,
    patience: Duration,
    is_repeatable: bool,
    clock: DatabaseClock,
    description: OnceCell<Description>,
}

impl Tables {
    /// Tables of these versions. `cannot` says what cannot be done without the database, and begins each error.
    pub fn new(context: Context, versions: Migrate, cannot: &'static str) -> Self {
        Self {
            context,
            versions,
            cannot,
            leases: Vec::new(),
            patience: PATIENCE,
            is_repeatable: false,
            clock: DatabaseClock::default(),
            description: OnceCell::new(),
        }
    }

    /// Leases lie here, in the rows for which the condition holds.
    pub fn leases(mut self, leases: Leases<'static>, condition: &'static str) -> Self {
        self.leases.push((leases, condition));
        self
    }

    /// No step takes longer.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Each step may be repeated without changing anything more: one whose outcome is unknown is `unavailable`, as one that
    /// was not taken is.
    pub fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    /// Whether plugins.toml names the database.
    pub fn is_named(&self) -> bool {
        self.context.has(PLUGIN)
    }

    /// Now by the database's clock, in milliseconds since 1970. It is read when the tables are brought to their newest
    /// version; until then it is the machine's.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Sets the clock by a row with `now_ms() as now_ms` that was just read.
    ///
    /// # Errors
    /// `internal` if the row has no such column.
    pub fn set_clock(&self, row: Row<'_>) -> Result<(), OperationError> {
        self.clock.set(row)
    }

    /// Reads the database's clock again.
    ///
    /// # Errors
    /// The database's.
    pub async fn read_clock(&self) -> Result<(), OperationError> {
        let read = self.query(DatabaseClock::query()).await?;
        read.first().map_or(Ok(()), |row| self.clock.set(row))
    }

    /// Brings the tables to their newest version, once. Any step does it too.
    ///
    /// # Errors
    /// The database's.
    pub async fn migrate(&self) -> Result<(), OperationError> {
        self.description().await.map(drop)
    }

    /// What kind of database it is.
    ///
    /// # Errors
    /// The database's.
    pub async fn dialect(&self) -> Result<Dialect, OperationError> {
        Ok(self.description().await?.dialect)
    }

    /// What the database can do.
    ///
    /// # Errors
    /// The database's.
    pub async fn description(&self) -> Result<&Description, OperationError> {
        self.description.get_or_try_init(|| self.prepare()).await.map_err(|error| self.named(error))
    }

    async fn prepare(&self) -> Result<Description, OperationError> {
        let database = self.context.dependency(PLUGIN)?;
        database.call(self.versions.clone()).await?;
        let description = database.call(Describe {}).await?;
        for (leases, condition) in &self.leases {
            end_leases_of_others(&database, description.dialect, *leases, condition).await?;
        }
        // Before any moment is written: another host may judge it.
        database.call(DatabaseClock::query()).await?.first().map_or(Ok(()), |row| self.clock.set(row))?;
        Ok(description)
    }

    /// Reads rows.
    ///
    /// # Errors
    /// The database's.
    pub async fn query(&self, query: Query) -> Result<Rows, OperationError> {
        self.database().await?.call(query).await.map_err(|error| self.named(error))
    }

    /// Changes data by one statement.
    ///
    /// # Errors
    /// The database's.
    pub async fn execute(&self, execute: Execute) -> Result<Executed, OperationError> {
        self.database().await?.call(execute).await.map_err(|error| self.named(error))
    }

    /// Runs statements in order: all of them take effect, or none does. Answers what each of them did.
    ///
    /// # Errors
    /// The database's.
    pub async fn transaction(&self, statements: Vec<Statement>) -> Result<Vec<Executed>, OperationError> {
        self.attempt(statements).await?.map_err(|unexpected| self.named(unexpected.error))
    }

    /// The same, where a number of rows that was not expected is an answer: then nothing was changed.
    ///
    /// # Errors
    /// The database's.
    pub async fn attempt(
        &self,
        statements: Vec<Statement>,
    ) -> Result<Result<Vec<Executed>, Unexpected>, OperationError> {
        match self.database().await?.call(Transaction { statements }).await {
            Ok(committed) => Ok(Ok(committed.results)),
            Err(error) => match unexpected_rows(&error) {
                Some(statement) => Ok(Err(Unexpected { statement, error })),
                None => Err(self.named(error)),
            },
        }
    }

    /// The database, with the tables in it.
    async fn database(&self) -> Result<Dependency, OperationError> {
        self.description().await?;
        Ok(self.context.dependency(PLUGIN)?.deadline(self.patience))
    }

    fn named(&self, error: OperationError) -> OperationError {
        let is_open = self.is_repeatable && error.kind == ErrorKind::UnknownOutcome;
        let kind = if is_open { ErrorKind::Unavailable } else { error.kind };
        OperationError { kind, message: format!("{}: {}", self.cannot, error.message), ..error }
    }
}

/// A statement affected another number of rows than it had to.
#[derive(Debug, Clone, PartialEq)]
pub struct Unexpected {
    /// Which one, from 0.
    pub statement: usize,
    /// What the database says of it.
    pub error: OperationError,
}

fn unexpected_rows(error: &OperationError) -> Option<usize> {
    let details = error.details.as_ref().filter(|_| error.kind == ErrorKind::Conflict)?;
    details.get("expected_rows")?;
    details.get("statement").and_then(Json::as_u64)?.try_into().ok()
}
