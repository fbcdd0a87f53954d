//! One answer of the model at a time: which is being given, which was asked for, which is wanted as soon as it may be, and
//! which of them the caller has interrupted. Pure.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use crate::call::Next;

/// Answers that are remembered after their end.
const REMEMBERED: usize = 16;
/// How long an answer that was asked for may take to begin; then it is asked for again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the server may take to begin an answer by itself; then it is asked for.
const SERVER_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait while the server says that it is busy with an answer that nobody knows of.
const BUSY_WAIT: Duration = Duration::from_millis(500);

/// The answers of a conversation.
#[derive(Debug, Default)]
pub struct Answers {
    /// The one that is being given.
    pub active: Option<Active>,
    /// The one that was asked for and has not begun.
    asked: Option<Asked>,
    /// The one that is to be asked for.
    wanted: Option<Want>,
    /// What the active one was asked for, in case that it turns out to be another one; and whether that one knows it all.
    granted: Option<(Asked, bool)>,
    known: VecDeque<Known>,
    count: u32,
    /// Since when the server is about to begin one by itself.
    server_since: Option<Duration>,
    not_before: Duration,
    /// Answers in a row that came to nothing.
    pub failures: u32,
}

/// An answer being given.
#[derive(Debug, Clone)]
pub struct Active {
    pub id: String,
    pub number: u32,
    /// What it was asked for.
    pub purpose: Option<Purpose>,
    /// That was taken back before it began.
    pub is_in_vain: bool,
    pub is_cancelled: bool,
}

/// An answer that was asked for.
#[derive(Debug, Clone)]
struct Asked {
    name: String,
    since: Duration,
    want: Want,
    /// It was to take leave, which was taken back.
    is_in_vain: bool,
}

/// An answer, for as long as something may still come of it.
#[derive(Debug)]
struct Known {
    id: String,
    number: u32,
    is_discarded: bool,
}

/// An answer that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Want {
    pub purpose: Purpose,
    /// What it is about, and the server has not confirmed to have.
    items: HashSet<String>,
}

/// What an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To begin the call.
    Greeting,
    /// To say what came of tools, or to answer keys.
    Reply,
    /// To say that it takes a while.
    Filler,
    /// To go on after the connection broke.
    Resume,
    /// To take leave; then the call goes on so.
    Farewell(Next),
}

impl Purpose {
    pub fn is_farewell(&self) -> bool {
        matches!(self, Self::Farewell(_))
    }
}

impl Want {
    pub fn greeting() -> Self {
        Self { purpose: Purpose::Greeting, items: HashSet::new() }
    }

    pub fn new(purpose: Purpose, items: impl IntoIterator<Item = String>) -> Self {
        Self { purpose, items: items.into_iter().collect() }
    }
}

impl Answers {
    /// An answer is to be given as soon as it may be. Several wishes become one answer.
    pub fn want(&mut self, want: Want) {
        let wanted = match self.wanted.take() {
            None => want,
            Some(earlier) => {
                let purpose = if earlier.purpose.is_farewell() { earlier.purpose } else { want.purpose };
                Want { purpose, items: earlier.items.into_iter().chain(want.items).collect() }
            }
        };
        self.wanted = Some(wanted);
    }

    /// What was asked for came to nothing: it is wanted again, with what is wanted by now. Not so a filler, which comes again
    /// in its time.
    pub fn want_again(&mut self, want: Want) {
        if want.purpose == Purpose::Filler {
            return;
        }
        if let Some(later) = self.wanted.replace(want) {
            self.want(later);
        }
    }

    /// Whether anything is being answered, or about to be.
    pub fn is_busy(&self) -> bool {
        self.active.is_some() || self.asked.is_some() || self.wanted.is_some() || self.server_since.is_some()
    }

    /// What may be asked for now. It counts as asked for by this name.
    pub fn ask(&mut self, now: Duration, name: impl FnOnce() -> String) -> Option<(String, Purpose)> {
        if !self.is_free(now) {
            return None;
        }
        let want = self.wanted.take()?;
        Some(self.asked_for(want, now, name()))
    }

    /// Asks for a filler, if nothing is in its way.
    pub fn ask_filler(&mut self, now: Duration, name: impl FnOnce() -> String) -> Option<(String, Purpose)> {
        let is_free = self.is_free(now) && self.wanted.is_none();
        is_free.then(|| self.asked_for(Want::new(Purpose::Filler, []), now, name()))
    }

    fn asked_for(&mut self, want: Want, now: Duration, name: String) -> (String, Purpose) {
        let purpose = want.purpose.clone();
        self.asked = Some(Asked { name: name.clone(), since: now, want, is_in_vain: false });
        (name, purpose)
    }

    fn is_free(&self, now: Duration) -> bool {
        let is_taken = self.active.is_some() || self.asked.is_some() || self.server_since.is_some();
        !is_taken && now >= self.not_before
    }

    /// The caller has ended, and the server is about to answer by itself.
    pub fn expect(&mut self, now: Duration) {
        self.server_since = Some(now);
    }

    /// It does not: the caller has gone on.
    pub fn expect_nothing(&mut self) {
        self.server_since = None;
    }

    /// The server has something that was added.
    pub fn added(&mut self, item: &str) {
        let wants = [self.wanted.as_mut(), self.asked.as_mut().map(|asked| &mut asked.want)];
        for want in wants.into_iter().flatten() {
            want.items.remove(item);
        }
    }

