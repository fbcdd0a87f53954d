//! All plugins together become one word, and six counts.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::model::{PluginHealth, Status};

/// The host as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    Healthy,
    Degraded,
    Unhealthy,
}

impl Overall {
    /// The name in JSON, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for Overall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How many plugins have each status; together all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    pub connected: usize,
    pub disconnected: usize,
    pub not_configured: usize,
    pub error: usize,
    pub initializing: usize,
    pub not_initialized: usize,
}

impl Counts {
    fn slot(&mut self, status: Status) -> &mut usize {
        match status {
            Status::Connected => &mut self.connected,
            Status::Disconnected => &mut self.disconnected,
            Status::NotConfigured => &mut self.not_configured,
            Status::Error => &mut self.error,
            Status::Initializing => &mut self.initializing,
            Status::NotInitialized => &mut self.not_initialized,
        }
    }
}

/// What is counted of all plugins. It is kept up to date plugin by plugin: nobody looks at all of them for one that
/// changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    unsettled: usize,
    /// Required, and not healthy.
    failing: usize,
    degrading: usize,
}

impl Tally {
    pub(super) fn of<'a>(plugins: impl IntoIterator<Item = &'a PluginHealth>) -> Self {
        plugins.into_iter().fold(Self::default(), Self::with)
    }

    /// One of the plugins reads differently now.
    pub(super) fn replace(&mut self, before: &PluginHealth, after: &PluginHealth) {
        *self.counts.slot(before.status) -= 1;
        self.unsettled -= usize::from(!before.settled);
        self.failing -= usize::from(fails(before));
        self.degrading -= usize::from(degrades(before));
        *self = self.with(after);
    }

    /// Whether all have settled.
    pub(super) fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    /// Degraded until everything has settled once. A blocked plugin needs no look of its own: its root counts.
    pub(super) fn overall(&self, settled: bool, checker_is_stale: bool) -> Overall {
        if !settled {
            Overall::Degraded
        } else if checker_is_stale || self.failing > 0 {
            Overall::Unhealthy
        } else if self.degrading > 0 {
            Overall::Degraded
        } else {
            Overall::Healthy
        }
    }

    fn with(mut self, plugin: &PluginHealth) -> Self {
        *self.counts.slot(plugin.status) += 1;
        self.unsettled += usize::from(!plugin.settled);
        self.failing += usize::from(fails(plugin));
        self.degrading += usize::from(degrades(plugin));
        self
    }
}

fn fails(plugin: &PluginHealth) -> bool {
    plugin.required && !plugin.healthy
}

fn degrades(plugin: &PluginHealth) -> bool {
    // What nobody has looked at for a while is not known to be well.
    let in_doubt = plugin.flapping || plugin.stale;
    in_doubt
        || !plugin.failing.is_empty()
        || matches!(plugin.status, Status::Error | Status::Disconnected | Status::Initializing)
}
