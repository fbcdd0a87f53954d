//! The database itself: its pools, how connections are made, and whether it answers.

use std::{
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use plugin_api::{
    error::Failure,
    prelude::OperationError,
    requests::sql::Dialect,
    tokio::{fs, sync::Mutex, time::timeout},
};
use sqlx::{
    ConnectOptions as _, Connection, Database, Executor,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgPool},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous},
};

use crate::{
    budget::Budget,
    errors::{Trouble, outage},
    settings::Settings,
    target::Target,
    vec,
};

/// How long SQLite's writer waits for another process; within the process there is only one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What a reader of SQLite keeps of the file until somebody changes it, in KiB (below zero: SQLite's way to say so). A
/// search among 100,000 vectors goes through 22 MiB.
const READER_CACHE: &str = "-32768";
/// What only a database that works can answer, whatever it is.
const POSTGRES_PROBE: &str = "select 1";
/// Reads the first pages of the file.
const SQLITE_PROBE: &str = "select count(*) from sqlite_schema";

/// Where the data is.
pub enum Db {
    Postgres(PgPool),
    Sqlite { writer: SqlitePool, readers: SqlitePool },
}

/// The database, with the limits that hold for every request.
pub struct Client {
    pub(crate) db: Db,
    pub(crate) limits: Limits,
    /// The database for a person, without user and password.
    pub(crate) place: Arc<str>,
    target: Target,
    /// What was found out when the pool last gave no connection, and when.
    asked: Mutex<Option<(Instant, Result<(), Failure>)>>,
}

/// For so long, those who got no connection share what one of them found out: a hundred that ask at the same time would
/// keep a server that just came back from coming up.
const SHARED_ANSWER: Duration = Duration::from_secs(1);

/// What bounds a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connect: Duration,
    pub statement: Duration,
    pub rows: usize,
    pub bytes: usize,
}

impl Client {
    /// Makes the pools; connects nowhere yet. A runtime must be entered.
    pub fn new(target: Target, settings: &Settings) -> Self {
        let limits = Limits {
            connect: settings.connect_timeout.0,
            statement: settings.statement_timeout.0,
            rows: usize::try_from(settings.row_limit).unwrap_or(usize::MAX),
            bytes: settings.result_bytes,
        };
        let target = if settings.pgbouncer { through_pooler(target) } else { target };
        let db = match &target {
            Target::Postgres(options) => {
                let pool = pool(settings.max_connections, settings.min_connections, &limits);
                Db::Postgres(pool.connect_lazy_with(options.as_ref().clone()))
            }
            Target::Sqlite(path) => {
                vec::register();
                let readers = pool(settings.max_connections, settings.min_connections, &limits);
                Db::Sqlite {
                    writer: pool(1, 0, &limits).connect_lazy_with(sqlite(path).create_if_missing(true)),
                    readers: readers.connect_lazy_with(reader(path)),
                }
            }
        };
        Self { db, limits, place: target.to_string().into(), target, asked: Mutex::default() }
    }

    pub fn dialect(&self) -> Dialect {
        match self.db {
            Db::Postgres(_) => Dialect::Postgres,
            Db::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// The file, if it is SQLite.
    pub fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::Sqlite(path) => Some(path),
            Target::Postgres(_) => None,
        }
    }

    /// The time that a request may take.
    pub fn budget(&self, caller: Option<Duration>) -> Budget {
        Budget::new(self.limits.statement, caller)
    }

    /// Makes sure that the database is there and can be written.
    pub async fn init(&self) -> Result<(), Failure> {
        let (Db::Sqlite { writer, .. }, Target::Sqlite(path)) = (&self.db, &self.target) else {
            return self.probe().await;
        };
        make_folder(path).await?;
        let mut connection = writer.acquire().await.map_err(|error| self.failure(&error))?;
        for statement in ["begin immediate", SQLITE_PROBE, "rollback"] {
            connection.execute(statement).await.map_err(|error| self.failure(&error))?;
        }
        Ok(())
    }

    /// Asks the database something.
    pub async fn probe(&self) -> Result<(), Failure> {
        match (&self.db, &self.target) {
            (Db::Postgres(pool), Target::Postgres(options)) => self.probe_postgres(pool, options).await,
            (Db::Sqlite { readers, .. }, Target::Sqlite(path)) => self.probe_sqlite(readers, path).await,
            _ => unreachable!("`new` makes the pools of the target"),
        }
    }

