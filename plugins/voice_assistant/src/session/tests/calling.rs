//! Tools are called: from completed answers alone, with one answer after all of them.

use plugin_api::{requests::voice::BridgeEvent, serde_json::json};

use super::machine::{Machine, audio, completed, created, ended, fault, interrupted, spoken_words};
use crate::session::model::{Event, FaultKind, Outcome};

#[test]
fn one_answer_follows_all_outputs() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look {\"a\":1}", "c2 find"]));
    assert_eq!(machine.take(), ["call look {\"a\":1}", "call find {}"]);
    machine.tool("c2", "found");
    assert_eq!(machine.take(), ["used t.o: found (true)", "add output c2: found"]);
    machine.tool("c1", "seen");
    assert_eq!(machine.take(), ["used t.o: seen (true)", "add output c1: seen", "respond_4: answer"]);
}

#[test]
fn nothing_is_called_of_an_answer_that_was_not_completed() {
    for outcome in [
        Outcome::Cancelled,
        Outcome::Incomplete { reason: "content_filter".into() },
        Outcome::Failed { message: "no".into(), is_hopeless: false },
    ] {
        let mut machine = Machine::new(json!({}));
        machine.model(created("r1"));
        machine.model(ended("r1", outcome));
        machine.wait(5_000);
        assert!(machine.take().iter().all(|line| !line.starts_with("call")));
    }
    let mut machine = Machine::new(json!({}));
    machine.model(completed("unknown", &["c1 look"]));
    assert_eq!(machine.take(), [] as [&str; 0], "nor of one that nobody knows");
}

#[test]
fn no_call_is_made_twice() {
    let mut machine = Machine::new(json!({}));
    for response in ["r1", "r2"] {
        machine.model(created(response));
        machine.model(completed(response, &["c1 look"]));
    }
    assert_eq!(machine.take(), ["call look {}"]);
}

#[test]
fn no_answer_is_asked_for_while_one_is_given() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look"]));
    machine.caller_says("u1", "Hurry up!");
    machine.model(created("r2"));
    machine.take();
    machine.tool("c1", "seen");
    assert_eq!(machine.take(), ["used t.o: seen (true)", "add output c1: seen"], "handed in all the same");
    machine.model(completed("r2", &[]));
    assert_eq!(machine.take(), ["respond_3: answer"]);
}

#[test]
fn an_answer_that_knows_the_outputs_needs_no_other() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look"]));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.tool("c1", "seen");
    machine.model(Event::ItemAdded { item: "output_2".into() });
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.take();
    machine.model(created("r2"));
    machine.model(completed("r2", &[]));
    machine.wait(20_000);
    assert_eq!(machine.take(), [] as [&str; 0]);
}

#[test]
fn who_waits_long_hears_that_it_takes_a_while() {
    let mut machine = Machine::new(json!({ "filler_after": "2s" }));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look"]));
    machine.wait(1_900);
    assert_eq!(machine.take(), ["call look {}"]);
    machine.wait(200);
    let filler = "Something that you look up or do takes a moment, no calls";
    assert_eq!(machine.take(), [format!("respond_2: {filler}")]);
    machine.model(created("r2"));
    machine.tool("c1", "seen");
    assert_eq!(machine.take().last().map(String::as_str), Some("add output c1: seen"), "not meanwhile");
    machine.model(completed("r2", &[]));
    assert_eq!(machine.take(), ["respond_4: answer"]);
}

#[test]
fn a_filler_is_not_said_into_what_is_being_said_and_comes_again_later_and_later() {
    let mut machine = Machine::new(json!({ "filler_after": "2s" }));
    machine.begins("r1", "i1", "Let me see.", 900);
    machine.model(completed("r1", &["c1 look"]));
    machine.take();
    machine.wait(2_500);
    assert_eq!(machine.take(), [] as [&str; 0], "the caller is still hearing something");
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    assert_eq!(machine.take_without("assistant").len(), 1);
    machine.model(created("r2"));
    machine.model(completed("r2", &[]));
    machine.wait(3_900);
    assert_eq!(machine.take(), [] as [&str; 0]);
    machine.wait(200);
    assert_eq!(machine.take().len(), 1);
}

/// A slow tool is under way, and a filler was asked for.
fn filling() -> Machine {
    let mut machine = Machine::new(json!({ "filler_after": "2s" }));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 look"]));
    machine.wait(2_100);
    assert_eq!(machine.take().len(), 2, "the call, and the filler");
    machine
}

#[test]
fn a_filler_that_fails_is_not_made_up_for_by_an_answer_that_knows_nothing() {
    let failed = Outcome::Failed { message: "overloaded".into(), is_hopeless: false };
    for outcome in [failed, Outcome::Incomplete { reason: "max_output_tokens".into() }] {
        let mut machine = filling();
        machine.model(created("r2"));
        machine.model(ended("r2", outcome));
        machine.wait(3_000);
        assert_eq!(machine.take(), [] as [&str; 0]);
        machine.wait(1_000);
        assert!(machine.take()[0].ends_with("takes a moment, no calls"), "it comes again in its time");
        machine.model(created("r3"));
        machine.model(completed("r3", &[]));
        machine.tool("c1", "seen");
        assert_eq!(machine.take()[2], "respond_5: answer");
    }
}

