//! How a conversation ends: by a farewell, because nothing works any more, or because the call is over.

use plugin_api::{
    prelude::*,
    requests::voice::{MediaReport, SessionEvent},
};

use super::{Core, Effect};
use crate::call::{Entry, Next};

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(12);
/// How long the bridge may take to end the media stream.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the last words of the caller are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How far the end is.
#[derive(Debug, Default)]
pub struct Ending {
    /// The call goes on so once the caller has been told; at the latest then.
    farewell: Option<(Next, Duration)>,
    /// The bridge was told to end.
    finished: Option<Duration>,
    /// The call is over.
    ended: Option<Duration>,
    report: Option<MediaReport>,
}

impl Ending {
    pub fn begin(&mut self, next: Next, now: Duration) {
        self.farewell = Some((next, now + FAREWELL));
    }

    /// Nothing more is said.
    pub fn is_finished(&self) -> bool {
        self.finished.is_some() || self.ended.is_some()
    }

    pub fn is_over(&self, now: Duration, waits: bool) -> bool {
        match (self.ended, self.finished) {
            (Some(ended), _) => !waits || now >= ended + LAST_WORDS,
            (None, Some(finished)) => now >= finished + PATIENCE,
            (None, None) => false,
        }
    }

    pub fn is_leaving(&self) -> bool {
        self.farewell.is_some()
    }

    pub fn due(&self) -> Option<Duration> {
        let farewell = self.farewell.as_ref().map(|(_, until)| *until);
        let finished = self.finished.map(|finished| finished + PATIENCE);
        let ended = self.ended.map(|ended| ended + LAST_WORDS);
        ended.or(finished).or(farewell)
    }
}

impl Core {
    /// The bridge lets the caller hear what is on its way, then the call goes on so.
    pub(super) fn finish(&mut self, next: Next) {
        if self.ending.is_finished() {
            return;
        }
        self.ending.farewell = None;
        self.ending.finished = Some(self.now);
        self.effects.push(Effect::Decide(next));
        self.requests.clear();
        self.cut_off();
        self.say(SessionEvent::Finish {});
    }

    /// The model cannot be had: the call goes on turn by turn.
    pub(super) fn give_up(&mut self, reason: String) {
        if !self.ending.is_finished() {
            self.finish(Next::Turns { reason });
            self.effects.push(Effect::Disconnect);
        }
    }

    /// The caller has something to say: no leave is taken.
    pub(super) fn stay(&mut self) {
        self.ending.farewell = None;
        self.answers.stay();
    }

    /// The bridge is gone without a word.
    pub fn bridge_lost(&mut self, now: Duration, reason: &str) {
        self.now = now;
        if self.ending.ended.is_none() {
            let reason = format!("the media bridge is gone: {reason}");
            self.call_ended(MediaReport { reason, ..MediaReport::default() });
        }
        self.settle();
    }

    pub(super) fn call_ended(&mut self, report: MediaReport) {
        self.ending.ended = Some(self.now);
        self.ending.report = Some(report);
        self.requests.clear();
        self.cut_off();
    }

    /// Nothing more comes of what is being said.
    pub(super) fn cut_off(&mut self) {
        for (utterance, fate) in self.voice.cut_off() {
            self.story.spoken(utterance.number, fate.text, fate.is_interrupted);
        }
    }

    /// Settles what is still open, for a conversation that is over: what nobody is known to have heard was not said.
    pub fn close(&mut self) {
        for (utterance, _) in self.voice.drain() {
            self.story.spoken(utterance.number, String::new(), true);
        }
        self.story.give_up_waiting();
        self.tell_story();
        let report = self.ending.report.take();
        self.effects.extend(report.map(|report| Effect::Record(Entry::Media(report))));
    }

    /// A farewell that does not come is none.
    pub(super) fn mind_end(&mut self) {
        let late = self.ending.farewell.take_if(|(_, until)| *until <= self.now);
        if let Some((next, _)) = late {
            self.finish(next);
        }
    }
}
