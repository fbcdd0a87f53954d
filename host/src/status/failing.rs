//! What came of a plugin's operations, and what the plugin says of its work, become what fails in use. Pure: outcomes and
//! times are handed in, and nothing here knows whose fault an outcome was.

mod outcomes;
mod share;
mod trouble;

use std::collections::BTreeMap;

use jiff::Timestamp;
use plugin_api::error::{FixHint, ReasonCode};

use outcomes::Outcomes;
use trouble::Raised;

/// So many troubles a plugin may have raised at once.
pub const MOST_TROUBLES: usize = 16;

/// An outcome that was the plugin's own fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure.
    pub code: ReasonCode,
    /// For a person, scrubbed.
    pub message: String,
    /// What mends it, where the code alone does not say it.
    pub hint: Option<FixHint>,
    /// The plugin that called; `None` for an operator.
    pub caller: Option<String>,
    /// The idempotency key of the call.
    pub key: Option<String>,
}

/// A trouble as a plugin raises it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The plugin's own name for it.
    pub key: String,
    /// What kind of failure.
    pub code: ReasonCode,
    /// For a person, scrubbed.
    pub message: String,
    /// What mends it, where the code alone does not say it.
    pub hint: Option<FixHint>,
    /// Two successes of this operation in a row end it.
    pub operation: Option<String>,
}

/// Something that fails in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The operation that fails; `None` if the plugin raised it for none in particular.
    pub operation: Option<String>,
    /// The plugin's own name for it; `None` if the switch found it.
    pub key: Option<String>,
    /// The first failure that counts.
    pub since: Timestamp,
    /// The last one.
    pub last_at: Timestamp,
    /// How many there were.
    pub failures: u64,
    /// What kind of failure the last one was.
    pub code: ReasonCode,
    /// The same for a person.
    pub message: String,
    /// What mends it, where the code alone does not say it.
    pub hint: Option<FixHint>,
    /// The plugins that met it, sorted.
    pub callers: Vec<String>,
}

/// How much of what a reader sees has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// Nothing.
    None,
    /// Counts and times: worth telling once a second.
    Detail,
    /// Something begins or ends to fail, for another reason or another caller: worth telling at once.
    Change,
}

/// What is known of one plugin's use, whichever instance serves it.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    operations: BTreeMap<String, Outcomes>,
    troubles: BTreeMap<String, Raised>,
}

impl Ledger {
    /// An operation's outcome was the plugin's own fault.
    pub fn fault(&mut self, operation: &str, fault: Fault, now: Timestamp) -> News {
        self.of(operation).for_each(Raised::fault);
        let met = fault.caller.as_deref().map_or(News::None, |caller| self.note_caller(operation, caller));
        self.operations.entry(operation.to_owned()).or_default().fault(fault, now).max(met)
    }

    /// An operation went well.
    pub fn success(&mut self, operation: &str, now: Timestamp) -> News {
        let before = self.troubles.len();
        self.troubles.retain(|_, raised| !raised.ends_by_success_of(operation));
        let ended = if self.troubles.len() < before { News::Change } else { News::None };
        self.operations.entry(operation.to_owned()).or_default().success(now).max(ended)
    }

    /// So many calls of an operation went well that nobody had a closer look at.
    pub fn successes(&mut self, operation: &str, count: u64, now: Timestamp) {
        self.operations.entry(operation.to_owned()).or_default().share.successes(count, now);
    }

    /// Time alone may end that an operation fails. To be called about once a second.
    pub fn look(&mut self, now: Timestamp) -> News {
        self.operations.values_mut().map(|outcomes| outcomes.look(now)).max().unwrap_or(News::None)
    }

    /// An operation's failure counts here, and this plugin met it too, further up the chain of calls.
    pub fn met_by(&mut self, operation: &str, caller: &str) -> News {
        let outcomes = self.operations.get_mut(operation);
        let met = outcomes.map_or(News::None, |outcomes| outcomes.met_by(caller));
        met.max(self.note_caller(operation, caller))
    }

    /// The plugin raises a trouble, or says that it goes on; `None` if it has too many others.
    pub fn raise(&mut self, trouble: Trouble, now: Timestamp) -> Option<News> {
        let is_full = self.troubles.len() >= MOST_TROUBLES;
        match self.troubles.get_mut(&trouble.key) {
            Some(raised) => Some(raised.again(trouble, now)),
            None if is_full => None,
            None => {
                self.troubles.insert(trouble.key.clone(), Raised::new(trouble, now));
                Some(News::Change)
            }
        }
    }

    /// The plugin says that a trouble is over.
    pub fn clear(&mut self, key: &str) -> News {
        if self.troubles.remove(key).is_some() { News::Change } else { News::None }
    }

    /// Another instance serves from now on: what was raised passes to it, until its first success.
    pub fn succeeded_by_another(&mut self) {
        self.troubles.values_mut().for_each(Raised::inherit);
        self.came_into_service();
    }

    /// Its init has succeeded: the shares tell of the time before, which its status told of.
    pub fn came_into_service(&mut self) {
        self.operations.values_mut().for_each(Outcomes::begin_anew);
    }

    /// An operator has seen what this picks: it is gone until it happens again. Answers what there was.
    pub fn acknowledge(&mut self, picks: impl Fn(&Finding) -> bool) -> Vec<Finding> {
        let seen: Vec<_> = self.findings().into_iter().filter(|finding| picks(finding)).collect();
        for finding in &seen {
            match (&finding.key, &finding.operation) {
                (Some(key), _) => _ = self.troubles.remove(key),
                (None, Some(operation)) => _ = self.operations.remove(operation),
                (None, None) => {}
            }
        }
        seen
    }

    /// Operations that are gone have no outcomes any more.
    pub fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.operations.retain(|operation, _| exists(operation));
    }

    /// Whether a success of this operation may change something.
    pub fn awaits_success_of(&self, operation: &str) -> bool {
        self.operations.get(operation).is_some_and(Outcomes::awaits_success)
            || self.troubles.values().any(|raised| raised.awaits_success_of(operation))
    }

    /// Whether anything fails in use.
    pub fn is_failing(&self) -> bool {
        !self.troubles.is_empty() || self.operations.values().any(Outcomes::is_failing)
    }

    /// What fails in use, sorted by operation and key.
    pub fn findings(&self) -> Vec<Finding> {
        let by_switch = self.operations.iter().filter_map(|(name, outcomes)| outcomes.finding(name));
        let by_plugin = self.troubles.iter().map(|(key, raised)| raised.finding(key));
        let mut findings: Vec<_> = by_switch.chain(by_plugin).collect();
        findings.sort_by(|one, other| (&one.operation, &one.key).cmp(&(&other.operation, &other.key)));
        findings
    }

    fn of(&mut self, operation: &str) -> impl Iterator<Item = &mut Raised> {
        self.troubles.values_mut().filter(move |raised| raised.is_of(operation))
    }

    /// Whoever meets an operation's failure meets the troubles that were raised for it.
    fn note_caller(&mut self, operation: &str, caller: &str) -> News {
        self.of(operation).map(|raised| raised.met_by(caller)).max().unwrap_or(News::None)
    }
}

#[cfg(test)]
mod tests;
