//! The media of one call, as a machine: frames of Twilio and of the conversation, and the passing of time, become frames
//! for both, measurements, and at last an end. It knows no socket and no clock but the moments that it is given, so that
//! the same input always gives the same output: that is what [`crate::replay`] holds it to.
//! - [`ear`]: what the caller says -> audio without gaps, and the media clock.
//! - [`mouth`]: what the caller is to hear -> media and marks; and what they surely heard.

mod ear;
mod mouth;

use plugin_api::{
    prelude::*,
    protocol::CloseReason,
    requests::voice::{BridgeEvent, MediaReport, SessionEvent, read_spoken},
    serde_json,
};

use self::{ear::Ear, mouth::Mouth};
use crate::frames::{self, Told};

/// Bytes of G.711 audio in a millisecond.
pub const BYTES_PER_MS: u64 = 8;
/// Beyond what is still to be heard, a conversation that wants to end has so long to complete it.
const FINISHING_MS: u64 = 5_000;

/// What a call is held to, in milliseconds.
#[plugin_api::message]
#[derive(Copy, PartialEq, Eq)]
pub struct Limits {
    /// How much audio may be with Twilio that was not heard yet.
    pub ahead_ms: u64,
    /// How much more may wait here.
    pub queue_ms: u64,
    /// Missing audio of a caller who speaks becomes silence after this.
    pub speech_gap_ms: u64,
    /// How long neither side may say anything.
    pub idle_ms: u64,
    /// How long Twilio may send no audio.
    pub media_ms: u64,
    /// How long a call may last.
    pub longest_ms: u64,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A frame of Twilio.
    Twilio(String),
    /// A frame of the conversation.
    Session(Frame),
    /// The conversation has closed its stream, as it meant to: what is on its way is played.
    SessionDone(String),
    /// Time has passed.
    Tick,
    /// The other side is about to end for this reason, and then says so without one; `None`: it is not, after all.
    Leaving(Option<String>),
    /// It is to end now.
    End(End),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A frame for Twilio.
    Twilio(String),
    /// The frame for Twilio by which all that was sent and not played counts for nothing, wherever it is.
    Clear(String),
    /// A frame for the conversation.
    Session(Frame),
    /// Something for the metrics.
    Measured(Measure),
    /// The call is over: both sides are closed, and nothing follows.
    Ended(End),
}

/// What is measured, in milliseconds of the media clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// From the end of the caller's speech to the first audio of the answer.
    FirstAudio(u64),
    /// From the beginning of the caller's speech to the clearing of what they interrupted.
    Interruption(u64),
}

/// Why a call is over.
#[plugin_api::message]
#[derive(PartialEq, Eq)]
pub struct End {
    /// In words.
    pub reason: String,
    /// There if it is a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ErrorKind>,
    /// Not only the media of the call: all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_call: bool,
}

/// The media of one call.
pub struct Core {
    limits: Limits,
    ear: Ear,
    mouth: Mouth,
    /// Whether the caller speaks, as far as the conversation has told.
    speaking: bool,
    /// When the caller stopped speaking, until they are answered.
    waiting_since: Option<u64>,
    heard_at: u64,
    active_at: u64,
    finish_by: Option<u64>,
    leaving: Option<String>,
    end: Option<End>,
}

impl Core {
    /// Of a stream that begins now, at the moment 0.
    pub fn new(stream: &str, limits: Limits) -> Self {
        Self {
            limits,
            ear: Ear::default(),
            mouth: Mouth::new(stream, limits.ahead_ms, limits.queue_ms),
            speaking: false,
            waiting_since: None,
            heard_at: 0,
            active_at: 0,
            finish_by: None,
            leaving: None,
            end: None,
        }
    }

