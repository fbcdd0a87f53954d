//! Behaviour found in servers beside what is told elsewhere: each case is the like of one that had failed, with its
//! source where somebody reported it.

use std::sync::atomic::{AtomicUsize, Ordering};

use plugin_api::{
    requests::openai::{
        Chat, ChatAnswer, ChatDelta, FinishReason, Message, ToolCall, ToolDefinition, TroubleCode,
    },
    serde_json::{self, Value, json},
    tokio,
};

use super::{
    peer::Peer,
    setup::{json_of, plugin, question, reply, shown_failure, trouble},
};
use crate::{
    answer::{self, Asked},
    assembly::Assembly,
    thinking::split,
    trouble::status::Refusal,
    turns::alternating,
};

const ASKED: Asked<'static> = Asked { server: "server", model: "small", tools: &["look"] };

fn tool() -> ToolDefinition {
    ToolDefinition { name: "look".into(), ..ToolDefinition::default() }
}

/// Deltas and a reason to end -> the words that were passed on, and the answer.
fn streamed(deltas: &[Value], reason: &str, waits: bool) -> (String, ChatAnswer) {
    let mut assembly = Assembly::new(true, waits);
    let mut words = String::new();
    let events = deltas.iter().map(|delta| json!({ "choices": [{ "index": 0, "delta": delta }] }));
    let end = json!({ "choices": [{ "delta": {}, "finish_reason": reason }] });
    for event in events.chain([end]) {
        for delta in assembly.take(&event, "server").unwrap() {
            if let ChatDelta::Text { text } = delta {
                words.push_str(&text);
            }
        }
    }
    (words, assembly.finish(ASKED).unwrap())
}

fn named(calls: &[ToolCall]) -> Vec<String> {
    calls.iter().map(|call| format!("{} {}", call.name, call.arguments)).collect()
}

#[test]
fn further_forms_of_thoughts_are_not_said() {
    for (written, said) in [
        ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Hello!<|END_RESPONSE|>", "Hello!"),
        ("<think>\nHm.\n</think>\n<answer>\nHello!\n</answer>", "Hello!"),
        ("<|inner_prefix|>Hm.<|inner_suffix|>Hello!", "Hello!"),
        ("<longcat_think>Hm.</longcat_think>Hello!", "Hello!"),
        // Augustas11/macprovider#743
        ("analysisWe need one word. And nothing else.assistantfinalfour", "four"),
        ("analysisThey greet me, and I", ""),
    ] {
        assert_eq!(split(written, true).said.trim(), said, "{written}");
        let pieces: Vec<Value> =
            written.chars().map(|letter| json!({ "content": letter.to_string() })).collect();
        assert_eq!(streamed(&pieces, "stop", false).0.trim(), said, "{written}");
    }
    for text in ["analysis of the data", "Analysis", "analysis", "an answer: <answer>4</answer>"] {
        assert_eq!(split(text, true).said, text);
    }
}

