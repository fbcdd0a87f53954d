//! The way to the mail server: connections that are logged in, a bounded number of them, kept for the next mail.
//! - [`connection`]: commands and replies over a stream of bytes.
//! - [`kept`]: the newest refresh token, across restarts.
//! - [`tokens`]: a refresh token -> access tokens.
//! - [`connect`]: settings -> a connection with login.
//! - [`session`]: a connection that a mail is handed over on.

pub mod connection;
mod kept;
mod tokens;
mod connect;
pub mod session;

use std::{
    mem,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use plugin_api::{
    prelude::*,
    tokio::{
        sync::{OwnedSemaphorePermit, Semaphore},
        time::timeout,
    },
};

use self::{connect::Connector, connection::Connection, session::Session};
use crate::{
    errors::{connecting, sending},
    settings::Config,
};

/// Kept no longer than this without a mail: servers close idle connections after some minutes.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// Asks for a sign of life.
const NOOP: &str = "NOOP";
/// Longest wait for a server's goodbye, or for those of all connections at the end.
const GOODBYE: Duration = Duration::from_secs(1);

/// Makes, keeps and hands out connections.
pub struct Client {
    config: Arc<Config>,
    connector: Connector,
    slots: Arc<Semaphore>,
    idle: Arc<IdleConnections>,
}

/// Why there is no session.
pub enum NoSession {
    /// The server is out of reach, or does not let us in.
    Failed(Failure),
    /// All connections are busy.
    Busy(OperationError),
}

impl Client {
    pub fn new(config: Arc<Config>, context: &Context) -> Self {
        Self {
            connector: Connector::new(config.clone(), context),
            slots: Arc::new(Semaphore::new(config.connections)),
            idle: Arc::default(),
            config,
        }
    }

    /// Connects anew, logs in and asks for a sign of life, so that a password that no longer holds is noticed.
    pub async fn verify(&self) -> Result<(), Failure> {
        let mut connection = self.connector.connect().await?;
        match timeout(self.config.timeout, connection.ask(NOOP)).await {
            Ok(Ok(reply)) if reply.is_done() => {}
            Ok(Ok(reply)) => return Err(connecting::unwilling(&reply, &self.config)),
            Ok(Err(error)) => return Err(connecting::reaching(&error, &self.config)),
            Err(_) => return Err(connecting::too_slow("no answer to NOOP", &self.config)),
        }
        say_goodbye(connection, GOODBYE).await;
        Ok(())
    }

    /// A connection for one mail, as soon as one of the bounded number is free.
    pub async fn session(&self) -> Result<Session, NoSession> {
        let limit = self.config.timeout;
        let slot = match timeout(limit, self.slots.clone().acquire_owned()).await {
            Ok(slot) => slot.expect("the semaphore is never closed"),
            Err(_) => return Err(NoSession::Busy(sending::all_busy(self.config.connections, limit))),
        };
        match self.kept().await {
            Some(connection) => Ok(self.occupy(connection, true, slot)),
            None => self.fresh(slot).await.map_err(NoSession::Failed),
        }
    }

    /// A new connection in the place of one that the server ended.
    pub async fn renew(&self, session: Session) -> Result<Session, Failure> {
        self.fresh(session.into_slot()).await
    }

    async fn fresh(&self, slot: OwnedSemaphorePermit) -> Result<Session, Failure> {
        Ok(self.occupy(self.connector.connect().await?, false, slot))
    }

    fn occupy(&self, connection: Connection, was_kept: bool, slot: OwnedSemaphorePermit) -> Session {
        Session::new(connection, was_kept, self.config.clone(), self.idle.clone(), slot)
    }

    /// Closes what is idle, and lets a renewed token be kept. Both end within the host's grace, however many there are.
    pub async fn close(&self) {
        self.connector.settle().await;
        let until = Instant::now() + GOODBYE;
        for connection in self.idle.take_all() {
            say_goodbye(connection, until.saturating_duration_since(Instant::now())).await;
        }
    }

    /// A kept connection that still answers.
    async fn kept(&self) -> Option<Connection> {
        while let Some(mut connection) = self.idle.take() {
            if let Ok(Ok(reply)) = timeout(self.config.timeout, connection.ask(NOOP)).await
                && reply.is_done()
            {
                return Some(connection);
            }
        }
        None
    }
}

/// Connections that wait for the next mail, the one used last at the end.
#[derive(Default)]
pub struct IdleConnections(Mutex<Vec<(Connection, Instant)>>);

impl IdleConnections {
    pub fn keep(&self, connection: Connection) {
        self.lock().push((connection, Instant::now()));
    }

    /// The one used last; those that waited too long are closed on the way.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        idle.retain(|(_, since)| since.elapsed() < IDLE_LIMIT);
        idle.pop().map(|(connection, _)| connection)
    }

    fn take_all(&self) -> impl Iterator<Item = Connection> {
        mem::take(&mut *self.lock()).into_iter().map(|(connection, _)| connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a connection politely. Whether the server answers makes no difference any more.
async fn say_goodbye(mut connection: Connection, patience: Duration) {
    let _ = timeout(patience, connection.ask("QUIT")).await;
}
