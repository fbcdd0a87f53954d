//! The server's answer to a chat -> a [`ChatAnswer`], or the [`Trouble`] that it tells of. Lenient: servers leave out much,
//! and write some things in forms of their own. Pure.

use plugin_api::{
    requests::openai::{ChatAnswer, FinishReason, ToolCall, TroubleCode, Usage},
    serde_json::Value,
};

use crate::trouble::{Trouble, status};

/// An answer as far as it is known.
#[derive(Debug, Default)]
pub struct Draft {
    pub content: String,
    pub refusal: String,
    pub tool_calls: Vec<ToolCall>,
    pub finish_reason: Option<String>,
    pub model: Option<String>,
    pub id: Option<String>,
    pub usage: Option<Usage>,
}

/// Reads an answer that came whole. `model` is the one that was asked for.
pub fn read(body: &Value, server: &str, model: &str) -> Result<ChatAnswer, Trouble> {
    no_error(body, server)?;
    let choice = body.pointer("/choices/0");
    let Some((choice, message)) = choice.and_then(|choice| Some((choice, choice.get("message")?))) else {
        return Err(Trouble::protocol(server, "a chat without a message"));
    };
    let mut draft = Draft {
        content: words(message.get("content")),
        refusal: words(message.get("refusal")),
        tool_calls: list(message, "tool_calls").iter().map(tool_call).collect(),
        finish_reason: Some(text(choice, "finish_reason").unwrap_or_default()),
        ..Draft::default()
    };
    draft.note(body);
    draft.finish(server, model)
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
    pub fn finish(mut self, server: &str, model: &str) -> Result<ChatAnswer, Trouble> {
        if !self.refusal.is_empty() {
            let words = format!("the model `{model}` refuses to answer");
            let trouble = Trouble::new(TroubleCode::Refused, words).usage(self.usage);
            return Err(Trouble { refusal: Some(self.refusal), ..trouble });
        }
        if self.finish_reason.as_deref() == Some("content_filter") {
            let words = format!("`{server}` filters the words of the answer");
            return Err(Trouble::new(TroubleCode::ContentFilter, words).usage(self.usage));
        }
        for (index, call) in self.tool_calls.iter_mut().enumerate().filter(|(_, call)| call.id.is_empty()) {
            call.id = format!("call_{index}");
        }
        Ok(ChatAnswer {
            finish_reason: self.reason(),
            content: Some(self.content).filter(|content| !content.is_empty()),
            tool_calls: self.tool_calls,
            model: self.model.unwrap_or_else(|| model.to_owned()),
            id: self.id,
            usage: self.usage,
        })
    }

    fn reason(&self) -> FinishReason {
        match self.finish_reason.as_deref().unwrap_or_default() {
            "length" => FinishReason::Length,
            // Some servers say `stop` when they want tools called.
            _ if !self.tool_calls.is_empty() => FinishReason::ToolCalls,
            "stop" => FinishReason::Stop,
            _ => FinishReason::Other,
        }
    }
}

/// Words, also where a server writes them in parts.
pub fn words(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str())).collect()
        }
        _ => String::new(),
    }
}

/// The elements of a list; none where there is none.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text that says something.
pub fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The arguments of a tool call, or a piece of them; some servers write them as JSON instead of as text.
pub fn arguments(function: &Value) -> String {
    match function.get("arguments") {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// What it took, if the server says so.
pub fn usage(body: &Value) -> Option<Usage> {
    let usage = body.get("usage").filter(|usage| usage.is_object())?;
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    let (input, output) = (count("/prompt_tokens").unwrap_or(0), count("/completion_tokens").unwrap_or(0));
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: count("/total_tokens").unwrap_or_else(|| input.saturating_add(output)),
        cached_tokens: count("/prompt_tokens_details/cached_tokens").unwrap_or(0),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
    })
}

fn tool_call(call: &Value) -> ToolCall {
    let function = call.get("function").unwrap_or(&Value::Null);
    ToolCall {
        id: text(call, "id").unwrap_or_default(),
        name: text(function, "name").unwrap_or_default(),
        arguments: arguments(function),
    }
}
