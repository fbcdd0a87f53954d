//! What must hold whatever happens: a simulated Twilio, which knows what it has played, is the witness.

use std::collections::BTreeMap;

use plugin_api::requests::voice::{BridgeEvent, SessionEvent};
use proptest::prelude::*;

use super::world::{LIMITS, World, byte_of};
use crate::{machine::Limits, replay::replay};

/// Small enough that random calls come to their bounds.
const TIGHT: Limits = Limits { ahead_ms: 1_000, queue_ms: 1_500, ..LIMITS };
/// The longest piece that a conversation says at once.
const LONGEST_MS: u64 = 700;

/// What happens next on a call.
#[derive(Debug, Clone)]
enum Event {
    Begin { new_response: bool },
    Say { bytes: usize },
    SayLate { back: u32, bytes: usize },
    Done,
    Interrupt { speaks: bool },
    Stopped,
    Speak { frames: u64 },
    Lose { milliseconds: u64 },
    Stall { milliseconds: u64 },
    Delay { milliseconds: u64 },
    ForgedMark { text: String },
    Press,
    Finish,
}

fn event() -> impl Strategy<Value = Event> {
    let longest = (LONGEST_MS * 8) as usize;
    prop_oneof![
        4 => any::<bool>().prop_map(|new_response| Event::Begin { new_response }),
        8 => (0..longest).prop_map(|bytes| Event::Say { bytes }),
        2 => (0..4u32, 1..longest).prop_map(|(back, bytes)| Event::SayLate { back, bytes }),
        3 => Just(Event::Done),
        3 => any::<bool>().prop_map(|speaks| Event::Interrupt { speaks }),
        1 => Just(Event::Stopped),
        6 => (1..30u64).prop_map(|frames| Event::Speak { frames }),
        2 => (1..150u64).prop_map(|frames| Event::Lose { milliseconds: frames * 20 }),
        1 => (1..100u64).prop_map(|frames| Event::Stall { milliseconds: frames * 20 }),
        1 => (0..200u64).prop_map(|milliseconds| Event::Delay { milliseconds }),
        1 => "u[0-9]{1,2}:[0-9]{1,4}:g[0-9]{1,2}:m[0-9]{1,2}".prop_map(|text| Event::ForgedMark { text }),
        1 => Just(Event::Press),
        1 => prop::bool::weighted(0.1).prop_map(|ends| if ends { Event::Finish } else { Event::Press }),
    ]
}

/// A call, and what is known of it from outside.
struct Call {
    world: World,
    utterance: u32,
    response: u32,
    /// The response of each utterance.
    responses: BTreeMap<u32, u32>,
    /// Utterances of which the conversation was told the end.
    settled: BTreeMap<u32, &'static str>,
    seen: usize,
    /// Utterances that were interrupted, and how much of each Twilio had by then.
    interrupted: BTreeMap<u32, u64>,
    /// The newest response that was interrupted.
    interrupted_through: u32,
    frames: u64,
    /// The newest utterance that was begun while the call lasted.
    begun_before_the_end: u32,
}

impl Call {
    fn new() -> Self {
        Self {
            world: World::new(TIGHT),
            utterance: 0,
            response: 1,
            responses: BTreeMap::new(),
            settled: BTreeMap::new(),
            seen: 0,
            interrupted: BTreeMap::new(),
            interrupted_through: 0,
            frames: 0,
            begun_before_the_end: 0,
        }
    }

