//! The JSON messages that pass the boundary beside payloads. They grow by optional fields only, so that a host and a
//! plugin of different ages understand each other.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::level::Level;

/// The name under which the host's own operations are called.
pub const HOST: &str = "host";

/// An operation that every instance serves by itself: answers `null` as soon as its runtime turns.
pub const PING: &str = "sdk.ping";

/// An operation that every instance serves by itself: sets the level of its log (`{"level":"debug"}`).
pub const SET_LOG_LEVEL: &str = "sdk.set_log_level";

/// What travels with a call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallHeader {
    /// The plugin called: the name that the caller knows it by.
    pub plugin: String,
    /// The operation.
    pub operation: String,
    /// How long the caller waits, in milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Links everything done on behalf of one event: 32 hexadecimal digits, as in W3C Trace Context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The instance that calls; the host sets it, whatever the caller wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The person on whose behalf it is done. Tools take the person from here, never from a model's arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// How certain it is who they are. The host takes a plugin's person without a level for [`Level::Shown`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Makes a repeated call harmless: calls with the same key take effect at most once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// A [`CallHeader`] on its way out, out of what others own: a call is worth no copies.
#[derive(Serialize)]
pub(crate) struct OutgoingHeader<'a> {
    pub plugin: &'a str,
    pub operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<&'a str>,
}

/// A message as JSON. Most messages fit into the room that it begins with; growing would cost as much as writing.
///
/// # Errors
/// What cannot be written as JSON, such as a map whose keys are no text.
pub fn to_json(message: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = Vec::with_capacity(512);
    serde_json::to_writer(&mut json, message)?;
    Ok(json)
}

/// What an instance is made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateRequest {
    /// The name of the instance: its section in plugins.toml.
    pub instance: String,
    /// The resolved settings, valid against the manifest's schema.
    pub settings: Value,
    /// The least severe level that the host wants to see of its log: `off` to `trace`.
    pub log_level: String,
    /// The host's folder for data, as an absolute path.
    pub data_dir: String,
    /// The folder of plugins.toml, against which relative paths of settings are resolved.
    pub config_dir: String,
    /// The declared dependencies that plugins.toml names.
    #[serde(default)]
    pub dependencies: Vec<String>,
}

/// [`SET_LOG_LEVEL`]'s request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetLogLevel {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// One event of a plugin's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// `ERROR` to `TRACE`.
    pub level: String,
    /// The module that wrote it.
    pub target: String,
    /// What it says.
    pub message: String,
    /// Everything else that was recorded.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub fields: serde_json::Map<String, Value>,
    /// The trace of the call under which it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// Why a stream was closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloseReason {
    /// `None`: it ended as intended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<crate::error::OperationError>,
    /// Short, for a person.
    pub message: String,
}

impl CloseReason {
    /// It ended as intended.
    pub fn done(message: impl Into<String>) -> Self {
        Self { error: None, message: message.into() }
    }

    /// It ended by an error.
    pub fn failed(error: crate::error::OperationError) -> Self {
        Self { message: error.message.clone(), error: Some(error) }
    }
}

/// The close reason out of what passed the boundary; what cannot be read is an `internal` error.
pub(crate) fn close_reason(bytes: &[u8]) -> CloseReason {
    serde_json::from_slice(bytes).unwrap_or_else(|error| {
        CloseReason::failed(crate::error::OperationError::internal(format!(
            "unreadable close reason: {error}"
        )))
    })
}
