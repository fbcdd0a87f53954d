//! The settings as plugins.toml gives them -> [`Config`], checked. No I/O.

use plugin_api::{prelude::*, settings::Span};

use crate::machine::Limits;

/// How calls are carried.
#[plugin_api::settings]
pub struct Settings {
    /// Whether `/media/twilio` opens only to what Twilio signed. Without it, for proxies that break the signature of
    /// WebSockets, the token alone protects: it is of one call, and good once.
    #[serde(default = "require_signature")]
    pub require_signature: bool,
    /// How many calls this host carries at once.
    #[serde(default = "max_calls")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_calls: u32,
    /// How long a new connection may take until it has said which call it is.
    #[serde(default = "start_timeout")]
    pub start_timeout: Span,
    /// How long the conversation may take to begin.
    #[serde(default = "session_timeout")]
    pub session_timeout: Span,
    /// How long neither side may say anything.
    #[serde(default = "idle_timeout")]
    pub idle_timeout: Span,
    /// How long Twilio may send no audio at all.
    #[serde(default = "media_timeout")]
    pub media_timeout: Span,
    /// How long a call may last.
    #[serde(default = "max_duration")]
    pub max_duration: Span,
    /// How much audio may be with Twilio that the caller has not heard yet.
    #[serde(default = "ahead")]
    pub ahead: Span,
    /// How much more audio is kept here, before the conversation has to wait. Then an interruption waits with it, until
    /// the caller has heard as much: less than a conversation says at once makes interruptions late.
    #[serde(default = "queue")]
    pub queue: Span,
    /// Audio that is missing for so long while the caller speaks is replaced by silence, so that their turn can end.
    #[serde(default = "speech_gap")]
    pub speech_gap: Span,
    /// Whether calls are recorded, frame by frame, for `replay`. A recording holds what was said, and the keys that were
    /// pressed.
    #[serde(default)]
    pub record: bool,
    /// How large one recording may grow, in megabytes.
    #[serde(default = "recording_megabytes")]
    #[schemars(range(min = 1, max = 10000))]
    pub recording_megabytes: u32,
    /// How many recordings are kept; the oldest go first.
    #[serde(default = "recordings_kept")]
    #[schemars(range(min = 1, max = 100000))]
    pub recordings_kept: u32,
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub require_signature: bool,
    pub max_calls: usize,
    pub start_timeout: Duration,
    pub session_timeout: Duration,
    pub limits: Limits,
    pub recording: Option<Recording>,
}

/// What may be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recording {
    pub bytes: u64,
    pub kept: usize,
}

/// Less would starve playback between two marks that come back.
const SHORTEST_AHEAD: Duration = Duration::from_secs(1);

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings) -> Result<Self, Failure> {
        let spans = [
            ("start_timeout", settings.start_timeout),
            ("session_timeout", settings.session_timeout),
            ("idle_timeout", settings.idle_timeout),
            ("media_timeout", settings.media_timeout),
            ("max_duration", settings.max_duration),
            ("speech_gap", settings.speech_gap),
        ];
        if let Some((key, _)) = spans.into_iter().find(|(_, span)| span.0.is_zero()) {
            let message = format!("`{key}` is 0: expected a positive time, such as `10s`");
            return Err(Failure::config_invalid(message).setting(key));
        }
        if settings.ahead.0 < SHORTEST_AHEAD {
            let message = format!(
                "`ahead` is {:?}: the caller would hear gaps, give it {SHORTEST_AHEAD:?} or more",
                settings.ahead
            );
            return Err(Failure::config_invalid(message).setting("ahead"));
        }
        Ok(Self {
            require_signature: settings.require_signature,
            max_calls: settings.max_calls as usize,
            start_timeout: settings.start_timeout.0,
            session_timeout: settings.session_timeout.0,
            limits: limits(&settings),
            recording: settings.record.then(|| Recording {
                bytes: u64::from(settings.recording_megabytes) << 20,
                kept: settings.recordings_kept as usize,
            }),
        })
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        ahead_ms: millis(settings.ahead),
        queue_ms: millis(settings.queue),
        speech_gap_ms: millis(settings.speech_gap),
        idle_ms: millis(settings.idle_timeout),
        media_ms: millis(settings.media_timeout),
        longest_ms: millis(settings.max_duration),
    }
}

fn millis(span: Span) -> u64 {
    u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)
}

fn require_signature() -> bool {
    true
}

fn max_calls() -> u32 {
    200
}

fn start_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn session_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn idle_timeout() -> Span {
    Span(Duration::from_secs(120))
}

fn media_timeout() -> Span {
    Span(Duration::from_secs(30))
}

fn max_duration() -> Span {
    Span(Duration::from_secs(2 * 3600))
}

fn ahead() -> Span {
    Span(Duration::from_secs(10))
}

/// As much as a conversation of `voice_assistant` keeps at most.
fn queue() -> Span {
    Span(Duration::from_secs(8 * 60))
}

fn speech_gap() -> Span {
    Span(Duration::from_millis(750))
}

fn recording_megabytes() -> u32 {
    16
}

fn recordings_kept() -> u32 {
    50
}