    /// Takes what happens at a moment, in milliseconds since the stream began. Once it has ended, nothing happens.
    pub fn handle(&mut self, now: u64, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        if self.end.is_some() {
            return out;
        }
        match input {
            Input::Twilio(text) => self.told(now, &text, &mut out),
            Input::Session(frame) => self.asked(now, frame, &mut out),
            Input::SessionDone(_) => self.finish(now),
            Input::Tick => self.tick(now, &mut out),
            Input::Leaving(reason) => self.leaving = reason,
            Input::End(end) if end.kind.is_none() => self.left(end, &mut out),
            Input::End(end) => self.over(end, &mut out),
        }
        if self.end.is_none() && self.finish_by.is_some() && self.mouth.is_empty() {
            self.over(End::done("the conversation is over"), &mut out);
        }
        out
    }

    /// Whether the conversation may say more; if not, it has to wait.
    pub fn has_room(&self) -> bool {
        self.mouth.has_room()
    }

    /// The media clock: milliseconds of the caller's audio since the stream began.
    pub fn media_ms(&self) -> u64 {
        self.ear.position_ms()
    }

    /// Milliseconds that were sent and not heard yet.
    pub fn unheard_ms(&self) -> u64 {
        self.mouth.unheard_ms()
    }

    /// Milliseconds that wait to be sent.
    pub fn queued_ms(&self) -> u64 {
        self.mouth.queued_ms()
    }

    /// Whether it only plays out what is on its way.
    pub fn is_finishing(&self) -> bool {
        self.finish_by.is_some()
    }

    /// How the audio has gone so far.
    pub fn report(&self) -> MediaReport {
        let (reason, ends_call) =
            self.end.as_ref().map(|end| (end.reason.clone(), end.ends_call)).unwrap_or_default();
        let (received_ms, padded_ms) = (self.ear.received_ms(), self.ear.padded_ms());
        MediaReport { reason, ends_call, received_ms, padded_ms, ..self.mouth.report() }
    }

    fn told(&mut self, now: u64, text: &str, out: &mut Vec<Output>) {
        match frames::read(text) {
            Some(Told::Media { at_ms, audio }) => {
                self.heard_at = now;
                self.ear.hear(at_ms, audio, out);
            }
            Some(Told::Mark(name)) => {
                self.active_at = now;
                for utterance in self.mouth.reached(&name) {
                    tell(&BridgeEvent::Played { utterance }, out);
                }
                self.speak(out);
            }
            Some(Told::Digit(digit)) => {
                self.active_at = now;
                tell(&BridgeEvent::Digit { digit }, out);
            }
            Some(Told::Stop) => {
                self.left(End::done("the caller hung up, or the call went on elsewhere"), out)
            }
            // A second start, a frame that is not known here: nothing of this call changes.
            Some(Told::Connected | Told::Start(_)) | None => {}
        }
    }

    fn asked(&mut self, now: u64, frame: Frame, out: &mut Vec<Output>) {
        self.active_at = now;
        match frame {
            Frame::Binary(frame) => {
                if let Some((utterance, audio)) = read_spoken(&frame) {
                    self.mouth.say(utterance, audio);
                    self.speak(out);
                }
            }
            // What is not known here, a newer conversation says to a newer bridge.
            Frame::Text(text) => {
                if let Ok(event) = serde_json::from_str(&text) {
                    self.obey(now, event, out);
                }
            }
        }
    }

    fn obey(&mut self, now: u64, event: SessionEvent, out: &mut Vec<Output>) {
        match event {
            SessionEvent::Utterance { utterance, response } => {
                if !self.mouth.begin(utterance, response) {
                    let reason = "the conversation begins ever new utterances, and ends none";
                    self.over(End::failed(ErrorKind::Internal, reason), out);
                }
            }
            SessionEvent::UtteranceDone { utterance } => {
                self.mouth.end(utterance);
                self.speak(out);
            }
            SessionEvent::Interrupt { speech_at_ms } => {
                self.speaking |= speech_at_ms.is_some();
                self.interrupt(speech_at_ms, out);
            }
            SessionEvent::SpeechStopped { at_ms } => {
                self.speaking = false;
                self.waiting_since = Some(at_ms);
            }
            SessionEvent::Finish {} => self.finish(now),
        }
    }

