//! The events of an answer while it is written -> what is new of it, and at the end the whole. Pure, and lenient as
//! `answer` is.

use plugin_api::{
    requests::openai::{ChatAnswer, ChatDelta, FinishReason, ToolCall, TroubleCode},
    serde_json::{self, Map, Value},
};

use crate::{
    answer::{Asked, Draft, no_error},
    client::transport::LARGEST_CHAT,
    fields::{arguments, calls, has_thoughts, text, unread_of_call, unread_of_message, words},
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
    /// How much of it is kept so far, in bytes, nearly: a server decides how much it wraps around every letter.
    size: usize,
}

impl Assembly {
    /// `has_tools`: tools were offered; `waits`: the model may end thoughts which no mark begins.
    pub fn new(has_tools: bool, waits: bool) -> Self {
        let splitter = if waits { Splitter::waiting(has_tools) } else { Splitter::new(has_tools) };
        Self { splitter, ..Self::default() }
    }

    /// Whether the model ends thoughts that no mark begins; `None`: it said too little to tell.
    pub fn omits_opening(&self) -> Option<bool> {
        self.splitter.so_far().omits_opening(self.draft.reason() != FinishReason::Length)
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
            if self.size > LARGEST_CHAT {
                return Err(Trouble::too_large(server, LARGEST_CHAT).usage(self.draft.usage));
            }
        }
        if let Some(reason) = text(choice, "finish_reason") {
            self.draft.finish_reason = Some(reason);
            // Text that waited and was cut off may be thoughts; the whole answer says that it is cut.
            let may_be_thoughts = self.splitter.is_waiting() && self.draft.reason() == FinishReason::Length;
            let rest = self.splitter.end();
            say(if may_be_thoughts { String::new() } else { rest }, &mut news);
        }
        Ok(news)
    }

    fn take_delta(&mut self, delta: &Value, news: &mut Vec<ChatDelta>) {
        let refusal = words(delta.get("refusal"));
        self.draft.refusal.push_str(&refusal);
        let words = words(delta.get("content"));
        self.draft.content.push_str(&words);
        self.size += refusal.len() + words.len();
        say(self.splitter.take(&words), news);
        if let Some(parts) = delta.get("content").filter(|content| has_thoughts(content)) {
            self.size += add(&mut self.draft.extra, "content", parts.clone());
        }
        for (key, value) in unread_of_message(delta) {
            if key.starts_with("reasoning") {
                self.splitter.stop_waiting();
            }
            self.size += add(&mut self.draft.extra, &key, value);
        }
        news.extend(calls(delta).iter().map(|call| self.tool_call(call)));
    }

    /// Whether the server said why it ended.
    pub fn is_finished(&self) -> bool {
        self.draft.finish_reason.is_some()
    }

    /// The whole, after the last event.
    pub fn finish(self, asked: Asked<'_>) -> Result<ChatAnswer, Trouble> {
        if !self.is_finished() {
            let words = format!("`{}` broke the answer off before it was whole", asked.server);
            return Err(Trouble::new(TroubleCode::Unavailable, words).usage(self.draft.usage));
        }
        self.draft.finish(asked)
    }

    fn tool_call(&mut self, piece: &Value) -> ChatDelta {
        let function = piece.get("function").unwrap_or(&Value::Null);
        let (id, name, arguments) = (text(piece, "id"), text(function, "name"), arguments(function));
        let begins = name.is_some() && !arguments.is_empty();
        let index = self.place(piece.get("index").and_then(Value::as_u64), id.as_deref(), begins);
        let call = &mut self.draft.tool_calls[index];
        // Some servers say both again with every piece.
        let id = id.filter(|_| call.id.is_empty());
        let name = name.filter(|_| call.name.is_empty());
        call.id.push_str(id.as_deref().unwrap_or_default());
        call.name.push_str(name.as_deref().unwrap_or_default());
        call.arguments.push_str(&arguments);
        self.size += [id.as_deref(), name.as_deref()].into_iter().flatten().map(str::len).sum::<usize>();
        self.size += arguments.len();
        for (key, value) in unread_of_call(piece) {
            self.size += add(&mut call.extra, &key, value);
        }
        ChatDelta::ToolCall { index, id, name, arguments }
    }

    /// Which call a piece belongs to. Some servers give no number, or one for all: there a new id begins a new call, or a
    /// name with arguments (`begins`) behind a call that is whole (Gemini: NousResearch/hermes-agent#62937).
    fn place(&mut self, number: Option<u64>, id: Option<&str>, begins: bool) -> usize {
        let calls = &mut self.draft.tool_calls;
        let known = match number {
            Some(number) => self.numbers.iter().rposition(|known| *known == number),
            None => calls.len().checked_sub(1),
        };
        let fits = |index: &usize| match id {
            Some(id) => calls[*index].id.is_empty() || calls[*index].id == id,
            None => !(begins && is_whole(&calls[*index])),
        };
        match known.filter(fits) {
            Some(index) => index,
            None => {
                self.numbers.push(number.unwrap_or(calls.len() as u64));
                calls.push(ToolCall::default());
                // A server may begin calls without end that have nothing in them.
                self.size += size_of::<ToolCall>();
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

fn is_whole(call: &ToolCall) -> bool {
    !call.name.is_empty() && serde_json::from_str::<Map<String, Value>>(&call.arguments).is_ok()
}

/// A further piece of what goes back as it came: texts and lists grow, other things are said anew. Gives how much more is
/// kept.
fn add(extra: &mut Map<String, Value>, key: &str, value: Value) -> usize {
    match (extra.get_mut(key), value) {
        (Some(Value::String(text)), Value::String(more)) => grow(text, &more),
        (Some(Value::Array(list)), Value::Array(more)) => {
            more.into_iter().map(|more| add_item(list, more)).sum()
        }
        (_, value) => put(extra, key, value),
    }
}

/// A further piece of a list: an element of the same kind and number goes on, as OpenRouter's `reasoning_details` do, which
/// providers take back whole alone (RooCodeInc/Roo-Code#9389).
fn add_item(list: &mut Vec<Value>, more: Value) -> usize {
    const GROWING: [&str; 4] = ["text", "summary", "data", "thinking"];
    let same = |item: &&mut Value| {
        more.get("index").is_some_and(|index| {
            index.is_u64() && item.get("index") == Some(index) && item.get("type") == more.get("type")
        })
    };
    let Some(item) = list.iter_mut().find(same).and_then(Value::as_object_mut) else {
        let size = size_of_value(&more);
        list.push(more);
        return size;
    };
    let pieces =
        more.as_object().into_iter().flatten().map(|(key, value)| match (item.get_mut(key), value) {
            (_, Value::Null) => 0,
            (Some(Value::String(text)), Value::String(more)) if GROWING.contains(&key.as_str()) => {
                grow(text, more)
            }
            _ => put(item, key, value.clone()),
        });
    pieces.sum()
}

fn grow(text: &mut String, more: &str) -> usize {
    text.push_str(more);
    more.len()
}

/// What is said again takes no more room.
fn put(map: &mut Map<String, Value>, key: &str, value: Value) -> usize {
    let size = size_of_value(&value);
    let known = map.insert(key.to_owned(), value).map_or(0, |known| size_of_value(&known));
    size.saturating_sub(known)
}

/// The lengths of its texts and names, and something for everything else, which there may be much of.
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(list) => 1 + list.iter().map(size_of_value).sum::<usize>(),
        Value::Object(map) => {
            1 + map.iter().map(|(name, value)| name.len() + size_of_value(value)).sum::<usize>()
        }
        _ => 1,
    }
}
