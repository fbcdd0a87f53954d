//! A chat that is answered as it is written: in order, whole at the end, and ended at the server when nobody listens.

use expect_test::expect;
use plugin_api::{
    error::OperationError,
    protocol::CloseReason,
    requests::openai::TroubleCode,
    serde_json::{Value, json},
    stream::Stream,
    tokio,
};

use super::{
    peer::{Peer, signal},
    setup::{json_of, plugin, question, reply, shown, signalled, trouble},
};

/// A server that writes these events and ends as it should.
fn writes(events: Vec<Value>) -> Peer {
    Peer::start(move |talk| {
        talk.hear()?;
        talk.begin_events()?;
        for event in &events {
            talk.event(&event.to_string())?;
        }
        talk.end_events()
    })
}

fn delta(delta: Value) -> Value {
    json!({ "id": "chatcmpl-1", "model": "m", "choices": [{ "index": 0, "delta": delta }] })
}

fn finish(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

/// A delta of a server that keeps thoughts apart: its words are passed on at once.
fn thought() -> Value {
    delta(json!({ "reasoning": "Hm." }))
}

/// All frames, and why it ended.
async fn all(stream: &Stream) -> (Vec<Value>, CloseReason) {
    let mut frames = Vec::new();
    loop {
        match stream.recv().await {
            Ok(frame) => frames.push(json_of(frame)),
            Err(reason) => return (frames, reason),
        }
    }
}

/// The error that a stream of these events ends with.
async fn ends(peer: &Peer, settings: Value) -> OperationError {
    let plugin = plugin(peer.port, settings);
    let stream = plugin.open("chat_stream", &question()).await.expect("the stream is taken");
    all(&stream).await.1.error.expect("it ends by an error")
}

#[tokio::test]
async fn words_come_as_they_are_written_and_the_whole_at_the_end() {
    let usage =
        json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 } });
    let peer = writes(vec![
        delta(json!({ "role": "assistant", "content": "" })),
        delta(json!({ "content": "Grü" })),
        delta(json!({ "content": "ße" })),
        finish("stop"),
        usage,
    ]);
    let plugin = plugin(peer.port, json!({}));
    // The first answers of a model wait until it is known that no words are thoughts.
    for _ in 0..3 {
        all(&plugin.open("chat_stream", &question()).await.unwrap()).await;
    }
    let stream = plugin.open("chat_stream", &question()).await.unwrap();
    let (frames, reason) = all(&stream).await;
    assert_eq!(reason.error, None);
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[0], json!({ "type": "text", "text": "Grü" }));
    assert_eq!(frames[1], json!({ "type": "text", "text": "ße" }));
    let answer = json!({
        "content": "Grüße", "finish_reason": "stop", "model": "m", "id": "chatcmpl-1",
        "usage": { "input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "cached_tokens": 0, "reasoning_tokens": 0 },
    });
    assert_eq!(frames[2], json!({ "type": "done", "answer": answer }));
    let asked = peer.asked().remove(0).json();
    assert_eq!(asked["stream"], true);
    assert_eq!(asked["stream_options"], json!({ "include_usage": true }));
}

#[tokio::test]
async fn events_may_be_written_and_cut_in_any_way() {
    let texts = [delta(json!({ "content": "Grü" })), delta(json!({ "content": "ße" })), finish("stop")];
    let [one, two, three] = texts.map(|event| event.to_string());
    let written = format!(
        ": a comment\r\n\r\nevent: message\r\nid: 1\r\ndata: {one}\r\n\r\n\n\ndata:{two}\n\nevent: keepalive\n\
         data: {{}}\n\ndata: {three}\n\ndata: [DONE]\n\n"
    );
    for size in [1, 7, 4096] {
        let written = written.clone();
        let peer = Peer::start(move |talk| {
            talk.hear()?;
            talk.begin_events()?;
            written.as_bytes().chunks(size).try_for_each(|bytes| talk.chunk(bytes))?;
            talk.say("0\r\n\r\n")
        });
        let plugin = plugin(peer.port, json!({}));
        let (frames, reason) = all(&plugin.open("chat_stream", &question()).await.unwrap()).await;
        assert_eq!(reason.error, None, "in pieces of {size}");
        assert_eq!(frames.last().unwrap()["answer"]["content"], "Grüße", "in pieces of {size}");
    }
}

