//! Twilio's side of a media stream without a socket: frames as Twilio writes them, with their numbers and times, and its
//! playback. Time passes when it is told so.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::playback::Playback;

/// The length of a frame.
pub const FRAME_MS: u64 = 20;
/// Its bytes.
pub const FRAME: usize = 160;
/// Silence in mu-law.
pub const SILENCE: u8 = 0xff;

const ACCOUNT: &str = "AC0000000000000000000000000000000a";

/// One stream.
#[derive(Debug, Default)]
pub struct Simulation {
    call: String,
    stream: String,
    parameters: Map<String, Value>,
    /// What it plays.
    pub playback: Playback,
    /// Frames of audio that were sent.
    pub sent: u64,
    sequence: u64,
    at_ms: u64,
}

impl Simulation {
    /// Of this call, with these custom parameters.
    pub fn new(call: &str, stream: &str, parameters: &[(String, String)]) -> Self {
        let parameters =
            parameters.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Self {
            call: call.to_owned(),
            stream: stream.to_owned(),
            parameters,
            playback: Playback::new(stream),
            sent: 0,
            sequence: 0,
            at_ms: 0,
        }
    }

    /// The carrier's clock: when the next frame begins.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// The first frame.
    pub fn connected(&self) -> String {
        json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" }).to_string()
    }

    /// The second.
    pub fn start(&mut self) -> String {
        let start = json!({
            "accountSid": ACCOUNT, "streamSid": self.stream, "callSid": self.call, "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
            "customParameters": self.parameters,
        });
        self.frame("start", start)
    }

    /// The caller's audio for the next 20 ms; what is shorter is made up by silence.
    pub fn media(&mut self, audio: &[u8]) -> String {
        let mut audio = audio.to_vec();
        audio.resize(FRAME, SILENCE);
        self.sent += 1;
        let media = json!({
            "track": "inbound", "chunk": self.sent.to_string(), "timestamp": self.at_ms.to_string(),
            "payload": STANDARD.encode(&audio),
        });
        self.at_ms += FRAME_MS;
        self.frame("media", media)
    }

    /// So much of the caller's audio never comes.
    pub fn lose(&mut self, milliseconds: u64) {
        self.at_ms += milliseconds;
    }

    /// The caller presses a key.
    pub fn digit(&mut self, digit: char) -> String {
        self.frame("dtmf", json!({ "track": "inbound_track", "digit": digit.to_string() }))
    }

    /// The last frame.
    pub fn stop(&mut self) -> String {
        let stop = json!({ "accountSid": ACCOUNT, "callSid": self.call });
        self.frame("stop", stop)
    }

    /// A frame came: the marks that come back because of it.
    pub fn take(&mut self, text: &str) -> Vec<String> {
        let marks = self.playback.take(text);
        self.marks(marks)
    }

    /// Time passes: the marks that playback comes to.
    pub fn pass(&mut self, milliseconds: u64) -> Vec<String> {
        let marks = self.playback.play(milliseconds);
        self.marks(marks)
    }

    fn marks(&mut self, names: Vec<String>) -> Vec<String> {
        names.into_iter().map(|name| self.frame("mark", json!({ "name": name }))).collect()
    }

    fn frame(&mut self, event: &str, what: Value) -> String {
        self.sequence += 1;
        json!({ "event": event, "sequenceNumber": self.sequence.to_string(), "streamSid": self.stream, event: what })
            .to_string()
    }
}
