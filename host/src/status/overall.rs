//! All plugins together become one word, and six counts.

use std::{fmt, sync::Arc};

use serde::Serialize;

use super::model::{PluginHealth, Status};

/// The host as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub connected: usize,
    pub disconnected: usize,
    pub not_configured: usize,
    pub error: usize,
    pub initializing: usize,
    pub not_initialized: usize,
}

impl Counts {
    pub(super) fn of(plugins: &[Arc<PluginHealth>]) -> Self {
        let mut counts = Self::default();
        for plugin in plugins {
            *counts.slot(plugin.status) += 1;
        }
        counts
    }

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

/// Degraded until everything has settled once. What is blocked needs no look of its own: the root of it counts.
pub(super) fn overall(settled: bool, checker_stale: bool, plugins: &[Arc<PluginHealth>]) -> Overall {
    if !settled {
        Overall::Degraded
    } else if checker_stale || plugins.iter().any(|plugin| plugin.required && !plugin.healthy) {
        Overall::Unhealthy
    } else if plugins.iter().any(|plugin| degrades(plugin)) {
        Overall::Degraded
    } else {
        Overall::Healthy
    }
}

fn degrades(plugin: &PluginHealth) -> bool {
    plugin.flapping || matches!(plugin.status, Status::Error | Status::Disconnected | Status::Initializing)
}
