//! The state of everything at one moment, never changed once published: what every health route is read from.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    model::{PluginHealth, Status, Timing},
    overall::{Counts, Overall, Tally},
    spec::StartReport,
    time::{rfc3339, shifted},
    trouble::HostTrouble,
};

/// A checker that has not ticked for so long is stale.
pub const CHECKER_PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// Everything that readers may know.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub boot_id: Arc<str>,
    pub version: Arc<str>,
    /// By the clock that is never stepped, as `ticked_at`; see [`Snapshot::shown`].
    pub started_at: Timestamp,
    /// Counts up with every change that a reader cares about: status, reason, edge, staleness; not with each probe.
    pub revision: u64,
    /// When the checker last looked.
    pub ticked_at: Timestamp,
    /// What leads from these times to those that people see, after the machine's clock was stepped.
    pub shift: SignedDuration,
    /// Everything that may start has settled once since the host started; a later restart does not undo it.
    pub settled: bool,
    /// Sorted by name.
    pub plugins: Arc<Vec<Arc<PluginHealth>>>,
    pub counts: Counts,
    /// As long as the checker ticks; see [`Snapshot::overall_at`].
    pub overall: Overall,
    pub start: Arc<StartReport>,
    /// The tasks of the host itself that ended by a panic, by name.
    pub panics: Arc<BTreeMap<String, Panics>>,
    /// What is wrong with the host itself, sorted by key.
    pub host: Arc<[HostTrouble]>,
    pub(super) tally: Tally,
}

/// How often one task of the host ended by a panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panics {
    pub count: u64,
    /// The last time.
    pub at: Timestamp,
    /// The plugin that it was about then.
    pub of: Option<String>,
}

/// A dependency between two plugins that plugins.toml names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Edge<'a> {
    /// The dependent.
    pub from: &'a str,
    /// The dependency.
    pub to: &'a str,
    /// Whether it gates the health of `from`.
    pub required: bool,
    /// Whether `to` is healthy.
    pub satisfied: bool,
    /// The status of `to`.
    pub status: Status,
}

/// Whether a service's required dependencies were found to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    Verified,
    Failed,
    /// It has not settled, or is held.
    Unverified,
}

impl Snapshot {
    /// The plugin of this name.
    pub fn plugin(&self, name: &str) -> Option<&Arc<PluginHealth>> {
        self.position(name).map(|position| &self.plugins[position])
    }

    /// Where the plugin of this name stands in `plugins`.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.plugins.binary_search_by(|plugin| plugin.name.as_str().cmp(name)).ok()
    }

    /// One of this snapshot's own times, as people see it.
    pub fn shown(&self, time: Timestamp) -> Timestamp {
        shifted(time, self.shift)
    }

    /// Whether the health checker has not run for a while: then nothing here can be relied on.
    pub fn checker_is_stale(&self, now: Timestamp) -> bool {
        now.duration_since(self.ticked_at) > CHECKER_PATIENCE
    }

    /// The host as a whole, the checker included.
    pub fn overall_at(&self, now: Timestamp) -> Overall {
        self.overall_when(self.checker_is_stale(now))
    }

    /// The host as a whole, for who knows whether the checker is stale.
    pub fn overall_when(&self, checker_is_stale: bool) -> Overall {
        if checker_is_stale { self.judge(true) } else { self.overall }
    }

    /// The plugins together, and no better than the host itself.
    pub(super) fn judge(&self, checker_is_stale: bool) -> Overall {
        let least = if self.host.is_empty() { Overall::Healthy } else { Overall::Degraded };
        self.tally.overall(self.settled, checker_is_stale).max(least)
    }

    /// How many plugins are kept from being healthy by a dependency.
    pub fn blocked(&self) -> usize {
        self.plugins.iter().filter(|plugin| !plugin.blocked_by.is_empty()).count()
    }

    /// Every dependency between named plugins, sorted by dependent.
    pub fn edges(&self) -> Vec<Edge<'_>> {
        let edges = self.plugins.iter().flat_map(|plugin| {
            plugin.dependencies.iter().filter_map(|on| {
                let (from, to) = (plugin.name.as_str(), on.name.as_str());
                Some(Edge { from, to, required: on.required, satisfied: on.satisfied, status: on.status? })
            })
        });
        edges.collect()
    }

    /// Whether a service's required dependencies were found to work.
    pub fn verification(&self, plugin: &PluginHealth) -> Verification {
        if !plugin.settled || plugin.is_held() {
            Verification::Unverified
        } else if plugin.blocked_by.is_empty() {
            Verification::Verified
        } else {
            Verification::Failed
        }
    }

    /// What is wrong with the host itself, and then its notes.
    pub fn words_of_host(&self) -> Vec<String> {
        self.host.iter().map(|trouble| trouble.message.clone()).chain(self.notes()).collect()
    }

    /// What an operator should know of the host itself, though it works.
    pub fn notes(&self) -> Vec<String> {
        self.panics.iter().map(|(task, panics)| panics.note(task)).collect()
    }

    /// How the start of each plugin went.
    pub fn timings(&self) -> BTreeMap<&str, Timing> {
        self.plugins.iter().map(|plugin| (plugin.name.as_str(), plugin.timing)).collect()
    }
}

impl Panics {
    fn note(&self, task: &str) -> String {
        let mut note = format!("a task of the host, `{task}`");
        if let Some(plugin) = &self.of {
            // Writing to a string does not fail.
            let _ = write!(note, " of `{plugin}`");
        }
        let times = match self.count {
            1 => "once, at".to_owned(),
            count => format!("{count} times, last at"),
        };
        let at = rfc3339(self.at);
        format!("{note}, ended by a panic {times} {at}: report it with the log of that time")
    }
}
