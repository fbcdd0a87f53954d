//! What a realtime session tells of us: a refusal that comes only after the socket was opened, and that an answer was made
//! after all. Every other frame passes unread.

use plugin_api::{
    error::ErrorKind,
    protocol::CloseReason,
    requests::openai::RealtimeClose,
    serde_json::{self, Value, json},
};

use crate::trouble::{
    Trouble,
    connecting::Way,
    status::{Refusal, refused_in_session},
};

/// The type of an event stands near its beginning; sound is never searched.
const HEAD: usize = 256;

/// What an event tells.
pub enum Sign {
    /// The server refuses us, whatever is asked in this session.
    Refused(Box<Trouble>),
    /// The model answered.
    Answered,
}

/// What this event tells of us, if anything.
pub fn sign(text: &str, way: Way<'_>) -> Option<Sign> {
    let head = &text[..text.floor_char_boundary(HEAD)];
    if !head.contains("\"error\"") && !head.contains("response.done") {
        return None;
    }
    let event: Value = serde_json::from_str(text).ok()?;
    let error = match event.get("type")?.as_str()? {
        "error" => event.get("error")?,
        "response.done" => match event.pointer("/response/status")?.as_str()? {
            "completed" => return Some(Sign::Answered),
            "failed" => event.pointer("/response/status_details/error")?,
            _ => return None,
        },
        _ => return None,
    };
    let refusal = Refusal::of(&json!({ "error": error }));
    refused_in_session(way, &refusal).map(Box::new).map(Sign::Refused)
}

/// How the stream ends when the server closed the socket: the end of its time is nobody's fault, what it could not read is
/// the caller's, and a refusal of us is ours.
pub fn closed(close: RealtimeClose, words: String, way: Way<'_>) -> CloseReason {
    let code = close.close_reason.split(['.', ' ', ':']).find(|word| word.contains('_')).unwrap_or_default();
    let refusal = Refusal::of(&json!({ "error": { "code": code } }));
    let is_of_the_request = code == "invalid_request_error";
    let (is_away, trouble) = (close.close_code == RealtimeClose::AWAY, refused_in_session(way, &refusal));
    let mut reason = close.into_reason(words);
    if let Some(error) = &mut reason.error {
        match trouble {
            Some(trouble) => error.trouble = trouble.fault(),
            None if is_away => error.kind = ErrorKind::Cancelled,
            None if is_of_the_request => error.kind = ErrorKind::Invalid,
            None => {}
        }
    }
    reason
}
