//! Three recorded calls, as the simulation makes them, and what replaying tells when the core does something else.
//! `UPDATE_RECORDINGS=1` writes them anew.

use std::{env, fs, path::PathBuf};

use plugin_api::{
    error::ErrorKind,
    requests::{bridge::Replayed, voice::SessionEvent},
};

use super::world::{LIMITS, World};
use crate::{machine::Limits, replay::replay};

type Play = fn() -> World;

const RECORDINGS: [(&str, Play); 3] =
    [("answered", answered), ("interrupted", interrupted), ("lossy", lossy)];

/// A greeting, a question, an answer, and the end that the conversation wanted.
fn answered() -> World {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 400);
    world.frames(25, 0x11);
    world.interrupt(Some(400));
    world.session(&SessionEvent::SpeechStopped { at_ms: 450 });
    world.utter(2, 2, 300);
    world.session(&SessionEvent::Finish {});
    world.frames(16, 0xff);
    world
}

/// The caller interrupts an answer, and hangs up in the middle of the next.
fn interrupted() -> World {
    let mut world = World::new(Limits { ahead_ms: 1_000, ..LIMITS });
    world.delay_ms = 40;
    world.utter(1, 1, 1_500);
    world.frames(15, 0x22);
    world.interrupt(Some(220));
    world.say(1, &[1; 400]);
    world.frames(5, 0x22);
    world.session(&SessionEvent::SpeechStopped { at_ms: 360 });
    world.utter(2, 2, 500);
    world.frames(8, 0xff);
    let stop = world.twilio.stop();
    world.twilio(stop);
    world
}

/// Audio is lost while the caller speaks and while they do not, a key is pressed, and the line goes dead.
fn lossy() -> World {
    let mut world = World::new(Limits { media_ms: 2_000, ..LIMITS });
    world.frames(15, 0x33);
    world.lose(160);
    world.frames(10, 0x33);
    let digit = world.twilio.digit('7');
    world.twilio(digit);
    world.interrupt(Some(400));
    world.twilio.lose(1_000);
    world.pass(1_000);
    world.session(&SessionEvent::SpeechStopped { at_ms: 700 });
    world.frames(10, 0x33);
    world.pass(2_100);
    world
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/tests/recordings/{name}.jsonl"))
}

fn recorded(name: &str) -> String {
    fs::read_to_string(path(name)).expect("it is committed; `UPDATE_RECORDINGS=1` writes it anew")
}

fn replayed(text: &str) -> Replayed {
    replay("it", text).unwrap()
}

#[test]
fn the_core_does_what_it_did_when_they_were_recorded() {
    for (name, play) in RECORDINGS {
        let world = play();
        assert!(world.end.is_some(), "{name} has an end");
        if env::var_os("UPDATE_RECORDINGS").is_some() {
            fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs::write(path(name), &world.lines).unwrap();
        }
        let replayed = replayed(&recorded(name));
        assert_eq!((replayed.difference, replayed.truncated), (None, false), "{name}");
        assert!(replayed.fed > 30 && replayed.agreed > 30, "{name}");
    }
}

#[test]
fn a_frame_that_differs_is_found() {
    let text = recorded("answered");
    let number = text.lines().position(|line| line.contains("to_twilio")).unwrap();
    let altered = text.replacen("u1:100:g0:m1", "u1:100:g0:m2", 1);
    let difference = replayed(&altered).difference.expect("a mark has another name");
    assert_eq!(difference.line as usize, number + 2, "the mark follows the first audio");
    assert!(difference.recorded.is_some_and(|recorded| recorded.contains("g0:m2")));
    assert!(difference.replayed.is_some_and(|replayed| replayed.contains("g0:m1")));
}

#[test]
fn a_frame_that_is_not_sent_any_more_is_found() {
    let text = recorded("answered");
    let without = |what: &str| {
        let number = text.lines().position(|line| line.contains(what)).unwrap();
        let lines = text.lines().enumerate().filter(|(line, _)| *line != number);
        (number as u64 + 1, lines.map(|(_, line)| format!("{line}\n")).collect::<String>())
    };
    let (number, text) = without("g0:m3");
    let difference = replayed(&text).difference.expect("one is missing");
    assert_eq!(difference.line, number);
    assert!(difference.replayed.is_some_and(|replayed| replayed.contains("g0:m3")));
}

#[test]
fn what_came_to_nothing_then_and_not_now_is_found() {
    let text = recorded("answered");
    let number = text.lines().position(|line| line.contains("speech_stopped")).unwrap();
    let lines = text.lines().enumerate().filter(|(line, _)| *line != number);
    let text: String = lines.map(|(_, line)| format!("{line}\n")).collect();
    let difference = replayed(&text).difference.expect("nobody had stopped speaking");
    assert!(difference.recorded.is_some_and(|recorded| recorded.contains("first_audio")));
}

#[test]
fn one_that_breaks_off_is_compared_as_far_as_it_goes() {
    let text = recorded("interrupted");
    let cut = text.char_indices().nth(text.len() / 2).unwrap().0;
    let replayed = replayed(&text[..cut]);
    assert_eq!((replayed.difference, replayed.truncated), (None, true));
    assert!(replayed.agreed > 10);
}

#[test]
fn what_is_no_recording_is_refused() {
    let line = recorded("answered");
    let header = line.lines().next().unwrap();
    for (text, words) in [
        (String::new(), "the recording is empty"),
        ("{}\n".to_owned(), "line 1 is none of a recording"),
        (header.replace("\"recording\":1", "\"recording\":9"), "the recording has version 9; 1 is read here"),
        (format!("{header}\n{{\"at\":1}}\n"), "line 2 is none of a recording"),
        (
            format!("{header}\n{{\"at\":1,\"media\":0,\"from_session\":{{\"bytes\":\"%\"}}}}\n"),
            "line 2: a frame is no base64",
        ),
    ] {
        let error = replay("it", &text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.starts_with(words), "{}", error.message);
    }
}
