//! The events of OpenAI's Realtime API: all of the server's are taken, ours are written as it wants them.

use std::{fs, path::Path};

use plugin_api::{
    error::{ErrorKind, OperationError},
    protocol::CloseReason,
    requests::openai::{RealtimeClose, ToolDefinition},
    serde_json::{self, Value, json},
};
use proptest::prelude::*;

use super::machine::config;
use crate::session::{
    model::{Content, Event, FaultKind, FunctionCall, Outcome, Request, Setup},
    openai::{client::ClientEvent, ended, server::ServerEvent, session_refused, translate},
    settings::Listening,
};

const LISTENING: Listening =
    Listening::Silence { threshold: 0.5, prefix_ms: 300, silence_ms: 500, idle_ms: None };

fn read(event: &Value) -> ServerEvent {
    ServerEvent::read(&event.to_string()).expect("it is an event")
}

fn understood(event: Value) -> Event {
    translate(read(&event), &LISTENING)
}

/// Every event is kept as it came: what is not known stands beside what is.
fn check_nothing_is_lost(event: &Value) {
    let kept = serde_json::to_value(read(event)).expect("it can be written");
    for (key, value) in event.as_object().expect("an object") {
        let is_kept = kept[key] == *value || value.is_null() || kept[key].is_object();
        assert!(is_kept, "`{key}` of {event} became {}", kept[key]);
    }
}

/// One of each kind that matters, and some that do not, after the facts of the protocol.
fn corpus() -> Vec<Value> {
    let item = json!({ "id": "item_1", "object": "realtime.item", "type": "message", "status": "completed",
        "role": "assistant", "content": [{ "type": "output_audio", "transcript": "Hello." }] });
    let response = json!({ "object": "realtime.response", "id": "resp_1", "status": "in_progress",
        "status_details": null, "output": [], "usage": null, "metadata": null });
    let delta = json!({ "event_id": "e", "response_id": "resp_1", "item_id": "item_1", "output_index": 0,
        "content_index": 0, "delta": "AAAA" });
    let typed = |kind: &str, body: &Value| {
        let mut event = body.clone();
        event["type"] = kind.into();
        event
    };
    let named = json!({ "event_id": "e", "item_id": "item_1", "content_index": 0 });
    vec![
        typed(
            "error",
            &json!({ "error": { "type": "invalid_request_error", "code": null, "message": "No.",
            "param": "x", "event_id": "mine" } }),
        ),
        typed("session.created", &json!({ "session": { "type": "realtime", "audio": {} } })),
        typed("session.updated", &json!({ "session": { "type": "realtime" } })),
        typed("conversation.created", &json!({ "conversation": { "id": "conv" } })),
        typed("conversation.item.added", &json!({ "previous_item_id": null, "item": item })),
        typed("conversation.item.done", &json!({ "previous_item_id": "item_0", "item": item })),
        typed("conversation.item.created", &json!({ "item": item })),
        typed(
            "conversation.item.truncated",
            &json!({ "item_id": "item_1", "content_index": 0, "audio_end_ms": 5 }),
        ),
        typed("conversation.item.deleted", &named),
        typed("conversation.item.input_audio_transcription.delta", &delta),
        typed(
            "conversation.item.input_audio_transcription.completed",
            &json!({ "item_id": "item_1",
            "content_index": 0, "transcript": "Hello", "usage": { "type": "duration", "seconds": 1 } }),
        ),
        typed("conversation.item.input_audio_transcription.failed", &named),
        typed("input_audio_buffer.committed", &named),
        typed("input_audio_buffer.speech_started", &json!({ "audio_start_ms": 700, "item_id": "item_1" })),
        typed("input_audio_buffer.speech_stopped", &json!({ "audio_end_ms": 1700, "item_id": "item_1" })),
        typed(
            "input_audio_buffer.timeout_triggered",
            &json!({ "audio_start_ms": 1, "audio_end_ms": 2,
            "item_id": "item_1" }),
        ),
        typed("response.created", &json!({ "response": response })),
        typed("response.done", &json!({ "response": response })),
        typed("response.output_audio.delta", &delta),
        typed("response.output_audio.done", &named),
        typed("response.output_audio_transcript.delta", &delta),
        typed(
            "response.output_audio_transcript.done",
            &json!({ "item_id": "item_1", "transcript": "Hello." }),
        ),
        typed(
            "response.function_call_arguments.done",
            &json!({ "item_id": "item_1", "call_id": "call_1",
            "arguments": "{}" }),
        ),
        typed("rate_limits.updated", &json!({ "rate_limits": [] })),
        typed("something.new", &json!({ "of": ["tomorrow"] })),
    ]
}

