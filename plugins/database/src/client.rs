//! The database itself: its pools, and how connections are made.

use std::{
    path::Path,
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use plugin_api::{
    error::Failure,
    requests::sql::Dialect,
    tokio::{sync::Mutex, task::spawn_blocking},
};
use sqlx::{
    ConnectOptions as _, Database,
    pool::PoolOptions,
    postgres::{PgConnectOptions, PgPool},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteSynchronous},
};

use crate::{
    budget::Budget,
    certificates::Certificates,
    errors::outage,
    holder::{self, Hold},
    place::Place,
    renewal::Renewal,
    settings::Settings,
    target::Target,
    vec,
    wal::Wal,
    writes::Writes,
};

/// How long SQLite's writer waits for another process; within the process there is only one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What a reader of SQLite keeps of the file until somebody changes it, in KiB (below zero: SQLite's way to say so). A
/// search among 100,000 vectors goes through 22 MiB.
const READER_CACHE: &str = "-32768";
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
    pub(crate) place: Arc<Place>,
    pub(crate) target: Target,
    pub(crate) writes: Writes,
    /// Of an SQLite file, its log.
    pub(crate) wal: Option<Arc<Wal>>,
    /// Of an SQLite file, that no other process has it, or why that is not so; `None` before the first look.
    held: std::sync::Mutex<Option<Result<Hold, Failure>>>,
    /// Connections that were made before something changed are not used any more.
    pub(crate) renewal: Renewal,
    /// The pool has what the files hold that the URL names.
    certified: AtomicBool,
    /// What was found out when the pool last gave no connection, and when.
    pub(crate) found_out: Mutex<Option<FoundOut>>,
}

/// What bounds a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub connect: Duration,
    pub statement: Duration,
    pub rows: usize,
    pub bytes: usize,
}

/// What a look found out.
#[derive(Debug)]
pub struct FoundOut {
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) answer: Result<(), Failure>,
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
        let renewal = Renewal::default();
        let db = match &target {
            Target::Postgres(options, _) => {
                let pool = pool(settings.max_connections, settings.min_connections, &limits);
                let renewal = renewal.clone();
                let pool = pool.before_acquire(move |_, connection| {
                    let admitted = renewal.admits(connection.age);
                    Box::pin(async move { Ok(admitted) })
                });
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
        let place = Arc::new(Place::new(&target, settings.url.is_some()));
        let wal = place.file().map(Wal::of);
        Self {
            db,
            limits,
            place,
            target,
            writes: Writes::default(),
            wal,
            held: std::sync::Mutex::default(),
            renewal,
            certified: AtomicBool::default(),
            found_out: Mutex::default(),
        }
    }

    /// Reads the files that the URL names, so that connections are made with what they hold now; gives the options of a
    /// connection.
    pub(crate) async fn certify(
        &self,
        pool: &PgPool,
        options: &PgConnectOptions,
        certificates: &Certificates,
    ) -> Result<PgConnectOptions, Failure> {
        let options = certificates.load(options).await?;
        if !certificates.is_empty() {
            pool.set_connect_options(options.clone());
        }
        self.certified.store(true, Ordering::Release);
        Ok(options)
    }

    /// Makes an SQLite file ours. The outcome holds for all requests until this is tried again.
    pub(crate) async fn hold(&self) -> Result<(), Failure> {
        let Target::Sqlite(path) = &self.target else { return Ok(()) };
        if matches!(&*self.held(), Some(Ok(_))) {
            return Ok(());
        }
        let path = path.clone();
        let hold = spawn_blocking(move || holder::hold(&path)).await;
        let hold = hold
            .unwrap_or_else(|_| Err(Failure::internal("the attempt to lock the SQLite file ended early")));
        let outcome = hold.as_ref().map(|_| ()).map_err(Failure::clone);
        *self.held() = Some(hold);
        outcome
    }

    fn held(&self) -> MutexGuard<'_, Option<Result<Hold, Failure>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What must be there before a connection is used: the files that the URL names, which a request that comes before the
    /// first probe waits for; an SQLite file must be ours.
    pub(crate) async fn prepared(&self) -> Result<(), Failure> {
        match (&self.db, &self.target) {
            (Db::Sqlite { writer, .. }, _) if !writer.is_closed() => match &*self.held() {
                Some(Ok(_)) => Ok(()),
                Some(Err(failure)) => Err(failure.clone()),
                None => Err(Failure::unavailable(format!("{} is not open yet", self.place))),
            },
            (Db::Postgres(pool), Target::Postgres(options, certificates))
                if !self.certified.load(Ordering::Acquire) =>
            {
                self.certify(pool, options, certificates).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    pub fn dialect(&self) -> Dialect {
        match self.db {
            Db::Postgres(_) => Dialect::Postgres,
            Db::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// The file, if it is SQLite.
    pub fn file(&self) -> Option<&Path> {
        self.place.file()
    }

    /// The time that a request may take.
    pub fn budget(&self, caller: Option<Duration>) -> Budget {
        Budget::new(self.limits.statement, caller)
    }

    pub(crate) fn failure(&self, error: &sqlx::Error) -> Failure {
        outage::failure(error, &self.place)
    }

    /// Closes all connections, once those at work have finished.
    pub async fn close(&self) {
        match &self.db {
            Db::Postgres(pool) => pool.close().await,
            Db::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
                *self.held() = None;
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
        Target::Postgres(options, certificates) => {
            Target::Postgres(Box::new(options.extra_float_digits(None)), certificates)
        }
        sqlite @ Target::Sqlite(_) => sqlite,
    }
}

fn sqlite(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // Commits are synced by `wal`, together.
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
