//! What the `voice_assistant` plugin offers: telephone calls that are answered, placed, kept and shown; and the
//! conversation of a call that is carried in real time.
//!
//! Moments are milliseconds since 1970, UTC, where nothing else is said.
//!
//! [`SESSION`] is a stream between whoever carries the call's audio, the bridge, and the conversation. Both ends speak
//! as follows; moments on it are milliseconds of audio since the call's media stream began, whatever the wall clock says.
//!
//! | from | frame | what |
//! |---|---|---|
//! | bridge | binary | the caller's audio, G.711 mu-law, 8,000 Hz, mono: 8 bytes a millisecond, in order and without gaps |
//! | bridge | text | a [`BridgeEvent`] |
//! | session | binary | audio for the caller: [`spoken`] |
//! | session | text | a [`SessionEvent`] |

use super::{
    memory::Speaker,
    orchestrator::{RunReport, RunState},
    twilio::Media,
};
use crate::{message, requests::Request};

/// The route that Twilio asks what to do with a call. Later routes of the same call are below it.
pub const VOICE_PATH: &str = "/webhooks/twilio/voice";

/// The WebSocket that Twilio carries the audio of a call to.
pub const MEDIA_PATH: &str = "/media/twilio";

/// The stream operation that takes a [`Session`] and is the conversation of one call. It is taken when the token is
/// redeemed, and refused with:
///
/// | kind | when |
/// |---|---|
/// | `denied` | the token is of another call, was used, or has expired |
/// | `unavailable`, `overloaded`, `deadline` | the database, or the model; nothing was begun |
pub const SESSION: &str = "session";

/// Begins the conversation of a call, once.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The call, `CA…`.
    pub call: String,
    /// Its media stream, `MZ…`.
    pub stream: String,
    /// What the TwiML of the call's webhook gave to the media stream.
    pub token: String,
}

/// What the bridge tells the session.
#[message]
#[derive(PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BridgeEvent {
    /// Answers one [`SessionEvent::Interrupt`]: what was on its way to the caller is cleared. It also comes unasked, before
    /// [`BridgeEvent::Ended`], when the call ends and something was not heard to its end.
    Interrupted {
        /// Every utterance that the caller did not hear to its end, in order. Nothing that was not heard counts.
        heard: Vec<Heard>,
        /// How long after the caller began to speak the clearing was sent; there if the interrupt had `speech_at_ms`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<u64>,
    },
    /// The caller heard the utterance to its end.
    Played {
        /// Its number.
        utterance: u32,
    },
    /// The first audio of an answer went to the caller.
    FirstAudio {
        /// The utterance that it belongs to.
        utterance: u32,
        /// How long after the caller had stopped speaking.
        after_ms: u64,
    },
    /// The caller pressed a key.
    Digit {
        /// `0` to `9`, `*` or `#`.
        digit: char,
    },
    /// The call is over: the last event.
    Ended(MediaReport),
}

/// How much of an utterance was heard.
#[message]
#[derive(Copy, PartialEq, Eq)]
pub struct Heard {
    /// Its number.
    pub utterance: u32,
    /// So many milliseconds of it were played to the caller for sure; never more than were sent.
    pub heard_ms: u64,
    /// So many were sent.
    pub sent_ms: u64,
}

/// How the audio of a call went.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct MediaReport {
    /// Why it ended, in words: `the caller hung up`.
    pub reason: String,
    /// The call is to end with it, unless it was said otherwise how it goes on: the bridge keeps Twilio from asking for a
    /// moment, until the session has closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_call: bool,
    /// Milliseconds of audio that came from the caller, padding not counted.
    pub received_ms: u64,
    /// Milliseconds of silence that stand for audio that the carrier lost.
    pub padded_ms: u64,
    /// Milliseconds of audio that were sent to the caller.
    pub sent_ms: u64,
    /// Of these, milliseconds that were cleared before they were heard.
    pub cleared_ms: u64,
    /// Pieces of audio that came too late, after their answer was interrupted, and were thrown away.
    pub discarded: u64,
}

/// What the session tells the bridge.
#[message]
#[derive(PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SessionEvent {
    /// An utterance begins; its audio follows. Numbers count up from 1.
    Utterance {
        /// Its number.
        utterance: u32,
        /// The answer that it is a part of; these count up, too. An interrupt ends every answer that was begun before it:
        /// what else comes of them is thrown away.
        response: u32,
    },
    /// All audio of the utterance was sent.
    UtteranceDone {
        /// Its number.
        utterance: u32,
    },
    /// Throw away what the caller has not heard yet, and say how much they heard: they have begun to speak, whether
    /// anything is on its way or not, or the session has thought better of it.
    Interrupt {
        /// When the caller began to speak.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        speech_at_ms: Option<u64>,
    },
    /// The caller has stopped speaking.
    SpeechStopped {
        /// When.
        at_ms: u64,
    },
    /// Let the caller hear what is on its way, then end the media stream. How the call goes on, the TwiML that follows
    /// decides.
    Finish {},
}

