//! Runs a plugin in-process with fake dependencies, through the same code that stands at the boundary of a library:
//! its own runtime, settings from JSON, panics contained, log handed over.
//!
//! ```
//! use plugin_api::{prelude::*, serde_json::json, testing::TestPlugin};
//! # struct Greeter(String);
//! # #[plugin_api::settings]
//! # struct Settings { name: String }
//! # impl Plugin for Greeter {
//! #     type Settings = Settings;
//! #     fn manifest() -> ManifestBuilder<Self> {
//! #         Manifest::service("greeter").operation(Operation::new("greet", Self::greet))
//! #     }
//! #     fn create(settings: Settings, _: Context) -> Result<Self, Failure> { Ok(Self(settings.name)) }
//! # }
//! # impl Greeter {
//! #     async fn greet(self: Arc<Self>, _: Empty, _: Call) -> Result<String, OperationError> {
//! #         Ok(format!("Hello, {}!", self.0))
//! #     }
//! # }
//!
//! # plugin_api::tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let greeter = TestPlugin::<Greeter>::new(json!({ "name": "Ada" })).create().unwrap();
//! greeter.init().await.unwrap();
//! assert_eq!(greeter.call_json("greet", json!({})).await.unwrap(), "Hello, Ada!");
//! # });
//! ```

use std::{
    collections::HashMap,
    marker::PhantomData,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RVec},
};
use async_ffi::{FfiFuture, FutureExt as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_abi::boundary::{HostApi, HostApi_TO, PluginInstance, Reply, StreamEndBox};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    error::{Failure, OperationError},
    instance::Instance,
    manifest::Manifest,
    pipe,
    plugin::Plugin,
    protocol::{CallHeader, CloseReason, CreateRequest, HOST, LogRecord},
    requests::{
        Request,
        host::{KeyFingerprint, Open, Report, Seal, Sealed},
    },
    stream::Stream,
};

/// A plugin to be made, with its settings and the fakes that it will meet.
pub struct TestPlugin<P> {
    settings: Value,
    data_dir: PathBuf,
    log_level: String,
    fakes: HashMap<(String, String), Fake>,
    plugin: PhantomData<P>,
}

/// What a fake operation answers.
type Fake = Box<dyn Fn(CallHeader, Value) -> Result<Value, OperationError> + Send + Sync>;

impl<P: Plugin> TestPlugin<P> {
    /// A plugin with these settings, given as the host would hand them over: resolved and valid.
    pub fn new(settings: Value) -> Self {
        Self {
            settings,
            data_dir: std::env::temp_dir(),
            log_level: "debug".to_owned(),
            fakes: HashMap::new(),
            plugin: PhantomData,
        }
    }

    /// With this folder for data instead of the system's temporary one.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = folder.into();
        self
    }

    /// With a dependency that answers a typed request so. Naming a dependency here is naming it in plugins.toml.
    pub fn fake<R: Request>(
        self,
        dependency: &str,
        answer: impl Fn(R) -> Result<R::Response, OperationError> + Send + Sync + 'static,
    ) -> Self {
        self.fake_json(dependency, R::OPERATION, move |_, request| {
            let request = serde_json::from_value(request)
                .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))?;
            serde_json::to_value(answer(request)?)
                .map_err(|error| OperationError::internal(format!("the fake's response is no JSON: {error}")))
        })
    }

    /// With a dependency that answers an operation so; the header tells what travels with the call.
    pub fn fake_json(
        mut self,
        dependency: &str,
        operation: &str,
        answer: impl Fn(CallHeader, Value) -> Result<Value, OperationError> + Send + Sync + 'static,
    ) -> Self {
        self.fakes.insert((dependency.to_owned(), operation.to_owned()), Box::new(answer));
        self
    }

    /// Makes the instance.
    ///
    /// # Errors
    /// What `create` refused, or its panic.
    pub fn create(self) -> Result<TestInstance<P>, Failure> {
        let mut dependencies: Vec<String> = self.fakes.keys().map(|(plugin, _)| plugin.clone()).collect();
        dependencies.sort();
        dependencies.dedup();
        let request = CreateRequest {
            instance: P::manifest().finish("").0.name,
            settings: self.settings,
            log_level: self.log_level,
            config_dir: self.data_dir.to_string_lossy().into_owned(),
            data_dir: self.data_dir.to_string_lossy().into_owned(),
            dependencies,
        };
        let seen = Arc::new(Seen::default());
        let host = FakeHost { fakes: self.fakes, seen: seen.clone() };
        let host = HostApi_TO::from_value(host, TD_Opaque);
        let request = serde_json::to_vec(&request).map_err(|error| Failure::internal(error.to_string()))?;
        Ok(TestInstance { instance: Instance::create(Arc::new(host), &request)?, seen })
    }
}

