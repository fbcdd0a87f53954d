//! A trouble that the plugin raised: it lasts until the plugin clears it, its operation works again, a successor does, or
//! an operator has seen it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Finding, News, Trouble};

/// Successes of its operation in a row that end it.
const SUCCESSES_TO_END: u32 = 2;

#[derive(Debug, Clone)]
pub(super) struct Raised {
    trouble: Trouble,
    since: Timestamp,
    last_at: Timestamp,
    times: u64,
    callers: BTreeSet<String>,
    /// Successes of its operation in a row.
    successes: u32,
    /// An instance raised it that is gone.
    inherited: bool,
}

impl Raised {
    pub(super) fn new(trouble: Trouble, now: Timestamp) -> Self {
        let callers = BTreeSet::new();
        Self { trouble, since: now, last_at: now, times: 1, callers, successes: 0, inherited: false }
    }

    /// It was raised once more.
    pub(super) fn again(&mut self, trouble: Trouble, now: Timestamp) -> News {
        let is_other = self.trouble != trouble;
        (self.last_at, self.successes, self.inherited) = (now, 0, false);
        self.times += 1;
        self.trouble = trouble;
        if is_other { News::Change } else { News::Detail }
    }

    pub(super) fn inherit(&mut self) {
        (self.inherited, self.successes) = (true, 0);
    }

    pub(super) fn fault(&mut self) {
        self.successes = 0;
    }

    pub(super) fn is_of(&self, operation: &str) -> bool {
        self.trouble.operation.as_deref() == Some(operation)
    }

    pub(super) fn met_by(&mut self, caller: &str) -> News {
        let is_new = !self.callers.contains(caller) && self.callers.insert(caller.to_owned());
        if is_new { News::Change } else { News::None }
    }

    pub(super) fn awaits_success_of(&self, operation: &str) -> bool {
        match &self.trouble.operation {
            Some(of) => of == operation,
            None => self.inherited,
        }
    }

    /// Counts a success, and whether it was enough. Of a successor the first one is.
    pub(super) fn ends_by_success_of(&mut self, operation: &str) -> bool {
        if !self.awaits_success_of(operation) {
            return false;
        }
        self.successes += 1;
        self.inherited || self.successes >= SUCCESSES_TO_END
    }

    pub(super) fn finding(&self, key: &str) -> Finding {
        Finding {
            operation: self.trouble.operation.clone(),
            key: Some(key.to_owned()),
            since: self.since,
            last_at: self.last_at,
            failures: self.times,
            code: self.trouble.code,
            message: self.trouble.message.clone(),
            hint: self.trouble.hint.clone(),
            callers: self.callers.iter().cloned().collect(),
        }
    }
}
