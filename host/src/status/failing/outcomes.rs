//! The outcomes of one operation become whether it fails: all of them since the last success, or half of many.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use plugin_api::error::{FixHint, ReasonCode};

use super::{Fault, Finding, News, share::Share};

/// So many failures in a row, at least.
const ENOUGH: u64 = 3;
/// The first and the last of them are so far apart, at least: an outage that passes by itself is none.
const APART: SignedDuration = SignedDuration::from_secs(30);
/// Successes in a row that end it.
const SUCCESSES_TO_END: u32 = 2;
/// After so long without a failure one success ends it, too, and its share tells of a time that is over: an operation that
/// is called seldom would fail long after the outage.
const OVER: SignedDuration = SignedDuration::from_secs(60);
/// Another text of the same code is not told before: messages that differ with each call are no news.
const SAME_WORDS: SignedDuration = SignedDuration::from_secs(10);

/// What came of one operation.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcomes {
    pub(super) share: Share,
    /// The failures since the last success; while it fails, since it began to.
    run: Option<Run>,
    failing: Option<Why>,
    /// Successes in a row, while it fails.
    successes: u32,
}

/// Why it counts as failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    InARow,
    ByShare,
}

#[derive(Debug, Clone)]
struct Run {
    first_at: Timestamp,
    last_at: Timestamp,
    count: u64,
    /// The idempotency key of all of them, if they have one: one request that is repeated tells little.
    only_key: Option<String>,
    last_key: Option<String>,
    code: ReasonCode,
    message: String,
    worded_at: Timestamp,
    hint: Option<FixHint>,
    callers: BTreeSet<String>,
}

impl Outcomes {
    pub(super) fn fault(&mut self, fault: Fault, now: Timestamp) -> News {
        self.successes = 0;
        let is_repeated =
            fault.key.is_some() && self.run.as_ref().is_some_and(|run| run.last_key == fault.key);
        if !is_repeated {
            self.share.fault(now);
        }
        let news = match &mut self.run {
            Some(run) => run.extend(fault, now),
            None => {
                self.run = Some(Run::begin(fault, now));
                News::Change
            }
        };
        if self.failing.is_some() {
            return news.max(News::Detail);
        }
        self.failing = self.judge(now);
        if self.failing.is_some() { News::Change } else { News::None }
    }

    pub(super) fn success(&mut self, now: Timestamp) -> News {
        self.share.successes(1, now);
        if self.failing.is_none() {
            self.run = None;
            return News::None;
        }
        self.successes += 1;
        self.look(now)
    }

    /// Whether it has ceased to fail: time alone may end it after a success.
    pub(super) fn look(&mut self, now: Timestamp) -> News {
        let Some(why) = self.failing else { return News::None };
        let is_over = self.run.as_ref().is_none_or(|run| now.duration_since(run.last_at) >= OVER);
        let may_end = why == Why::InARow || is_over || !self.share.is_half(now);
        if self.successes < if is_over { 1 } else { SUCCESSES_TO_END } || !may_end {
            return News::None;
        }
        if is_over {
            self.begin_anew();
        }
        (self.failing, self.run, self.successes) = (None, None, 0);
        News::Change
    }

    pub(super) fn met_by(&mut self, caller: &str) -> News {
        let Some(run) = &mut self.run else { return News::None };
        let is_new = run.met_by(Some(caller));
        if is_new && self.failing.is_some() { News::Change } else { News::None }
    }

    /// The share tells of a time that is over. That it fails stays true until two calls succeed.
    pub(super) fn begin_anew(&mut self) {
        self.share = Share::default();
    }

    pub(super) fn awaits_success(&self) -> bool {
        self.run.is_some()
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    pub(super) fn finding(&self, operation: &str) -> Option<Finding> {
        let (Some(_), Some(run)) = (self.failing, &self.run) else { return None };
        Some(Finding {
            operation: Some(operation.to_owned()),
            key: None,
            since: run.first_at,
            last_at: run.last_at,
            failures: run.count,
            code: run.code,
            message: run.message.clone(),
            hint: run.hint.clone(),
            callers: run.callers.iter().cloned().collect(),
        })
    }

    fn judge(&mut self, now: Timestamp) -> Option<Why> {
        let run = self.run.as_mut()?;
        let apart = run.last_at.duration_since(run.first_at);
        if run.count >= ENOUGH && run.only_key.is_none() && apart >= APART {
            return Some(Why::InARow);
        }
        if !self.share.is_half(now) {
            return None;
        }
        // Successes in between have cut the run short: the share knows more.
        let (first_at, faults) = self.share.faults(now)?;
        (run.first_at, run.count) = (run.first_at.min(first_at), run.count.max(faults));
        Some(Why::ByShare)
    }
}

impl Run {
    fn begin(fault: Fault, now: Timestamp) -> Self {
        let Fault { code, message, hint, caller, key } = fault;
        let (only_key, last_key) = (key.clone(), key);
        let callers = caller.into_iter().collect();
        let (first_at, last_at, worded_at) = (now, now, now);
        Self { first_at, last_at, count: 1, only_key, last_key, code, message, worded_at, hint, callers }
    }

    fn extend(&mut self, fault: Fault, now: Timestamp) -> News {
        self.last_at = now;
        self.count += 1;
        if self.only_key != fault.key {
            self.only_key = None;
        }
        let is_new_caller = self.met_by(fault.caller.as_deref());
        self.last_key = fault.key;
        let is_other_code = self.code != fault.code;
        if is_other_code || now.duration_since(self.worded_at) >= SAME_WORDS {
            (self.code, self.message, self.hint, self.worded_at) =
                (fault.code, fault.message, fault.hint, now);
        }
        if is_other_code || is_new_caller { News::Change } else { News::Detail }
    }

    /// Whether the caller is a new one.
    fn met_by(&mut self, caller: Option<&str>) -> bool {
        caller.is_some_and(|caller| !self.callers.contains(caller) && self.callers.insert(caller.to_owned()))
    }
}
