//! What the board is told before anything happens: the plugins with their dependencies, and how the start went.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use plugin_api::manifest::Kind;
use schemars::JsonSchema;
use serde::Serialize;

/// What a board begins with.
#[derive(Debug, Clone)]
pub struct BoardConfig {
    /// Tells this run of the host from any other: short, letters and digits.
    pub boot_id: String,
    /// The host's version.
    pub version: String,
    /// Every plugin that plugins.toml names and has not disabled, in any order.
    pub plugins: Vec<PluginSpec>,
    /// When the host started.
    pub now: Timestamp,
}

/// A plugin, as far as its health is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginSpec {
    /// Its section in plugins.toml.
    pub name: String,
    /// `None` if its library could not be loaded.
    pub kind: Option<Kind>,
    /// The version of its crate; `None` if its library could not be loaded.
    pub version: Option<String>,
    /// Without it the host as a whole is unhealthy.
    pub required: bool,
    /// What it declares, under the names of the instances that serve it.
    pub dependencies: Vec<DependencySpec>,
    /// `None` if it has no probe of its own.
    pub probe_interval: Option<Duration>,
    /// How often its init is attempted.
    pub max_attempts: u32,
    /// Which environment variable a setting may come from, by the setting's key.
    pub variables: BTreeMap<String, String>,
}

impl PluginSpec {
    /// A plugin of which only the name is known.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: None,
            version: None,
            required: false,
            dependencies: Vec::new(),
            probe_interval: None,
            max_attempts: 1,
            variables: BTreeMap::new(),
        }
    }
}

/// A declared dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencySpec {
    /// The plugin depended on.
    pub name: String,
    /// Whether it gates health.
    pub required: bool,
    /// Whether plugins.toml names it; what is only wanted need not be there.
    pub named: bool,
}

/// The order of the start, and what decided how long it took. How long each plugin took is told by
/// [`Event::Settled`](super::Event::Settled).
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct StartReport {
    /// What could start together, dependencies first.
    pub waves: Vec<Vec<String>>,
    /// The chain of plugins that the start had to wait for.
    pub critical_path: Vec<String>,
    /// `None` until everything has settled.
    pub total_ms: Option<f64>,
}
