//! What the list of models says of the plugin.

use expect_test::{Expect, expect};
use plugin_api::{
    serde_json::{Value, json},
    tokio,
};

use super::{
    peer::{Peer, Talk},
    setup::{KEY, plugin, shown_failure},
};

/// A server that lists these models, and answers for `known` when it is asked for them by name.
fn lists(models: &'static [&'static str], known: &'static str) -> Peer {
    Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            match asked.line.strip_prefix("GET /v1/models/") {
                Some(name) if name == known => talk.json(&json!({ "id": name }))?,
                None if asked.line != "GET /v1/models" => talk.answer(404, &[], "")?,
                Some(_) => talk.answer(404, &[], r#"{"error":{"code":"model_not_found"}}"#)?,
                None => {
                    let data: Vec<_> =
                        models.iter().map(|id| json!({ "id": id, "object": "model" })).collect();
                    talk.json(&json!({ "object": "list", "data": data }))?;
                }
            }
        }
        None
    })
}

async fn fails(peer: &Peer, settings: Value, expected: Expect) {
    let failure = plugin(peer.port, settings).init().await.expect_err("it is not verified");
    expected.assert_eq(&shown_failure(&failure, peer.port));
}

#[tokio::test]
async fn a_server_that_lists_the_models_is_connected() {
    let peer = lists(&["test-model", "text-embedding-3-small", "other"], "");
    let plugin = plugin(peer.port, json!({ "organization": "org-1", "project": "proj_1" }));
    plugin.init().await.unwrap();
    plugin.probe().await.unwrap();
    let asked = peer.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].line, "GET /v1/models");
    assert_eq!(asked[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(asked[0].header("openai-organization"), Some("org-1"));
    assert_eq!(asked[0].header("openai-project"), Some("proj_1"));
    assert_eq!(asked[0].header("openai-beta"), None);
}

#[tokio::test]
async fn a_server_that_lists_nothing_is_believed() {
    for body in [json!({ "data": [] }), json!({ "object": "list", "data": null }), json!([])] {
        let peer = Peer::answering(200, &[], body.to_string());
        plugin(peer.port, json!({})).init().await.unwrap();
    }
}

#[tokio::test]
async fn a_model_that_is_not_there_is_told_in_words() {
    let peer = lists(&["a", "b", "c", "d", "e", "f", "g"], "");
    fails(&peer, json!({}), expect!["config_invalid [model]: `127.0.0.1:PORT` has no model `test-model`, or this key may not use it: set `OPENAI_MODEL`; it lists `a`, `b`, `c`, `d`, `e` and 2 more"]).await;
    let peer = lists(&["test-model"], "");
    fails(&peer, json!({ "embedding_model": "vectors" }), expect!["config_invalid [embedding_model]: `127.0.0.1:PORT` has no model `vectors`, or this key may not use it: set `OPENAI_EMBEDDING_MODEL`; it lists `test-model`"]).await;
}

#[tokio::test]
async fn a_short_name_that_only_the_server_understands_is_asked_for() {
    let peer = lists(&["test-model:latest"], "test-model");
    plugin(peer.port, json!({})).init().await.unwrap();
    assert_eq!(peer.count("GET /v1/models/test-model"), 1);
}

#[tokio::test]
async fn a_name_with_a_slash_stays_one_name() {
    let peer = lists(&["other"], "org%2Fmodel%20a");
    plugin(peer.port, json!({ "model": "org/model a" })).init().await.unwrap();
}

#[tokio::test]
async fn a_model_that_nobody_chose_may_lack_and_is_mentioned_once() {
    let peer = lists(&["test-model"], "");
    let plugin = plugin(peer.port, json!({}));
    plugin.init().await.unwrap();
    plugin.probe().await.unwrap();
    let warnings = plugin.logs().into_iter().filter(|record| record.level == "WARN");
    assert_eq!(warnings.filter(|record| record.message.contains("lacks one of these models")).count(), 1);
}

#[tokio::test]
async fn what_is_no_list_of_models_is_told_apart() {
    fails(&Peer::answering(404, &[], "not found"), json!({}), expect!["config_invalid [base_url]: `127.0.0.1:PORT` has no list of models at this address (HTTP 404): check `OPENAI_BASE_URL`, which usually ends in `/v1`"]).await;
    fails(
        &Peer::answering(200, &[], "<html>welcome</html>"),
        json!({}),
        expect!["protocol [-]: `127.0.0.1:PORT` answers with something that is not JSON"],
    )
    .await;
    fails(
        &Peer::answering(200, &[], r#"{"hello":"world"}"#),
        json!({}),
        expect!["protocol [base_url]: `127.0.0.1:PORT` answers something else than a list of models"],
    )
    .await;
    fails(&Peer::answering(403, &[], r#"{"error":{"code":"missing_scope"}}"#), json!({}), expect!["forbidden [api_key]: `127.0.0.1:PORT` does not let this key read the list of models (HTTP 403): permit it there, or see what the project and the country may use"]).await;
    fails(&Peer::answering(301, &["location: /elsewhere"], ""), json!({}), expect!["config_invalid [base_url]: `127.0.0.1:PORT` leads elsewhere, where the key is not sent: give the final address in `OPENAI_BASE_URL` (HTTP 301)"]).await;
}

#[tokio::test]
async fn refusals_pick_what_the_host_does() {
    let key_in_words = r#"{"error":{"message":"Incorrect API key provided: sk-correct-horse-battery","code":"invalid_api_key"}}"#;
    fails(&Peer::answering(401, &[], key_in_words), json!({}), expect!["auth_invalid [api_key]: `127.0.0.1:PORT` does not know the key: check `OPENAI_API_KEY` (HTTP 401)"]).await;
    fails(&Peer::answering(429, &["retry-after: 7"], r#"{"error":{"code":"rate_limit_exceeded"}}"#), json!({}), expect!["rate_limited [-] (retry in 7000 ms): `127.0.0.1:PORT` asks to slow down: too many requests or tokens in a time (HTTP 429)"]).await;
    fails(&Peer::answering(429, &[], r#"{"error":{"code":"insufficient_quota"}}"#), json!({}), expect!["quota [-]: `127.0.0.1:PORT` says that the account's credit or its limit is used up: see its billing page (HTTP 429)"]).await;
    fails(&Peer::answering(401, &[], r#"{"error":{"code":"account_deactivated"}}"#), json!({}), expect!["account [-]: `127.0.0.1:PORT` says that the account is closed or not paid for: see its billing page (HTTP 401)"]).await;
    fails(
        &Peer::answering(503, &["retry-after-ms: 250"], "oops"),
        json!({}),
        expect!["unavailable [-] (retry in 250 ms): `127.0.0.1:PORT` cannot serve at the moment (HTTP 503)"],
    )
    .await;
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let silent = Peer::start(Talk::fall_silent);
    fails(
        &silent,
        json!({ "connect_timeout": "200ms" }),
        expect!["timeout [-]: `127.0.0.1:PORT` gave no answer within 200ms"],
    )
    .await;
}
