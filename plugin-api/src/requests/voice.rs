//! What the `voice_assistant` plugin offers: the conversation of a telephone call.
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

use crate::message;

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
    /// Answers one [`SessionEvent::Interrupt`]: what was on its way to the caller is cleared.
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
        /// The answer that it is a part of. Once an answer was interrupted, what else comes of it is thrown away.
        response: u32,
    },
    /// All audio of the utterance was sent.
    UtteranceDone {
        /// Its number.
        utterance: u32,
    },
    /// Throw away what the caller has not heard yet, and say how much they heard: they have begun to speak, or the
    /// session has thought better of it.
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
