//! What dependents wait for: whether a plugin has settled, and whether it holds them.

use std::{
    collections::{BTreeMap, HashMap},
    future::pending,
    sync::Arc,
};

use futures_util::future::select_all;
use tokio::sync::watch;

/// How a plugin stands to its dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Its first attempt has not ended yet.
    Unsettled,
    /// It settled; its dependents may start, whether it works or not.
    Open,
    /// It settled, but has no instance and will have none by itself: who requires it cannot start.
    Holding,
}

/// The gates of all plugins. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Gates {
    gates: Arc<HashMap<String, Arc<watch::Sender<Stand>>>>,
}

/// A plugin as dependents see it.
#[derive(Debug, Clone, Copy)]
struct Stand {
    gate: Gate,
    /// How often it became `connected`.
    returns: u64,
}

impl Gates {
    /// The gates of these plugins. A plugin keeps its gate of before, where dependents that go on wait; if it does not go
    /// on itself, it has to settle again.
    pub(super) fn new<'a>(
        names: impl Iterator<Item = &'a str>,
        before: &Self,
        goes_on: impl Fn(&str) -> bool,
    ) -> Self {
        let gate = |name: &str| {
            let kept = before.gates.get(name).cloned();
            kept.unwrap_or_else(|| Arc::new(watch::Sender::new(Stand { gate: Gate::Unsettled, returns: 0 })))
        };
        let gates = Self { gates: Arc::new(names.map(|name| (name.to_owned(), gate(name))).collect()) };
        gates.gates.keys().filter(|name| !goes_on(name)).for_each(|name| gates.set(name, Gate::Unsettled));
        gates
    }

    /// A plugin was stopped before it settled: who waits for it need not wait any more.
    pub(super) fn give_up(&self, name: &str) {
        if let Some(sender) = self.gates.get(name) {
            sender.send_if_modified(|stand| {
                let unsettled = stand.gate == Gate::Unsettled;
                if unsettled {
                    stand.gate = Gate::Open;
                }
                unsettled
            });
        }
    }

    pub(super) fn set(&self, name: &str, gate: Gate) {
        if let Some(sender) = self.gates.get(name) {
            sender.send_if_modified(|stand| std::mem::replace(&mut stand.gate, gate) != gate);
        }
    }

    /// A plugin became `connected`: those that depend on it and failed may succeed now.
    pub(super) fn came_back(&self, name: &str) {
        if let Some(sender) = self.gates.get(name) {
            sender.send_modify(|stand| stand.returns += 1);
        }
    }

    /// How often these have come back, together.
    pub(super) fn returns<'a>(&self, names: impl Iterator<Item = &'a String>) -> u64 {
        names.filter_map(|name| self.gates.get(name)).map(|sender| sender.borrow().returns).sum()
    }

    /// Waits until these have come back more often than so.
    pub(super) async fn returned(&self, names: impl Iterator<Item = &String>, before: u64) {
        let senders = names.filter_map(|name| self.gates.get(name));
        let mut stands: Vec<_> = senders.map(|sender| sender.subscribe()).collect();
        while stands.iter_mut().map(|stand| stand.borrow_and_update().returns).sum::<u64>() <= before {
            if stands.is_empty() {
                return pending().await;
            }
            // The senders live in `self`.
            let _ = select_all(stands.iter_mut().map(|stand| Box::pin(stand.changed()))).await;
        }
    }

    /// Waits until all of these have settled.
    pub(super) async fn settled(&self, names: impl Iterator<Item = &String>) {
        for name in names {
            self.wait(name, |gate| gate != Gate::Unsettled).await;
        }
    }

    /// Waits until every plugin has settled.
    pub(super) async fn all_settled(&self) {
        self.settled(self.gates.keys()).await;
    }

    /// Those of the required dependencies that hold their dependents, sorted.
    pub(super) fn holding(&self, dependencies: &BTreeMap<String, bool>) -> Vec<String> {
        let required = dependencies.iter().filter(|(_, required)| **required).map(|(name, _)| name);
        let held_by =
            |name: &&String| self.gates.get(*name).is_some_and(|stand| stand.borrow().gate == Gate::Holding);
        required.filter(held_by).cloned().collect()
    }

    /// Waits until none of these holds its dependents.
    pub(super) async fn released(&self, names: &[String]) {
        for name in names {
            self.wait(name, |gate| gate == Gate::Open).await;
        }
    }

    async fn wait(&self, name: &str, condition: impl Fn(Gate) -> bool) {
        if let Some(sender) = self.gates.get(name) {
            // The sender lives in `self`, so the wait ends by the condition only.
            let _ = sender.subscribe().wait_for(|stand| condition(stand.gate)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn dependents_that_go_on_hear_of_a_plugin_that_is_replaced() {
        let of = |before: &Gates| Gates::new(["store"].into_iter(), before, |_| false);
        let store = ["store".to_owned()];
        let before = of(&Gates::default());
        before.set("store", Gate::Open);
        before.came_back("store");
        let after = of(&before);
        assert!(before.settled(store.iter()).now_or_never().is_none(), "its new instance has not settled");
        assert!(before.returned(store.iter(), 1).now_or_never().is_none());
        after.set("store", Gate::Open);
        after.came_back("store");
        assert!(before.settled(store.iter()).now_or_never().is_some());
        assert!(before.returned(store.iter(), 1).now_or_never().is_some());
    }
}