    /// An answer begins.
    pub fn begin(&mut self, id: String) -> &mut Active {
        // If the server was about to begin one by itself, it may be that one.
        let is_ours = self.server_since.take().is_none();
        let is_in_vain = is_ours && self.asked.as_ref().is_some_and(|asked| asked.is_in_vain);
        self.count += 1;
        let number = self.count;
        self.known.push_back(Known { id: id.clone(), number, is_discarded: false });
        if self.known.len() > REMEMBERED {
            self.known.pop_front();
        }
        self.granted = self.asked.take().map(|asked| {
            let is_met = asked.want.is_met();
            (asked, is_met)
        });
        let purpose = self.granted.as_ref().map(|(asked, _)| asked.want.purpose.clone());
        // One that the server began knows everything that it has confirmed to have.
        if purpose.is_none() && self.wanted.as_ref().is_some_and(Want::is_met) {
            self.wanted = None;
        }
        self.active.insert(Active { id, number, purpose, is_in_vain, is_cancelled: false })
    }

    /// An answer has ended. `None`: nobody knows of it.
    pub fn end(&mut self, id: &str) -> Option<Active> {
        if self.active.as_ref().is_some_and(|active| active.id == id) {
            self.granted = None;
            return self.active.take();
        }
        let known = self.known.iter().find(|known| known.id == id)?;
        let (id, number) = (id.to_owned(), known.number);
        Some(Active { id, number, purpose: None, is_in_vain: false, is_cancelled: true })
    }

    /// The number of an answer, if it is being given, and what comes of it is not to be thrown away.
    pub fn audible(&self, id: &str) -> Option<u32> {
        let number = self.active.as_ref().filter(|active| active.id == id)?.number;
        (!self.is_discarded(number)).then_some(number)
    }

    /// What else comes of these answers is thrown away.
    pub fn discard(&mut self, numbers: &[u32]) {
        for known in self.known.iter_mut().filter(|known| numbers.contains(&known.number)) {
            known.is_discarded = true;
        }
    }

    /// Whether what comes of it is thrown away.
    pub fn is_discarded(&self, number: u32) -> bool {
        self.known.iter().any(|known| known.number == number && known.is_discarded)
    }

    /// Cancels the active answer, if it was interrupted and nobody has done so yet.
    pub fn cancel_interrupted(&mut self) -> Option<String> {
        let number = self.active.as_ref()?.number;
        if !self.is_discarded(number) {
            return None;
        }
        let active = self.active.as_mut().filter(|active| !active.is_cancelled)?;
        active.is_cancelled = true;
        Some(active.id.clone())
    }

    /// The server says that it is giving an answer already.
    pub fn busy(&mut self, about: Option<&str>, now: Duration) {
        if let Some(asked) = self.asked.take_if(|asked| about.is_none_or(|name| name == asked.name)) {
            self.not_before = now + BUSY_WAIT;
            return self.want_again(asked.want);
        }
        // What has begun meanwhile was another one: does it know what this was about?
        let granted = self.granted.take_if(|(asked, _)| about.is_some_and(|name| name == asked.name));
        if let Some((asked, false)) = granted {
            self.want_again(asked.want);
        }
    }

    /// What was asked for was refused: by which name, if it is known. Whether it was an answer.
    pub fn refuse(&mut self, about: Option<&str>) -> bool {
        match self.asked.take_if(|asked| about == Some(asked.name.as_str())) {
            Some(asked) => {
                self.want_again(asked.want);
                true
            }
            None => false,
        }
    }

    /// Nothing is asked for before.
    pub fn wait_until(&mut self, time: Duration) {
        self.not_before = time;
    }

    /// A wish to take leave is taken back. An answer that was asked for it already is like any other from now on.
    pub fn stay(&mut self) {
        self.wanted.take_if(|want| want.purpose.is_farewell());
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.want.purpose.is_farewell()) {
            (asked.want.purpose, asked.is_in_vain) = (Purpose::Reply, true);
        }
        let granted = self.granted.as_mut().map(|(asked, _)| &mut asked.want.purpose);
        let active = self.active.as_mut().and_then(|active| active.purpose.as_mut());
        for purpose in granted.into_iter().chain(active).filter(|purpose| purpose.is_farewell()) {
            *purpose = Purpose::Reply;
        }
    }

    /// What has taken too long is given up.
    pub fn tick(&mut self, now: Duration) {
        if let Some(asked) = self.asked.take_if(|asked| now >= asked.since + PATIENCE) {
            self.want_again(asked.want);
        }
        if self.server_since.take_if(|since| now >= *since + SERVER_PATIENCE).is_some()
            && self.active.is_none()
        {
            self.want(Want::new(Purpose::Reply, []));
        }
    }

    /// When time decides. A wish whose time has come waits for something else, and hides no other time.
    pub fn due(&self, now: Duration) -> Option<Duration> {
        let asked = self.asked.as_ref().map(|asked| asked.since + PATIENCE);
        let server = self.server_since.map(|since| since + SERVER_PATIENCE);
        let wanted = self.wanted.as_ref().map(|_| self.not_before).filter(|at| *at > now);
        [asked, server, wanted].into_iter().flatten().min()
    }

    /// The connection is gone, and with it what was being answered. Whether anything was.
    pub fn begin_again(&mut self) -> bool {
        let was_busy = self.is_busy();
        let count = self.count;
        let farewell = self.wanted.take().filter(|want| want.purpose.is_farewell());
        *self = Self { count, wanted: farewell, ..Self::default() };
        was_busy
    }
}

impl Want {
    fn is_met(&self) -> bool {
        self.items.is_empty()
    }
}
