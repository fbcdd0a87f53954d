//! What dependents wait for: whether a plugin has settled, and whether it holds them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

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
    gates: Arc<HashMap<String, Arc<watch::Sender<Gate>>>>,
}

impl Gates {
    /// The gates of these plugins: those that go on keep theirs of before, who waits there included.
    pub(super) fn new<'a>(
        names: impl Iterator<Item = &'a str>,
        before: &Self,
        goes_on: impl Fn(&str) -> bool,
    ) -> Self {
        let gate = |name: &str| {
            let kept = before.gates.get(name).filter(|_| goes_on(name)).cloned();
            kept.unwrap_or_else(|| Arc::new(watch::Sender::new(Gate::Unsettled)))
        };
        Self { gates: Arc::new(names.map(|name| (name.to_owned(), gate(name))).collect()) }
    }

    /// A plugin was stopped before it settled: who waits for it need not wait any more.
    pub(super) fn give_up(&self, name: &str) {
        if let Some(sender) = self.gates.get(name) {
            sender.send_if_modified(|gate| {
                let unsettled = *gate == Gate::Unsettled;
                if unsettled {
                    *gate = Gate::Open;
                }
                unsettled
            });
        }
    }

    pub(super) fn set(&self, name: &str, gate: Gate) {
        if let Some(sender) = self.gates.get(name) {
            sender.send_if_modified(|current| std::mem::replace(current, gate) != gate);
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
            |name: &&String| self.gates.get(*name).is_some_and(|gate| *gate.borrow() == Gate::Holding);
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
            let _ = sender.subscribe().wait_for(|gate| condition(*gate)).await;
        }
    }
}