    /// Sends what may be sent now.
    fn speak(&mut self, out: &mut Vec<Output>) {
        let spoken = self.mouth.speak(out);
        for utterance in spoken.finished {
            tell(&BridgeEvent::Played { utterance }, out);
        }
        if let Some((utterance, since)) = spoken.answers.zip(self.waiting_since) {
            self.waiting_since = None;
            let after_ms = self.media_ms().saturating_sub(since);
            tell(&BridgeEvent::FirstAudio { utterance, after_ms }, out);
            out.push(Output::Measured(Measure::FirstAudio(after_ms)));
        }
    }

    fn interrupt(&mut self, speech_at_ms: Option<u64>, out: &mut Vec<Output>) {
        let (heard, was_cleared) = self.mouth.interrupt(out);
        let after_ms = speech_at_ms.map(|at| self.media_ms().saturating_sub(at));
        tell(&BridgeEvent::Interrupted { heard, after_ms }, out);
        if let Some(after_ms) = after_ms.filter(|_| was_cleared) {
            out.push(Output::Measured(Measure::Interruption(after_ms)));
        }
    }

    fn finish(&mut self, now: u64) {
        self.finish_by.get_or_insert(now + self.mouth.outstanding_ms() + FINISHING_MS);
    }

    /// Whatever it does not send or end changes nothing: such a moment need not be recorded.
    fn tick(&mut self, now: u64, out: &mut Vec<Output>) {
        let silent_for = now.saturating_sub(self.heard_at);
        if let Some(end) = self.overdue(now, silent_for) {
            self.over(end, out);
        } else if self.speaking && silent_for >= self.limits.speech_gap_ms {
            self.ear.bridge_gap(silent_for, out);
        }
    }

    fn overdue(&self, now: u64, silent_for: u64) -> Option<End> {
        let limits = &self.limits;
        let is_idle = self.mouth.outstanding_ms() == 0 && !self.speaking;
        if self.finish_by.is_some_and(|by| now >= by) {
            Some(End::done("the conversation is over, and what was left of it could not be played"))
        } else if silent_for >= limits.media_ms {
            let reason = format!("Twilio has sent no audio for {} s", limits.media_ms / 1000);
            Some(End::failed(ErrorKind::Unavailable, &reason))
        } else if now >= limits.longest_ms {
            Some(End::of_call(&format!(
                "the call has lasted {} s, which is the limit",
                limits.longest_ms / 1000
            )))
        } else if is_idle && now.saturating_sub(self.active_at) >= limits.idle_ms {
            Some(End::of_call(&format!("nobody has said anything for {} s", limits.idle_ms / 1000)))
        } else {
            None
        }
    }

    /// The other side has ended. A reason known before says why.
    fn left(&mut self, end: End, out: &mut Vec<Output>) {
        let known = self.leaving.take().map(|reason| End::of_call(&reason));
        self.over(known.unwrap_or(end), out);
    }

    /// The conversation learns what was heard of what it said, and how the audio went.
    fn over(&mut self, end: End, out: &mut Vec<Output>) {
        let heard = self.mouth.stop();
        if !heard.is_empty() {
            tell(&BridgeEvent::Interrupted { heard, after_ms: None }, out);
        }
        self.end = Some(end.clone());
        tell(&BridgeEvent::Ended(self.report()), out);
        out.push(Output::Ended(end));
    }
}

impl End {
    /// It was to end.
    pub fn done(reason: &str) -> Self {
        Self { reason: reason.to_owned(), kind: None, ends_call: false }
    }

    /// It was to end, and the call with it.
    pub fn of_call(reason: &str) -> Self {
        Self { ends_call: true, ..Self::done(reason) }
    }

    /// It failed.
    pub fn failed(kind: ErrorKind, reason: &str) -> Self {
        Self { kind: Some(kind), ..Self::done(reason) }
    }

    /// As a stream is closed by it.
    pub fn close_reason(&self) -> CloseReason {
        match self.kind {
            None => CloseReason::done(&self.reason),
            Some(kind) => CloseReason::failed(OperationError::new(kind, &self.reason)),
        }
    }
}

fn tell(event: &BridgeEvent, out: &mut Vec<Output>) {
    // An event is made of numbers and text: it is always JSON.
    out.push(Output::Session(Frame::Text(serde_json::to_string(event).unwrap_or_default())));
}
