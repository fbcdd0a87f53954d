//! The settings of realtime conversations as plugins.toml gives them -> [`Config`], checked, with every default decided.
//! No I/O.

use std::collections::BTreeMap;

use plugin_api::{
    prelude::*,
    requests::openai::defaults,
    schemars::JsonSchema,
    serde::{self, Deserialize},
    settings::Span,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// OpenAI ends a session then.
const LONGEST_SESSION: Duration = Duration::from_secs(60 * 60);

/// How the assistant speaks with a caller in real time.
#[plugin_api::settings]
#[derive(Default)]
pub struct Settings {
    /// The realtime model; left out, the one of `openai`.
    pub model: Option<String>,
    /// The voice: `marin`, `cedar`, `alloy` … Default `marin`.
    pub voice: Option<String>,
    /// How fast it speaks, 0.25 to 1.5. Default 1.
    #[schemars(range(min = 0.25, max = 1.5))]
    pub speed: Option<f64>,
    /// The longest answer in tokens, words and audio together. Left out, there is no limit.
    #[schemars(range(min = 1, max = 4096))]
    pub max_output_tokens: Option<u32>,
    /// How it is found out that the caller speaks, and has ended: `server_vad` by silence, `semantic_vad` by what was
    /// said. Default `server_vad`.
    pub vad: Option<Vad>,
    /// For `server_vad`: how loud speech is, 0 to 1. Default 0.5.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub vad_threshold: Option<f64>,
    /// For `server_vad`: how much audio before the speech belongs to it. Default 300ms.
    pub vad_prefix: Option<Span>,
    /// For `server_vad`: how long a silence ends what the caller says. Default 500ms.
    pub vad_silence: Option<Span>,
    /// For `semantic_vad`: how soon it takes the word. Default `auto`.
    pub vad_eagerness: Option<Eagerness>,
    /// For `server_vad`: after how long a silence the assistant asks whether the caller is still there, 5s to 30s. Left
    /// out, it does not ask.
    pub idle: Option<Span>,
    /// How often in a row it asks so; then the call ends. Default 3.
    #[schemars(range(min = 1, max = 20))]
    pub idle_questions: Option<u8>,
    /// The model that transcribes what the caller says. Default `gpt-transcribe`.
    pub transcription_model: Option<String>,
    /// Which noise is removed from what the caller says: `near_field`, `far_field` or `none`. Default `near_field`.
    pub noise_reduction: Option<NoiseReduction>,
    /// Longest wait for what is known of the caller. Default 2s.
    pub memory_timeout: Option<Span>,
    /// Longest wait for a tool. Default 30s.
    pub tool_timeout: Option<Span>,
    /// What the model is shown of the result of a tool, in bytes. Default 8192.
    #[schemars(range(min = 256, max = 262_144))]
    pub tool_result_bytes: Option<usize>,
    /// How long to wait for a tool before the assistant says that it is still working. Default 2s; `0s`: never.
    pub filler_after: Option<Span>,
    /// How long a session with the model may last. Default 60m, as OpenAI has it.
    pub session_limit: Option<Span>,
    /// How long before that the session is renewed at a pause. Default 5m.
    pub renewal_margin: Option<Span>,
    /// How often a broken connection with the model is tried again. Default 4.
    #[schemars(range(min = 1, max = 20))]
    pub reconnect_attempts: Option<u8>,
    /// How long at most, in all. Default 12s.
    pub reconnect_time: Option<Span>,
    /// Longest wait for a session with the model. Default 5s.
    pub connect_timeout: Option<Span>,
    /// How many sessions may wait for their call to be connected. Default 8.
    #[schemars(range(min = 0, max = 100))]
    pub prepared_sessions: Option<usize>,
    /// How long. Default 30s.
    pub prepared_time: Option<Span>,
}

/// How the end of speech is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "serde", rename_all = "snake_case")]
#[schemars(crate = "plugin_api::schemars")]
pub enum Vad {
    /// By silence.
    #[default]
    ServerVad,
    /// By what was said.
    SemanticVad,
}

/// How soon `semantic_vad` takes the word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "serde", rename_all = "snake_case")]
#[schemars(crate = "plugin_api::schemars")]
pub enum Eagerness {
    /// Late.
    Low,
    /// In between.
    Medium,
    /// Soon.
    High,
    /// As the server sees fit.
    #[default]
    Auto,
}

/// Which noise is taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(crate = "serde", rename_all = "snake_case")]
#[schemars(crate = "plugin_api::schemars")]
pub enum NoiseReduction {
    /// That of a telephone at the ear.
    #[default]
    NearField,
    /// That of a telephone on the table.
    FarField,
    /// None.
    None,
}

/// What holds for a conversation in real time as for one turn by turn.
#[derive(Debug, Clone)]
pub struct Common {
    /// Who the assistant is and how it behaves, in words for the model.
    pub persona: String,
    /// The first words of a call.
    pub greeting: String,
    /// The language that is spoken and heard, such as `de-DE`.
    pub language: String,
    /// Whom a call may be transferred to: numbers by the names that the model knows them by.
    pub transfer: BTreeMap<String, String>,
    /// How many tokens of what is known of the caller the model is told.
    pub memory_tokens: u32,
    /// The longest call.
    pub call_time_limit: Duration,
}

/// The settings, checked and complete.
#[derive(Debug, Clone)]
pub struct Config {
    pub common: Common,
    pub model: Option<String>,
    pub voice: String,
    pub speed: f64,
    pub max_output_tokens: Option<u32>,
    pub listening: Listening,
    pub idle_questions: u32,
    pub transcription_model: String,
    pub noise_reduction: NoiseReduction,
    pub memory_timeout: Duration,
    pub tool_timeout: Duration,
    pub tool_result_bytes: usize,
    /// `None`: never.
    pub filler_after: Option<Duration>,
    pub session_limit: Duration,
    pub renewal_margin: Duration,
    pub reconnect_attempts: u32,
    pub reconnect_time: Duration,
    pub connect_timeout: Duration,
    pub prepared_sessions: usize,
    pub prepared_time: Duration,
}

/// How speech is found.
#[derive(Debug, Clone, PartialEq)]
pub enum Listening {
    /// By silence.
    Silence { threshold: f64, prefix_ms: u64, silence_ms: u64, idle_ms: Option<u64> },
    /// By what was said.
    Meaning { eagerness: Eagerness },
}

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings, common: Common) -> Result<Self, Failure> {
        let limit = positive("session_limit", settings.session_limit, LONGEST_SESSION)?;
        let margin = positive("renewal_margin", settings.renewal_margin, limit.min(LONGEST_SESSION) / 12)?;
        if margin >= limit {
            let words = format!("it is {margin:?}: expected less than `session_limit`, which is {limit:?}");
            return Err(wrong("renewal_margin", &words));
        }
        Ok(Self {
            speed: within("speed", settings.speed, 1.0, 0.25..=1.5)?,
            listening: listening(&settings)?,
            voice: settings.voice.unwrap_or_else(|| "marin".to_owned()),
            transcription_model: settings
                .transcription_model
                .unwrap_or_else(|| defaults::TRANSCRIPTION.to_owned()),
            idle_questions: settings.idle_questions.unwrap_or(3).into(),
            noise_reduction: settings.noise_reduction.unwrap_or_default(),
            memory_timeout: positive("memory_timeout", settings.memory_timeout, 2 * SECOND)?,
            tool_timeout: positive("tool_timeout", settings.tool_timeout, 30 * SECOND)?,
            tool_result_bytes: settings.tool_result_bytes.unwrap_or(8192),
            filler_after: settings
                .filler_after
                .map_or(Some(2 * SECOND), |span| Some(span.0).filter(|time| !time.is_zero())),
            session_limit: limit,
            renewal_margin: margin,
            reconnect_attempts: settings.reconnect_attempts.unwrap_or(4).into(),
            reconnect_time: positive("reconnect_time", settings.reconnect_time, 12 * SECOND)?,
            connect_timeout: positive("connect_timeout", settings.connect_timeout, 5 * SECOND)?,
            prepared_sessions: settings.prepared_sessions.unwrap_or(8),
            prepared_time: positive("prepared_time", settings.prepared_time, MINUTE / 2)?,
            model: settings.model,
            max_output_tokens: settings.max_output_tokens,
            common,
        })
    }
}

