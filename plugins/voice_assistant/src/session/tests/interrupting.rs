//! The caller interrupts: what was not heard was not said.

use plugin_api::{
    requests::voice::{BridgeEvent, Heard},
    serde_json::json,
};

use super::machine::{Machine, audio, completed, created, ended, interrupted, spoken_words};
use crate::session::model::{Event, FaultKind, Outcome};

/// Ten words, and two seconds of audio.
const WORDS: &str = "one two three four five six seven eight nine ten";

#[test]
fn what_was_heard_is_what_was_said_and_where_the_item_is_cut_off() {
    let mut machine = Machine::new(json!({}));
    machine.says("r1", "i1", WORDS, 2000);
    machine.take();
    machine.core.audio(&[0xff; 8 * 3000]);
    machine.wait(0);
    machine.take();
    machine.model(Event::SpeechStarted { at_ms: 1500 });
    assert_eq!(machine.take(), ["> {\"speech_at_ms\":1500,\"type\":\"interrupt\"}"]);
    machine.bridge(interrupted(&[(1, 1000, 2000)]));
    assert_eq!(machine.take(), ["assistant: one two three four five (interrupted)", "truncate i1 at 1000"]);
    machine.bridge(interrupted(&[(1, 1000, 2000)]));
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    assert_eq!(machine.take(), [] as [&str; 0], "an item is cut off once");
}

#[test]
fn no_more_is_cut_off_than_was_sent() {
    let mut machine = Machine::new(json!({}));
    machine.says("r1", "i1", WORDS, 2000);
    machine.take();
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.bridge(interrupted(&[(1, 9_999, 9_999)]));
    assert_eq!(
        machine.take()[1..],
        [format!("assistant: {WORDS} (interrupted)"), "truncate i1 at 2000".into()]
    );
}

#[test]
fn an_answer_in_progress_is_cancelled_only_if_the_server_has_not() {
    for server_cancels in [true, false] {
        let mut machine = Machine::new(json!({}));
        machine.model(created("r1"));
        machine.model(spoken_words("r1", "i1", WORDS));
        machine.model(audio("r1", "i1", 800));
        machine.take();
        machine.model(Event::SpeechStarted { at_ms: 0 });
        // What comes late is dropped.
        machine.model(audio("r1", "i1", 800));
        machine.model(spoken_words("r1", "i1", " eleven"));
        if server_cancels {
            machine.model(ended("r1", Outcome::Cancelled));
        }
        assert_eq!(machine.take(), ["> {\"speech_at_ms\":0,\"type\":\"interrupt\"}"]);
        machine.bridge(interrupted(&[(1, 400, 800)]));
        let mut expected = vec!["assistant: one (interrupted)", "truncate i1 at 400"];
        if !server_cancels {
            expected.push("cancel r1");
        }
        assert_eq!(machine.take(), expected);
        machine.model(super::machine::fault(None, FaultKind::NotActive));
        machine.model(ended("r1", Outcome::Cancelled));
        assert_eq!(machine.take(), [] as [&str; 0]);
    }
}

#[test]
fn what_never_reached_the_bridge_is_cut_off_at_nothing() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    // The bridge takes nothing meanwhile.
    machine.core.model(machine.now, spoken_words("r1", "i1", WORDS));
    machine.core.model(machine.now, audio("r1", "i1", 800));
    machine.core.model(machine.now, Event::SpeechStarted { at_ms: 0 });
    machine.wait(0);
    let told = "> {\"speech_at_ms\":0,\"type\":\"interrupt\"}";
    assert_eq!(machine.take(), ["truncate i1 at 0", told], "but it is told that somebody speaks");
}

#[test]
fn of_what_is_half_sent_no_more_is_cut_off_than_went_out() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.core.model(machine.now, spoken_words("r1", "i1", WORDS));
    machine.core.model(machine.now, audio("r1", "i1", 2000));
    // The announcement, and the first of four pieces.
    let sent = [machine.core.next_frame(), machine.core.next_frame()];
    assert!(sent.iter().all(Option::is_some));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    assert_eq!(machine.take(), ["> {\"speech_at_ms\":0,\"type\":\"interrupt\"}"], "the rest is not sent");
    machine.bridge(interrupted(&[(1, 700, 500)]));
    assert_eq!(machine.take()[1], "truncate i1 at 500");
}

#[test]
fn each_item_that_waits_is_cut_off_once() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    for item in ["i1", "i2"] {
        machine.model(spoken_words("r1", item, "some words"));
        machine.model(audio("r1", item, 400));
        machine.model(Event::AudioDone { item: item.into() });
    }
    machine.model(completed("r1", &[]));
    machine.take();
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.bridge(interrupted(&[(1, 200, 400), (2, 0, 400)]));
    assert_eq!(
        machine.take_without(">"),
        ["assistant: some (interrupted)", "truncate i1 at 200", "truncate i2 at 0"]
    );
}

#[test]
fn an_answer_that_begins_while_the_caller_speaks_is_cancelled() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look"]));
    machine.tool("c1", "sunny");
    machine.take();
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.model(created("r2"));
    machine.model(audio("r2", "i2", 400));
    assert_eq!(machine.take_without(">"), ["cancel r2"]);
    machine.model(ended("r2", Outcome::Cancelled));
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.model(created("r3"));
    machine.model(audio("r3", "i3", 400));
    assert!(machine.take().contains(&"> 400 ms of 1".to_owned()), "what they said is answered");
}

#[test]
fn how_long_it_took_is_written_down() {
    let mut machine = Machine::new(json!({}));
    machine.bridge(BridgeEvent::FirstAudio { utterance: 1, after_ms: 640 });
    let heard = vec![Heard { utterance: 1, heard_ms: 0, sent_ms: 0 }];
    for heard in [Vec::new(), heard] {
        machine.bridge(BridgeEvent::Interrupted { heard, after_ms: Some(120) });
    }
    let expected = ["record FirstAudio { after_ms: 640 }", "record Interruption { after_ms: 120 }"];
    assert_eq!(machine.take(), expected);
}
