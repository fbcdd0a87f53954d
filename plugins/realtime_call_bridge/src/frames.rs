//! Twilio's frames: JSON text -> what it tells, and what it is told -> JSON text. Nothing but `media`, `mark` and `clear`
//! ever goes to Twilio: anything else is its error 31924. Unknown frames, which it may send one day, are no error.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_api::{
    serde::{Deserialize, de::DeserializeOwned},
    serde_json::{self, Value, json},
};

/// What Twilio tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The first frame of a connection.
    Connected,
    /// The second: which call it is.
    Start(Box<Start>),
    /// Audio of the caller, and when it belongs, in milliseconds since the stream began.
    Media { at_ms: Option<u64>, audio: Vec<u8> },
    /// Playback has come to this mark, or the buffer was cleared.
    Mark(String),
    /// The caller pressed a key.
    Digit(char),
    /// The stream ends.
    Stop,
}

/// Which call it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(crate = "plugin_api::serde", rename_all = "camelCase", default)]
pub struct Start {
    pub stream_sid: String,
    pub call_sid: String,
    pub media_format: MediaFormat,
    pub custom_parameters: serde_json::Map<String, Value>,
}

/// How the audio is encoded.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(crate = "plugin_api::serde", rename_all = "camelCase", default)]
pub struct MediaFormat {
    pub encoding: String,
    pub sample_rate: u32,
    pub channels: u32,
}

#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct Event {
    event: String,
}

#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct OfMedia {
    media: Media,
}

/// Twilio writes numbers as strings.
#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct Media {
    #[serde(default)]
    track: Option<String>,
    #[serde(default)]
    timestamp: Option<Value>,
    payload: String,
}

#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct OfMark {
    mark: Mark,
}

#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct Mark {
    name: String,
}

#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct OfDigit {
    dtmf: Digit,
}

#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct Digit {
    digit: char,
}

#[derive(Deserialize)]
#[serde(crate = "plugin_api::serde")]
struct OfStart {
    start: Start,
}

/// What a frame tells; `None` if it is nothing that is known here, or nothing that can be read.
pub fn read(text: &str) -> Option<Told> {
    match parse::<Event>(text)?.event.as_str() {
        // By far the most frequent.
        "media" => heard(parse::<OfMedia>(text)?.media),
        "mark" => Some(Told::Mark(parse::<OfMark>(text)?.mark.name)),
        "dtmf" => {
            let digit = parse::<OfDigit>(text)?.dtmf.digit;
            matches!(digit, '0'..='9' | '*' | '#').then_some(Told::Digit(digit))
        }
        "start" => Some(Told::Start(Box::new(parse::<OfStart>(text)?.start))),
        "connected" => Some(Told::Connected),
        "stop" => Some(Told::Stop),
        _ => None,
    }
}

/// Audio for the caller.
pub fn media(stream: &str, audio: &[u8]) -> String {
    let payload = STANDARD.encode(audio);
    format!(r#"{{"event":"media","streamSid":"{stream}","media":{{"payload":"{payload}"}}}}"#)
}

/// A mark behind the audio that was sent so far.
pub fn mark(stream: &str, name: &str) -> String {
    json!({ "event": "mark", "streamSid": stream, "mark": { "name": name } }).to_string()
}

/// Throws away what was not played yet.
pub fn clear(stream: &str) -> String {
    json!({ "event": "clear", "streamSid": stream }).to_string()
}

/// A bidirectional stream carries the caller alone; whatever else it carries is not for the model's ears.
fn heard(media: Media) -> Option<Told> {
    if media.track.is_some_and(|track| track != "inbound") {
        return None;
    }
    let at_ms = media.timestamp.and_then(|timestamp| match timestamp {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    });
    Some(Told::Media { at_ms, audio: STANDARD.decode(media.payload).ok()? })
}

fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}
