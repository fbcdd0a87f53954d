//! The keys of plugins.toml, as serde and schemars read them. The doc comments are the descriptions that
//! `switchboard schema` prints: written for who edits the file.

use std::{collections::BTreeMap, time::Duration};

use plugin_api::{level::Level, settings::Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The pattern of a name of an instance.
pub(super) const NAME: &str = "^[a-z][a-z0-9_]*$";

/// The configuration of a Switchboard host, and of the plugins that it runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    /// The host itself.
    pub host: HostKeys,
    /// One section for each plugin: the section's name is the instance's name.
    #[schemars(extend("propertyNames" = { "pattern": NAME }))]
    pub plugins: BTreeMap<String, PluginKeys>,
}

/// The host itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HostKeys {
    /// Where the host listens: an address and a port; port 0 picks a free one. The variable SWITCHBOARD_LISTEN wins
    /// over it. Default: 127.0.0.1:8080.
    pub listen: Option<String>,
    /// The folder for everything that the host and its plugins keep, relative to this file. Default: data.
    pub data_dir: Option<String>,
    /// Where the plugins' libraries are, relative to this file. Default: the folder of the executable.
    pub library_dir: Option<String>,
    /// The address under which the outside world reaches this host, such as https://switchboard.example.com. Default:
    /// the variable PUBLIC_BASE_URL.
    pub public_base_url: Option<String>,
    /// A file with the operator's token of 16 characters or more, relative to this file. The variable SWITCHBOARD_TOKEN
    /// wins over it. A token is required of every operator, on this machine too; without a token, only this machine
    /// can be served.
    pub token_file: Option<String>,
    /// The proxies whose `Forwarded` and `X-Forwarded-*` headers are believed: addresses or networks, such as
    /// 10.0.0.0/8.
    pub trusted_proxies: Vec<String>,
    /// How long requests in progress may take to end when the host stops.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub shutdown_grace: Duration,
    /// What is logged, and how.
    pub log: Log,
}

impl Default for HostKeys {
    fn default() -> Self {
        Self {
            listen: None,
            data_dir: None,
            library_dir: None,
            public_base_url: None,
            token_file: None,
            trusted_proxies: Vec::new(),
            shutdown_grace: Duration::from_secs(10),
            log: Log::default(),
        }
    }
}

/// What the host logs, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least severe level that is logged, unless a plugin's `log_level` says otherwise.
    pub level: LogLevel,
    /// For people, or one JSON object a line.
    pub format: LogFormat,
}

/// How severe a log record must be to be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The name in plugins.toml, and for a plugin.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How log records are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// One plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PluginKeys {
    /// The plugin's name, or the path of its library relative to this file. Default: the section's name.
    pub library: Option<String>,
    /// With `false` the section counts as absent.
    pub enabled: bool,
    /// Whether the host as a whole is unhealthy without this plugin.
    pub required: bool,
    /// How it is started.
    pub init: Init,
    /// How it is verified while it runs.
    pub probe: Probe,
    /// How starting it is retried.
    pub retry: Retry,
    /// The limits of calls to it.
    pub calls: Calls,
    /// Which instance serves which of its dependencies, when it is not the one of the same name.
    pub bind: BTreeMap<String, String>,
    /// The tools that it may reach, such as smtp.send_email or google_calendar.*
    pub tools: Vec<String>,
    /// Which of these tools wait for a person's approval.
    pub approve: Vec<String>,
    /// Whether it may state that a person approved a tool call: the host signs that, and runs the tool. Default: true for
    /// orchestrator_service, false for all others.
    pub decides: Option<bool>,
    /// The plugins that may call its operations about people, such as memory_service.forget. Default: those that its
    /// manifest names.
    pub callers: Option<Vec<String>>,
    /// How certain it must be who speaks, by operation: shown, attested or signed. Default: what its manifest names.
    pub needs: BTreeMap<String, Level>,
    /// The least severe level of its log, if not the host's.
    pub log_level: Option<LogLevel>,
    /// The plugin's own settings.
    pub settings: Map<String, Value>,
}

impl Default for PluginKeys {
    fn default() -> Self {
        Self {
            library: None,
            enabled: true,
            required: false,
            init: Init::default(),
            probe: Probe::default(),
            retry: Retry::default(),
            calls: Calls::default(),
            bind: BTreeMap::new(),
            tools: Vec::new(),
            approve: Vec::new(),
            decides: None,
            callers: None,
            needs: BTreeMap::new(),
            log_level: None,
            settings: Map::new(),
        }
    }
}

/// How a plugin is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Init {
    /// How long one attempt may take.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub timeout: Duration,
}

impl Default for Init {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10) }
    }
}

/// How a running plugin is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// How often. Default: what the plugin's manifest says.
    #[serde(with = "span::optional")]
    #[schemars(with = "Option<Span>")]
    pub interval: Option<Duration>,
    /// How long one probe may take.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub timeout: Duration,
}

impl Default for Probe {
    fn default() -> Self {
        Self { interval: None, timeout: Duration::from_secs(5) }
    }
}

/// How often a plugin that is not ready is tried again, and after which waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How many attempts are made before the plugin is in `error`.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub base: Duration,
    /// The longest that a wait may be.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub cap: Duration,
    /// The longest wait between attempts once it is in `error`: each wait is a quarter of the time for which it has
    /// not been ready, and attempts never end.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub recovery: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            recovery: Duration::from_secs(300),
        }
    }
}

/// The limits of calls to a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// How long a call may take whose caller sets no deadline.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub timeout: Duration,
    /// How many are served at a time.
    #[schemars(range(min = 1, max = 100_000))]
    pub concurrent: usize,
    /// How many more may wait; the next one is refused.
    #[schemars(range(max = 1_000_000))]
    pub queue: usize,
}

impl Default for Calls {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), concurrent: 64, queue: 256 }
    }
}

/// A `Duration` written as in plugins.toml: `10s`.
mod span {
    use super::{Deserialize, Duration, Serialize, Span};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        Span(*value).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Span::deserialize(deserializer).map(|span| span.0)
    }

    pub mod optional {
        use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, Span};

        pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            value.map(Span).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<Span>::deserialize(deserializer)?.map(|span| span.0))
        }
    }
}
