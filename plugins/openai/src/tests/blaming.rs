//! Whose fault a refusal is: the server's word against us carries the trouble and what mends it, whatever the kind tells the
//! caller; a request that is wrong carries none.

use expect_test::{Expect, expect};
use plugin_api::{
    prelude::*,
    requests::{
        host::Trouble,
        openai::{Chat, Embed, Realtime, RealtimeClose},
    },
    serde_json::{Value, json},
    testing::TestInstance,
    tokio,
};

use super::{
    peer::Peer,
    setup::{LIMIT, plugin, question},
};
use crate::{
    OpenAi,
    realtime::watch::{Sign, closed, sign},
    trouble::connecting::Way,
};

/// `kind -> trouble [setting]`, or `kind -> nobody's`.
fn blamed(error: &OperationError) -> String {
    let setting = error.fix.as_ref().and_then(|fix| fix.setting.as_deref()).unwrap_or("-");
    match error.trouble {
        Some(code) => format!("{} -> {code} [{setting}]", error.kind),
        None => format!("{} -> nobody's", error.kind),
    }
}

async fn chat(status: u16, body: &str, request: Chat) -> OperationError {
    let peer = Peer::answering(status, &[], body);
    plugin(peer.port, json!({})).call(request).await.expect_err("it is refused")
}

/// The refusal of a chat that names no model.
async fn ours(status: u16, code: &str, expected: Expect) {
    let body = json!({ "error": { "code": code } }).to_string();
    expected.assert_eq(&blamed(&chat(status, &body, question()).await));
}

