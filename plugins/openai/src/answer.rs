//! The server's answer to a chat -> a [`ChatAnswer`], or the [`Trouble`] that it tells of. Lenient: servers leave out much,
//! and write some things in forms of their own. Pure.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
};

use plugin_api::{
    requests::openai::{Chat, ChatAnswer, FinishReason, ToolCall, TroubleCode, Usage},
    serde_json::{Map, Value},
};

use crate::{
    fields::{has_thoughts, list, text, tool_call, unread_of_message, usage, words},
    thinking::{self, Split},
    trouble::{Trouble, status},
    written_calls,
};

/// The form of an id that every server takes back: Mistral's, the strictest.
const LENGTH_OF_ID: usize = 9;

/// What was asked, as far as the answer depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub server: &'a str,
    pub model: &'a str,
    /// The names of the tools that were offered.
    pub tools: &'a [&'a str],
}

/// An answer as far as it is known.
#[derive(Debug, Default)]
pub struct Draft {
    /// As it came, thoughts and all.
    pub content: String,
    pub refusal: String,
    pub tool_calls: Vec<ToolCall>,
    pub finish_reason: Option<String>,
    pub model: Option<String>,
    pub id: Option<String>,
    pub usage: Option<Usage>,
    pub extra: Map<String, Value>,
}

/// The names of a request's tools.
pub fn names(request: &Chat) -> Vec<&str> {
    request.tools.iter().map(|tool| tool.name.as_str()).collect()
}

/// Reads an answer that came whole.
pub fn read(body: &Value, asked: Asked<'_>) -> Result<ChatAnswer, Trouble> {
    no_error(body, asked.server)?;
    let choice = body.pointer("/choices/0");
    let Some((choice, message)) = choice.and_then(|choice| Some((choice, choice.get("message")?))) else {
        return Err(Trouble::protocol(asked.server, "a chat without a message"));
    };
    no_error(choice, asked.server)?;
    let mut draft = Draft {
        content: words(message.get("content")),
        refusal: words(message.get("refusal")),
        tool_calls: list(message, "tool_calls").iter().map(tool_call).collect(),
        finish_reason: Some(text(choice, "finish_reason").unwrap_or_default()),
        extra: unread_of_message(message),
        ..Draft::default()
    };
    if let Some(parts) = message.get("content").filter(|content| has_thoughts(content)) {
        draft.extra.insert("content".to_owned(), parts.clone());
    }
    draft.note(body);
    draft.finish(asked)
}

/// An error may stand in an answer that began as a good one.
pub fn no_error(body: &Value, server: &str) -> Result<(), Trouble> {
    match body.get("error") {
        Some(error) if !error.is_null() => Err(status::broken_off(server, body)),
        _ => Ok(()),
    }
}

impl Draft {
    /// Takes over what stands beside the choices.
    pub fn note(&mut self, body: &Value) {
        self.model = text(body, "model").or(self.model.take());
        self.id = text(body, "id").or(self.id.take());
        self.usage = usage(body).or(self.usage);
    }

    /// The answer, once all of it is known.
    pub fn finish(mut self, asked: Asked<'_>) -> Result<ChatAnswer, Trouble> {
        let Asked { server, model, tools } = asked;
        if !self.refusal.is_empty() {
            let words = format!("the model `{model}` refuses to answer");
            let trouble = Trouble::new(TroubleCode::Refused, words).usage(self.usage);
            return Err(Trouble { refusal: Some(self.refusal), ..trouble });
        }
        self.whole(server, model)?;
        let mut split = thinking::split(&self.content, !tools.is_empty());
        if self.tool_calls.is_empty() {
            self.tool_calls = self.written_calls(&mut split, asked)?;
        }
        if split.has_thoughts && !split.is_cut && split.calls.is_empty() {
            // Those who think in the content want it back there.
            let as_it_came = Value::from(self.content.as_str());
            self.extra.entry("content").or_insert(as_it_came);
        }
        give_ids(&mut self.tool_calls);
        Ok(ChatAnswer {
            finish_reason: self.reason(),
            content: Some(split.said).filter(|said| !said.is_empty()),
            tool_calls: self.tool_calls,
            model: self.model.unwrap_or_else(|| model.to_owned()),
            id: self.id,
            usage: self.usage,
            extra: self.extra,
        })
    }

    /// An answer that was ended by something else than the model is none, and no part of one.
    fn whole(&self, server: &str, model: &str) -> Result<(), Trouble> {
        let reason = self.finish_reason.as_deref().unwrap_or_default().to_ascii_lowercase();
        let trouble = |code, words: String| Err(Trouble::new(code, words).usage(self.usage));
        match reason.as_str() {
            "content_filter" | "safety" | "recitation" | "prohibited_content" | "blocklist" | "spii" => {
                trouble(TroubleCode::ContentFilter, format!("`{server}` filters the words of the answer"))
            }
            "error" | "abort" | "aborted" | "cancelled" | "insufficient_system_resource" => trouble(
                TroubleCode::Unavailable,
                format!("`{server}` broke the answer off before it was whole"),
            ),
            reason if reason.contains("malformed") => trouble(TroubleCode::ToolUseFailed, malformed(model)),
            _ => Ok(()),
        }
    }

    /// Tool calls that stand in the text, in their marks or as all of it.
    fn written_calls(&self, split: &mut Split, asked: Asked<'_>) -> Result<Vec<ToolCall>, Trouble> {
        if split.calls.is_empty() {
            let bare = written_calls::read_bare(&split.said, asked.tools);
            if bare.is_some() {
                split.said.clear();
            }
            return Ok(bare.unwrap_or_default());
        }
        let calls: Option<Vec<_>> = split.calls.iter().map(|call| written_calls::read(call)).collect();
        let none = || Trouble::new(TroubleCode::ToolUseFailed, malformed(asked.model)).usage(self.usage);
        calls.map(|calls| calls.concat()).ok_or_else(none)
    }

    fn reason(&self) -> FinishReason {
        match self.finish_reason.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
            "length" | "max_tokens" | "model_length" => FinishReason::Length,
            // Some servers say `stop` when they want tools called.
            _ if !self.tool_calls.is_empty() => FinishReason::ToolCalls,
            "stop" | "eos" | "end_turn" => FinishReason::Stop,
            _ => FinishReason::Other,
        }
    }
}

fn malformed(model: &str) -> String {
    format!("the model `{model}` wrote a tool call that is none")
}

/// Each call has an id of its own, the server's wherever it is one.
fn give_ids(calls: &mut [ToolCall]) {
    let mut known = BTreeSet::new();
    for call in calls {
        while call.id.is_empty() || !known.insert(call.id.clone()) {
            call.id = new_id();
        }
    }
}

/// Nine letters and digits, which nobody has used before.
fn new_id() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = RandomState::new().hash_one(());
    let letter = |_| {
        let letter = LETTERS[(number % 62) as usize];
        number /= 62;
        char::from(letter)
    };
    (0..LENGTH_OF_ID).map(letter).collect()
}
