//! The caller speaks, presses keys, or says nothing.

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
    /// When they began, on the clock of the media stream.
    since_ms: u64,
    /// When it was known that they had ended.
    pub until_ms: u64,
    /// The item that holds it.
    item: Option<String>,
    /// Its words are known.
    is_known: bool,
    /// No answer to it has begun.
    pub is_unanswered: bool,
    /// The item of a silence that the model is about to ask about.
    silence: Option<String>,
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
        let is_open = self.is_speaking || self.is_unanswered && !self.is_known;
        is_open.then(|| self.since_ms.saturating_sub(LEAD_MS))
    }

    /// What of it the model still has to get, if the call ends now.
    pub fn last_words(&self) -> LastWords {
        match self.item {
            _ if self.is_speaking => LastWords::ToSend,
            None if self.is_unanswered => LastWords::Sent,
            _ => LastWords::Known,
        }
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
        self.speech = Speech { is_speaking: true, since_ms, is_unanswered: true, ..Speech::default() };
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
        self.speech.item = Some(item.clone());
        self.ending.last_words_known();
        self.story.caller_spoke(item, self.now);
    }

    pub(super) fn heard(&mut self, item: String, text: Option<String>) {
        if self.speech.item.as_deref() == Some(&item) {
            self.speech.is_known = text.as_ref().is_some_and(|text| !text.trim().is_empty());
        }
        self.story.heard(&item, text);
    }

    /// The model asks whether somebody is there; at last it gives up.
    pub(super) fn nobody_speaks(&mut self, item: String) {
        self.speech.silence = Some(item);
        self.answers.expect(self.now);
        self.unanswered_questions += 1;
        if self.unanswered_questions > self.config.idle_questions {
            self.finish(Next::HangUp);
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
