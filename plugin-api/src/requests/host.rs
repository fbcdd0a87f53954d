//! What the host offers to plugins and to the command line, under the reserved name `host`.

use serde_json::{Value, json};

use crate::{
    error::{Advice, ErrorKind, Failure, FixHint, OperationError, ReasonCode},
    message,
    requests::Request,
};

/// Asks for the status of a plugin, as it stands in the host's snapshot.
#[message]
pub struct Status {
    /// The plugin.
    pub plugin: String,
}

/// The status of a plugin.
#[message]
pub struct StatusOf {
    /// The plugin.
    pub name: String,
    /// One of the six status values.
    pub status: String,
    /// Connected, and every required dependency healthy.
    pub healthy: bool,
    /// Why it is not connected.
    #[serde(default)]
    pub code: Option<ReasonCode>,
    /// The same for a person.
    #[serde(default)]
    pub message: Option<String>,
}

impl Request for Status {
    const OPERATION: &'static str = "status";
    type Response = StatusOf;
}

/// Asks for the tools that plugins.toml allows the caller.
#[message]
pub struct Tools {}

/// An operation that a language model may be offered.
#[message]
pub struct Tool {
    /// `plugin.operation`.
    pub name: String,
    /// What it does.
    pub about: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
    /// Repeating it has the effect of doing it once.
    pub idempotent: bool,
    /// Repeating it with the same idempotency key has the effect of doing it once, across restarts.
    #[serde(default)]
    pub keyed: bool,
    /// A person must agree first: by the plugin's mark, or by `approve` in plugins.toml.
    pub needs_approval: bool,
    /// The arguments that the person reads first, and whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisive: Vec<String>,
}

impl Request for Tools {
    const OPERATION: &'static str = "tools";
    type Response = Vec<Tool>;
}

/// Asks for the tools that plugins.toml allows the caller, and which of the plugins behind them are not in service.
#[message]
pub struct FetchToolset {}

/// The tools that plugins.toml allows a plugin, at one moment.
#[message]
#[derive(Default)]
pub struct Toolset {
    /// Those that can be called now.
    pub tools: Vec<Tool>,
    /// The plugins that plugins.toml names and that take no calls now. One that it does not name any more is not listed,
    /// nor waited for.
    #[serde(default)]
    pub away: Vec<Away>,
}

/// A plugin that is configured, and not in service: there is no instance that a call could reach.
#[message]
pub struct Away {
    /// The plugin.
    pub plugin: String,
    /// One of the six status values.
    pub status: String,
    /// Why, for a person, if the host knows.
    #[serde(default)]
    pub message: Option<String>,
    /// For how long it has been away, in milliseconds.
    pub away_ms: u64,
    /// It may come back without anybody's action: it is being restarted, or retried.
    pub returns: bool,
    /// Its tools that the caller may use; empty if its library could not be loaded.
    #[serde(default)]
    pub tools: Vec<Tool>,
}

impl Away {
    /// Whether `plugin.operation` is, or may be, a tool of this plugin.
    pub fn owns(&self, tool: &str) -> bool {
        tool.split_once('.').is_some_and(|(plugin, _)| plugin == self.plugin)
    }
}

impl Request for FetchToolset {
    const OPERATION: &'static str = "toolset";
    type Response = Toolset;
}

/// What the host says in the details of an `unavailable` error when a call reached nobody, because the plugin is not in
/// service: nothing was begun, and the same call may succeed as soon as it is.
#[message]
#[derive(PartialEq, Eq)]
pub struct NotInService {
    /// The plugin.
    pub plugin: String,
    /// One of the six status values; empty if the host does not know it.
    pub status: String,
}

/// The key of [`NotInService`] in the details of an error.
const NOT_IN_SERVICE: &str = "not_in_service";

impl NotInService {
    /// What an error says of it. If the plugin that was called passes the error on, it names the one further down.
    pub fn of(error: &OperationError) -> Option<Self> {
        let told = error.details.as_ref().filter(|_| error.kind == ErrorKind::Unavailable)?;
        serde_json::from_value(told.get(NOT_IN_SERVICE)?.clone()).ok()
    }
}

impl From<NotInService> for OperationError {
    fn from(told: NotInService) -> Self {
        let status =
            if told.status.is_empty() { String::new() } else { format!(": its status is `{}`", told.status) };
        let message = format!("`{}` is not in service{status}", told.plugin);
        Self::unavailable(message).details(json!({ NOT_IN_SERVICE: told }))
    }
}

