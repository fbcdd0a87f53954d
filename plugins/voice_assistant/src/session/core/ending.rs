//! How a conversation ends: by a farewell, because nothing works any more, or because the call is over.

use plugin_api::{
    prelude::*,
    requests::voice::{MediaReport, SessionEvent},
};

use super::{
    Core, Effect,
    answers::{Purpose, Want},
};
use crate::{
    call::{Entry, Next, TIME_IS_UP},
    session::model::{Event, Fault, Request},
};

/// How long leave may take in which nothing is said.
const FAREWELL: Duration = Duration::from_secs(12);
/// How long what is said last may take, and how long the bridge to end the media stream.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the last words of the caller are waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long somebody who does not let go of a call may have it beyond its time.
const OVERTIME: Duration = Duration::from_secs(60);

/// The name under which the model is told that those are all.
const COMMIT: &str = "last_words";

/// How far the end is.
#[derive(Debug, Default)]
pub struct Ending {
    leave: Option<Leave>,
    /// The call is to end then.
    limit: Duration,
    /// Leave was taken for that.
    is_time_told: bool,
    /// The bridge was told to end.
    finished: Option<Duration>,
    /// The call is over.
    ended: Option<Duration>,
    last_words: LastWords,
    report: Option<MediaReport>,
}

/// What the caller was saying when the call ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LastWords {
    /// Nothing, or the model has it.
    #[default]
    Known,
    /// The rest of it is to be sent to the model, and then that this is all.
    ToSend,
    /// The model is about to have it.
    Sent,
}

/// The call is to go on so once the caller has heard that it does.
#[derive(Debug)]
struct Leave {
    next: Next,
    /// The model has said so.
    is_told: bool,
    since: Duration,
    /// At the latest then.
    until: Duration,
}

impl Ending {
    /// The call may last so long.
    pub fn within(limit: Duration) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Leave is to be taken, unless the caller objects. `is_told`: the model has said so.
    pub fn begin(&mut self, next: Next, is_told: bool, now: Duration) {
        self.leave = Some(Leave { next, is_told, since: now, until: now + FAREWELL });
    }

    /// The model has said so.
    pub fn told(&mut self) {
        if let Some(leave) = &mut self.leave {
            leave.is_told = true;
        }
    }

    /// The caller is hearing something: that takes as long as it takes.
    fn give_time(&mut self, now: Duration) {
        if let Some(leave) = &mut self.leave {
            leave.until = (now + FAREWELL).min(leave.since + PATIENCE);
        }
    }

    /// How the call goes on now. `is_quiet`: nobody says anything, or is about to.
    fn due_leave(&mut self, now: Duration, is_quiet: bool) -> Option<Next> {
        let is_due = |leave: &mut Leave| leave.is_told && is_quiet || leave.until <= now;
        self.leave.take_if(is_due).map(|leave| leave.next)
    }

    /// Nothing more is said.
    pub fn is_finished(&self) -> bool {
        self.finished.is_some() || self.ended.is_some()
    }

    fn is_over(&self, now: Duration, waits: bool) -> bool {
        match (self.ended, self.finished) {
            (Some(ended), _) => !waits || now >= ended + LAST_WORDS,
            (None, Some(finished)) => now >= finished + PATIENCE,
            (None, None) => false,
        }
    }

    /// The caller is to be heard to their last word.
    pub fn has_last_words(&self) -> bool {
        self.last_words == LastWords::ToSend
    }

    /// All that the caller said was sent. The model is to be told, once.
    pub fn last_words_sent(&mut self) -> Option<Request> {
        let is_news = std::mem::replace(&mut self.last_words, LastWords::Sent) == LastWords::ToSend;
        is_news.then(|| Request::Commit { name: COMMIT.to_owned() })
    }

    /// The model has what the caller said last, or there was nothing.
    pub fn last_words_known(&mut self) {
        if self.last_words == LastWords::Sent {
            self.last_words = LastWords::Known;
        }
    }

