//! Calls, what was said and done in them, recordings and orders, in the database. Every change is one statement or one
//! transaction that may be repeated, so that a host may be killed between any two, and hosts that share the database never
//! do a step twice.
//! - [`tables`]: the tables.
//! - [`writes`]: what is written while a call goes on.
//! - [`outcomes`]: how a call went, where several say it.
//! - [`tokens`]: the right to carry a call's audio, once.
//! - [`proofs`]: codes by which callers prove who they are.
//! - [`due`]: what is still to be done: remembered, announced, closed.
//! - [`orders`]: calls that are to be placed.
//! - [`reading`]: what is shown, and what a turn needs to know.

mod tables;
mod writes;
mod outcomes;
mod tokens;
mod proofs;
mod due;
mod orders;
mod reading;

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use plugin_api::{
    context::Context,
    error::{ErrorKind, OperationError},
    jiff::Timestamp,
    prelude::Duration,
    requests::sql::{Execute, Executed, Query, Rows, Statement},
    tables::Tables,
};
use ring::digest::{SHA256, digest};

pub use due::{DueTurn, LONGEST_PAUSE, QuietCall, Voicemail};
pub use orders::Order;
pub use outcomes::{HUNG_UP, TRANSFERRED, UNANSWERED};
pub use reading::Known;
pub use writes::{NewCall, Written};

/// How long a step may take: Twilio waits for the sum of a few.
const STEP: Duration = Duration::from_secs(2);
/// A database that has just failed is not waited for again for so long: somebody is on the phone.
const PAUSE: Duration = Duration::from_secs(2);

type Outcome<T> = Result<T, OperationError>;

/// The tables.
pub struct Store {
    tables: Tables,
    /// When the database failed last, and how.
    failed: Mutex<Option<(Instant, OperationError)>>,
}

impl Store {
    pub fn new(context: Context) -> Self {
        let tables = Tables::new(context, tables::migrations(), "calls cannot be kept");
        Self { tables: tables.patience(STEP).repeatable(), failed: Mutex::default() }
    }

    /// Whether plugins.toml names a database.
    pub fn is_named(&self) -> bool {
        self.tables.is_named()
    }

    /// Now by the database's clock, in milliseconds since 1970: webhooks of one call come to several hosts. Without a
    /// database it is the machine's.
    pub fn now_ms(&self) -> i64 {
        self.tables.now_ms()
    }

    /// Reads the database's clock again.
    pub async fn read_clock(&self) -> Outcome<()> {
        self.check()?;
        self.seen(self.tables.read_clock().await)
    }

    /// Brings the tables to their newest version, once.
    pub async fn migrate(&self) -> Outcome<()> {
        self.tables.migrate().await
    }

    async fn query(&self, query: Query) -> Outcome<Rows> {
        self.check()?;
        self.seen(self.tables.query(query).await)
    }

    async fn execute(&self, execute: Execute) -> Outcome<Executed> {
        self.seen(self.tables.execute(execute).await)
    }

    async fn commit(&self, statements: Vec<Statement>) -> Outcome<Vec<Executed>> {
        self.seen(self.tables.transaction(statements).await)
    }

    /// Fails at once if the database has just failed.
    pub fn check(&self) -> Outcome<()> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Notes whether the database is away.
    fn seen<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match &outcome {
            Ok(_) => *failed = None,
            Err(error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Deadline) => {
                *failed = Some((Instant::now(), error.clone()));
            }
            Err(_) => {}
        }
        outcome
    }
}

/// Now, in microseconds since 1970: where something stands in a call. Two things of one call hardly happen in the same.
pub fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// A name that nothing else has, and nobody guesses.
pub fn random_id() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

/// The SHA-256 of a text, in hexadecimal digits.
pub fn hash_of(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
