//! The operation `migrate`: what an owner wants, compared with what is recorded, and the difference applied. Each
//! version and its record are one transaction, which other hosts wait for.

mod plan;

use std::time::Duration;

use plugin_api::{
    prelude::*,
    requests::sql::{Dialect, Migrate, Migrated, Migration, Value},
    tracing,
};

use crate::{
    budget::Budget,
    client::Client,
    errors::Trouble,
    scan::scan,
    session::{Cap, Mode, Session},
};
use plan::{Applied, Plan, checksum};

/// A change of large tables takes its time; the caller's deadline counts all the same.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(600);

/// The lock under which one host at a time migrates. Released with the transaction, also behind a pooler.
const POSTGRES_LOCK: &str = "select pg_advisory_xact_lock(7307199746863359)";

const CREATE_RECORDS: &str = "create table if not exists database_migrations (
    owner text not null,
    version bigint not null,
    name text not null,
    checksum text not null,
    applied_at text not null,
    primary key (owner, version)
)";
const READ_RECORDS: &str =
    "select version, name, checksum from database_migrations where owner = $1 order by version";
const WRITE_RECORD: &str = "insert into database_migrations (owner, version, name, checksum, applied_at)
    values ($1, $2, $3, $4, $5)";

/// Records are read whole, whatever the limits say.
const ALL: Cap = Cap { rows: usize::MAX, bytes: usize::MAX, truncate: false };

impl Client {
    /// Brings the tables of an owner to their newest version.
    pub async fn migrate(&self, request: &Migrate, caller: Option<Duration>) -> Result<Migrated, Trouble> {
        plan::check(request)?;
        for migration in &request.migrations {
            no_transactions(migration, self.dialect())?;
        }
        let budget = Budget::new(MIGRATION_TIMEOUT, caller);
        let mut applied = Vec::new();
        loop {
            let mut outcome = self.migrate_once(request, &budget).await;
            if self.may_try_another(&mut outcome).await {
                outcome = self.migrate_once(request, &budget).await;
            }
            match self.shown(outcome, |step| matches!(step, Step::Applied(_)))? {
                Step::Applied(version) => applied.push(version),
                Step::UpToDate(version) => return Ok(Migrated { applied, version }),
            }
        }
    }

    async fn migrate_once(&self, request: &Migrate, budget: &Budget) -> Result<Step, Trouble> {
        let mut session = Session::begin(self, Mode::Write, budget).await?;
        let outcome = budget.run(self.next_version(&mut session, request)).await;
        session.finish(outcome).await
    }

    /// Applies the first version that is not recorded yet. Other hosts wait meanwhile: for the lock on PostgreSQL, for
    /// the one writer on SQLite.
    async fn next_version(&self, session: &mut Session, request: &Migrate) -> Result<Step, Trouble> {
        if self.dialect() == Dialect::Postgres {
            session.run(POSTGRES_LOCK, &[], ALL).await?;
        }
        session.run(CREATE_RECORDS, &[], ALL).await?;
        let (records, _) = session.run(READ_RECORDS, &[request.owner.as_str().into()], ALL).await?;
        let records: Vec<Applied> = records.iter().map(Applied::read).collect::<Result<_, _>>()?;
        let migration = match plan::next(request, &records, self.dialect())? {
            Plan::Apply(migration) => migration,
            Plan::UpToDate(version) => return Ok(Step::UpToDate(version)),
        };
        let sql = migration.sql.of(self.dialect());
        session.script(sql).await.map_err(|trouble| at_version(request, migration, trouble))?;
        session.run(WRITE_RECORD, &record(request, migration, sql), ALL).await?;
        tracing::info!(owner = request.owner, version = migration.version, name = migration.name, "migrated");
        Ok(Step::Applied(migration.version))
    }
}

/// What one transaction did.
enum Step {
    Applied(u32),
    UpToDate(u32),
}

fn record(request: &Migrate, migration: &Migration, sql: &str) -> [Value; 5] {
    [
        request.owner.as_str().into(),
        migration.version.into(),
        migration.name.as_str().into(),
        checksum(sql).into(),
        plugin_api::jiff::Timestamp::now().to_string().into(),
    ]
}

/// A script that ends its transaction would be applied, but not recorded.
fn no_transactions(migration: &Migration, dialect: Dialect) -> Result<(), OperationError> {
    let statements = scan(migration.sql.of(dialect), dialect);
    match statements
        .iter()
        .find(|statement| matches!(statement.verb.as_str(), "commit" | "rollback" | "abort"))
    {
        Some(statement) => Err(OperationError::invalid(format!(
            "version {} (`{}`) contains `{}`: each version is a transaction of its own already",
            migration.version, migration.name, statement.verb
        ))),
        None => Ok(()),
    }
}

fn at_version(request: &Migrate, migration: &Migration, trouble: Trouble) -> Trouble {
    let Migration { version, name, .. } = migration;
    trouble
        .in_context(&format!("version {version} (`{name}`) of `{}`", request.owner))
        .detail("version", *version)
}
