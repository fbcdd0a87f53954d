//! The server events of OpenAI's Realtime API (GA), read leniently: every field may be missing, what is not known is kept
//! beside what is, and what is not understood at all is kept as it came. Nothing is refused but what is no event.

use plugin_api::{
    serde::{self, Deserialize, Serialize, de::DeserializeOwned},
    serde_json::{self, Map, Value},
};

/// What this version does not know of an event.
type Rest = Map<String, Value>;

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(crate = "serde", untagged)]
pub enum ServerEvent {
    /// `error`
    Error(Refusal),
    /// `session.created`, `session.updated`
    Session(SessionState),
    /// `input_audio_buffer.speech_started`
    SpeechStarted(Speech),
    /// `input_audio_buffer.speech_stopped`
    SpeechStopped(Speech),
    /// `input_audio_buffer.timeout_triggered`
    Timeout(Speech),
    /// `input_audio_buffer.committed`
    Committed(Named),
    /// `conversation.item.added`, and `.done` and `.created`, which some servers send instead
    Item(ItemState),
    /// `conversation.item.input_audio_transcription.completed`
    Transcribed(Transcript),
    /// `conversation.item.input_audio_transcription.failed`
    NotTranscribed(Named),
    /// `response.created`
    ResponseCreated(ResponseState),
    /// `response.done`
    ResponseDone(ResponseState),
    /// `response.output_audio.delta`
    Audio(Delta),
    /// `response.output_audio.done`
    AudioDone(Named),
    /// `response.output_audio_transcript.delta`
    Words(Delta),
    /// `response.output_audio_transcript.done`
    WordsDone(Transcript),
    /// Any other, and a known one of another form.
    Unknown(Value),
}

/// Something was refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct Refusal {
    pub error: ErrorBody,
    #[serde(flatten)]
    pub rest: Rest,
}

/// Why.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct ErrorBody {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The client event that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// The session as the server has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde")]
pub struct SessionState {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub session: Value,
    #[serde(flatten)]
    pub rest: Rest,
}

/// Speech begins, ends, or is waited for in vain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct Speech {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_start_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_end_ms: Option<u64>,
    pub item_id: String,
    #[serde(flatten)]
    pub rest: Rest,
}

/// Something happened to an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde")]
pub struct Named {
    pub item_id: String,
    #[serde(flatten)]
    pub rest: Rest,
}

/// An item of the conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct ItemState {
    pub item: Item,
    #[serde(flatten)]
    pub rest: Rest,
}

/// A message, a call, or what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct Item {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// All words of an item.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct Transcript {
    pub item_id: String,
    pub transcript: String,
    #[serde(flatten)]
    pub rest: Rest,
}

/// More of an item: words, or audio in base64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde")]
pub struct Delta {
    pub response_id: String,
    pub item_id: String,
    pub delta: String,
    #[serde(flatten)]
    pub rest: Rest,
}

/// An answer begins, or ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct ResponseState {
    pub response: Response,
    #[serde(flatten)]
    pub rest: Rest,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct Response {
    pub id: String,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_details: Option<StatusDetails>,
    pub output: Vec<Item>,
    #[serde(flatten)]
    pub rest: Rest,
}

/// Why an answer ended so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "serde", default)]
pub struct StatusDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
    #[serde(flatten)]
    pub rest: Rest,
}

impl ServerEvent {
    /// Reads a text frame.
    ///
    /// # Errors
    /// Why it is no event at all.
    pub fn read(text: &str) -> Result<Self, String> {
        let body: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        // One of OpenAI's own examples has a space before it.
        let Some(kind) = body["type"].as_str().map(|kind| kind.trim().to_owned()) else {
            return Err("it has no `type`".to_owned());
        };
        Ok(Self::known(&kind, &body).unwrap_or(Self::Unknown(body)))
    }

    fn known(kind: &str, body: &Value) -> Option<Self> {
        Some(match kind {
            "error" => Self::Error(read(body)?),
            "session.created" | "session.updated" => Self::Session(read(body)?),
            "input_audio_buffer.speech_started" => Self::SpeechStarted(read(body)?),
            "input_audio_buffer.speech_stopped" => Self::SpeechStopped(read(body)?),
            "input_audio_buffer.timeout_triggered" => Self::Timeout(read(body)?),
            "input_audio_buffer.committed" => Self::Committed(read(body)?),
            "conversation.item.added" | "conversation.item.done" | "conversation.item.created" => {
                Self::Item(read(body)?)
            }
            "conversation.item.input_audio_transcription.completed" => Self::Transcribed(read(body)?),
            "conversation.item.input_audio_transcription.failed" => Self::NotTranscribed(read(body)?),
            "response.created" => Self::ResponseCreated(read(body)?),
            "response.done" => Self::ResponseDone(read(body)?),
            "response.output_audio.delta" => Self::Audio(read(body)?),
            "response.output_audio.done" => Self::AudioDone(read(body)?),
            "response.output_audio_transcript.delta" => Self::Words(read(body)?),
            "response.output_audio_transcript.done" => Self::WordsDone(read(body)?),
            _ => return None,
        })
    }
}

fn read<T: DeserializeOwned>(body: &Value) -> Option<T> {
    T::deserialize(body).ok()
}