/// A binary frame of the session: the utterance's number, four bytes, the most significant first, then mu-law audio.
pub fn spoken(utterance: u32, audio: &[u8]) -> Vec<u8> {
    [&utterance.to_be_bytes(), audio].concat()
}

/// The utterance's number and the audio of a binary frame; `None` if it is too short to be one.
pub fn read_spoken(frame: &[u8]) -> Option<(u32, &[u8])> {
    let (number, audio) = frame.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), audio))
}

/// One turn of a conversation in text, answered as on the phone: the same persona, tools and memory. With an idempotency
/// key it is answered once.
///
/// # Errors
/// `invalid`: the request, or it is on behalf of nobody. The others as `run` of `orchestrator_service`.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// What the person says.
    pub text: String,
}

impl Request for Respond {
    const OPERATION: &'static str = "respond";
    type Response = Responded;
}

/// How far an answer is.
#[message]
#[derive(PartialEq, Eq)]
pub struct Responded {
    /// The run that answers; `fetch_run` of `orchestrator_service` tells how it goes on.
    pub run: String,
    /// How far it is.
    pub state: RunState,
    /// What is answered, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why there will be no answer, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<RunReport> for Responded {
    fn from(report: RunReport) -> Self {
        Self { run: report.run, state: report.state, answer: report.answer, error: report.error }
    }
}

/// Rings somebody up, and has the assistant pursue an objective with them. With an idempotency key it rings once.
///
/// # Errors
/// - `denied`: on behalf of a person, `to` is somebody else.
/// - `conflict`: the idempotency key was used for another call.
/// - `unavailable`: the database, Twilio, or the public address of the host is missing; nobody was called.
/// - The others as `place_call` of `twilio_service`.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CallPerson {
    /// Whom to ring up, as `+15551234567`. Leave it out: it is the person of this conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What the call is to reach, in words for whoever will speak.
    pub objective: String,
    /// The first words, once they answer. Left out, those of the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<String>,
    /// The message for an answering machine. Left out, that of the settings; without either, the call is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long to let it ring, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600))]
    pub ring_seconds: Option<u32>,
}

impl Request for CallPerson {
    const OPERATION: &'static str = "call_person";
    type Response = CalledPerson;
}

/// Twilio rings them up; `show_call` tells how it goes.
#[message]
#[derive(PartialEq, Eq)]
pub struct CalledPerson {
    /// The call, `CA…`.
    pub call: String,
    /// Its status at Twilio then, such as `queued`.
    pub status: String,
    /// An earlier request with the same idempotency key placed it.
    pub repeated: bool,
}

/// Connects the call that the person is in with somebody else, as soon as the assistant has spoken its answer.
///
/// # Errors
/// `not_found`: there is nobody of this name; the message lists who there is. `conflict`: the person is in no call.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct TransferCall {
    /// To whom: one of the names that the settings allow.
    pub to: String,
}

impl Request for TransferCall {
    const OPERATION: &'static str = "transfer_call";
    type Response = ();
}

/// Ends the call that the person is in, as soon as the assistant has spoken its answer. Operators name the call, and it
/// ends at once.
///
/// # Errors
/// `conflict`: the person is in no call, or it is over.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct EndCall {
    /// The call, for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
}

impl Request for EndCall {
    const OPERATION: &'static str = "end_call";
    type Response = ();
}

/// Sends the caller of the call a code by SMS, to the number that they call from, so that they can prove that it is theirs.
/// At most 3 in a call, and 10 a day to one number.
///
/// # Errors
/// `denied`: it is certain who they are, they show no number, or they were sent as many as they may be. `conflict`: the
/// person is in no call. `unavailable`: the database. The others as `send_message` of `twilio_service`.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SendCode {}

impl Request for SendCode {
    const OPERATION: &'static str = "send_code";
    type Response = SentCode;
}

/// It is on its way.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct SentCode {}

/// Checks what the caller says the code is. Each may be tried 3 times within 5 minutes.
///
/// # Errors
/// `denied`: no code is valid any more. `conflict`: the person is in no call. `unavailable`: the database.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CheckCode {
    /// The digits that the caller says or presses.
    pub code: String,
}

impl Request for CheckCode {
    const OPERATION: &'static str = "check_code";
    type Response = CheckedCode;
}

/// What came of it.
#[message]
#[derive(PartialEq, Eq)]
pub struct CheckedCode {
    /// It is the right one: from the caller's next words on they are known.
    pub proven: bool,
    /// How often it may still be tried, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_left: Option<u32>,
}

/// How a call was answered.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CallWay {
    /// It was not answered yet.
    None,
    /// In real time.
    Realtime,
    /// Turn by turn: Twilio hears and speaks.
    Turns,
    /// By a request for a message.
    Voicemail,
}

/// Lists calls, the newest first. On behalf of a person, only their own.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListCalls {
    /// Only those with this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Only those that are in progress, or only those that are over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<bool>,
    /// At most so many, 1 to 200; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// [`CallList::next`] of an answer, to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Request for ListCalls {
    const OPERATION: &'static str = "list_calls";
    type Response = CallList;
}