#[test]
fn a_filler_that_is_refused_takes_no_answers_place() {
    for kind in [FaultKind::Busy, FaultKind::Other] {
        let mut machine = filling();
        machine.tool("c1", "seen");
        machine.model(fault(Some("respond_2"), kind));
        machine.take();
        machine.wait(1_000);
        assert_eq!(machine.take(), ["respond_4: answer"]);
    }
}

#[test]
fn while_a_tool_is_under_way_a_connection_that_breaks_asks_for_nothing_but_fillers() {
    for has_begun in [false, true] {
        let mut machine = filling();
        if has_begun {
            machine.model(created("r2"));
        }
        machine.lost("it broke");
        machine.opened();
        machine.wait(1_000);
        let done = machine.take();
        assert_eq!(done.last().map(String::as_str), Some("add call look"), "{done:?}");
        machine.tool("c1", "seen");
        assert!(machine.take()[2].ends_with(": answer"), "and goes on when it has answered");
    }
}

#[test]
fn nobody_hangs_up_while_other_tools_of_the_same_answer_are_under_way() {
    for calls in [["c1 book", "c2 hang_up"], ["c2 hang_up", "c1 book"]] {
        for is_said_first in [true, false] {
            let mut machine = Machine::new(json!({}));
            machine.model(created("r1"));
            if is_said_first {
                machine.model(spoken_words("r1", "i1", "Goodbye."));
                machine.model(audio("r1", "i1", 400));
            }
            machine.model(completed("r1", &calls));
            machine.bridge(BridgeEvent::Played { utterance: 1 });
            let done = machine.take();
            let told = "not done: other tools of this answer are still running; call it again when they have answered";
            assert!(done.contains(&format!("add output c2: {told}")), "{done:?}");
            assert!(
                done.iter().all(|line| !line.contains("respond") && !line.contains("decide")),
                "{done:?}"
            );
            machine.tool("c1", "booked");
            assert!(machine.take()[2].ends_with(": answer"));
            machine.says("r2", "i2", "It is booked. Goodbye.", 400);
            machine.model(created("r3"));
            machine.model(completed("r3", &["c3 hang_up"]));
            assert!(machine.take().iter().any(|line| line.starts_with("add output c3: The call ends")));
        }
    }
}

#[test]
fn whoever_has_said_goodbye_hangs_up_when_it_was_heard() {
    let mut machine = Machine::new(json!({}));
    machine.begins("r1", "i1", "Goodbye.", 400);
    machine.take();
    machine.model(completed("r1", &["c1 hang_up"]));
    let done = machine.take();
    assert!(done[0].starts_with("used hang_up: The call ends"), "{done:?}");
    assert!(done[1].starts_with("add output c1: The call ends"), "{done:?}");
    assert_eq!(done[2..], ["> {\"type\":\"utterance_done\",\"utterance\":1}"], "it is still being played");
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    assert_eq!(
        machine.take(),
        ["assistant: Goodbye.", "decide to hang up: the assistant ended it", "> {\"type\":\"finish\"}"]
    );
}

#[test]
fn who_has_not_does_so_first() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 transfer_call {\"to\":\"reception\"}"]));
    let done = machine.take();
    assert_eq!(
        done[2],
        "respond_3: Tell the caller in one short sentence that you are connecting them now, no calls"
    );
    machine.says("r2", "i2", "I connect you.", 400);
    assert!(machine.take().iter().all(|line| !line.starts_with("decide")), "they have not heard it yet");
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    assert!(machine.take().contains(&"decide Transfer { to: \"+15551234567\" }".to_owned()));
}

/// A goodbye is on its way to the caller: one that was said with the call of `hang_up`, or after it.
fn leaving(is_said_first: bool) -> Machine {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    if is_said_first {
        machine.model(spoken_words("r1", "i1", "Goodbye."));
        machine.model(audio("r1", "i1", 800));
    }
    machine.model(completed("r1", &["c1 hang_up"]));
    if !is_said_first {
        machine.says("r2", "i2", "Goodbye.", 800);
    }
    machine.take();
    machine
}

#[test]
fn who_objects_while_they_hear_goodbye_is_heard_and_stays() {
    for is_said_first in [true, false] {
        let mut machine = leaving(is_said_first);
        machine.core.audio(&[1; 800]);
        machine.wait(0);
        assert_eq!(machine.take(), ["hear 100 ms"]);
        machine.model(Event::SpeechStarted { at_ms: 0 });
        assert_eq!(machine.take(), ["> {\"speech_at_ms\":0,\"type\":\"interrupt\"}"]);
        machine.bridge(interrupted(&[(1, 200, 800)]));
        machine.model(Event::SpeechStopped { at_ms: 100 });
        machine.says("r3", "i3", "Yes?", 300);
        machine.bridge(BridgeEvent::Played { utterance: 2 });
        machine.wait(20_000);
        let done = machine.take();
        assert!(done.contains(&"assistant: Yes?".to_owned()), "{done:?}");
        assert!(done.iter().all(|line| !line.starts_with("decide")), "{done:?}");
    }
}