#[tokio::test]
async fn tool_calls_are_put_together() {
    let piece = |piece: Value| delta(json!({ "tool_calls": [piece] }));
    let peer = writes(vec![
        piece(json!({ "index": 0, "id": "call_a", "function": { "name": "weather", "arguments": "" } })),
        piece(json!({ "index": 0, "function": { "arguments": "{\"city\":" } })),
        piece(json!({ "index": 1, "id": "call_b", "function": { "name": "now", "arguments": "{}" } })),
        piece(json!({ "index": 0, "function": { "arguments": "\"Bern\"}" } })),
        finish("tool_calls"),
    ]);
    let plugin = plugin(peer.port, json!({}));
    let (frames, _) = all(&plugin.open("chat_stream", &question()).await.unwrap()).await;
    let first =
        json!({ "type": "tool_call", "index": 0, "id": "call_a", "name": "weather", "arguments": "" });
    assert_eq!(frames[0], first);
    assert_eq!(frames[1], json!({ "type": "tool_call", "index": 0, "arguments": "{\"city\":" }));
    let calls = json!([
        { "id": "call_a", "name": "weather", "arguments": "{\"city\":\"Bern\"}" },
        { "id": "call_b", "name": "now", "arguments": "{}" },
    ]);
    let done = &frames.last().unwrap()["answer"];
    assert_eq!((&done["tool_calls"], &done["finish_reason"]), (&calls, &json!("tool_calls")));
}

