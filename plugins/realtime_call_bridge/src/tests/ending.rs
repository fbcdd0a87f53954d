//! Every way in which a call ends: played out or not, and the conversation is told how the media went.

use plugin_api::{
    error::ErrorKind,
    requests::voice::{BridgeEvent, Heard, MediaReport, SessionEvent},
};

use super::world::{LIMITS, World};
use crate::{
    machine::{End, Input, Limits},
    replay::replay,
};

#[track_caller]
fn ends(world: &World, reason: &str, kind: Option<ErrorKind>) -> MediaReport {
    let end = world.end.as_ref().expect("it has ended");
    assert_eq!((end.reason.as_str(), end.kind), (reason, kind));
    let BridgeEvent::Ended(report) = world.last_event() else { panic!("{:?}", world.events) };
    assert_eq!((report.reason.as_str(), report.ends_call), (reason, end.ends_call));
    report.clone()
}

#[test]
fn a_conversation_that_ends_is_played_out() {
    let mut world = World::new(LIMITS);
    world.frames(10, 1);
    world.utter(1, 1, 500);
    world.session(&SessionEvent::Finish {});
    world.pass(480);
    assert!(world.core.is_finishing() && world.end.is_none());
    world.pass(20);
    let report = ends(&world, "the conversation is over", None);
    assert_eq!((report.received_ms, report.sent_ms, report.cleared_ms), (200, 500, 0));
    assert!(!report.ends_call, "how the call goes on it has decided itself");
    assert_eq!(world.events[0], BridgeEvent::Played { utterance: 1 });
}

#[test]
fn with_nothing_to_play_it_ends_at_once() {
    let mut world = World::new(LIMITS);
    world.session(&SessionEvent::Finish {});
    ends(&world, "the conversation is over", None);
}

#[test]
fn a_conversation_that_closes_is_played_out_too() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 300);
    world.handle(Input::SessionDone("the stream was served to its end".to_owned()));
    assert!(world.end.is_none());
    world.pass(300);
    ends(&world, "the conversation is over", None);
}

#[test]
fn playing_out_is_bounded() {
    let mut world = World::new(LIMITS);
    world.begin(1, 1);
    world.say(1, &[1; 800]);
    world.session(&SessionEvent::Finish {});
    world.pass(5_000);
    assert!(world.end.is_none(), "the rest may come");
    world.pass(200);
    ends(&world, "the conversation is over, and what was left of it could not be played", None);
}

#[test]
fn an_interruption_leaves_nothing_to_play_out() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 3_000);
    world.session(&SessionEvent::Finish {});
    world.interrupt(None);
    ends(&world, "the conversation is over", None);
}

#[test]
fn the_caller_hangs_up_in_the_middle_of_an_answer() {
    let mut world = World::new(LIMITS);
    world.utter(1, 1, 1_000);
    world.pass(260);
    let stop = world.twilio.stop();
    world.twilio(stop);
    let report = ends(&world, "the caller hung up, or the call went on elsewhere", None);
    let heard = vec![Heard { utterance: 1, heard_ms: 200, sent_ms: 1_000 }];
    assert_eq!(world.events[0], BridgeEvent::Interrupted { heard, after_ms: None });
    assert_eq!((report.sent_ms, report.cleared_ms), (1_000, 800));
    assert_eq!(world.twilio.playback.clears, 0, "nobody is there to clear it");
    world.frames(5, 1);
    assert_eq!(world.events.len(), 2, "it is over");
}

#[test]
fn a_call_has_its_limits() {
    let limits = Limits { idle_ms: 2_000, media_ms: 1_000, longest_ms: 5_000, ..LIMITS };
    let mut silent = World::new(limits);
    silent.pass(1_000);
    let report = ends(&silent, "Twilio has sent no audio for 1 s", Some(ErrorKind::Unavailable));
    assert!(!report.ends_call, "the call may go on elsewhere");

    let mut idle = World::new(limits);
    idle.utter(1, 1, 500);
    idle.frames(124, 0xff);
    assert!(idle.end.is_none(), "what is heard counts");
    idle.frames(1, 0xff);
    assert!(ends(&idle, "nobody has said anything for 2 s", None).ends_call);

    let mut long = World::new(limits);
    for _ in 0..5 {
        long.interrupt(None);
        long.frames(50, 1);
    }
    assert!(ends(&long, "the call has lasted 5 s, which is the limit", None).ends_call);
    for world in [silent, idle, long] {
        assert_eq!(replay("it", &world.lines).unwrap().difference, None);
    }
}

#[test]
fn who_ends_it_is_known_before_twilio_says_that_it_has_ended() {
    let leaving = |reason: Option<&str>| Input::Leaving(reason.map(str::to_owned));
    let ended = |befores: &[Option<&str>], end: Option<End>| {
        let mut world = World::new(LIMITS);
        befores.iter().for_each(|before| world.handle(leaving(*before)));
        let stop = world.twilio.stop();
        world.handle(end.map_or(Input::Twilio(stop), Input::End));
        assert_eq!(replay("it", &world.lines).unwrap().difference, None);
        world.end.expect("it has ended").reason
    };
    let operator = Some("an operator hung up");
    let closed = Some(End::done("Twilio closed the connection"));
    let failed = Some(End::failed(ErrorKind::Cancelled, "the bridge was stopped"));
    assert_eq!(ended(&[operator], None), "an operator hung up");
    assert_eq!(ended(&[operator], closed.clone()), "an operator hung up");
    assert_eq!(ended(&[operator], failed), "the bridge was stopped");
    assert_eq!(ended(&[operator, None], None), "the caller hung up, or the call went on elsewhere");
    assert_eq!(ended(&[operator, None], closed), "Twilio closed the connection");
}

#[test]
fn it_may_be_ended_from_outside() {
    let mut world = World::new(LIMITS);
    let end = End::failed(ErrorKind::Cancelled, "the bridge was stopped");
    world.handle(Input::End(end.clone()));
    ends(&world, "the bridge was stopped", Some(ErrorKind::Cancelled));
    let reason = end.close_reason();
    assert_eq!(reason.error.map(|error| error.kind), Some(ErrorKind::Cancelled));
    assert!(End::done("over").close_reason().error.is_none());
}
