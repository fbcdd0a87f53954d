//! What a plugin sees of its surroundings: its own name and folders, its declared dependencies, the host, and the call
//! that it is serving.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use abi_stable::std_types::RResult;
use plugin_abi::boundary::HostApiBox;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    error::OperationError,
    level::Level,
    protocol::{CallHeader, CreateRequest, HOST, OutgoingHeader, to_json},
    requests::{
        Request,
        host::{
            Approve, CallTool, FetchToolset, KeyFingerprint, Note, Observe, Open, RegisterSecret, Report,
            Seal, Sealed, Status, StatusOf, Tool, Tools, Toolset, Trouble, Verify,
        },
    },
    stream::Stream,
};

/// The host as all parts of an instance share it.
pub(crate) type HostHandle = Arc<HostApiBox>;

tokio::task_local! {
    /// The call that this task serves; what it calls in turn inherits deadline, trace and person.
    static CURRENT: Call;
}

/// What an instance may use. Cheap to clone; valid as long as the instance.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    instance: String,
    data_dir: PathBuf,
    config_dir: PathBuf,
    declared: Vec<String>,
    named: Vec<String>,
    host: HostHandle,
}

impl Context {
    pub(crate) fn new(request: &CreateRequest, declared: Vec<String>, host: HostHandle) -> Self {
        let inner = Inner {
            instance: request.instance.clone(),
            data_dir: PathBuf::from(&request.data_dir),
            config_dir: PathBuf::from(&request.config_dir),
            declared,
            named: request.dependencies.clone(),
            host,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The name of this instance: its section in plugins.toml.
    pub fn instance(&self) -> &str {
        &self.inner.instance
    }

    /// The host's folder for data; use files of your own name in it.
    pub fn data_dir(&self) -> &Path {
        &self.inner.data_dir
    }

    /// A path of the settings: relative ones start at the folder of plugins.toml.
    pub fn resolve_path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.inner.config_dir.join(path)
    }

    /// A declared dependency, to be called.
    ///
    /// # Errors
    /// `denied` if the manifest does not declare it; `unavailable` if it is only wanted and plugins.toml does not name
    /// it.
    pub fn dependency(&self, name: &str) -> Result<Dependency, OperationError> {
        if !self.inner.declared.iter().any(|declared| declared == name) {
            return Err(OperationError::denied(format!(
                "`{}` calls `{name}`, which its manifest does not declare: add `.requires(\"{name}\")` or `.wants(\"{name}\")`",
                self.inner.instance
            )));
        }
        if !self.has(name) {
            return Err(OperationError::unavailable(format!("plugins.toml does not name `{name}`")));
        }
        Ok(self.target(name))
    }

    /// Whether plugins.toml names this declared dependency.
    pub fn has(&self, name: &str) -> bool {
        self.inner.named.iter().any(|named| named == name)
    }

    /// The operations of the host.
    pub fn host(&self) -> Host {
        Host { target: self.target(HOST) }
    }

    /// Registers a secret learned at run time, such as an access token: from now on the host scrubs it from every
    /// reason and log record.
    pub async fn secret(&self, value: &str) -> Result<(), OperationError> {
        self.target(HOST).call(RegisterSecret { value: value.to_owned() }).await
    }

    fn target(&self, plugin: &str) -> Dependency {
        Dependency {
            host: self.inner.host.clone(),
            header: CallHeader { plugin: plugin.to_owned(), ..CallHeader::default() },
        }
    }
}

/// The call that an operation serves: who wants it, and until when.
#[derive(Debug, Clone)]
pub struct Call {
    header: Arc<CallHeader>,
    deadline: Option<Instant>,
}

impl Call {
    pub(crate) fn new(header: CallHeader) -> Self {
        let deadline = header.deadline_ms.map(|millis| Instant::now() + Duration::from_millis(millis));
        Self { header: Arc::new(header), deadline }
    }

    /// The call that this task serves, if it serves one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs a future as part of this call: what it calls inherits deadline, trace and person. For tasks that an
    /// operation spawns; the operation itself runs so already.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// The instance that calls; `None` for the command line and HTTP.
    pub fn caller(&self) -> Option<&str> {
        self.header.caller.as_deref()
    }

    /// The person on whose behalf it is done.
    pub fn person(&self) -> Option<&str> {
        self.header.person.as_deref()
    }

    /// How certain it is who they are; `None` if nobody speaks for themselves: an operator or a plugin asks for nobody.
    pub fn level(&self) -> Option<Level> {
        self.header.level
    }

    /// Makes a repeated call harmless: calls with the same key take effect at most once.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.header.idempotency_key.as_deref()
    }

    /// Links everything done on behalf of one event.
    pub fn trace(&self) -> Option<&str> {
        self.header.trace.as_deref()
    }

    /// The operation that was called.
    pub fn operation(&self) -> &str {
        &self.header.operation
    }

