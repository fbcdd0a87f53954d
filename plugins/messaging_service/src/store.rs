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
    context::Context,
    error::OperationError,
    lease::Working,
    prelude::Duration,
    process::{self, Leases},
    requests::sql::{Execute, Executed, Query, Rows, Statement},
    tables::Tables,
};

pub use inbox::{End, InState, Received};
pub use lanes::{Direction, Lane, is_lost};
pub use outbox::{Outgoing, Part, PartState};

/// A lane belongs to its host for so long after its last step.
const LEASE: Duration = Duration::from_secs(30);
/// Between two steps on a message.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

type Outcome<T> = Result<T, OperationError>;

/// The tables.
pub struct Store {
    tables: Tables,
    /// Begins the names of all claims of this instance, and of nothing else.
    owner: String,
    claims: AtomicU64,
    working: Working<lanes::Claim>,
}

impl Store {
    pub fn new(context: Context) -> Self {
        let lanes = Leases { table: "messaging_service_lanes", owner: "owner", until: "lease_ms" };
        let tables = Tables::new(context, tables::migrations(), "messages cannot be stored");
        Self {
            tables: tables.leases(lanes, "1 = 1").repeatable(),
            owner: format!("{}{}:", process::name(), random_id()),
            claims: AtomicU64::new(0),
            working: Working::default(),
        }
    }

    /// Now by the database's clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.tables.now_ms()
    }

    /// Brings the tables to their newest version, once.
    pub async fn migrate(&self) -> Outcome<()> {
        self.tables.migrate().await
    }

    async fn query(&self, query: Query) -> Outcome<Rows> {
        self.tables.query(query).await
    }

    async fn execute(&self, execute: Execute) -> Outcome<Executed> {
        self.tables.execute(execute).await
    }

    async fn commit(&self, statements: Vec<Statement>) -> Outcome<Vec<Executed>> {
        self.tables.transaction(statements).await
    }
}

/// A name that nothing else has.
pub fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
