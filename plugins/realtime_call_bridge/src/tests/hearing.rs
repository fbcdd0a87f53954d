//! The caller's audio: handed on as it is, without gaps, and the clock that this makes.

use plugin_api::requests::voice::{BridgeEvent, SessionEvent};

use super::world::{LIMITS, World};

#[test]
fn audio_passes_as_it_is() {
    let mut world = World::new(LIMITS);
    world.frames(3, 0x12);
    assert_eq!(world.heard, [0x12; 480]);
    assert_eq!((world.core.media_ms(), world.core.report().received_ms), (60, 60));
}

#[test]
fn lost_audio_becomes_silence() {
    let mut world = World::new(LIMITS);
    world.frames(2, 1);
    world.lose(140);
    world.frames(1, 2);
    assert_eq!(world.heard, [vec![1; 320], vec![0xff; 1120], vec![2; 160]].concat());
    let report = world.core.report();
    assert_eq!((world.core.media_ms(), report.received_ms, report.padded_ms), (200, 60, 140));
}

#[test]
fn an_uneven_clock_is_no_loss() {
    let mut world = World::new(LIMITS);
    for at in [5, 24, 46, 60, 81] {
        world.twilio(media(at, &[1; 160]));
    }
    assert_eq!((world.heard.len(), world.core.report().padded_ms), (800, 0));
}

#[test]
fn a_leap_of_the_clock_is_not_paid_for_in_memory() {
    let mut world = World::new(LIMITS);
    world.twilio(media(u64::MAX, &[1; 160]));
    assert_eq!(world.core.report().padded_ms, 10_000);
    world.twilio(media(u64::MAX, &[1; 160]));
    assert_eq!(world.core.report().padded_ms, 10_000);
}

#[test]
fn audio_that_stops_while_the_caller_speaks_becomes_silence() {
    let mut world = World::new(LIMITS);
    world.frames(5, 1);
    world.interrupt(Some(40));
    world.pass(700);
    assert_eq!(world.core.media_ms(), 100, "it may still come");
    world.pass(300);
    assert_eq!(world.core.media_ms(), 1_100);
    world.session(&SessionEvent::SpeechStopped { at_ms: 600 });
    world.pass(1_000);
    assert_eq!(world.core.media_ms(), 1_100, "their turn has ended");
    world.twilio(media(1_100, &[2; 160]));
    assert_eq!(world.core.media_ms(), 1_120);
}

#[test]
fn audio_that_was_only_late_is_not_thrown_away() {
    let mut world = World::new(LIMITS);
    world.frames(5, 1);
    world.interrupt(Some(40));
    world.pass(1_000);
    world.twilio(media(100, &[2; 160]));
    assert_eq!(world.heard[world.heard.len() - 160..], [2; 160]);
    assert_eq!(world.core.media_ms(), 1_120);
    world.twilio(media(1_120, &[3; 160]));
    assert_eq!(world.core.report().padded_ms, 1_000, "both clocks agree again");
}

#[test]
fn keys_are_told() {
    let mut world = World::new(LIMITS);
    for digit in ['1', '#', 'A'] {
        let frame = world.twilio.digit(digit);
        world.twilio(frame);
    }
    assert_eq!(world.events, [BridgeEvent::Digit { digit: '1' }, BridgeEvent::Digit { digit: '#' }]);
}

#[test]
fn what_twilio_never_sends_changes_nothing() {
    let mut world = World::new(LIMITS);
    for text in [
        "",
        "{",
        "null",
        r#"{"event":7}"#,
        r#"{"event":"media"}"#,
        r#"{"event":"media","media":{"payload":"%"}}"#,
        r#"{"event":"media","media":{"track":"outbound","payload":"AAAA"}}"#,
        r#"{"event":"mark","mark":{"name":"u1:100:g0:m1"}}"#,
        r#"{"event":"dtmf","dtmf":{"digit":"12"}}"#,
        r#"{"event":"weather","weather":"fine"}"#,
    ] {
        world.twilio(text.to_owned());
    }
    assert_eq!((world.events.len(), world.heard.len(), world.sent.len()), (0, 0, 0));
    assert!(world.end.is_none());
}

fn media(at: u64, audio: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let payload = STANDARD.encode(audio);
    format!(r#"{{"event":"media","media":{{"track":"inbound","timestamp":"{at}","payload":"{payload}"}}}}"#)
}
