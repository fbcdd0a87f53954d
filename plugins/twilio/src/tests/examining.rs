//! The doctor's questions to Twilio, and the webhook that it rehearses.

use plugin_api::{
    prelude::*,
    requests::{
        doctor::{Check, Examine, Verdict},
        twilio::{Heard, RehearseWebhook},
    },
    serde_json::json,
    tokio,
};

use super::{
    peer::{Deed, Peer, closed_port},
    setup::{NUMBER, TOKEN, plugin, with_key},
};

const DATED: &str = "Content-Type: application/json\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

/// A Twilio with this number, which refuses to show its calls.
fn peer(number: &'static str) -> Peer {
    Peer::start(move |_, request| {
        let (status, body) = match request {
            request if request.contains("/IncomingPhoneNumbers") => (200, number),
            request if request.contains("/Calls.json") => (403, r#"{"code":70004,"status":403}"#),
            request if request.contains("/Messages.json") => (200, r#"{"messages":[]}"#),
            _ => (200, r#"{"status":"active","type":"Trial"}"#),
        };
        Deed::Answer(status, DATED, body.to_owned())
    })
}

fn told(checks: &[Check]) -> Vec<(&str, Verdict)> {
    checks.iter().map(|check| (check.name.as_str(), check.verdict)).collect()
}

#[tokio::test]
async fn what_an_account_lacks_is_named_with_its_place_in_the_console() {
    let number =
        r#"{"incoming_phone_numbers":[{"phone_number":"+15551234567","capabilities":{"sms":false}}]}"#;
    let peer = peer(number);
    let found = plugin(peer.port, json!({})).call(Examine::default()).await.unwrap();
    assert_eq!(
        told(&found.checks),
        [
            ("account", Verdict::Ok),
            ("account_type", Verdict::Skipped),
            ("number", Verdict::Failed),
            ("reads_messages", Verdict::Ok),
            ("reads_calls", Verdict::Failed),
            ("webhook_key", Verdict::Ok),
        ]
    );
    assert_eq!(found.checks[2].seen, format!("`{NUMBER}` can send no SMS"));
    assert!(found.checks[4].fix.as_ref().unwrap().contains("Account > API keys & tokens"));
    let clock = found.clock.expect("Twilio tells the time");
    assert!(clock.ahead_ms > 24 * 60 * 60 * 1000, "{clock:?}");
}

#[tokio::test]
async fn a_key_alone_cannot_verify_webhooks() {
    let number = r#"{"incoming_phone_numbers":[{"phone_number":"+15551234567","capabilities":{"sms":true,"mms":false}}]}"#;
    let peer = peer(number);
    let plugin = plugin(peer.port, with_key());
    let found = plugin.call(Examine::default()).await.unwrap();
    assert_eq!(found.checks[2].seen, format!("`{NUMBER}` can send and receive SMS, and takes no MMS"));
    let key = found.checks.last().unwrap();
    assert_eq!((key.name.as_str(), key.verdict), ("webhook_key", Verdict::Failed));
    assert!(key.fix.as_ref().unwrap().starts_with("set `TWILIO_AUTH_TOKEN`, too"));
    let url = peer.url();
    let error = plugin.call(RehearseWebhook { url, params: Vec::new(), signed: true }).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_rehearsal_is_signed_as_twilio_signs() {
    let peer = Peer::start(|_, _| Deed::json(202, "taken"));
    let plugin = plugin(peer.port, json!({}));
    let rehearse = |signed| {
        let params = vec![("Nonce".to_owned(), "1 2".to_owned())];
        plugin.call(RehearseWebhook { url: format!("{}/a?b=c", peer.url()), params, signed })
    };
    assert_eq!(rehearse(true).await.unwrap(), Heard { status: 202, body: "taken".to_owned() });
    rehearse(false).await.unwrap();
    let asked = peer.requests();
    assert!(
        asked[0].starts_with("POST /a?b=c HTTP/1.1\r\n") && asked[0].contains("Nonce=1+2"),
        "{}",
        asked[0]
    );
    assert!(
        asked[0].contains("x-twilio-signature: ") && !asked[1].contains("x-twilio-signature"),
        "{asked:?}"
    );
    assert!(!asked[0].contains("authorization"), "the credentials are for Twilio alone: {}", asked[0]);
    assert!(!asked[0].contains(TOKEN));
}

#[tokio::test]
async fn nobody_listens_where_it_is_rehearsed() {
    let plugin = plugin(closed_port(), json!({}));
    let url = format!("http://127.0.0.1:{}/", closed_port());
    let error = plugin.call(RehearseWebhook { url, params: Vec::new(), signed: true }).await.unwrap_err();
    assert!(error.message.starts_with("nobody listens at `127.0.0.1:"), "{error}");
    let no_url = RehearseWebhook { url: "ftp://a".to_owned(), params: Vec::new(), signed: false };
    assert_eq!(plugin.call(no_url).await.unwrap_err().message, "`ftp://a` is no web address");
}
