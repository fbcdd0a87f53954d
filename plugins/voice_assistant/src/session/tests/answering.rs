//! The model answers, one answer at a time.

use std::time::Duration;

use plugin_api::{requests::voice::BridgeEvent, serde_json::json};

use super::machine::{Machine, audio, completed, config, created, ended, fault};
use crate::session::{
    core::{Beginning, Core},
    model::{Event, FaultKind, Outcome, Request},
};

#[test]
fn it_begins_without_waiting_for_speech() {
    let mut machine = Machine::greeting(json!({}));
    assert_eq!(machine.take(), ["respond_1: The caller has just been connected, no calls"]);
    machine.says("r1", "i1", "Hello, how can I help?", 1200);
    let expected = [
        "> utterance 1 of 1",
        "> 500 ms of 1",
        "> 500 ms of 1",
        "> 200 ms of 1",
        "> {\"type\":\"utterance_done\",\"utterance\":1}",
    ];
    assert_eq!(machine.take(), expected);
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    assert_eq!(machine.take(), ["assistant: Hello, how can I help?"]);
}

#[test]
fn who_is_called_hears_the_opening_that_the_call_was_ordered_with() {
    let said = |is_ours, opening: Option<&str>| {
        let (opening, mark) = (opening.map(str::to_owned), "abc".to_owned());
        let beginning = Beginning { is_ours, opening, mark, ..Beginning::default() };
        match Core::new(config(json!({})), beginning, Duration::ZERO).next_request() {
            Some(Request::Respond { directions: Some(directions), may_call: false, .. }) => directions,
            other => panic!("{other:?}"),
        }
    };
    let (connected, answered) =
        ("The caller has just been connected.", "The person whom you called has just answered.");
    for (is_ours, begun) in [(false, connected), (true, answered)] {
        let expected = format!("{begun} Begin with these words, and nothing else: Hello!");
        assert_eq!(said(is_ours, None), expected);
    }
    let expected = format!(
        "{answered} Begin with the words that stand here between marks, and with nothing else:\n\
         <data-abc from=\"task\">\nHello, this is Max.\n</data-abc>"
    );
    assert_eq!(said(true, Some("Hello, this is Max.")), expected, "a model may have written it");
}

#[test]
fn what_was_said_is_told_in_the_order_of_the_conversation_however_late_its_words_come() {
    let mut machine = Machine::new(json!({}));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.model(Event::Committed { item: "u1".into() });
    machine.says("r1", "i1", "Nothing.", 300);
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    machine.take();
    machine.model(Event::Heard { item: "u1".into(), text: Some("What is on?".into()) });
    assert_eq!(machine.take(), ["caller: What is on?", "assistant: Nothing."]);
}

#[test]
fn words_that_never_come_hold_up_nobody_for_long() {
    let mut machine = Machine::new(json!({}));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.model(Event::Committed { item: "u1".into() });
    machine.says("r1", "i1", "Pardon?", 300);
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    machine.take();
    machine.wait(9_000);
    assert_eq!(machine.take(), [] as [&str; 0]);
    machine.wait(2_000);
    assert_eq!(machine.take(), ["caller: [inaudible]", "assistant: Pardon?"]);
}

#[test]
fn played_before_the_answer_has_ended_counts_when_it_has() {
    let mut machine = Machine::new(json!({}));
    machine.begins("r1", "i1", "Yes.", 200);
    machine.model(Event::AudioDone { item: "i1".into() });
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    assert!(!machine.take().contains(&"assistant: Yes.".to_owned()));
    machine.model(Event::WordsDone { item: "i1".into(), text: "Yes, of course.".into() });
    machine.model(completed("r1", &[]));
    assert_eq!(machine.take(), ["assistant: Yes, of course."]);
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_nobody_else_notices() {
    let mut machine = Machine::greeting(json!({}));
    machine.take();
    machine.model(fault(Some("respond_1"), FaultKind::Busy));
    assert_eq!(machine.take(), [] as [&str; 0]);
    machine.wait(1_000);
    assert_eq!(machine.take(), ["respond_2: The caller has just been connected, no calls"]);
}

#[test]
fn what_the_servers_own_answer_did_not_know_is_answered_after_it() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look"]));
    machine.tool("c1", "sunny");
    assert_eq!(
        machine.take(),
        ["call look {}", "used t.o: sunny (true)", "add output c1: sunny", "respond_3: answer"]
    );
    // The server began one by itself before it had the output; ours is refused.
    machine.model(created("r2"));
    machine.model(fault(Some("respond_3"), FaultKind::Busy));
    machine.model(completed("r2", &[]));
    assert_eq!(machine.take(), ["respond_4: answer"]);
}

