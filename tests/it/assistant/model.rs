//! The model of the story: what it wants next follows from what the tools have answered so far, as it does with a real one.
//! It is one that thinks, and that writes its first tool call so badly that its server refuses it, twice.

use std::sync::{Arc, Mutex, PoisonError};

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

/// What it thinks, beside its tool calls and before its words.
pub const THOUGHT: &str = "Nobody must know that I think";
/// How often its server refuses the first tool call.
const BAD_CALLS: usize = 2;

/// Stands in for OpenAI.
pub struct Model {
    peer: Peer,
    seen: Arc<Mutex<Seen>>,
}

/// What it was asked.
#[derive(Default)]
struct Seen {
    chats: usize,
    /// The bodies of the requests for vectors.
    remembered: Vec<String>,
}

impl Model {
    pub fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = seen.clone();
        let peer = Peer::start(move |request| {
            answer(request, &mut noted.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Self { peer, seen }
    }

    pub fn address(&self) -> &str {
        self.peer.address()
    }

    /// How often it was asked to go on with a chat.
    pub fn asked(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).chats
    }

    /// Whether these words were kept as something to be remembered.
    pub fn remembers(&self, words: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.remembered.iter().any(|body| body.contains(words))
    }
}

fn answer(request: &Asked, seen: &mut Seen) -> (u16, Value) {
    match request.path.as_str() {
        "/v1/embeddings" => {
            seen.remembered.push(request.body.clone());
            (200, embeddings(&request.json()))
        }
        "/v1/chat/completions" => {
            seen.chats += 1;
            if seen.chats <= BAD_CALLS { (400, bad_call()) } else { (200, chat(&request.json())) }
        }
        // A list without names promises nothing.
        _ => (200, json!({ "object": "list", "data": [] })),
    }
}

/// As Groq refuses a tool call that its model wrote (groq/groq-typescript#28).
fn bad_call() -> Value {
    json!({ "error": {
        "message": "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.",
        "type": "invalid_request_error", "code": "tool_use_failed",
        "failed_generation": "<function=google_calendar-find_free_slot{}</function>",
    } })
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
    let words = format!("<think>{THOUGHT}.</think>\n\n{ANSWER}");
    let mut whole = completion(next(&results), &format!("call-{}", results.len()), &words);
    whole["choices"][0]["message"]["reasoning_content"] = THOUGHT.into();
    whole
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
