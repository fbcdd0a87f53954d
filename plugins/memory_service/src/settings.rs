//! The settings as plugins.toml gives them -> [`Config`], checked. No I/O.

use plugin_api::{prelude::*, settings::Span};

/// How memories are found and summed up. Nothing must be set.
#[plugin_api::settings]
pub struct Settings {
    /// The model that makes vectors of memories; left out, the one of `openai`. With another one, every memory gets a new
    /// vector in the background.
    pub embedding_model: Option<String>,
    /// How many numbers a vector has, where the model can be told.
    #[schemars(range(min = 1, max = 16000))]
    pub embedding_dimensions: Option<u32>,
    /// How long recalling and remembering wait for a vector before they do without.
    #[serde(default = "embedding_timeout")]
    pub embedding_timeout: Span,
    /// The model that sums up threads; left out, the one of `openai`.
    pub summary_model: Option<String>,
    /// How many tokens of a thread the model is given at once to sum up.
    #[serde(default = "summary_chunk_tokens")]
    #[schemars(range(min = 500, max = 200_000))]
    pub summary_chunk_tokens: u32,
    /// Days after which the bonus of a memory for being new has halved.
    #[serde(default = "recency_half_life_days")]
    #[schemars(range(min = 1, max = 36500))]
    pub recency_half_life_days: u32,
}

fn embedding_timeout() -> Span {
    Span(Duration::from_secs(5))
}

fn summary_chunk_tokens() -> u32 {
    12_000
}

fn recency_half_life_days() -> u32 {
    60
}

/// The settings, checked.
#[derive(Debug)]
pub struct Config {
    pub embedding_model: Option<String>,
    pub embedding_dimensions: Option<u32>,
    pub embedding_timeout: Duration,
    pub summary_model: Option<String>,
    pub summary_chunk_tokens: u32,
    pub half_life_ms: f64,
}

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings) -> Result<Self, Failure> {
        let embedding_timeout = settings.embedding_timeout.0;
        if embedding_timeout.is_zero() {
            return Err(Failure::config_invalid(
                "`embedding_timeout` is 0: recalling would never compare meanings; expected such as `5s`",
            )
            .setting("embedding_timeout"));
        }
        Ok(Self {
            embedding_model: settings.embedding_model,
            embedding_dimensions: settings.embedding_dimensions,
            embedding_timeout,
            summary_model: settings.summary_model,
            summary_chunk_tokens: settings.summary_chunk_tokens,
            half_life_ms: f64::from(settings.recency_half_life_days) * 24.0 * 3_600_000.0,
        })
    }
}
