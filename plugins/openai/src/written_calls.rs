//! A tool call that a model wrote as text, for want of a better way or because its server does not read it -> the call, or
//! nothing if it is none. Pure.

use plugin_api::{
    requests::openai::ToolCall,
    serde_json::{self, Deserializer, Value},
};

/// More of one answer are no calls.
const MOST: usize = 64;

/// The calls in a text that stood between the marks of calls; `None` if it holds something else.
pub fn read(text: &str) -> Option<Vec<ToolCall>> {
    let text = text.trim();
    if let Some(function) = text.strip_prefix("<function=") {
        return function_tag(function).map(|call| vec![call]);
    }
    if let Some(at) = text.find("<function=") {
        return text[at..].split("<function=").skip(1).map(function_tag).collect();
    }
    let begin = text.find(['{', '['])?;
    let name = text[..begin].trim();
    match text[begin..].strip_prefix("[ARGS]") {
        // Mistral's later form.
        Some(arguments) => named(name, arguments).map(|call| vec![call]),
        None if !name.is_empty() && is_name(name) => named(name, &text[begin..]).map(|call| vec![call]),
        None => values(&text[begin..]),
    }
}

/// A whole answer of JSON that is a call of one of these tools.
pub fn read_bare(text: &str, tools: &[&str]) -> Option<Vec<ToolCall>> {
    let text = text.trim();
    if tools.is_empty() || !text.starts_with(['{', '[', '`']) {
        return None;
    }
    let text = text.strip_prefix("```json").or_else(|| text.strip_prefix("```")).unwrap_or(text);
    let text = text.strip_suffix("```").unwrap_or(text).trim();
    let value: Value = serde_json::from_str(text).ok()?;
    let calls = of_value(&value)?;
    calls.iter().all(|call| tools.contains(&call.name.as_str())).then_some(calls)
}

fn values(text: &str) -> Option<Vec<ToolCall>> {
    let mut calls = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>().take(MOST) {
        match value {
            Ok(value) => calls.extend(of_value(&value)?),
            // Behind what was read there may be anything.
            Err(_) if !calls.is_empty() => break,
            Err(_) => return None,
        }
    }
    Some(calls).filter(|calls| !calls.is_empty())
}

fn of_value(value: &Value) -> Option<Vec<ToolCall>> {
    if let Some(list) = value.as_array() {
        let calls: Option<Vec<_>> = list.iter().take(MOST).map(of_value).collect();
        return Some(calls?.concat()).filter(|calls| !calls.is_empty());
    }
    let call = value.get("function").filter(|function| function.is_object()).unwrap_or(value);
    let name = call.get("name")?.as_str().filter(|name| is_name(name))?;
    let arguments = ["arguments", "parameters", "input"].iter().find_map(|key| call.get(*key))?;
    let arguments = match arguments {
        Value::String(text) => text.clone(),
        Value::Object(_) => arguments.to_string(),
        _ => return None,
    };
    Some(vec![ToolCall { name: name.to_owned(), arguments, ..ToolCall::default() }])
}

fn named(name: &str, arguments: &str) -> Option<ToolCall> {
    let mut values = Deserializer::from_str(arguments).into_iter::<Value>();
    let arguments = values.next()?.ok().filter(Value::is_object)?;
    is_name(name).then(|| ToolCall {
        name: name.to_owned(),
        arguments: arguments.to_string(),
        ..ToolCall::default()
    })
}

/// `name>{…}`, or `name><parameter=key>value</parameter>…`, as Llama and Qwen write it.
fn function_tag(text: &str) -> Option<ToolCall> {
    let (name, rest) = text.split_once('>')?;
    let rest = rest.split("</function>").next().unwrap_or_default().trim();
    if rest.starts_with('{') {
        return named(name.trim(), rest);
    }
    let mut arguments = serde_json::Map::new();
    for parameter in rest.split("<parameter=").skip(1) {
        let (key, value) = parameter.split_once('>')?;
        let value = value.split("</parameter>").next().unwrap_or_default().trim();
        let read = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        arguments.insert(key.trim().to_owned(), read);
    }
    let name = name.trim();
    is_name(name).then(|| ToolCall {
        name: name.to_owned(),
        arguments: Value::Object(arguments).to_string(),
        ..ToolCall::default()
    })
}

fn is_name(name: &str) -> bool {
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
}
