//! One connection for one request: begins its transaction, runs its statements, ends it. A connection that was left in
//! the middle, because the caller gave up or the network broke, is closed and never serves anybody else.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt as _;
use plugin_api::{
    prelude::*,
    requests::sql::{Rows, Value},
    tokio::time::timeout,
    tracing,
};
use sqlx::{
    AssertSqlSafe, Either, Executor, IntoArguments, Postgres, Row as _, Sqlite, pool::PoolConnection,
};

use crate::{
    budget::Budget,
    client::{Client, Db},
    errors::{Trouble, commit_refused, connection_died, outage, trouble},
    place::Place,
    values::{self, Driver},
    wal::{Commit, Wal},
};

/// How long ending a transaction may take beyond the budget.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for the rows of a result that nobody wants any more, before the connection is given up instead.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Overrules a server or user that is set to confirm a commit before it is on the disk; stricter settings stay.
const CONFIRM_DURABLY: &str = "; select set_config('synchronous_commit', 'on', true)
    where current_setting('synchronous_commit') = 'off'";
/// Writes all of SQLite's log to the database file, and syncs both; it waits for readers.
const CHECKPOINT: &str = "pragma wal_checkpoint(truncate)";
/// After how many of SQLite's instructions it looks whether it shall stop.
const STOP_CHECK: i32 = 1000;

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Read,
    Write,
}

/// What to do about more rows than the limits allow.
#[derive(Debug, Clone, Copy)]
pub struct Cap {
    pub rows: usize,
    pub bytes: usize,
    /// Whether to leave out what is too much, or to refuse the statement.
    pub truncate: bool,
}

/// A connection in a transaction.
pub struct Session {
    lease: Option<Lease>,
    mode: Mode,
    place: Arc<Place>,
    wal: Option<Arc<Wal>>,
    /// Tells SQLite's own thread to give up.
    stop: Arc<AtomicBool>,
}

enum Lease {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

impl Session {
    /// Takes a connection from the pool and begins a transaction.
    pub async fn begin(client: &Client, mode: Mode, budget: &Budget) -> Result<Self, Trouble> {
        let begun = async {
            loop {
                let mut session = Self::acquire(client, mode).await?;
                session.trust_the_log().await?;
                let Err(error) = session.open(budget).await else { return Ok(session) };
                // It may have died while it idled. When none idles any more, a new one is made, or says why it cannot.
                if !connection_died(&error) || budget.left().is_zero() {
                    return Err(session.explain(&error));
                }
            }
        };
        budget.run(begun).await
    }

    async fn acquire(client: &Client, mode: Mode) -> Result<Self, Trouble> {
        client.prepared().await.map_err(Trouble::outage)?;
        let lease = match (&client.db, mode) {
            (Db::Postgres(pool), _) => pool.acquire().await.map(Lease::Postgres),
            (Db::Sqlite { writer, .. }, Mode::Write) => writer.acquire().await.map(Lease::Sqlite),
            (Db::Sqlite { readers, .. }, Mode::Read) => readers.acquire().await.map(Lease::Sqlite),
        };
        match lease {
            Ok(lease) => Ok(Self {
                lease: Some(lease),
                mode,
                place: client.place.clone(),
                wal: client.wal.clone(),
                stop: Arc::default(),
            }),
            Err(error) => Err(client.no_connection(&error).await),
        }
    }

    /// A write is refused while it could not be confirmed: before anything has changed.
    async fn trust_the_log(&mut self) -> Result<(), Trouble> {
        let (Some(Lease::Sqlite(connection)), Mode::Write) = (&mut self.lease, self.mode) else {
            return Ok(());
        };
        let Some(wal) = self.wal.clone().filter(|wal| wal.is_broken()) else { return Ok(()) };
        let checkpoint = connection.fetch_one(CHECKPOINT).await.and_then(|row| row.try_get(0));
        if checkpoint.map_err(|error| self.explain(&error))? {
            let busy = io::Error::other(
                "an earlier sync of its log failed, and requests that read it keep it in use",
            );
            return Err(Trouble::outage(outage::not_synced(&busy, &self.place).certain()));
        }
        wal.mended();
        Ok(())
    }

