//! Messages as callers have them -> messages that the strictest template of a chat takes: one `system` at the front, a
//! `user` behind it, and then both alternately. Qwen's refuses a later `system` and a chat without a `user`, Mistral's and Gemma's two
//! of one role in a row and an `assistant` who begins, Mistral a `user` behind a tool's result and an `assistant` who says
//! nothing. Pure.

use plugin_api::requests::openai::{Content, Message, Part};

/// Said in the person's place where the assistant wrote first, as a reminder does.
const BEGAN: &str = "(You began this conversation.)";

/// Said in the assistant's place where the person wrote again before a tool's result was answered
/// (NousResearch/hermes-agent#84944).
const INTERRUPTED: &str = "(I was interrupted before I answered.)";
/// Said in the person's place where nobody has written yet.
const BEGIN: &str = "(Please begin.)";

/// The same messages, with alternating roles.
pub fn alternating(messages: &[Message]) -> Vec<Message> {
    let rules: Vec<&str> = messages.iter().filter_map(system).collect();
    let mut turns: Vec<Message> = Vec::with_capacity(messages.len() + 1);
    for message in messages.iter().filter(|message| system(message).is_none() && !says_nothing(message)) {
        if turns.is_empty() && !matches!(message, Message::User { .. }) {
            turns.push(Message::user(BEGAN));
        }
        if let (Some(Message::Tool { .. }), Message::User { .. }) = (turns.last(), message) {
            turns.push(Message::assistant(INTERRUPTED));
        }
        match turns.last().and_then(|last| joined(last, message)) {
            Some(both) => *turns.last_mut().expect("there is one") = both,
            None => turns.push(message.clone()),
        }
    }
    if turns.is_empty() {
        turns.push(Message::user(BEGIN));
    }
    if !rules.is_empty() {
        turns.insert(0, Message::system(rules.join("\n\n")));
    }
    turns
}

fn says_nothing(message: &Message) -> bool {
    match message {
        Message::Assistant { content, tool_calls, extra } => {
            content.as_deref().unwrap_or_default().trim().is_empty()
                && tool_calls.is_empty()
                && !extra.contains_key("content")
        }
        _ => false,
    }
}

fn system(message: &Message) -> Option<&str> {
    match message {
        Message::System { content } => Some(content),
        _ => None,
    }
}

/// Two messages of one role as one; `None` if they are of two, or belong to two turns.
fn joined(one: &Message, other: &Message) -> Option<Message> {
    match (one, other) {
        (Message::User { content, name }, Message::User { content: more, name: another }) => {
            let is_same = name == another;
            let content = match is_same {
                true => both(content.clone(), more.clone()),
                false => both(by(content, name.as_deref()), by(more, another.as_deref())),
            };
            Some(Message::User { content, name: name.clone().filter(|_| is_same) })
        }
        (
            Message::Assistant { content, tool_calls, extra },
            Message::Assistant { content: more, tool_calls: calls, extra: another },
        ) if tool_calls.is_empty() && extra.is_empty() => {
            let said: Vec<&str> = [content, more].into_iter().flatten().map(String::as_str).collect();
            let content = Some(said.join("\n\n")).filter(|said| !said.is_empty());
            Some(Message::Assistant { content, tool_calls: calls.clone(), extra: another.clone() })
        }
        _ => None,
    }
}

/// What several persons say is told apart in the words.
fn by(content: &Content, name: Option<&str>) -> Content {
    match (content, name) {
        (Content::Text(text), Some(name)) => Content::Text(format!("{name}: {text}")),
        (Content::Parts(parts), Some(name)) => {
            let who = Part::Text { text: format!("{name}:") };
            Content::Parts([who].into_iter().chain(parts.iter().cloned()).collect())
        }
        (content, None) => content.clone(),
    }
}

fn both(one: Content, other: Content) -> Content {
    match (one, other) {
        (Content::Text(one), Content::Text(other)) => Content::Text(format!("{one}\n\n{other}")),
        (one, other) => Content::Parts(parts(one).into_iter().chain(parts(other)).collect()),
    }
}

fn parts(content: Content) -> Vec<Part> {
    match content {
        Content::Text(text) => vec![Part::Text { text }],
        Content::Parts(parts) => parts,
    }
}
