//! The simulated Twilio does what Twilio's documentation says.

use serde_json::{Value, json};

use super::simulation::Simulation;

fn stream() -> Simulation {
    Simulation::new("CA1", "MZ1", &[("token".to_owned(), "t".to_owned())])
}

fn media(bytes: usize) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let payload = STANDARD.encode(vec![7; bytes]);
    json!({ "event": "media", "streamSid": "MZ1", "media": { "payload": payload } }).to_string()
}

fn mark(name: &str) -> String {
    json!({ "event": "mark", "streamSid": "MZ1", "mark": { "name": name } }).to_string()
}

const CLEAR: &str = r#"{"event":"clear","streamSid":"MZ1"}"#;

fn names(frames: Vec<String>) -> Vec<String> {
    let name = |frame: String| {
        let frame: Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(frame["event"], "mark");
        frame["mark"]["name"].as_str().unwrap().to_owned()
    };
    frames.into_iter().map(name).collect()
}

#[test]
fn frames_are_written_as_twilio_writes_them() {
    let mut stream = stream();
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    assert_eq!(
        read(stream.connected()),
        json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    );
    let start = read(stream.start());
    assert_eq!(start["sequenceNumber"], "1");
    assert_eq!(start["start"]["customParameters"], json!({"token": "t"}));
    stream.media(&[1; 160]);
    stream.lose(40);
    let media = read(stream.media(&[]));
    assert_eq!((&media["sequenceNumber"], &media["media"]["chunk"]), (&json!("3"), &json!("2")));
    assert_eq!((&media["media"]["timestamp"], &media["media"]["track"]), (&json!("60"), &json!("inbound")));
    assert_eq!(read(stream.digit('#'))["dtmf"], json!({"track": "inbound_track", "digit": "#"}));
    assert_eq!(read(stream.stop())["stop"]["callSid"], "CA1");
}

#[test]
fn a_mark_comes_back_when_playback_reaches_it() {
    let mut stream = stream();
    assert_eq!(names(stream.take(&mark("at once"))), ["at once"]);
    stream.take(&media(800));
    assert!(stream.take(&mark("a")).is_empty());
    stream.take(&media(400));
    stream.take(&mark("b"));
    assert!(stream.pass(99).is_empty());
    assert_eq!(names(stream.pass(1)), ["a"]);
    assert_eq!(names(stream.pass(1000)), ["b"]);
    let marks = &stream.playback.marks;
    assert_eq!((marks[1].played, marks[1].bytes, marks[1].of_these), (800, 800, 800));
    assert_eq!((marks[2].played, marks[2].bytes, marks[2].of_these), (1200, 400, 400));
}

#[test]
fn a_clear_sends_all_marks_back_and_tells_what_was_played() {
    let mut stream = stream();
    for name in ["a", "b", "c"] {
        stream.take(&media(800));
        stream.take(&mark(name));
    }
    assert_eq!(names(stream.pass(150)), ["a"]);
    assert_eq!(names(stream.take(CLEAR)), ["b", "c"]);
    let of_these: Vec<_> = stream.playback.marks.iter().map(|mark| (mark.cleared, mark.of_these)).collect();
    assert_eq!(of_these, [(false, 800), (true, 400), (true, 0)]);
    assert_eq!((stream.playback.played_ms(7), stream.playback.is_idle()), (150, true));
    assert!(stream.pass(1000).is_empty());
}

#[test]
fn what_is_no_frame_is_an_error() {
    let mut stream = stream();
    for text in ["{", "{}", r#"{"event":"dtmf","streamSid":"MZ1"}"#, r#"{"event":"clear","streamSid":"MZ2"}"#]
    {
        assert!(stream.take(text).is_empty());
    }
    assert!(stream.take(r#"{"event":"mark","streamSid":"MZ1","mark":{}}"#).is_empty());
    assert!(stream.take(r#"{"event":"media","streamSid":"MZ1","media":{"payload":"?"}}"#).is_empty());
    assert_eq!(stream.playback.errors.len(), 6);
}
