//! A chat: what goes to the server, and what is made of its answers, however little they say.

use expect_test::expect;
use plugin_api::{
    requests::openai::{
        Chat, ChatAnswer, Content, FinishReason, Message, Part, ToolCall, ToolChoice, ToolDefinition, Usage,
    },
    serde_json::{self, Value, json},
    tokio,
};

use super::{
    peer::Peer,
    setup::{KEY, plugin, question, reply, shown, trouble},
};

async fn answered(body: Value) -> ChatAnswer {
    let peer = Peer::answering(200, &[], body.to_string());
    plugin(peer.port, json!({})).call(question()).await.unwrap()
}

/// What the server was asked, when the plugin was asked this.
async fn asked(settings: Value, chat: Chat) -> Value {
    let peer = Peer::answering(200, &[], reply("Hi!").to_string());
    plugin(peer.port, settings).call(chat).await.unwrap();
    let asked = peer.asked().remove(0);
    assert_eq!(asked.line, "POST /v1/chat/completions");
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    asked.json()
}

#[tokio::test]
async fn a_question_is_answered() {
    let answer = answered(reply("Hello, world!")).await;
    assert_eq!(answer.content.as_deref(), Some("Hello, world!"));
    assert_eq!((answer.finish_reason, answer.model.as_str()), (FinishReason::Stop, "test-model-2026"));
    assert_eq!(answer.id.as_deref(), Some("chatcmpl-1"));
    let usage = Usage { input_tokens: 3, output_tokens: 2, total_tokens: 5, ..Usage::default() };
    assert_eq!(answer.usage, Some(usage));
}

#[tokio::test]
async fn a_question_says_no_more_than_it_must() {
    let body = asked(json!({}), question()).await;
    assert_eq!(body, json!({ "model": "test-model", "messages": [{ "role": "user", "content": "Hello?" }] }));
}

