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

use plugin_api::{prelude::*, process::Leases, requests::sql::Migrate, tables::Tables};

/// The tables.
pub struct Store {
    tables: Tables,
}

type Outcome<T> = Result<T, OperationError>;

impl Store {
    pub fn new(context: Context) -> Self {
        let versions = Migrate::new("scheduler_service")
            .version("jobs and dead letters", tables::TABLES)
            .version("messages that were sent", tables::SENT)
            .version("how far ahead a job is due at most", tables::WAITS)
            .version("messages that came to nothing", tables::LOST)
            .version("how certain it is whose job it is", tables::LEVEL);
        let leases = Leases { table: "scheduler_service_jobs", owner: "owner", until: "due_ms" };
        Self { tables: Tables::new(context, versions, "jobs cannot be kept").leases(leases, "1 = 1") }
    }

    /// Now by the database's clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.tables.now_ms()
    }

    /// Brings the tables to their newest version.
    pub async fn migrate(&self) -> Outcome<()> {
        self.tables.migrate().await
    }
}
