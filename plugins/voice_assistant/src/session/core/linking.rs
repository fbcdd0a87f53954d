//! The connection with the model: renewed at a pause before it grows too old, and had again after it broke, within bounds.
//! The new one is told what was said, and hears again what nobody had understood.

use plugin_api::prelude::*;

use super::{
    Core, Effect,
    answers::{Purpose, Want},
};
use crate::{
    call::Entry,
    session::{
        model::{Content, Loss, Request},
        settings::Config,
    },
};

/// Before the second attempt; before each further one, twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Without a pause, a connection is renewed when so much of the margin is left.
const LAST_PART: u32 = 5;
/// A renewal that fails is tried again so often within the margin.
const RENEWAL_ATTEMPTS: u32 = 10;

/// So much of what a connection was sent last it may not have heard.
const LOOK_BACK_MS: u64 = 3_000;

/// How it stands with the connection.
#[derive(Debug)]
pub struct Linking {
    state: State,
    renewal: Renewal,
    /// Which connection this is.
    generation: u32,
}

#[derive(Debug)]
enum State {
    /// It was opened so long before the conversation, or then.
    Up {
        age: Duration,
        since: Duration,
    },
    Down(Outage),
}

#[derive(Debug)]
struct Outage {
    since: Duration,
    reason: String,
    attempts: u32,
    /// `None`: an attempt is under way.
    next: Option<Duration>,
}

#[derive(Debug)]
enum Renewal {
    /// Not yet.
    No,
    /// A new connection is being opened.
    Opening,
    /// That failed; again then.
    Again(Duration),
    /// It is ready since then, and waits for a pause.
    Ready(Duration),
}

impl Linking {
    pub fn new(age: Duration) -> Self {
        Self { state: State::Up { age, since: Duration::ZERO }, renewal: Renewal::No, generation: 1 }
    }

    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// When time decides.
    pub fn due(&self, config: &Config) -> Option<Duration> {
        match (&self.state, &self.renewal) {
            (State::Down(outage), _) => {
                let end = outage.since + config.reconnect_time;
                Some(outage.next.map_or(end, |next| next.min(end)))
            }
            (State::Up { .. }, Renewal::No) => self.renewal_due(config),
            (State::Up { .. }, Renewal::Again(next)) => Some(*next),
            (State::Up { .. }, Renewal::Ready(_)) => self.forced(config),
            (State::Up { .. }, Renewal::Opening) => None,
        }
    }

    /// When a new connection is to be opened.
    fn renewal_due(&self, config: &Config) -> Option<Duration> {
        self.at_age(config.session_limit - config.renewal_margin)
    }

    /// When it takes over, pause or not.
    fn forced(&self, config: &Config) -> Option<Duration> {
        self.at_age(config.session_limit - config.renewal_margin / LAST_PART)
    }

    fn at_age(&self, limit: Duration) -> Option<Duration> {
        match self.state {
            State::Up { age, since } => Some(since + limit.saturating_sub(age)),
            State::Down(_) => None,
        }
    }
}

impl Core {
    /// The connection is no more.
    pub fn lost(&mut self, now: Duration, loss: Loss) {
        self.now = now;
        if loss.is_final {
            self.give_up(loss.reason)
        } else {
            self.lost_now(&loss.reason)
        }
        self.settle();
    }

    /// What the model is told at the beginning has changed: a new connection takes over at the next pause.
    pub fn renew(&mut self, now: Duration) {
        self.now = now;
        if self.linking.is_up() && matches!(self.linking.renewal, Renewal::No | Renewal::Ready(_)) {
            self.linking.renewal = Renewal::Again(now);
        }
        self.settle();
    }

    /// A connection that was asked for is open.
    pub fn opened(&mut self, now: Duration) {
        self.now = now;
        if self.ending.is_finished() {
            return;
        }
        match &self.linking.state {
            State::Down(outage) => {
                let reason = outage.reason.clone();
                self.adopt(now, reason);
            }
            State::Up { .. } => self.linking.renewal = Renewal::Ready(now),
        }
        self.settle();
    }

    /// A connection that was asked for cannot be had.
    pub fn not_opened(&mut self, now: Duration, loss: Loss) {
        self.now = now;
        let attempts = self.config.reconnect_attempts;
        match &mut self.linking.state {
            State::Up { .. } => {
                let wait = self.config.renewal_margin / RENEWAL_ATTEMPTS;
                self.linking.renewal = Renewal::Again(now + wait);
            }
            State::Down(outage) => {
                outage.attempts += 1;
                let wait = (FIRST_WAIT * 2_u32.saturating_pow(outage.attempts - 1)).min(LONGEST_WAIT);
                outage.next = Some(now + wait);
                if loss.is_final || outage.attempts >= attempts {
                    self.give_up(loss.reason);
                }
            }
        }
        self.settle();
    }

