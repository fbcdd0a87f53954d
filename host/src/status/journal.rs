//! Changes of status become a log of bounded length, in the order of their revisions, for those who follow health as it
//! happens. A reader keeps a revision and nothing else: who is slow costs no memory, and is told that he missed something.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

use plugin_api::manifest::Kind;

use super::{model::Transition, overall::Overall};

/// How many are kept, of all plugins together.
const KEPT: usize = 1024;

/// A change of a plugin's status, and what it made of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// That of the first snapshot which shows it; no two changes have the same.
    pub revision: u64,
    /// The plugin.
    pub name: String,
    /// `None` if its library could not be loaded.
    pub kind: Option<Kind>,
    /// Whether the plugin is healthy from then on.
    pub healthy: bool,
    /// The host as a whole from then on.
    pub overall: Overall,
    /// From what to what, when and why.
    pub transition: Transition,
}

/// Some of the changes that were asked for are not kept any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Forgotten;

/// The last changes. A lock is held for a glance only.
#[derive(Default)]
pub(super) struct Journal {
    log: RwLock<Log>,
}

#[derive(Default)]
struct Log {
    changes: VecDeque<Arc<Change>>,
    /// The revision of the newest change that is not kept.
    forgotten: u64,
}

impl Journal {
    /// Its revision is above that of every other.
    pub(super) fn push(&self, change: Change) {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        if log.changes.len() == KEPT
            && let Some(oldest) = log.changes.pop_front()
        {
            log.forgotten = oldest.revision;
        }
        log.changes.push_back(Arc::new(change));
    }

    /// The first of the changes above a revision, oldest first.
    pub(super) fn after(&self, revision: u64, most: usize) -> Result<Vec<Arc<Change>>, Forgotten> {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        if revision < log.forgotten {
            return Err(Forgotten);
        }
        let first = log.changes.partition_point(|change| change.revision <= revision);
        Ok(log.changes.range(first..).take(most).cloned().collect())
    }

    /// Whether a change has this revision, as far as they are kept.
    pub(super) fn has(&self, revision: u64) -> bool {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        log.changes.binary_search_by_key(&revision, |change| change.revision).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::status::Status;

    fn journal(revisions: impl IntoIterator<Item = u64>) -> Journal {
        let journal = Journal::default();
        for revision in revisions {
            let (at, from, to) = (Timestamp::UNIX_EPOCH, Status::Connected, Status::Error);
            let transition = Transition { at, recorded_at: at, from, to, code: None, message: None };
            let (name, kind, healthy, overall) = ("one".to_owned(), None, false, Overall::Degraded);
            journal.push(Change { revision, name, kind, healthy, overall, transition });
        }
        journal
    }

    #[track_caller]
    fn check(journal: &Journal, after: u64, most: usize, expected: Result<&[u64], Forgotten>) {
        let found = journal.after(after, most);
        let found = found.map(|changes| changes.iter().map(|change| change.revision).collect::<Vec<_>>());
        assert_eq!(found, expected.map(<[u64]>::to_vec));
    }

    #[test]
    fn what_came_after_a_revision_is_told_in_order() {
        let journal = journal([2, 3, 7]);
        check(&journal, 0, 10, Ok(&[2, 3, 7]));
        check(&journal, 2, 10, Ok(&[3, 7]));
        check(&journal, 5, 10, Ok(&[7]));
        check(&journal, 7, 10, Ok(&[]));
        check(&journal, 0, 2, Ok(&[2, 3]));
        assert!(journal.has(3) && !journal.has(4));
    }

    #[test]
    fn who_asks_for_what_is_forgotten_is_told_so() {
        let journal = journal(1..=KEPT as u64 + 5);
        check(&journal, 4, 1, Err(Forgotten));
        check(&journal, 5, 1, Ok(&[6]));
        check(&journal, KEPT as u64 + 4, 9, Ok(&[KEPT as u64 + 5]));
    }
}
