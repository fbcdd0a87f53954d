//! What a reader sees of one plugin; the field names and their order are those of the health API.

use std::{borrow::Cow, fmt, sync::Arc};

use jiff::Timestamp;
use plugin_api::{
    error::{FixAction, ReasonCode},
    manifest::Kind,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::{
    names::Names,
    probes::ProbeDurations,
    time::{self, Moment},
};

/// The status of a plugin after hysteresis. Trouble of a dependency never changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has no instance yet: its turn has not come, or a required dependency holds it.
    NotInitialized,
    /// It is coming up, or waits between two attempts.
    Initializing,
    /// The outside system answered an authenticated request.
    Connected,
    /// It is configured, but a person must authenticate.
    Disconnected,
    /// Required settings are missing.
    NotConfigured,
    /// It failed.
    Error,
}

impl Status {
    /// All six, in the order in which they are counted.
    pub const ALL: [Status; 6] = [
        Self::Connected,
        Self::Disconnected,
        Self::NotConfigured,
        Self::Error,
        Self::Initializing,
        Self::NotInitialized,
    ];

    /// The name in JSON, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInitialized => "not_initialized",
            Self::Initializing => "initializing",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::NotConfigured => "not_configured",
            Self::Error => "error",
        }
    }

    /// Whether a plugin may go from this status straight to `next`. Without an instance it cannot be connected or wait
    /// for a person: it passes `initializing` first.
    pub fn may_become(self, next: Status) -> bool {
        let without_instance = matches!(self, Self::NotInitialized | Self::NotConfigured);
        self != next && !(without_instance && matches!(next, Self::Connected | Self::Disconnected))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a plugin is not connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reason {
    /// For programs.
    pub code: ReasonCode,
    /// For a person; never a secret, never a driver's raw text.
    pub message: String,
    /// Whether it may pass without anybody's action.
    pub retryable: bool,
}

/// What a person can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fix {
    /// For programs.
    pub action: FixAction,
    /// For a person.
    pub label: String,
    /// The link to follow.
    pub href: Option<String>,
}

/// How far the attempts to start it have got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Retry {
    /// The current or last attempt; 0 if none will be repeated.
    pub attempt: u32,
    /// After how many failed attempts it is in `error`.
    pub max_attempts: u32,
    /// When the next one begins.
    #[serde(serialize_with = "time::serialize_option")]
    #[schemars(with = "Option<Moment>")]
    pub next_attempt_at: Option<Timestamp>,
}

/// Settings that need a person: the environment variable's name, else `plugins.<name>.settings.<key>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Settings {
    /// Required, and absent.
    pub missing: Vec<String>,
    /// Present, and wrong.
    pub invalid: Vec<String>,
}

/// Something that fails in use, though the probe may succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Failing {
    /// The operation that fails; `null` if the plugin raised it for none in particular.
    pub operation: Option<String>,
    /// The plugin's own name for it; `null` if the host found it by the outcomes of calls.
    pub key: Option<String>,
    /// The first failure that counts.
    #[serde(serialize_with = "time::serialize")]
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// The last one.
    #[serde(serialize_with = "time::serialize")]
    #[schemars(with = "Moment")]
    pub last_at: Timestamp,
    /// How many there were.
    pub failures: u64,
    /// What kind of failure the last one was.
    pub code: ReasonCode,
    /// For a person.
    pub message: String,
    pub fix: Fix,
    /// The plugins that met it, sorted.
    pub callers: Vec<String>,
}

impl Failing {
    /// All but counts and times.
    fn reads_like(&self, other: &Self) -> bool {
        self.operation == other.operation
            && self.key == other.key
            && self.code == other.code
            && self.message == other.message
            && self.fix == other.fix
            && self.callers == other.callers
    }
}

/// A plugin's dependency, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Dependency {
    /// The plugin depended on.
    pub name: String,
    /// `integration`, `service` or `unknown`; `null` if plugins.toml does not name it.
    #[schemars(with = "Option<KindName>")]
    pub kind: Option<&'static str>,
    /// Whether it gates health.
    pub required: bool,
    /// Its own status; `null` if plugins.toml does not name it.
    pub status: Option<Status>,
    /// Connected, and every required dependency healthy.
    pub healthy: bool,
    /// Healthy, or only wanted and not named by plugins.toml.
    pub satisfied: bool,
}

/// A change of status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Transition {
    /// When.
    #[serde(serialize_with = "time::serialize")]
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// The same by the machine's clock as it stood then, which may have been stepped since: how it is kept in the database.
    #[serde(skip)]
    pub recorded_at: Timestamp,
    /// From which status.
    pub from: Status,
    /// To which status.
    pub to: Status,
    /// The reason of the new status.
    pub code: Option<ReasonCode>,
    /// The same for a person.
    pub message: Option<String>,
}

