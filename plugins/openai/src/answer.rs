//! The server's answer to a chat -> a [`ChatAnswer`], or the [`Trouble`] that it tells of. Lenient: servers leave out much,
//! and write some things in forms of their own. Pure.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
};

use plugin_api::{
    requests::openai::{Chat, ChatAnswer, FinishReason, ToolCall, TroubleCode, Usage},
    serde_json::{Deserializer, Map, Value},
};

use crate::{
    fields::{calls, has_thoughts, text, tool_call, unread_of_message, usage, words},
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
        tool_calls: calls(message).iter().map(tool_call).collect(),
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

/// Whether the model of an answer that came at once ends thoughts that no mark begins; `None`: it said too little to tell.
pub fn omits_opening(body: &Value, answer: &Result<ChatAnswer, Trouble>) -> Option<bool> {
    let is_whole = answer.as_ref().is_ok_and(|answer| !answer.is_cut_off());
    thinking::split(&words(body.pointer("/choices/0/message/content")), false).omits_opening(is_whole)
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
        if self.tool_calls.is_empty() && self.wants_tools() && !tools.is_empty() {
            return Err(self.malformed(model));
        }
        if split.has_thoughts && !split.is_cut && split.calls.is_empty() {
            // Those who think in the content want it back there.
            let as_it_came = Value::from(self.content.as_str());
            self.extra.entry("content").or_insert(as_it_came);
        }
        self.tool_calls = self.tool_calls.into_iter().flat_map(apart).collect();
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
        let trouble = |code, words: String| Err(Trouble::new(code, words).usage(self.usage));
        match self.finish_reason().as_str() {
            "content_filter" | "safety" | "recitation" | "prohibited_content" | "blocklist" | "spii"
            | "sensitive" | "refusal" => {
                trouble(TroubleCode::ContentFilter, format!("`{server}` filters the words of the answer"))
            }
            "error"
            | "abort"
            | "aborted"
            | "cancelled"
            | "insufficient_system_resource"
            | "network_error" => trouble(
                TroubleCode::Unavailable,
                format!("`{server}` broke the answer off before it was whole"),
            ),
            reason if reason.contains("malformed") => Err(self.malformed(model)),
            _ => Ok(()),
        }
    }

    fn finish_reason(&self) -> String {
        self.finish_reason.as_deref().unwrap_or_default().to_ascii_lowercase()
    }

    /// Some servers lose the calls that they announce (ollama/ollama#12557).
    fn wants_tools(&self) -> bool {
        matches!(self.finish_reason().as_str(), "tool_calls" | "tool_use" | "function_call")
    }

    fn malformed(&self, model: &str) -> Trouble {
        let words = format!("the model `{model}` wrote an invalid tool call");
        Trouble::new(TroubleCode::ToolUseFailed, words).advise(status::BETTER_MODEL).usage(self.usage)
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
        calls.map(|calls| calls.concat()).ok_or_else(|| self.malformed(asked.model))
    }

    /// Why it ended.
    pub fn reason(&self) -> FinishReason {
        match self.finish_reason().as_str() {
            "length"
            | "max_tokens"
            | "max_output_tokens"
            | "model_length"
            | "model_context_window_exceeded" => FinishReason::Length,
            // Some servers say `stop` when they want tools called.
            _ if !self.tool_calls.is_empty() => FinishReason::ToolCalls,
            "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" => FinishReason::Stop,
            _ => FinishReason::Other,
        }
    }
}

/// Several calls of one tool that came as one, their arguments glued together: `{…}{…}`
/// (NousResearch/hermes-agent#25333).
fn apart(call: ToolCall) -> Vec<ToolCall> {
    let arguments: Result<Vec<Map<String, Value>>, _> =
        Deserializer::from_str(&call.arguments).into_iter().collect();
    let several = arguments.unwrap_or_default();
    if several.len() < 2 {
        return vec![call];
    }
    let written = |arguments: &Map<String, Value>| Value::from(arguments.clone()).to_string();
    let more: Vec<_> = several[1..]
        .iter()
        .map(|arguments| ToolCall {
            name: call.name.clone(),
            arguments: written(arguments),
            ..ToolCall::default()
        })
        .collect();
    let first = ToolCall { arguments: written(&several[0]), ..call };
    [first].into_iter().chain(more).collect()
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