#[test]
fn every_event_is_taken_and_kept() {
    corpus().iter().for_each(check_nothing_is_lost);
}

#[test]
fn every_example_of_the_published_specification_is_taken_and_kept() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/spec/openai_realtime_server_events.jsonl"));
    // It lies beside some checkouts only.
    let Some(text) = beside.into_iter().find_map(|file| fs::read_to_string(file).ok()) else { return };
    let events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is an event")).collect();
    assert!(events.len() >= 40, "there are {}", events.len());
    events.iter().for_each(check_nothing_is_lost);
    let known = events.iter().filter(|event| !matches!(read(event), ServerEvent::Unknown(_)));
    assert!(known.count() >= 15, "those that matter are understood");
}

#[test]
fn what_is_no_event_is_refused_in_words() {
    for (text, why) in [("{}", "it has no `type`"), ("[1]", "it has no `type`")] {
        assert_eq!(ServerEvent::read(text), Err(why.to_owned()));
    }
    assert!(ServerEvent::read("{").is_err_and(|why| why.starts_with("it is no JSON: ")));
}

proptest! {
    #[test]
    fn garbage_in_a_known_event_stops_nobody(key in "[a-z_]{1,12}", number: i64) {
        for mut event in corpus() {
            event[&key] = number.into();
            let _ = understood(event);
        }
    }
}