    pub fn is_leaving(&self) -> bool {
        self.leave.is_some()
    }

    pub fn due(&self) -> Option<Duration> {
        let leave = self.leave.as_ref().map(|leave| leave.until);
        let finished = self.finished.map(|finished| finished + PATIENCE);
        let ended = self.ended.map(|ended| ended + LAST_WORDS);
        let is_minded = self.is_time_told || self.leave.is_some();
        let limit = if is_minded { self.limit + OVERTIME } else { self.limit };
        ended.or(finished).or_else(|| leave.into_iter().chain([limit]).min())
    }
}

impl Core {
    /// The bridge lets the caller hear what is on its way, then the call goes on so.
    pub(super) fn finish(&mut self, next: Next) {
        if self.ending.is_finished() {
            return;
        }
        self.ending.leave = None;
        self.ending.finished = Some(self.now);
        self.effects.push(Effect::Decide(next));
        self.requests.clear();
        self.cut_off();
        self.say(SessionEvent::Finish {});
    }

    /// The model cannot be had: the call goes on turn by turn, unless leave was to be taken.
    pub(super) fn give_up(&mut self, reason: String) {
        if !self.ending.is_finished() {
            let leave = self.ending.leave.take().map(|leave| leave.next);
            self.finish(leave.unwrap_or(Next::Turns { reason }));
            self.effects.push(Effect::Disconnect);
        }
    }

    /// The caller has something to say: no leave is taken.
    pub(super) fn stay(&mut self) {
        self.ending.leave = None;
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
        if !self.ending.is_finished() {
            self.ending.last_words = self.speech.last_words();
        }
        // If only the audio has ended, the call goes on so all the same.
        let leave = self.ending.leave.take().map(|leave| leave.next);
        let is_to_end = report.ends_call && self.ending.finished.is_none();
        let next = leave.or_else(|| is_to_end.then(|| Next::HangUp { why: report.reason.clone() }));
        self.effects.extend(next.map(Effect::Decide));
        self.ending.ended = Some(self.now);
        self.ending.report = Some(report);
        self.requests.clear();
        self.cut_off();
    }

    /// The call is over: nothing counts but what the caller said last.
    pub(super) fn hear_last_words(&mut self, event: Event) {
        match event {
            Event::Committed { item } => self.committed(item),
            Event::Heard { item, text } => self.heard(item, text),
            // It had heard the end by itself, and has all.
            Event::Fault(Fault { about: Some(about), .. }) if about == COMMIT => {
                self.ending.last_words_known()
            }
            _ => {}
        }
    }

    /// The conversation is over, and everything that was said is known, or is not known in time.
    pub fn is_over(&self) -> bool {
        let waits = self.story.waits_for_caller() || self.ending.last_words != LastWords::Known;
        self.ending.is_over(self.now, self.linking.is_up() && waits)
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

    /// Leave is taken when the caller has heard all that was said; what does not come is not waited for.
    pub(super) fn mind_end(&mut self) {
        let is_playing = self.voice.is_speaking();
        if is_playing {
            self.ending.give_time(self.now);
        }
        let is_quiet = !is_playing && !self.answers.is_busy() && self.keys.is_empty();
        if let Some(next) = self.ending.due_leave(self.now, is_quiet) {
            self.finish(next);
        }
        self.mind_time();
    }

    /// A call that has lasted as long as it may is ended: whoever speaks then may have another word, not as many as they
    /// like.
    fn mind_time(&mut self) {
        let next = Next::HangUp { why: TIME_IS_UP.to_owned() };
        if self.ending.is_finished() || self.now < self.ending.limit {
            return;
        }
        if self.now >= self.ending.limit + OVERTIME {
            return self.finish(next);
        }
        if !self.ending.is_time_told && !self.ending.is_leaving() {
            self.ending.is_time_told = true;
            self.ending.begin(next.clone(), false, self.now);
            self.answers.want(Want::new(Purpose::Farewell(next), Vec::new()));
        }
    }
}
