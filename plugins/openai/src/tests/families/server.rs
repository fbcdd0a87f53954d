//! A family's server: it holds each request against what the family demands, and answers in its form.

use plugin_api::serde_json::{Value, json};

use super::table::{Family, Refusal};
use crate::tests::peer::{Peer, Talk};

/// The result of every tool.
pub const RESULT: &str = "sunny, noon";
/// Asked this, it refuses.
pub const WANTS_BAD: &str = "a request that is refused";
pub const WANTS_OFTEN: &str = "one request too many";
pub const WANTS_BROKEN: &str = "a request that breaks it";

/// Starts one.
pub fn start(family: &'static Family) -> Peer {
    Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            match asked.line.strip_prefix("POST ").and_then(|line| line.strip_prefix(family.path())) {
                Some("/chat/completions") => chat(family, talk, &asked.json())?,
                Some("/embeddings") => embed(family, talk, &asked.json())?,
                _ if asked.line == format!("GET {}/models", family.path()) => {
                    talk.answer(200, &["content-type: application/json"], family.models)?;
                }
                // Ollama knows names without their tag.
                _ if asked.line.starts_with("GET ") && family.models.contains(":latest") => {
                    talk.json(&json!({ "id": family.model, "object": "model" }))?;
                }
                _ => talk.answer(404, &[], "")?,
            }
        }
        None
    })
}

fn refuse(talk: &mut Talk, refusal: &Refusal) -> Option<()> {
    talk.answer(refusal.status, refusal.headers, refusal.body)
}

fn chat(family: &Family, talk: &mut Talk, asked: &Value) -> Option<()> {
    let is_streamed = asked["stream"] == true;
    let last = asked["messages"].as_array().and_then(|messages| messages.last()).cloned().unwrap_or_default();
    let content = last["content"].as_str().unwrap_or_default();
    for (wanted, refusal) in
        [(WANTS_BAD, &family.bad), (WANTS_OFTEN, &family.often), (WANTS_BROKEN, &family.broken)]
    {
        if content == wanted {
            return refuse(talk, refusal);
        }
    }
    if let Some((_, refusal)) = family.demands.iter().find(|(is_met, _)| !is_met(asked)) {
        return refuse(talk, refusal);
    }
    let wants_tools = content.ends_with("Weather and time?");
    let text = if last["role"] == "tool" { ["Sunny, ", "noon."] } else { ["Hel", "lo!"] };
    if !is_streamed {
        let message = if wants_tools { family.calls } else { family.says };
        let reason = if wants_tools { family.reason_for_calls } else { "stop" };
        let answer = family.whole.replace("REASON", reason).replace("MESSAGE", message);
        return talk.answer(
            200,
            &["content-type: application/json"],
            &answer.replace("TEXT", &text.concat()),
        );
    }
    let (pieces, reason) = match wants_tools {
        true => (family.call_pieces, family.reason_for_calls),
        false => (family.say_pieces, "stop"),
    };
    talk.begin_events()?;
    if !family.opening.is_empty() {
        talk.chunk(family.opening.as_bytes())?;
    }
    for piece in pieces {
        let piece = piece.replace("TEXT1", text[0]).replace("TEXT2", text[1]);
        let event = family.piece.replace("REASON", "null").replace("DELTA", &piece);
        talk.chunk(format!("data: {event}\n\n").as_bytes())?;
    }
    let end = family.piece.replace("REASON", &format!("\"{reason}\"")).replace("DELTA", family.last_delta);
    talk.chunk(format!("data: {end}\n\n{}", family.closing).as_bytes())?;
    talk.say("0\r\n\r\n")
}

fn embed(family: &Family, talk: &mut Talk, asked: &Value) -> Option<()> {
    let texts = asked["input"].as_array().cloned().unwrap_or_default();
    match &family.vectors {
        Err(refusal) => return refuse(talk, refusal),
        Ok(Some((most, refusal))) if texts.len() > *most => return refuse(talk, refusal),
        Ok(_) => {}
    }
    let number = |text: &Value| text.as_str()?.rsplit(' ').next()?.parse::<u32>().ok();
    let data = texts.iter().enumerate().map(
        |(index, text)| json!({ "object": "embedding", "index": index, "embedding": [number(text).unwrap_or(0), 1] }),
    );
    talk.json(&json!({ "object": "list", "data": data.collect::<Vec<_>>(), "model": "vectors" }))
}
