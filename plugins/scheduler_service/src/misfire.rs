//! A moment that has come, and how late it is -> which moment is done now, and after which the next one is sought. Pure.
//!
//! A clock that is put back brings no moment a second time: the next one is sought after the last one that was done.

use jiff::tz::TimeZone;
use plugin_api::requests::scheduler::IfLate;

use crate::rule::Rule;

/// Less is not late: hosts look for jobs from time to time, and may be busy.
pub const PUNCTUAL_MS: i64 = 60_000;
/// Of `all` that passed, so many.
pub const MOST_MISSED: usize = 100;

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// The moment that is done; `None`: it is too late for all that passed.
    pub fires: Option<i64>,
    /// The next moment is after this one.
    pub next_after: i64,
}

/// A job whose moment `fire_ms` has come.
#[derive(Debug, Clone, Copy)]
pub struct Due<'a> {
    pub rule: &'a Rule,
    pub zone: &'a TimeZone,
    pub if_late: IfLate,
    /// How late it is still worth doing.
    pub late_ms: i64,
    pub fire_ms: i64,
}

/// Decides.
pub fn decide(due: Due<'_>, now_ms: i64) -> Decision {
    let Due { rule, zone, fire_ms, .. } = due;
    let now_ms = now_ms.max(fire_ms);
    match due.if_late {
        IfLate::All => {
            let fires = oldest_of_the_newest(due, now_ms);
            Decision { fires: Some(fires), next_after: fires }
        }
        IfLate::Once | IfLate::Skip => {
            let last = rule.last_until(zone, fire_ms, now_ms);
            let limit = if due.if_late == IfLate::Skip { PUNCTUAL_MS } else { due.late_ms.max(PUNCTUAL_MS) };
            let fires = (now_ms - last <= limit).then_some(last);
            Decision { fires, next_after: now_ms }
        }
    }
}

/// Usually `fire_ms` itself; later, if more have passed than are done.
fn oldest_of_the_newest(due: Due<'_>, now_ms: i64) -> i64 {
    let mut oldest = due.rule.last_until(due.zone, due.fire_ms, now_ms);
    for _ in 1..MOST_MISSED {
        if oldest <= due.fire_ms {
            return due.fire_ms;
        }
        oldest = due.rule.last_until(due.zone, due.fire_ms, oldest - 1);
    }
    oldest.max(due.fire_ms)
}
