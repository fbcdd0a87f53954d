//! What a plugin says of itself. An author writes it with [`Manifest::integration`] or [`Manifest::service`] and the
//! builder that they return; the host reads it as JSON before anything of the plugin runs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{context::Call, error::OperationError, plugin::Plugin, requests::Request, stream::Stream};

/// How often an integration is probed unless it or plugins.toml says otherwise.
pub const DEFAULT_PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// What a plugin joins: the outside world, or other plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Joins an outside system.
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
    /// A person must agree before a language model's call of it goes through.
    #[serde(default)]
    pub needs_approval: bool,
}

impl Manifest {
    /// Starts the manifest of a plugin that joins an outside system. It is probed every minute unless
    /// [`ManifestBuilder::probe_every`] or [`ManifestBuilder::without_probe`] says otherwise.
    pub fn integration<P: Plugin>(name: &str) -> ManifestBuilder<P> {
        ManifestBuilder::new(name, Kind::Integration).probe_every(DEFAULT_PROBE_INTERVAL)
    }

    /// Starts the manifest of a plugin that works with others. It counts by its init, unless it is given a probe by
    /// [`ManifestBuilder::probe_every`].
    pub fn service<P: Plugin>(name: &str) -> ManifestBuilder<P> {
        ManifestBuilder::new(name, Kind::Service)
    }

    /// The operation of this name.
    pub fn operation(&self, name: &str) -> Option<&OperationManifest> {
        self.operations.iter().find(|operation| operation.name == name)
    }
}

/// A manifest in the making, with the code behind its operations.
pub struct ManifestBuilder<P: Plugin> {
    manifest: Manifest,
    handlers: HashMap<String, Handler<P>>,
}

/// The code behind an operation.
pub(crate) enum Handler<P> {
    Call(CallHandler<P>),
    Stream(StreamHandler<P>),
}

pub(crate) type CallHandler<P> =
    Box<dyn Fn(Arc<P>, Vec<u8>, Call) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> + Send + Sync>;
pub(crate) type StreamHandler<P> = Box<
    dyn Fn(Arc<P>, Vec<u8>, Stream, Call) -> BoxFuture<'static, Result<(), OperationError>> + Send + Sync,
>;

impl<P: Plugin> ManifestBuilder<P> {
    fn new(name: &str, kind: Kind) -> Self {
        let manifest = Manifest {
            name: name.to_owned(),
            version: String::new(),
            kind,
            about: String::new(),
            requires: Vec::new(),
            wants: Vec::new(),
            settings: schema::<P::Settings>(),
            require_any: Vec::new(),
            all_or_none: Vec::new(),
            probe_interval_ms: None,
            multi_instance: false,
            operations: Vec::new(),
        };
        Self { manifest, handlers: HashMap::new() }
    }

    /// One sentence on what the plugin is.
    pub fn about(mut self, about: &str) -> Self {
        about.clone_into(&mut self.manifest.about);
        self
    }

    /// A plugin without which this one cannot be healthy. It is started first, and may be called.
    pub fn requires(mut self, plugin: &str) -> Self {
        self.manifest.requires.push(plugin.to_owned());
        self
    }

    /// A plugin that is used when plugins.toml names it. It is started first, and may be called.
    pub fn wants(mut self, plugin: &str) -> Self {
        self.manifest.wants.push(plugin.to_owned());
        self
    }

    /// At least one of these settings must have a value.
    pub fn require_any<const N: usize>(mut self, keys: [&str; N]) -> Self {
        self.manifest.require_any.push(keys.map(str::to_owned).to_vec());
        self
    }

    /// These settings have a value all together, or none has.
    pub fn all_or_none<const N: usize>(mut self, keys: [&str; N]) -> Self {
        self.manifest.all_or_none.push(keys.map(str::to_owned).to_vec());
        self
    }