#[tokio::test]
async fn a_refusal_before_the_answer_refuses_the_stream() {
    let peer = Peer::answering(429, &["retry-after: 3"], "{}");
    let plugin = plugin(peer.port, json!({}));
    let error = plugin.open("chat_stream", &question()).await.err().expect("it is refused");
    assert!(shown(&error, peer.port).starts_with("overloaded rate_limited (retry in 3000 ms)"), "{error}");
    let at_once = Peer::answering(200, &["content-type: application/json"], "{}");
    let plugin = super::setup::plugin(at_once.port, json!({}));
    let error = plugin.open("chat_stream", &question()).await.err().expect("it is refused");
    expect!["internal protocol: `127.0.0.1:PORT` answers at once what was asked for as a stream"]
        .assert_eq(&shown(&error, at_once.port));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_taken_for_whole() {
    // Without the last chunk; with it, but without the server's own sign that it is done.
    let cut = Peer::start(|talk| {
        talk.hear()?;
        talk.begin_events()?;
        talk.event(&delta(json!({ "content": "Hel" })).to_string())
    });
    let expected = expect![
        "unavailable unavailable: the connection to `127.0.0.1:PORT` broke before the answer was whole"
    ];
    expected.assert_eq(&shown(&ends(&cut, json!({})).await, cut.port));
    let early = writes(vec![delta(json!({ "content": "Hel" }))]);
    let expected =
        expect!["unavailable unavailable: `127.0.0.1:PORT` broke the answer off before it was whole"];
    expected.assert_eq(&shown(&ends(&early, json!({})).await, early.port));
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_given_up() {
    let silent = Peer::start(|talk| {
        talk.hear()?;
        talk.begin_events()?;
        talk.event(&delta(json!({ "content": "Hel" })).to_string())?;
        talk.fall_silent()
    });
    let error = ends(&silent, json!({ "timeout": "300ms" })).await;
    expect!["deadline timeout: `127.0.0.1:PORT` gave no more of its answer within 300ms"]
        .assert_eq(&shown(&error, silent.port));
}

#[tokio::test]
async fn an_error_in_the_middle_and_garbage_are_told_in_our_words() {
    let error = json!({ "error": { "message": "VENDOR", "type": "server_error", "code": null } });
    let peer = writes(vec![delta(json!({ "content": "Hel" })), error]);
    let error = ends(&peer, json!({})).await;
    expect!["unavailable unavailable: `127.0.0.1:PORT` breaks off the answer with an error"]
        .assert_eq(&shown(&error, peer.port));
    assert_eq!(trouble(&error).vendor_code.as_deref(), Some("server_error"));

    let garbage = Peer::start(|talk| {
        talk.hear()?;
        talk.begin_events()?;
        talk.event("{\"choices\":")?;
        talk.end_events()
    });
    let error = ends(&garbage, json!({})).await;
    expect!["internal protocol: `127.0.0.1:PORT` answers with something that is not JSON"]
        .assert_eq(&shown(&error, garbage.port));
}

#[tokio::test]
async fn a_model_that_refuses_ends_the_stream_with_that() {
    let refusing = |text: &str| delta(json!({ "refusal": text }));
    let peer = writes(vec![refusing("I "), refusing("can't."), finish("stop")]);
    let error = ends(&peer, json!({})).await;
    assert_eq!(trouble(&error).code, TroubleCode::Refused);
    assert_eq!(trouble(&error).refusal.as_deref(), Some("I can't."));
    let peer = writes(vec![delta(json!({ "content": "Hel" })), finish("content_filter")]);
    assert_eq!(trouble(&ends(&peer, json!({})).await).code, TroubleCode::ContentFilter);
}

/// A server that writes one word, and tells when the other side is gone.
fn writes_until_gone() -> (Peer, std::sync::mpsc::Receiver<()>) {
    let (tell, gone) = signal();
    let peer = Peer::start(move |talk| {
        talk.hear()?;
        talk.begin_events()?;
        talk.event(&thought().to_string())?;
        talk.event(&delta(json!({ "content": "Hel" })).to_string())?;
        // Comes back when the connection is closed: nothing more is ever sent on it.
        talk.fall_silent();
        tell();
        Some(())
    });
    (peer, gone)
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_the_answer_at_the_server() {
    let (peer, gone) = writes_until_gone();
    let plugin = plugin(peer.port, json!({}));
    let stream = plugin.open("chat_stream", &question()).await.unwrap();
    assert_eq!(json_of(stream.recv().await.unwrap())["text"], "Hel");
    assert!(gone.try_recv().is_err(), "as long as somebody listens it stays open");
    drop(stream);
    signalled(gone).await;
}

#[tokio::test]
async fn a_stream_that_is_closed_ends_the_answer_at_the_server() {
    let (peer, gone) = writes_until_gone();
    let plugin = plugin(peer.port, json!({}));
    let stream = plugin.open("chat_stream", &question()).await.unwrap();
    stream.close(CloseReason::done("enough"));
    signalled(gone).await;
}

#[tokio::test]
async fn a_caller_that_reads_slowly_loses_nothing() {
    let words: Vec<Value> =
        (0..500).map(|number| delta(json!({ "content": format!("{number} ") }))).collect();
    let peer = writes([vec![thought()], words, vec![finish("stop")]].concat());
    let plugin = plugin(peer.port, json!({}));
    let stream = plugin.open("chat_stream", &question()).await.unwrap();
    // The server is done long before the first frame is taken.
    while peer.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    let (frames, _) = all(&stream).await;
    assert_eq!(frames.len(), 501);
    let whole: String = (0..500).map(|number| format!("{number} ")).collect();
    assert_eq!(frames[500]["answer"]["content"], whole);
}

#[tokio::test]
async fn an_answer_that_is_larger_than_any_is_refused_in_every_form() {
    let whole = Peer::answering(200, &[], reply(&"x".repeat(9 << 20)).to_string());
    let refused = plugin(whole.port, json!({})).call(question()).await.unwrap_err();
    let expected = "internal protocol: `127.0.0.1:PORT` answers more than 4194304 bytes, which no answer has";
    assert_eq!(shown(&refused, whole.port), expected);

    let words = vec![delta(json!({ "content": "x".repeat(1 << 16) })); 70];
    let wanted = |index: usize| {
        let function = json!({ "name": "look", "arguments": "x".repeat(1 << 16) });
        delta(
            json!({ "tool_calls": [{ "index": index, "id": format!("call-{index}"), "function": function }] }),
        )
    };
    for events in [words, (0..70).map(wanted).collect()] {
        let peer = writes(events);
        assert_eq!(shown(&ends(&peer, json!({})).await, peer.port), expected);
    }
    let bearable = Peer::answering(200, &[], reply(&"x".repeat(1 << 20)).to_string());
    plugin(bearable.port, json!({})).call(question()).await.expect("a long answer is an answer");
}
