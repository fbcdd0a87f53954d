//! How the operations of one plugin fare in use, whichever instance serves them: outcomes are kept in a ledger, and what
//! fails is told. A call that goes well while nothing fails costs two atomic operations.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{
    clock,
    status::{Fault, Finding, Ledger, News, Trouble},
};

/// Where it is told what of a plugin fails in use: all of it, each time.
pub type FailingSink = Arc<dyn Fn(&str, Vec<Finding>) + Send + Sync>;

/// The use of one plugin.
pub(super) struct InUse {
    plugin: String,
    state: Mutex<State>,
    sink: Arc<OnceLock<FailingSink>>,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    usages: BTreeMap<String, Arc<Usage>>,
    /// A call has gone well since the last sweep.
    served: bool,
    /// Counts and times have changed since they were told.
    untold: bool,
}

/// The use of one operation, as far as a call that goes well is concerned.
#[derive(Default)]
pub(super) struct Usage {
    /// Those that the ledger does not know yet.
    successes: AtomicU64,
    /// The next success may change something.
    awaited: AtomicBool,
}

impl Usage {
    /// A call went well; whether somebody has to have a closer look.
    pub(super) fn succeeded(&self) -> bool {
        if self.awaited.load(Ordering::Acquire) {
            return true;
        }
        self.successes.fetch_add(1, Ordering::Relaxed);
        false
    }
}

impl InUse {
    pub(super) fn new(plugin: &str, sink: Arc<OnceLock<FailingSink>>) -> Self {
        Self { plugin: plugin.to_owned(), state: Mutex::default(), sink }
    }

    /// From now on the plugin has these operations: what is known of those that stay is kept.
    pub(super) fn set_operations<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut state = self.lock();
        let mut known = std::mem::take(&mut state.usages);
        state.usages = names.map(|name| (name.to_owned(), known.remove(name).unwrap_or_default())).collect();
        let State { ledger, usages, .. } = &mut *state;
        ledger.retain(|operation| usages.contains_key(operation));
        self.settle(state, News::Change);
    }

    pub(super) fn usage(&self, operation: &str) -> Arc<Usage> {
        self.lock().usages.get(operation).cloned().unwrap_or_default()
    }

    pub(super) fn fault(&self, operation: &str, fault: Fault) {
        let (mut state, now) = (self.lock(), clock::now());
        // What went well before it counts, too.
        state.count_successes();
        let news = state.ledger.fault(operation, fault, now);
        self.settle(state, news);
    }

    pub(super) fn success(&self, operation: &str) {
        let mut state = self.lock();
        state.served = true;
        let news = state.ledger.success(operation, clock::now());
        self.settle(state, news);
    }

    pub(super) fn met_by(&self, operation: &str, caller: &str) {
        let mut state = self.lock();
        let news = state.ledger.met_by(operation, caller);
        self.settle(state, news);
    }

    /// Whether there was room for it.
    pub(super) fn raise(&self, trouble: Trouble) -> bool {
        let mut state = self.lock();
        let news = state.ledger.raise(trouble, clock::now());
        self.settle(state, news.unwrap_or(News::None));
        news.is_some()
    }

    pub(super) fn clear(&self, key: &str) {
        let mut state = self.lock();
        let news = state.ledger.clear(key);
        self.settle(state, news);
    }

    pub(super) fn acknowledge(&self, picks: impl Fn(&Finding) -> bool) -> Vec<Finding> {
        let mut state = self.lock();
        let seen = state.ledger.acknowledge(picks);
        self.settle(state, if seen.is_empty() { News::None } else { News::Change });
        seen
    }

    /// Another instance serves from now on.
    pub(super) fn succeeded_by_another(&self) {
        let mut state = self.lock();
        state.ledger.succeeded_by_another();
        self.settle(state, News::None);
    }

    /// Its init has succeeded.
    pub(super) fn came_into_service(&self) {
        self.lock().ledger.came_into_service();
    }

    pub(super) fn is_failing(&self) -> bool {
        self.lock().ledger.is_failing()
    }

    /// Called about once a second: counts what went well, looks what is over, and tells what has gathered. Whether something
    /// went well.
    pub(super) fn sweep(&self) -> bool {
        let mut state = self.lock();
        state.count_successes();
        let served = std::mem::take(&mut state.served);
        let gathered = if state.untold { News::Change } else { News::None };
        let news = state.ledger.look(clock::now()).max(gathered);
        self.settle(state, news);
        served
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told under the lock, so that what is told last is how it stands.
    fn settle(&self, mut state: MutexGuard<'_, State>, news: News) {
        for (operation, usage) in &state.usages {
            usage.awaited.store(state.ledger.awaits_success_of(operation), Ordering::Release);
        }
        state.untold |= news == News::Detail;
        if news == News::Change
            && let Some(tell) = self.sink.get()
        {
            state.untold = false;
            tell(&self.plugin, state.ledger.findings());
        }
    }
}

impl State {
    fn count_successes(&mut self) {
        for (operation, usage) in &self.usages {
            let count = usage.successes.swap(0, Ordering::Relaxed);
            if count > 0 {
                self.served = true;
                self.ledger.successes(operation, count, clock::now());
            }
        }
    }
}
