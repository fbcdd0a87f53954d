//! The doctor's questions to a server: key, model, one vector, and the time.

use plugin_api::{
    requests::doctor::{Examination, Examine, Verdict},
    serde_json::json,
    tokio,
};

use super::{
    peer::{Peer, closed_port},
    setup::{plugin, reply},
};

const DATED: &[&str] = &["Date: Thu, 01 Jan 2026 00:00:00 GMT"];

/// A server that lists one model of chat, and makes vectors or has no model for them.
fn server(model: &'static str, makes_vectors: bool) -> Peer {
    Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            match asked.line.as_str() {
                "GET /v1/models" => {
                    talk.answer(200, DATED, &json!({ "data": [{ "id": model }] }).to_string())?
                }
                "POST /v1/chat/completions" if asked.json()["model"] == model => talk.json(&reply("Hi!"))?,
                "POST /v1/embeddings" if makes_vectors => talk.json(&json!({
                    "model": "vectors-1", "data": [{ "index": 0, "embedding": [0.1, 0.2, 0.3] }],
                }))?,
                _ => talk.answer(404, &[], r#"{"error":{"code":"model_not_found"}}"#)?,
            }
        }
        None
    })
}

fn told(found: &Examination) -> Vec<(&str, Verdict)> {
    found.checks.iter().map(|check| (check.name.as_str(), check.verdict)).collect()
}

#[tokio::test]
async fn a_good_server_passes_and_tells_the_time() {
    let peer = server("test-model", true);
    let found = plugin(peer.port, json!({})).call(Examine::default()).await.unwrap();
    assert_eq!(
        told(&found),
        [("key", Verdict::Ok), ("model", Verdict::Ok), ("chat", Verdict::Ok), ("embeddings", Verdict::Ok)]
    );
    assert_eq!(found.checks[3].seen, "a vector of 3 numbers by `vectors-1`");
    assert!(found.clock.is_some_and(|clock| clock.ahead_ms > 0));
}

#[tokio::test]
async fn the_chat_offers_a_tool_and_says_whether_it_is_called() {
    let call = json!({ "id": "a1b2c3d4e", "type": "function", "function": { "name": "doctor-look", "arguments": "{}" } });
    let calls = json!({ "model": "m", "choices": [
        { "message": { "role": "assistant", "content": null, "tool_calls": [call] }, "finish_reason": "tool_calls" },
    ] });
    let no_tools = json!({ "error": { "message": "m does not support tools" } });
    for (status, answer, verdict, seen) in [
        (200, calls, Verdict::Ok, "`m` calls a tool"),
        (200, reply("Hi!"), Verdict::Ok, "`test-model-2026` answers, and called no tool when asked to"),
        (400, no_tools, Verdict::Failed, "it says: m does not support tools"),
    ] {
        let peer = Peer::start(move |talk| {
            while let Some(asked) = talk.hear() {
                match asked.line.as_str() {
                    "GET /v1/models" => talk.json(&json!({ "data": [{ "id": "test-model" }] }))?,
                    "POST /v1/chat/completions" => talk.answer(status, &[], &answer.to_string())?,
                    _ => talk.answer(404, &[], "")?,
                }
            }
            None
        });
        let found = plugin(peer.port, json!({})).call(Examine::default()).await.unwrap();
        let check = found.checks.iter().find(|check| check.name == "chat").expect("it chats");
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.seen.ends_with(seen), "{check:?}");
        let asked = peer.asked().into_iter().find(|asked| asked.line.starts_with("POST /v1/chat")).unwrap();
        assert_eq!(asked.json()["tools"][0]["function"]["name"], "doctor-look");
    }
}

#[tokio::test]
async fn models_that_are_not_there_are_named_by_their_variables() {
    let peer = server("another-model", false);
    let found = plugin(peer.port, json!({})).call(Examine::default()).await.unwrap();
    assert_eq!(
        told(&found),
        [
            ("key", Verdict::Ok),
            ("model", Verdict::Failed),
            ("chat", Verdict::Failed),
            ("embeddings", Verdict::Failed)
        ]
    );
    let fix = |check: usize| found.checks[check].fix.clone().unwrap_or_default();
    assert!(fix(1).starts_with("set `OPENAI_MODEL` to a model"), "{}", fix(1));
    assert!(fix(3).starts_with("set `OPENAI_EMBEDDING_MODEL` to a model"), "{}", fix(3));
}

#[tokio::test]
async fn a_key_that_is_refused_leads_to_the_console_and_an_outage_does_not() {
    let peer = Peer::answering(401, &[], r#"{"error":{"code":"invalid_api_key"}}"#);
    let found = plugin(peer.port, json!({})).call(Examine::default()).await.unwrap();
    assert_eq!(told(&found), [("key", Verdict::Failed)]);
    assert!(found.checks[0].fix.as_ref().is_some_and(|fix| fix.contains("platform.openai.com")), "{found:?}");
    let found = plugin(closed_port(), json!({})).call(Examine::default()).await.unwrap();
    assert_eq!((told(&found), found.checks[0].fix.as_deref()), (vec![("key", Verdict::Failed)], None));
}