/// How a plugin's start went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Timing {
    /// How long it waited for what it depends on; `null` before it settled.
    pub waited_ms: Option<f64>,
    /// How long its first attempt took; `null` if there was none.
    pub init_ms: Option<f64>,
}

/// Everything a reader may know of one plugin. As JSON it is the health API's shape without the history.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PluginHealth {
    pub name: String,
    /// `None` if the library could not be loaded.
    #[serde(serialize_with = "serialize_kind")]
    #[schemars(with = "KindName")]
    pub kind: Option<Kind>,
    /// Without it the host as a whole is unhealthy.
    pub required: bool,
    pub status: Status,
    /// Connected, and every required dependency healthy.
    pub healthy: bool,
    /// No completed probe or evidence within three intervals.
    pub stale: bool,
    /// More than five transitions in ten minutes.
    pub flapping: bool,
    /// Since when it has had its status.
    #[serde(serialize_with = "time::serialize")]
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// When a probe, an attempt or reported evidence last updated it.
    #[serde(serialize_with = "time::serialize_option")]
    #[schemars(with = "Option<Moment>")]
    pub checked_at: Option<Timestamp>,
    #[serde(serialize_with = "time::serialize_option")]
    #[schemars(with = "Option<Moment>")]
    pub next_check_at: Option<Timestamp>,
    /// How long the last probe or attempt took.
    pub latency_ms: Option<f64>,
    /// `None` if the library could not be loaded.
    pub version: Option<String>,
    /// Which instance of the plugin this is, 1 at first.
    pub generation: u64,
    pub reason: Option<Reason>,
    pub fix: Option<Fix>,
    pub retry: Retry,
    pub settings: Settings,
    /// What an operator should know although it works.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What fails in use; empty while it is `not_configured`.
    pub failing: Vec<Failing>,
    pub dependencies: Vec<Dependency>,
    /// The plugins that depend on it directly.
    #[schemars(with = "Vec<String>")]
    pub dependents: Names,
    /// The direct required dependencies that are not healthy.
    #[schemars(with = "Vec<String>")]
    pub blocked_by: Names,
    /// The transitive unhealthy plugins, itself included, that have no unhealthy required dependency of their own.
    #[schemars(with = "Vec<String>")]
    pub root_causes: Names,
    /// The last transitions, oldest first.
    #[serde(skip)]
    pub history: Arc<Vec<Transition>>,
    /// Whether the history includes earlier runs of the host.
    #[serde(skip)]
    pub recalled: bool,
    /// The first attempt ended or timed out, or nothing will be attempted for now.
    #[serde(skip)]
    pub settled: bool,
    #[serde(skip)]
    pub timing: Timing,
    /// How many hung instances were given up, each with its threads, since the host started.
    #[serde(skip)]
    pub abandoned: u32,
    /// How many transitions there were since the host started.
    #[serde(skip)]
    pub transitions: u64,
    #[serde(skip)]
    pub probes: Arc<ProbeDurations>,
}

impl PluginHealth {
    /// Nothing is wrong with it: nobody has set it up, and nobody has to.
    pub fn is_only_not_set_up(&self) -> bool {
        self.status == Status::NotConfigured && !self.required
    }

    /// Whether a required dependency keeps it from starting.
    pub fn is_held(&self) -> bool {
        self.status == Status::NotInitialized
            && self.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::DependencyUnhealthy)
    }

    /// Whether it is a service; what could not be loaded counts as an integration.
    pub fn is_service(&self) -> bool {
        self.kind == Some(Kind::Service)
    }

    /// Whether a reader has nothing new to learn: all but the times and durations of checks.
    pub(super) fn reads_like(&self, other: &Self) -> bool {
        let telling = |plugin: &Self| {
            (plugin.status, plugin.healthy, plugin.stale, plugin.flapping, plugin.settled, plugin.generation)
        };
        telling(self) == telling(other)
            && self.timing == other.timing
            && self.retry.attempt == other.retry.attempt
            && self.reason == other.reason
            && self.fix == other.fix
            && self.settings == other.settings
            && self.notes == other.notes
            && self.failing.len() == other.failing.len()
            && self.failing.iter().zip(&other.failing).all(|(one, other)| one.reads_like(other))
            && self.dependencies == other.dependencies
            && self.blocked_by == other.blocked_by
            && self.root_causes == other.root_causes
    }
}

/// What a kind is in JSON, for schemas.
pub(crate) struct KindName;

impl JsonSchema for KindName {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["integration", "service", "unknown"] })
    }
}

/// The kind as it stands in JSON and metrics.
pub(crate) fn kind_name(kind: Option<Kind>) -> &'static str {
    kind.map_or("unknown", Kind::as_str)
}

fn serialize_kind<S: Serializer>(kind: &Option<Kind>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind_name(*kind))
}