    fn happen(&mut self, event: &Event) {
        let world = &mut self.world;
        match event {
            Event::Begin { new_response } => {
                self.utterance += 1;
                self.response += u32::from(*new_response);
                self.responses.insert(self.utterance, self.response);
                if world.end.is_none() {
                    self.begun_before_the_end = self.utterance;
                }
                if self.response <= self.interrupted_through {
                    self.interrupted.insert(self.utterance, 0);
                }
                world.begin(self.utterance, self.response);
            }
            Event::Say { bytes } => {
                if world.core.has_room() {
                    world.say(self.utterance, &vec![byte_of(self.utterance); *bytes]);
                }
            }
            Event::SayLate { back, bytes } => {
                let utterance = self.utterance.saturating_sub(*back);
                if world.core.has_room() {
                    world.say(utterance, &vec![byte_of(utterance); *bytes]);
                }
            }
            Event::Done => world.done(self.utterance),
            Event::Interrupt { speaks } => {
                let at = speaks.then(|| world.core.media_ms());
                let taken = |utterance: &u32| (*utterance, taken(world, *utterance));
                let before: Vec<_> = self.responses.keys().map(taken).collect();
                self.interrupted.extend(before);
                // An answer that has not begun yet is not interrupted.
                self.interrupted_through = self.responses.values().max().copied().unwrap_or_default();
                world.interrupt(at);
            }
            Event::Stopped => {
                let at_ms = world.core.media_ms();
                world.session(&SessionEvent::SpeechStopped { at_ms });
            }
            Event::Speak { frames } => {
                for _ in 0..*frames {
                    // Never silence, so that what is padded shows.
                    world.frames(1, (self.frames % 100) as u8);
                    self.frames += 1;
                }
            }
            Event::Lose { milliseconds } => world.lose(*milliseconds),
            Event::Stall { milliseconds } => world.pass(*milliseconds),
            Event::Delay { milliseconds } => world.delay_ms = *milliseconds,
            Event::ForgedMark { text } => {
                world.twilio(format!(r#"{{"event":"mark","mark":{{"name":"{text}"}}}}"#));
            }
            Event::Press => {
                let frame = world.twilio.digit('5');
                world.twilio(frame);
            }
            Event::Finish => world.session(&SessionEvent::Finish {}),
        }
        self.judge();
    }

    fn judge(&mut self) {
        let events: Vec<_> = self.world.events[self.seen..].to_vec();
        self.seen = self.world.events.len();
        for event in events {
            self.judge_event(&event);
        }
        let world = &self.world;
        assert!(world.core.unheard_ms() <= TIGHT.ahead_ms);
        assert!(world.core.queued_ms() <= TIGHT.queue_ms + LONGEST_MS, "{}", world.core.queued_ms());
        assert_eq!(world.heard.len() as u64 / 8, world.core.media_ms(), "the clock is the audio");
        for (utterance, before) in &self.interrupted {
            assert_eq!(taken(world, *utterance), *before, "audio of {utterance} after its interruption");
        }
        assert_eq!(world.twilio.playback.errors, [""; 0]);
    }

    fn judge_event(&mut self, event: &BridgeEvent) {
        match event {
            BridgeEvent::Interrupted { heard, .. } => {
                let numbers: Vec<_> = heard.iter().map(|heard| heard.utterance).collect();
                assert!(numbers.is_sorted(), "{numbers:?}");
                for heard in heard {
                    let played = self.world.twilio.playback.played_ms(byte_of(heard.utterance));
                    assert!(heard.heard_ms <= played, "{heard:?}, but {played} ms were played");
                    assert!(heard.heard_ms <= heard.sent_ms, "{heard:?}");
                    assert!(heard.sent_ms <= taken(&self.world, heard.utterance) / 8, "{heard:?}");
                    let before = self.settled.insert(heard.utterance, "interrupted");
                    assert_eq!(before, None, "{heard:?}");
                }
            }
            BridgeEvent::Played { utterance } => {
                let played = self.world.twilio.playback.played_ms(byte_of(*utterance));
                assert_eq!(played, taken(&self.world, *utterance) / 8, "all of {utterance} was played");
                assert_eq!(self.settled.insert(*utterance, "played"), None, "{utterance}");
            }
            _ => {}
        }
    }
}

/// Bytes of an utterance that Twilio was sent.
fn taken(world: &World, utterance: u32) -> u64 {
    let byte = byte_of(utterance);
    world.twilio.playback.taken.iter().filter(|taken| **taken == byte).count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn nothing_counts_as_heard_that_was_not_played(events in prop::collection::vec(event(), 1..80)) {
        let mut call = Call::new();
        for event in &events {
            call.happen(event);
        }
        let stop = call.world.twilio.stop();
        call.world.twilio(stop);
        call.judge();
        // Each utterance was heard to its end, or interrupted: once, and none is forgotten.
        // One that was begun after the end is nobody's.
        for utterance in call.responses.keys().filter(|number| **number <= call.begun_before_the_end) {
            prop_assert!(call.settled.contains_key(utterance), "{} is unsettled: {:?}", utterance, call.settled);
        }
        let report = call.world.core.report();
        prop_assert_eq!(report.sent_ms, call.world.twilio.playback.taken.len() as u64 / 8);
        prop_assert!((report.sent_ms - report.cleared_ms) * 8 <= call.world.twilio.playback.played.len() as u64 + 7);
        let ended = call.world.events.iter().filter(|event| matches!(event, BridgeEvent::Ended(_))).count();
        prop_assert_eq!(ended, 1);
        prop_assert!(matches!(call.world.events.last(), Some(BridgeEvent::Ended(_))));
    }

    #[test]
    fn what_the_caller_says_arrives_whole_and_in_time(events in prop::collection::vec(event(), 1..80)) {
        let mut call = Call::new();
        for event in &events {
            if call.world.end.is_none() && !matches!(event, Event::Finish) {
                call.happen(event);
            }
        }
        call.world.delay_ms = 0;
        call.world.pass(400);
        call.happen(&Event::Speak { frames: 1 });
        let said: Vec<u8> = (0..call.frames).flat_map(|frame| [(frame % 100) as u8; 160]).collect();
        let heard: Vec<u8> = call.world.heard.iter().copied().filter(|byte| *byte != 0xff).collect();
        prop_assert_eq!(heard, said);
        // A gap of less than a frame is no gap; silence that stood in for audio that was only late puts us ahead.
        prop_assert!(call.world.core.media_ms() + 20 > call.world.carrier_ms(), "{}", call.world.core.media_ms());
    }

    #[test]
    fn a_recording_of_any_call_is_replayed_to_the_frame(events in prop::collection::vec(event(), 1..40)) {
        let mut call = Call::new();
        for event in &events {
            call.happen(event);
        }
        let stop = call.world.twilio.stop();
        call.world.twilio(stop);
        let replayed = replay("any", &call.world.lines).unwrap();
        prop_assert_eq!(replayed.difference, None);
        prop_assert!(!replayed.truncated);
    }
}
