//! Texts as vectors.

use super::Usage;
use crate::{message, requests::Request};

/// Turns texts into vectors: the nearer two vectors, the more alike is what the texts mean.
///
/// Any number of texts: the plugin asks for as many at once as the API takes.
///
/// # Errors
/// Those of [`super::Chat`]; `invalid` names the text that is empty.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    /// The texts.
    pub texts: Vec<String>,
    /// The model; left out, the one of the plugin's settings. Vectors of different models are not comparable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many numbers a vector should have, where the model can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub dimensions: Option<u32>,
}

/// The vectors of some texts.
#[message]
#[derive(PartialEq)]
pub struct Embeddings {
    /// One for each text, in the order of the texts.
    pub vectors: Vec<Vec<f32>>,
    /// How many numbers each has; 0 if there were no texts.
    pub dimensions: usize,
    /// The model that made them, as the server calls it.
    pub model: String,
    /// The tokens used, if the server reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Request for Embed {
    const OPERATION: &'static str = "embed";
    type Response = Embeddings;
}

impl Embed {
    /// These texts.
    pub fn new(texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { texts: texts.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}
