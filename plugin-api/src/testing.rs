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

pub mod advice;
#[cfg(feature = "testing-database")]
pub mod database;
mod host;

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    path::PathBuf,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RVec},
};
use plugin_abi::boundary::{HostApi_TO, PluginInstance, Reply};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::host::{Address, Fake, FakeHost, FakeStream, Seen};
use crate::{
    error::{Failure, OperationError, ReasonCode},
    instance::Instance,
    manifest::{Manifest, judge::judge},
    pipe,
    plugin::Plugin,
    protocol::{CallHeader, CreateRequest, LogRecord},
    requests::{
        Request,
        host::{Report, Trouble},
    },
    stream::Stream,
};

/// How long a test waits.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks again and again until an answer satisfies, and gives it.
///
/// # Panics
/// If none does for 60 seconds, with what was waited for and the last answer.
pub async fn until<T: fmt::Debug>(
    what: &str,
    mut ask: impl AsyncFnMut() -> T,
    satisfies: impl Fn(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if satisfies(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < LIMIT, "waited in vain for {what}; at last: {answer:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A plugin to be made, with its settings and the fakes that it will meet.
pub struct TestPlugin<P> {
    settings: Value,
    data_dir: PathBuf,
    log_level: String,
    fakes: HashMap<Address, Fake>,
    streams: HashMap<Address, FakeStream>,
    plugin: PhantomData<P>,
}

impl<P: Plugin> TestPlugin<P> {
    /// A plugin with these settings, given as the host would hand them over: resolved and valid.
    pub fn new(settings: Value) -> Self {
        Self {
            settings,
            data_dir: std::env::temp_dir(),
            log_level: "debug".to_owned(),
            fakes: HashMap::new(),
            streams: HashMap::new(),
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
            serde_json::to_value(answer(request)?).map_err(|error| {
                OperationError::internal(format!("the fake's response is not JSON: {error}"))
            })
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

    /// With a dependency that serves a stream operation so, until the future ends.
    pub fn fake_stream<F: Future<Output = Result<(), OperationError>> + Send + 'static>(
        mut self,
        dependency: &str,
        operation: &str,
        serve: impl Fn(CallHeader, Value, Stream) -> F + Send + Sync + 'static,
    ) -> Self {
        let serve: FakeStream =
            Box::new(move |header, request, stream| Box::pin(serve(header, request, stream)));
        self.streams.insert((dependency.to_owned(), operation.to_owned()), serve);
        self
    }

    /// Makes the instance.
    ///
    /// # Errors
    /// `load_failed` with everything that is wrong with the manifest, in the words in which a host refuses it; what
    /// `create` refused, or its panic.
    pub fn create(self) -> Result<TestInstance<P>, Failure> {
        let manifest = P::manifest().finish("").0;
        let problems = judge(&manifest);
        if !problems.is_empty() {
            let message = format!("the manifest cannot be used: {}", problems.join("; "));
            return Err(Failure::new(ReasonCode::LoadFailed, message));
        }
        let fakes = self.fakes.keys().chain(self.streams.keys());
        let mut dependencies: Vec<String> = fakes.map(|(plugin, _)| plugin.clone()).collect();
        dependencies.sort();
        dependencies.dedup();
        let request = CreateRequest {
            instance: manifest.name,
            settings: self.settings,
            log_level: self.log_level,
            config_dir: self.data_dir.to_string_lossy().into_owned(),
            data_dir: self.data_dir.to_string_lossy().into_owned(),
            dependencies,
        };
        let seen = Arc::new(Seen::default());
        let host = FakeHost { fakes: self.fakes, streams: self.streams, seen: seen.clone() };
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

    /// Calls the operation that a header names, with any JSON.
    ///
    /// # Errors
    /// The operation's.
    pub async fn call_json_with(&self, header: CallHeader, request: Value) -> Result<Value, OperationError> {
        self.exchange(header, &request).await
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
        host::close_after(&watch, async move { read::<Value, OperationError>(served.await).map(|_| ()) });
        host::admitted(&watch).await.map(|()| Stream::new(opener.into_boundary()))
    }

    /// Everything that was logged so far.
    pub fn logs(&self) -> Vec<LogRecord> {
        self.seen.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All evidence that was reported to the host so far.
    pub fn reports(&self) -> Vec<Report> {
        self.seen.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All troubles that were raised or cleared at the host so far, in order.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.seen.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

fn read<T: DeserializeOwned, E: DeserializeOwned + From<OperationError>>(reply: Reply) -> Result<T, E> {
    let unreadable =
        |error: serde_json::Error| E::from(OperationError::internal(format!("unreadable: {error}")));
    match reply {
        RResult::ROk(value) => serde_json::from_slice(&value).map_err(unreadable),
        RResult::RErr(error) => Err(serde_json::from_slice(&error).unwrap_or_else(unreadable)),
    }
}