#[test]
fn moments_are_those_of_the_speech_itself() {
    let started =
        json!({ "type": "input_audio_buffer.speech_started", "audio_start_ms": 700, "item_id": "i" });
    assert_eq!(understood(started), Event::SpeechStarted { at_ms: 1000 });
    let stopped =
        json!({ "type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1700, "item_id": "i" });
    assert_eq!(understood(stopped), Event::SpeechStopped { at_ms: 1200 });
}

#[test]
fn only_completed_answers_hold_calls() {
    let call = json!({ "type": "function_call", "call_id": "c", "name": "look", "arguments": "{}" });
    let done = |status: &str, details: Value| {
        let response = json!({ "id": "r", "status": status, "status_details": details, "output": [call] });
        match understood(json!({ "type": "response.done", "response": response })) {
            Event::ResponseDone { outcome, .. } => outcome,
            other => panic!("{other:?}"),
        }
    };
    let calls = vec![FunctionCall { call_id: "c".into(), name: "look".into(), arguments: "{}".into() }];
    assert_eq!(done("completed", Value::Null), Outcome::Completed { calls });
    let cancelled = json!({ "type": "cancelled", "reason": "turn_detected" });
    assert_eq!(done("cancelled", cancelled), Outcome::Cancelled);
    let quota =
        json!({ "type": "failed", "error": { "type": "insufficient_quota", "code": "insufficient_quota" } });
    let expected = Outcome::Failed { message: "insufficient_quota".into(), is_hopeless: true };
    assert_eq!(done("failed", quota), expected);
    let reason = "max_output_tokens".to_owned();
    assert_eq!(done("incomplete", json!({ "reason": reason })), Outcome::Incomplete { reason });
    assert_eq!(done("new", Value::Null), Outcome::Incomplete { reason: "new".into() });
}

#[test]
fn what_follows_from_an_error_is_known_by_its_code() {
    for (code, kind) in [
        ("conversation_already_has_active_response", FaultKind::Busy),
        ("response_cancel_not_active", FaultKind::NotActive),
        ("session_expired", FaultKind::Expired),
        ("beta_api_shape_disabled", FaultKind::Hopeless),
        ("invalid_api_key", FaultKind::Hopeless),
        ("invalid_value", FaultKind::Other),
        ("of_tomorrow", FaultKind::Other),
    ] {
        let error =
            json!({ "type": "error", "error": { "code": code, "message": "m", "event_id": "respond_1" } });
        let Event::Fault(fault) = understood(error) else { panic!("{code}") };
        assert_eq!((fault.kind, fault.about.as_deref()), (kind, Some("respond_1")), "{code}");
    }
}

/// Whether a session that is refused so is given up, and why; `None`: it is not refused.
fn given_up(error: Value) -> Option<(String, bool)> {
    let loss = session_refused(serde_json::from_value(error).expect("an error"))?;
    Some((loss.reason, loss.is_final))
}

#[test]
fn a_session_is_given_up_only_for_what_will_be_wrong_again() {
    let refused = |is_final| Some(("the model refuses the session: no".to_owned(), is_final));
    let error = |kind: &str, code: &str, about: Option<&str>| json!({ "type": kind, "code": code, "message": "no", "event_id": about });
    let (wrong, server) = ("invalid_request_error", "server_error");
    assert_eq!(given_up(error(wrong, "unknown_parameter", Some("session_update"))), refused(true));
    assert_eq!(given_up(error(wrong, "invalid_api_key", None)), refused(true));
    assert_eq!(given_up(error(server, "insufficient_quota", Some("other"))), refused(true));
    assert_eq!(given_up(error(wrong, "unknown_parameter", None)), refused(false));
    assert_eq!(given_up(error(server, "server_error", Some("session_update"))), refused(false));
    assert_eq!(given_up(json!({ "type": server, "message": "no" })), refused(false));
    assert_eq!(given_up(error(server, "session_expired", None)), refused(false));
    assert_eq!(given_up(error(wrong, "invalid_value", Some("other"))), None, "it is about something else");
}

#[test]
fn why_a_connection_ended_is_told_as_it_is() {
    let told = |close_code, close_reason: &str| {
        let close = RealtimeClose { close_code, close_reason: close_reason.to_owned() };
        let loss = ended(&close.into_reason(""));
        (loss.reason, loss.is_final)
    };
    let away = "the connection with the model went away (1001)".to_owned();
    assert_eq!(told(1001, ""), (away.clone(), false));
    let expired = "the session with the model has expired".to_owned();
    assert_eq!(told(1001, "session_expired"), (expired, false));
    assert_eq!(told(4000, ""), ("the model closed the connection (4000)".to_owned(), true));
    let stopped = CloseReason::failed(OperationError::new(ErrorKind::Cancelled, "the plugin stops"));
    assert_eq!(ended(&stopped).reason, away, "also if it was the plugin that went");
}

fn written(request: Request) -> Value {
    serde_json::to_value(ClientEvent::from(request)).expect("it can be written")
}

#[test]
fn ours_are_written_as_the_specification_has_them() {
    let hear = Request::Hear { audio: vec![0xff, 0x7f] };
    assert_eq!(written(hear), json!({ "type": "input_audio_buffer.append", "audio": "/38=" }));
    let commit = Request::Commit { name: "last_words".into() };
    assert_eq!(written(commit), json!({ "type": "input_audio_buffer.commit", "event_id": "last_words" }));
    let add = |content| written(Request::Add { item: "i1".into(), after: None, content });
    let message = |role: &str, kind: &str| {
        json!({ "type": "conversation.item.create", "event_id": "i1", "item": { "type": "message", "id": "i1",
            "role": role, "content": [{ "type": kind, "text": "hi" }] } })
    };
    assert_eq!(add(Content::Caller("hi".into())), message("user", "input_text"));
    assert_eq!(add(Content::Assistant("hi".into())), message("assistant", "output_text"));
    assert_eq!(add(Content::Note("hi".into())), message("system", "input_text"));
    assert_eq!(add(Content::Data("hi".into())), message("user", "input_text"), "others give no instructions");
    let output = add(Content::Output { call_id: "c1".into(), output: "o".into() });
    let expected = json!({ "type": "function_call_output", "id": "i1", "call_id": "c1", "output": "o" });
    assert_eq!(output["item"], expected);
    let after =
        Request::Add { item: "i2".into(), after: Some("i1".into()), content: Content::Note("n".into()) };
    assert_eq!(written(after)["previous_item_id"], "i1");
    let truncate = Request::Truncate { item: "i1".into(), audio_end_ms: 1500 };
    assert_eq!(
        written(truncate),
        json!({ "type": "conversation.item.truncate", "item_id": "i1", "content_index": 0, "audio_end_ms": 1500 })
    );
    let plain = Request::Respond { name: "respond_1".into(), directions: None, may_call: true };
    assert_eq!(written(plain), json!({ "type": "response.create", "event_id": "respond_1", "response": {} }));
    let directed = Request::Respond { name: "r".into(), directions: Some("Wait.".into()), may_call: false };
    assert_eq!(written(directed)["response"], json!({ "instructions": "Wait.", "tool_choice": "none" }));
    let cancel = Request::Cancel { response: "resp_1".into() };
    assert_eq!(written(cancel), json!({ "type": "response.cancel", "response_id": "resp_1" }));
    let remove = Request::Remove { item: "i1".into() };
    assert_eq!(written(remove), json!({ "type": "conversation.item.delete", "item_id": "i1" }));
}

#[test]
fn a_session_is_one_of_the_general_availability() {
    let tool = ToolDefinition {
        name: "smtp-send".into(),
        description: Some("Sends.".into()),
        parameters: Some(json!({ "type": "object" })),
        strict: None,
    };
    let setup = Setup { instructions: "Be kind.".into(), tools: vec![tool] };
    let update = |settings: Value| {
        serde_json::to_value(ClientEvent::update(&setup, &config(settings))).expect("it can be written")
    };
    let expected = json!({ "type": "session.update", "event_id": "session_update", "session": {
        "type": "realtime", "output_modalities": ["audio"], "instructions": "Be kind.",
        "audio": {
            "input": { "format": { "type": "audio/pcmu" }, "transcription": { "model": "gpt-transcribe", "language": "en" },
                "noise_reduction": { "type": "near_field" },
                "turn_detection": { "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                    "silence_duration_ms": 500, "create_response": true, "interrupt_response": true } },
            "output": { "format": { "type": "audio/pcmu" }, "voice": "marin", "speed": 1.0 } },
        "tools": [{ "type": "function", "name": "smtp-send", "description": "Sends.",
            "parameters": { "type": "object" } }],
        "tool_choice": "auto", "max_output_tokens": "inf" } });
    assert_eq!(update(json!({})), expected);
    let other = update(json!({ "vad": "semantic_vad", "vad_eagerness": "low", "noise_reduction": "none",
        "max_output_tokens": 500, "voice": "cedar", "speed": 1.25 }));
    let audio = &other["session"]["audio"];
    assert_eq!(
        audio["input"]["turn_detection"],
        json!({ "type": "semantic_vad", "eagerness": "low",
        "create_response": true, "interrupt_response": true })
    );
    assert_eq!(audio["input"]["noise_reduction"], Value::Null);
    assert_eq!((&audio["output"]["voice"], &audio["output"]["speed"]), (&json!("cedar"), &json!(1.25)));
    assert_eq!(other["session"]["max_output_tokens"], 500);
    let idle = update(json!({ "idle": "6s" }));
    assert_eq!(idle["session"]["audio"]["input"]["turn_detection"]["idle_timeout_ms"], 6000);
}
