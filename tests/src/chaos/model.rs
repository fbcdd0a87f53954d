//! Stands for OpenAI: repeats the last words of the person, calls the tool that a goal names, and fails as it is told.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::plan::Partnership;
use crate::peer::{Asked, Peer, Reply};

const LOOK: Duration = Duration::from_millis(20);

/// A server; it ends with the process.
pub struct Model {
    peer: Peer,
    how: Arc<Mutex<Partnership>>,
}

impl Model {
    /// Starts one.
    pub fn start() -> Self {
        let how = Arc::new(Mutex::new(Partnership::Good));
        let known = how.clone();
        Self { peer: Peer::start_with(move |asked| respond(asked, &known)), how }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.peer.address()
    }

    /// How it answers from now on.
    pub fn set(&self, how: Partnership) {
        *self.how.lock().unwrap_or_else(PoisonError::into_inner) = how;
    }
}

fn respond(asked: &Asked, shared: &Mutex<Partnership>) -> Option<Reply> {
    let now = || *shared.lock().unwrap_or_else(PoisonError::into_inner);
    let ok = || Some(Reply { status: 200, headers: Vec::new(), body: answer(asked) });
    let failure = |status, headers| {
        let error = json!({ "error": { "message": "told to fail", "type": "server_error", "code": null } });
        Some(Reply { status, headers, body: error })
    };
    let how = now();
    match how {
        Partnership::Good => ok(),
        Partnership::Refuses | Partnership::TakesAndFails => failure(500, Vec::new()),
        Partnership::TooMany(seconds) => failure(429, vec![("retry-after", seconds.to_string())]),
        Partnership::TakesAndGoes => None,
        Partnership::Slow(millis) => {
            thread::sleep(Duration::from_millis(millis));
            ok()
        }
        Partnership::TakesAndHangs | Partnership::Hangs => {
            while now() == how {
                thread::sleep(LOOK);
            }
            (how == Partnership::TakesAndHangs).then(ok).flatten()
        }
    }
}

fn answer(asked: &Asked) -> Value {
    match asked.path.as_str() {
        "/v1/embeddings" => embeddings(&asked.json()),
        "/v1/chat/completions" => chat(&asked.json()),
        // A list without names promises nothing.
        _ => json!({ "object": "list", "data": [] }),
    }
}

/// The same vector for every text.
fn embeddings(body: &Value) -> Value {
    let count = body["input"].as_array().map_or(1, Vec::len);
    let vector =
        |index| json!({ "object": "embedding", "index": index, "embedding": [1.0, 0.5, 0.25, 0.125] });
    json!({
        "object": "list", "model": "echo", "data": (0..count).map(vector).collect::<Vec<_>>(),
        "usage": { "prompt_tokens": 1, "total_tokens": 1 },
    })
}

/// A goal is words, or what is to be called: `{"tool": "smtp-send_email", "arguments": {…}}`.
fn chat(body: &Value) -> Value {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let of_person = messages.iter().rposition(|message| message["role"] == "user");
    let said = of_person.and_then(|at| messages[at]["content"].as_str()).unwrap_or_default();
    // Texts that were not answered stand in front of the last one.
    let said = said.rsplit("\n\n").next().unwrap_or(said);
    let is_done = messages.iter().any(|message| message["role"] == "tool");
    let call: Value = serde_json::from_str(said).unwrap_or_default();
    let (reason, message) = match call["tool"].as_str() {
        Some(tool) if !is_done && offers(body, tool) => {
            let function = json!({ "name": tool, "arguments": call["arguments"].to_string() });
            let call = json!({ "id": "call-1", "type": "function", "function": function });
            ("tool_calls", json!({ "role": "assistant", "content": null, "tool_calls": [call] }))
        }
        // As a real one would.
        Some(tool) if !is_done => ("stop", said_by_model(&format!("I have no tool {tool}"))),
        Some(_) => ("stop", said_by_model("done")),
        None => ("stop", said_by_model(&format!("echo {said}"))),
    };
    json!({
        "id": "c", "object": "chat.completion", "created": 0, "model": "echo",
        "choices": [{ "index": 0, "finish_reason": reason, "message": message }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 },
    })
}

fn said_by_model(words: &str) -> Value {
    json!({ "role": "assistant", "content": words })
}

fn offers(body: &Value, tool: &str) -> bool {
    body["tools"].as_array().into_iter().flatten().any(|offered| offered["function"]["name"] == tool)
}
