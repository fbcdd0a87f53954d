//! How a call ended -> what becomes of the firing. Pure.
//!
//! A call that certainly had no effect may be tried again. One that may have had an effect is repeated only where the
//! callee honours idempotency keys, so that the repeat has no second effect.

use std::time::Duration;

use plugin_api::error::{ErrorKind, OperationError};

/// What becomes of a firing.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Again after a pause. `doubt`: this attempt may have had an effect.
    Retry { pause: Duration, doubt: bool },
    /// It had no effect, and will have none.
    Failed,
    /// Nobody knows whether it had an effect.
    Unknown,
}

/// How often, and after which pauses.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub attempts: u32,
    pub base: Duration,
    pub cap: Duration,
}

/// An attempt that failed.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// The callee has one effect for one key; what it answers of a key is the truth.
    pub honours_keys: bool,
    /// An attempt before may have had an effect.
    pub doubt: bool,
    /// Which attempt, 1 at first.
    pub number: u32,
}

/// Decides. `share`: where in the pause's range it lies, 0 to 1.
pub fn judge(error: &OperationError, attempt: Attempt, patience: Patience, share: f64) -> Verdict {
    let no_effect = match error.kind {
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Conflict => {
            return Verdict::Failed;
        }
        ErrorKind::Unavailable | ErrorKind::Overloaded => true,
        ErrorKind::Cancelled
        | ErrorKind::Panicked
        | ErrorKind::Internal
        | ErrorKind::UnknownOutcome
        | ErrorKind::Deadline => false,
    };
    match (no_effect || attempt.honours_keys, attempt.number < patience.attempts) {
        (true, true) => {
            Verdict::Retry { pause: pause(error, attempt.number, patience, share), doubt: !no_effect }
        }
        (_, false) if no_effect && !attempt.doubt => Verdict::Failed,
        _ => Verdict::Unknown,
    }
}

/// Between half and all of the doubled pause, and no less than the other side asked for.
fn pause(error: &OperationError, attempt: u32, patience: Patience, share: f64) -> Duration {
    let doubled = patience.base.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(patience.cap);
    let asked = error.retry_after_ms.map(Duration::from_millis).unwrap_or_default();
    doubled.mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0).max(asked)
}
