//! A tool call that a model wrote as text, for want of a better way or because its server does not read it -> the call, or
//! nothing if it is none. Pure.

use plugin_api::{
    requests::openai::ToolCall,
    serde_json::{self, Deserializer, Value},
};

/// More of one answer are no calls.
const MOST: usize = 64;
/// Between name and arguments, in Mistral's later form.
const ARGUMENTS: &str = "[ARGS]";
/// Words beside the name that belong to the form.
const FORM: [&str; 3] = ["function", "json", "commentary"];

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
    if text[..begin].trim().is_empty() && !text[begin..].starts_with(ARGUMENTS) {
        return values(&text[begin..]);
    }
    named_calls(text)
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
    let name = call.get("name").or_else(|| call.get("tool_name"))?.as_str().filter(|name| is_name(name))?;
    let arguments = ["arguments", "parameters", "input"].iter().find_map(|key| call.get(*key))?;
    let arguments = match arguments {
        Value::String(text) => text.clone(),
        Value::Object(_) => arguments.to_string(),
        _ => return None,
    };
    Some(vec![ToolCall { name: name.to_owned(), arguments, ..ToolCall::default() }])
}

/// Calls each of which is a name before its arguments, whatever marks stand between: Mistral's, DeepSeek's, Kimi's
/// (`functions.look:0`), and those of gpt-oss.
fn named_calls(mut text: &str) -> Option<Vec<ToolCall>> {
    let mut calls = Vec::new();
    while let Some(begin) = text.find('{').filter(|_| calls.len() < MOST) {
        let (name, rest) = (name_in(&text[..begin])?, &text[begin..]);
        let mut values = Deserializer::from_str(rest).into_iter::<Value>();
        calls.push(call(&name, &values.next()?.ok().filter(Value::is_object)?));
        text = &rest[values.byte_offset()..];
    }
    Some(calls).filter(|calls| !calls.is_empty())
}

/// The one word before a call's arguments that is no mark and no word of the form.
fn name_in(text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut is_mark = false;
    for letter in text.replace(ARGUMENTS, " ").chars() {
        match letter {
            '<' => is_mark = true,
            '>' if is_mark => (is_mark, plain) = (false, plain + " "),
            _ if is_mark => {}
            _ => plain.push(letter),
        }
    }
    let words = plain.split(|letter: char| !letter.is_ascii() || !is_name_byte(letter as u8));
    let is_form = |word: &str| {
        FORM.contains(&word) || word.is_empty() || word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut names = words.filter(|word| !is_form(word));
    let name = names.next()?.trim_start_matches("functions.");
    (names.next().is_none() && is_name(name)).then(|| name.to_owned())
}

fn call(name: &str, arguments: &Value) -> ToolCall {
    ToolCall { name: name.to_owned(), arguments: arguments.to_string(), ..ToolCall::default() }
}

/// `name>{…}`, or `name><parameter=key>value</parameter>…`, as Llama and Qwen write it.
fn function_tag(text: &str) -> Option<ToolCall> {
    let (name, rest) = text.split_once('>')?;
    let rest = rest.split("</function>").next().unwrap_or_default().trim();
    if rest.starts_with('{') {
        let arguments = Deserializer::from_str(rest).into_iter::<Value>().next()?.ok()?;
        return is_name(name.trim()).then(|| call(name.trim(), &arguments));
    }
    let mut arguments = serde_json::Map::new();
    for parameter in rest.split("<parameter=").skip(1) {
        let (key, value) = parameter.split_once('>')?;
        let value = value.split("</parameter>").next().unwrap_or_default().trim();
        let read = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        arguments.insert(key.trim().to_owned(), read);
    }
    let name = name.trim();
    is_name(name).then(|| call(name, &Value::Object(arguments)))
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}
