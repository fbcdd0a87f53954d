//! Whatever happens in whatever order: nothing is cut off beyond what was heard, no two answers are asked for at once, no
//! tool is called that a completed answer did not want, while the output of one is missing no answer that may call it again
//! is asked for, unless the caller wants one, and nobody is hung up on who had something to say.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use plugin_api::{
    requests::voice::{BridgeEvent, Heard, SessionEvent, read_spoken},
    serde_json::json,
};
use proptest::prelude::*;

use super::machine::{config, created, ended, fault, function_call};
use crate::{
    call::Next,
    session::{
        core::{Beginning, Core, Effect, tools::ToolDone, voice::Out},
        model::{Event, FaultKind, Loss, Outcome, Request},
    },
};

/// Something happens; the numbers choose what it is about.
#[derive(Debug, Clone)]
enum Step {
    Speaks,
    Stops,
    Begins,
    Audio(u8, u16),
    Words(u8),
    AudioDone(u8),
    Completed(u8, bool),
    Leaves(u8, bool),
    Cancelled(u8),
    Failed(u8),
    Takes(u8),
    Interrupted(u16),
    Played(u8),
    ToolAnswers(u8),
    Acknowledged,
    Busy,
    Refused,
    Lost,
    Opened,
    NotOpened,
    Digit,
    Time(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Speaks),
        1 => Just(Step::Stops),
        2 => Just(Step::Begins),
        4 => (any::<u8>(), 1u16..3_000).prop_map(|(which, ms)| Step::Audio(which, ms)),
        2 => any::<u8>().prop_map(Step::Words),
        1 => any::<u8>().prop_map(Step::AudioDone),
        2 => any::<(u8, bool)>().prop_map(|(which, calls)| Step::Completed(which, calls)),
        1 => any::<(u8, bool)>().prop_map(|(which, others)| Step::Leaves(which, others)),
        1 => any::<u8>().prop_map(Step::Cancelled),
        1 => any::<u8>().prop_map(Step::Failed),
        6 => any::<u8>().prop_map(Step::Takes),
        3 => any::<u16>().prop_map(Step::Interrupted),
        1 => any::<u8>().prop_map(Step::Played),
        2 => any::<u8>().prop_map(Step::ToolAnswers),
        1 => Just(Step::Acknowledged),
        1 => Just(Step::Busy),
        1 => Just(Step::Refused),
        1 => Just(Step::Lost),
        2 => Just(Step::Opened),
        1 => Just(Step::NotOpened),
        1 => Just(Step::Digit),
        2 => (1u16..12_000).prop_map(Step::Time),
    ]
}

/// The world around a machine, and what it has seen of it.
struct World {
    core: Core,
    now: Duration,
    /// Responses of this connection: the number, and whether they are over.
    responses: Vec<(u32, bool)>,
    count: u32,
    /// Asked for, and neither begun nor refused; when.
    asked: Option<Asked>,
    /// Responses that may call tools.
    calling: HashSet<String>,
    wanted: HashSet<String>,
    called: HashSet<String>,
    /// Those whose output is missing.
    missing: HashSet<String>,
    /// The caller, or a tool that has answered, waits for an answer.
    is_awaited: bool,
    has_spoken: bool,
    is_speaking: bool,
    /// Responses that the caller had something to say to.
    unwanted: HashSet<String>,
    /// The model wants to hang up, and the caller has not objected.
    may_leave: bool,
    /// What was added and not confirmed.
    added: Vec<String>,
    /// Utterances by item, bytes that went out, how much the bridge said was heard.
    items: HashMap<String, u32>,
    sent: HashMap<u32, u64>,
    heard: HashMap<u32, u64>,
    settled: HashSet<u32>,
    interrupts: u32,
    truncated: HashSet<String>,
    needs_link: bool,
    is_finished: bool,
}

#[derive(Debug)]
struct Asked {
    name: String,
    since: Duration,
    may_call: bool,
}

impl World {
    fn new() -> Self {
        let core = Core::new(config(json!({ "idle": "5s" })), Beginning::default(), Duration::ZERO);
        let mut world = Self {
            core,
            now: Duration::ZERO,
            responses: Vec::new(),
            count: 0,
            asked: None,
            calling: HashSet::new(),
            wanted: HashSet::new(),
            called: HashSet::new(),
            missing: HashSet::new(),
            is_awaited: false,
            has_spoken: false,
            is_speaking: false,
            unwanted: HashSet::new(),
            may_leave: false,
            added: Vec::new(),
            items: HashMap::new(),
            sent: HashMap::new(),
            heard: HashMap::new(),
            settled: HashSet::new(),
            interrupts: 0,
            truncated: HashSet::new(),
            needs_link: false,
            is_finished: false,
        };
        world.look();
        world
    }

    fn active(&self) -> Option<u32> {
        self.responses.last().filter(|(_, is_over)| !is_over).map(|(number, _)| *number)
    }

    /// The caller has something to say.
    fn object(&mut self) {
        self.may_leave = false;
        let active = self.active().map(|number| format!("r{number}"));
        self.unwanted.extend(active);
    }

