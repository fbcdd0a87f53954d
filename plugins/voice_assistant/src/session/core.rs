//! A conversation as a machine: events of the model and of the bridge, results of tools, and the time go in; requests to
//! the model, frames for the bridge, and effects come out. No I/O, and no clock of its own.
//!
//! - [`voice`]: what is said to the caller, utterance by utterance, and how much of it was heard.
//! - [`answers`]: one answer of the model at a time.
//! - [`tools`]: calls of an answer, and what came of them.
//! - [`story`]: what was said and done, in order, and in short.
//! - `listening`, `answering`, `calling`, `linking`, `ending`: what the machine does with each.

pub mod answers;
pub mod story;
pub mod tools;
pub mod voice;
mod answering;
pub mod calling;
mod ending;
mod linking;
mod listening;

use std::collections::VecDeque;

use plugin_api::{
    prelude::*,
    requests::voice::{BridgeEvent, SessionEvent},
};

use self::{
    answers::{Answers, Want},
    ending::Ending,
    linking::Linking,
    listening::{Keys, Speech},
    story::Story,
    tools::{Batches, ToolDone, Wanted},
    voice::Voice,
};
use super::{
    clock::Caller,
    model::{Event, FaultKind, Request},
    settings::Config,
};
use crate::call::{CallBrief, Entry, Next};

/// What the machine cannot do itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// It is to be written down.
    Record(Entry),
    /// How the call goes on is to be decided before anything else goes to the bridge.
    Decide(Next),
    /// A tool is to be called.
    Call(Wanted),
    /// A new connection with the model is to be opened.
    Connect,
    /// The new connection takes the place of the old one, which is closed.
    Adopt,
    /// The connection is of no use any more.
    Disconnect,
    /// This is to be put in short.
    Summarise(String),
}

/// How a conversation begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginning {
    /// We placed the call.
    pub is_ours: bool,
    /// The first words. `None`: those of the settings.
    pub opening: Option<String>,
    /// How long the call has lasted.
    pub lasted: Duration,
    /// Stands around data.
    pub mark: String,
}

impl Beginning {
    /// That of a call, at this moment by the clock of its beginning.
    pub fn of(brief: &CallBrief, mark: &str, now_ms: i64) -> Self {
        let lasted = u64::try_from(now_ms - brief.started_ms).unwrap_or(0);
        Self {
            is_ours: brief.objective.is_some(),
            opening: brief.opening.clone(),
            lasted: Duration::from_millis(lasted),
            mark: mark.to_owned(),
        }
    }
}

/// A conversation.
pub struct Core {
    config: Arc<Config>,
    beginning: Beginning,
    now: Duration,
    linking: Linking,
    caller: Caller,
    speech: Speech,
    keys: Keys,
    answers: Answers,
    voice: Voice,
    tools: Batches,
    story: Story,
    ending: Ending,
    /// Questions in a row that nobody answered.
    unanswered_questions: u32,
    requests: VecDeque<Request>,
    effects: Vec<Effect>,
    names: u64,
}

impl Core {
    /// Begins a conversation over a connection that was opened so long ago.
    pub fn new(config: Arc<Config>, beginning: Beginning, link_age: Duration) -> Self {
        let time_left = config.common.call_time_limit.saturating_sub(beginning.lasted);
        let mut core = Self {
            linking: Linking::new(link_age),
            config,
            beginning,
            now: Duration::ZERO,
            caller: Caller::default(),
            speech: Speech::default(),
            keys: Keys::default(),
            answers: Answers::default(),
            voice: Voice::default(),
            tools: Batches::default(),
            story: Story::default(),
            ending: Ending::within(time_left),
            unanswered_questions: 0,
            requests: VecDeque::new(),
            effects: Vec::new(),
            names: 0,
        };
        core.answers.want(Want::greeting());
        core.settle();
        core
    }

