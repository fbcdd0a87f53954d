//! A call's core with what waits to be sent to either side, shared by those who read and write its sockets. Never waits
//! for a socket itself.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use plugin_api::{jiff::Timestamp, prelude::*, requests::bridge::BridgedCall, tokio::sync::Notify};

use crate::{
    machine::{Core, End, Input, Limits, Measure, Output},
    recorder::Recorder,
    recording::{Line as Recorded, What},
};

/// What waits for the conversation before Twilio has to wait: a second of audio.
const WAITING_FOR_SESSION: usize = 50;
/// What waits for either side for so long, it will not take any more.
const STUCK: Duration = Duration::from_secs(10);

/// Which call it is.
#[derive(Debug, Clone)]
pub struct Identity {
    pub call: String,
    pub stream: String,
    pub began_at: Timestamp,
}

/// One call in progress.
pub struct Line {
    pub identity: Identity,
    began: Instant,
    state: Mutex<State>,
    changed: Notify,
    measured: Box<dyn Fn(Measure) + Send + Sync>,
}

struct State {
    core: Core,
    to_twilio: Outbox<String>,
    to_session: Outbox<Frame>,
    end: Option<End>,
    recorder: Option<Recorder>,
}

/// Where frames wait to be sent.
struct Outbox<T> {
    frames: VecDeque<T>,
    /// When the first of them began to wait.
    since: Instant,
    is_gone: bool,
}

/// For as long as a line is about to end for a known reason.
pub struct Leaving(Arc<Line>);

/// Which side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Twilio,
    Session,
}

impl Line {
    /// A call whose stream begins now.
    pub fn new(
        identity: Identity,
        limits: Limits,
        recorder: Option<Recorder>,
        measured: impl Fn(Measure) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let core = Core::new(&identity.stream, limits);
        let state = State { core, to_twilio: Outbox::new(), to_session: Outbox::new(), end: None, recorder };
        Arc::new(Self {
            identity,
            began: Instant::now(),
            state: Mutex::new(state),
            changed: Notify::new(),
            measured: Box::new(measured),
        })
    }