    async fn open(&mut self, budget: &Budget) -> Result<(), sqlx::Error> {
        match &mut self.lease {
            Some(Lease::Postgres(connection)) => {
                // Not `read write`, which would pass over an operator's `default_transaction_read_only`.
                let access = if self.mode == Mode::Read { "read only" } else { "" };
                // Local, so that it holds behind a pooler too. At least one, because zero means no limit.
                let millis = budget.left().as_millis().max(1);
                let durable = if self.mode == Mode::Read { "" } else { CONFIRM_DURABLY };
                let sql = format!("begin {access}; set local statement_timeout = {millis}{durable}");
                connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
            }
            Some(Lease::Sqlite(connection)) => {
                watch(connection, &self.stop).await?;
                let begin = if self.mode == Mode::Read { "begin" } else { "begin immediate" };
                connection.execute(begin).await?;
            }
            None => {}
        }
        Ok(())
    }

    /// Runs one statement. Gives its rows, and how many the driver says were affected.
    pub async fn run(&mut self, sql: &str, params: &[Value], cap: Cap) -> Result<(Rows, u64), Trouble> {
        let outcome = match self.lease()? {
            Lease::Postgres(connection) => run(&mut **connection, sql, params, cap).await,
            Lease::Sqlite(connection) => run(&mut **connection, sql, params, cap).await,
        };
        outcome.map_err(|stumble| match stumble {
            Stumble::Driver(error) => self.explain(&error),
            Stumble::Request(error) => error.into(),
        })
    }

    /// Runs a script of any number of statements without parameters.
    pub async fn script(&mut self, sql: &str) -> Result<(), Trouble> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        let outcome = match self.lease()? {
            Lease::Postgres(connection) => sql.execute(&mut **connection).await.map(drop),
            Lease::Sqlite(connection) => sql.execute(&mut **connection).await.map(drop),
        };
        outcome.map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &sqlx::Error) -> Trouble {
        trouble(error, &self.place, self.mode == Mode::Write)
    }

    /// Ends the transaction by what became of its statements: all of them take effect, or none.
    pub async fn finish<T>(mut self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        match outcome {
            Ok(value) if self.mode == Mode::Write => self.commit().await.map(|()| value),
            Err(trouble) if trouble.lost => Err(trouble),
            outcome => {
                self.roll_back().await;
                // Rows, and refusals such as "it is there already", may be told to the outside.
                match &self.wal {
                    Some(wal) => self.on_disk(wal.settle()).await.and(outcome),
                    None => outcome,
                }
            }
        }
    }

    async fn commit(&mut self) -> Result<(), Trouble> {
        let wal = self.wal.clone();
        let commit = wal.as_ref().map(|wal| wal.commit());
        let ended = timeout(END_TIMEOUT, self.lease()?.end("commit")).await;
        match ended {
            Ok(Ok(())) => {
                // The next transaction need not wait for the disk.
                self.release();
                match commit {
                    Some(commit) => self.on_disk(commit.synced()).await.map_err(Trouble::unknown_outcome),
                    None => Ok(()),
                }
            }
            Ok(Err(error)) => {
                let trouble = self.explain(&error);
                if !commit_refused(&error) {
                    return Err(trouble.unknown_outcome());
                }
                if !trouble.lost {
                    self.roll_back().await;
                }
                commit.into_iter().for_each(Commit::refused);
                Err(trouble)
            }
            Err(_) => Err(Trouble::deadline().unknown_outcome()),
        }
    }

