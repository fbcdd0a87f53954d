//! A chat with a model, answered while it is written.

use super::{Chat, ChatAnswer};
use crate::{
    context::Dependency,
    error::OperationError,
    message,
    stream::{Frame, Stream},
};

/// The stream operation that takes a [`Chat`] and sends [`ChatDelta`]s, each a text frame of JSON. Its errors are those
/// of [`Chat`]: before the first frame they refuse the stream, later they are the reason why it is closed. Dropping the
/// stream ends the answer at the server, too.
pub const CHAT_STREAM: &str = "chat_stream";

/// What is new of an answer.
#[message]
#[derive(PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatDelta {
    /// More words.
    Text {
        /// The words, to be put behind those before.
        text: String,
    },
    /// More of a tool call, to be watched; the last frame has it whole.
    ToolCall {
        /// Which one, from 0.
        index: usize,
        /// Its id, when it begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The tool's name, when it begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// More of the arguments, to be put behind those before.
        #[serde(default)]
        arguments: String,
    },
    /// The answer is whole: the last frame.
    Done {
        /// All of it.
        answer: ChatAnswer,
    },
}

/// An answer while it is written.
pub struct ChatStream(Stream);

impl ChatStream {
    /// Asks; comes back when the answer begins.
    ///
    /// # Errors
    /// Those of [`Chat`].
    pub async fn open(openai: &Dependency, request: &Chat) -> Result<Self, OperationError> {
        Ok(Self(openai.open(CHAT_STREAM, request).await?))
    }

    /// What comes next, in its turn: [`ChatDelta::Done`] is the last.
    ///
    /// # Errors
    /// Those of [`Chat`], `cancelled` after the last.
    pub async fn next(&self) -> Result<ChatDelta, OperationError> {
        match self.0.recv().await {
            Ok(Frame::Text(text)) => serde_json::from_str(&text).map_err(|error| {
                OperationError::internal(format!("a frame of `{CHAT_STREAM}` does not fit: {error}"))
            }),
            Ok(Frame::Binary(_)) => {
                Err(OperationError::internal(format!("a frame of `{CHAT_STREAM}` is no text")))
            }
            Err(reason) => Err(reason.error.unwrap_or_else(|| OperationError::cancelled(reason.message))),
        }
    }
}
