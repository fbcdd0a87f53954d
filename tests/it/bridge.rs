//! Calls through the realtime bridge: the real binary between a simulated Twilio and a stand-in for the conversation, over
//! real sockets, with every way in which a call begins, is refused, and ends.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    artifacts::repository,
    partners::{
        free_port,
        media::{self, Dial, End, MediaStream},
    },
    trial::Outcome,
    trials,
    wait::wait_until,
};

pub fn tests() -> Vec<Trial> {
    trials![
        a_call_is_carried_from_the_first_word_to_the_last,
        what_twilio_did_not_sign_is_refused,
        a_token_opens_one_conversation,
        an_interruption_is_heard_at_once_and_truthfully_told,
        two_calls_at_once_do_not_mix,
        lost_audio_and_strange_frames_do_no_harm,
        a_caller_who_goes_is_told_of,
        a_conversation_that_ends_hands_the_call_back,
        an_operator_sees_and_ends_calls,
        a_stopped_bridge_says_goodbye,
        a_stopped_conversation_hands_the_call_back,
        a_killed_host_hands_the_call_back,
        a_recording_is_replayed,
        times_are_measured,
    ]
}

const PUBLIC: &str = "https://switchboard.example.com";
const AUTH_TOKEN: &str = "a-token-that-nobody-may-see";
const CALL: &str = "CA0000000000000000000000000000000c";
const STREAM: &str = "MZ0000000000000000000000000000000d";

/// A host whose bridge trusts tokens alone.
const UNSIGNED: &str = r#"
[host]
shutdown_grace = "1s"

[plugins.voice_assistant]
library = "speaker"

[plugins.realtime_call_bridge]
[plugins.realtime_call_bridge.settings]
require_signature = false
"#;

/// A host whose bridge demands Twilio's signature. Twilio itself is away, which takes nothing from that.
const SIGNED: &str = r#"
[plugins.voice_assistant]
library = "speaker"

[plugins.twilio]
retry = { attempts = 1 }

[plugins.twilio_service]
settings = { public_base_url = "https://switchboard.example.com" }

[plugins.realtime_call_bridge]
"#;

fn start(text: &str) -> TestHost {
    ready(Setup::new(text))
}

fn ready(setup: Setup) -> TestHost {
    let host = setup.start();
    host.wait_for_status("realtime_call_bridge", "connected");
    host
}

fn dial(host: &TestHost, token: &str) -> Dial {
    Dial::new(host.address(), CALL, STREAM, token)
}

fn call(host: &TestHost, token: &str) -> MediaStream {
    MediaStream::open(&dial(host, token)).expect("it is taken")
}

/// What the conversation of the call was told.
fn told(host: &TestHost) -> Value {
    told_of(host, CALL)
}

fn told_of(host: &TestHost, call: &str) -> Value {
    host.call("voice_assistant", "show", &json!({ "call": call })).json()
}

/// The events of this kind that the conversation was told.
fn events(told: &Value, kind: &str) -> Vec<Value> {
    let events = told["events"].as_array().cloned().unwrap_or_default();
    events.into_iter().filter(|event| event["type"] == kind).collect()
}

/// The report that the conversation gets when the call is over.
#[track_caller]
fn report(host: &TestHost) -> Value {
    let ended = wait_until("the conversation to be told", || told(host), |told| !told["closed"].is_null());
    let events = ended["events"].as_array().expect("it was told something");
    let last = events.last().expect("it was told something").clone();
    assert_eq!(last["type"], "ended", "the last thing that it is told: {ended:#}");
    last
}

#[track_caller]
fn no_errors(stream: &MediaStream) {
    let errors = stream.look(|seen| seen.simulation.playback.errors.clone());
    assert!(errors.is_empty(), "Twilio's error 31924: {errors:?}");
}

fn a_call_is_carried_from_the_first_word_to_the_last() {
    let host = start(UNSIGNED);
    let stream = call(&host, "t");
    stream.say(vec![0x2a; 8 * 400]);
    stream.wait_until_played(2, 500);
    wait_until("the greeting to count as heard", || told(&host), |told| events(told, "played").len() == 1);
    wait_until("the caller to be heard", || told(&host), |told| told["loud_ms"] == 400);
    stream.press('1');
    stream.press('3');
    assert_eq!(stream.wait_for_end(), End::Closed(1000, "the conversation is over".to_owned()));
    assert_eq!((stream.played_ms(2), stream.played_ms(3)), (500, 2_000), "all of it was played");
    let report = report(&host);
    assert_eq!((&report["sent_ms"], &report["cleared_ms"]), (&json!(2_500), &json!(0)));
    assert_eq!(events(&told(&host), "played").len(), 2);
    no_errors(&stream);
}

