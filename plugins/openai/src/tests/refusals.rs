//! Every refusal of the server: its kind, its code, our words, and never the server's.

use expect_test::{Expect, expect};
use plugin_api::{serde_json::json, tokio};
use reqwest::header::{HeaderMap, HeaderValue};

use super::{
    peer::Peer,
    setup::{KEY, plugin, question, shown, trouble},
};
use crate::trouble::status::{Refusal, retry_after};

async fn refused(status: u16, headers: &'static [&'static str], body: &str, expected: Expect) {
    let peer = Peer::answering(status, headers, body);
    let plugin = plugin(peer.port, json!({}));
    let error = plugin.call(question()).await.expect_err("it is refused");
    expected.assert_eq(&shown(&error, peer.port));
    assert_eq!(trouble(&error).http_status, Some(status));
    assert_eq!(peer.asked().len(), 1, "nothing is tried again");
    let everything = format!("{error:?} {:?} {:?}", plugin.logs(), plugin.reports());
    assert!(!everything.contains(KEY), "the key is nowhere: {everything}");
    // The server's words are for an operator who looks for them: at `debug`, and in the details.
    let louder: Vec<_> = plugin.logs().into_iter().filter(|log| log.level != "DEBUG").collect();
    let shown = format!("{} {louder:?} {:?}", error.message, plugin.reports());
    assert!(!shown.contains("VENDOR"), "{shown}");
}

