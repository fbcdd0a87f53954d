//! The conversation ends with the call, and soon.

use std::time::Duration;

use plugin_api::{
    requests::voice::{BridgeEvent, MediaReport},
    serde_json::json,
};

use super::machine::{Machine, call_over, completed, fault, interrupted};
use crate::session::model::{Event, FaultKind};

#[test]
fn it_ends_with_the_call() {
    let mut machine = Machine::new(json!({}));
    assert!(!machine.core.is_over());
    machine.bridge(call_over());
    assert!(machine.core.is_over());
    machine.core.close();
    machine.wait(0);
    assert_eq!(machine.take(), ["media: the caller hung up"]);
}

#[test]
fn last_words_are_waited_for_a_moment() {
    let mut machine = Machine::new(json!({}));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.model(Event::Committed { item: "u1".into() });
    machine.bridge(call_over());
    assert!(!machine.core.is_over());
    machine.model(Event::Heard { item: "u1".into(), text: Some("Bye!".into()) });
    assert!(machine.take().contains(&"caller: Bye!".to_owned()));
    assert!(machine.core.is_over());

    let mut machine = Machine::new(json!({}));
    machine.model(Event::Committed { item: "u1".into() });
    machine.bridge(call_over());
    machine.wait(2_100);
    assert!(machine.core.is_over(), "but no longer");
}

/// Somebody hangs up in the middle of a word, of which 300 ms are on their way.
fn hangs_up_while_speaking() -> Machine {
    let mut machine = Machine::new(json!({}));
    machine.core.audio(&[1; 8 * 100]);
    machine.wait(0);
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.core.audio(&[1; 8 * 300]);
    machine.take();
    machine.bridge(call_over());
    assert_eq!(machine.take(), ["hear 200 ms", "hear 100 ms", "commit"]);
    machine.core.audio(&[1; 8 * 100]);
    machine.wait(100);
    assert_eq!(machine.take(), [] as [&str; 0], "that is all");
    assert!(!machine.core.is_over());
    machine
}

#[test]
fn whoever_hangs_up_while_they_speak_is_heard_to_the_end() {
    let mut machine = hangs_up_while_speaking();
    machine.model(Event::Committed { item: "u1".into() });
    assert!(!machine.core.is_over());
    machine.model(Event::Heard { item: "u1".into(), text: Some("Yes, Tuesday is fine, bye.".into()) });
    assert_eq!(machine.take(), ["caller: Yes, Tuesday is fine, bye."]);
    assert!(machine.core.is_over());
}

#[test]
fn who_was_heard_to_the_end_by_then_is_not_waited_for() {
    let mut machine = hangs_up_while_speaking();
    machine.model(fault(Some("last_words"), FaultKind::Other));
    assert!(machine.core.is_over());
    let mut machine = hangs_up_while_speaking();
    machine.wait(2_000);
    assert!(machine.core.is_over(), "nor is one who is not heard at all");
}

#[test]
fn what_is_about_to_become_a_turn_when_the_call_ends_becomes_one() {
    let mut machine = Machine::new(json!({}));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.take();
    machine.bridge(call_over());
    assert_eq!(machine.take(), [] as [&str; 0]);
    assert!(!machine.core.is_over());
    machine.model(Event::Committed { item: "u1".into() });
    machine.model(Event::Heard { item: "u1".into(), text: Some("Bye!".into()) });
    assert_eq!(machine.take(), ["caller: Bye!"]);
    assert!(machine.core.is_over());
}

#[test]
fn what_nobody_is_known_to_have_heard_was_not_said() {
    let mut machine = Machine::new(json!({}));
    machine.begins("r1", "i1", "A secret.", 400);
    machine.bridge(call_over());
    machine.core.close();
    machine.wait(0);
    assert!(machine.take().iter().all(|line| !line.starts_with("assistant")));
}

#[test]
fn a_bridge_that_is_gone_ends_it_too() {
    let mut machine = Machine::new(json!({}));
    machine.core.bridge_lost(machine.now, "the host stops");
    assert!(machine.core.is_over());
    machine.core.close();
    machine.wait(0);
    assert_eq!(machine.take(), ["media: the media bridge is gone: the host stops"]);
}

#[test]
fn whoever_was_to_be_connected_is_connected_though_the_bridge_is_gone() {
    let mut machine = Machine::new(json!({}));
    machine.begins("r1", "i1", "I connect you.", 800);
    machine.model(completed("r1", &["c1 transfer_call {\"to\":\"reception\"}"]));
    machine.take();
    machine.core.bridge_lost(machine.now, "the host stops");
    machine.wait(0);
    assert!(machine.take().contains(&"decide Transfer { to: \"+15551234567\" }".to_owned()));
}

#[test]
fn a_bridge_that_does_not_end_is_not_waited_for_for_ever() {
    let mut machine = Machine::new(json!({}));
    machine.begins("r1", "i1", "Bye.", 400);
    machine.model(completed("r1", &["c1 hang_up"]));
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    machine.wait(119_000);
    assert!(!machine.core.is_over());
    machine.wait(2_000);
    assert!(machine.core.is_over());
}

const MINUTE: Duration = Duration::from_secs(60);
const TIME_IS_UP: &str = "decide to hang up: it had lasted as long as it may";

/// It had lasted for 29 minutes of 30, wherever its conversation was before.
fn at_its_limit() -> Machine {
    let mut machine = Machine::after(29 * MINUTE, 30 * MINUTE);
    machine.wait_for_deadlines(59_900);
    assert_eq!(machine.take(), [] as [&str; 0]);
    machine.wait_for_deadlines(200);
    let [goodbye] = &machine.take()[..] else { panic!("leave is taken once") };
    assert!(goodbye.starts_with("respond_2: Say goodbye"), "{goodbye}");
    machine.says("r1", "i1", "I have to go. Goodbye!", 400);
    machine
}

#[test]
fn a_call_that_has_lasted_as_long_as_it_may_is_ended() {
    let mut machine = at_its_limit();
    assert!(!machine.take().contains(&TIME_IS_UP.to_owned()), "they have not heard it yet");
    machine.bridge(BridgeEvent::Played { utterance: 2 });
    assert!(machine.take().contains(&TIME_IS_UP.to_owned()));
}

#[test]
fn who_speaks_then_has_another_word_and_not_as_many_as_they_like() {
    let mut machine = at_its_limit();
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.bridge(interrupted(&[(2, 100, 400)]));
    machine.wait_for_deadlines(30_000);
    assert!(!machine.take().contains(&TIME_IS_UP.to_owned()));
    machine.wait_for_deadlines(31_000);
    assert!(machine.take().contains(&TIME_IS_UP.to_owned()));
}

/// The bridge ends a call in which nobody speaks, or that lasts too long, or as an operator wants.
#[test]
fn a_call_that_the_bridge_ends_is_not_taken_up_again() {
    let mut machine = Machine::new(json!({}));
    let reason = "nobody spoke for 60s".to_owned();
    machine.bridge(BridgeEvent::Ended(MediaReport { reason, ends_call: true, ..MediaReport::default() }));
    assert_eq!(machine.take(), ["decide to hang up: nobody spoke for 60s"]);
}