    /// How long the caller still waits; `None` if it set no deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// A plugin that may be called. The methods that take `self` set what travels with the next call.
#[derive(Clone)]
pub struct Dependency {
    host: HostHandle,
    header: CallHeader,
}

impl Dependency {
    /// Waits no longer than this, or than the call being served, whichever ends first.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.header.deadline_ms = Some(deadline.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// Makes a repeated call harmless: calls with the same key take effect at most once.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.header.idempotency_key = Some(key.into());
        self
    }

    /// As part of what has this trace, instead of that of the call being served.
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        self.header.trace = Some(trace.into());
        self
    }

    /// On behalf of this person, instead of the person of the call being served. If it is the same one, the level of the
    /// call being served goes with them; otherwise [`Dependency::level`] gives it, and without it they count as merely
    /// [shown](Level::Shown).
    pub fn person(mut self, person: impl Into<String>) -> Self {
        self.header.person = Some(person.into());
        self
    }

    /// So certain is it who the person is, instead of the level of the call being served.
    pub fn level(mut self, level: Level) -> Self {
        self.header.level = Some(level);
        self
    }

    /// Calls an operation by its typed request.
    ///
    /// # Errors
    /// Those of the operation, and those of the way there: `unavailable` with the root causes when the plugin has no
    /// instance, `deadline`, `overloaded`, `denied`.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response, OperationError> {
        self.exchange(R::OPERATION, &request).await
    }

    /// Calls an operation by name, with any JSON.
    ///
    /// # Errors
    /// As [`Dependency::call`].
    pub async fn call_json(&self, operation: &str, request: &Value) -> Result<Value, OperationError> {
        self.exchange(operation, request).await
    }

    /// Opens a stream. Comes back when the other side has taken it.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn open(&self, operation: &str, request: &impl Serialize) -> Result<Stream, OperationError> {
        let (header, payload) = self.message(operation, request)?;
        match self.host.open(header.into(), payload.into()).await {
            RResult::ROk(end) => Ok(Stream::new(end)),
            RResult::RErr(error) => Err(read_error(&error)),
        }
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        operation: &str,
        request: &impl Serialize,
    ) -> Result<T, OperationError> {
        let (header, payload) = self.message(operation, request)?;
        match self.host.call(header.into(), payload.into()).await {
            RResult::ROk(response) => serde_json::from_slice(&response).map_err(|error| {
                OperationError::internal(format!(
                    "`{}.{operation}` answered what its callers do not understand: {error}",
                    self.header.plugin
                ))
            }),
            RResult::RErr(error) => Err(read_error(&error)),
        }
    }

    /// Header and payload as JSON, with what the call being served hands on.
    fn message(
        &self,
        operation: &str,
        request: &impl Serialize,
    ) -> Result<(Vec<u8>, Vec<u8>), OperationError> {
        let (served, own) = (Call::current(), &self.header);
        let remaining = served.as_ref().and_then(Call::remaining);
        let remaining = remaining.map(|left| left.as_millis().try_into().unwrap_or(u64::MAX));
        let person_served = served.as_ref().and_then(Call::person);
        let is_same = own.person.as_deref().is_none_or(|person| Some(person) == person_served);
        let header = OutgoingHeader {
            plugin: &own.plugin,
            operation,
            deadline_ms: [own.deadline_ms, remaining].into_iter().flatten().min(),
            trace: own.trace.as_deref().or(served.as_ref().and_then(Call::trace)),
            person: own.person.as_deref().or(person_served),
            level: own.level.or(served.as_ref().filter(|_| is_same).and_then(Call::level)),
            idempotency_key: own.idempotency_key.as_deref(),
        };
        let unwritable =
            |error| OperationError::invalid(format!("the request cannot be written as JSON: {error}"));
        Ok((to_json(&header).map_err(unwritable)?, to_json(request).map_err(unwritable)?))
    }
}

/// The operations of the host, typed. The methods that take `self` set what travels with the next call, and with a tool
/// call to the tool.
#[derive(Clone)]
pub struct Host {
    target: Dependency,
}