    fn response(&self, which: u8) -> Option<String> {
        let index = usize::from(which) % self.responses.len().max(1);
        self.responses.get(index).map(|(number, _)| format!("r{number}"))
    }

    fn model(&mut self, event: Event) {
        self.core.model(self.now, event);
    }

    /// Each response has an item.
    fn step(&mut self, step: Step) {
        match step {
            Step::Speaks => {
                (self.has_spoken, self.is_speaking) = (true, true);
                self.object();
                self.model(Event::SpeechStarted { at_ms: 0 });
            }
            Step::Stops => {
                (self.is_awaited, self.is_speaking) = (true, false);
                self.model(Event::SpeechStopped { at_ms: 0 });
            }
            Step::Begins if self.active().is_none() && !self.needs_link => {
                self.count += 1;
                self.responses.push((self.count, false));
                // One that was not asked for may do what it likes.
                if self.asked.take().is_none_or(|asked| asked.may_call) {
                    self.calling.insert(format!("r{}", self.count));
                }
                if self.is_speaking {
                    self.unwanted.insert(format!("r{}", self.count));
                }
                self.model(created(&format!("r{}", self.count)));
            }
            Step::Audio(which, ms) => {
                if let Some(response) = self.response(which).filter(|_| !self.needs_link) {
                    let item = format!("i{response}");
                    self.model(Event::Audio { response, item, audio: vec![1; usize::from(ms) * 8] });
                }
            }
            Step::Words(which) => {
                if let Some(response) = self.response(which).filter(|_| !self.needs_link) {
                    let (item, text) = (format!("i{response}"), "some more words ".to_owned());
                    self.model(Event::Words { response, item, text });
                }
            }
            Step::AudioDone(which) => {
                if let Some(response) = self.response(which).filter(|_| !self.needs_link) {
                    self.model(Event::AudioDone { item: format!("i{response}") });
                }
            }
            Step::Completed(which, false) => self.end(which, &[], None),
            Step::Completed(which, true) => self.end(which, &["look"], None),
            Step::Leaves(which, false) => self.end(which, &["hang_up"], None),
            Step::Leaves(which, true) => self.end(which, &["hang_up", "look"], None),
            Step::Cancelled(which) => self.end(which, &[], Some(Outcome::Cancelled)),
            Step::Failed(which) => {
                let failed = Outcome::Failed { message: "no".into(), is_hopeless: false };
                self.end(which, &[], Some(failed));
            }
            Step::Takes(count) => {
                for _ in 0..count % 12 {
                    self.take_frame();
                }
            }
            Step::Interrupted(share) if self.interrupts > 0 => {
                self.interrupts -= 1;
                self.interrupted(share);
            }
            Step::Played(which) => {
                let open: Vec<u32> = self.open();
                if let Some(utterance) = open.get(usize::from(which) % open.len().max(1)).copied() {
                    self.settled.insert(utterance);
                    self.heard.insert(utterance, self.sent[&utterance] / 8);
                    self.core.bridge(self.now, BridgeEvent::Played { utterance });
                }
            }
            Step::ToolAnswers(which) => {
                let mut open: Vec<String> = self.called.iter().cloned().collect();
                open.sort();
                if let Some(call_id) = open.get(usize::from(which) % open.len().max(1)).cloned() {
                    self.is_awaited |= self.missing.remove(&call_id);
                    let done =
                        ToolDone { call_id, tool: "t".into(), output: "o".into(), is_ok: true, took_ms: 1 };
                    self.core.tool(self.now, done);
                }
            }
            Step::Acknowledged if !self.added.is_empty() => {
                let item = self.added.remove(0);
                self.model(Event::ItemAdded { item });
            }
            Step::Busy | Step::Refused if self.asked.is_some() => {
                let kind = if matches!(step, Step::Busy) { FaultKind::Busy } else { FaultKind::Other };
                let asked = self.asked.take();
                self.is_awaited |= asked.as_ref().is_some_and(|asked| asked.may_call);
                self.model(fault(asked.as_ref().map(|asked| asked.name.as_str()), kind));
            }
            Step::Lost if !self.needs_link => {
                self.core.lost(self.now, Loss { reason: "broke".into(), is_final: false });
            }
            Step::Opened if self.needs_link => self.core.opened(self.now),
            Step::NotOpened if self.needs_link => {
                self.core.not_opened(self.now, Loss { reason: "no".into(), is_final: false });
            }
            Step::Digit => self.core.bridge(self.now, BridgeEvent::Digit { digit: '1' }),
            Step::Time(ms) => {
                self.now += Duration::from_millis(ms.into());
                self.core.tick(self.now);
            }
            _ => {}
        }
        self.look();
    }

