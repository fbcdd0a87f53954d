//! What the `realtime_call_bridge` plugin offers beside the media stream itself: which calls are on this host, how to end
//! one, and how to see again what happened on one that was recorded.

use crate::{
    message,
    requests::{Request, voice::MediaReport},
};

/// The TwiML parameter that carries what [`crate::requests::voice::Session::token`] says.
pub const TOKEN_PARAMETER: &str = "token";

/// Asks for the calls whose media is on this host now.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListCalls {}

impl Request for ListCalls {
    const OPERATION: &'static str = "list_calls";
    type Response = BridgedCalls;
}

/// Calls, the oldest first.
#[message]
#[derive(PartialEq, Eq)]
pub struct BridgedCalls {
    /// The calls.
    pub calls: Vec<BridgedCall>,
}

/// A call in progress.
#[message]
#[derive(PartialEq, Eq)]
pub struct BridgedCall {
    /// The call, `CA…`.
    pub call: String,
    /// Its media stream, `MZ…`.
    pub stream: String,
    /// When the stream began: RFC 3339, UTC.
    pub began_at: String,
    /// Milliseconds of audio that were sent to Twilio, and that the caller has not heard yet for sure.
    pub unheard_ms: u64,
    /// Milliseconds of audio that wait here.
    pub queued_ms: u64,
    /// Whether the conversation is being brought to its end.
    pub finishing: bool,
    /// How its audio has gone so far; the reason is empty.
    pub media: MediaReport,
}

/// Ends a call. With `twilio_service` the caller's line is ended; without it only the media stream, and the call goes on
/// as the TwiML that follows says.
///
/// # Errors
/// `not_found`: no such call is on this host.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct HangUp {
    /// The call, `CA…`.
    pub call: String,
}

impl Request for HangUp {
    const OPERATION: &'static str = "hang_up";
    type Response = HungUp;
}

/// A call that was ended.
#[message]
#[derive(PartialEq, Eq)]
pub struct HungUp {
    /// The call.
    pub call: String,
    /// Whether Twilio was told to end the line, too.
    pub line_ended: bool,
    /// Why it was not, if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// Feeds a recorded call to the core of the bridge again, and compares every frame that it sends with what was sent then.
///
/// # Errors
/// `not_found`: no such recording; the message names those there are. `invalid`: it is no recording.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The name of its file in the folder of recordings, such as `MZ….jsonl`.
    pub recording: String,
}

impl Request for Replay {
    const OPERATION: &'static str = "replay";
    type Response = Replayed;
}

/// How a recording and the core agree.
#[message]
#[derive(PartialEq, Eq)]
pub struct Replayed {
    /// The recording.
    pub recording: String,
    /// So many frames and moments were fed.
    pub fed: u64,
    /// So many frames were sent, and agreed.
    pub agreed: u64,
    /// Whether the recording ends before the call did: it grew too large, the disk was too slow, or the host was killed.
    pub truncated: bool,
    /// The first frame that differs; absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// Where a recording and the core part.
#[message]
#[derive(PartialEq, Eq)]
pub struct Difference {
    /// The line of the recording.
    pub line: u64,
    /// The moment on the media clock, in milliseconds.
    pub media_ms: u64,
    /// What was sent then; absent if nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
    /// What the core sends now; absent if it sends nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<String>,
}
