//! A model that does whatever the attacker wants: it makes these calls one after the other, and keeps all that it was told.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use switchboard_tests::peer::Peer;

use crate::assistant::model::{completion, embeddings};

pub struct Model {
    peer: Peer,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<(&'static str, Value)>,
    /// The messages of every chat.
    chats: Vec<Vec<Value>>,
}

impl Model {
    pub fn start() -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let noted = seen.clone();
        let peer = Peer::start(move |request| match request.path.as_str() {
            "/v1/embeddings" => (200, embeddings(&request.json())),
            "/v1/chat/completions" => {
                let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
                let messages = request.json()["messages"].as_array().cloned().unwrap_or_default();
                let made = results(&messages).len();
                seen.chats.push(messages);
                let call = seen.calls.get(made).cloned();
                (200, completion(call, &format!("call-{made}"), "That is all."))
            }
            _ => (200, json!({ "object": "list", "data": [] })),
        });
        Self { peer, seen }
    }

    pub fn address(&self) -> &str {
        self.peer.address()
    }

    /// From now on it makes these calls in every run.
    pub fn wants(&self, calls: Vec<(&'static str, Value)>) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).calls = calls;
    }

    /// Everything that it was told, chat by chat; it forgets it.
    pub fn told(&self) -> Vec<Vec<Value>> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).chats)
    }

    /// The newest chat with these words in it.
    pub fn chat_with(&self, words: &str) -> Option<Vec<Value>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |chat: &&Vec<Value>| chat.iter().any(|message| text(message).contains(words));
        seen.chats.iter().rev().find(has).cloned()
    }
}

/// What the tools answered in a chat.
pub fn results(messages: &[Value]) -> Vec<String> {
    messages.iter().filter(|message| message["role"] == "tool").map(text).collect()
}

/// The words of a message.
pub fn text(message: &Value) -> String {
    message["content"].as_str().unwrap_or_default().to_owned()
}