    /// It ends so, or as intended, and wants these tools called.
    fn end(&mut self, which: u8, tools: &[&str], outcome: Option<Outcome>) {
        let Some(response) = self.response(which).filter(|_| !self.needs_link) else { return };
        let known = self.responses.iter_mut().find(|(number, _)| format!("r{number}") == response);
        if known.is_none_or(|(_, is_over)| std::mem::replace(is_over, true)) {
            return;
        }
        self.is_awaited |=
            matches!(outcome, Some(Outcome::Failed { .. })) && self.calling.contains(&response);
        let calls = tools.iter().map(|tool| function_call(&format!("{tool}_of_{response} {tool}")));
        let calls: Vec<_> = calls.collect();
        self.wanted.extend(calls.iter().map(|call| call.call_id.clone()));
        // Not beside other tools, and not if they had something to say.
        self.may_leave |= tools == ["hang_up"] && !self.unwanted.contains(&response);
        let event = ended(&response, outcome.unwrap_or(Outcome::Completed { calls }));
        self.model(event);
    }

    fn open(&self) -> Vec<u32> {
        let mut open: Vec<u32> =
            self.sent.keys().copied().filter(|number| !self.settled.contains(number)).collect();
        open.sort_unstable();
        open
    }

    /// The bridge may say that more was sent than was: it is not believed.
    fn interrupted(&mut self, share: u16) {
        let mut heard = Vec::new();
        for utterance in self.open() {
            let sent_ms = self.sent[&utterance] / 8;
            let heard_ms = (sent_ms + 500) * u64::from(share) / u64::from(u16::MAX);
            self.settled.insert(utterance);
            self.heard.insert(utterance, heard_ms);
            heard.push(Heard { utterance, heard_ms, sent_ms });
        }
        self.core.bridge(self.now, BridgeEvent::Interrupted { heard, after_ms: None });
    }

    fn take_frame(&mut self) {
        match self.core.next_frame() {
            Some(Out::Event(SessionEvent::Utterance { utterance, response })) => {
                // Answers are counted as they begin, here as there.
                self.items.insert(format!("ir{response}"), utterance);
                self.sent.insert(utterance, 0);
            }
            Some(Out::Audio(frame)) => {
                let (utterance, audio) = read_spoken(&frame).expect("audio");
                let sent = self.sent.get_mut(&utterance).expect("an utterance is announced before its audio");
                *sent += audio.len() as u64;
            }
            Some(Out::Event(SessionEvent::Interrupt { .. })) => self.interrupts += 1,
            _ => {}
        }
    }

    /// Looks at all that came out.
    fn look(&mut self) {
        for effect in self.core.effects() {
            match effect {
                Effect::Call(wanted) => {
                    let id = wanted.call.call_id;
                    assert!(self.wanted.contains(&id), "{id} was not wanted by a completed answer");
                    assert!(self.called.insert(id.clone()), "called twice");
                    self.missing.insert(id);
                }
                Effect::Connect => self.needs_link = true,
                Effect::Adopt => {
                    (self.needs_link, self.is_speaking) = (false, false);
                    self.responses.clear();
                    self.asked = None;
                    // What they say is heard again.
                    self.is_awaited |= self.has_spoken;
                    self.added.clear();
                    self.truncated.clear();
                }
                Effect::Decide(next) => {
                    self.is_finished = true;
                    assert!(
                        !matches!(next, Next::HangUp { .. }) || self.may_leave,
                        "hung up on somebody who stays"
                    );
                }
                _ => {}
            }
        }
        while let Some(request) = self.core.next_request() {
            assert!(!self.is_finished, "after the end: {request:?}");
            match request {
                Request::Respond { name, may_call, .. } => self.asked_for(name, may_call),
                Request::Truncate { item, audio_end_ms } => self.truncate(item, audio_end_ms),
                Request::Add { item, .. } => {
                    if item.starts_with("keys_") {
                        self.is_awaited = true;
                        self.object();
                    }
                    self.added.push(item);
                }
                _ => {}
            }
        }
    }

    fn asked_for(&mut self, name: String, may_call: bool) {
        assert_eq!(self.active(), None, "an answer is being given");
        let earlier = self.asked.replace(Asked { name, since: self.now, may_call });
        // What nobody answers for so long is asked for again.
        let is_lost = |asked: &Asked| self.now >= asked.since + Duration::from_secs(10);
        assert!(earlier.as_ref().is_none_or(is_lost), "an answer was asked for already");
        if may_call {
            let is_again = earlier.is_some_and(|asked| asked.may_call);
            let is_awaited = std::mem::take(&mut self.is_awaited) || is_again;
            assert!(
                self.missing.is_empty() || is_awaited,
                "asked for without the output of {:?}",
                self.missing
            );
        }
    }

    fn truncate(&mut self, item: String, audio_end_ms: u64) {
        assert!(self.truncated.insert(item.clone()), "{item} is cut off twice");
        let bound = self.items.get(&item).map_or(0, |utterance| {
            (self.sent[utterance] / 8).min(self.heard.get(utterance).copied().unwrap_or(0))
        });
        assert!(audio_end_ms <= bound, "{item} is cut off at {audio_end_ms}, and {bound} was heard of it");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold(steps in prop::collection::vec(step(), 1..160)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
    }
}
