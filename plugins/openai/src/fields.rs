//! The JSON of servers -> what is read of it, and what is left for them. Lenient: what is not there, or has another form,
//! says nothing. Pure.

use plugin_api::{
    requests::openai::{ToolCall, Usage},
    serde_json::{Map, Value, json},
};

/// Fields of a message that are read. Whatever else is there goes back as it came.
const READ_OF_MESSAGE: [&str; 8] =
    ["role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio", "index"];
const READ_OF_CALL: [&str; 4] = ["id", "type", "index", "function"];
const READ_OF_FUNCTION: [&str; 2] = ["name", "arguments"];

/// Words, also where a server writes them in parts. Thoughts are no words.
pub fn words(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .filter(|part| !is_thought(part))
            .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
            .collect(),
        _ => String::new(),
    }
}

/// Whether thoughts stand among the parts of a content.
pub fn has_thoughts(content: &Value) -> bool {
    content.as_array().is_some_and(|parts| parts.iter().any(is_thought))
}

fn is_thought(part: &Value) -> bool {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    part.get("thought") == Some(&Value::Bool(true)) || kind.contains("thinking") || kind.contains("reasoning")
}

/// The fields of an object that are none of these, and hold something.
fn unread(object: &Value, read: &[&str]) -> Map<String, Value> {
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let fields = object.as_object().into_iter().flatten();
    let unread = fields.filter(|(key, value)| !read.contains(&key.as_str()) && !says_nothing(value));
    unread.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What a message holds beside what is read.
pub fn unread_of_message(message: &Value) -> Map<String, Value> {
    unread(message, &READ_OF_MESSAGE)
}

/// What a tool call holds beside what is read; of its function, under `function`.
pub fn unread_of_call(call: &Value) -> Map<String, Value> {
    let mut extra = unread(call, &READ_OF_CALL);
    let of_function = unread(call.get("function").unwrap_or(&Value::Null), &READ_OF_FUNCTION);
    if !of_function.is_empty() {
        extra.insert("function".to_owned(), Value::Object(of_function));
    }
    extra
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

/// The tokens used, if the server reports them.
pub fn usage(body: &Value) -> Option<Usage> {
    let usage = body.get("usage").filter(|usage| usage.is_object())?;
    // Some servers write counts as `12.0`.
    let number =
        |value: &Value| value.as_u64().or_else(|| Some(value.as_f64().filter(|count| *count >= 0.0)? as u64));
    let count = |path: &str| usage.pointer(path).and_then(number);
    let output = count("/completion_tokens");
    let total = count("/total_tokens");
    let beside = || Some(total?.saturating_sub(output.unwrap_or(0)));
    let input = count("/prompt_tokens").or_else(beside).unwrap_or(0);
    let output = output.unwrap_or_else(|| total.unwrap_or(0).saturating_sub(input));
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: total.unwrap_or_else(|| input.saturating_add(output)),
        cached_tokens: count("/prompt_tokens_details/cached_tokens").unwrap_or(0),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
    })
}

/// The tool calls of a message, or a piece of them; an old server writes one as `function_call`.
pub fn calls(message: &Value) -> Vec<Value> {
    match message.get("function_call").filter(|call| call.is_object()) {
        Some(call) if list(message, "tool_calls").is_empty() => vec![json!({ "index": 0, "function": call })],
        _ => list(message, "tool_calls").to_vec(),
    }
}

/// A tool call.
pub fn tool_call(call: &Value) -> ToolCall {
    let function = call.get("function").unwrap_or(&Value::Null);
    ToolCall {
        id: text(call, "id").unwrap_or_default(),
        name: text(function, "name").unwrap_or_default(),
        arguments: arguments(function),
        extra: unread_of_call(call),
    }
}
