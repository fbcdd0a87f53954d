//! The doctor's webhooks to this host itself, and the addresses that Twilio has for the number.

use std::sync::{Arc, Mutex};

use plugin_api::{
    prelude::*,
    requests::{
        doctor::{Check, Examine, Verdict},
        twilio::{Heard, Identify, RehearseWebhook, RestRequest, RestResponse},
    },
    serde_json::{Value, json},
    testing::TestPlugin,
    tokio,
};

use super::setup::{NUMBER, form, identity};
use crate::{TwilioService, doctor::PATH};

const BASE: &str = "https://switchboard.example.com";

/// What a webhook of this host answers.
type World = fn(&RehearseWebhook) -> Result<Heard, OperationError>;

/// As this host answers where only messages are taken.
fn good(webhook: &RehearseWebhook) -> Result<Heard, OperationError> {
    let nonce = webhook.params.first().map(|(_, nonce)| nonce.clone()).unwrap_or_default();
    let (status, body) = match (webhook.signed, webhook.url.ends_with("/voice")) {
        (_, true) => (404, String::new()),
        (false, _) => (403, String::new()),
        (true, _) => (200, nonce),
    };
    Ok(Heard { status, body })
}

async fn examine(settings: Value, number: Value, world: World) -> Vec<Check> {
    let mut number = number;
    number["phone_number"] = NUMBER.into();
    let plugin = TestPlugin::<TwilioService>::new(settings)
        .fake("twilio", |_: Identify| Ok(identity()))
        .fake("twilio", move |_: RestRequest| {
            Ok(RestResponse { status: 200, body: json!({ "incoming_phone_numbers": [number.clone()] }) })
        })
        .fake("twilio", move |webhook: RehearseWebhook| world(&webhook))
        .create()
        .unwrap_or_else(|failure| panic!("the settings are refused: {failure}"));
    plugin.call(Examine::default()).await.expect("it always answers").checks
}

fn public() -> Value {
    json!({ "public_base_url": BASE })
}

fn verdicts(checks: &[Check]) -> Vec<Verdict> {
    checks.iter().map(|check| check.verdict).collect()
}

use Verdict::{Failed, Ok as Good, Skipped};

#[tokio::test]
async fn a_number_that_leads_here_passes() {
    let number =
        json!({ "sms_url": format!("{BASE}/webhooks/twilio/inbound-message"), "sms_method": "POST" });
    let checks = examine(public(), number, good).await;
    assert_eq!(verdicts(&checks), [Good, Good, Good, Skipped], "{checks:?}");
    assert_eq!(checks[3].seen, "no plugin of this host takes calls");
}

#[tokio::test]
async fn every_other_address_is_named_with_its_line_in_the_console() {
    let expected = format!("{BASE}/webhooks/twilio/inbound-message");
    for (number, seen) in [
        (json!({}), format!("`{NUMBER}` sends its messages nowhere")),
        (
            json!({ "sms_url": expected, "sms_method": "GET" }),
            format!("`{NUMBER}` sends its messages to `{expected}` (GET), not to `{expected}` (POST)"),
        ),
        (
            json!({ "sms_url": "https://a/b", "sms_method": "POST" }),
            format!("`{NUMBER}` sends its messages to `https://a/b` (POST), not to `{expected}` (POST)"),
        ),
    ] {
        let checks = examine(public(), number, good).await;
        assert_eq!((checks[2].verdict, checks[2].seen.as_str()), (Failed, seen.as_str()));
        let fix = checks[2].fix.as_ref().expect("it is mended in the console");
        assert!(fix.contains("\"A message comes in\" to Webhook") && fix.contains(&expected), "{fix}");
    }
    let checks = examine(public(), json!({ "sms_application_sid": "AP1" }), good).await;
    assert_eq!(checks[2].verdict, Skipped, "an application decides");
}

#[tokio::test]
async fn without_an_address_nothing_can_be_proven() {
    let checks = examine(json!({}), json!({}), good).await;
    assert_eq!(verdicts(&checks), [Skipped; 4]);
    assert!(checks.iter().all(|check| check.seen.contains("`PUBLIC_BASE_URL` is not set")));
}

#[tokio::test]
async fn a_door_that_is_open_or_shut_to_all_fails() {
    let open: World = |webhook| {
        let nonce = webhook.params.first().map(|(_, nonce)| nonce.clone()).unwrap_or_default();
        Ok(Heard { status: 200, body: nonce })
    };
    assert_eq!(verdicts(&examine(public(), json!({}), open).await)[..2], [Failed, Good]);
    let shut: World = |_| Ok(Heard { status: 403, body: String::new() });
    let checks = examine(public(), json!({}), shut).await;
    assert_eq!(verdicts(&checks)[..2], [Good, Failed]);
    assert!(checks[1].fix.as_ref().is_some_and(|fix| fix.contains("pass path, query and body on unchanged")));
    let nobody: World = |_| Err(OperationError::unavailable("nobody listens there"));
    let checks = examine(public(), json!({}), nobody).await;
    assert_eq!(verdicts(&checks)[..2], [Failed, Failed]);
    assert_eq!(checks[0].seen, format!("`{BASE}` is not reached from here: nobody listens there"));
}

#[tokio::test]
async fn the_rehearsed_webhook_is_answered_by_its_nonce() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let plugin = TestPlugin::<TwilioService>::new(public());
    let journal = seen.clone();
    let plugin = plugin.fake("twilio", move |webhook: RehearseWebhook| {
        journal.lock().unwrap().push(webhook.url.clone());
        good(&webhook)
    });
    let plugin = plugin.create().unwrap_or_else(|failure| panic!("{failure}"));
    let answer = plugin.call_json("receive_rehearsal", json!(form(BASE, "Nonce=abc"))).await.unwrap();
    assert_eq!(answer["body"]["text"], "abc");
    plugin.call(Examine::default()).await.unwrap();
    assert_eq!(seen.lock().unwrap()[..2], [format!("{BASE}{PATH}"), format!("{BASE}{PATH}")]);
}