fn listening(settings: &Settings) -> Result<Listening, Failure> {
    let idle_ms = settings.idle.map(|idle| millis(idle.0));
    if settings.vad.unwrap_or_default() == Vad::SemanticVad {
        if idle_ms.is_some() {
            return Err(wrong(
                "idle",
                "only `server_vad` has it: leave it out, or set `vad` to `server_vad`",
            ));
        }
        return Ok(Listening::Meaning { eagerness: settings.vad_eagerness.unwrap_or_default() });
    }
    if let Some(idle) = idle_ms.filter(|idle| !(5_000..=30_000).contains(idle)) {
        return Err(wrong("idle", &format!("it is {idle} ms: expected `5s` to `30s`")));
    }
    let span = |span: Option<Span>, default: u64| span.map_or(default, |span| millis(span.0));
    let silence_ms = span(settings.vad_silence, 500);
    if silence_ms == 0 {
        return Err(wrong("vad_silence", "it is 0: expected such as `500ms`"));
    }
    Ok(Listening::Silence {
        threshold: within("vad_threshold", settings.vad_threshold, 0.5, 0.0..=1.0)?,
        prefix_ms: span(settings.vad_prefix, 300),
        silence_ms,
        idle_ms,
    })
}

fn within(
    key: &str,
    value: Option<f64>,
    default: f64,
    range: std::ops::RangeInclusive<f64>,
) -> Result<f64, Failure> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(wrong(key, &format!("it is {value}: expected {} to {}", range.start(), range.end())))
}

fn positive(key: &str, span: Option<Span>, default: Duration) -> Result<Duration, Failure> {
    match span {
        Some(Span(Duration::ZERO)) => Err(wrong(key, "it is 0: expected a positive time, such as `10s`")),
        Some(Span(span)) => Ok(span),
        None => Ok(default),
    }
}

fn wrong(key: &str, words: &str) -> Failure {
    let setting = format!("realtime.{key}");
    Failure::config_invalid(format!("`{setting}`: {words}")).setting(setting)
}

/// In whole milliseconds.
pub fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
