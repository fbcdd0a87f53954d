//! An `openai` whose vectors are known: a dimension for each idea, so that other words for the same idea are near. It can be
//! away, be another model, and refuse a text.

use std::sync::{Arc, Mutex, MutexGuard};

use plugin_api::{
    prelude::*,
    requests::openai::{Chat, ChatAnswer, Content, Embed, Embeddings, FinishReason, Message},
};

/// The words of an idea.
const IDEAS: [&[&str]; 6] = [
    &["nuts", "peanuts", "almonds", "allergic", "allergy"],
    &["dog", "puppy", "terrier", "pet"],
    &["car", "automobile", "drives"],
    &["birthday", "born", "celebrates"],
    &["tea", "coffee", "drinks", "beverage"],
    &["犬", "hund"],
];

#[derive(Clone)]
pub struct Model(Arc<Mutex<State>>);

struct State {
    name: String,
    dimensions: usize,
    down: Option<OperationError>,
    /// Texts with this word fail in this way.
    refused: Option<(String, OperationError)>,
    /// More texts at once fail.
    most_at_once: usize,
    /// Every text that was embedded, in order.
    embedded: Vec<String>,
    /// What each chat was asked, in order.
    asked: Vec<String>,
    /// So many more chats are answered.
    chats: usize,
    /// So many more chats are cut off.
    cut: usize,
}

impl Model {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            name: "ideas-1".to_owned(),
            dimensions: 8,
            down: None,
            refused: None,
            most_at_once: usize::MAX,
            embedded: Vec::new(),
            asked: Vec::new(),
            chats: usize::MAX,
            cut: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics here")
    }

    pub fn set_down(&self, down: bool) {
        self.lock().down = down.then(|| OperationError::unavailable("nobody listens at the model's address"));
    }

    /// Refuses everything, in this way.
    pub fn refuse_all(&self, error: OperationError) {
        self.lock().down = Some(error);
    }

    pub fn set_name(&self, name: &str, dimensions: usize) {
        let mut state = self.lock();
        (state.name, state.dimensions) = (name.to_owned(), dimensions);
    }

    /// Refuses texts with this word.
    pub fn refuse(&self, word: &str) {
        self.fail_on(word, OperationError::invalid("the text cannot be embedded"));
    }

    /// Fails on texts with this word, in this way.
    pub fn fail_on(&self, word: &str, error: OperationError) {
        self.lock().refused = Some((word.to_owned(), error));
    }

    /// Fails on more texts at once.
    pub fn limit(&self, most_at_once: usize) {
        self.lock().most_at_once = most_at_once;
    }

    pub fn answer_chats(&self, chats: usize) {
        self.lock().chats = chats;
    }

    /// Cuts so many more answers off.
    pub fn cut_off(&self, chats: usize) {
        self.lock().cut = chats;
    }

    pub fn embedded(&self) -> Vec<String> {
        self.lock().embedded.clone()
    }

    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    pub fn embed(&self, request: Embed) -> Result<Embeddings, OperationError> {
        let mut state = self.lock();
        if let Some(down) = &state.down {
            return Err(down.clone());
        }
        if let Some((word, error)) = &state.refused
            && request.texts.iter().any(|text| text.contains(word.as_str()))
        {
            return Err(error.clone());
        }
        if request.texts.len() > state.most_at_once {
            return Err(OperationError::internal("1 vectors where more were asked for"));
        }
        state.embedded.extend(request.texts.iter().cloned());
        let dimensions = request.dimensions.map_or(state.dimensions, |dimensions| dimensions as usize);
        let vectors = request.texts.iter().map(|text| vector(text, dimensions)).collect();
        let model = request.model.unwrap_or_else(|| state.name.clone());
        Ok(Embeddings { vectors, dimensions, model, usage: None })
    }

    /// Answers by how many turns it was given.
    pub fn chat(&self, request: Chat) -> Result<ChatAnswer, OperationError> {
        let mut state = self.lock();
        let Some(left) = state.chats.checked_sub(1) else {
            return Err(OperationError::unavailable("nobody listens at the model's address"));
        };
        state.chats = left;
        let Some(Message::User { content: Content::Text(text), .. }) = request.messages.last() else {
            panic!("a chat ends with what the person says");
        };
        state.asked.push(text.clone());
        let content = format!("Summary {}.", state.asked.len());
        let is_cut_off = state.cut > 0;
        state.cut = state.cut.saturating_sub(1);
        Ok(ChatAnswer {
            content: Some(content),
            finish_reason: if is_cut_off { FinishReason::Length } else { FinishReason::Stop },
            model: "writer-1".to_owned(),
            ..ChatAnswer::default()
        })
    }
}

/// A little of everything, so that no vector is without direction.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let text = text.to_lowercase();
    let mut vector = vec![-0.01; dimensions];
    for (place, words) in IDEAS.iter().enumerate() {
        if words.iter().any(|word| text.contains(word)) {
            vector[place] = 1.0;
        }
    }
    vector
}
