//! plugins.toml and the environment become a `Config`, or every problem at once, each with its line. Reads files,
//! and does nothing else: opens no library, binds no address, prints nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use plugin_api::level::Level;
use serde_json::{Map, Value};

mod problem;
mod dotenv;
mod environment;
mod keys;
mod schema;
mod load;
mod document;
mod interpolate;
mod home;
mod check;
mod judge;
mod settings;
mod coerce;
mod shape;
mod pointer;
mod network;
mod token;
mod secret_key;
mod suggest;

pub use environment::Environment;
pub use keys::{Calls, Init, Log, LogFormat, LogLevel, Probe, Retry};
pub use load::{load, parse};
pub use network::Network;
pub use problem::{Problem, Problems};
pub use schema::schema;
pub use secret_key::{SECRET_KEY_VARIABLE, SecretKey};
pub use settings::{InvalidSetting, Resolution, resolve, unset};
pub use suggest::closest;
pub use token::Token;

/// What a host runs by.
#[derive(Debug, Clone)]
pub struct Config {
    /// plugins.toml, as it was named.
    pub path: PathBuf,
    /// The absolute folder of plugins.toml; relative paths of settings are resolved against it.
    pub dir: PathBuf,
    /// The host itself.
    pub host: HostConfig,
    /// The enabled plugins, in the order of the file.
    pub plugins: Vec<PluginConfig>,
    /// The names of sections that are there with `enabled = false`.
    pub disabled: Vec<String>,
    /// The variables that settings may come from.
    pub environment: Environment,
    /// What can be used, and was probably meant otherwise.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// The section of this name.
    pub fn plugin(&self, name: &str) -> Option<&PluginConfig> {
        self.plugins.iter().find(|plugin| plugin.name == name)
    }
}

/// The section `[host]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The absolute folder for everything durable.
    pub data_dir: PathBuf,
    /// The absolute folder of the libraries; `None`: the executable's.
    pub library_dir: Option<PathBuf>,
    /// How the outside world reaches the host, without a slash at the end.
    pub public_base_url: Option<String>,
    /// What an operator proves himself by.
    pub token: Option<Token>,
    /// What plugins seal their secrets by; `None`: it is made in `data_dir`.
    pub secret_key: Option<SecretKey>,
    /// The proxies whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// How long requests in progress may take to end when the host stops.
    pub shutdown_grace: Duration,
    /// What is logged, and how.
    pub log: Log,
    /// Whether everything is logged all the same: asked for at the command line, not in the file.
    pub verbose: bool,
}

impl HostConfig {
    /// The least severe level that is logged.
    pub fn log_level(&self) -> LogLevel {
        if self.verbose { self.log.level.max(LogLevel::Debug) } else { self.log.level }
    }
}

/// A section `[plugins.<name>]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConfig {
    /// The instance's name.
    pub name: String,
    /// Where the section begins, counted from 1.
    pub line: usize,
    /// Which library serves it.
    pub library: LibraryRef,
    /// Whether the host as a whole is unhealthy without it.
    pub required: bool,
    /// How it is started.
    pub init: Init,
    /// How it is verified while it runs.
    pub probe: Probe,
    /// How starting it is retried.
    pub retry: Retry,
    /// The limits of calls to it.
    pub calls: Calls,
    /// The dependency's name in the manifest, and the instance that serves it.
    pub bind: BTreeMap<String, String>,
    /// Patterns of the tools that it may reach.
    pub tools: Vec<String>,
    /// Patterns of those that wait for a person.
    pub approve: Vec<String>,
    /// Whether it may state that a person agreed to a tool call.
    pub decides: bool,
    /// The plugins that may call its operations about people; `None`: those that its manifest names.
    pub callers: Option<Vec<String>>,
    /// How certain it must be who speaks, by operation, where that is not as its manifest names it.
    pub needs: BTreeMap<String, Level>,
    /// The least severe level of its log; `None`: the host's.
    pub log_level: Option<LogLevel>,
    /// Its own settings, as the file has them.
    pub settings: SettingsTable,
}

/// The shipped plugin in which people decide.
fn decides_by_default(name: &str) -> bool {
    name == "orchestrator_service"
}

impl PluginConfig {
    /// A section that has a name and no key.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            line: 1,
            library: LibraryRef::Name(name.to_owned()),
            required: false,
            init: Init::default(),
            probe: Probe::default(),
            retry: Retry::default(),
            calls: Calls::default(),
            bind: BTreeMap::new(),
            tools: Vec::new(),
            approve: Vec::new(),
            decides: decides_by_default(name),
            callers: None,
            needs: BTreeMap::new(),
            log_level: None,
            settings: SettingsTable::default(),
        }
    }
}

/// Where a plugin's library is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibraryRef {
    /// A plugin's name: its library is in the library folder.
    Name(String),
    /// The absolute path of a library.
    Path(PathBuf),
}

/// The table `settings` of a plugin, interpolated, without what is empty; not yet checked against the plugin's schema.
#[derive(Clone, Default, PartialEq)]
pub struct SettingsTable {
    values: Map<String, Value>,
    /// By JSON pointer.
    lines: BTreeMap<String, usize>,
    /// The JSON pointers of what came from `${…}`, and so may be text where a number is wanted.
    substituted: BTreeSet<String>,
    /// What is absent because it is nothing but this variable, which is not set; by JSON pointer.
    unset: BTreeMap<String, String>,
}

impl SettingsTable {
    /// Settings that stand in no file.
    pub fn from_values(values: Map<String, Value>) -> Self {
        Self { values, ..Self::default() }
    }

    /// Puts a value in the place of whatever the file has.
    pub fn set(&mut self, key: &str, value: Value) {
        let pointer = format!("/{key}");
        self.substituted.remove(&pointer);
        self.unset.remove(&pointer);
        self.values.insert(key.to_owned(), value);
    }

    /// Whether the key has a value.
    pub fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The line of a key in plugins.toml; a nested one is named by a JSON pointer, as `/tls/verify`.
    pub fn line_of(&self, key: &str) -> Option<usize> {
        if key.starts_with('/') {
            self.lines.get(key).copied()
        } else {
            self.lines.get(&format!("/{key}")).copied()
        }
    }
}

/// Names the keys only: values may be secrets.
impl std::fmt::Debug for SettingsTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests;
