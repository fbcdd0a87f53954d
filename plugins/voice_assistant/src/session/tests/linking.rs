//! The connection with the model is renewed, or breaks: the conversation goes on.

use plugin_api::{requests::voice::BridgeEvent, serde_json::json};

use super::machine::{Machine, audio, completed, created, fault, interrupted, spoken_words};
use crate::session::model::{Event, FaultKind, Loss};

const MINUTE: u64 = 60_000;

#[test]
fn before_its_end_a_session_is_renewed_at_a_pause_and_told_what_was_said() {
    let mut machine = Machine::new(json!({}));
    machine.caller_says("u1", "I am Ada.");
    machine.says("r1", "i1", "Hello Ada.", 400);
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    machine.wait(54 * MINUTE);
    machine.take();
    machine.wait(2 * MINUTE);
    assert_eq!(machine.take(), ["connect"]);
    machine.caller_says("u2", "What is on?");
    machine.model(created("r2"));
    machine.take();
    machine.opened();
    assert_eq!(machine.take(), [] as [&str; 0], "an answer is being given");
    machine.model(spoken_words("r2", "i2", "Nothing."));
    machine.model(audio("r2", "i2", 300));
    machine.model(completed("r2", &[]));
    machine.take();
    machine.bridge(BridgeEvent::Played { utterance: 2 });
    assert_eq!(
        machine.take(),
        [
            "assistant: Nothing.",
            "adopt",
            "reconnected: the session with the model was renewed before its end",
            "add caller: I am Ada.",
            "add assistant: Hello Ada.",
            "add caller: What is on?",
            "add assistant: Nothing.",
        ]
    );
    machine.wait(54 * MINUTE);
    assert_eq!(machine.take(), [] as [&str; 0]);
    machine.wait(2 * MINUTE);
    assert_eq!(machine.take(), ["connect"], "and again");
}

#[test]
fn without_a_pause_it_is_renewed_all_the_same_before_it_is_too_late() {
    let mut machine = Machine::new(json!({}));
    machine.wait(55 * MINUTE);
    machine.opened();
    machine.take();
    // It took over at once: nobody spoke. The next one meets somebody who does not stop.
    machine.wait(55 * MINUTE);
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.opened();
    assert_eq!(machine.take_without(">"), ["connect"]);
    machine.wait(4 * MINUTE);
    assert!(machine.take().contains(&"adopt".to_owned()));
}

#[test]
fn a_renewal_that_fails_is_tried_again() {
    let mut machine = Machine::new(json!({}));
    machine.wait(55 * MINUTE);
    machine.not_opened();
    machine.wait(MINUTE);
    assert_eq!(machine.take(), ["connect", "connect"]);
}

#[test]
fn a_broken_connection_is_had_again_and_goes_on_where_it_was() {
    let mut machine = Machine::new(json!({}));
    machine.caller_says("u1", "Tell me a story.");
    machine.begins("r1", "i1", "Once upon a time", 1000);
    machine.take();
    machine.lost("it broke");
    assert_eq!(machine.take(), ["disconnect", "connect"]);
    machine.opened();
    assert_eq!(
        machine.take(),
        [
            "adopt",
            "reconnected: it broke",
            "add caller: Tell me a story.",
            "add assistant: Once upon a",
            "respond_4: The line was broken for a moment; the caller may not have noticed, no calls",
            "> {\"type\":\"utterance_done\",\"utterance\":1}",
        ]
        .map(|line| line.replace(", no calls", ""))
    );
    // They had heard less of it than the new connection was told.
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.bridge(interrupted(&[(1, 500, 1000)]));
    assert_eq!(
        machine.take_without(">"),
        ["assistant: Once (interrupted)", "remove told_3", "add after told_2 assistant: Once"]
    );
}

