//! Who is behind a webhook: the same person on every channel, and nobody where it is not sure.

use plugin_api::{
    error::ErrorKind,
    requests::http::{Admission, HttpRequest},
    serde_json::{self, json},
    tokio,
};
use proptest::prelude::*;

use super::setup::{Twilio, form, plugin};
use crate::guard;

#[track_caller]
fn check(body: &str, expected: Option<&str>) {
    let params = form("https://a/", body).form().unwrap();
    assert_eq!(guard::person(&params).as_deref(), expected, "{body}");
}

#[test]
fn who_writes_or_calls_is_the_person() {
    let ada = Some("+15550000001");
    check("MessageSid=SM1&SmsStatus=received&From=%2B15550000001&To=%2B15551234567", ada);
    check("MessageSid=SM1&SmsStatus=received&From=whatsapp%3A%2B15550000001", ada);
    check("MessageSid=SM1&SmsStatus=received&From=rcs%3A%2B15550000001&To=rcs%3Aacme_agent", ada);
    let hidden = "whatsapp:US.13491208655302741918";
    check("MessageSid=SM1&SmsStatus=received&From=whatsapp%3AUS.13491208655302741918&WaId=", Some(hidden));
    check("CallSid=CA1&Direction=inbound&From=%2B15550000001", ada);
    check("CallSid=CA1&Direction=inbound&From=%2B15550000001&StirVerstat=TN-Validation-Passed-A", ada);
    check("CallSid=CA1&Direction=inbound&From=%2B15550000001&StirVerstat=No-TN-Validation", ada);
    check("CallSid=CA1&Direction=outbound-api&From=%2B15551234567&To=%2B15550000001", ada);
}

#[test]
fn nobody_is_guessed() {
    check("CallSid=CA1&Direction=inbound&From=%2B15550000001&StirVerstat=TN-Validation-Failed-C", None);
    check("MessageSid=SM1&MessageStatus=delivered&From=%2B15551234567&To=%2B15550000001", None);
    check("CallSid=CA1&Direction=inbound&From=client%3Aada", None);
    check("CallSid=CA1&Direction=inbound&From=sip%3Aada%40example.com", None);
    check("CallSid=CA1&Direction=inbound&From=%2B266696687", None);
    check("MessageSid=SM1&From=ACME", None);
    check("MessageSid=SM1&From=rcs%3Aacme_agent", None);
    check("MessageSid=SM1&From=messenger%3A1234567890", None);
    check("MessageSid=SM1&From=whatsapp%3Aada", None);
    check("MessageSid=SM1&From=%2B15550000001&From=%2B15550000002", None);
    check("MessageSid=SM1", None);
    check("", None);
}

#[tokio::test]
async fn the_guard_admits_what_twilio_signed() {
    let plugin = plugin(&Twilio::default(), json!({}));
    let verify = async |request: HttpRequest| {
        let request = serde_json::to_value(&request).unwrap();
        let answer = plugin.call_json("verify_webhook", request).await?;
        Ok::<Admission, plugin_api::error::OperationError>(serde_json::from_value(answer).unwrap())
    };
    let good = form("https://a/", "MessageSid=SM1&From=%2B15550000001");
    assert_eq!(verify(good.clone()).await.unwrap().person.as_deref(), Some("+15550000001"));
    let unsigned = HttpRequest { headers: Vec::new(), ..good };
    assert_eq!(verify(unsigned).await.unwrap_err().kind, ErrorKind::Denied);
}

proptest! {
    #[test]
    fn whatever_is_said_only_who_can_be_written_to_is_a_person(
        params in proptest::collection::vec(("(CallSid|From|To|Direction|StirVerstat|MessageStatus|.{0,3})", "(whatsapp:)?\\+?[0-9]{0,18}|.{0,8}"), 0..8),
    ) {
        if let Some(person) = guard::person(&params) {
            prop_assert!(plugin_api::phone::is_person(&person), "{person}");
        }
    }
}
