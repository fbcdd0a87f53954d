//! The model of the story: what it wants next follows from what the tools have answered so far, as it does with a real one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use plugin_api::jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use switchboard_tests::peer::{Asked, Peer};

/// Whom it invites.
pub const GUEST: &str = "bob@example.com";
/// What it calls the event.
pub const TITLE: &str = "Call with Bob";
/// What it answers in the end.
pub const ANSWER: &str = "Done: Bob knows, and I will remind you.";
/// What it reminds of.
pub const REMINDER: &str = "Your call with Bob begins soon.";

/// Stands in for OpenAI.
pub struct Model {
    peer: Peer,
    asked: Arc<AtomicUsize>,
}

impl Model {
    pub fn start() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let peer = Peer::start(move |request| (200, answer(request, &count)));
        Self { peer, asked }
    }

    pub fn address(&self) -> &str {
        self.peer.address()
    }

    /// How often it was asked to go on with a chat.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(request: &Asked, asked: &AtomicUsize) -> Value {
    match request.path.as_str() {
        "/v1/embeddings" => embeddings(&request.json()),
        "/v1/chat/completions" => {
            asked.fetch_add(1, Ordering::Relaxed);
            chat(&request.json())
        }
        // A list without names promises nothing.
        _ => json!({ "object": "list", "data": [] }),
    }
}

/// The same vector for every text.
pub fn embeddings(body: &Value) -> Value {
    let count = body["input"].as_array().map_or(1, Vec::len);
    let vector =
        |index| json!({ "object": "embedding", "index": index, "embedding": [1.0, 0.5, 0.25, 0.125] });
    json!({
        "object": "list", "model": "of-the-story", "data": (0..count).map(vector).collect::<Vec<_>>(),
        "usage": { "prompt_tokens": 1, "total_tokens": 1 },
    })
}

fn chat(body: &Value) -> Value {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let results = messages.iter().filter(|message| message["role"] == "tool");
    let results: Vec<&str> = results.filter_map(|message| message["content"].as_str()).collect();
    completion(next(&results), &format!("call-{}", results.len()), ANSWER)
}

/// What a model answers: a tool call under this id, or words.
pub fn completion(tool: Option<(&str, Value)>, id: &str, words: &str) -> Value {
    let (reason, message) = match tool {
        Some((tool, arguments)) => {
            let function = json!({ "name": tool, "arguments": arguments.to_string() });
            let call = json!({ "id": id, "type": "function", "function": function });
            ("tool_calls", json!({ "role": "assistant", "content": null, "tool_calls": [call] }))
        }
        None => ("stop", json!({ "role": "assistant", "content": words })),
    };
    json!({
        "id": "c", "object": "chat.completion", "created": 0, "model": "of-the-story",
        "choices": [{ "index": 0, "finish_reason": reason, "message": message }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 },
    })
}

/// The next tool and its arguments; none once all is done.
fn next(results: &[&str]) -> Option<(&'static str, Value)> {
    Some(match results.len() {
        0 => ("google_calendar-find_free_slot", json!({ "duration_minutes": 30, "limit": 1 })),
        1 => {
            let start = moment(results[0], "start");
            let end = start + 30.minutes();
            (
                "google_calendar-create_event",
                json!({ "title": TITLE, "start": start.to_string(), "end": end.to_string() }),
            )
        }
        2 => {
            let text = format!("We talk at {}.", moment(results[1], "start"));
            ("smtp-send_email", json!({ "to": [GUEST], "subject": TITLE, "text": text }))
        }
        3 => ("scheduler_service-schedule", reminder()),
        _ => return None,
    })
}

/// A reminder that is due soon, however far away the event is: the stand-in of Google cannot be asked for one event.
fn reminder() -> Value {
    let soon = Timestamp::now() + 5.seconds();
    json!({ "message": { "text": REMINDER }, "at": format!("{soon:.0}") })
}

fn moment(result: &str, name: &str) -> Timestamp {
    let text = field(result, name);
    text.parse().unwrap_or_else(|error| panic!("`{name}` is `{text}` in {result}: {error}"))
}

/// The first field of this name in what a tool answered.
fn field<'r>(result: &'r str, name: &str) -> &'r str {
    let key = format!("\"{name}\":");
    let rest = result.split(&key).nth(1).unwrap_or_else(|| panic!("there is no `{name}` in {result}"));
    rest.trim_start().trim_start_matches('"').split('"').next().unwrap_or_default()
}