    /// A connection of its own says exactly what is wrong, where the pool would only wait; one that idles is cheaper.
    async fn probe_postgres(&self, pool: &PgPool, options: &PgConnectOptions) -> Result<(), Failure> {
        if let Some(mut idle) = pool.try_acquire() {
            // One that is dead must leave time for a new one within the time of the probe.
            if let Ok(Ok(_)) = timeout(self.limits.connect / 4, idle.execute(POSTGRES_PROBE)).await {
                return Ok(());
            }
            drop(idle.detach());
        }
        let probe = async {
            let mut connection = options.connect().await?;
            connection.execute(POSTGRES_PROBE).await?;
            connection.close().await
        };
        let answer = timeout(self.limits.connect, probe).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        answer.map_err(|error| self.failure(&error))
    }

    async fn probe_sqlite(&self, readers: &SqlitePool, path: &Path) -> Result<(), Failure> {
        if !fs::try_exists(path).await.unwrap_or(false) {
            let place = &self.place;
            return Err(Failure::unavailable(format!("{place} is gone: put it back, and restart the host")));
        }
        let answer = timeout(self.limits.connect, readers.execute(SQLITE_PROBE)).await;
        match answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            // The readers are all at work, which proves as much.
            Ok(_) | Err(sqlx::Error::PoolTimedOut) => Ok(()),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Why the pool gave no connection: because the database is away, or because all of them are busy.
    pub(crate) async fn no_connection(&self, error: &sqlx::Error) -> Trouble {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return Trouble::outage(self.failure(error));
        }
        match self.ask_once().await {
            Err(failure) => Trouble::outage(failure),
            Ok(()) => {
                OperationError::overloaded(format!("all connections to {} are busy", self.place)).into()
            }
        }
    }

    /// Probes, or waits for who does, or takes what somebody found out just now.
    async fn ask_once(&self) -> Result<(), Failure> {
        let mut asked = self.asked.lock().await;
        if let Some((_, answer)) = asked.as_ref().filter(|(at, _)| at.elapsed() < SHARED_ANSWER) {
            return answer.clone();
        }
        let answer = self.probe().await;
        *asked = Some((Instant::now(), answer.clone()));
        answer
    }

    fn failure(&self, error: &sqlx::Error) -> Failure {
        match (error, &self.target) {
            // Of a socket it is the socket that is missing; else only the files named in the URL are read.
            (sqlx::Error::Io(error), Target::Postgres(options))
                if error.kind() == ErrorKind::NotFound && options.get_socket().is_none() =>
            {
                outage::no_certificate()
            }
            _ => outage::failure(error, &self.place),
        }
    }

    /// Closes all connections, once those at work have finished.
    pub async fn close(&self) {
        match &self.db {
            Db::Postgres(pool) => pool.close().await,
            Db::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

fn pool<D: Database>(max: u32, min: u32, limits: &Limits) -> PoolOptions<D> {
    // Each transaction's `begin` tells whether an idle connection still lives: see `session`.
    PoolOptions::new()
        .max_connections(max)
        .min_connections(min.min(max))
        .acquire_timeout(limits.connect)
        .test_before_acquire(false)
}

/// A pooler refuses parameters that it does not know.
fn through_pooler(target: Target) -> Target {
    match target {
        Target::Postgres(options) => Target::Postgres(Box::new(options.extra_float_digits(None))),
        sqlite @ Target::Sqlite(_) => sqlite,
    }
}

fn sqlite(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        // What was deleted is overwritten: nobody reads it out of the file.
        .pragma("secure_delete", "on")
        .disable_statement_logging()
}

fn reader(path: &Path) -> SqliteConnectOptions {
    sqlite(path).pragma("query_only", "on").pragma("cache_size", READER_CACHE)
}

async fn make_folder(path: &Path) -> Result<(), Failure> {
    let Some(folder) = path.parent() else { return Ok(()) };
    fs::create_dir_all(folder).await.map_err(|_| {
        Failure::config_invalid(format!(
            "the folder `{}` for the SQLite file cannot be made: check its parent and its rights",
            folder.display()
        ))
        .setting("url")
    })
}
