//! A chat with a model, answered at once.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Message, ToolCall, Usage};
use crate::{error::OperationError, message, requests::Request};

/// Asks a model to go on with a chat.
///
/// # Errors
/// Beside the kind, [`super::OpenAiTrouble`] is in the error's details, with a code for each of these:
/// - `invalid`: the request; too long for the model (`context_too_long`); the model, or its server as it was started, calls
///   no tools (`tools_unsupported`).
/// - `denied`: the model refuses to answer (`refused`), its provider filters the words (`content_filter`), or the key
///   may not do this (`forbidden`).
/// - `not_found`: there is no such model (`model_not_found`).
/// - `overloaded`: too many requests (`rate_limited`), with the time to wait where the server says so.
/// - `unavailable`: the server, the way there, the key (`auth_invalid`) or the account (`quota`).
/// - `deadline`: no answer in time. Nothing but the cost is left of it.
/// - `internal`: the server's answer is not a valid one (`protocol`); the model wrote an invalid tool call
///   (`tool_use_failed`): asked again, it may do better.
#[message]
#[derive(Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// The model; left out, the one of the plugin's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The chat so far, oldest first.
    pub messages: Vec<Message>,
    /// The tools that the model may want called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolDefinition>,
    /// Whether it must call one. Left out, it decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may want several called at once. Left out, it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer. Left out, words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputFormat>,
    /// The sampling temperature, 0 to 2. Many models take none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The longest answer, in tokens, thoughts included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Fields of the server's own API that have no name here, such as `reasoning_effort`, `seed` or `stop`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// A tool as the model is told of it.
#[message]
#[derive(Default, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ToolDefinition {
    /// Its name: letters, digits, `_` and `-`, at most 64. No dot, so `smtp.send_email` must be written otherwise.
    pub name: String,
    /// What it does, and when to use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of its arguments. Left out, it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the arguments must fit the schema exactly; then the schema must keep to OpenAI's rules for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Whether the model must want a tool called.
#[message]
#[derive(PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// It decides.
    Auto,
    /// It must not.
    None,
    /// It must want at least one.
    Required,
    /// It must want this one.
    Tool(String),
}

/// The form of an answer.
#[message]
#[derive(PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputFormat {
    /// Words.
    Text,
    /// Some JSON object; a message must ask for JSON, too.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// What it is: letters, digits, `_` and `-`, at most 64.
        name: String,
        /// The schema.
        schema: Value,
        /// Whether it must fit exactly; then the schema must keep to OpenAI's rules for that. Left out, it must.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

/// How a model went on with a chat.
#[message]
#[derive(Default, PartialEq)]
pub struct ChatAnswer {
    /// What it says, if anything. Thoughts are no part of it, in whatever form the model writes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The tools that it wants called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The model that answered, as the server calls it.
    pub model: String,
    /// The server's name for this answer, for asking its operator about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tokens used, if the server reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What the server's message holds beside these, such as thoughts: nothing for people. Some servers refuse a chat in
    /// which it does not come back; [`ChatAnswer::message`] keeps it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Why an answer ended. That the model refuses, that words were filtered, or that the server broke off, is an error.
#[message]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// It wants tools called.
    ToolCalls,
    /// It ran into `max_tokens` or the model's own limit: the answer is cut off.
    Length,
    /// Something else, or the server does not say.
    #[default]
    Other,
}

impl Request for Chat {
    const OPERATION: &'static str = "chat";
    type Response = ChatAnswer;
}

impl Chat {
    /// Go on with these messages.
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }

    /// With these tools.
    pub fn tools(mut self, tools: impl IntoIterator<Item = ToolDefinition>) -> Self {
        self.tools = tools.into_iter().collect();
        self
    }

    /// Answered in JSON of this schema.
    pub fn json_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        self.output = Some(OutputFormat::JsonSchema { name: name.into(), schema, strict: None });
        self
    }
}

impl ChatAnswer {
    /// The answer as the message that the chat goes on with.
    pub fn message(&self) -> Message {
        Message::Assistant {
            content: self.content.clone(),
            tool_calls: self.tool_calls.clone(),
            extra: self.extra.clone(),
        }
    }

    /// Whether it ran into a limit of tokens. Then its words are half a sentence, or thoughts of which only the end would
    /// have told that they are.
    pub fn is_cut_off(&self) -> bool {
        self.finish_reason == FinishReason::Length
    }

    /// What it says, whole and without the space around it.
    ///
    /// # Errors
    /// `internal` if it is cut off, or says nothing.
    pub fn words(&self) -> Result<&str, OperationError> {
        if self.is_cut_off() {
            return Err(OperationError::internal("the model's answer is cut off: allow it more tokens"));
        }
        let words = self.content.as_deref().map(str::trim).filter(|words| !words.is_empty());
        words.ok_or_else(|| OperationError::internal("the model answered without words"))
    }

    /// The answer read as JSON.
    ///
    /// # Errors
    /// `internal` if it is cut off, says nothing, or does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OperationError> {
        serde_json::from_str(self.words()?)
            .map_err(|_| OperationError::internal("the model's answer is not the JSON that was asked for"))
    }
}