/// A running instance under test.
pub struct TestInstance<P: Plugin> {
    instance: Instance<P>,
    seen: Arc<Seen>,
}

impl<P: Plugin> TestInstance<P> {
    /// The manifest, as the host would read it.
    pub fn manifest(&self) -> Manifest {
        P::manifest().finish("").0
    }

    /// Runs `init`.
    ///
    /// # Errors
    /// Its failure, or its panic.
    pub async fn init(&self) -> Result<(), Failure> {
        read(self.instance.init(RVec::new()).await)
    }

    /// Runs `probe`.
    ///
    /// # Errors
    /// Its failure, or its panic.
    pub async fn probe(&self) -> Result<(), Failure> {
        read(self.instance.probe(RVec::new()).await)
    }

    /// Runs `stop`.
    ///
    /// # Errors
    /// Its panic.
    pub async fn stop(&self) -> Result<(), Failure> {
        read(self.instance.stop(RVec::new()).await)
    }

    /// Calls an operation by its typed request.
    ///
    /// # Errors
    /// The operation's.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response, OperationError> {
        self.call_with(CallHeader::default(), request).await
    }

    /// Calls an operation with a header: a person, an idempotency key, a deadline.
    ///
    /// # Errors
    /// The operation's.
    pub async fn call_with<R: Request>(
        &self,
        header: CallHeader,
        request: R,
    ) -> Result<R::Response, OperationError> {
        self.exchange(CallHeader { operation: R::OPERATION.to_owned(), ..header }, &request).await
    }

    /// Calls an operation by name, with any JSON.
    ///
    /// # Errors
    /// The operation's.
    pub async fn call_json(&self, operation: &str, request: Value) -> Result<Value, OperationError> {
        self.exchange(CallHeader { operation: operation.to_owned(), ..CallHeader::default() }, &request).await
    }

    /// Opens a stream, and comes back when the plugin has taken it by its first send or receive.
    ///
    /// # Errors
    /// The error with which the plugin refused it.
    pub async fn open(
        &self,
        operation: &str,
        request: &impl serde::Serialize,
    ) -> Result<Stream, OperationError> {
        let unwritable = |error: serde_json::Error| OperationError::invalid(error.to_string());
        let header = CallHeader { operation: operation.to_owned(), ..CallHeader::default() };
        let header = serde_json::to_vec(&header).map_err(unwritable)?;
        let payload = serde_json::to_vec(request).map_err(unwritable)?;
        let (opener, server, watch) = pipe::pair();
        let served = self.instance.open(header.into(), payload.into(), server.into_boundary());
        let serving = watch.clone();
        tokio::spawn(async move {
            serving.close(match read::<Value, OperationError>(served.await) {
                Ok(_) => CloseReason::done("the stream was served to its end"),
                Err(error) => CloseReason::failed(error),
            });
        });
        if watch.taken().await {
            return Ok(Stream::new(opener.into_boundary()));
        }
        let reason = CloseReason::clone(&*watch.closed().await);
        Err(reason.error.unwrap_or_else(|| OperationError::unavailable(reason.message)))
    }

    /// Everything that was logged so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        self.seen.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All evidence that was reported to the host so far.
    pub fn reports(&self) -> Vec<Report> {
        self.seen.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        header: CallHeader,
        request: &impl serde::Serialize,
    ) -> Result<T, OperationError> {
        let unwritable = |error: serde_json::Error| OperationError::invalid(error.to_string());
        let header = serde_json::to_vec(&header).map_err(unwritable)?;
        let payload = serde_json::to_vec(request).map_err(unwritable)?;
        read(self.instance.call(header.into(), payload.into()).await)
    }
}

