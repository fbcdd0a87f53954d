//! Texts -> requests that the API takes; its answers -> vectors in the order of the texts. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use plugin_api::{
    prelude::*,
    requests::openai::{Embed, Embeddings, Usage},
    serde::Deserialize,
    serde_json::{self, Value, value::RawValue},
};

use crate::{answer, fields, trouble::Trouble};

/// OpenAI takes 300,000 tokens in one request, and no text has more tokens than bytes.
const MOST_BYTES: usize = 300_000;

/// Refuses what the API would refuse, naming the text.
pub fn check(request: &Embed) -> Result<(), OperationError> {
    if let Some(index) = request.texts.iter().position(String::is_empty) {
        return Err(OperationError::invalid(format!(
            "`texts[{index}]` is empty: an empty text has no meaning"
        )));
    }
    match request.dimensions {
        Some(0) => Err(OperationError::invalid("`dimensions` is 0: expected 1 or more")),
        _ => Ok(()),
    }
}

/// Which texts go together: at most `most`, and no more bytes than the API takes for sure. A text that is larger than
/// that goes alone.
pub fn batches(texts: &[String], most: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, text) in texts.iter().enumerate() {
        match batches.last_mut() {
            Some(batch) if batch.len() < most && bytes + text.len() <= MOST_BYTES => {
                batch.end = index + 1;
                bytes += text.len();
            }
            _ => {
                batches.push(index..index + 1);
                bytes = text.len();
            }
        }
    }
    batches
}

/// What the API answers to one request. A field may stand there twice: the last one counts.
struct Answer {
    items: Vec<Item>,
    model: Option<String>,
    usage: Value,
    error: Value,
}

#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct Item {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl Answer {
    /// Vectors are read at once as what they are; `None` if they are none.
    fn read(json: &str) -> Option<Self> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
        let other = |key: &str| -> Value {
            fields.get(key).and_then(|field| serde_json::from_str(field.get()).ok()).unwrap_or_default()
        };
        let items = fields.get("data").map_or(Some(None), |data| serde_json::from_str(data.get()).ok())?;
        let model = other("model").as_str().map(str::to_owned);
        Some(Self { items: items.unwrap_or_default(), model, usage: other("usage"), error: other("error") })
    }
}

/// The vectors of several requests.
#[derive(Debug, Default)]
pub struct Collection {
    vectors: Vec<Vec<f32>>,
    model: Option<String>,
    usage: Option<Usage>,
}

impl Collection {
    /// Takes the answer to a request for `texts` vectors.
    pub fn take(&mut self, json: &str, texts: usize, server: &str) -> Result<(), Trouble> {
        let answer = Answer::read(json).ok_or_else(|| Trouble::protocol(server, what_it_is(json)))?;
        answer::no_error(&serde_json::json!({ "error": answer.error }), server)?;
        let items = answer.items;
        let places: BTreeSet<_> = items.iter().filter_map(|item| item.index).collect();
        if places.len() == 1
            && items.len() == texts
            && items.iter().all(|item| item.index.is_some())
            && texts > 1
        {
            let what = "vectors that all have the same `index`, so that nobody knows which text each is of";
            return Err(Trouble::protocol(server, what));
        }
        let vectors = in_order(items);
        if vectors.len() != texts {
            let what = format!("{} vectors where {texts} were asked for", vectors.len());
            return Err(Trouble::protocol(server, &what));
        }
        self.vectors.extend(vectors);
        self.model = answer.model.filter(|model| !model.is_empty()).or(self.model.take());
        let usage = fields::usage(&serde_json::json!({ "usage": answer.usage }));
        self.usage = [self.usage, usage].into_iter().flatten().reduce(sum);
        Ok(())
    }

    /// All of them. `model` and `dimensions` are those that were asked for.
    pub fn finish(self, server: &str, model: &str, dimensions: Option<u32>) -> Result<Embeddings, Trouble> {
        let length = self.vectors.first().map_or(0, Vec::len);
        let wanted = dimensions.filter(|_| !self.vectors.is_empty()).map_or(length, |wanted| wanted as usize);
        if let Some(other) =
            self.vectors.iter().map(Vec::len).find(|length| *length != wanted || *length == 0)
        {
            let what = format!("vectors of {other} numbers where {wanted} were expected");
            return Err(Trouble::protocol(server, &what));
        }
        Ok(Embeddings {
            dimensions: length,
            vectors: self.vectors,
            model: self.model.unwrap_or_else(|| model.to_owned()),
            usage: self.usage,
        })
    }
}

/// What an answer holds that holds no vectors as numbers.
fn what_it_is(json: &str) -> &'static str {
    let answer: Value = serde_json::from_str(json).unwrap_or_default();
    let item = fields::list(&answer, "data").first();
    match item.and_then(|item| item.get("embedding")) {
        Some(Value::String(_)) => "vectors as base64, though numbers were asked for",
        Some(Value::Array(numbers)) if numbers.iter().any(Value::is_null) => {
            "vectors that hold `null` where a number belongs"
        }
        Some(Value::Array(numbers)) if numbers.iter().any(Value::is_array) => {
            "a vector for each token: the model pools none, and makes no vectors of whole texts"
        }
        _ => "something else than vectors",
    }
}

/// By index; where a server gives none, as they came. Of two with one index, one is too few in the end.
fn in_order(items: Vec<Item>) -> Vec<Vec<f32>> {
    let numbered = items.into_iter().enumerate();
    let sorted: BTreeMap<usize, Vec<f32>> =
        numbered.map(|(place, item)| (item.index.unwrap_or(place), item.embedding)).collect();
    sorted.into_values().collect()
}

fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        input_tokens: one.input_tokens.saturating_add(other.input_tokens),
        output_tokens: one.output_tokens.saturating_add(other.output_tokens),
        total_tokens: one.total_tokens.saturating_add(other.total_tokens),
        cached_tokens: one.cached_tokens.saturating_add(other.cached_tokens),
        reasoning_tokens: one.reasoning_tokens.saturating_add(other.reasoning_tokens),
    }
}
