//! The model answers, the caller hears it, or interrupts it.

use plugin_api::{
    origin::{Origin, marked},
    prelude::*,
    requests::voice::{Heard, SessionEvent},
    tracing,
};

use super::{
    Core,
    answers::{Purpose, Want},
    voice::{Fate, Utterance},
};
use crate::{
    call::Next,
    session::model::{Content, Outcome, Request},
};

/// So many answers in a row may come to nothing.
const MOST_FAILURES: u32 = 3;
/// After the first; twice that after the second.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

const CONNECTED: &str = "The caller has just been connected.";
const ANSWERED: &str = "The person whom you called has just answered.";
const GREET: &str = "Begin with these words, and nothing else:";
const OPEN: &str = "Begin with the words that stand here between marks, and with nothing else:";
const WAIT: &str = "Something that you look up or do takes a moment. Say so, in one short sentence of a few words, and nothing \
                    else. Do not say that it is done.";
const GO_ON: &str = "The line was broken for a moment; the caller may not have noticed. Go on where the conversation stopped: \
                     answer what was said last, or finish what you were saying. Do not greet again.";
const BYE: &str = "Say goodbye in one short sentence.";
const CONNECTING: &str = "Tell the caller in one short sentence that you are connecting them now.";

impl Core {
    /// Asks for what is wanted, as soon as nobody speaks and no answer is being given.
    pub(super) fn answer_if_wanted(&mut self) {
        self.answers.tick(self.now);
        if !self.linking.is_up() || self.ending.is_finished() || self.speech.is_speaking {
            return;
        }
        let number = self.names + 1;
        let mut asked = self.answers.ask(self.now, || format!("respond_{number}"));
        let is_filler_due = self.tools.filler_due().is_some_and(|due| due <= self.now);
        if asked.is_none() && is_filler_due && !self.voice.is_speaking() && !self.ending.is_leaving() {
            asked = self.answers.ask_filler(self.now, || format!("respond_{number}"));
            if asked.is_some() {
                self.tools.filled(self.now);
            }
        }
        let Some((name, purpose)) = asked else { return };
        self.names = number;
        let may_call = !matches!(purpose, Purpose::Filler | Purpose::Farewell(_) | Purpose::Greeting);
        let directions = self.directions(&purpose);
        self.ask(Request::Respond { name, directions, may_call });
    }

    fn directions(&self, purpose: &Purpose) -> Option<String> {
        let words = match purpose {
            Purpose::Greeting => return Some(self.greeting()),
            Purpose::Reply => return None,
            Purpose::Filler => WAIT,
            Purpose::Resume => GO_ON,
            Purpose::Farewell(Next::Transfer { .. }) => CONNECTING,
            Purpose::Farewell(_) => BYE,
        };
        Some(words.to_owned())
    }

    fn greeting(&self) -> String {
        let begun = if self.beginning.is_ours { ANSWERED } else { CONNECTED };
        match &self.beginning.opening {
            None => format!("{begun} {GREET} {}", self.config.common.greeting),
            // A model may have written it.
            Some(words) => format!("{begun} {OPEN}\n{}", marked(&self.beginning.mark, Origin::Task, words)),
        }
    }

    pub(super) fn answer_begins(&mut self, response: String) {
        let is_speaking = self.speech.is_speaking;
        let active = self.answers.begin(response.clone());
        let number = active.number;
        if is_speaking || active.is_in_vain {
            // It was asked for before they had something to say: that will be answered, and what this is about with it.
            active.is_cancelled = true;
            self.answers.discard(&[number]);
            self.ask(Request::Cancel { response });
        }
    }

    pub(super) fn speak(&mut self, response: &str, item: String, audio: Vec<u8>) {
        let Some(number) = self.answers.audible(response) else { return };
        self.speech.is_unanswered = false;
        let link = self.linking.generation();
        if let Some(begun) = self.voice.speak(number, link, item, &audio) {
            self.story.speaks(begun);
        }
    }

    pub(super) fn words(&mut self, response: &str, item: &str, text: &str) {
        let Some(number) = self.answers.audible(response) else { return };
        if let Some(begun) = self.voice.words(number, self.linking.generation(), item, text) {
            self.story.speaks(begun);
        }
    }

