//! The caller interrupts: what was not heard is cleared, what was is told, and nothing of it comes late.

use plugin_api::requests::voice::{BridgeEvent, Heard};

use super::world::{LIMITS, World, byte_of};
use crate::machine::Measure;

fn heard(utterance: u32, heard_ms: u64, sent_ms: u64) -> Heard {
    Heard { utterance, heard_ms, sent_ms }
}

fn interrupted<const N: usize>(heard: [Heard; N], after_ms: Option<u64>) -> BridgeEvent {
    BridgeEvent::Interrupted { heard: heard.to_vec(), after_ms }
}

#[test]
fn only_what_was_surely_played_counts() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 1_000);
    world.frames(18, 1);
    world.interrupt(Some(250));
    assert_eq!(*world.last_event(), interrupted([heard(1, 300, 1_000)], Some(110)));
    assert_eq!(world.twilio.playback.played_ms(byte_of(1)), 360);
    assert_eq!((world.twilio.playback.clears, world.core.report().cleared_ms), (1, 700));
    assert_eq!(world.measures, [Measure::Interruption(110)]);
    world.frames(50, 1);
    assert_eq!(world.events.len(), 1, "marks that a clear sends back count for nothing");
}

#[test]
fn a_mark_that_was_under_way_counts_for_nothing() {
    let mut world = World::new(LIMITS);
    world.delay_ms = 60;
    world.utter(1, 1, 400);
    world.pass(220);
    // Twilio has passed the second mark, and nobody here knows.
    world.interrupt(None);
    assert_eq!(*world.last_event(), interrupted([heard(1, 100, 400)], None));
    world.utter(2, 2, 100);
    world.pass(300);
    assert_eq!(world.events[1..], [BridgeEvent::Played { utterance: 2 }]);
}

#[test]
fn a_mark_that_only_looks_like_one_counts_for_nothing() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 400);
    for name in ["u2:200:g0:m2", "u1:300:g0:m2", "u1:200:g1:m2", "u1:200:g0:m02", "u1:200:g0:m9", "m2"] {
        world.twilio(format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#));
    }
    world.interrupt(None);
    assert_eq!(*world.last_event(), interrupted([heard(1, 0, 400)], None));
}

#[test]
fn everything_that_waits_is_thrown_away() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 200);
    world.utter(2, 1, 15_000);
    world.utter(3, 2, 500);
    world.pass(320);
    world.interrupt(Some(0));
    let all = [heard(2, 100, 10_100), heard(3, 0, 0)];
    assert_eq!(world.events, [BridgeEvent::Played { utterance: 1 }, interrupted(all, Some(0))]);
    assert_eq!((world.core.unheard_ms(), world.core.queued_ms()), (0, 0));
}

#[test]
fn late_audio_of_an_interrupted_answer_is_thrown_away() {
    let mut world = World::new(LIMITS);
    world.begin(1, 7);
    world.say(1, &[byte_of(1); 800]);
    world.interrupt(None);
    world.say(1, &[byte_of(1); 800]);
    world.done(1);
    world.utter(2, 7, 100);
    world.utter(3, 8, 100);
    world.pass(500);
    assert_eq!(world.twilio.playback.taken, [[byte_of(1); 800], [byte_of(3); 800]].concat());
    assert_eq!(world.core.report().discarded, 2);
    assert_eq!(*world.last_event(), BridgeEvent::Played { utterance: 3 });
    world.interrupt(None);
    assert_eq!(*world.last_event(), interrupted([heard(2, 0, 0)], None), "none is forgotten");
}

#[test]
fn with_nothing_under_way_there_is_nothing_to_clear() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 100);
    world.frames(10, 1);
    world.interrupt(Some(150));
    assert_eq!(*world.last_event(), interrupted([], Some(50)));
    assert_eq!((world.twilio.playback.clears, world.measures.len()), (0, 0));
}

#[test]
fn an_answer_may_be_interrupted_again_and_again() {
    let mut world = World::new(LIMITS);
    for number in 1..=50 {
        world.utter(number, number, 400);
        world.pass(140);
        world.interrupt(None);
        assert_eq!(*world.last_event(), interrupted([heard(number, 100, 400)], None));
    }
    assert_eq!(world.twilio.playback.clears, 50);
    assert_eq!(world.core.report().cleared_ms, 50 * 300);
}
