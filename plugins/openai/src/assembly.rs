//! The events of an answer while it is written -> what is new of it, and at the end the whole. Pure, and lenient as
//! `answer` is.

use plugin_api::{
    requests::openai::{ChatAnswer, ChatDelta, ToolCall, TroubleCode},
    serde_json::{Map, Value},
};

use crate::{
    answer::{Asked, Draft, no_error},
    fields::{arguments, has_thoughts, list, text, unread_of_call, unread_of_message, words},
    thinking::Splitter,
    trouble::Trouble,
};

/// An answer in the making.
#[derive(Debug, Default)]
pub struct Assembly {
    draft: Draft,
    /// Keeps thoughts from those who read along.
    splitter: Splitter,
    /// By which number the server speaks of each tool call.
    numbers: Vec<u64>,
}

impl Assembly {
    /// `has_tools`: tools were offered.
    pub fn new(has_tools: bool) -> Self {
        Self { splitter: Splitter::new(has_tools), ..Self::default() }
    }

    /// Takes an event; gives what is new for the caller.
    pub fn take(&mut self, event: &Value, server: &str) -> Result<Vec<ChatDelta>, Trouble> {
        no_error(event, server)?;
        self.draft.note(event);
        // Events without a choice tell of usage, or of filters.
        let Some(choice) = event.pointer("/choices/0") else { return Ok(Vec::new()) };
        no_error(choice, server)?;
        let mut news = Vec::new();
        if let Some(delta) = choice.get("delta").or_else(|| choice.get("message")) {
            self.take_delta(delta, &mut news);
        }
        if let Some(reason) = text(choice, "finish_reason") {
            self.draft.finish_reason = Some(reason);
            say(self.splitter.end(), &mut news);
        }
        Ok(news)
    }

    fn take_delta(&mut self, delta: &Value, news: &mut Vec<ChatDelta>) {
        self.draft.refusal.push_str(&words(delta.get("refusal")));
        let words = words(delta.get("content"));
        self.draft.content.push_str(&words);
        say(self.splitter.take(&words), news);
        if let Some(parts) = delta.get("content").filter(|content| has_thoughts(content)) {
            add(&mut self.draft.extra, "content", parts.clone());
        }
        for (key, value) in unread_of_message(delta) {
            add(&mut self.draft.extra, &key, value);
        }
        news.extend(list(delta, "tool_calls").iter().map(|call| self.tool_call(call)));
    }

    /// The whole, after the last event.
    pub fn finish(self, asked: Asked<'_>) -> Result<ChatAnswer, Trouble> {
        if self.draft.finish_reason.is_none() {
            let words = format!("`{}` broke the answer off before it was whole", asked.server);
            return Err(Trouble::new(TroubleCode::Unavailable, words).usage(self.draft.usage));
        }
        self.draft.finish(asked)
    }

    fn tool_call(&mut self, piece: &Value) -> ChatDelta {
        let function = piece.get("function").unwrap_or(&Value::Null);
        let (id, name, arguments) = (text(piece, "id"), text(function, "name"), arguments(function));
        let index = self.place(piece.get("index").and_then(Value::as_u64), id.as_deref());
        let call = &mut self.draft.tool_calls[index];
        // Some servers say both again with every piece.
        let id = id.filter(|_| call.id.is_empty());
        let name = name.filter(|_| call.name.is_empty());
        call.id.push_str(id.as_deref().unwrap_or_default());
        call.name.push_str(name.as_deref().unwrap_or_default());
        call.arguments.push_str(&arguments);
        for (key, value) in unread_of_call(piece) {
            add(&mut call.extra, &key, value);
        }
        ChatDelta::ToolCall { index, id, name, arguments }
    }

    /// Which call a piece belongs to. Some servers give no number, or one for all: there a new id begins a new call.
    fn place(&mut self, number: Option<u64>, id: Option<&str>) -> usize {
        let calls = &mut self.draft.tool_calls;
        let known = match number {
            Some(number) => self.numbers.iter().rposition(|known| *known == number),
            None => calls.len().checked_sub(1),
        };
        let fits = |index: &usize| id.is_none_or(|id| calls[*index].id.is_empty() || calls[*index].id == id);
        match known.filter(fits) {
            Some(index) => index,
            None => {
                self.numbers.push(number.unwrap_or(calls.len() as u64));
                calls.push(ToolCall::default());
                calls.len() - 1
            }
        }
    }
}

fn say(text: String, news: &mut Vec<ChatDelta>) {
    if !text.is_empty() {
        news.push(ChatDelta::Text { text });
    }
}

/// A further piece of what goes back as it came: texts and lists grow, other things are said anew.
fn add(extra: &mut Map<String, Value>, key: &str, value: Value) {
    match (extra.get_mut(key), value) {
        (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (_, value) => drop(extra.insert(key.to_owned(), value)),
    }
}
