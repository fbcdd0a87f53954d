//! The caller speaks, presses keys, or says nothing.

use std::collections::VecDeque;

use plugin_api::{prelude::*, requests::voice::SessionEvent};

use super::{
    Core,
    answers::{Purpose, Want},
    ending::LastWords,
};
use crate::{
    call::Next,
    session::model::{Content, Request},
};

/// After the last key, so long is waited for another one.
const BETWEEN_KEYS: Duration = Duration::from_millis(1500);
/// This key ends a number at once.
const END_KEY: char = '#';
/// More keys at once are no number.
const MOST_KEYS: usize = 64;
/// So much before the beginning of speech is heard again by a new connection.
const LEAD_MS: u64 = 400;

/// What the caller is saying, or said last.
#[derive(Debug, Default)]
pub struct Speech {
    pub is_speaking: bool,
    /// What was said since the last answer, and is not known in words; the oldest first.
    unknown: VecDeque<Utterance>,
    /// When it was known that they had ended.
    pub until_ms: u64,
    /// No answer to it has begun.
    pub is_unanswered: bool,
    /// The item of a silence that the model is about to ask about.
    silence: Option<String>,
}

/// What the caller says from a beginning to an end.
#[derive(Debug)]
struct Utterance {
    /// When they began, on the clock of the media stream.
    since_ms: u64,
    /// What holds it, once they have ended.
    item: Option<String>,
}

/// Keys that were pressed and not told yet.
#[derive(Debug, Default)]
pub struct Keys {
    pressed: String,
    last: Duration,
}

impl Speech {
    /// From when on a new connection must hear the caller again: what was said there nobody has understood.
    pub fn to_be_heard_again(&self) -> Option<u64> {
        let oldest = self.unknown.front().filter(|_| self.is_speaking || self.is_unanswered)?;
        Some(oldest.since_ms.saturating_sub(LEAD_MS))
    }

    /// The items that hold it.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().filter_map(|utterance| utterance.item.as_deref())
    }

    /// What of it the model still has to get, if the call ends now.
    pub fn last_words(&self) -> LastWords {
        let is_open = self.unknown.back().is_some_and(|utterance| utterance.item.is_none());
        match self.is_speaking {
            true => LastWords::ToSend,
            false if is_open => LastWords::Sent,
            false => LastWords::Known,
        }
    }

    /// They begin. Earlier speech that nobody has answered belongs to it, as far as its words are not known.
    fn start(&mut self, since_ms: u64) {
        let mut unknown = std::mem::take(&mut self.unknown);
        // Without an item is what an earlier connection lost: this is the same, heard again.
        unknown.retain(|utterance| self.is_unanswered && utterance.item.is_some());
        unknown.push_back(Utterance { since_ms, item: None });
        *self = Self { is_speaking: true, unknown, is_unanswered: true, ..Self::default() };
    }

    /// What they said is held by this item.
    fn committed(&mut self, item: &str) {
        if let Some(utterance) = self.unknown.iter_mut().find(|utterance| utterance.item.is_none()) {
            utterance.item = Some(item.to_owned());
        }
    }

    /// The words of an item are known: it is not heard again, nor what came before it, as it would be heard with it.
    fn known(&mut self, item: &str) {
        let place = self.unknown.iter().position(|utterance| utterance.item.as_deref() == Some(item));
        self.unknown.drain(..place.map_or(0, |place| place + 1));
    }
}

impl Keys {
    /// When what was pressed is a number.
    pub fn due(&self) -> Option<Duration> {
        (!self.pressed.is_empty()).then(|| self.last + BETWEEN_KEYS)
    }

    pub fn is_empty(&self) -> bool {
        self.pressed.is_empty()
    }
}

impl Core {
    pub(super) fn speech_started(&mut self, at_ms: u64) {
        let since_ms = self.caller.at_stream(at_ms);
        self.speech.start(since_ms);
        self.unanswered_questions = 0;
        self.stay();
        self.answers.expect_nothing();
        if let Some(active) = &self.answers.active {
            let number = active.number;
            self.answers.discard(&[number]);
        }
        self.interrupt(Some(since_ms));
    }

    pub(super) fn speech_stopped(&mut self, at_ms: u64) {
        self.speech.is_speaking = false;
        let at_ms = self.caller.at_stream(at_ms);
        self.speech.until_ms = self.caller.sent_ms();
        self.say(SessionEvent::SpeechStopped { at_ms });
        self.cancel_interrupted();
        self.answers.expect(self.now);
    }

    pub(super) fn committed(&mut self, item: String) {
        if self.speech.silence.take_if(|silence| *silence == item).is_some() {
            return;
        }
        self.speech.committed(&item);
        self.ending.last_words_known();
        self.story.caller_spoke(item, self.now);
    }

    pub(super) fn heard(&mut self, item: String, text: Option<String>) {
        if text.as_ref().is_some_and(|text| !text.trim().is_empty()) {
            self.speech.known(&item);
        }
        self.story.heard(&item, text);
    }

    /// The model asks whether somebody is there; at last it gives up.
    pub(super) fn nobody_speaks(&mut self, item: String) {
        self.speech.silence = Some(item);
        self.answers.expect(self.now);
        self.unanswered_questions += 1;
        if self.unanswered_questions > self.config.idle_questions {
            self.finish(Next::hang_up());
        }
    }

    pub(super) fn pressed(&mut self, digit: char) {
        self.unanswered_questions = 0;
        if self.keys.pressed.len() < MOST_KEYS && !self.ending.is_finished() {
            self.keys.pressed.push(digit);
            self.keys.last = self.now;
        }
    }

    /// Keys become a message of the caller, once they are a number; whoever presses them is done with listening.
    pub(super) fn press_keys(&mut self) {
        let is_whole =
            self.keys.pressed.ends_with(END_KEY) || self.keys.due().is_some_and(|due| due <= self.now);
        if !is_whole || !self.linking.is_up() || self.ending.is_finished() {
            return;
        }
        let keys = std::mem::take(&mut self.keys.pressed);
        self.stay();
        if let Some(active) = &self.answers.active {
            let number = active.number;
            self.answers.discard(&[number]);
        }
        self.interrupt(None);
        self.cancel_interrupted();
        let text = format!("[pressed on the keypad: {keys}]");
        self.story.caller_wrote(text.clone());
        let item = self.name("keys");
        self.ask(Request::Add { item: item.clone(), after: None, content: Content::Caller(text) });
        self.answers.want(Want::new(Purpose::Reply, [item]));
    }
}
