//! What came, what is to go, and who is at work on it, in the database: every step is one transaction, so that a host may
//! be killed between any two, and hosts that share the database never do a step twice.
//!
//! - A *lane* is a person's inbound or outbound messages. A host takes a lane by a lease, and only then works on it: so the
//!   order within a thread is kept, and threads go side by side. Each step renews the lease, and fails if it was lost: to
//!   another host, or to the next claim of the same one. Every claim has a name of its own.
//! - `wanted` of a lane counts what was put into it: nothing comes in unseen while a host lets go of it.
//! - Tables are always locked in one order: threads, lanes, messages.
//!
//! Texts are kept no longer than they are needed: what came until it was answered, what was sent as long as a report may come
//! that it did not arrive, and what failed in either direction for 90 days, so that it can be read and retried. The words
//! themselves are kept by `memory_service`.
//! - [`tables`]: the tables.
//! - [`inbox`]: what came.
//! - [`outbox`]: what is to go.
//! - [`lanes`]: who is at work.
//! - [`reading`]: what is shown.

mod tables;
mod inbox;
mod outbox;
mod lanes;
mod reading;

use std::sync::atomic::AtomicU64;

use plugin_api::{
    context::{Context, Dependency},
    error::{ErrorKind, OperationError},
    lease::{DatabaseClock, Working},
    prelude::Duration,
    process::{self, Leases},
    requests::{
        sql::{Committed, Describe, Dialect, Execute, Executed, Query, Rows, Statement, Transaction},
        twilio_service::Channel,
    },
    tokio::sync::OnceCell,
};

pub use inbox::{End, InState, Received};
pub use lanes::{Direction, Lane, is_lost};
pub use outbox::{Outgoing, Part, PartState};

use crate::DATABASE;

/// A lane belongs to its host for so long after its last step.
const LEASE: Duration = Duration::from_secs(30);
/// Between two steps on a message.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a step may take.
const STEP: Duration = Duration::from_secs(10);

type Outcome<T> = Result<T, OperationError>;

/// The tables.
pub struct Store {
    context: Context,
    /// Begins the names of all claims of this instance, and of nothing else.
    owner: String,
    claims: AtomicU64,
    working: Working<lanes::Claim>,
    clock: DatabaseClock,
    dialect: OnceCell<Dialect>,
}

impl Store {
    pub fn new(context: Context) -> Self {
        let owner = format!("{}{}:", process::name(), random_id());
        Self {
            context,
            owner,
            claims: AtomicU64::new(0),
            working: Working::default(),
            clock: DatabaseClock::default(),
            dialect: OnceCell::new(),
        }
    }

    /// Now by the database's clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Brings the tables to their newest version, once.
    pub async fn migrate(&self) -> Outcome<()> {
        self.database().await.map(drop)
    }

    async fn dialect(&self) -> Outcome<Dialect> {
        let prepare = || async {
            let database = self.context.dependency(DATABASE)?.deadline(STEP);
            database.call(tables::migrations()).await?;
            let dialect = database.call(Describe {}).await?.dialect;
            let leases = Leases { table: "messaging_service_lanes", owner: "owner", until: "lease_ms" };
            process::end_leases_of_others(&database, dialect, leases, "1 = 1").await?;
            Ok(dialect)
        };
        self.dialect.get_or_try_init(prepare).await.copied().map_err(named)
    }

    /// The database, with the tables in it. It may come up after us.
    async fn database(&self) -> Outcome<Dependency> {
        self.dialect().await?;
        Ok(self.context.dependency(DATABASE)?.deadline(STEP))
    }

    async fn query(&self, query: Query) -> Outcome<Rows> {
        self.database().await?.call(query).await.map_err(named)
    }

    async fn execute(&self, execute: Execute) -> Outcome<Executed> {
        self.database().await?.call(execute).await.map_err(named)
    }

    async fn commit(&self, statements: Vec<Statement>) -> Outcome<Committed> {
        self.database().await?.call(Transaction { statements }).await.map_err(named)
    }
}

/// A name that nothing else has.
pub fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn channel_named(name: &str) -> Channel {
    Channel::ALL.into_iter().find(|channel| channel.as_str() == name).unwrap_or(Channel::Other)
}

/// The error says whose it is. A step whose commit is unknown may be repeated like one that was not made.
fn named(error: OperationError) -> OperationError {
    let kind = if error.kind == ErrorKind::UnknownOutcome { ErrorKind::Unavailable } else { error.kind };
    OperationError { kind, message: format!("messages cannot be stored: {}", error.message), ..error }
}
