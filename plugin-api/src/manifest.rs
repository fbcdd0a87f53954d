//! What a plugin says of itself. An author writes it with [`Manifest::integration`] or [`Manifest::service`] and the
//! builder that they return; the host reads it as JSON before anything of the plugin runs.

use std::time::Duration;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::level::Level;

#[cfg(feature = "judge")]
pub mod judge;
mod route;

pub use route::{Access, Route, RouteManifest, WEBSOCKET};

/// How often an integration is probed unless it or plugins.toml says otherwise.
pub const DEFAULT_PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// What a plugin connects to: the outside world, or other plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Connects to an outside system.
    Integration,
    /// Works with integrations and other services.
    Service,
}

impl Kind {
    /// The name in JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integration => "integration",
            Self::Service => "service",
        }
    }
}

/// The manifest as it passes the boundary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The plugin's name, snake_case.
    pub name: String,
    /// The version of its crate.
    pub version: String,
    /// Integration or service.
    pub kind: Kind,
    /// One sentence for people.
    #[serde(default)]
    pub about: String,
    /// Plugins without which it cannot be healthy.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Plugins that it uses when they are there.
    #[serde(default)]
    pub wants: Vec<String>,
    /// JSON Schema of its settings. `x-env` on a property names the environment variable, `x-secret` marks a secret.
    pub settings: Value,
    /// In each group, at least one key must have a value.
    #[serde(default)]
    pub require_any: Vec<Vec<String>>,
    /// In each group, all keys have a value or none has.
    #[serde(default)]
    pub all_or_none: Vec<Vec<String>>,
    /// How often to probe it, in milliseconds; `None` if it has no probe of its own.
    #[serde(default)]
    pub probe_interval_ms: Option<u64>,
    /// Whether several sections of plugins.toml may use one library.
    #[serde(default)]
    pub multi_instance: bool,
    /// What it can be asked to do.
    #[serde(default)]
    pub operations: Vec<OperationManifest>,
    /// Where it is reached over HTTP.
    #[serde(default)]
    pub routes: Vec<RouteManifest>,
}

/// How an operation is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationMode {
    /// A request, a response.
    Call,
    /// Two queues of frames.
    Stream,
}

/// An operation as the manifest tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationManifest {
    /// Its name, snake_case.
    pub name: String,
    /// Call or stream.
    pub mode: OperationMode,
    /// What it does, for people and for a language model.
    #[serde(default)]
    pub about: String,
    /// JSON Schema of the request.
    pub request: Value,
    /// JSON Schema of the response; `null` for a stream.
    #[serde(default)]
    pub response: Value,
    /// A language model may be offered it.
    #[serde(default)]
    pub tool: bool,
    /// Repeating it has the effect of doing it once.
    #[serde(default)]
    pub idempotent: bool,
    /// Repeating it with the same idempotency key has the effect of doing it once, across restarts.
    #[serde(default)]
    pub keyed: bool,
    /// A person must agree before a language model's call of it goes through.
    #[serde(default)]
    pub needs_approval: bool,
    /// The members of the request that decide what a tool call does to the outside, such as a recipient or an amount, in
    /// the order in which a person who must agree reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisive: Vec<String>,
    /// `switchboard doctor` runs it: it takes [`crate::requests::doctor::Examine`].
    #[serde(default)]
    pub doctor: bool,
    /// Routes may name it as their guard: it takes [`crate::requests::http::HttpRequest`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guard: bool,
    /// The only plugins that may call it, unless `callers` in plugins.toml names others; left out, all may that declare
    /// this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callers: Option<Vec<String>>,
    /// How certain it must be who the person of a call is, unless `needs` in plugins.toml says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Level>,
}

impl OperationManifest {
    /// An operation with these schemas and no marks.
    pub fn new(name: &str, mode: OperationMode, request: Value, response: Value) -> Self {
        Self {
            name: name.to_owned(),
            mode,
            about: String::new(),
            request,
            response,
            tool: false,
            idempotent: false,
            keyed: false,
            needs_approval: false,
            decisive: Vec::new(),
            doctor: false,
            guard: false,
            callers: None,
            needs: None,
        }
    }
}

impl Manifest {
    /// The operation of this name.
    pub fn operation(&self, name: &str) -> Option<&OperationManifest> {
        self.operations.iter().find(|operation| operation.name == name)
    }
}

/// The JSON Schema of a type, with nested types inlined, as language models and dashboards want it.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