    /// What was to be put in short is; `None`: it could not be.
    pub fn summarised(&mut self, now: Duration, summary: Option<String>) {
        self.now = now;
        self.story.summarised(summary);
        self.settle();
    }

    pub(super) fn lost_now(&mut self, reason: &str) {
        if self.ending.is_finished() || !self.linking.is_up() {
            return;
        }
        self.requests.clear();
        self.effects.push(Effect::Disconnect);
        if let Renewal::Ready(since) = self.linking.renewal {
            return self.adopt(since, reason.to_owned());
        }
        let is_opening = matches!(self.linking.renewal, Renewal::Opening);
        let next = (!is_opening).then_some(self.now);
        let reason = reason.to_owned();
        self.linking.state = State::Down(Outage { since: self.now, reason, attempts: 0, next });
        self.linking.renewal = Renewal::No;
    }

    /// Opens what is due, and lets a new connection take over at a pause.
    pub(super) fn mind_links(&mut self) {
        if self.ending.is_finished() {
            return;
        }
        let is_due = self.linking.due(&self.config).is_some_and(|due| due <= self.now);
        let is_pause = self.is_pause();
        match (&mut self.linking.state, &self.linking.renewal) {
            (State::Down(outage), _) if is_due => {
                if outage.since + self.config.reconnect_time <= self.now {
                    let reason = outage.reason.clone();
                    return self.give_up(reason);
                }
                outage.next = None;
                self.effects.push(Effect::Connect);
            }
            (State::Up { .. }, Renewal::No | Renewal::Again(_)) if is_due => {
                self.linking.renewal = Renewal::Opening;
                self.effects.push(Effect::Connect);
            }
            (State::Up { .. }, Renewal::Ready(since)) if is_due || is_pause => {
                let since = *since;
                self.adopt(since, "the session with the model was renewed before its end".to_owned());
            }
            _ => {}
        }
    }

    /// Nobody says or does anything.
    fn is_pause(&self) -> bool {
        !self.speech.is_speaking
            && !self.answers.is_busy()
            && !self.voice.is_speaking()
            && self.tools.is_empty()
            && self.keys.is_empty()
            && !self.ending.is_leaving()
    }

    /// The connection that was opened takes over, and is told everything.
    fn adopt(&mut self, since: Duration, reason: String) {
        let heard_again = self.speech.to_be_heard_again();
        let was_busy = self.answers.begin_again() || self.speech.is_unanswered;
        self.requests.clear();
        self.linking.generation += 1;
        self.linking.state = State::Up { age: Duration::ZERO, since };
        self.linking.renewal = Renewal::No;
        self.cut_off();
        self.speech.is_speaking = false;
        self.effects.extend([Effect::Adopt, Effect::Record(Entry::Reconnected { reason })]);
        self.caller.begin_again(heard_again.unwrap_or_else(|| self.unjudged()));
        if heard_again.is_some() {
            self.story.forget(self.speech.items());
            self.answers.expect(self.now);
        }
        self.story.give_up_waiting();
        self.tell_everything();
        // While tools are under way, the answer that follows them goes on.
        if was_busy && heard_again.is_none() && self.tools.is_empty() {
            self.answers.want(Want::new(Purpose::Resume, []));
        }
    }

    /// From when on nobody may have listened any more: what the old connection was sent last it may not have heard, but
    /// nothing of what it is known to have heard is said twice.
    fn unjudged(&self) -> u64 {
        self.caller.sent_ms().saturating_sub(LOOK_BACK_MS).max(self.speech.until_ms)
    }

    fn tell_everything(&mut self) {
        let mut contents = self.story.contents(&self.beginning.mark);
        contents.extend(self.tools.under_way().cloned().map(Content::Call));
        let mut last = None;
        for content in contents {
            let item = self.name("told");
            self.ask(Request::Add { item: item.clone(), after: None, content });
            last = Some(item);
        }
        // What the caller is still hearing may turn out to be less.
        let generation = self.linking.generation;
        let mut names = self.names;
        for (utterance, text) in self.voice.open() {
            if text.is_empty() {
                continue;
            }
            names += 1;
            let item = format!("told_{names}");
            utterance.copy = Some((generation, item.clone(), last.replace(item.clone())));
            let content = Content::Assistant(text);
            self.requests.push_back(Request::Add { item, after: None, content });
        }
        self.names = names;
    }
}