#[test]
fn what_nobody_had_understood_is_heard_again() {
    let mut machine = Machine::new(json!({}));
    machine.core.audio(&[0xff; 8 * 2000]);
    machine.wait(0);
    machine.model(Event::SpeechStarted { at_ms: 1000 });
    machine.take();
    machine.lost("it broke");
    machine.core.audio(&[0xff; 8 * 500]);
    machine.opened();
    let done = machine.take_without("hear");
    assert_eq!(done, ["disconnect", "connect", "adopt", "reconnected: it broke"], "no answer before that");
    // From 600 ms on, that is 400 ms before they began: 1,900 ms in all.
    machine.core.audio(&[0xff; 8 * 100]);
    machine.model(Event::SpeechStarted { at_ms: 400 });
    let started = "> {\"speech_at_ms\":1000,\"type\":\"interrupt\"}";
    assert_eq!(machine.take_without("hear"), [started]);
    machine.model(Event::SpeechStopped { at_ms: 1000 });
    let stopped = machine.take_without("hear");
    assert_eq!(stopped, ["> {\"at_ms\":1600,\"type\":\"speech_stopped\"}"], "on the clock of the call");
    machine.model(Event::Committed { item: "u1".into() });
    machine.model(Event::Heard { item: "u1".into(), text: Some("Hello?".into()) });
    assert_eq!(breaks(&mut machine).0, 0, "and not a third time");
}

/// The caller speaks from one second of the call to the next, as one item, whose words have not come yet.
fn speaks(machine: &mut Machine, second: u64, item: &str) {
    let at_ms = second * 1000;
    machine.core.audio(&[0xff; 8 * 1000]);
    machine.wait(0);
    machine.model(Event::SpeechStarted { at_ms });
    machine.model(Event::SpeechStopped { at_ms: at_ms + 900 });
    machine.model(Event::Committed { item: item.into() });
}

/// The connection breaks; how much is heard again by the next one, and what is said to have been said.
fn breaks(machine: &mut Machine) -> (usize, Vec<String>) {
    machine.take();
    machine.lost("it broke");
    machine.opened();
    let done = machine.take();
    let heard = done.iter().filter_map(|line| line.strip_prefix("hear ")?.strip_suffix(" ms"));
    let heard = heard.map(|ms| ms.parse::<usize>().expect("a number")).sum();
    (heard, done.into_iter().filter(|line| line.starts_with("caller")).collect())
}

#[test]
fn all_that_nobody_had_understood_is_heard_again() {
    let mut machine = Machine::new(json!({}));
    for (second, item) in [(0, "u0"), (1, "u1"), (2, "u2")] {
        speaks(&mut machine, second, item);
        // It begins to answer each, and is interrupted before it has said anything.
        machine.model(created(item));
    }
    machine.model(Event::Heard { item: "u0".into(), text: Some("One.".into()) });
    assert_eq!(breaks(&mut machine), (2_400, vec![]), "from 400 ms before the second one on");
    machine.caller_says("v1", "Two. Three.");
    let done = machine.take_without(">");
    assert_eq!(done, ["caller: Two. Three."], "once");
}

#[test]
fn what_was_answered_is_not_heard_again_nor_forgotten() {
    let mut machine = Machine::new(json!({}));
    speaks(&mut machine, 0, "u1");
    machine.says("r1", "i1", "Fine.", 300);
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    speaks(&mut machine, 1, "u2");
    let (heard, told) = breaks(&mut machine);
    assert_eq!((heard, told), (1_400, vec!["caller: [inaudible]".to_owned()]));
}

#[test]
fn nothing_is_heard_again_that_was_understood() {
    let mut machine = Machine::new(json!({}));
    speaks(&mut machine, 0, "u1");
    speaks(&mut machine, 1, "u2");
    machine.model(Event::Heard { item: "u2".into(), text: Some("Two.".into()) });
    let (heard, told) = breaks(&mut machine);
    assert_eq!((heard, told), (0, vec!["caller: [inaudible]".to_owned(), "caller: Two.".to_owned()]));
}