#[test]
fn who_presses_a_key_while_they_hear_goodbye_stays() {
    for is_said_first in [true, false] {
        let mut machine = leaving(is_said_first);
        machine.bridge(BridgeEvent::Digit { digit: '1' });
        machine.bridge(BridgeEvent::Played { utterance: 1 });
        machine.wait(1_600);
        let done = machine.take();
        assert!(done.contains(&"add caller: [pressed on the keypad: 1]".to_owned()), "{done:?}");
        assert!(done.iter().all(|line| !line.starts_with("decide")), "{done:?}");
    }
}

/// A goodbye was asked for and has not begun, and the caller presses a key.
fn objecting() -> Machine {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 hang_up"]));
    assert_eq!(machine.take()[2], "respond_3: Say goodbye in one short sentence, no calls");
    machine.bridge(BridgeEvent::Digit { digit: '#' });
    assert_eq!(machine.take_without("caller"), ["add caller: [pressed on the keypad: #]"]);
    machine
}

#[test]
fn a_goodbye_that_was_asked_for_is_not_heard_by_who_objects() {
    let mut machine = objecting();
    machine.model(created("r2"));
    machine.model(audio("r2", "i2", 400));
    machine.model(completed("r2", &[]));
    assert_eq!(machine.take(), ["cancel r2", "respond_5: answer"]);
    machine.says("r3", "i3", "Yes?", 300);
    machine.bridge(BridgeEvent::Played { utterance: 1 });
    machine.wait(20_000);
    assert!(machine.take().iter().all(|line| !line.starts_with("decide")));
}

#[test]
fn nor_is_it_asked_for_again() {
    let refusals = [Some(FaultKind::Busy), Some(FaultKind::Other), None];
    for refusal in refusals {
        let mut machine = objecting();
        match refusal {
            Some(kind) => machine.model(fault(Some("respond_3"), kind)),
            None => machine.wait(9_000),
        }
        machine.wait(1_100);
        assert_eq!(machine.take(), ["respond_5: answer"], "{refusal:?}");
    }
}

#[test]
fn nobody_is_hung_up_on_by_an_answer_that_they_interrupted() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.bridge(BridgeEvent::Digit { digit: '#' });
    assert_eq!(machine.take_without("caller"), ["cancel r1", "add caller: [pressed on the keypad: #]"]);
    // It was complete before it could be cancelled.
    machine.model(completed("r1", &["c1 hang_up"]));
    let told = "not done: the caller had something to say";
    assert_eq!(
        machine.take(),
        [
            format!("used hang_up: {told} (false)"),
            format!("add output c1: {told}"),
            "respond_4: answer".into()
        ]
    );
    machine.wait(9_000);
    assert_eq!(machine.take(), [] as [&str; 0]);
}

#[test]
fn a_long_goodbye_is_heard_to_its_end_but_not_for_ever() {
    for end in [true, false] {
        let mut machine = leaving(true);
        machine.wait(60_000);
        assert!(machine.take().iter().all(|line| !line.starts_with("decide")));
        if end {
            machine.bridge(BridgeEvent::Played { utterance: 1 });
        } else {
            machine.wait(61_000);
        }
        assert!(machine.take().contains(&"decide to hang up: the assistant ended it".to_owned()));
    }
}

#[test]
fn who_takes_leave_while_the_model_goes_takes_leave() {
    let mut machine = leaving(true);
    machine.lost("it broke");
    machine.wait(15_000);
    assert!(machine.take().contains(&"decide to hang up: the assistant ended it".to_owned()));
}

#[test]
fn a_goodbye_that_does_not_come_is_none() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 hang_up"]));
    machine.take();
    machine.wait(13_000);
    assert!(machine.take().contains(&"decide to hang up: the assistant ended it".to_owned()));
}

#[test]
fn who_speaks_stays() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 hang_up"]));
    machine.model(created("r2"));
    machine.model(audio("r2", "i2", 400));
    machine.model(Event::SpeechStarted { at_ms: 0 });
    machine.bridge(interrupted(&[(1, 100, 400)]));
    machine.model(ended("r2", Outcome::Cancelled));
    machine.model(Event::SpeechStopped { at_ms: 0 });
    machine.says("r3", "i3", "Yes?", 300);
    machine.bridge(BridgeEvent::Played { utterance: 2 });
    machine.wait(15_000);
    assert!(machine.take().iter().all(|line| !line.starts_with("decide")));
}

#[test]
fn nobody_is_connected_with_whom_the_settings_do_not_name() {
    let mut machine = Machine::new(json!({}));
    machine.model(created("r1"));
    machine.model(completed("r1", &["c1 transfer_call {\"to\":\"+19005551234\"}"]));
    let told = "not done: `+19005551234` is nobody to transfer to: expected one of reception";
    assert_eq!(
        machine.take(),
        [
            format!("used transfer_call: {told} (false)"),
            format!("add output c1: {told}"),
            "respond_3: answer".into()
        ]
    );
}
