//! Whose fault a refusal is, and what is told of messages that Twilio takes and nobody delivers.

use plugin_api::{
    prelude::*,
    requests::{
        host::Trouble,
        twilio_service::{Channel, SendMessage},
    },
    serde_json::{self, Value, json},
    testing::TestInstance,
    tokio,
};

use super::setup::{Twilio, form, plugin, refusal, sms};
use crate::TwilioService;

const SERVICE: &str = "MG00000000000000000000000000000001";

fn whatsapp() -> SendMessage {
    SendMessage { channel: Channel::Whatsapp, ..sms("hi") }
}

/// The trouble of a message that Twilio refuses by this code, and the setting that it names.
async fn blamed(
    settings: Value,
    code: fn() -> OperationError,
    request: SendMessage,
) -> Option<(ReasonCode, Option<String>)> {
    let twilio = Twilio::default();
    twilio.refuses(code);
    let error = plugin(&twilio, settings).call(request).await.expect_err("it is refused");
    error.trouble.map(|code| (code, error.fix.and_then(|fix| fix.setting)))
}

#[tokio::test]
async fn a_sender_of_the_settings_that_cannot_send_is_our_trouble() {
    let service = json!({ "messaging_service_sid": SERVICE });
    let gone = || refusal(ErrorKind::Invalid, 21703);
    let named = |setting: &str| Some((ReasonCode::ConfigInvalid, Some(setting.to_owned())));
    assert_eq!(blamed(service.clone(), gone, sms("hi")).await, named("messaging_service_sid"));
    let no_sender = || refusal(ErrorKind::Denied, 63007);
    assert_eq!(blamed(json!({}), no_sender, whatsapp()).await, named("whatsapp_number"));

    let theirs = SendMessage { from: Some("+15559999999".to_owned()), ..sms("hi") };
    assert_eq!(blamed(service.clone(), gone, theirs).await, None, "the caller chose the sender");
    let opted_out = || refusal(ErrorKind::Denied, 21610);
    assert_eq!(blamed(service, opted_out, sms("hi")).await, None);
}

#[tokio::test]
async fn what_twilio_says_of_us_is_passed_on() {
    let unregistered = || refusal(ErrorKind::Denied, 30034).with_trouble(ReasonCode::Forbidden);
    assert_eq!(blamed(json!({}), unregistered, sms("hi")).await, Some((ReasonCode::Forbidden, None)));
}

/// Twilio's report on the message of this number; SMS and WhatsApp by `to`.
async fn report(
    plugin: &TestInstance<TwilioService>,
    number: u32,
    to: &str,
    status: &str,
    code: Option<u32>,
) {
    let code = code.map(|code| format!("&ErrorCode={code}")).unwrap_or_default();
    let body = format!("MessageSid=SM{number:032x}&MessageStatus={status}&To={to}{code}");
    let request = serde_json::to_value(form("https://a/", &body)).expect("it is JSON");
    plugin.call_json("receive_status", request).await.expect("it is taken");
}

fn told(plugin: &TestInstance<TwilioService>) -> Vec<(String, bool)> {
    let troubles = plugin.troubles();
    troubles.iter().map(|Trouble { key, cleared, .. }| (key.clone(), *cleared)).collect()
}

#[tokio::test]
async fn messages_that_are_not_delivered_are_told_and_two_that_arrive_end_it() {
    let plugin = plugin(&Twilio::default(), json!({}));
    let filtered = |cleared| ("messages_filtered".to_owned(), cleared);
    for number in 1..=3 {
        assert_eq!(told(&plugin), [], "{number}");
        report(&plugin, number, "%2B1555000", "sent", None).await;
        report(&plugin, number, "%2B1555000", "undelivered", Some(30007)).await;
    }
    assert_eq!(told(&plugin), [filtered(false)]);
    let trouble = plugin.troubles().remove(0);
    assert_eq!(trouble.code, Some(ReasonCode::Forbidden));
    let message = trouble.message.expect("it is told");
    assert!(message.contains("the last 3 SMSs were taken by Twilio and not delivered"), "{message}");
    assert!(message.contains("(Twilio 30007)"), "{message}");
    let fix = trouble.fix.expect("it can be mended");
    assert!(fix.href.is_some_and(|href| href.starts_with("https://console.twilio.com/")));
    assert!(fix.label.is_some());
    assert_eq!(trouble.operation, None, "Twilio takes every message: that ends nothing");

    // Milliseconds order the outcomes.
    let arrives = async |number| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        report(&plugin, number, "%2B1555000", "delivered", None).await;
    };
    arrives(4).await;
    assert_eq!(told(&plugin).len(), 1, "one may be chance");
    arrives(5).await;
    assert!(told(&plugin).contains(&filtered(true)), "{:?}", told(&plugin));
}

#[tokio::test]
async fn what_is_the_recipients_own_and_what_arrives_elsewhere_tells_nothing() {
    let plugin = plugin(&Twilio::default(), json!({}));
    for number in 1..=9 {
        report(&plugin, number, "%2B1555000", "undelivered", Some(30003)).await;
        report(&plugin, 100 + number, "whatsapp:%2B1555000", "delivered", None).await;
    }
    assert!(told(&plugin).iter().all(|(_, cleared)| *cleared), "{:?}", told(&plugin));
    report(&plugin, 200, "whatsapp:%2B1555000", "failed", Some(63112)).await;
    assert!(told(&plugin).contains(&("whatsapp_sender".to_owned(), false)), "{:?}", told(&plugin));
}
