//! How an answer ends: each way has an outcome of its own, whole and in pieces.

use plugin_api::{
    requests::openai::{ChatAnswer, FinishReason, TroubleCode},
    serde_json::{self, Value, json},
};

use crate::{
    answer::{self, Asked},
    assembly::Assembly,
    trouble::Trouble,
};

const ASKED: Asked<'static> = Asked { server: "server", model: "small", tools: &["look"] };

/// The same choice, whole and in pieces.
fn both(message: &Value, finish: Value) -> [Result<ChatAnswer, Trouble>; 2] {
    let whole = answer::read(&json!({ "choices": [{ "message": message, "finish_reason": finish }] }), ASKED);
    let mut assembly = Assembly::new(true, false);
    let events = [
        json!({ "choices": [{ "delta": message }] }),
        json!({ "choices": [{ "delta": {}, "finish_reason": finish }] }),
    ];
    let taken = events.iter().try_for_each(|event| assembly.take(event, "server").map(drop));
    [whole, taken.and_then(|()| assembly.finish(ASKED))]
}

#[track_caller]
fn fails(content: &str, finish: &str, code: TroubleCode) {
    for outcome in both(&json!({ "content": content }), json!(finish)) {
        let trouble = outcome.expect_err(finish);
        assert_eq!(trouble.code, code, "{finish}: {trouble}");
    }
}

#[test]
fn what_the_model_did_not_end_is_no_answer() {
    for reason in ["error", "abort", "ERROR", "insufficient_system_resource"] {
        fails("Half a", reason, TroubleCode::Unavailable);
    }
    for reason in ["content_filter", "SAFETY", "RECITATION", "prohibited_content"] {
        fails("Half a", reason, TroubleCode::ContentFilter);
    }
    fails("", "function_call_filter: MALFORMED_FUNCTION_CALL", TroubleCode::ToolUseFailed);
}

#[test]
fn an_error_inside_of_a_choice_is_an_error() {
    let choice = json!({ "message": { "content": "Hel" }, "delta": { "content": "Hel" }, "finish_reason": "stop",
        "error": { "code": 502, "message": "Provider disconnected" } });
    let trouble = answer::read(&json!({ "choices": [choice] }), ASKED).expect_err("it is one");
    assert_eq!(
        (trouble.code, trouble.words.as_deref()),
        (TroubleCode::Unavailable, Some("Provider disconnected"))
    );
    assert!(Assembly::default().take(&json!({ "choices": [choice] }), "server").is_err());
}

#[test]
fn an_answer_that_ran_out_of_tokens_says_so() {
    for reason in ["length", "MAX_TOKENS", "model_length"] {
        for outcome in both(&json!({ "content": "Once upon" }), json!(reason)) {
            assert_eq!(outcome.unwrap().finish_reason, FinishReason::Length);
        }
        for outcome in both(&json!({ "content": "<think>Let me" }), json!(reason)) {
            let answer = outcome.unwrap();
            assert_eq!((answer.finish_reason, answer.content), (FinishReason::Length, None));
            assert!(answer.extra.is_empty(), "thoughts without an end do not go back");
        }
    }
}

#[test]
fn thoughts_go_back_and_are_not_said() {
    let message =
        json!({ "content": "<think>Hm.</think>Hello!", "reasoning_content": "Hm.", "reasoning": null });
    for outcome in both(&message, json!("stop")) {
        let answer = outcome.unwrap();
        assert_eq!(answer.content.as_deref(), Some("Hello!"));
        assert_eq!(
            json!(answer.extra),
            json!({ "content": "<think>Hm.</think>Hello!", "reasoning_content": "Hm." })
        );
    }
    // Mistral's form.
    let parts = json!([
        { "type": "thinking", "thinking": [{ "type": "text", "text": "Hm." }] },
        { "type": "text", "text": "Hello!" },
    ]);
    for outcome in both(&json!({ "content": parts }), json!("stop")) {
        let answer = outcome.unwrap();
        assert_eq!((answer.content.as_deref(), &answer.extra["content"]), (Some("Hello!"), &parts));
    }
}

#[test]
fn a_call_that_was_written_as_text_is_a_call_or_an_error() {
    let written = r#"Let me see. <tool_call>{"name":"look","arguments":{"what":"x"}}</tool_call>"#;
    for outcome in both(&json!({ "content": written }), json!("stop")) {
        let answer = outcome.unwrap();
        assert_eq!(
            (answer.finish_reason, answer.tool_calls[0].name.as_str()),
            (FinishReason::ToolCalls, "look")
        );
        assert_eq!(answer.content.as_deref().map(str::trim), Some("Let me see."));
        assert_eq!(answer.tool_calls[0].id.len(), 9);
    }
    for outcome in both(&json!({ "content": r#"{"name":"look","arguments":{"what":"x"}}"# }), json!("stop")) {
        let answer = outcome.unwrap();
        assert_eq!((answer.tool_calls.len(), answer.content), (1, None));
    }
    fails("<tool_call>look, please", "stop", TroubleCode::ToolUseFailed);
}

#[test]
fn what_was_written_beside_comes_whole_out_of_pieces() {
    let piece = |piece: Value| json!({ "choices": [{ "delta": piece }] });
    let call = |call: Value| piece(json!({ "tool_calls": [call] }));
    let mut assembly = Assembly::default();
    for event in [
        piece(json!({ "reasoning_content": "I sh" })),
        piece(json!({ "reasoning_content": "ould look." })),
        call(json!({ "index": 0, "id": "a", "function": { "name": "look", "arguments": "{}" },
            "extra_content": { "google": { "thought_signature": "c2ln" } } })),
        json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] }),
    ] {
        assembly.take(&event, "server").unwrap();
    }
    let answer = assembly.finish(ASKED).unwrap();
    assert_eq!(json!(answer.extra), json!({ "reasoning_content": "I should look." }));
    let signature = json!({ "extra_content": { "google": { "thought_signature": "c2ln" } } });
    assert_eq!(json!(answer.tool_calls[0].extra), signature);
}

#[test]
fn a_usage_of_any_form_stops_nothing() {
    let read = |usage: &str| {
        let text = format!(
            r#"{{"choices":[{{"message":{{"content":"Hi"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        );
        let body: Value = serde_json::from_str(&text).unwrap();
        let usage = answer::read(&body, ASKED).unwrap().usage;
        usage.map(|usage| (usage.input_tokens, usage.output_tokens, usage.total_tokens))
    };
    assert_eq!(read("null"), None);
    assert_eq!(read("[]"), None);
    assert_eq!(read(r#"{"prompt_tokens":null,"completion_tokens":2}"#), Some((0, 2, 2)));
    assert_eq!(read(r#"{"total_tokens":7,"completion_tokens":2}"#), Some((5, 2, 7)));
    assert_eq!(read(r#"{"prompt_tokens":4.0,"completion_tokens":-1}"#), Some((4, 0, 4)));
    assert_eq!(
        read(r#"{"prompt_tokens":1},"usage":{"prompt_tokens":3,"completion_tokens":1}"#),
        Some((3, 1, 4)),
        "the last one counts"
    );
}