#[test]
fn attempts_have_an_end() {
    let mut machine = Machine::new(json!({ "reconnect_attempts": 3 }));
    machine.lost("it broke");
    for _ in 0..2 {
        machine.not_opened();
        machine.wait(3_000);
    }
    assert_eq!(machine.take(), ["disconnect", "connect", "connect", "connect"]);
    machine.not_opened();
    assert_eq!(
        machine.take(),
        ["decide Turns { reason: \"refused\" }", "disconnect", "> {\"type\":\"finish\"}"]
    );
}

#[test]
fn and_so_has_their_time() {
    let mut machine = Machine::new(json!({ "reconnect_time": "10s" }));
    machine.lost("it broke");
    machine.wait(11_000);
    assert!(machine.take().contains(&"decide Turns { reason: \"it broke\" }".to_owned()));
}

#[test]
fn what_cannot_work_is_not_tried() {
    let mut machine = Machine::new(json!({}));
    machine.core.lost(machine.now, Loss { reason: "the key is wrong".into(), is_final: true });
    machine.wait(0);
    assert_eq!(machine.take()[0], "decide Turns { reason: \"the key is wrong\" }");
    let mut machine = Machine::new(json!({}));
    machine.model(fault(None, FaultKind::Hopeless));
    assert_eq!(machine.take()[0], "decide Turns { reason: \"no\" }");
}

#[test]
fn a_session_that_expires_is_replaced_at_once() {
    let mut machine = Machine::new(json!({}));
    machine.model(fault(None, FaultKind::Expired));
    assert_eq!(machine.take(), ["disconnect", "connect"]);
    machine.opened();
    assert_eq!(machine.take(), ["adopt", "reconnected: the session with the model has expired"]);
}

#[test]
fn a_connection_that_is_ready_takes_over_at_once() {
    let mut machine = Machine::new(json!({}));
    machine.wait(55 * MINUTE);
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.opened();
    machine.take();
    machine.lost("it broke");
    assert_eq!(machine.take(), ["disconnect", "adopt", "reconnected: it broke"]);
}

#[test]
fn calls_under_way_survive() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look", "c2 find"]));
    machine.take();
    machine.lost("it broke");
    machine.tool("c1", "seen");
    machine.opened();
    assert_eq!(
        machine.take()[2..],
        [
            "used t.o: seen (true)",
            "adopt",
            "reconnected: it broke",
            "add call look",
            "add output c1: seen",
            "add call find"
        ]
    );
    machine.tool("c2", "found");
    let done = machine.take();
    assert_eq!(done[1..], ["add output c2: found", "respond_7: answer"]);
}

#[test]
fn a_long_call_is_put_in_short() {
    let mut machine = Machine::new(json!({}));
    let long = "word ".repeat(2_000);
    for turn in 0..3 {
        machine.caller_says(&format!("u{turn}"), &long);
    }
    let done = machine.take();
    assert_eq!(done.iter().filter(|line| line.starts_with("summarise")).count(), 1);
    machine.core.summarised(machine.now, Some("They said a word.".into()));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.lost("it broke");
    machine.opened();
    let told = machine.take();
    let short = "add data: <data- from=\"memory\">\nThey said a word.\n</data->";
    assert!(told.contains(&short.to_owned()), "{told:?}");
    assert_eq!(told.iter().filter(|line| line.starts_with("add caller")).count(), 1);
}

#[test]
fn and_if_that_fails_it_is_left_out() {
    let mut machine = Machine::new(json!({}));
    for turn in 0..3 {
        machine.caller_says(&format!("u{turn}"), &"word ".repeat(2_000));
    }
    machine.core.summarised(machine.now, None);
    machine.lost("it broke");
    machine.opened();
    assert!(
        machine.take().contains(&"add note: 2 earlier turns of this call are not known any more.".to_owned())
    );
}
