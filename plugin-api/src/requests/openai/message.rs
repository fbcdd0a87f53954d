//! The messages of a chat.

use serde_json::{Map, Value};

use crate::message;

/// One message of a chat.
#[message]
#[derive(PartialEq)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// What the model is told to be and to do.
    System {
        /// In words.
        content: String,
    },
    /// What a person says.
    User {
        /// Words, or words and pictures.
        content: Content,
        /// Who, where several speak.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// What the model answered earlier.
    Assistant {
        /// In words, if it said any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<String>,
        /// The tools that it wanted called. Each needs a [`Message::Tool`] with its result after it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
        /// [`super::ChatAnswer::extra`] of that answer: some servers refuse a chat in which it does not come back.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        extra: Map<String, Value>,
    },
    /// What came of a tool call.
    Tool {
        /// The call's `id`.
        tool_call_id: String,
        /// The result, as text or JSON.
        content: String,
    },
}

/// What a person says.
#[message]
#[derive(PartialEq)]
#[serde(untagged)]
pub enum Content {
    /// Words.
    Text(String),
    /// Words and pictures.
    Parts(Vec<Part>),
}

/// A piece of what a person says.
#[message]
#[derive(PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// A picture.
    ImageUrl {
        /// Where it is: `https://…`, or the picture itself as `data:image/png;base64,…`.
        url: String,
        /// How closely to look: `low`, `high` or `auto`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// A tool that the model wants called.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct ToolCall {
    /// By which its result refers to it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as the model wrote them: JSON as a rule, but a model may err.
    pub arguments: String,
    /// What the server wrote beside these, such as a signature. It goes back as it came.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Message {
    /// What the model is told to be and to do.
    pub fn system(content: impl Into<String>) -> Self {
        Self::System { content: content.into() }
    }

    /// What a person says.
    pub fn user(content: impl Into<String>) -> Self {
        Self::User { content: Content::Text(content.into()), name: None }
    }

    /// What the model said earlier.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::Assistant { content: Some(content.into()), tool_calls: Vec::new(), extra: Map::new() }
    }

    /// What came of a tool call.
    pub fn tool(tool_call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Tool { tool_call_id: tool_call_id.into(), content: content.into() }
    }
}
