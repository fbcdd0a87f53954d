//! What was sent, told and claimed: in the database where plugins.toml names it, else in memory. One set of rules, kept
//! by both:
//! - an entry goes `claimed` -> `sending` -> `sent`, `failed` or `unknown`; `sending` is written before anything is sent.
//!   What was certainly not sent may be claimed anew.
//! - a claim that is not settled within its lease is void. Leases are those of the database's clock, in memory those of a
//!   monotonic one.
//! - a status never goes back.

mod database;
mod entry;
mod memory;

use std::{sync::LazyLock, time::Instant};

use plugin_api::{
    context::Context,
    error::OperationError,
    jiff::Timestamp,
    lease::millis,
    process,
    requests::twilio_service::{
        ClaimWebhook, Delivery, LedgerKind, NotDelivered, OptOuts, SettleWebhook, Undelivered, WebhookClaim,
        WebhookState,
    },
};

pub use entry::{Claim, Entry, State};
#[cfg(test)]
pub use memory::CAPACITY;
pub use memory::Memory;

use self::database::Database;
use crate::{
    DATABASE,
    address::opted_out_together,
    outcome::{Outcome, meaning},
    status::StatusReport,
};

/// How long a webhook may take, if whoever claims it does not say.
const WEBHOOK_LEASE_SECONDS: u32 = 60;
/// So long at most: what is claimed for longer was claimed by a clock that was put back since.
const LONGEST_WEBHOOK_LEASE_SECONDS: u32 = 60 * 60;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Twilio does not try again after this long.
const WEBHOOKS_KEPT_MS: i64 = 7 * DAY_MS;
/// Nobody repeats a call after this long.
const ENTRIES_KEPT_MS: i64 = 90 * DAY_MS;
/// Outcomes of messages that are looked at together.
const OUTCOMES: u32 = 60;
/// Opt-outs listed at once.
const LISTED: u32 = 1000;

/// Remembers.
pub enum Ledger {
    Database(Box<Database>),
    Memory(Box<Memory>),
}

/// Calls the same method of whichever it is.
macro_rules! either {
    ($ledger:expr, $method:ident($($argument:expr),*)) => {
        match $ledger {
            Ledger::Database(database) => database.$method($($argument),*).await,
            Ledger::Memory(memory) => memory.$method($($argument),*),
        }
    };
}

impl Ledger {
    /// In the database, if plugins.toml names one.
    pub fn new(context: Context) -> Self {
        if context.has(DATABASE) {
            Self::Database(Box::new(Database::new(context)))
        } else {
            Self::Memory(Box::default())
        }
    }

    pub fn kind(&self) -> LedgerKind {
        match self {
            Self::Database(_) => LedgerKind::Database,
            Self::Memory(_) => LedgerKind::Memory,
        }
    }

    /// Takes the entry, unless another call has it.
    pub async fn claim(&self, entry: &Entry) -> Result<Claim, OperationError> {
        match self {
            Self::Database(database) => database.claim(entry).await,
            Self::Memory(memory) => memory.claim(entry, running_ms()),
        }
    }

    /// Written before anything is sent, with the moment if Twilio's clock is known; false if the claim is void.
    pub async fn begin(&self, entry: &Entry, lease_ms: i64) -> Result<bool, OperationError> {
        match self {
            Self::Database(database) => database.begin(entry, lease_ms).await,
            Self::Memory(memory) => memory.begin(entry, running_ms() + lease_ms),
        }
    }

    /// It was taken over by Twilio under this SID; false if the entry has another outcome already.
    pub async fn sent(&self, id: &str, sid: &str, status: &str) -> Result<bool, OperationError> {
        either!(self, sent(id, sid, status))
    }

    /// It was certainly not sent, or nobody knows; only while the entry is still that of this owner.
    pub async fn not_sent(&self, entry: &Entry, state: State) -> Result<(), OperationError> {
        either!(self, not_sent(entry, state))
    }

    /// An entry as it stands.
    pub async fn entry(&self, id: &str) -> Result<Option<Entry>, OperationError> {
        match self {
            Self::Database(database) => database.entry(id).await,
            Self::Memory(memory) => memory.entry(id, running_ms()),
        }
    }

    /// Whether an entry was sent as this message or call.
    pub async fn has_sid(&self, sid: &str) -> Result<bool, OperationError> {
        either!(self, has_sid(sid))
    }

    /// Entries of this age at most whose outcome is not known, some of them. `twilio_ms` is Twilio's time, if it is known.
    pub async fn open_entries(
        &self,
        age_ms: i64,
        twilio_ms: Option<i64>,
    ) -> Result<Vec<Entry>, OperationError> {
        match self {
            Self::Database(database) => database.open_entries(age_ms, twilio_ms.unwrap_or(i64::MAX)).await,
            Self::Memory(memory) => memory.open_entries(running_ms(), age_ms),
        }
    }

