//! What the caller hears: as it was said, with marks, no further ahead of playback than allowed.

use plugin_api::requests::voice::{BridgeEvent, SessionEvent};

use super::world::{LIMITS, World, byte_of};
use crate::machine::{Limits, Measure};

#[test]
fn an_utterance_is_played_and_told_to_be() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 450);
    assert_eq!(world.twilio.playback.taken, vec![byte_of(1); 3600]);
    world.pass(440);
    assert!(world.events.is_empty());
    world.pass(20);
    assert_eq!(world.events, [BridgeEvent::Played { utterance: 1 }]);
    let marks: Vec<_> = world.twilio.playback.marks.iter().map(|mark| mark.name.as_str()).collect();
    assert_eq!(
        marks,
        ["u1:100:g0:m1", "u1:200:g0:m2", "u1:300:g0:m3", "u1:400:g0:m4", "u1:450:g0:m5"],
        "every 100 ms, and one at the end"
    );
    assert!(world.twilio.playback.errors.is_empty());
}

#[test]
fn small_pieces_share_a_mark() {
    let mut world = World::new(LIMITS);
    world.begin(1, 1);
    for _ in 0..12 {
        world.say(1, &[1; 160]);
    }
    world.done(1);
    world.pass(1_000);
    assert_eq!(world.twilio.playback.marks.len(), 3);
    assert_eq!(world.events, [BridgeEvent::Played { utterance: 1 }]);
}

#[test]
fn marks_do_not_depend_on_how_the_conversation_cuts_its_audio() {
    for bytes in [1, 160, 799, 800, 801, 1_599, 4_001] {
        let mut world = World::new(LIMITS);
        world.begin(1, 1);
        for piece in vec![1; 8 * 1_000].chunks(bytes) {
            world.say(1, piece);
        }
        world.done(1);
        world.pass(1_000);
        assert_eq!(world.twilio.playback.played.len(), 8 * 1_000);
        let marks = &world.twilio.playback.marks;
        let names: Vec<_> = marks.iter().map(|mark| mark.name.as_str()).collect();
        let expected: Vec<_> = (1..=10).map(|number| format!("u1:{}:g0:m{number}", number * 100)).collect();
        assert_eq!(names, expected, "in pieces of {bytes} bytes");
    }
}

#[test]
fn an_utterance_without_audio_was_heard_when_those_before_it_were() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 0);
    assert_eq!(world.events, [BridgeEvent::Played { utterance: 1 }]);
    world.utter(2, 1, 200);
    world.utter(3, 1, 0);
    assert_eq!(world.events.len(), 1);
    world.pass(200);
    assert_eq!(world.events[1..], [2, 3].map(|utterance| BridgeEvent::Played { utterance }));
}

#[test]
fn the_first_audio_of_an_answer_is_timed_on_the_media_clock() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 100);
    assert!(world.measures.is_empty(), "a greeting answers nobody");
    world.frames(50, 1);
    world.session(&SessionEvent::SpeechStopped { at_ms: 700 });
    world.begin(2, 2);
    world.say(2, &[]);
    assert!(world.measures.is_empty());
    world.say(2, &[9; 400]);
    assert!(world.events.contains(&BridgeEvent::FirstAudio { utterance: 2, after_ms: 300 }));
    world.done(2);
    world.utter(3, 2, 100);
    assert_eq!(world.measures, [Measure::FirstAudio(300)], "once an answer");
}

#[test]
fn no_more_is_sent_ahead_than_allowed() {
    let limits = Limits { ahead_ms: 1_000, queue_ms: 2_000, ..LIMITS };
    let mut world = World::new(limits);
    world.begin(1, 1);
    world.say(1, &[1; 8 * 2_500]);
    assert_eq!((world.core.unheard_ms(), world.core.queued_ms()), (1_000, 1_500));
    assert!(world.core.has_room());
    world.say(1, &[1; 8 * 1_000]);
    assert!(!world.core.has_room(), "the conversation has to wait");
    world.pass(600);
    assert!(world.core.has_room(), "until the caller has heard more");
    world.done(1);
    world.pass(2_900);
    assert_eq!(world.twilio.playback.played, vec![1; 8 * 3_500], "without a pause");
    assert_eq!(world.events, [BridgeEvent::Played { utterance: 1 }]);
}

#[test]
fn audio_that_nobody_began_is_thrown_away() {
    let mut world = World::new(LIMITS);
    world.say(1, &[1; 800]);
    world.utter(2, 1, 100);
    world.say(2, &[1; 800]);
    world.begin(1, 1);
    world.say(1, &[1; 800]);
    assert_eq!(world.twilio.playback.taken, vec![byte_of(2); 800]);
    assert_eq!(world.core.report().discarded, 3);
}

#[test]
fn ever_new_utterances_end_the_call() {
    let mut world = World::new(LIMITS);
    for number in 1..=300 {
        world.begin(number, 1);
    }
    let end = world.end.expect("it has ended");
    assert_eq!(end.reason, "the conversation begins ever new utterances, and ends none");
}