    async fn on_disk(&self, synced: impl Future<Output = io::Result<()>>) -> Result<(), Trouble> {
        match timeout(END_TIMEOUT, synced).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Trouble::outage(outage::not_synced(&error, &self.place))),
            Err(_) => Err(Trouble::deadline()),
        }
    }

    /// If this fails, the connection is closed, which comes to the same.
    async fn roll_back(&mut self) {
        let Some(lease) = &mut self.lease else { return };
        match timeout(DRAIN_TIMEOUT, lease.end("rollback")).await {
            Ok(Ok(())) => self.release(),
            Ok(Err(error)) => tracing::debug!(%error, "a transaction could not be rolled back"),
            Err(_) => tracing::debug!("a connection is dropped that is still busy with unread rows"),
        }
    }

    /// Gives the connection back to its pool.
    fn release(&mut self) {
        self.lease = None;
    }

    fn lease(&mut self) -> Result<&mut Lease, Trouble> {
        self.lease
            .as_mut()
            .ok_or_else(|| OperationError::internal("the transaction has ended already").into())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        match self.lease.take() {
            Some(Lease::Postgres(connection)) => drop(connection.detach()),
            Some(Lease::Sqlite(connection)) => drop(connection.detach()),
            None => {}
        }
    }
}

impl Lease {
    async fn end(&mut self, how: &'static str) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(connection) => connection.execute(how).await.map(drop),
            Self::Sqlite(connection) => connection.execute(how).await.map(drop),
        }
    }
}

/// SQLite runs on a thread of its own, and does not notice by itself that nobody waits any more.
async fn watch(connection: &mut PoolConnection<Sqlite>, stop: &Arc<AtomicBool>) -> Result<(), sqlx::Error> {
    let stop = stop.clone();
    let mut handle = connection.lock_handle().await?;
    handle.set_progress_handler(STOP_CHECK, move || !stop.load(Ordering::Relaxed));
    Ok(())
}

/// Why a statement did not run: the driver says so, or we do.
enum Stumble {
    Driver(sqlx::Error),
    Request(OperationError),
}

/// Statements are not kept prepared. The driver keeps them by their text alone, while a parameter's type may differ
/// from one call to the next, and PostgreSQL refuses a kept one after another host has changed the table.
async fn run<'c, D, E>(executor: E, sql: &str, params: &[Value], cap: Cap) -> Result<(Rows, u64), Stumble>
where
    D: Driver,
    D::Arguments: IntoArguments<D>,
    E: Executor<'c, Database = D>,
{
    let arguments = D::bind(params).map_err(Stumble::Request)?;
    let statement = sqlx::query_with(AssertSqlSafe(sql), arguments).persistent(false);
    let mut results = executor.fetch_many(statement);
    let mut rows = Rows::default();
    let (mut bytes, mut affected) = (0_usize, 0);
    while let Some(result) = results.try_next().await.map_err(Stumble::Driver)? {
        let row = match result {
            Either::Left(result) => {
                affected += D::rows_affected(&result);
                continue;
            }
            Either::Right(row) => row,
        };
        if rows.columns.is_empty() {
            rows.columns = D::columns(&row);
        }
        let values =
            if rows.len() < cap.rows { D::decode(&row).map_err(Stumble::Request)? } else { Vec::new() };
        bytes = values.iter().map(values::size).fold(bytes, usize::saturating_add);
        let full = rows.len() == cap.rows;
        if cap.truncate && (full || (bytes > cap.bytes && !rows.is_empty())) {
            rows.truncated = true;
            break;
        }
        if full || bytes > cap.bytes {
            return Err(Stumble::Request(too_much(cap, full)));
        }
        rows.rows.push(values);
    }
    Ok((rows, affected))
}

fn too_much(cap: Cap, rows: bool) -> OperationError {
    OperationError::invalid(if rows {
        format!(
            "the statement returns more than {} rows: nothing was changed; see the setting `row_limit`",
            cap.rows
        )
    } else {
        format!(
            "the result is larger than {} bytes: ask for less, or see the setting `result_bytes`",
            cap.bytes
        )
    })
}