#[tokio::test]
async fn a_refusal_of_us_is_a_trouble() {
    ours(401, "invalid_api_key", expect!["unavailable -> auth_invalid [api_key]"]).await;
    ours(401, "missing_scope", expect!["denied -> forbidden [-]"]).await;
    ours(403, "", expect!["denied -> forbidden [-]"]).await;
    ours(403, "model_not_found", expect!["not_found -> config_invalid [model]"]).await;
    ours(404, "model_not_found", expect!["not_found -> config_invalid [model]"]).await;
    ours(400, "model_decommissioned", expect!["not_found -> config_invalid [model]"]).await;
    ours(429, "insufficient_quota", expect!["unavailable -> quota [-]"]).await;
    ours(403, "account_deactivated", expect!["unavailable -> account [-]"]).await;
    ours(429, "rate_limit_exceeded", expect!["overloaded -> rate_limited [-]"]).await;
    ours(503, "", expect!["unavailable -> unavailable [-]"]).await;
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_from_an_unknown_key() {
    let body = r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: model.request.","code":null}}"#;
    let error = chat(401, body, question()).await;
    assert_eq!(blamed(&error), "denied -> forbidden [-]");
    assert!(error.message.contains("Model capabilities: Request"), "{}", error.message);
    let body = r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#;
    assert_eq!(blamed(&chat(400, body, question()).await), "unavailable -> quota [-]");
}

#[tokio::test]
async fn what_the_caller_asked_for_is_nobodys_fault() {
    let named = || Chat { model: Some("their-own".to_owned()), ..question() };
    for (status, code, request) in [
        (404, "model_not_found", named()),
        (403, "model_not_found", named()),
        (403, "", named()),
        (400, "unsupported_parameter", named()),
        (400, "context_length_exceeded", question()),
        (400, "content_filter", question()),
        (400, "invalid_function_parameters", question()),
        (422, "", question()),
    ] {
        let body = json!({ "error": { "code": code, "param": "max_tokens" } }).to_string();
        let error = chat(status, &body, request).await;
        assert_eq!(error.trouble, None, "{status} {code}: {error:?}");
    }
    let too_long = r#"{"error":{"code":500,"message":"input is too large to process. increase the physical batch size"}}"#;
    assert_eq!(blamed(&chat(500, too_long, question()).await), "invalid -> nobody's");
    let no_tools = r#"{"error":{"message":"m does not support tools"}}"#;
    assert_eq!(blamed(&chat(400, no_tools, named()).await), "invalid -> nobody's");
    assert_eq!(blamed(&chat(400, no_tools, question()).await), "invalid -> config_invalid [model]");
    let filtered = r#"{"error":{"code":403,"metadata":{"flagged_input":"…"}}}"#;
    assert_eq!(blamed(&chat(403, filtered, question()).await), "denied -> nobody's");
}

/// The name of a key belongs to the region as well: no model mends it.
#[tokio::test]
async fn a_country_is_ours_whichever_model_was_asked_for() {
    let named = Chat { model: Some("their-own".to_owned()), ..question() };
    let error = chat(403, r#"{"error":{"code":"unsupported_country_region_territory"}}"#, named).await;
    assert_eq!(blamed(&error), "denied -> forbidden [-]");
}

#[tokio::test]
async fn a_parameter_that_no_caller_chooses_is_ours() {
    let body =
        |param: &str| json!({ "error": { "code": "unsupported_parameter", "param": param } }).to_string();
    let error = chat(400, &body("max_tokens"), question()).await;
    assert_eq!(blamed(&error), "unavailable -> config_invalid [max_tokens_field]");
    let error = chat(400, &body("stream"), question()).await;
    assert_eq!(blamed(&error), "denied -> forbidden [-]");
    assert!(error.message.contains("does not stream"), "{}", error.message);
    assert_eq!(blamed(&chat(400, &body("temperature"), question()).await), "invalid -> nobody's");
}

#[tokio::test]
async fn vectors_that_are_refused_name_their_own_settings() {
    let refused = async |status, body: Value, request: Embed| {
        let peer = Peer::answering(status, &[], body.to_string());
        blamed(&plugin(peer.port, json!({})).call(request).await.expect_err("it is refused"))
    };
    let many = || Embed::new(["a", "b", "c"]);
    let no_model = json!({ "error": { "code": "model_not_found" } });
    expect!["not_found -> config_invalid [embedding_model]"]
        .assert_eq(&refused(404, no_model.clone(), many()).await);
    let named = Embed { model: Some("their-own".into()), ..many() };
    expect!["not_found -> nobody's"].assert_eq(&refused(404, no_model, named).await);
    let batch = json!({ "error": "batch size 64 > maximum allowed batch size 32" });
    expect!["unavailable -> config_invalid [embedding_batch]"].assert_eq(&refused(422, batch, many()).await);
    let dimensions = json!({ "error": { "message": "dimensions are not supported" } });
    expect!["invalid -> nobody's"].assert_eq(&refused(400, dimensions, many()).await);
}

#[tokio::test]
async fn a_realtime_session_that_does_not_open_names_its_model() {
    let peer = Peer::answering(404, &[], r#"{"error":{"code":"model_not_found"}}"#);
    let plugin = plugin(peer.port, json!({}));
    let error = plugin.open("realtime", &Realtime::default()).await.err().expect("it is refused");
    assert_eq!(blamed(&error), "not_found -> config_invalid [realtime_model]");
    assert!(error.message.ends_with(": set `OPENAI_REALTIME_MODEL`"), "{}", error.message);
    let named = Realtime { model: Some("their-own".to_owned()) };
    let error = plugin.open("realtime", &named).await.err().expect("it is refused");
    assert_eq!(blamed(&error), "not_found -> nobody's");
}

fn way() -> Way<'static> {
    Way::realtime("api.example.com")
}

#[test]
fn an_event_of_a_session_tells_a_refusal_of_us_and_an_answer() {
    let told = |event: Value| match sign(&event.to_string(), way()) {
        Some(Sign::Refused(trouble)) => trouble.message,
        Some(Sign::Answered) => "answered".to_owned(),
        None => "nothing".to_owned(),
    };
    let failed = |code: &str| json!({ "type": "failed", "error": { "type": code, "code": code } });
    let done = |status: &str, details: Value| json!({ "type": "response.done", "response": { "status": status, "status_details": details } });
    let quota =
        "`api.example.com` says that the account's credit or its limit is used up: see its billing page";
    assert_eq!(told(done("failed", failed("insufficient_quota"))), quota);
    assert_eq!(told(json!({ "type": "error", "error": { "code": "insufficient_quota" } })), quota);
    assert_eq!(told(done("completed", json!(null))), "answered");
    assert_eq!(told(done("failed", failed("server_error"))), "nothing");
    assert_eq!(told(json!({ "type": "error", "error": { "code": "invalid_value" } })), "nothing");
    let spoken = json!({ "type": "response.output_text.done", "text": "\"error\": insufficient_quota" });
    assert_eq!(told(spoken), "nothing", "what is said tells nothing");
}

#[test]
fn the_close_of_a_session_tells_whose_fault_it_was() {
    let end = |close_code, reason: &str| {
        let close = RealtimeClose { close_code, close_reason: reason.to_owned() };
        let reason = closed(close.clone(), "closed".to_owned(), way());
        assert_eq!(RealtimeClose::of(&reason), close, "code and reason pass on");
        reason.error.as_ref().map_or_else(|| "as intended".to_owned(), blamed)
    };
    assert_eq!(end(1000, ""), "as intended");
    assert_eq!(end(1001, "session expired"), "cancelled -> nobody's");
    assert_eq!(end(4000, "invalid_request_error.beta_api_shape_disabled"), "invalid -> nobody's");
    assert_eq!(end(1008, "insufficient_quota"), "unavailable -> quota [-]");
    assert_eq!(end(1011, "keepalive"), "unavailable -> nobody's");
}

/// All troubles that were told until there are so many.
async fn told(plugin: &TestInstance<OpenAi>, count: usize) -> Vec<Trouble> {
    let wait = async {
        while plugin.troubles().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("it is told");
    plugin.troubles()
}

#[tokio::test]
async fn a_session_that_is_refused_every_answer_is_told_once_and_cleared_by_an_answer() {
    let refused = r#"{"type":"response.done","response":{"status":"failed","status_details":{"error":{"code":"insufficient_quota"}}}}"#;
    let answered = r#"{"type":"response.done","response":{"status":"completed"}}"#;
    let server = super::realtime::Server::start(move |socket, _| {
        for event in [refused, refused, answered, answered, refused] {
            socket.send(tokio_tungstenite::tungstenite::Message::text(event)).unwrap();
        }
        let _ = socket.read();
    });
    let plugin = plugin(server.port, json!({}));
    let stream = plugin.open("realtime", &Realtime::default()).await.expect("it opens");
    for _ in 0..5 {
        stream.recv().await.expect("the events pass all the same");
    }
    let told = told(&plugin, 3).await;
    let shown: Vec<_> =
        told.iter().map(|trouble| (trouble.key.as_str(), trouble.cleared, trouble.code)).collect();
    let quota = ("realtime", false, Some(ReasonCode::Quota));
    assert_eq!(shown, [quota, ("realtime", true, None), quota]);
}
