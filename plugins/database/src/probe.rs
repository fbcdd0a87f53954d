//! Whether the database works: what it tells without being changed is asked each time; that it takes writes is shown by
//! the writes of its users, and by one row of our own where they show nothing.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use plugin_api::{
    error::{ErrorKind, Failure, FixAction, OperationError},
    jiff::Timestamp,
    requests::sql::Execute,
    tokio::{fs, task::spawn_blocking, time::timeout},
};
use sqlx::{
    ConnectOptions as _, Executor as _,
    postgres::{PgConnectOptions, PgPool},
    sqlite::SqlitePool,
};

use crate::{
    client::{Client, Db, FoundOut},
    errors::{Trouble, outage},
    server::Server,
    target::Target,
    writes::own_tables,
};

/// Reads the first pages of the file.
const SQLITE_PROBE: &str = "select count(*) from sqlite_schema";
const OWN_ROW: &str = "insert into database_writes (id, written_at) values (1, $1)
    on conflict (id) do update set written_at = excluded.written_at";
/// How long our own write waits for other transactions. Longer is no failure: it is retried by the next probe.
const OWN_ROW_WAITS: Duration = Duration::from_secs(1);
/// For so long, those who got no connection share what one of them found out: a hundred that ask at the same time would
/// keep a server that just came back from coming up.
const SHARED_ANSWER: Duration = Duration::from_secs(1);

impl Client {
    /// Makes sure that the database is there and can be written.
    pub async fn init(&self) -> Result<(), Failure> {
        if let (Db::Sqlite { writer, .. }, Target::Sqlite(path)) = (&self.db, &self.target) {
            self.make_folder(path).await?;
            self.hold().await?;
            let mut connection = writer.acquire().await.map_err(|error| self.failure(&error))?;
            for statement in ["begin immediate", SQLITE_PROBE, "rollback"] {
                if let Err(error) = connection.execute(statement).await {
                    // One that was opened read-only would stay so.
                    drop(connection.detach());
                    return Err(self.failure(&error));
                }
            }
        }
        self.probe().await
    }

    /// Asks the database, and writes if nothing else has shown that it can be written.
    pub async fn probe(&self) -> Result<(), Failure> {
        self.hold().await?;
        let short = self.look().await?;
        // A write has the log checkpointed, without which it is not trusted any more.
        let is_due = self.writes.is_due(short) || self.wal.as_ref().is_some_and(|wal| wal.is_broken());
        let outcome = if is_due { self.write_and_judge().await } else { Ok(()) };
        // Who probes is told by the outcome.
        self.writes.recovered();
        outcome
    }

    /// Asks what can be asked without changing anything. Answers whether the disk is nearly full.
    async fn look(&self) -> Result<bool, Failure> {
        match (&self.db, &self.target) {
            (Db::Postgres(pool), Target::Postgres(options, certificates)) => {
                // Each time, for certificates are renewed; an idle connection does without.
                let options = self.certify(pool, options, certificates).await;
                self.look_at_server(pool, options).await.map(|()| false)
            }
            (Db::Sqlite { readers, .. }, Target::Sqlite(path)) => self.look_at_file(readers, path).await,
            _ => unreachable!("`new` makes the pools of the target"),
        }
    }

    /// A connection of its own says exactly what is wrong, where the pool would only wait; one that idles is cheaper, but
    /// may be older than what was set meanwhile.
    async fn look_at_server(
        &self,
        pool: &PgPool,
        options: Result<PgConnectOptions, Failure>,
    ) -> Result<(), Failure> {
        let mut refused = false;
        if let Some(mut idle) = pool.try_acquire() {
            // One that is dead must leave time for a new one within the time of the probe.
            match timeout(self.limits.connect / 4, Server::ask(&mut idle)).await {
                Ok(Ok(server)) if !server.may_have_changed() => return Ok(()),
                Ok(Ok(server)) if server.takes_writes() => {}
                answer => {
                    refused = matches!(answer, Ok(Ok(_)));
                    drop(idle.detach());
                }
            }
        }
        let options = options?;
        let fresh = async {
            let mut connection = options.connect().await?;
            let server = Server::ask(&mut connection).await?;
            let refusal = match server.takes_writes() {
                true => None,
                false => Some(server.explain(&mut connection, &self.place).await),
            };
            Server::take_leave(connection).await;
            Ok(refusal)
        };
        let answer = timeout(self.limits.connect, fresh).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        let refusal = answer.map_err(|error| self.failure(&error))?;
        if refused || refusal.is_some() {
            self.renewal.renew();
        }
        refusal.map_or(Ok(()), Err)
    }

