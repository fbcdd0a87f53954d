//! Until when something is somebody's, or when it is due: by the database's clock, on which all hosts agree.
//!
//! A statement sets the end of a lease to `now_ms() + $n`, and finds those that are over by [`is_over`]. The clock may be
//! stepped, on SQLite that of the machine: a lease, or the end of a pause, that lies further ahead than any was ever set is
//! from before such a step, and is over. Moments that a person chose have no such bound.
//!
//! A plugin that has to do with such moments outside a statement reads the same clock, by a [`DatabaseClock`].

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    error::OperationError,
    requests::sql::{Query, Row},
};

/// The moment of what is never due.
pub const NEVER: i64 = i64::MAX;
/// How far the clock of the database may be set back without an effect.
const DOUBT_MS: i64 = 60_000;

/// The SQL condition that the moment in this column has come, or is impossible: further ahead than `longest`. It is not so
/// for [`NEVER`].
pub fn is_over(column: &str, longest: Duration) -> String {
    format!("({column} <= now_ms() or {})", is_impossible(column, &millis(longest).to_string()))
}

/// The SQL condition that the moment in this column lies further ahead than `longest`, which is SQL for a number of
/// milliseconds.
pub fn is_impossible(column: &str, longest: &str) -> String {
    format!("({column} > now_ms() + {longest} + {DOUBT_MS} and {column} < {NEVER})")
}

/// The same of a moment that was read; `now_ms` is a [`DatabaseClock`]'s.
pub fn has_come(moment_ms: i64, now_ms: i64, longest: Duration) -> bool {
    let most = millis(longest).saturating_add(DOUBT_MS);
    moment_ms <= now_ms || (moment_ms > now_ms.saturating_add(most) && moment_ms < NEVER)
}

/// In whole milliseconds, as they are bound to a statement.
pub fn millis(span: Duration) -> i64 {
    span.as_millis().try_into().unwrap_or(NEVER)
}

/// The database's clock as it was last read, carried on by the monotonic clock of this process: a step of the machine's
/// clock changes nothing until it is read again. Until it is read for the first time it is the machine's.
#[derive(Debug, Default)]
pub struct DatabaseClock {
    read: Mutex<Option<(i64, Instant)>>,
}

impl DatabaseClock {
    /// The query to read it by. Any other will do that has its column.
    pub fn query() -> Query {
        Query::new("select now_ms() as now_ms")
    }

    /// Sets it by a row with `now_ms() as now_ms` that was just read.
    ///
    /// # Errors
    /// `internal` if the row has no such column.
    pub fn set(&self, row: Row<'_>) -> Result<(), OperationError> {
        let now_ms = row.get("now_ms")?;
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((now_ms, Instant::now()));
        Ok(())
    }

    /// Now, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        let read = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Some((now_ms, at)) => now_ms.saturating_add(millis(at.elapsed())),
            None => Timestamp::now().as_millisecond(),
        }
    }
}

/// What this process is at work on: it does not claim that again, whatever a clock says of the lease.
#[derive(Debug, Clone, Default)]
pub struct Working<T: Ord>(Arc<Mutex<BTreeSet<T>>>);

/// While it lives, this process is at work on something.
#[derive(Debug)]
#[must_use = "when it is dropped, the work is over"]
pub struct AtWork<T: Ord> {
    working: Working<T>,
    what: T,
}

impl<T: Ord> Working<T> {
    /// Begins to work on something.
    pub fn begin(&self, what: T) -> AtWork<T>
    where
        T: Clone,
    {
        self.lock().insert(what.clone());
        AtWork { working: self.clone(), what }
    }

    /// All that it is at work on.
    pub fn all(&self) -> BTreeSet<T>
    where
        T: Clone,
    {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Ord> AtWork<T> {
    /// Ends the work before this is dropped.
    pub fn end(&self) {
        self.working.lock().remove(&self.what);
    }
}

impl<T: Ord> Drop for AtWork<T> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_come_when_it_is_past_or_impossible() {
        let (now, longest) = (1_000_000, Duration::from_secs(30));
        let check = |moment: i64, expected: bool| {
            assert_eq!(has_come(moment, now, longest), expected, "{moment}");
        };
        check(0, true);
        check(now, true);
        check(now + 1, false);
        check(now + 90_000, false);
        check(now + 90_001, true);
        check(now + 3_600_000, true);
        check(NEVER, false);
    }
}
