//! The peer does what those rely on who are tested against it.

use std::{net::TcpStream, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, protocol::CloseFrame};

use super::{
    Answer, Realtime, Script, Turn,
    conversation::Conversation,
    ear::{silence, speech},
};

/// A session in this process, on a clock of its own.
struct Session {
    conversation: Conversation,
    now: Duration,
}

impl Session {
    fn new(script: Script) -> Self {
        let conversation = Conversation::new(script.into(), Default::default(), "gpt-realtime");
        let mut session = Self { conversation, now: Duration::ZERO };
        assert_eq!(kinds(&session.conversation.take()), ["session.created"]);
        let audio = json!({ "input": { "transcription": { "model": "gpt-4o-mini-transcribe" } } });
        let update = json!({ "type": "session.update", "session": { "type": "realtime", "audio": audio } });
        assert_eq!(kinds(&session.send(update)), ["session.updated"]);
        session
    }

    fn send(&mut self, event: Value) -> Vec<Value> {
        self.conversation.client(&event, self.now);
        self.conversation.take()
    }

    fn hear(&mut self, audio: &[u8]) -> Vec<Value> {
        self.send(json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(audio) }))
    }

    fn wait(&mut self, ms: u64) -> Vec<Value> {
        self.now += Duration::from_millis(ms);
        self.conversation.tick(self.now);
        self.conversation.take()
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap_or_default()).collect()
}

fn code(events: &[Value]) -> &str {
    let error = events.iter().find(|event| event["type"] == "error").expect("an error");
    error["error"]["code"].as_str().unwrap_or_default()
}

fn script() -> Script {
    Script::new([
        Turn::new("", [Answer::say("Hello, this is the assistant.", 1000)]),
        Turn::new(
            "What is on?",
            [Answer::call("calendar", json!({ "day": 1 })), Answer::say("Nothing.", 500)],
        ),
    ])
}

#[test]
fn an_answer_is_spoken_in_pieces_and_a_second_one_refused_meanwhile() {
    let mut session = Session::new(script());
    let begun = session.send(json!({ "type": "response.create" }));
    assert_eq!(kinds(&begun)[..2], ["response.created", "response.output_item.added"]);
    let second = session.send(json!({ "type": "response.create" }));
    assert_eq!(code(&second), "conversation_already_has_active_response");
    let rest = session.wait(100);
    let audio = |events: &[Value]| {
        kinds(events).iter().filter(|kind| **kind == "response.output_audio.delta").count()
    };
    assert_eq!(audio(&begun) + audio(&rest), 5);
    let done = rest.iter().find(|event| event["type"] == "response.done").expect("it ends");
    assert_eq!(done["response"]["status"], "completed");
    assert_eq!(done["response"]["output"][0]["content"][0]["transcript"], "Hello, this is the assistant.");
}

#[test]
fn an_utterance_is_heard_answered_and_put_into_words() {
    let mut session = Session::new(script());
    assert_eq!(
        kinds(&session.hear(&[silence(400), speech(400)].concat())),
        ["input_audio_buffer.speech_started"]
    );
    let answered = session.hear(&silence(600));
    assert_eq!(kinds(&answered)[..2], ["input_audio_buffer.speech_stopped", "input_audio_buffer.committed"]);
    let done = answered.iter().find(|event| event["type"] == "response.done").expect("the call is made");
    assert_eq!(done["response"]["output"][0]["arguments"], "{\"day\":1}");
    let words = session.wait(100);
    assert_eq!(words[1]["transcript"], "What is on?");
    let call = &done["response"]["output"][0]["call_id"];
    let output = json!({ "type": "function_call_output", "call_id": call, "output": "nothing" });
    let added = session.send(json!({ "type": "conversation.item.create", "item": output }));
    assert_eq!(kinds(&added), ["conversation.item.added", "conversation.item.done"]);
    let unknown = json!({ "type": "function_call_output", "call_id": "call_x", "output": "" });
    let refused = session.send(json!({ "type": "conversation.item.create", "item": unknown }));
    assert_eq!(code(&refused), "invalid_tool_call_id");
}

#[test]
fn who_says_that_this_is_all_has_ended_unless_nobody_spoke() {
    let mut session = Session::new(script());
    session.hear(&speech(400));
    let taken = session.send(json!({ "type": "input_audio_buffer.commit" }));
    assert_eq!(kinds(&taken)[0], "input_audio_buffer.committed");
    assert_eq!(session.wait(100)[1]["transcript"], "What is on?");
    let again = session.send(json!({ "type": "input_audio_buffer.commit" }));
    assert_eq!(code(&again), "input_audio_buffer_commit_empty");
}