#[tokio::test]
async fn of_the_key_and_the_account() {
    let body = r#"{"error":{"message":"VENDOR Incorrect API key provided: sk-correct-horse-battery.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    refused(401, &[], body, expect!["unavailable auth_invalid: `127.0.0.1:PORT` does not know the key: check `OPENAI_API_KEY` (HTTP 401)"]).await;
    refused(
        403,
        &[],
        r#"{"error":{"message":"VENDOR","code":"unsupported_country_region_territory"}}"#,
        expect!["denied forbidden: `127.0.0.1:PORT` serves neither this country nor this address (HTTP 403)"],
    )
    .await;
    refused(429, &["retry-after: 60"], r#"{"error":{"message":"VENDOR","type":"insufficient_quota","code":"insufficient_quota"}}"#, expect!["unavailable quota: `127.0.0.1:PORT` says that the account's credit or its limit is used up: see its billing page (HTTP 429)"]).await;
    refused(402, &[], "VENDOR", expect!["unavailable quota: `127.0.0.1:PORT` says that the account's credit or its limit is used up: see its billing page (HTTP 402)"]).await;
    refused(403, &[], r#"{"error":{"code":"account_deactivated"}}"#, expect!["unavailable account: `127.0.0.1:PORT` says that the account is closed or not paid for: see its billing page (HTTP 403)"]).await;
}

/// The words of a refusal as they are in the details and in the log.
async fn words(key: &str, said: &str) -> (String, String) {
    let peer = Peer::answering(400, &[], json!({ "error": { "message": said } }).to_string());
    let plugin = plugin(peer.port, json!({ "api_key": key }));
    let error = plugin.call(question()).await.expect_err("it is refused");
    let logged = plugin.logs().into_iter().find_map(|log| log.fields.get("words").cloned());
    let logged = logged.expect("the words are in the log").as_str().expect("they are a text").to_owned();
    (trouble(&error).words.expect("there are words"), logged)
}

#[tokio::test]
async fn words_are_bounded_where_they_are_kept_and_where_they_are_logged() {
    for said in ["x ".repeat(5_000), "ä".repeat(5_000)] {
        let (kept, logged) = words(KEY, &said).await;
        assert_eq!(kept, logged);
        assert!(said.starts_with(&kept) && (498..=500).contains(&kept.len()), "{kept}");
    }
}

#[tokio::test]
async fn a_key_is_taken_out_before_words_are_bounded_and_a_short_one_is_a_word() {
    // Of no known form, and on both sides of the bound.
    let key = "correct-horse-battery-staple";
    for before in [470, 480, 490, 499] {
        let (kept, logged) = words(key, &format!("{}{key} is not known", "x".repeat(before))).await;
        assert!(!kept.contains("c") && !logged.contains("c"), "{kept}");
    }
    let (kept, _) = words(key, &format!("the key {key} is not known")).await;
    assert_eq!(kept, "the key [hidden] is not known");
    // Where a server wants none, people set any word.
    for key in ["any", "none", "ollama"] {
        let said = format!("{key} model is not there, nor any other");
        assert_eq!(words(key, &said).await.0, said);
    }
}

#[tokio::test]
async fn of_too_much() {
    refused(429, &["Retry-After: 2"], r#"{"error":{"message":"VENDOR","type":"requests","code":"rate_limit_exceeded"}}"#, expect!["overloaded rate_limited (retry in 2000 ms): `127.0.0.1:PORT` asks to slow down: too many requests or tokens in a time (HTTP 429)"]).await;
    refused(429, &[], "VENDOR", expect!["overloaded rate_limited: `127.0.0.1:PORT` asks to slow down: too many requests or tokens in a time (HTTP 429)"]).await;
    refused(503, &["retry-after: 1.5"], "VENDOR", expect!["unavailable unavailable (retry in 1500 ms): `127.0.0.1:PORT` cannot serve at the moment (HTTP 503)"]).await;
    refused(
        500,
        &[],
        "<html>VENDOR</html>",
        expect!["unavailable unavailable: `127.0.0.1:PORT` cannot serve at the moment (HTTP 500)"],
    )
    .await;
}

#[tokio::test]
async fn of_the_request() {
    refused(404, &[], r#"{"error":{"message":"VENDOR The model `x` does not exist","code":"model_not_found"}}"#, expect!["not_found model_not_found: `127.0.0.1:PORT` has no model `test-model`, or this key may not use it: set `OPENAI_MODEL`"]).await;
    refused(400, &[], r#"{"error":{"message":"VENDOR","code":"context_length_exceeded"}}"#, expect!["invalid context_too_long: `127.0.0.1:PORT` says that the request is too long for the model: shorten it (HTTP 400)"]).await;
    refused(400, &[], r#"{"object":"error","message":"VENDOR This model's maximum context length is 4096 tokens","code":400}"#, expect!["invalid context_too_long: `127.0.0.1:PORT` says that the request is too long for the model: shorten it (HTTP 400)"]).await;
    refused(
        400,
        &[],
        r#"{"error":{"message":"VENDOR","code":"content_filter"}}"#,
        expect!["denied content_filter: `127.0.0.1:PORT` filters the words of the request (HTTP 400)"],
    )
    .await;
    refused(400, &[], r#"{"error":{"message":"VENDOR","code":"tool_use_failed"}}"#, expect!["internal tool_use_failed: `127.0.0.1:PORT` says that the model wrote an invalid tool call (HTTP 400)"]).await;
    refused(
        400,
        &[],
        r#"{"error":"VENDOR"}"#,
        expect!["invalid invalid_request: `127.0.0.1:PORT` refuses the request (HTTP 400)"],
    )
    .await;
    refused(
        422,
        &[],
        r#"{"detail":[{"msg":"VENDOR"}]}"#,
        expect!["invalid invalid_request: `127.0.0.1:PORT` refuses the request (HTTP 422)"],
    )
    .await;
    refused(302, &["location: http://127.0.0.1:1/VENDOR"], "", expect!["unavailable config_invalid: `127.0.0.1:PORT` leads elsewhere, where the key is not sent: give the final address in `OPENAI_BASE_URL` (HTTP 302)"]).await;
}

#[tokio::test]
async fn the_servers_own_code_is_passed_on() {
    let peer = Peer::answering(400, &[], r#"{"error":{"code":"invalid_function_parameters"}}"#);
    let error = plugin(peer.port, json!({})).call(question()).await.unwrap_err();
    assert_eq!(trouble(&error).vendor_code.as_deref(), Some("invalid_function_parameters"));
}

#[test]
fn a_code_is_one_word_and_never_a_key() {
    let code = |body: &str| Refusal::read(body.as_bytes()).code;
    assert_eq!(code(r#"{"error":{"code":"some_code","type":"t"}}"#).as_deref(), Some("some_code"));
    assert_eq!(code(r#"{"error":{"code":null,"type":"server_error"}}"#).as_deref(), Some("server_error"));
    for nothing in [
        r#"{"error":{"code":"sk-proj-ABC123"}}"#,
        r#"{"error":{"code":"words with spaces"}}"#,
        r#"{"error":{"code":400}}"#,
        "<html>",
        "",
        "[]",
        "null",
    ] {
        assert_eq!(Refusal::read(nothing.as_bytes()), Refusal::default(), "{nothing}");
    }
}

#[test]
fn the_time_to_wait_is_read_in_every_form() {
    let wait = |name: &'static str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        retry_after(&headers).map(|wait| wait.as_millis())
    };
    assert_eq!(wait("retry-after", "3"), Some(3_000));
    assert_eq!(wait("retry-after", "0.5"), Some(500));
    assert_eq!(wait("retry-after", "Thu, 06 Nov 2194 08:49:37 GMT"), Some(86_400_000));
    assert_eq!(wait("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), None, "it has passed");
    assert_eq!(wait("retry-after-ms", "120"), Some(120));
    for name in ["retry-after", "retry-after-ms"] {
        assert_eq!(wait(name, "99999999999"), Some(86_400_000), "nobody waits for ever");
        for nothing in ["", "soon", "NaN", "inf"] {
            assert_eq!(wait(name, nothing), None, "{nothing}");
        }
    }
}