/// Some of the calls.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct CallList {
    /// The calls.
    pub calls: Vec<CallSummary>,
    /// There are more: give it as `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A call in a list.
#[message]
#[derive(PartialEq, Eq)]
pub struct CallSummary {
    /// The call, `CA…`.
    pub call: String,
    /// Whether we placed it.
    pub outbound: bool,
    /// The number of the other side, as Twilio gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The person, if the number is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// What it was to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// How it was answered, last.
    pub way: CallWay,
    /// Whether it is in progress.
    pub live: bool,
    /// How it went, in words; left out as long as there is nothing to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Who answered, as Twilio names it, where that was to be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
    /// When it began.
    pub started_ms: i64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
}

/// Shows a call with all that was said and done in it. On behalf of a person, only their own.
///
/// # Errors
/// `not_found`: there is no such call.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ShowCall {
    /// The call, `CA…`.
    pub call: String,
}

impl Request for ShowCall {
    const OPERATION: &'static str = "show_call";
    type Response = CallRecord;
}

/// A call with all that was said and done in it.
#[message]
#[derive(PartialEq, Eq)]
pub struct CallRecord {
    /// The call.
    #[serde(flatten)]
    pub call: CallSummary,
    /// What happened, in order.
    pub entries: Vec<CallEntry>,
    /// There were more entries than are shown.
    #[serde(default)]
    pub truncated: bool,
    /// What was recorded of it: `fetch_recording` fetches it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<CallRecording>,
}

/// Something that happened in a call.
#[message]
#[derive(PartialEq, Eq)]
pub struct CallEntry {
    /// When.
    pub at_ms: i64,
    /// What.
    #[serde(flatten)]
    pub what: CallEvent,
}

/// What may happen in a call.
#[message]
#[derive(PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CallEvent {
    /// Somebody said something.
    Said {
        /// Who.
        speaker: Speaker,
        /// In words; in real time only what was heard.
        text: String,
        /// It was cut short by the caller.
        #[serde(default)]
        interrupted: bool,
        /// How long the caller waited for it, in milliseconds, where it was answered turn by turn.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        took_ms: Option<u64>,
    },
    /// A tool was called.
    Tool {
        /// `plugin.operation`.
        tool: String,
        /// As the model wrote them.
        arguments: String,
        /// What the model was told.
        result: String,
        /// Whether it did what it was to do.
        ok: bool,
        /// How long it took, in milliseconds; left out where nobody measured it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        took_ms: Option<u64>,
    },
    /// How long the caller waited for the first audio of an answer, on the media clock.
    FirstAudio {
        /// In milliseconds.
        after_ms: u64,
    },
    /// How long what was being said went on after the caller began to speak, on the media clock.
    Interruption {
        /// In milliseconds.
        after_ms: u64,
    },
    /// Something else, in words: how the audio went, why the conversation was taken up again.
    Note {
        /// For a person.
        text: String,
    },
}

/// A recording of a call.
#[message]
#[derive(PartialEq, Eq)]
pub struct CallRecording {
    /// Why nobody could be told of this message yet; it is retried, unless this says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_announced: Option<String>,
    /// The recording, `RE…`.
    pub recording: String,
    /// Whether it is a message that was left, or else the call itself.
    pub voicemail: bool,
    /// How long it is, in seconds.
    pub seconds: u32,
    /// When it was made.
    pub at_ms: i64,
}

/// Fetches a recording from Twilio, as a sound. Not on behalf of a person.
///
/// # Errors
/// `not_found`: no call here has it. The others as `fetch_media` of `twilio`.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FetchRecording {
    /// The recording, `RE…`.
    pub recording: String,
}

impl Request for FetchRecording {
    const OPERATION: &'static str = "fetch_recording";
    type Response = Media;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn audio_carries_its_utterance() {
        let frame = spoken(258, &[0xff, 0x7f]);
        assert_eq!(frame, [0, 0, 1, 2, 0xff, 0x7f]);
        assert_eq!(read_spoken(&frame), Some((258, &[0xff, 0x7f][..])));
        assert_eq!(read_spoken(&frame[..4]), Some((258, &[][..])));
        assert_eq!(read_spoken(&frame[..3]), None);
    }

    #[test]
    fn events_are_read_as_they_are_written() {
        let heard = vec![Heard { utterance: 3, heard_ms: 400, sent_ms: 900 }];
        let event = BridgeEvent::Interrupted { heard, after_ms: Some(120) };
        let written = json!({
            "type": "interrupted",
            "heard": [{ "utterance": 3, "heard_ms": 400, "sent_ms": 900 }],
            "after_ms": 120,
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), written);
        assert_eq!(serde_json::from_value::<BridgeEvent>(written).unwrap(), event);
        let finish = json!({ "type": "finish" });
        assert_eq!(serde_json::from_value::<SessionEvent>(finish.clone()).unwrap(), SessionEvent::Finish {});
        assert_eq!(serde_json::to_value(SessionEvent::Finish {}).unwrap(), finish);
    }
}
