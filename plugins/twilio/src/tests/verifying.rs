//! Account and number, as they are and as they may not be: each its code, its setting, its exact words.

use expect_test::{Expect, expect};
use plugin_api::{
    serde_json::{Value, json},
    tokio,
};

use super::{
    peer::{Deed, Peer, closed_port},
    setup::{NUMBER, TOKEN, plugin, shown_failure, with_key},
};

const ACTIVE: (u16, &str) = (200, r#"{"status":"active","auth_token":"hidden"}"#);
const NOT_FOUND: (u16, &str) = (404, r#"{"code":20404,"message":"not found","status":404}"#);
const AUTHENTICATE: (u16, &str) = (401, r#"{"code":20003,"message":"Authenticate","status":401}"#);

fn numbers() -> (u16, &'static str) {
    (200, r#"{"incoming_phone_numbers":[{"phone_number":"+15551234567"}]}"#)
}

/// A peer that answers for the account and for its numbers.
fn peer(account: (u16, &'static str), numbers: (u16, &'static str)) -> Peer {
    Peer::start(move |_, request| {
        let (status, body) = if request.contains("IncomingPhoneNumbers") { numbers } else { account };
        Deed::json(status, body)
    })
}

async fn fails(peer: Peer, settings: Value, expected: Expect) {
    let plugin = plugin(peer.port, settings);
    let failure = plugin.init().await.expect_err("it does not work");
    expected.assert_eq(&shown_failure(&failure, peer.port));
    assert!(!format!("{failure:?}{:?}", plugin.logs()).contains(TOKEN));
}

#[tokio::test]
async fn a_good_account_is_connected() {
    let peer = peer(ACTIVE, numbers());
    let plugin = plugin(peer.port, json!({}));
    plugin.init().await.unwrap();
    plugin.probe().await.unwrap();
    let asked = peer.requests();
    assert!(
        asked[0].starts_with("GET /2010-04-01/Accounts/AC00000000000000000000000000000001.json HTTP"),
        "{}",
        asked[0]
    );
    assert!(asked[1].contains("/IncomingPhoneNumbers.json?PhoneNumber=%2B15551234567 "), "{}", asked[1]);
    assert!(!format!("{:?}", plugin.logs()).contains(TOKEN));
}

#[tokio::test]
async fn a_key_that_may_not_read_the_account_is_connected() {
    let peer = peer(AUTHENTICATE, numbers());
    plugin(peer.port, with_key()).init().await.unwrap();
}

#[tokio::test]
async fn accounts_that_do_not_work() {
    let suspended = (200, r#"{"status":"suspended"}"#);
    fails(
        peer(suspended, numbers()),
        json!({}),
        expect!["account [-]: the account cannot be used: it is suspended; Twilio's console says why"],
    )
    .await;
    let closed = (200, r#"{"status":"closed"}"#);
    fails(
        peer(closed, numbers()),
        json!({}),
        expect!["account [-]: the account cannot be used: it is closed; Twilio's console says why"],
    )
    .await;
    let inactive = (403, r#"{"code":20005,"message":"Account not active","status":403}"#);
    fails(
        peer(inactive, numbers()),
        with_key(),
        expect!["account [-]: the account cannot be used: Twilio says that it is not active (Twilio 20005); Twilio's console says why"],
    )
    .await;
    fails(
        peer(NOT_FOUND, numbers()),
        json!({}),
        expect!["config_invalid [account_sid]: Twilio knows no account `AC00000000000000000000000000000001`, or the credentials belong to another one (Twilio 20404)"],
    )
    .await;
}

#[tokio::test]
async fn credentials_that_do_not_work() {
    fails(
        peer(AUTHENTICATE, AUTHENTICATE),
        json!({}),
        expect!["auth_invalid [auth_token]: Twilio refuses the account SID or the auth token (Twilio 20003)"],
    )
    .await;
    fails(
        peer(AUTHENTICATE, AUTHENTICATE),
        with_key(),
        expect!["auth_invalid [api_secret]: Twilio refuses the API key or its secret (Twilio 20003)"],
    )
    .await;
    fails(
        peer((403, "{}"), (403, "{}")),
        with_key(),
        expect!["forbidden [api_secret]: the credentials are good, but may not read account and numbers (HTTP 403)"],
    )
    .await;
}

#[tokio::test]
async fn a_number_of_somebody_else() {
    let none = (200, r#"{"incoming_phone_numbers":[]}"#);
    let words = expect![[
        r#"config_invalid [phone_number]: the account has no number `+15551234567`: Twilio's console lists those it has under "Active numbers""#
    ]];
    fails(peer(ACTIVE, none), json!({ "phone_number": NUMBER }), words).await;
}

#[tokio::test]
async fn outages() {
    let nobody = closed_port();
    let failure = plugin(nobody, json!({})).init().await.unwrap_err();
    expect!["refused [api_base_url]: nobody listens at `127.0.0.1:PORT`"]
        .assert_eq(&shown_failure(&failure, nobody));

    let silent = Peer::start(|_, _| Deed::Silence);
    fails(
        silent,
        json!({ "timeout": "100ms" }),
        expect!["timeout [-]: `127.0.0.1:PORT` gave no answer within 100ms"],
    )
    .await;
    fails(
        Peer::start(|_, _| Deed::Cut),
        json!({}),
        expect!["unavailable [-]: `127.0.0.1:PORT` broke the connection before it answered"],
    )
    .await;
    fails(
        peer((503, "down"), numbers()),
        json!({}),
        expect!["unavailable [-]: Twilio does not serve at the moment (HTTP 503)"],
    )
    .await;
    fails(
        Peer::start(|_, _| Deed::Answer(429, "Retry-After: 7\r\n", String::new())),
        json!({}),
        expect!["rate_limited [-]: Twilio asks to slow down (HTTP 429)"],
    )
    .await;
    for nonsense in ["<html>", "{}", r#"{"status":"asleep"}"#] {
        fails(
            peer((200, nonsense), numbers()),
            json!({}),
            expect!["protocol [api_base_url]: `127.0.0.1:PORT` does not answer as Twilio does: check `TWILIO_API_BASE_URL`"],
        )
        .await;
    }
    let unknown =
        plugin(1, json!({ "api_base_url": "https://no-such-host.invalid" })).init().await.unwrap_err();
    expect!["dns [api_base_url]: the name `no-such-host.invalid` does not resolve to an address"]
        .assert_eq(&shown_failure(&unknown, 1));
}

#[tokio::test]
async fn how_long_to_wait_is_handed_on() {
    let peer = Peer::start(|_, _| Deed::Answer(429, "Retry-After: 7\r\n", String::new()));
    let failure = plugin(peer.port, json!({})).init().await.unwrap_err();
    assert_eq!(failure.retry_after_ms, Some(7000));
}
