//! What the `openai` plugin offers, as own types: a chat with a model, at once or as it is written; embeddings; and the
//! Realtime API as a stream. The same for OpenAI and for every server that is compatible with it.
//!
//! A plugin that uses it:
//! ```no_run
//! use plugin_api::{prelude::*, requests::openai::{Chat, Message}};
//!
//! async fn greet(context: &Context) -> Result<Option<String>, OperationError> {
//!     let openai = context.dependency("openai")?;
//!     let question = Chat::new([Message::system("Be brief."), Message::user("Hello!")]);
//!     Ok(openai.call(question).await?.content)
//! }
//! ```

mod chat;
pub mod defaults;
mod embed;
mod message;
mod realtime;
mod streaming;
mod trouble;

pub use chat::{Chat, ChatAnswer, FinishReason, OutputFormat, ToolChoice, ToolDefinition};
pub use embed::{Embed, Embeddings};
pub use message::{Content, Message, Part, ToolCall};
pub use realtime::{REALTIME, Realtime, RealtimeClose};
pub use streaming::{CHAT_STREAM, ChatDelta, ChatStream};
pub use trouble::{OpenAiTrouble, TroubleCode};

use crate::message;

/// What an answer took, in tokens; 0 where the server does not say.
#[message]
#[derive(Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer, thoughts included.
    pub output_tokens: u64,
    /// Both together.
    pub total_tokens: u64,
    /// Tokens of the request that were known from earlier ones, and cost less.
    #[serde(default)]
    pub cached_tokens: u64,
    /// Tokens of the answer that were thoughts, and are not shown.
    #[serde(default)]
    pub reasoning_tokens: u64,
}