    async fn look_at_file(&self, readers: &SqlitePool, path: &Path) -> Result<bool, Failure> {
        if !fs::try_exists(path).await.unwrap_or(false) {
            return Err(outage::gone(&self.place));
        }
        let place = self.place.clone();
        let disk = spawn_blocking(move || place.disk()).await.ok().flatten();
        if disk.is_some_and(|disk| disk.is_read_only()) {
            return Err(outage::mounted_read_only(&self.place));
        }
        let answer = timeout(self.limits.connect, readers.execute(SQLITE_PROBE)).await;
        match answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            // The readers are all at work, which proves as much.
            Ok(_) | Err(sqlx::Error::PoolTimedOut) => Ok(disk.is_some_and(|disk| disk.is_short())),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// Changes the row that is ours alone, and says what its outcome means for the database.
    async fn write_and_judge(&self) -> Result<(), Failure> {
        let limit = self.limits.connect + OWN_ROW_WAITS;
        let Ok(outcome) = timeout(limit, self.write_own_row()).await else {
            return Err(outage::slow_commits(&self.place));
        };
        let Err(Trouble { error, outage, .. }) = outcome else { return Ok(()) };
        match (outage, error.kind) {
            (Some(failure), _) => Err(failure),
            (None, ErrorKind::Overloaded | ErrorKind::Deadline) => self.writes.while_busy(&self.place),
            (None, ErrorKind::UnknownOutcome) => Err(outage::slow_commits(&self.place)),
            (None, ErrorKind::Denied) => Err(outage::may_not_write(&self.place)),
            (None, _) => Err(Failure::internal(format!(
                "{} refuses a row of this plugin in its table `database_writes`: {}",
                self.place, error.message
            ))
            .advise(
                FixAction::Retry,
                "Drop what has the name `database_writes`, and its line in `database_migrations`, then verify it",
            )),
        }
    }

    async fn write_own_row(&self) -> Result<(), Trouble> {
        if !self.writes.is_prepared() {
            self.migrate(&own_tables(), Some(self.limits.connect)).await?;
            self.writes.prepared();
        }
        let row = Execute::new(OWN_ROW).bind(Timestamp::now().to_string());
        self.execute(row, Some(OWN_ROW_WAITS)).await.map(drop)
    }

    /// Why the pool gave no connection: because the database is away, or because all of them are busy.
    pub(crate) async fn no_connection(&self, error: &sqlx::Error) -> Trouble {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return Trouble::outage(self.failure(error));
        }
        match self.ask(|known| known.ended.elapsed() < SHARED_ANSWER).await {
            Err(failure) => Trouble::outage(failure),
            Ok(()) => {
                OperationError::overloaded(format!("all connections to {} are busy", self.place)).into()
            }
        }
    }

    /// A connection may be read-only though the database is not: it was made before a promotion, or before a flag was
    /// taken back. Answers whether another one may be tried, which is safe: what was refused had no effect.
    pub(crate) async fn may_try_another<T>(&self, outcome: &mut Result<T, Trouble>) -> bool {
        if !matches!(outcome, Err(trouble) if trouble.refuses_writes) {
            return false;
        }
        self.renewal.renew();
        // A look from before may have used a connection that is as old as this one.
        let now = Instant::now();
        match self.ask(|known| known.begun >= now).await {
            Ok(()) => true,
            Err(failure) => {
                *outcome = Err(Trouble::outage(failure));
                false
            }
        }
    }

    /// What the outcome of a write shows; and to its caller that what was refused had no effect.
    pub(crate) fn shown<T>(
        &self,
        outcome: Result<T, Trouble>,
        changed: impl Fn(&T) -> bool,
    ) -> Result<T, Trouble> {
        match outcome {
            Ok(value) => {
                if changed(&value) {
                    self.writes.succeeded();
                }
                Ok(value)
            }
            Err(trouble) => {
                self.writes.failed(&trouble);
                Err(trouble.nothing_changed())
            }
        }
    }

    /// Looks, or waits for whoever does, or takes what somebody has found out if it fits.
    async fn ask(&self, fits: impl Fn(&FoundOut) -> bool) -> Result<(), Failure> {
        let mut found = self.found_out.lock().await;
        if let Some(known) = found.as_ref().filter(|known| fits(known)) {
            return known.answer.clone();
        }
        let begun = Instant::now();
        let answer = self.look().await.map(drop);
        *found = Some(FoundOut { begun, ended: Instant::now(), answer: answer.clone() });
        answer
    }

    async fn make_folder(&self, path: &Path) -> Result<(), Failure> {
        let Some(folder) = path.parent() else { return Ok(()) };
        fs::create_dir_all(folder).await.map_err(|error| outage::no_folder(&error, folder, &self.place))
    }
}