    /// Notes a report, unless a later step is known.
    pub async fn record(&self, report: &StatusReport) -> Result<(), OperationError> {
        match self {
            Self::Database(database) => database.record(report).await,
            Self::Memory(memory) => memory.record(report, now_ms()),
        }
    }

    /// What became of the newest messages that are over, the newest first.
    pub async fn outcomes(&self) -> Result<Vec<Outcome>, OperationError> {
        either!(self, outcomes(OUTCOMES))
    }

    /// The newest report on a message or call.
    pub async fn delivery(&self, sid: &str) -> Result<Option<Delivery>, OperationError> {
        either!(self, delivery(sid))
    }

    /// Messages that were reported as not delivered, in the order of the moment and the SID: those after these.
    pub async fn undelivered(
        &self,
        after_ms: i64,
        after_sid: &str,
        most: u32,
    ) -> Result<Undelivered, OperationError> {
        either!(self, undelivered(after_ms, after_sid, most))
    }

    /// Notes it for all addresses that it holds for.
    pub async fn record_opt_out(&self, address: &str, opted_out: bool) -> Result<(), OperationError> {
        for address in opted_out_together(address) {
            either!(self, record_opt_out(&address, opted_out))?;
        }
        Ok(())
    }

    pub async fn is_opted_out(&self, address: &str) -> Result<bool, OperationError> {
        Ok(!self.opt_outs(Some(address)).await?.addresses.is_empty())
    }

    /// All, or those that hold for an address: rows of earlier versions may hold one of several alone.
    pub async fn opt_outs(&self, address: Option<&str>) -> Result<OptOuts, OperationError> {
        let Some(address) = address else { return either!(self, opt_outs(None, LISTED)) };
        let mut found = OptOuts::default();
        for address in opted_out_together(address) {
            found.addresses.extend(either!(self, opt_outs(Some(&address), LISTED))?.addresses);
        }
        Ok(found)
    }

    /// Takes a webhook, unless it was handled or is being handled.
    pub async fn claim_webhook(
        &self,
        caller: &str,
        request: &ClaimWebhook,
    ) -> Result<WebhookClaim, OperationError> {
        let claim = format!("{}{}", process::name(), random_id());
        let lease = request.lease_seconds.unwrap_or(WEBHOOK_LEASE_SECONDS);
        if lease > LONGEST_WEBHOOK_LEASE_SECONDS {
            return Err(OperationError::invalid(format!(
                "`lease_seconds` is {lease}: a webhook is claimed for {LONGEST_WEBHOOK_LEASE_SECONDS} seconds at most"
            )));
        }
        let lease_ms = i64::from(lease) * 1000;
        let state = match self {
            Self::Database(database) => {
                database.claim_webhook(caller, &request.key, &claim, lease_ms).await?
            }
            Self::Memory(memory) => {
                let now = running_ms();
                memory.claim_webhook(caller, &request.key, &claim, now, now + lease_ms)?
            }
        };
        let claim = (state == WebhookState::Claimed).then_some(claim);
        Ok(WebhookClaim { state, claim, ledger: self.kind() })
    }

    /// Ends the claim of a webhook.
    pub async fn settle_webhook(&self, caller: &str, request: &SettleWebhook) -> Result<(), OperationError> {
        let SettleWebhook { key, claim, done } = request;
        if either!(self, settle_webhook(caller, key, claim, *done))? {
            return Ok(());
        }
        Err(OperationError::conflict(format!(
            "the claim of `{key}` is void: its lease ran out, and somebody else has it now"
        )))
    }

    /// Ends void claims of entries, and forgets what nobody asks for any more.
    pub async fn forget_old(&self) -> Result<(), OperationError> {
        match self {
            Self::Database(database) => database.forget_old(WEBHOOKS_KEPT_MS, ENTRIES_KEPT_MS).await,
            // The newest are kept anyway.
            Self::Memory(_) => Ok(()),
        }
    }
}

fn not_delivered(sid: String, channel: &str, error_code: Option<u32>, at_ms: i64) -> NotDelivered {
    let (why, advice) = meaning(channel, error_code);
    NotDelivered { sid, error_code, why, advice: advice.to_owned(), at_ms }
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// For how long this library has been in use, in milliseconds: what stays in this process is judged by no wall clock.
fn running_ms() -> i64 {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    millis(BEGUN.elapsed())
}

/// A name that nothing else has.
pub fn random_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