/// Runs a tool that plugins.toml allows the caller.
#[message]
pub struct CallTool {
    /// `plugin.operation`.
    pub name: String,
    /// The arguments, valid against the tool's schema.
    pub arguments: Value,
    /// What [`Approve`] answered, for a tool that needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

impl Request for CallTool {
    const OPERATION: &'static str = "call_tool";
    type Response = Value;
}

/// States that a person agreed to a tool call: for the plugins that plugins.toml lets decide (`decides`). The answer is
/// signed by the host's secret key and may be kept anywhere: it is good for the same caller, tool, arguments, person and
/// idempotency key, and for nothing else. The last two travel with this call as they will with the call of the tool.
#[message]
#[derive(PartialEq)]
pub struct Approve {
    /// `plugin.operation`.
    pub tool: String,
    /// The arguments that the person saw.
    pub arguments: Value,
    /// Names the decision: what can be done once only is done once for it.
    pub decision: String,
    /// Who agreed, for records.
    pub by: String,
    /// Until when it is good, in milliseconds since 1970.
    pub until_ms: i64,
}

impl Request for Approve {
    const OPERATION: &'static str = "approve";
    type Response = String;
}

/// Asks for a probe of the calling plugin soon.
#[message]
pub struct Verify {}

impl Request for Verify {
    const OPERATION: &'static str = "verify";
    type Response = ();
}

/// States evidence of the calling plugin's own health; it counts as a probe.
#[message]
#[serde(tag = "evidence", rename_all = "snake_case")]
pub enum Report {
    /// An authenticated request to the outside system just succeeded.
    Success,
    /// It just failed, in a way that says something of the plugin as a whole.
    Failure {
        /// What kind of failure.
        code: ReasonCode,
        /// For a person.
        message: String,
        /// The key of the setting to mend.
        #[serde(default)]
        setting: Option<String>,
        /// The link to follow.
        #[serde(default)]
        href: Option<String>,
        /// What mends it, where the code alone would advise something that does not.
        #[serde(default)]
        advice: Option<Advice>,
        /// Known for certain: it acts at once, see [`Failure::certain`].
        #[serde(default)]
        certain: bool,
    },
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        let Failure { code, message, setting, href, advice, certain, .. } = failure;
        Self::Failure { code, message, setting, href, advice, certain }
    }
}

impl Request for Report {
    const OPERATION: &'static str = "report";
    type Response = ();
}

/// What an operator should know of the calling plugin though it works: shown among its health details, until it says
/// otherwise. It changes no status.
#[message]
pub struct Note {
    /// One a matter, for a person: lower case, no period. None: there is nothing any more.
    pub notes: Vec<String>,
}

impl Request for Note {
    const OPERATION: &'static str = "note";
    type Response = ();
}

/// A trouble of the calling plugin that its probe does not find: an SMS that was accepted and not delivered, a batch of
/// vectors that was refused. Shown as `failing` until it is cleared; it changes no status. At most 16 keys a plugin.
#[message]
#[derive(PartialEq, Eq)]
pub struct Trouble {
    /// The plugin's own name for the trouble, in snake_case: the same key raises it again, or ends it.
    pub key: String,
    /// The trouble is over. Nothing else but the key is needed then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cleared: bool,
    /// What kind of trouble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ReasonCode>,
    /// For a person: lower case, no period, no secret. 300 letters are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What mends it, where the code alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<FixHint>,
    /// The operation that fails by it: two successes of it in a row end the trouble, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}

impl Trouble {
    /// The trouble of this key, with code, message, setting and link of a failure.
    pub fn raised(key: impl Into<String>, failure: impl Into<Failure>) -> Self {
        let Failure { code, message, setting, href, advice, .. } = failure.into();
        let fix = FixHint { label: advice.map(|advice| advice.label), setting, href }.or_none();
        Self {
            key: key.into(),
            cleared: false,
            code: Some(code),
            message: Some(message),
            fix,
            operation: None,
        }
    }

    /// The trouble of this key is over.
    pub fn cleared(key: impl Into<String>) -> Self {
        Self { key: key.into(), cleared: true, code: None, message: None, fix: None, operation: None }
    }

    /// With the operation that fails by it.
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// With what to do, in words for a person.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.fix.get_or_insert_default().label = Some(label.into());
        self
    }
}

impl Request for Trouble {
    const OPERATION: &'static str = "trouble";
    type Response = ();
}

/// Notes something about the calling plugin's own work, as a metric of the host: `switchboard_<plugin>_<name>`.
#[message]
#[serde(tag = "metric", rename_all = "snake_case")]
pub enum Observe {
    /// Something happened, so many times; the metric's name ends with `_total`.
    Count {
        /// What, in snake_case.
        name: String,
        /// How often.
        by: u64,
    },
    /// Something was measured; the name ends with the unit, such as `_seconds`.
    Measure {
        /// What, in snake_case.
        name: String,
        /// How much.
        value: f64,
    },
}

impl Request for Observe {
    const OPERATION: &'static str = "observe";
    type Response = ();
}

/// Registers a secret learned at run time, to be scrubbed from then on.
#[message]
pub struct RegisterSecret {
    /// The secret.
    pub value: String,
}

impl Request for RegisterSecret {
    const OPERATION: &'static str = "secret";
    type Response = ();
}

/// Seals a secret under the host's secret key, for the calling plugin alone.
#[message]
pub struct Seal {
    /// The secret.
    pub text: String,
}

/// A sealed secret.
#[message]
#[derive(PartialEq, Eq)]
pub struct Sealed {
    /// What may be kept anywhere: a line of ASCII.
    pub sealed: String,
    /// Tells the key from any other, and nothing of it.
    pub fingerprint: String,
}

impl Request for Seal {
    const OPERATION: &'static str = "seal";
    type Response = Sealed;
}

/// Opens what the calling plugin sealed.
#[message]
pub struct Open {
    /// What [`Sealed::sealed`] was.
    pub sealed: String,
}

impl Request for Open {
    const OPERATION: &'static str = "open";
    type Response = String;
}

/// Asks for the fingerprint of the host's secret key.
#[message]
pub struct KeyFingerprint {}

impl Request for KeyFingerprint {
    const OPERATION: &'static str = "key_fingerprint";
    type Response = String;
}
