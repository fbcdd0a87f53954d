//! Trouble of the host itself, whatever its plugins are like: it degrades the whole, and stands among the causes.

use jiff::Timestamp;
use plugin_api::error::ReasonCode;

/// What is wrong with the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTrouble {
    /// Tells it from others; raised again by the same key, it goes on.
    pub key: &'static str,
    pub code: ReasonCode,
    /// What is wrong and what to do, for a person.
    pub message: String,
    pub since: Timestamp,
}
