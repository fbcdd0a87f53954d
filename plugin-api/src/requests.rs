//! The typed requests of the operations that shipped plugins and the host offer: one file a plugin, so that callers are
//! checked at compile time, and the plugin that serves them uses the same types.

pub mod host;
pub mod doctor;
pub mod http;
pub mod sql;
pub mod email;
pub mod openai;
pub mod twilio;
pub mod twilio_service;
pub mod calendar;
pub mod memory;
pub mod orchestrator;
pub mod messaging;
pub mod scheduler;
pub mod voice;
pub mod bridge;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// A request that names its operation and knows its response.
pub trait Request: Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// The operation's name within its plugin.
    const OPERATION: &'static str;
    /// What it answers.
    type Response: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// A request or a response that says nothing: `{}`.
#[crate::message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Empty {}