impl Host {
    /// As [`Dependency::deadline`].
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { target: self.target.deadline(deadline) }
    }

    /// As [`Dependency::idempotency_key`].
    pub fn idempotency_key(self, key: impl Into<String>) -> Self {
        Self { target: self.target.idempotency_key(key) }
    }

    /// As [`Dependency::person`].
    pub fn person(self, person: impl Into<String>) -> Self {
        Self { target: self.target.person(person) }
    }

    /// As [`Dependency::level`].
    pub fn level(self, level: Level) -> Self {
        Self { target: self.target.level(level) }
    }

    /// As [`Dependency::trace`].
    pub fn trace(self, trace: impl Into<String>) -> Self {
        Self { target: self.target.trace(trace) }
    }

    /// The status of one plugin.
    pub async fn status(&self, plugin: &str) -> Result<StatusOf, OperationError> {
        self.target.call(Status { plugin: plugin.to_owned() }).await
    }

    /// The tools that plugins.toml allows this plugin.
    pub async fn tools(&self) -> Result<Vec<Tool>, OperationError> {
        self.target.call(Tools {}).await
    }

    /// The same, and which of the plugins behind them are configured and not in service: whoever needs one of those
    /// waits for it.
    pub async fn toolset(&self) -> Result<Toolset, OperationError> {
        self.target.call(FetchToolset {}).await
    }

    /// Runs a tool that plugins.toml allows this plugin.
    ///
    /// # Errors
    /// Those of the tool; `denied` if it is not allowed, or a person must agree first; `not_found` if there is no such tool; `unavailable` with
    /// [`NotInService`](crate::requests::host::NotInService) if its plugin is configured and not in service.
    pub async fn call_tool(&self, name: &str, arguments: Value) -> Result<Value, OperationError> {
        self.target.call(CallTool { name: name.to_owned(), arguments, approval: None }).await
    }

    /// The same with a person's approval, as [`Host::approve`] answered it.
    ///
    /// # Errors
    /// As [`Host::call_tool`]; `denied` if the approval is of another call, altered, used up or too old.
    pub async fn call_approved_tool(
        &self,
        name: &str,
        arguments: Value,
        approval: &str,
    ) -> Result<Value, OperationError> {
        let approval = Some(approval.to_owned());
        self.target.call(CallTool { name: name.to_owned(), arguments, approval }).await
    }

    /// Has the host sign that a person agreed to a tool call.
    ///
    /// # Errors
    /// `denied` if plugins.toml does not let this plugin decide, or the host's key cannot be used.
    pub async fn approve(&self, approve: Approve) -> Result<String, OperationError> {
        self.target.call(approve).await
    }

    /// Asks for a probe of this plugin soon; does not wait for it.
    pub async fn verify(&self) -> Result<(), OperationError> {
        self.target.call(Verify {}).await
    }

    /// States evidence of this plugin's own health: a call that just succeeded, a revoked grant.
    pub async fn report(&self, report: Report) -> Result<(), OperationError> {
        self.target.call(report).await
    }

    /// States what an operator should know of this plugin though it works, instead of what it stated before: shown among
    /// its health details. It changes no status.
    pub async fn note(&self, notes: Vec<String>) -> Result<(), OperationError> {
        self.target.call(Note { notes }).await
    }

    /// Raises a trouble that the probe does not find, or ends it: shown as `failing` among this plugin's health details,
    /// and changes no status. Raising the same key again updates it.
    ///
    /// # Errors
    /// `invalid` if code or message are missing, or 16 other keys are raised already.
    pub async fn trouble(&self, trouble: Trouble) -> Result<(), OperationError> {
        self.target.call(trouble).await
    }

    /// Ends the trouble of this key, if it is raised.
    pub async fn trouble_cleared(&self, key: &str) -> Result<(), OperationError> {
        self.target.call(Trouble::cleared(key)).await
    }

    /// Counts something in the metric `switchboard_<plugin>_<name>_total`.
    pub async fn count(&self, name: &str, by: u64) -> Result<(), OperationError> {
        self.target.call(Observe::Count { name: name.to_owned(), by }).await
    }

    /// Adds a measurement to the histogram `switchboard_<plugin>_<name>`; the name ends with the unit.
    pub async fn measure(&self, name: &str, value: f64) -> Result<(), OperationError> {
        self.target.call(Observe::Measure { name: name.to_owned(), value }).await
    }

    /// Calls an operation of the host by name, with any JSON.
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn call_json(&self, operation: &str, request: &Value) -> Result<Value, OperationError> {
        self.target.call_json(operation, request).await
    }

    /// Seals a secret under the host's secret key, so that it may lie in a database. Only this plugin can open it.
    ///
    /// # Errors
    /// `denied` if the host's key cannot be used; the message names `SWITCHBOARD_SECRET_KEY`.
    pub async fn seal(&self, text: &str) -> Result<Sealed, OperationError> {
        self.target.call(Seal { text: text.to_owned() }).await
    }

    /// Opens what this plugin sealed.
    ///
    /// # Errors
    /// `conflict` if it was sealed under another key, with both fingerprints and the variable's name; `denied` if
    /// another plugin sealed it or it was altered, or the host's key cannot be used; `invalid` if it is no sealed text.
    pub async fn open(&self, sealed: &str) -> Result<String, OperationError> {
        self.target.call(Open { sealed: sealed.to_owned() }).await
    }

    /// Tells the host's secret key from any other, and nothing of it. Several hosts that share a database must have
    /// the same.
    ///
    /// # Errors
    /// `denied` if the host's key cannot be used.
    pub async fn key_fingerprint(&self) -> Result<String, OperationError> {
        self.target.call(KeyFingerprint {}).await
    }

    /// Calls any operation of the host by its typed request.
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn call<R: Request>(&self, request: R) -> Result<R::Response, OperationError> {
        self.target.call(request).await
    }
}

/// The error out of what passed the boundary; what cannot be read is an `internal` error.
pub(crate) fn read_error(bytes: &[u8]) -> OperationError {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| OperationError::internal(format!("unreadable error from the host: {error}")))
}
