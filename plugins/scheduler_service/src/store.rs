//! Jobs and dead letters in the database. Every step is one statement or one transaction, so that two hosts cannot both
//! take it; what a host writes of a job counts only while the job is that host's.
//!
//! A job is looked at when `due_ms` has passed, by the database's clock. The host that claims it writes the name of the claim into `owner`, and the end
//! of its lease into `due_ms`: so a job whose host is gone is simply due again. `begun` is written before anything is
//! done; found on a job that is due again, it says that its host went away in the middle.

mod claims;
mod jobs;
mod letters;
mod tables;

pub use claims::{Claim, Claims, Firing, Letter, Record};
pub use jobs::{Job, NewJob, Page};
pub use letters::DeadLetter;

use plugin_api::{
    context::Dependency,
    lease::DatabaseClock,
    prelude::*,
    process::{self, Leases},
    requests::sql::{Describe, Dialect, Execute, Executed, Migrate, Query, Rows, Transaction},
    tokio::sync::OnceCell,
};

/// Whose tables they are.
const OWNER: &str = "scheduler_service";
pub const DATABASE: &str = "database";

/// The tables.
pub struct Store {
    context: Context,
    clock: DatabaseClock,
    dialect: OnceCell<Dialect>,
}

type Outcome<T> = Result<T, OperationError>;

impl Store {
    pub fn new(context: Context) -> Self {
        Self { context, clock: DatabaseClock::default(), dialect: OnceCell::new() }
    }

    /// Now by the database's clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Brings the tables to their newest version.
    pub async fn migrate(&self) -> Outcome<()> {
        let migrate = Migrate::new(OWNER)
            .version("jobs and dead letters", tables::TABLES)
            .version("messages that were sent", tables::SENT)
            .version("how far ahead a job is due at most", tables::WAITS)
            .version("messages that came to nothing", tables::LOST);
        let database = self.database()?;
        database.call(migrate).await?;
        let leases = Leases { table: "scheduler_service_jobs", owner: "owner", until: "due_ms" };
        process::end_leases_of_others(&database, self.dialect().await?, leases, "1 = 1").await
    }

    async fn dialect(&self) -> Outcome<Dialect> {
        let ask = || async { Ok(self.database()?.call(Describe {}).await?.dialect) };
        self.dialect.get_or_try_init(ask).await.copied()
    }

    async fn execute(&self, statement: Execute) -> Outcome<Executed> {
        self.database()?.call(statement).await
    }

    async fn query(&self, query: Query) -> Outcome<Rows> {
        self.database()?.call(query).await
    }

    async fn transaction(&self, transaction: Transaction) -> Outcome<Vec<Executed>> {
        Ok(self.database()?.call(transaction).await?.results)
    }

    fn database(&self) -> Outcome<Dependency> {
        self.context.dependency(DATABASE)
    }
}
