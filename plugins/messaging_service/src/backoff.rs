//! What failed, and how often -> when it is retried, if ever. Pure but for the dice.

use plugin_api::error::{ErrorKind, OperationError};

const FIRST_MS: i64 = 500;
const LONGEST_MS: i64 = 60_000;
/// How often what looks like somebody's mistake is tried, in case it was not.
const MISTAKES: u32 = 3;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It passes by itself.
    Retry,
    /// It may be a mistake that stays.
    RetryAFewTimes,
    /// The same again would fail again.
    GiveUp,
}

/// What an error of this kind asks for. Everything here carries an idempotency key: repeating is harmless.
pub fn policy(kind: ErrorKind) -> Policy {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Deadline => Policy::Retry,
        ErrorKind::Cancelled | ErrorKind::UnknownOutcome => Policy::Retry,
        ErrorKind::Internal | ErrorKind::Panicked => Policy::RetryAFewTimes,
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Conflict => Policy::GiveUp,
    }
}

/// In how many milliseconds to try again after so many attempts; `None`: not any more.
pub fn next(error: &OperationError, attempts: u32, age_ms: i64, give_up_ms: i64) -> Option<i64> {
    let may = match policy(error.kind) {
        Policy::Retry => age_ms < give_up_ms,
        Policy::RetryAFewTimes => attempts < MISTAKES,
        Policy::GiveUp => false,
    };
    let asked = error.retry_after_ms.and_then(|wait| i64::try_from(wait).ok()).unwrap_or(0);
    may.then(|| delay(attempts, rand::random()).max(asked.min(LONGEST_MS)))
}

/// Doubles with each attempt, and differs among those that failed together: by up to a half.
pub fn delay(attempts: u32, dice: u32) -> i64 {
    let whole = (FIRST_MS << attempts.saturating_sub(1).min(10)).min(LONGEST_MS);
    whole / 2 + i64::from(dice) % (whole / 2 + 1)
}