/// What the fake host was told.
#[derive(Default)]
struct Seen {
    logs: Mutex<Vec<LogRecord>>,
    reports: Mutex<Vec<Report>>,
}

/// A host that answers by fakes, and remembers.
struct FakeHost {
    fakes: HashMap<(String, String), Fake>,
    seen: Arc<Seen>,
}

impl FakeHost {
    fn answer(&self, header: &[u8], payload: &[u8]) -> Result<Value, OperationError> {
        let unreadable = |error: serde_json::Error| OperationError::internal(error.to_string());
        let header: CallHeader = serde_json::from_slice(header).map_err(unreadable)?;
        let request: Value = serde_json::from_slice(payload).map_err(unreadable)?;
        if let Some(fake) = self.fakes.get(&(header.plugin.clone(), header.operation.clone())) {
            return fake(header, request);
        }
        match (header.plugin.as_str(), header.operation.as_str()) {
            (HOST, Report::OPERATION) => {
                let report = serde_json::from_value(request).map_err(unreadable)?;
                self.seen.reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                Ok(Value::Null)
            }
            (HOST, Seal::OPERATION) => {
                let Seal { text } = serde_json::from_value(request).map_err(unreadable)?;
                let sealed = Sealed { sealed: seal(&text), fingerprint: FINGERPRINT.to_owned() };
                serde_json::to_value(sealed).map_err(unreadable)
            }
            (HOST, Open::OPERATION) => {
                let Open { sealed } = serde_json::from_value(request).map_err(unreadable)?;
                open(&sealed).map(Value::String)
            }
            (HOST, KeyFingerprint::OPERATION) => Ok(Value::from(FINGERPRINT)),
            (HOST, "verify" | "secret" | "observe" | "note") => Ok(Value::Null),
            (plugin, operation) => {
                Err(OperationError::not_found(format!("the test has no fake for `{plugin}.{operation}`")))
            }
        }
    }
}

/// The fingerprint of the key that a test's host seals by.
const FINGERPRINT: &str = "test-key";

/// Not secret, but nothing that a test would find the text in.
fn seal(text: &str) -> String {
    format!("{FINGERPRINT}.{}", STANDARD.encode(text))
}

fn open(sealed: &str) -> Result<String, OperationError> {
    let bytes =
        sealed.strip_prefix(FINGERPRINT).and_then(|rest| STANDARD.decode(rest.strip_prefix('.')?).ok());
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| OperationError::invalid("this was not sealed by the test's host"))
}

impl HostApi for FakeHost {
    fn call(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<Reply> {
        let reply = match self.answer(&header, &payload) {
            Ok(value) => RResult::ROk(serde_json::to_vec(&value).unwrap_or_default().into()),
            Err(error) => RResult::RErr(serde_json::to_vec(&error).unwrap_or_default().into()),
        };
        async move { reply }.into_ffi()
    }

    fn open(&self, _: RVec<u8>, _: RVec<u8>) -> FfiFuture<RResult<StreamEndBox, RVec<u8>>> {
        let error = OperationError::not_found("a test's host opens no streams");
        let error = serde_json::to_vec(&error).unwrap_or_default();
        async move { RResult::RErr(error.into()) }.into_ffi()
    }

    fn log(&self, record: RVec<u8>) {
        if let Ok(record) = serde_json::from_slice(&record) {
            self.seen.logs.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        }
    }
}

fn read<T: DeserializeOwned, E: DeserializeOwned + From<OperationError>>(reply: Reply) -> Result<T, E> {
    let unreadable =
        |error: serde_json::Error| E::from(OperationError::internal(format!("unreadable: {error}")));
    match reply {
        RResult::ROk(value) => serde_json::from_slice(&value).map_err(unreadable),
        RResult::RErr(error) => Err(serde_json::from_slice(&error).unwrap_or_else(unreadable)),
    }
}