    /// Hands something to the core.
    pub fn handle(&self, input: Input) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let measures = self.state().handle(now, input);
        measures.into_iter().for_each(&self.measured);
        self.changed.notify_waiters();
    }

    /// Ends the call, unless it has ended.
    pub fn end(&self, end: End) {
        self.handle(Input::End(end));
    }

    /// The line is about to end for this reason, unless what is given back is dropped before.
    pub fn leaving(self: &Arc<Self>, reason: &str) -> Leaving {
        self.handle(Input::Leaving(Some(reason.to_owned())));
        Leaving(self.clone())
    }

    /// Time has passed. A side that takes nothing any more ends the call; while one makes the other wait, it is not the
    /// caller who is silent.
    pub fn tick(&self) {
        let (stuck, waits) = {
            let state = self.state();
            (state.stuck(), state.to_session.frames.len() >= WAITING_FOR_SESSION)
        };
        match stuck {
            Some(end) => self.end(end),
            None if waits => {}
            None => self.handle(Input::Tick),
        }
    }

    /// Waits until what Twilio sends may be read.
    pub async fn takes_audio(&self) {
        self.until(|state| (state.to_session.frames.len() < WAITING_FOR_SESSION).then_some(())).await;
    }

    /// Waits until what the conversation sends may be read.
    pub async fn takes_speech(&self) {
        self.until(|state| state.core.has_room().then_some(())).await;
    }

    /// Waits for the end.
    pub async fn ended(&self) -> End {
        self.until(|state| state.end.clone()).await
    }

    /// Waits until the conversation is gone, if it is to decide by then how the call goes on.
    pub async fn decided(&self) {
        let is_decided = |state: &State, end: &End| state.to_session.is_gone || !end.ends_call;
        self.until(|state| state.end.as_ref().is_some_and(|end| is_decided(state, end)).then_some(())).await;
    }

    /// The next frame for Twilio; `None` when the call is over and nothing is left.
    pub async fn next_for_twilio(&self) -> Option<Frame> {
        let next = self.until(|state| state.to_twilio.next(state.end.is_some())).await;
        next.map(Frame::Text)
    }

    /// The next frame for the conversation; `None` when the call is over and nothing is left.
    pub async fn next_for_session(&self) -> Option<Frame> {
        let (next, made_room) = self
            .until(|state| {
                let was_full = state.to_session.frames.len() == WAITING_FOR_SESSION;
                let next = state.to_session.next(state.end.is_some())?;
                Some((next, was_full))
            })
            .await;
        if made_room {
            self.changed.notify_waiters();
        }
        next
    }

    /// A frame was sent: those behind it begin to wait.
    pub fn sent(&self, side: Side) {
        let mut state = self.state();
        match side {
            Side::Twilio => state.to_twilio.since = Instant::now(),
            Side::Session => state.to_session.since = Instant::now(),
        }
    }

    /// A side is gone: nothing is kept for it any more.
    pub fn gone(&self, side: Side) {
        let mut state = self.state();
        match side {
            Side::Twilio => state.to_twilio.give_up(),
            Side::Session => state.to_session.give_up(),
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// How it stands.
    pub fn shown(&self) -> BridgedCall {
        let state = self.state();
        let Identity { call, stream, began_at } = self.identity.clone();
        BridgedCall {
            call,
            stream,
            began_at: began_at.to_string(),
            unheard_ms: state.core.unheard_ms(),
            queued_ms: state.core.queued_ms(),
            finishing: state.core.is_finishing(),
            media: state.core.report(),
        }
    }

    /// Waits until the answer is there.
    async fn until<T>(&self, mut answer: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(answer) = answer(&mut self.state()) {
                return answer;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        // Nothing happens to a line that has ended.
        self.0.handle(Input::Leaving(None));
    }
}

impl State {
    fn handle(&mut self, now: u64, input: Input) -> Vec<Measure> {
        let what = self.recorder.is_some().then(|| What::of_input(&input));
        let outputs = self.core.handle(now, input);
        // A moment that came to nothing changed nothing.
        if let Some(what) = what.filter(|what| *what != What::Tick(true) || !outputs.is_empty()) {
            self.record(now, what, &outputs);
        }
        outputs.into_iter().filter_map(|output| self.put(output)).collect()
    }

    fn put(&mut self, output: Output) -> Option<Measure> {
        match output {
            Output::Twilio(text) => self.to_twilio.put(text),
            Output::Clear(text) => self.to_twilio.put_instead(text),
            Output::Session(frame) => self.to_session.put(frame),
            Output::Ended(end) => {
                self.end = Some(end);
                self.recorder = None;
            }
            Output::Measured(measure) => return Some(measure),
        }
        None
    }

    /// What came, and what it led to.
    fn record(&mut self, at: u64, what: What, outputs: &[Output]) {
        let media = self.core.media_ms();
        let Some(recorder) = &mut self.recorder else { return };
        let whats = std::iter::once(what).chain(outputs.iter().filter_map(What::of_output));
        whats.for_each(|what| recorder.add(&Recorded { at, media, what }));
    }

    fn stuck(&self) -> Option<End> {
        let seconds = STUCK.as_secs();
        if self.to_session.is_stuck() {
            let reason = format!("the conversation has taken nothing for {seconds} s");
            return Some(End::failed(ErrorKind::Unavailable, &reason));
        }
        let reason = format!("Twilio has taken nothing for {seconds} s");
        self.to_twilio.is_stuck().then(|| End::failed(ErrorKind::Unavailable, &reason))
    }
}

impl<T> Outbox<T> {
    fn new() -> Self {
        Self { frames: VecDeque::new(), since: Instant::now(), is_gone: false }
    }

    fn put(&mut self, frame: T) {
        if self.is_gone {
            return;
        }
        if self.frames.is_empty() {
            self.since = Instant::now();
        }
        self.frames.push_back(frame);
    }

    /// In place of all that waits, of which nothing counts any more. A side that takes nothing goes on taking nothing.
    fn put_instead(&mut self, frame: T) {
        if self.frames.is_empty() {
            return self.put(frame);
        }
        self.frames.clear();
        self.frames.push_back(frame);
    }

    /// `Some(None)`: there will be no more.
    fn next(&mut self, is_over: bool) -> Option<Option<T>> {
        match self.frames.pop_front() {
            Some(frame) => Some(Some(frame)),
            None => (is_over || self.is_gone).then_some(None),
        }
    }

    fn give_up(&mut self) {
        self.is_gone = true;
        self.frames.clear();
    }

    fn is_stuck(&self) -> bool {
        !self.frames.is_empty() && self.since.elapsed() >= STUCK
    }
}