    pub(super) fn answer_ends(&mut self, response: &str, outcome: Outcome) {
        let Some(active) = self.answers.end(response) else { return };
        let has_spoken = self.voice.has_spoken(active.number);
        let is_discarded = self.answers.is_discarded(active.number);
        let is_whole = matches!(outcome, Outcome::Completed { .. }) && !is_discarded;
        for (utterance, fate) in self.voice.end_answer(active.number, is_whole) {
            self.settle_utterance(&utterance, fate);
        }
        let is_farewell = active.purpose.as_ref().is_some_and(Purpose::is_farewell);
        let is_said = has_spoken || matches!(outcome, Outcome::Completed { .. });
        if is_farewell && is_said && !is_discarded {
            self.ending.told();
        }
        // What came to nothing is wanted again, unless the caller did not want it.
        let again = active.purpose.unwrap_or(Purpose::Reply);
        let again = (!is_discarded).then_some(again);
        match outcome {
            Outcome::Completed { calls } => {
                self.answers.failures = 0;
                self.speech.is_unanswered &= is_discarded;
                self.begin_calls(calls, has_spoken, is_discarded);
            }
            Outcome::Cancelled => {}
            Outcome::Failed { message, is_hopeless: true } => self.give_up(message),
            Outcome::Failed { message, .. } => self.failed(again, &message),
            Outcome::Incomplete { reason } if !has_spoken => self.failed(again, &reason),
            Outcome::Incomplete { .. } => {}
        }
    }

    /// An answer came to nothing: it is asked for again, for the same purpose, but not for ever.
    fn failed(&mut self, again: Option<Purpose>, why: &str) {
        self.answers.failures += 1;
        let failures = self.answers.failures;
        tracing::warn!(why, failures, "an answer of the model failed");
        if failures >= MOST_FAILURES {
            return self.give_up(format!("{failures} answers in a row failed: {why}"));
        }
        self.answers.wait_until(self.now + AFTER_FAILURE * failures);
        if let Some(purpose) = again {
            self.answers.want_again(Want::new(purpose, []));
        }
    }

    /// Something was refused. If it was an answer, it is asked for again.
    pub(super) fn refused(&mut self, about: Option<&str>, why: String) {
        if !self.answers.refuse(about) {
            return tracing::warn!(why, about, "the model refuses something; the conversation goes on");
        }
        self.answers.failures += 1;
        if self.answers.failures >= MOST_FAILURES {
            return self.give_up(why);
        }
        self.answers.wait_until(self.now + AFTER_FAILURE * self.answers.failures);
    }

    /// Whatever is being said is thrown away, as far as the caller has not heard it.
    pub(super) fn interrupt(&mut self, speech_at_ms: Option<u64>) {
        let interruption = self.voice.interrupt();
        self.answers.discard(&interruption.responses);
        for (utterance, fate) in interruption.unheard {
            self.settle_utterance(&utterance, fate);
        }
        // The bridge is told of speech in any case: what it loses of it meanwhile it makes up for by silence.
        if interruption.is_audible || speech_at_ms.is_some() {
            self.say(SessionEvent::Interrupt { speech_at_ms });
        }
    }

    /// The bridge knows how much was heard.
    pub(super) fn interrupted(&mut self, heard: &[Heard]) {
        for Heard { utterance, heard_ms, .. } in heard {
            if let Some((utterance, fate)) = self.voice.cut(*utterance, *heard_ms) {
                self.answers.discard(&[utterance.response]);
                self.settle_utterance(&utterance, fate);
            }
        }
        self.cancel_interrupted();
    }

    /// The server has had its time to end an answer that was interrupted.
    pub(super) fn cancel_interrupted(&mut self) {
        if let Some(response) = self.answers.cancel_interrupted() {
            self.ask(Request::Cancel { response });
        }
    }

    pub(super) fn played(&mut self, utterance: u32) {
        if let Some((utterance, fate)) = self.voice.played(utterance) {
            self.settle_utterance(&utterance, fate);
        }
    }

    /// What was heard is written down, and the model is told where it was cut off.
    fn settle_utterance(&mut self, utterance: &Utterance, fate: Fate) {
        let Fate { text, heard_ms, is_interrupted } = fate;
        let is_ours = utterance.link == self.linking.generation();
        if is_interrupted && is_ours && utterance.has_audio() {
            let item = utterance.item.clone();
            self.ask(Request::Truncate { item, audio_end_ms: heard_ms });
        }
        if let Some((link, item, after)) = &utterance.copy
            && is_interrupted
            && *link == self.linking.generation()
        {
            self.replace(item.clone(), after.clone(), &text);
        }
        self.story.spoken(utterance.number, text, is_interrupted);
    }

    /// An item that was written anew cannot be cut off: it makes room for a shorter one.
    fn replace(&mut self, item: String, after: Option<String>, text: &str) {
        self.ask(Request::Remove { item });
        if !text.is_empty() {
            let item = self.name("said");
            let content = Content::Assistant(text.to_owned());
            self.ask(Request::Add { item, after, content });
        }
    }
}