    /// The model says something.
    pub fn model(&mut self, now: Duration, event: Event) {
        self.now = now;
        if self.ending.is_finished() {
            self.hear_last_words(event);
            return self.settle();
        }
        match event {
            Event::SpeechStarted { at_ms } => self.speech_started(at_ms),
            Event::SpeechStopped { at_ms } => self.speech_stopped(at_ms),
            Event::Committed { item } => self.committed(item),
            Event::Idle { item } => self.nobody_speaks(item),
            Event::Heard { item, text } => self.heard(item, text),
            Event::ItemAdded { item } => self.answers.added(&item),
            Event::ResponseCreated { response } => self.answer_begins(response),
            Event::Audio { response, item, audio } => self.speak(&response, item, audio),
            Event::AudioDone { item } => self.voice.end(&item),
            Event::Words { response, item, text } => self.words(&response, &item, &text),
            Event::WordsDone { item, text } => self.voice.all_words(&item, text),
            Event::ResponseDone { response, outcome } => self.answer_ends(&response, outcome),
            Event::Fault(fault) => match fault.kind {
                FaultKind::Busy => self.answers.busy(fault.about.as_deref(), self.now),
                FaultKind::Expired => self.lost_now("the session with the model has expired"),
                FaultKind::Hopeless => self.give_up(fault.message),
                FaultKind::NotActive => {}
                FaultKind::Other => self.refused(fault.about.as_deref(), fault.message),
            },
            Event::Other => {}
        }
        self.settle();
    }

    /// The bridge says something.
    pub fn bridge(&mut self, now: Duration, event: BridgeEvent) {
        self.now = now;
        match event {
            BridgeEvent::Interrupted { heard, after_ms } => {
                // Who speaks into silence interrupts nothing.
                let entry = after_ms.filter(|_| !heard.is_empty());
                let entry = entry.map(|after_ms| Effect::Record(Entry::Interruption { after_ms }));
                self.effects.extend(entry);
                self.interrupted(&heard);
            }
            BridgeEvent::Played { utterance } => self.played(utterance),
            BridgeEvent::FirstAudio { after_ms, .. } => {
                self.effects.push(Effect::Record(Entry::FirstAudio { after_ms }));
            }
            BridgeEvent::Digit { digit } => self.pressed(digit),
            BridgeEvent::Ended(report) => self.call_ended(report),
        }
        self.settle();
    }

    /// The caller's audio.
    pub fn audio(&mut self, audio: &[u8]) {
        self.caller.receive(audio);
    }

    /// A tool has answered, or failed.
    pub fn tool(&mut self, now: Duration, done: ToolDone) {
        self.now = now;
        self.tool_done(done);
        self.settle();
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
        self.settle();
    }

    /// When [`Core::tick`] is needed next, if nothing happens before.
    pub fn deadline(&self) -> Option<Duration> {
        let times = [
            self.keys.due(),
            self.answers.due(self.now),
            self.linking.due(&self.config),
            self.ending.due(),
            self.story.due(),
            self.tools.filler_due(),
        ];
        // What could not be done yet is done when what hinders it ends, not by waiting.
        times.into_iter().flatten().filter(|due| *due > self.now).min()
    }

    /// What is to be done, in order.
    pub fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Something waits to go to the model.
    pub fn has_request(&self) -> bool {
        let has_last_words = self.ending.has_last_words();
        let may_hear = self.linking.is_up() && (!self.ending.is_finished() || has_last_words);
        !self.requests.is_empty() || may_hear && (self.caller.has_more() || has_last_words)
    }

    /// What goes to the model next: audio waits for everything else.
    pub fn next_request(&mut self) -> Option<Request> {
        if let Some(request) = self.requests.pop_front() {
            return Some(request);
        }
        if !self.has_request() {
            return None;
        }
        let audio = self.caller.take().map(|audio| Request::Hear { audio });
        audio.or_else(|| self.ending.last_words_sent())
    }

    /// What goes to the bridge next.
    pub fn next_frame(&mut self) -> Option<voice::Out> {
        self.voice.next_frame()
    }

    /// There is room for more of what the model says.
    pub fn has_room(&self) -> bool {
        self.voice.has_room()
    }

    /// What was lost of the caller's audio while there was no connection, in milliseconds.
    pub fn lost_audio_ms(&self) -> u64 {
        self.caller.lost_ms()
    }

    /// Does what has become possible, or due.
    fn settle(&mut self) {
        self.press_keys();
        self.story.tick(self.now);
        self.tell_story();
        self.mind_links();
        self.mind_end();
        self.answer_if_wanted();
        self.tell_story();
    }

    fn tell_story(&mut self) {
        let said = self.story.tell();
        self.effects.extend(said.into_iter().map(|said| Effect::Record(said.into())));
        if let Some(text) = self.story.take_older_half() {
            self.effects.push(Effect::Summarise(text));
        }
    }

    /// A name for something that is sent to the model.
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("{kind}_{}", self.names)
    }

    /// Asks something of the model, if there is one and the conversation goes on.
    fn ask(&mut self, request: Request) {
        if self.linking.is_up() && !self.ending.is_finished() {
            self.requests.push_back(request);
        }
    }

    fn say(&mut self, event: SessionEvent) {
        self.voice.say(event);
    }
}
