//! What a program may want to know of an error.

use super::Usage;
use crate::{error::OperationError, message};

/// The details of an error of the `openai` plugin's operations.
#[message]
#[derive(PartialEq)]
pub struct OpenAiTrouble {
    /// What kind of trouble.
    pub code: TroubleCode,
    /// The HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The server's own code, such as `rate_limit_exceeded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_code: Option<String>,
    /// What the server said, bounded and without what may be a key: for the operator, never for the person of a chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The words by which the model refuses; for `refused` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// What it took all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// What kind of trouble.
#[message]
#[derive(Copy, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum TroubleCode {
    /// The server does not know the key.
    AuthInvalid,
    /// The key may not do this.
    Forbidden,
    /// The account is suspended or closed.
    Account,
    /// The account's credit or limit is used up.
    Quota,
    /// Too many requests or tokens in a time.
    RateLimited,
    /// There is no such model, or the key may not use it.
    ModelNotFound,
    /// The request does not fit into the model.
    ContextTooLong,
    /// The model, or its server as it was started, calls no tools.
    ToolsUnsupported,
    /// The model wrote an invalid tool call.
    ToolUseFailed,
    /// The server refuses the request for another reason.
    InvalidRequest,
    /// The model refuses to answer.
    Refused,
    /// The provider filters the words of the request or of the answer.
    ContentFilter,
    /// The server cannot serve at the moment, or breaks off.
    Unavailable,
    /// No connection, no answer, or no more of it, in time.
    Timeout,
    /// Nobody listens there.
    ConnectionRefused,
    /// The server's name does not resolve.
    Dns,
    /// No trustworthy encryption.
    Tls,
    /// A setting cannot work.
    ConfigInvalid,
    /// Its answer is not a valid one.
    Protocol,
}

impl OpenAiTrouble {
    /// Out of an error of the plugin's operations; `None` if the error comes from elsewhere.
    pub fn of(error: &OperationError) -> Option<Self> {
        serde_json::from_value(error.details.clone()?).ok()
    }
}
