//! Refusals that name what is in the way: the request is sent without it, at once and from then on; every other refusal is
//! passed on as it is.

use plugin_api::{
    requests::openai::{Chat, Message, ToolCall, ToolDefinition},
    serde_json::{self, Value, json},
    tokio,
};

use super::{
    peer::Peer,
    setup::{plugin, question, reply, trouble},
};

/// A server that refuses with these words for as long as the request is not good.
fn refusing(status: u16, body: Value, is_good: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Peer {
    Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            match is_good(&asked.json()) {
                true => talk.json(&reply("Hi!"))?,
                false => talk.answer(status, &["content-type: application/json"], &body.to_string())?,
            }
        }
        None
    })
}

fn with_tool() -> Chat {
    question().tools([ToolDefinition { name: "look".into(), ..ToolDefinition::default() }])
}

/// A second turn, with what another server wrote beside.
fn second_turn() -> Chat {
    let extra = |value: Value| serde_json::from_value(value).unwrap();
    let call = ToolCall {
        id: "call_with_a_long_id".into(),
        name: "look".into(),
        arguments: "{}".into(),
        extra: extra(json!({ "extra_content": { "signature": "c2ln" } })),
    };
    let wanted = Message::Assistant {
        content: None,
        tool_calls: vec![call],
        extra: extra(json!({ "reasoning_content": "hm" })),
    };
    Chat::new([Message::user("Look!"), wanted, Message::tool("call_with_a_long_id", "x")])
        .tools(with_tool().tools)
}

/// Asks twice: the second request is right at once.
async fn learns(peer: &Peer, chat: Chat) -> Value {
    let plugin = plugin(peer.port, json!({}));
    let first = plugin.call(chat.clone()).await;
    assert_eq!(first.unwrap().content.as_deref(), Some("Hi!"));
    let tries = peer.asked().len();
    assert!(tries > 1, "it was refused first");
    plugin.call(chat).await.unwrap();
    assert_eq!(peer.asked().len(), tries + 1, "what was learned is kept");
    peer.asked().pop().unwrap().json()
}

#[tokio::test]
async fn a_model_that_calls_tools_only_without_thinking_does_not_think() {
    let words = "Function tools with reasoning_effort are not supported for gpt-6-luna in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.";
    let body = json!({ "error": { "message": words, "type": "invalid_request_error", "param": "reasoning_effort", "code": null } });
    let peer =
        refusing(400, body, |asked| asked.get("tools").is_none() || asked["reasoning_effort"] == "none");
    assert_eq!(learns(&peer, with_tool()).await["reasoning_effort"], "none");
    let plugin = plugin(peer.port, json!({}));
    plugin.call(question()).await.unwrap();
    assert!(peer.asked().pop().unwrap().json().get("reasoning_effort").is_none(), "without tools it thinks");
}

#[tokio::test]
async fn fields_that_a_server_does_not_take_back_are_left_out() {
    let groq = "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is unsupported)]";
    let is_good = |asked: &Value| !asked.to_string().contains("reasoning_content");
    let peer =
        refusing(400, json!({ "error": { "message": groq, "type": "invalid_request_error" } }), is_good);
    let asked = learns(&peer, second_turn()).await;
    assert_eq!(
        asked["messages"][1]["tool_calls"][0]["extra_content"]["signature"], "c2ln",
        "the rest goes back"
    );

    let forbidden = |field: &str| json!([{ "type": "extra_forbidden", "loc": ["body", "messages", 1, "assistant", field], "msg": "Extra inputs are not permitted" }]);
    for body in [
        json!({ "object": "error", "message": { "detail": forbidden("reasoning_content") }, "type": "invalid_request_error" }),
        json!({ "detail": forbidden("reasoning_content") }),
    ] {
        learns(&refusing(422, body, is_good), second_turn()).await;
    }
}

#[tokio::test]
async fn a_field_is_refused_by_its_whole_name() {
    let both = json!({ "reasoning": "hm", "reasoning_details": [{ "text": "hm" }] });
    let mut chat = second_turn();
    let Message::Assistant { extra, .. } = &mut chat.messages[1] else { panic!("it is the assistant's") };
    *extra = serde_json::from_value(both).unwrap();
    for (refused, kept) in [("reasoning_details", "reasoning"), ("reasoning", "reasoning_details")] {
        let words = format!("('messages.1' : property '{refused}' is unsupported)");
        let is_good = move |asked: &Value| asked["messages"][1].get(refused).is_none();
        let peer = refusing(400, json!({ "error": { "message": words } }), is_good);
        let asked = learns(&peer, chat.clone()).await;
        assert!(asked["messages"][1].get(kept).is_some(), "{kept} goes back");
        assert_eq!(peer.asked().len(), 3, "one refusal is enough");
    }
}

#[tokio::test]
async fn a_limit_of_tokens_gets_the_name_that_the_model_knows() {
    let limited = Chat { max_tokens: Some(7), ..question() };
    let words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let peer =
        refusing(400, json!({ "error": { "message": words } }), |asked| asked.get("max_tokens").is_none());
    assert_eq!(learns(&peer, limited).await["max_completion_tokens"], 7);
}

#[tokio::test]
async fn ids_become_short_where_they_must() {
    let words = "Tool call id was call_with_a_long_id but must be a-z, A-Z, 0-9, with a length of 9.";
    let is_good =
        |asked: &Value| asked["messages"][2]["tool_call_id"].as_str().is_some_and(|id| id.len() == 9);
    let peer = refusing(400, json!({ "object": "error", "message": words }), is_good);
    let asked = learns(&peer, second_turn()).await;
    assert_eq!(asked["messages"][1]["tool_calls"][0]["id"], asked["messages"][2]["tool_call_id"]);
}

#[tokio::test]
async fn a_refusal_that_names_nothing_of_the_request_is_passed_on_at_once() {
    for words in
        ["Unsupported value: 'temperature' does not support 0.5", "no", "reasoning_content is unsupported"]
    {
        let peer = refusing(400, json!({ "error": { "message": words } }), |_| false);
        let error = plugin(peer.port, json!({})).call(question()).await.unwrap_err();
        assert_eq!(trouble(&error).words.as_deref(), Some(words));
        assert_eq!(peer.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_refuses_for_ever_is_not_asked_for_ever() {
    let words = "Extra inputs are not permitted: reasoning_content, extra_content, stream_options";
    let peer = refusing(422, json!({ "error": { "message": words } }), |_| false);
    plugin(peer.port, json!({})).call(second_turn()).await.unwrap_err();
    assert!(peer.asked().len() <= 4, "{}", peer.asked().len());
}
