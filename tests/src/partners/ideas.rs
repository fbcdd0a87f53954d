//! A small OpenAI whose vectors are known, and nobody else's work: a dimension for each idea, so that other words for the
//! same idea are near. It can be another model, take its time, and remembers what it was asked.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::peer::Peer;

/// The words of an idea.
const IDEAS: [&[&str]; 4] = [
    &["nuts", "peanuts", "almonds", "allergic"],
    &["dog", "puppy", "terrier"],
    &["car", "automobile"],
    &["犬", "hund"],
];

/// A running server; it ends with the process.
pub struct Ideas {
    peer: Peer,
    state: Arc<Mutex<State>>,
}

struct State {
    model: String,
    dimensions: usize,
    pause: Duration,
    embedded: Vec<String>,
    chats: usize,
}

impl Ideas {
    /// Starts one, with vectors of so many numbers.
    pub fn start(dimensions: usize) -> Self {
        let state = Arc::new(Mutex::new(State {
            model: "ideas-1".to_owned(),
            dimensions,
            pause: Duration::ZERO,
            embedded: Vec::new(),
            chats: 0,
        }));
        let shared = state.clone();
        let peer = Peer::start(move |asked| (200, answer(&asked.path, &asked.json(), &shared)));
        Self { peer, state }
    }

    /// Where it listens. `OPENAI_BASE_URL` is its address and `/v1`.
    pub fn address(&self) -> &str {
        self.peer.address()
    }

    /// From now on it is another model.
    pub fn set_model(&self, model: &str, dimensions: usize) {
        let mut state = lock(&self.state);
        (state.model, state.dimensions) = (model.to_owned(), dimensions);
    }

    /// From now on it takes its time over vectors.
    pub fn set_pause(&self, pause: Duration) {
        lock(&self.state).pause = pause;
    }

    /// Every text that it made a vector of, in order.
    pub fn embedded(&self) -> Vec<String> {
        lock(&self.state).embedded.clone()
    }

    /// How many chats it answered.
    pub fn chats(&self) -> usize {
        lock(&self.state).chats
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(path: &str, body: &Value, state: &Mutex<State>) -> Value {
    match path {
        "/v1/embeddings" => embeddings(body, state),
        "/v1/chat/completions" => {
            let mut state = lock(state);
            state.chats += 1;
            let content = format!("Summary {}.", state.chats);
            json!({ "id": "c", "object": "chat.completion", "created": 0, "model": "writer-1", "choices": [
                { "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": content } },
            ] })
        }
        // A list without names promises nothing.
        _ => json!({ "object": "list", "data": [] }),
    }
}

fn embeddings(body: &Value, state: &Mutex<State>) -> Value {
    let texts: Vec<String> = match &body["input"] {
        Value::String(text) => vec![text.clone()],
        list => serde_json::from_value(list.clone()).unwrap_or_default(),
    };
    thread::sleep(lock(state).pause);
    let mut state = lock(state);
    let data = texts.iter().enumerate().map(|(index, text)| {
        json!({ "object": "embedding", "index": index, "embedding": vector(text, state.dimensions) })
    });
    let answer = json!({ "object": "list", "model": state.model, "data": data.collect::<Vec<_>>(),
        "usage": { "prompt_tokens": 1, "total_tokens": 1 } });
    state.embedded.extend(texts);
    answer
}

fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let text = text.to_lowercase();
    let mut vector = vec![-0.01; dimensions];
    for (number, words) in vector.iter_mut().zip(IDEAS) {
        if words.iter().any(|word| text.contains(word)) {
            *number = 1.0;
        }
    }
    vector
}