#[test]
fn an_answer_that_the_server_owes_is_asked_for_at_last() {
    let mut machine = Machine::new(json!({}));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.take();
    machine.wait(4_900);
    assert_eq!(machine.take(), [] as [&str; 0]);
    machine.wait(200);
    assert_eq!(machine.take(), ["respond_2: answer"]);
}

#[test]
fn a_wish_that_waits_hides_nobodys_patience() {
    // The server owes an answer, and does not begin it.
    let mut machine = Machine::new(json!({ "filler_after": "0s" }));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look"]));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.tool("c1", "seen");
    machine.take();
    machine.wait_for_deadlines(5_100);
    assert_eq!(machine.take(), ["respond_3: answer"]);
    // It is lost on the way, and something else is wanted by then.
    machine.bridge(BridgeEvent::Digit { digit: '#' });
    machine.take();
    machine.wait_for_deadlines(10_100);
    assert_eq!(machine.take(), ["respond_5: answer"]);
}

#[test]
fn an_answer_that_fails_is_asked_for_again_and_then_the_call_goes_on_turn_by_turn() {
    let mut machine = Machine::new(json!({}));
    let failed = || Outcome::Failed { message: "overloaded".into(), is_hopeless: false };
    machine.model(created("r1"));
    machine.model(ended("r1", failed()));
    machine.wait(600);
    assert_eq!(machine.take(), ["respond_2: answer"]);
    machine.model(created("r2"));
    machine.model(ended("r2", Outcome::Incomplete { reason: "max_output_tokens".into() }));
    machine.wait(1_100);
    assert_eq!(machine.take(), ["respond_3: answer"]);
    machine.model(created("r3"));
    machine.model(ended("r3", failed()));
    assert_eq!(
        machine.take(),
        [
            "decide Turns { reason: \"3 answers in a row failed: overloaded\" }",
            "disconnect",
            "> {\"type\":\"finish\"}"
        ]
    );
}

#[test]
fn a_greeting_that_fails_is_greeted_again() {
    let mut machine = Machine::greeting(json!({}));
    machine.take();
    machine.model(created("r1"));
    machine.model(ended("r1", Outcome::Failed { message: "overloaded".into(), is_hopeless: false }));
    machine.wait(600);
    assert_eq!(machine.take(), ["respond_2: The caller has just been connected, no calls"]);
    // Whoever does not wait for it is past greetings.
    machine.bridge(BridgeEvent::Digit { digit: '#' });
    machine.model(fault(Some("respond_2"), FaultKind::Other));
    machine.take();
    machine.wait(1_600);
    assert_eq!(machine.take(), ["respond_4: answer"]);
}

#[test]
fn without_credit_the_call_goes_on_turn_by_turn_at_once() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(ended("r1", Outcome::Failed { message: "no credit".into(), is_hopeless: true }));
    assert_eq!(machine.take()[0], "decide Turns { reason: \"no credit\" }");
}

#[test]
fn keys_become_one_message_and_interrupt_what_is_said() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(audio("r1", "i1", 400));
    machine.take();
    for digit in ['1', '2'] {
        machine.bridge(BridgeEvent::Digit { digit });
    }
    assert_eq!(machine.take(), [] as [&str; 0]);
    machine.wait(1_600);
    assert_eq!(
        machine.take(),
        ["cancel r1", "add caller: [pressed on the keypad: 12]", "> {\"type\":\"interrupt\"}"]
    );
    machine.model(ended("r1", Outcome::Cancelled));
    assert_eq!(machine.take(), ["respond_3: answer"]);
    machine.bridge(BridgeEvent::Digit { digit: '#' });
    assert!(machine.take().contains(&"add caller: [pressed on the keypad: #]".to_owned()), "at once");
}

#[test]
fn nobody_is_asked_for_ever_whether_they_are_there() {
    let mut machine = Machine::new(json!({ "idle": "5s", "idle_questions": 1 }));
    machine.model(Event::Idle { item: "s1".into() });
    machine.model(Event::Committed { item: "s1".into() });
    machine.says("r1", "i1", "Are you there?", 300);
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    assert!(machine.take().contains(&"assistant: Are you there?".to_owned()), "the silence is no turn");
    machine.model(Event::Idle { item: "s2".into() });
    assert_eq!(machine.take(), ["decide to hang up: the assistant ended it", "> {\"type\":\"finish\"}"]);
}
