//! What writes have shown: whether the last one succeeded, and when one of our own is due. Nothing here waits or writes.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use plugin_api::{
    error::{ErrorKind, Failure},
    requests::sql::Migrate,
};

use crate::errors::Trouble;

/// For so long, a write that succeeded speaks for the database. Each write of our own is archived and replicated by the
/// database, so there are no more than needed.
const FRESH: Duration = Duration::from_secs(300);
/// The same while the disk is nearly full, where the next write may be the one that does not fit.
const FRESH_WHEN_SHORT: Duration = Duration::from_secs(10);

/// What this plugin keeps in the database for itself.
pub fn own_tables() -> Migrate {
    Migrate::new("database")
        .version("doctor", "create table database_doctor (id text primary key, written_at text not null)")
        .version("writes", "create table database_writes (id integer primary key, written_at text not null)")
}

/// The evidence of writes.
#[derive(Debug, Default)]
pub struct Writes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    succeeded: Option<Instant>,
    failed: Option<Failed>,
    /// A write succeeded after one had failed, and nobody was told yet.
    recovered: bool,
    /// Our own tables are there.
    prepared: bool,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    certain: bool,
}

impl Writes {
    /// Something was committed that changed the data.
    pub fn succeeded(&self) {
        let mut state = self.state();
        state.recovered |= state.failed.take().is_some();
        state.succeeded = Some(Instant::now());
    }

    /// A write did not succeed. A failure caused by its request or another transaction says nothing of the database.
    pub fn failed(&self, trouble: &Trouble) {
        let certain = trouble.outage.as_ref().map(|failure| failure.certain);
        let lost = trouble.error.kind == ErrorKind::UnknownOutcome;
        if let Some(certain) = certain.or(lost.then_some(false)) {
            self.state().failed = Some(Failed { certain });
        }
    }

    /// Whether only a write of our own can tell; `short`: while the disk is nearly full.
    pub fn is_due(&self, short: bool) -> bool {
        let fresh = if short { FRESH_WHEN_SHORT } else { FRESH };
        let state = self.state();
        state.failed.is_some() || state.succeeded.is_none_or(|at| at.elapsed() >= fresh)
    }

    /// What stands while other transactions keep our own write from an answer: a busy lock is no failure, and no proof
    /// that what was certain has ended.
    pub fn while_busy(&self, place: &dyn std::fmt::Display) -> Result<(), Failure> {
        match self.state().failed {
            Some(Failed { certain: true }) => Err(Failure::unavailable(format!(
                "{place} is busy with other transactions, and no write has succeeded since the last one failed"
            ))
            .certain()),
            _ => Ok(()),
        }
    }

    /// Whether a write succeeded after one had failed; said once.
    pub fn recovered(&self) -> bool {
        std::mem::take(&mut self.state().recovered)
    }

    pub fn is_prepared(&self) -> bool {
        self.state().prepared
    }

    pub fn prepared(&self) {
        self.state().prepared = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::error::OperationError;

    use super::*;

    fn full() -> Trouble {
        Trouble::outage(Failure::unavailable("no disk space is left").certain())
    }

    #[test]
    fn a_write_of_our_own_is_due_without_one_and_after_one_failed() {
        let writes = Writes::default();
        assert!(writes.is_due(false), "none is known");
        writes.succeeded();
        assert!(!writes.is_due(false) && !writes.is_due(true) && !writes.recovered());
        writes.failed(&full());
        assert!(writes.is_due(false));
        writes.succeeded();
        assert!(!writes.is_due(false));
        assert!(writes.recovered() && !writes.recovered(), "said once");
    }

    #[test]
    fn evidence_grows_old_and_sooner_on_a_disk_that_is_nearly_full() {
        let writes = Writes::default();
        let ago = |seconds| {
            writes.state().succeeded = Instant::now().checked_sub(Duration::from_secs(seconds));
            (writes.is_due(false), writes.is_due(true))
        };
        assert_eq!(ago(5), (false, false));
        assert_eq!(ago(200), (false, true));
        assert_eq!(ago(301), (true, true));
    }

    #[test]
    fn what_a_request_is_to_blame_for_is_no_failed_write() {
        let writes = Writes::default();
        writes.succeeded();
        for error in [
            OperationError::conflict("a constraint does not hold"),
            OperationError::overloaded("another transaction got in the way"),
            OperationError::deadline("it took too long"),
            OperationError::invalid("no such table"),
        ] {
            writes.failed(&error.into());
            assert!(!writes.is_due(false));
        }
        writes.failed(&OperationError::unknown_outcome("the answer was lost").into());
        assert!(writes.is_due(false));
    }

    #[test]
    fn a_busy_lock_is_no_failure_and_no_proof_either() {
        let writes = Writes::default();
        assert_eq!(writes.while_busy(&"it"), Ok(()));
        writes.failed(&Trouble::outage(Failure::refused("nobody listens")));
        assert_eq!(writes.while_busy(&"it"), Ok(()));
        writes.failed(&full());
        assert!(writes.while_busy(&"it").is_err_and(|failure| failure.certain));
    }
}