    /// [`Plugin::probe`] is called this often (plugins.toml may say otherwise). Never stale within three intervals.
    pub fn probe_every(mut self, interval: Duration) -> Self {
        self.manifest.probe_interval_ms = Some(interval.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// The plugin has no probe: it counts by its init.
    pub fn without_probe(mut self) -> Self {
        self.manifest.probe_interval_ms = None;
        self
    }

    /// Several sections of plugins.toml may use this library, each an instance of its own.
    pub fn multi_instance(mut self) -> Self {
        self.manifest.multi_instance = true;
        self
    }

    /// Something the plugin can be asked to do.
    pub fn operation(mut self, operation: Operation<P>) -> Self {
        self.handlers.insert(operation.manifest.name.clone(), operation.handler);
        self.manifest.operations.push(operation.manifest);
        self
    }

    /// Whether the plugin has a probe of its own.
    pub(crate) fn has_probe(&self) -> bool {
        self.manifest.probe_interval_ms.is_some()
    }

    /// The manifest alone, with the version of the plugin's crate.
    pub(crate) fn finish(mut self, version: &str) -> (Manifest, HashMap<String, Handler<P>>) {
        version.clone_into(&mut self.manifest.version);
        (self.manifest, self.handlers)
    }
}

/// An operation: its name, its types and marks, and the function behind it.
///
/// The function takes the plugin as `Arc<Self>`, the request and the [`Call`]; it runs on the plugin's runtime. When
/// the caller gives up or its deadline passes, it is dropped at its next `.await`.
pub struct Operation<P> {
    manifest: OperationManifest,
    handler: Handler<P>,
}

impl<P: Plugin> Operation<P> {
    /// An operation under this name.
    pub fn new<T, R, F, Fut>(name: &str, function: F) -> Self
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Arc<P>, T, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, OperationError>> + Send + 'static,
    {
        let handler: CallHandler<P> = Box::new(move |plugin, payload, call| match decode::<T>(&payload) {
            Ok(request) => {
                let response = function(plugin, request, call);
                Box::pin(async move { encode(&response.await?) })
            }
            Err(error) => Box::pin(async move { Err(error) }),
        });
        let response = schema::<R>();
        Self::with::<T>(name, OperationMode::Call, response, Handler::Call(handler))
    }

    /// An operation that serves a typed request of [`crate::requests`], under that request's name.
    pub fn of<T, F, Fut>(function: F) -> Self
    where
        T: Request,
        F: Fn(Arc<P>, T, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T::Response, OperationError>> + Send + 'static,
    {
        Self::new(T::OPERATION, function)
    }

    /// An operation that is a stream. The function lasts as long as it serves the stream, and its outcome is the close
    /// reason; an error before the first frame refuses the stream.
    pub fn stream<T, F, Fut>(name: &str, function: F) -> Self
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Arc<P>, T, Stream, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), OperationError>> + Send + 'static,
    {
        let handler: StreamHandler<P> =
            Box::new(move |plugin, payload, stream, call| match decode::<T>(&payload) {
                Ok(request) => Box::pin(function(plugin, request, stream, call)),
                Err(error) => Box::pin(async move { Err(error) }),
            });
        Self::with::<T>(name, OperationMode::Stream, Value::Null, Handler::Stream(handler))
    }

    fn with<T: JsonSchema>(name: &str, mode: OperationMode, response: Value, handler: Handler<P>) -> Self {
        let manifest = OperationManifest {
            name: name.to_owned(),
            mode,
            about: String::new(),
            request: schema::<T>(),
            response,
            tool: false,
            idempotent: false,
            needs_approval: false,
        };
        Self { manifest, handler }
    }

    /// What it does, for people; for a tool also what the language model is told.
    pub fn about(mut self, about: &str) -> Self {
        about.clone_into(&mut self.manifest.about);
        self
    }

    /// A language model may be offered it, where plugins.toml allows it.
    pub fn tool(mut self) -> Self {
        self.manifest.tool = true;
        self
    }

    /// Repeating it has the effect of doing it once: it may be retried after a deadline.
    pub fn idempotent(mut self) -> Self {
        self.manifest.idempotent = true;
        self
    }

    /// A person must agree before a language model's call of it goes through.
    pub fn needs_approval(mut self) -> Self {
        self.manifest.needs_approval = true;
        self
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

/// A request out of a payload; an empty payload is an empty object.
fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, OperationError> {
    let payload = if payload.is_empty() { b"{}" } else { payload };
    serde_json::from_slice(payload)
        .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))
}

/// A response as a payload.
fn encode<T: Serialize>(response: &T) -> Result<Vec<u8>, OperationError> {
    serde_json::to_vec(response)
        .map_err(|error| OperationError::internal(format!("the response cannot be written as JSON: {error}")))
}
