//! The model that callers talk with: it says what it heard, remembers what it is told to, and may be away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use switchboard_tests::peer::{Asked, Peer};

use crate::assistant::model::{completion, embeddings};

/// Stands in for OpenAI.
pub struct Model {
    peer: Peer,
    is_down: Arc<AtomicBool>,
}

impl Model {
    pub fn start() -> Self {
        let is_down = Arc::new(AtomicBool::new(false));
        let down = is_down.clone();
        let peer = Peer::start(move |asked| match down.load(Ordering::Relaxed) {
            true => (500, json!({ "error": { "message": "down" } })),
            false => (200, answer(asked)),
        });
        Self { peer, is_down }
    }

    pub fn address(&self) -> &str {
        self.peer.address()
    }

    /// From now on it answers with errors, or answers again.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }
}

fn answer(asked: &Asked) -> Value {
    match asked.path.as_str() {
        "/v1/embeddings" => embeddings(&asked.json()),
        "/v1/chat/completions" => chat(&asked.json()),
        _ => json!({ "object": "list", "data": [] }),
    }
}

fn chat(body: &Value) -> Value {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let last = messages.last().cloned().unwrap_or_default();
    let heard = messages.iter().rev().find(|message| message["role"] == "user");
    let heard = heard.and_then(|message| message["content"].as_str()).unwrap_or_default();
    // Where the assistant spoke first, as on a call, the plugin puts this before: it is no turn of the caller's.
    let is_turn = |message: &&Value| {
        message["role"] == "user" && message["content"] != "(You began this conversation.)"
    };
    let spoken = messages.iter().filter(is_turn).count();
    match heard.strip_prefix("remember ") {
        Some(fact) if last["role"] == "user" => {
            completion(Some(("memory_service-remember", json!({ "text": fact }))), "call-1", "")
        }
        Some(_) => completion(None, "", "I will remember that."),
        None => completion(None, "", &format!("You said: {heard} ({spoken})")),
    }
}