#[test]
fn further_forms_of_written_calls_are_calls() {
    for written in [
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.look <|constrain|>json<|message|>{\"what\":\"x\"}<|call|>",
        "<|start|>assistant to=functions.look<|channel|>commentary json<|message|>{\"what\":\"x\"}",
        "analysisI should look.assistantcommentary to=functions.look json{\"what\":\"x\"}",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>look<｜tool▁sep｜>{\"what\":\"x\"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>look\n```json\n{\"what\":\"x\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.look:0<|tool_call_argument_begin|>{\"what\":\"x\"}<|tool_call_end|><|tool_calls_section_end|>",
        "<|START_ACTION|>[{\"tool_call_id\":\"0\",\"tool_name\":\"look\",\"parameters\":{\"what\":\"x\"}}]<|END_ACTION|>",
        "<longcat_tool_call>{\"name\":\"look\",\"arguments\":{\"what\":\"x\"}}</longcat_tool_call>",
    ] {
        for body in [
            answer::read(
                &json!({ "choices": [{ "message": { "content": written }, "finish_reason": "stop" }] }),
                ASKED,
            )
            .unwrap_or_else(|trouble| panic!("{trouble}: {written}")),
            streamed(&[json!({ "content": written })], "stop", false).1,
        ] {
            assert_eq!(named(&body.tool_calls), [r#"look {"what":"x"}"#], "{written}");
            assert_eq!(body.content, None, "{written}");
        }
    }
    let two = "<|tool_calls_section_begin|><|tool_call_begin|>functions.look:0<|tool_call_argument_begin|>{\"a\":1}<|tool_call_end|><|tool_call_begin|>functions.look:1<|tool_call_argument_begin|>{\"a\":2}<|tool_call_end|><|tool_calls_section_end|>";
    let (_, answer) = streamed(&[json!({ "content": two })], "stop", false);
    assert_eq!(named(&answer.tool_calls), [r#"look {"a":1}"#, r#"look {"a":2}"#]);
}

#[test]
fn words_wait_while_they_may_be_thoughts() {
    let pieces =
        |text: &str| text.split_inclusive(' ').map(|piece| json!({ "content": piece })).collect::<Vec<_>>();
    let omitted = "They greet me. </think> Hello there!";
    assert_eq!(streamed(&pieces(omitted), "stop", true).0.trim(), "Hello there!");
    assert_eq!(streamed(&pieces("Hello there!"), "stop", true).0, "Hello there!");
    assert_eq!(streamed(&pieces("<think> hm </think> Hello"), "stop", true).0.trim(), "Hello");
    assert_eq!(
        streamed(&pieces("They greet me, and"), "length", true).0,
        "",
        "it may be a thought that is cut"
    );
    // A server that keeps thoughts elsewhere has none among the words.
    let mut assembly = Assembly::new(true, true);
    let mut news =
        |delta: Value| assembly.take(&json!({ "choices": [{ "delta": delta }] }), "server").unwrap();
    assert!(news(json!({ "content": "" })).is_empty());
    assert!(news(json!({ "reasoning_content": "Hm." })).is_empty());
    assert_eq!(news(json!({ "content": "Hello" })), [ChatDelta::Text { text: "Hello".into() }]);
}

/// Streams at which words come before the end, one after the other.
async fn comes_early(peer: &Peer, plugin: &plugin_api::testing::TestInstance<crate::OpenAi>) -> Vec<String> {
    let stream = plugin.open("chat_stream", &question()).await.unwrap();
    let mut texts = Vec::new();
    while let Ok(frame) = stream.recv().await {
        texts.extend(json_of(frame)["text"].as_str().map(str::to_owned));
    }
    assert!(!peer.asked().is_empty());
    texts
}

/// A server whose answers say these pieces and end for this reason, the last one again and again.
fn writes(answers: &'static [(&'static [&'static str], &'static str)]) -> Peer {
    let answered = AtomicUsize::new(0);
    Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            let (pieces, reason) = answers[answered.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1)];
            if asked.json()["stream"] != true {
                let mut whole = reply(&pieces.concat());
                whole["choices"][0]["finish_reason"] = reason.into();
                talk.json(&whole)?;
                continue;
            }
            talk.begin_events()?;
            for piece in pieces {
                talk.event(&json!({ "choices": [{ "delta": { "content": piece } }] }).to_string())?;
            }
            talk.event(&json!({ "choices": [{ "delta": {}, "finish_reason": reason }] }).to_string())?;
            talk.end_events()?;
        }
        None
    })
}

const PLAIN: (&[&str], &str) = (&["Hello ", "there!"], "stop");
const OMITTING: (&[&str], &str) = (&["They greet.", "</think>", "Hello ", "there!"], "stop");
const CUT: (&[&str], &str) = (&["They greet, ", "and"], "length");

#[tokio::test]
async fn a_model_whose_answers_hold_no_thoughts_is_streamed_at_once_after_some() {
    let peer = writes(&[PLAIN]);
    let plain = plugin(peer.port, json!({}));
    for _ in 0..3 {
        assert_eq!(comes_early(&peer, &plain).await, ["Hello there!"]);
    }
    assert_eq!(comes_early(&peer, &plain).await, ["Hello ", "there!"]);
    // The same by answers that come at once.
    let peer = writes(&[PLAIN]);
    let plain = plugin(peer.port, json!({}));
    for _ in 0..3 {
        plain.call(question()).await.unwrap();
    }
    assert_eq!(comes_early(&peer, &plain).await, ["Hello ", "there!"]);
}

#[tokio::test]
async fn one_answer_without_thoughts_is_no_proof_that_there_are_none() {
    let peer = writes(&[PLAIN, OMITTING]);
    let omitting = plugin(peer.port, json!({}));
    for _ in 0..5 {
        assert_eq!(comes_early(&peer, &omitting).await.concat(), "Hello there!");
    }
    // Nor is one that was cut off: all of it may be thoughts.
    for answers in [&[CUT, CUT, CUT, OMITTING], &[PLAIN, CUT, CUT, OMITTING]] {
        let peer = writes(answers);
        let at_once = plugin(peer.port, json!({}));
        for _ in 0..3 {
            at_once.call(question()).await.unwrap();
        }
        assert_eq!(comes_early(&peer, &at_once).await.concat(), "Hello there!");
        let peer = writes(answers);
        let streamed = plugin(peer.port, json!({}));
        for _ in 0..3 {
            comes_early(&peer, &streamed).await;
        }
        assert_eq!(comes_early(&peer, &streamed).await.concat(), "Hello there!");
    }
}

#[test]
fn parallel_calls_without_numbers_and_ids_stay_apart() {
    let piece = |name: &str, arguments: &str| {
        json!({ "tool_calls": [{ "index": 0, "id": "", "type": "function",
        "function": { "name": name, "arguments": arguments } }] })
    };
    // NousResearch/hermes-agent#62937
    let (_, answer) = streamed(&[piece("look", r#"{"a":1}"#), piece("look", r#"{"a":2}"#)], "stop", false);
    assert_eq!(named(&answer.tool_calls), [r#"look {"a":1}"#, r#"look {"a":2}"#]);
    assert_ne!(answer.tool_calls[0].id, answer.tool_calls[1].id);
    // A name that is said again with every piece begins nothing.
    let (_, answer) =
        streamed(&[piece("look", "{\"a\""), piece("look", ":1}"), piece("look", "")], "stop", false);
    assert_eq!(named(&answer.tool_calls), [r#"look {"a":1}"#]);
    // NousResearch/hermes-agent#25333
    let glued = json!({ "tool_calls": [{ "id": "x", "function": { "name": "look", "arguments": r#"{"a":1}{"a":2}"# } }] });
    let (_, answer) = streamed(&[glued], "tool_calls", false);
    assert_eq!(named(&answer.tool_calls), [r#"look {"a":1}"#, r#"look {"a":2}"#]);
    assert_eq!(answer.tool_calls[0].id, "x");
    // Broken arguments stay as they are: the caller tells the model.
    let broken = json!({ "tool_calls": [{ "id": "x", "function": { "name": "look", "arguments": r#"{"a":1}{"a"# } }] });
    assert_eq!(named(&streamed(&[broken], "tool_calls", false).1.tool_calls), [r#"look {"a":1}{"a"#]);
}

#[test]
fn an_old_form_of_a_call_is_one() {
    let deltas = [
        json!({ "function_call": { "name": "look", "arguments": "{\"a\":" } }),
        json!({ "function_call": { "arguments": "1}" } }),
    ];
    let (_, answer) = streamed(&deltas, "function_call", false);
    assert_eq!(
        (named(&answer.tool_calls), answer.finish_reason),
        (vec![r#"look {"a":1}"#.into()], FinishReason::ToolCalls)
    );
    let message = json!({ "content": null, "function_call": { "name": "look", "arguments": "{}" } });
    let body = json!({ "choices": [{ "message": message, "finish_reason": "function_call" }] });
    assert_eq!(named(&answer::read(&body, ASKED).unwrap().tool_calls), ["look {}"]);
}

#[test]
fn pieces_of_reasoning_details_go_back_as_one() {
    let piece = |piece: Value| json!({ "reasoning_details": [piece] });
    let (_, answer) = streamed(
        &[
            piece(
                json!({ "type": "reasoning.text", "text": "I ", "format": "anthropic-claude-v1", "index": 0 }),
            ),
            piece(
                json!({ "type": "reasoning.text", "text": "look.", "format": "anthropic-claude-v1", "index": 0 }),
            ),
            piece(json!({ "type": "reasoning.text", "signature": "c2ln", "text": null, "index": 0 })),
            piece(json!({ "type": "reasoning.encrypted", "data": "eA==", "index": 1 })),
            json!({ "content": "Hello!" }),
        ],
        "stop",
        false,
    );
    let details = json!([
        { "type": "reasoning.text", "text": "I look.", "format": "anthropic-claude-v1", "index": 0, "signature": "c2ln" },
        { "type": "reasoning.encrypted", "data": "eA==", "index": 1 },
    ]);
    assert_eq!(answer.extra["reasoning_details"], details);
}

#[test]
fn further_ends_of_an_answer_have_their_outcome() {
    let ends = |content: &str, reason: &str| {
        let body = json!({ "choices": [{ "message": { "content": content }, "finish_reason": reason }] });
        answer::read(&body, ASKED)
    };
    for (reason, code) in [
        ("sensitive", TroubleCode::ContentFilter),
        ("refusal", TroubleCode::ContentFilter),
        ("network_error", TroubleCode::Unavailable),
        // ollama/ollama#12557: the calls that it announces are lost.
        ("tool_calls", TroubleCode::ToolUseFailed),
    ] {
        assert_eq!(ends("", reason).unwrap_err().code, code, "{reason}");
    }
    for reason in ["model_context_window_exceeded", "max_output_tokens"] {
        assert_eq!(ends("Once", reason).unwrap().finish_reason, FinishReason::Length);
    }
    assert_eq!(ends("Hi", "eos_token").unwrap().finish_reason, FinishReason::Stop);
}

#[test]
fn the_words_of_a_refusal_are_found_in_any_form() {
    let words = |body: &str| Refusal::read(body.as_bytes()).words.unwrap_or_default();
    for (body, expected) in [
        (r#"{"error":"model 'x' not found"}"#, "model 'x' not found"),
        (r#"{"error":{"error":{"message":"no such thing"}}}"#, "no such thing"),
        (
            r#"{"result":null,"success":false,"errors":[{"code":7003,"message":"Could not route"}]}"#,
            "Could not route",
        ),
        (
            r#"{"fault":{"faultstring":"Body buffer overflow","detail":{"errorcode":"x"}}}"#,
            "Body buffer overflow",
        ),
        ("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n</html>", "502 Bad Gateway"),
        ("upstream connect error", "upstream connect error"),
        (
            r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"message\":\"Unexpected role\"}","provider_name":"Mistral"}}}"#,
            r#"Provider returned error: {"message":"Unexpected role"}"#,
        ),
    ] {
        assert_eq!(words(body), expected, "{body}");
    }
    let hidden =
        words(r#"{"error":{"message":"no","metadata":{"raw":"{\"key\":\"sk-proj-ABC\",\"a\":1}"}}}"#);
    assert!(!hidden.contains("ABC"), "{hidden}");
}

async fn code(status: u16, body: &str) -> TroubleCode {
    let peer = Peer::answering(status, &[], body);
    let asked = Chat { tools: vec![tool()], ..question() };
    trouble(&plugin(peer.port, json!({})).call(asked).await.unwrap_err()).code
}

#[tokio::test]
async fn refusals_of_tools_of_keys_and_of_length_are_known_in_further_words() {
    for (status, body, expected) in [
        (
            404,
            r#"{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing","code":404}}"#,
            TroubleCode::ToolsUnsupported,
        ),
        (
            400,
            r#"{"error":{"message":"tools is not supported in this model. For a list of supported models, refer to the guide.","type":"invalid_request_error","param":null,"code":null}}"#,
            TroubleCode::ToolsUnsupported,
        ),
        (
            405,
            r#"{"error":{"message":"deepinfra error: Tool calling is not supported for model: x","type":"APIError","code":"405"}}"#,
            TroubleCode::ToolsUnsupported,
        ),
        (
            413,
            r#"{"error":{"message":"Request too large for model `x` in organization `o` on tokens per minute (TPM): Limit 6000, Requested 12328","type":"tokens","code":"rate_limit_exceeded"}}"#,
            TroubleCode::ContextTooLong,
        ),
        (
            429,
            r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            TroubleCode::ContextTooLong,
        ),
        (
            429,
            r#"{"error":"Too many tokens for team x. Your team's rate limit is 16000 per minute"}"#,
            TroubleCode::RateLimited,
        ),
        (
            413,
            "<html><head><title>413 Request Entity Too Large</title></head></html>",
            TroubleCode::ContextTooLong,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
            TroubleCode::AuthInvalid,
        ),
    ] {
        assert_eq!(code(status, body).await, expected, "{body}");
    }
}

#[tokio::test]
async fn a_key_that_google_refuses_is_no_wrong_address() {
    let body = r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#;
    let peer = Peer::answering(400, &[], body);
    let failure = plugin(peer.port, json!({})).init().await.unwrap_err();
    let expected =
        "auth_invalid [api_key]: `127.0.0.1:PORT` does not know the key: check `OPENAI_API_KEY` (HTTP 400)";
    assert_eq!(shown_failure(&failure, peer.port), expected);
}

#[test]
fn what_mistral_and_qwen_refuse_is_not_sent() {
    let call = ToolCall { id: "a".into(), name: "look".into(), ..ToolCall::default() };
    let wanted = Message::Assistant { content: None, tool_calls: vec![call], extra: Default::default() };
    let chat = [Message::user("Look!"), wanted.clone(), Message::tool("a", "x"), Message::user("Stop!")];
    let bridge = Message::assistant("(I was interrupted before I answered.)");
    let expected = [chat[0].clone(), wanted, chat[2].clone(), bridge, chat[3].clone()];
    assert_eq!(alternating(&chat), expected);
    assert_eq!(
        alternating(&[Message::system("Greet.")]),
        [Message::system("Greet."), Message::user("(Please begin.)")]
    );
    let chat = [Message::user("a"), Message::assistant(" "), Message::user("b")];
    assert_eq!(alternating(&chat), [Message::user("a\n\nb")]);
}

/// A server that refuses with these words for as long as the request is not good: asked twice, it refuses once.
async fn learns(status: u16, words: &str, is_good: fn(&Value) -> bool, chat: Chat) -> Value {
    let body = json!({ "error": { "message": words, "type": "invalid_request_error" } }).to_string();
    let peer = Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            match is_good(&asked.json()) {
                true => talk.json(&reply("Hi!"))?,
                false => talk.answer(status, &[], &body)?,
            }
        }
        None
    });
    let plugin = plugin(peer.port, json!({}));
    for tries in [2, 3] {
        let answer = plugin.call(chat.clone()).await.unwrap_or_else(|error| panic!("{error}: {words}"));
        assert_eq!((answer.content.as_deref(), peer.asked().len()), (Some("Hi!"), tries), "{words}");
    }
    peer.asked().pop().unwrap().json()
}

/// A second turn whose first one another server answered.
fn second_turn() -> Chat {
    let call =
        ToolCall { id: "call_1".into(), name: "look".into(), arguments: "{}".into(), ..ToolCall::default() };
    let wanted = Message::Assistant { content: None, tool_calls: vec![call], extra: Default::default() };
    let parameters = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false,
        "properties": { "const": { "const": "x" }, "examples": { "type": "array", "items": { "const": 1 } } },
        "required": ["const"],
    });
    let look = ToolDefinition { parameters: Some(parameters), ..tool() };
    Chat::new([Message::user("Look!"), wanted, Message::tool("call_1", "x")]).tools([look])
}

#[tokio::test]
async fn what_another_server_did_not_write_is_made_up_where_it_must() {
    let asked = learns(
        400,
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        |asked| asked["messages"][1]["reasoning_content"].as_str().is_some_and(|text| !text.is_empty()),
        second_turn(),
    )
    .await;
    assert_eq!(asked["messages"][1]["reasoning_content"], " ");
    learns(
        400,
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly",
        |asked| asked.pointer("/messages/1/tool_calls/0/extra_content/google/thought_signature").is_some(),
        second_turn(),
    )
    .await;
    learns(
        400,
        "invalid message content type: <nil>",
        |asked| asked["messages"][1]["content"].is_string(),
        second_turn(),
    )
    .await;
}

#[tokio::test]
async fn words_that_google_does_not_know_are_left_out_of_schemas_and_names_are_kept() {
    let words = "Invalid JSON payload received. Unknown name \"$schema\" at 'tools[0].function_declarations[0].parameters': Cannot find field.\nInvalid JSON payload received. Unknown name \"additionalProperties\" at 'tools[0]': Cannot find field. Unknown name \"const\" at 'tools[0]': Cannot find field.";
    let asked = learns(
        400,
        words,
        |asked| {
            let schema = &asked["tools"][0]["function"]["parameters"];
            ["$schema", "additionalProperties"].iter().all(|word| schema.get(*word).is_none())
                && schema["properties"]["const"].get("const").is_none()
        },
        second_turn(),
    )
    .await;
    let expected = json!({
        "type": "object", "required": ["const"],
        "properties": { "const": { "enum": ["x"] }, "examples": { "type": "array", "items": { "enum": [1] } } },
    });
    assert_eq!(asked["tools"][0]["function"]["parameters"], expected);
}

async fn streams(head: &'static str, body: &'static str) -> Result<Value, TroubleCode> {
    let peer = Peer::start(move |talk| {
        talk.hear()?;
        talk.say(&format!("HTTP/1.1 200 OK\r\n{head}connection: close\r\n\r\n{body}"))
    });
    let plugin = plugin(peer.port, json!({}));
    let stream = plugin.open("chat_stream", &question()).await.map_err(|error| trouble(&error).code)?;
    let mut last = Value::Null;
    loop {
        match stream.recv().await {
            Ok(frame) => last = json_of(frame),
            Err(reason) => return reason.error.map_or(Ok(last), |error| Err(trouble(&error).code)),
        }
    }
}

#[tokio::test]
async fn streams_of_further_forms_are_read() {
    const EVENTS: &str = "content-type: text/event-stream\r\n";
    const JSON: &str = "content-type: application/json\r\n";
    const HELLO: &str = r#"{"choices":[{"delta":{"content":"Hello!"},"finish_reason":"stop"}]}"#;
    for (head, body) in [
        // Without `[DONE]`; with comments, carriage returns, and no space behind the colon.
        (EVENTS, format!("data: {HELLO}\n\n")),
        (
            EVENTS,
            format!(": keep-alive\n\n: OPENROUTER PROCESSING\r\n\r\ndata:{HELLO}\r\n\r\ndata:[DONE]\r\n\r\n"),
        ),
        // The usage doubled, null, and without choices.
        (
            EVENTS,
            format!(
                "data: {HELLO}\n\ndata: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}\n\ndata: {{\"choices\":[],\"usage\":null}}\n\ndata: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}\n\ndata: [DONE]\n\n"
            ),
        ),
        // Azure's: no choices first, and a choice without a delta.
        (
            EVENTS,
            format!(
                "data: {{\"choices\":[],\"model\":\"\",\"prompt_filter_results\":[]}}\n\ndata: {HELLO}\n\ndata: {{\"choices\":[{{\"index\":0,\"finish_reason\":null,\"content_filter_offsets\":{{}}}}]}}\n\ndata: [DONE]\n\n"
            ),
        ),
        // All of it at once, though it was asked for as a stream (ollama/ollama#9092).
        (
            JSON,
            r#"{"choices":[{"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}]}"#
                .to_owned(),
        ),
    ] {
        let body: &'static str = body.leak();
        let last = streams(head, body).await.unwrap_or_else(|code| panic!("{code:?}: {body}"));
        assert_eq!(last["answer"]["content"], "Hello!", "{body}");
    }
    for (head, body, expected) in [
        // oobabooga/textgen#7257: refused with a status that is good.
        (
            JSON,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}}"#,
            TroubleCode::ContextTooLong,
        ),
        (JSON, r#"{"error":"something broke"}"#, TroubleCode::Unavailable),
        ("content-type: text/html\r\n", "<html><title>Welcome</title></html>", TroubleCode::Protocol),
        (
            EVENTS,
            "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n",
            TroubleCode::Unavailable,
        ),
        // diegosouzapw/OmniRoute#8210
        (
            EVENTS,
            "data: {\"choices\":[],\"error\":{\"code\":502,\"message\":\"Worker local total request limit reached\"}}\n\n",
            TroubleCode::Unavailable,
        ),
    ] {
        assert_eq!(streams(head, body).await, Err(expected), "{body}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_behind_the_end_breaks_nothing() {
    let peer = Peer::start(|talk| {
        talk.hear()?;
        talk.begin_events()?;
        talk.event(r#"{"choices":[{"delta":{"content":"Hello!"},"finish_reason":"stop"}]}"#)
    });
    let plugin = plugin(peer.port, json!({}));
    let stream = plugin.open("chat_stream", &question()).await.unwrap();
    let mut last = Value::Null;
    while let Ok(frame) = stream.recv().await {
        last = json_of(frame);
    }
    assert_eq!(last["answer"]["content"], "Hello!");
}

#[test]
fn an_answer_in_parts_and_with_gaps_is_an_answer() {
    let read = |choice: Value| answer::read(&json!({ "choices": [choice] }), ASKED).unwrap();
    // Groq: 0xPlaygrounds/rig#1136
    let groq = read(json!({ "finish_reason": "tool_calls", "message": { "content": [], "tool_calls": [
        { "function": { "name": "look", "arguments": "{}" } } ] } }));
    assert_eq!((named(&groq.tool_calls), groq.content), (vec!["look {}".into()], None));
    let parts = read(json!({ "finish_reason": "stop", "message": { "content": [
        { "type": "reasoning", "text": "Hm." }, "Hel", { "type": "text", "text": "lo!" } ] } }));
    assert_eq!(parts.content.as_deref(), Some("Hello!"));
    let serialised: Value = serde_json::to_value(parts.message()).unwrap();
    assert!(serialised["extra"]["content"].is_array(), "thoughts go back in their parts");
}

#[test]
fn only_what_is_kept_of_a_streamed_answer_counts_against_its_limit() {
    const LETTERS: usize = 60_000;
    let letter = json!({
        "role": "assistant", "content": "a", "refusal": null, "tool_calls": null, "function_call": null,
        "reasoning_details": [{ "type": "reasoning.text", "text": "b", "format": "unknown", "index": 0 }],
    });
    let (words, answer) = streamed(&vec![letter; LETTERS], "stop", false);
    assert_eq!((words.len(), answer.content.map(|said| said.len())), (LETTERS, Some(LETTERS)));
    let thought = answer.extra["reasoning_details"][0]["text"].as_str().map(str::len);
    assert_eq!(thought, Some(LETTERS));
    // The id and the name of a call, with every piece of it.
    let piece = json!({ "index": 0, "id": "call_0123456789abcdef", "type": "function",
        "function": { "name": "look", "arguments": "" } });
    let mut pieces = vec![json!({ "content": null, "tool_calls": [piece] }); LETTERS];
    pieces.push(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{}" } }] }));
    let (_, answer) = streamed(&pieces, "tool_calls", false);
    assert_eq!(named(&answer.tool_calls), ["look {}"]);

    for kept in [
        json!({ "content": "a".repeat(1024) }),
        json!({ "reasoning_content": "a".repeat(1024) }),
        json!({ "reasoning_details": [{ "type": "reasoning.text", "text": "a".repeat(1024) }] }),
        json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "a".repeat(1024) } }] }),
    ] {
        let mut assembly = Assembly::new(true, false);
        let event = json!({ "choices": [{ "delta": kept }] });
        let refused = (0..5 * 1024).find_map(|_| assembly.take(&event, "server").err()).expect("5 MiB");
        assert!(refused.message.contains("more than 4194304 bytes"), "{}", refused.message);
    }
}