#[test]
fn who_speaks_interrupts_and_nothing_can_be_cut_off_that_is_not_there() {
    let mut session = Session::new(script().paced(200, 100));
    let mut said = session.send(json!({ "type": "response.create" }));
    said.extend(session.wait(250));
    let interrupted = session.hear(&speech(100));
    assert_eq!(kinds(&interrupted)[0], "input_audio_buffer.speech_started");
    let done = interrupted.last().expect("it is cancelled");
    assert_eq!(done["response"]["status"], "cancelled");
    assert_eq!(done["response"]["status_details"]["reason"], "turn_detected");
    let item = &done["response"]["output"][0]["id"];
    let truncate = |end: u64| {
        json!({ "type": "conversation.item.truncate", "item_id": item, "content_index": 0,
            "audio_end_ms": end })
    };
    assert_eq!(code(&session.send(truncate(601))), "invalid_value");
    assert_eq!(kinds(&session.send(truncate(600))), ["conversation.item.truncated"]);
    assert_eq!(kinds(&session.send(truncate(150))), ["conversation.item.truncated"]);
    assert_eq!(code(&session.send(truncate(151))), "invalid_value");
    assert_eq!(code(&session.send(json!({ "type": "response.cancel" }))), "response_cancel_not_active");
}

#[test]
fn the_arguments_of_a_call_that_is_cancelled_are_told_too() {
    let slow = Turn::new("", [Answer::call("delete", json!({})).after(1000)]);
    let mut session = Session::new(Script::new([slow]));
    session.send(json!({ "type": "response.create" }));
    let cancelled = session.send(json!({ "type": "response.cancel" }));
    assert!(kinds(&cancelled).contains(&"response.function_call_arguments.done"));
    assert_eq!(cancelled.last().expect("it ends")["response"]["status"], "cancelled");
}

#[test]
fn the_beta_has_no_place_in_a_session() {
    let mut session = Session::new(script());
    let old = json!({ "type": "session.update", "session": { "type": "realtime", "modalities": ["audio"] } });
    assert_eq!(code(&session.send(old)), "unknown_parameter");
    let untyped = json!({ "type": "session.update", "session": { "instructions": "" } });
    assert_eq!(code(&session.send(untyped)), "missing_required_parameter");
    assert_eq!(code(&session.send(json!({ "type": "conversation.item.make" }))), "invalid_value");
    let mixed = json!({ "type": "message", "role": "assistant", "content": [{ "type": "input_text" }] });
    assert_eq!(
        code(&session.send(json!({ "type": "conversation.item.create", "item": mixed }))),
        "invalid_value"
    );
}

#[test]
fn after_a_silence_it_speaks_by_itself() {
    let mut session = Session::new(script());
    let detection = json!({ "type": "server_vad", "idle_timeout_ms": 5000 });
    let audio = json!({ "input": { "turn_detection": detection } });
    session.send(json!({ "type": "session.update", "session": { "type": "realtime", "audio": audio } }));
    assert_eq!(session.hear(&silence(4900)), [] as [Value; 0]);
    let spoken = session.hear(&silence(200));
    assert_eq!(
        kinds(&spoken)[..3],
        ["input_audio_buffer.timeout_triggered", "input_audio_buffer.committed", "response.created"]
    );
}

fn connect(peer: &Realtime, headers: &str) -> Result<WebSocket<TcpStream>, u16> {
    use tungstenite::client::IntoClientRequest as _;
    let mut request =
        format!("{}?model=gpt-realtime-2", peer.url()).into_client_request().expect("a good address");
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        let name = tungstenite::http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
        request.headers_mut().insert(name, value.parse().expect("a value"));
    }
    let stream = TcpStream::connect(peer.address()).expect("it listens");
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            Err(response.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

fn hear(socket: &mut WebSocket<TcpStream>) -> Value {
    match socket.read() {
        Ok(Message::Text(text)) => serde_json::from_str(&text).expect("an event"),
        Ok(Message::Close(frame)) => closed(frame),
        other => panic!("no event: {other:?}"),
    }
}

fn closed(frame: Option<CloseFrame>) -> Value {
    frame.map_or(Value::Null, |frame| json!(u16::from(frame.code)))
}

#[test]
fn a_connection_is_taken_or_refused_and_can_expire() {
    let peer = Realtime::start(script()).for_key("sk-right");
    assert_eq!(connect(&peer, "authorization: Bearer sk-wrong").err(), Some(401));
    let key = "authorization: Bearer sk-right";
    let mut socket = connect(&peer, key).expect("it is taken");
    assert_eq!(hear(&mut socket)["session"]["model"], "gpt-realtime-2");
    let audio = STANDARD.encode(silence(20));
    let append = json!({ "type": "input_audio_buffer.append", "audio": audio });
    socket.send(Message::text(append.to_string())).expect("it is open");
    let heard = peer.wait_for("input_audio_buffer.append", 1);
    assert_eq!(heard[0]["audio"], json!({ "bytes": 160 }));
    peer.expire();
    assert_eq!(hear(&mut socket)["error"]["code"], "session_expired");
    assert_eq!(hear(&mut socket), 1001);
    peer.refuse(Some((429, json!({ "error": { "code": "insufficient_quota" } }))));
    assert_eq!(connect(&peer, key).err(), Some(429));
    peer.refuse(None);
    let mut beta = connect(&peer, &format!("{key}\nopenai-beta: realtime=v1")).expect("it is taken first");
    assert_eq!(hear(&mut beta)["error"]["code"], "beta_api_shape_disabled");
    assert_eq!(hear(&mut beta), 4000);
    let mut cut = connect(&peer, key).expect("it is taken");
    hear(&mut cut);
    peer.cut();
    assert!(cut.read().is_err(), "it broke");
    assert_eq!((peer.connections(), peer.refused()), (2, 2));
}