#[tokio::test]
async fn everything_that_can_be_said_reaches_the_server() {
    let call = ToolCall {
        id: "call_9".into(),
        name: "weather".into(),
        arguments: r#"{"city":"Bern"}"#.into(),
        extra: serde_json::from_value(json!({ "extra_content": { "signature": "c2ln" } })).unwrap(),
    };
    let picture = Part::ImageUrl { url: "https://example.com/a.png".into(), detail: Some("low".into()) };
    let parts = Content::Parts(vec![Part::Text { text: "And this?".into() }, picture]);
    let weather = ToolDefinition {
        name: "weather".into(),
        description: Some("Tells the weather".into()),
        parameters: Some(json!({ "type": "object" })),
        strict: Some(false),
    };
    let chat = Chat {
        model: Some("other".into()),
        messages: vec![
            Message::system("Be brief."),
            Message::user("What is the weather?"),
            Message::Assistant {
                content: None,
                tool_calls: vec![call],
                extra: serde_json::from_value(json!({ "reasoning_content": "hm" })).unwrap(),
            },
            Message::tool("call_9", "sunny"),
            Message::User { content: parts, name: Some("ada".into()) },
            Message::assistant("A cat."),
        ],
        tools: vec![weather, ToolDefinition { name: "now".into(), ..ToolDefinition::default() }],
        tool_choice: Some(ToolChoice::Tool("weather".into())),
        parallel_tool_calls: Some(false),
        temperature: Some(0.5),
        max_tokens: Some(100),
        extra: serde_json::from_value(json!({ "reasoning_effort": "low", "model": "ignored" })).unwrap(),
        ..Chat::default()
    }
    .json_schema("verdict", json!({ "type": "object" }));
    let body = asked(json!({ "max_tokens_field": "max_completion_tokens" }), chat).await;
    expect![[r#"
        {
          "max_completion_tokens": 100,
          "messages": [
            {
              "content": "Be brief.",
              "role": "system"
            },
            {
              "content": "What is the weather?",
              "role": "user"
            },
            {
              "content": null,
              "reasoning_content": "hm",
              "role": "assistant",
              "tool_calls": [
                {
                  "extra_content": {
                    "signature": "c2ln"
                  },
                  "function": {
                    "arguments": "{\"city\":\"Bern\"}",
                    "name": "weather"
                  },
                  "id": "call_9",
                  "type": "function"
                }
              ]
            },
            {
              "content": "sunny",
              "role": "tool",
              "tool_call_id": "call_9"
            },
            {
              "content": "(I was interrupted before I answered.)",
              "role": "assistant"
            },
            {
              "content": [
                {
                  "text": "And this?",
                  "type": "text"
                },
                {
                  "image_url": {
                    "detail": "low",
                    "url": "https://example.com/a.png"
                  },
                  "type": "image_url"
                }
              ],
              "name": "ada",
              "role": "user"
            },
            {
              "content": "A cat.",
              "role": "assistant"
            }
          ],
          "model": "other",
          "parallel_tool_calls": false,
          "reasoning_effort": "low",
          "response_format": {
            "json_schema": {
              "name": "verdict",
              "schema": {
                "type": "object"
              },
              "strict": true
            },
            "type": "json_schema"
          },
          "temperature": 0.5,
          "tool_choice": {
            "function": {
              "name": "weather"
            },
            "type": "function"
          },
          "tools": [
            {
              "function": {
                "description": "Tells the weather",
                "name": "weather",
                "parameters": {
                  "type": "object"
                },
                "strict": false
              },
              "type": "function"
            },
            {
              "function": {
                "name": "now",
                "parameters": {
                  "properties": {},
                  "type": "object"
                }
              },
              "type": "function"
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&body).unwrap());
}

#[tokio::test]
async fn the_limit_of_tokens_has_the_name_that_the_server_knows() {
    let limited = || Chat { max_tokens: Some(7), ..question() };
    assert_eq!(asked(json!({}), limited()).await["max_tokens"], 7);
    let newer = json!({ "max_tokens_field": "max_completion_tokens" });
    assert_eq!(asked(newer, limited()).await["max_completion_tokens"], 7);
}

#[tokio::test]
async fn what_no_server_could_make_sense_of_is_refused_here() {
    let peer = Peer::answering(200, &[], "{}");
    let plugin = plugin(peer.port, json!({}));
    let error = plugin.call(Chat::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: `messages` is empty: expected at least one");
    let extra = serde_json::from_value(json!({ "stream": true })).unwrap();
    let error = plugin.call(Chat { extra, ..question() }).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: `extra` may not hold `stream`");
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn tools_that_the_model_wants_called_are_told() {
    let answer = answered(json!({
        "choices": [{
            "message": { "content": null, "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "now", "arguments": "{}" } },
                { "id": "call_2", "type": "function", "function": { "name": "weather", "arguments": "{\"c\":1}" } },
            ] },
            "finish_reason": "tool_calls",
        }],
    }))
    .await;
    assert_eq!((answer.finish_reason, answer.content.clone()), (FinishReason::ToolCalls, None));
    let calls: Vec<_> = answer.tool_calls.iter().map(|call| (call.id.as_str(), call.name.as_str())).collect();
    assert_eq!(calls, [("call_1", "now"), ("call_2", "weather")]);
    assert_eq!(answer.tool_calls[1].arguments, "{\"c\":1}");
    let message = json!(answer.message());
    assert_eq!((&message["role"], &message["tool_calls"][0]["id"]), (&json!("assistant"), &json!("call_1")));
}

#[tokio::test]
async fn a_server_that_says_little_is_understood() {
    let answer = answered(json!({ "choices": [{ "message": { "content": "Hi" } }] })).await;
    assert_eq!((answer.content.as_deref(), answer.finish_reason), (Some("Hi"), FinishReason::Other));
    assert_eq!((answer.model.as_str(), answer.usage, answer.id), ("test-model", None, None));

    let answer = answered(json!({
        "choices": [{ "message": {
            "content": [{ "type": "text", "text": "in " }, { "type": "text", "text": "parts" }],
            "tool_calls": [{ "function": { "name": "now", "arguments": { "zone": "UTC" } } }],
        }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 4 },
        "error": null,
    }))
    .await;
    assert_eq!(
        (answer.content.as_deref(), answer.finish_reason),
        (Some("in parts"), FinishReason::ToolCalls)
    );
    let id = &answer.tool_calls[0].id;
    let is_strict = id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(is_strict, "it needs one for the result, which every server takes: {id}");
    assert_eq!(answer.tool_calls[0].arguments, r#"{"zone":"UTC"}"#);
    assert_eq!(answer.usage.unwrap().total_tokens, 4);
}

#[tokio::test]
async fn json_is_read_unless_it_is_cut_off() {
    let answer = answered(reply(r#"{"good":true}"#)).await;
    assert_eq!(answer.json::<Value>().unwrap()["good"], true);
    assert!(answered(reply("good")).await.json::<Value>().is_err());
    let mut cut = reply("{}");
    cut["choices"][0]["finish_reason"] = json!("length");
    let answer = answered(cut).await;
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert!(answer.json::<Value>().unwrap_err().message.contains("cut off"));
}

#[tokio::test]
async fn a_model_that_refuses_and_words_that_are_filtered_are_errors_of_their_own() {
    let mut body = reply("");
    body["choices"][0]["message"]["refusal"] = json!("I can't help with that.");
    let peer = Peer::answering(200, &[], body.to_string());
    let error = plugin(peer.port, json!({})).call(question()).await.unwrap_err();
    assert_eq!(shown(&error, peer.port), "denied refused: the model `test-model` refuses to answer");
    assert_eq!(trouble(&error).refusal.as_deref(), Some("I can't help with that."));
    assert_eq!(trouble(&error).usage.unwrap().total_tokens, 5);

    let mut body = reply("half of it");
    body["choices"][0]["finish_reason"] = json!("content_filter");
    let peer = Peer::answering(200, &[], body.to_string());
    let error = plugin(peer.port, json!({})).call(question()).await.unwrap_err();
    let expected = "denied content_filter: `127.0.0.1:PORT` filters the words of the answer";
    assert_eq!(shown(&error, peer.port), expected);
}

#[tokio::test]
async fn an_error_in_an_answer_that_looks_good_is_an_error() {
    let body = r#"{"error":{"code":"rate_limit_exceeded","message":"VENDOR"}}"#;
    let peer = Peer::answering(200, &[], body);
    let error = plugin(peer.port, json!({})).call(question()).await.unwrap_err();
    assert!(shown(&error, peer.port).starts_with("overloaded rate_limited: "), "{error}");
}