fn what_twilio_did_not_sign_is_refused() -> Outcome {
    let signature = media::signature(AUTH_TOKEN, PUBLIC)?;
    let setup = Setup::new(SIGNED)
        .env("TWILIO_ACCOUNT_SID", "AC0000000000000000000000000000000a")
        .env("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
        .env("TWILIO_PHONE_NUMBER", "+15551234567")
        .env("TWILIO_API_BASE_URL", &format!("http://127.0.0.1:{}", free_port()));
    let host = ready(setup);
    assert_eq!(MediaStream::open(&dial(&host, "t")).err(), Some(403), "unsigned");
    let other = media::signature(AUTH_TOKEN, "https://elsewhere.example.com")?;
    assert_eq!(MediaStream::open(&dial(&host, "t").signed(&other)).err(), Some(403), "of another address");
    let stream = MediaStream::open(&dial(&host, "t").signed(&signature)).expect("it is signed");
    stream.wait_until_played(2, 500);
    assert_eq!(told(&host)["person"], Value::Null);

    let alone = start(&UNSIGNED.replace("require_signature = false", ""));
    let signed = dial(&alone, "t").signed(&signature);
    assert_eq!(MediaStream::open(&signed).err(), Some(503), "nobody can tell whether it is signed");
    Ok(())
}

fn a_token_opens_one_conversation() {
    let host = start(UNSIGNED);
    let first = call(&host, "once");
    first.wait_until_played(2, 100);
    let second = call(&host, "once");
    assert_eq!(second.wait_for_end(), End::Closed(1008, "the token was used before".to_owned()));
    assert!(second.look(|seen| seen.simulation.playback.taken.is_empty()), "nothing was said");
    let away = call(&host, "nobody");
    assert_eq!(away.wait_for_end(), End::Closed(1011, "the model is away".to_owned()));
    assert!(away.look(|seen| seen.simulation.playback.taken.is_empty()), "nothing was said");
    first.wait_until_played(2, 500);
    assert!(first.look(|seen| seen.end.is_none()), "the first call goes on");
    let nothing = Dial { parameters: Vec::new(), ..dial(&host, "") };
    let nothing = MediaStream::open(&nothing).expect("it is taken");
    let refused = End::Closed(1008, "the media stream has no parameter `token`".to_owned());
    assert_eq!(nothing.wait_for_end(), refused);
}

fn an_interruption_is_heard_at_once_and_truthfully_told() {
    let host = start(UNSIGNED);
    let stream = call(&host, "t");
    stream.wait_until_played(2, 500);
    stream.press('5');
    stream.wait_until_played(3, 700);
    stream.press('2');
    let told = wait_until("the interruption", || told(&host), |told| events(told, "interrupted").len() == 1);
    let heard = &events(&told, "interrupted")[0]["heard"][0];
    let (heard_ms, sent_ms) = (heard["heard_ms"].as_u64(), heard["sent_ms"].as_u64());
    let (heard_ms, sent_ms) = (heard_ms.expect("a number"), sent_ms.expect("a number"));
    wait_until(
        "Twilio to clear",
        || stream.look(|seen| seen.simulation.playback.clears),
        |clears| *clears == 1,
    );
    let played = stream.played_ms(3);
    assert!((600..=played).contains(&heard_ms), "{heard_ms} of {played} ms");
    assert!(sent_ms <= 20_000 && sent_ms >= heard_ms, "{sent_ms}");
    // The line goes on; of what was cleared, nothing comes any more.
    stream.press('1');
    stream.wait_until_played(4, 2_000);
    assert_eq!(stream.played_ms(3), played);
    let seen = wait_until("it to be heard", || self::told(&host), |told| events(told, "played").len() == 2);
    let numbers: Vec<_> = events(&seen, "played").iter().map(|event| event["utterance"].clone()).collect();
    assert_eq!(numbers, [json!(1), json!(3)], "no mark counts after the clear");
    no_errors(&stream);
}

fn two_calls_at_once_do_not_mix() {
    let host = start(UNSIGNED);
    let other = Dial::new(host.address(), "CA2", "MZ2", "other");
    let (one, other) = (call(&host, "one"), MediaStream::open(&other).expect("it is taken"));
    one.say(vec![0x2a; 8 * 300]);
    other.press('1');
    other.wait_until_played(3, 2_000);
    one.wait_until_played(2, 500);
    assert_eq!(one.played_ms(3), 0);
    wait_until("the first caller to be heard", || told(&host), |told| told["loud_ms"] == 300);
    assert_eq!(told_of(&host, "CA2")["loud_ms"], 0);
    other.hang_up();
    wait_until("the other call to be over", || told_of(&host, "CA2"), |told| !told["closed"].is_null());
    one.press('1');
    one.wait_until_played(3, 2_000);
}

fn lost_audio_and_strange_frames_do_no_harm() {
    let host = start(UNSIGNED);
    let stream = call(&host, "t");
    for text in ["", "{", "[]", r#"{"event":"weather"}"#, r#"{"event":"media","media":{}}"#] {
        stream.raw(text);
    }
    stream.lose(600);
    stream.say(vec![0x2a; 8 * 200]);
    wait_until("the caller to be heard", || told(&host), |told| told["loud_ms"] == 200);
    stream.hang_up();
    let report = report(&host);
    assert_eq!(report["padded_ms"], 600, "{report}");
    let sum = report["padded_ms"].as_u64().unwrap_or(0) + report["received_ms"].as_u64().unwrap_or(0);
    assert_eq!(told(&host)["audio_ms"], sum, "without gaps");
}

fn a_caller_who_goes_is_told_of() {
    let stop = "the caller hung up, or the call went on elsewhere";
    let broken = "the connection to Twilio broke: the client went away";
    type Way = fn(&MediaStream);
    let ways: [(Way, &str); 2] = [(MediaStream::hang_up, stop), (MediaStream::cut, broken)];
    for (go, reason) in ways {
        let host = start(UNSIGNED);
        let stream = call(&host, "t");
        stream.press('5');
        stream.wait_until_played(3, 200);
        go(&stream);
        let report = report(&host);
        assert_eq!(report["reason"], reason);
        let told = told(&host);
        let heard = events(&told, "interrupted")[0]["heard"][0].clone();
        assert!(heard["heard_ms"].as_u64() <= Some(stream.played_ms(3)), "{heard}");
        assert_eq!(told["closed"], reason);
        let calls = || host.call("realtime_call_bridge", "list_calls", &json!({})).json();
        wait_until("the call to be gone", calls, |calls| *calls == json!({ "calls": [] }));
    }
}

fn a_conversation_that_ends_hands_the_call_back() {
    let broke = "the conversation broke off: the model is gone";
    for (key, end) in [
        ('9', End::Closed(1000, "the conversation is over".to_owned())),
        ('4', End::Closed(1011, broke.to_owned())),
    ] {
        let host = start(UNSIGNED);
        let stream = call(&host, "t");
        stream.wait_until_played(2, 100);
        stream.press(key);
        assert_eq!(stream.wait_for_end(), end);
        if key == '9' {
            assert_eq!(stream.played_ms(2), 500, "it was played out");
        }
    }
}

fn an_operator_sees_and_ends_calls() {
    let host = start(UNSIGNED);
    let stream = call(&host, "t");
    stream.wait_until_played(2, 500);
    let calls = host.call("realtime_call_bridge", "list_calls", &json!({})).json();
    let listed = &calls["calls"][0];
    assert_eq!((&listed["call"], &listed["stream"]), (&json!(CALL), &json!(STREAM)));
    assert_eq!((&listed["media"]["sent_ms"], &listed["finishing"]), (&json!(500), &json!(false)));
    let hang_up = |call: &str| host.call("realtime_call_bridge", "hang_up", &json!({ "call": call }));
    assert_eq!(hang_up("CA9").status, 404);
    let answer = hang_up(CALL).json();
    assert_eq!((&answer["call"], &answer["line_ended"]), (&json!(CALL), &json!(false)), "{answer}");
    assert_eq!(stream.wait_for_end(), End::Closed(1000, "an operator hung up".to_owned()));
    assert_eq!(report(&host)["reason"], "an operator hung up");
}

/// The host is told to stop, and the call outlasts its grace.
fn a_stopped_bridge_says_goodbye() {
    let host = start(&format!("{UNSIGNED}record = true\n"));
    let stream = call(&host, "t");
    stream.press('5');
    stream.wait_until_played(3, 300);
    let (finished, setup) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(matches!(stream.wait_for_end(), End::Closed(1001, _) | End::Broken), "the line is given back");
    // What the conversation was told, the recording holds.
    let folder = setup.path("data/realtime_call_bridge");
    let text = fs::read_to_string(folder.join(format!("{STREAM}.jsonl"))).expect("it was recorded");
    assert!(text.contains(r#"\"type\":\"ended\""#), "the conversation was told its end");
    assert!(text.contains("stopped"), "and why");
}

fn a_stopped_conversation_hands_the_call_back() {
    let host = start(UNSIGNED);
    let stream = call(&host, "t");
    stream.press('5');
    stream.wait_until_played(3, 300);
    let without =
        UNSIGNED.replace("[plugins.voice_assistant]", "[plugins.voice_assistant]\nlog_level = \"warn\"");
    let setup = host.setup();
    fs::write(setup.path("plugins.toml"), without).expect("it can be written");
    let reloaded = host.command(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    assert!(matches!(stream.wait_for_end(), End::Closed(1001 | 1011, _)), "the line is given back");
    host.wait_for_status("realtime_call_bridge", "connected");
    let again = call(&host, "again");
    again.wait_until_played(2, 500);
}

fn a_killed_host_hands_the_call_back() {
    let host = start(UNSIGNED);
    let stream = call(&host, "t");
    stream.wait_until_played(2, 200);
    let setup = host.kill();
    assert_eq!(stream.wait_for_end(), End::Broken, "Twilio goes on with the TwiML's action");
    let again = ready(setup);
    call(&again, "t").wait_until_played(2, 500);
}

fn a_recording_is_replayed() {
    let host = start(&format!("{UNSIGNED}record = true\n"));
    let folder = host.setup().path("data/realtime_call_bridge");
    fs::create_dir_all(&folder).expect("a folder can be made");
    for name in ["answered", "interrupted", "lossy"] {
        let committed =
            repository().join(format!("plugins/realtime_call_bridge/src/tests/recordings/{name}.jsonl"));
        fs::copy(committed, folder.join(format!("{name}.jsonl"))).expect("it can be copied");
        let request = json!({ "recording": format!("{name}.jsonl") });
        let command = host.command(&["call", "realtime_call_bridge.replay", &request.to_string()]);
        let replayed: Value = serde_json::from_str(&command.stdout).unwrap_or_default();
        assert!(replayed["agreed"].as_u64() > Some(30), "{command:?}");
        assert_eq!(
            (&replayed["difference"], &replayed["truncated"]),
            (&Value::Null, &json!(false)),
            "{name}"
        );
    }
    let stream = call(&host, "a-token-of-a-call");
    stream.press('1');
    stream.wait_until_played(3, 500);
    stream.press('2');
    stream.press('3');
    assert_eq!(stream.wait_for_end(), End::Closed(1000, "the conversation is over".to_owned()));
    let request = json!({ "recording": format!("{STREAM}.jsonl") });
    let replay = || host.call("realtime_call_bridge", "replay", &request).json();
    let replayed =
        wait_until("the recording to be complete", replay, |replayed| replayed["truncated"] == false);
    assert_eq!(replayed["difference"], Value::Null, "{replayed}");
    let text = fs::read_to_string(folder.join(format!("{STREAM}.jsonl"))).expect("it was recorded");
    assert!(!text.contains("a-token-of-a-call"));
}

fn times_are_measured() {
    let host = start(UNSIGNED);
    let stream = call(&host, "t");
    stream.wait_until_played(2, 500);
    stream.press('6');
    stream.press('1');
    stream.wait_until_played(3, 300);
    stream.press('2');
    let told = wait_until("the interruption", || told(&host), |told| events(told, "interrupted").len() == 1);
    let first = &events(&told, "first_audio")[0];
    assert_eq!(first["utterance"], 2);
    assert!(first["after_ms"].is_u64() && events(&told, "interrupted")[0]["after_ms"].is_u64(), "{told:#}");
    stream.hang_up();
    let metrics = || host.get("/metrics").body;
    let counted = |metrics: &String| {
        [
            "first_audio_seconds_count 1",
            "interruption_seconds_count 1",
            "call_seconds_count 1",
            "ended_total 1",
        ]
        .iter()
        .all(|line| metrics.contains(&format!("switchboard_realtime_call_bridge_{line}")))
    };
    wait_until("the metrics", metrics, counted);
}
