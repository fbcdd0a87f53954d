//! Who is behind a webhook: the same person on every channel, and nobody where it is not sure.

use plugin_api::{
    error::ErrorKind,
    level::Level,
    requests::http::{Admission, HttpRequest},
    serde_json::{self, json},
    tokio,
};
use proptest::prelude::*;

use super::setup::{Twilio, form, plugin};
use crate::guard;

const NUMBER: &str = "+15551234567";

#[track_caller]
fn check(body: &str, person: Option<&str>, level: Option<Level>) {
    let params = form("https://a/", body).form().unwrap();
    let admission = guard::admission(&params, &[NUMBER]);
    assert_eq!((admission.person.as_deref(), admission.level), (person, level), "{body}");
}

#[test]
fn who_writes_or_calls_is_the_person_as_far_as_the_channel_proves_it() {
    let ada = Some("+15550000001");
    let (shown, attested, signed) = (Some(Level::Shown), Some(Level::Attested), Some(Level::Signed));
    check("MessageSid=SM1&SmsStatus=received&From=%2B15550000001&To=%2B15551234567", ada, shown);
    check("MessageSid=SM1&SmsStatus=received&From=whatsapp%3A%2B15550000001", ada, signed);
    check("MessageSid=SM1&SmsStatus=received&From=rcs%3A%2B15550000001&To=rcs%3Aacme_agent", ada, shown);
    let hidden = Some("whatsapp:US.13491208655302741918");
    check("MessageSid=SM1&SmsStatus=received&From=whatsapp%3AUS.13491208655302741918&WaId=", hidden, signed);
    let call = |more: &str| format!("CallSid=CA1&Direction=inbound&From=%2B15550000001{more}");
    check(&call(""), ada, shown);
    check(&call("&StirVerstat=TN-Validation-Passed-A"), ada, attested);
    for weaker in [
        "No-TN-Validation",
        "TN-Validation-Passed-B",
        "TN-Validation-Passed-C",
        "TN-Validation-Passed-A-Passthrough",
        "tn-validation-passed-a",
        "",
        "TN-Validation-Passed-A&StirVerstat=TN-Validation-Passed-C",
    ] {
        check(&call(&format!("&StirVerstat={weaker}")), ada, shown);
    }
    check("CallSid=CA1&Direction=outbound-api&From=%2B15551234567&To=%2B15550000001", ada, attested);
}

#[test]
fn nobody_is_guessed() {
    let withheld = Some(Level::Withheld);
    check(
        "CallSid=CA1&Direction=inbound&From=%2B15550000001&StirVerstat=TN-Validation-Failed-C",
        None,
        withheld,
    );
    check("MessageSid=SM1&MessageStatus=delivered&From=%2B15551234567&To=%2B15550000001", None, None);
    check("CallSid=CA1&Direction=inbound&From=client%3Aada", None, withheld);
    check("CallSid=CA1&Direction=inbound&From=sip%3Aada%40example.com", None, withheld);
    check("CallSid=CA1&Direction=inbound&From=%2B266696687", None, withheld);
    let attested = "CallSid=CA1&Direction=inbound&From=%2B266696687&StirVerstat=TN-Validation-Passed-A";
    check(attested, None, withheld);
    check("MessageSid=SM1&From=ACME", None, withheld);
    check("MessageSid=SM1&From=rcs%3Aacme_agent", None, withheld);
    check("MessageSid=SM1&From=messenger%3A1234567890", None, withheld);
    check("MessageSid=SM1&From=whatsapp%3Aada", None, withheld);
    check("MessageSid=SM1&From=%2B15550000001&From=%2B15550000002", None, withheld);
    check("MessageSid=SM1", None, withheld);
    check("", None, withheld);
}

#[test]
fn a_number_of_the_account_is_nobody() {
    let own = Some(Level::Own);
    check("MessageSid=SM1&From=%2B15551234567", None, own);
    check("MessageSid=SM1&From=whatsapp%3A%2B15551234567", None, own);
    check("CallSid=CA1&Direction=inbound&From=%2B15551234567&StirVerstat=TN-Validation-Passed-A", None, own);
    check("CallSid=CA1&Direction=outbound-api&From=%2B15559999999&To=%2B15551234567", None, own);
    // Whatever number was reached is ours, also if no setting names it.
    check("MessageSid=SM1&From=%2B15559999999&To=%2B15559999999", None, own);
    check("MessageSid=SM1&From=%2B15559999999&To=whatsapp%3A%2B15559999999", None, own);
    check("CallSid=CA1&Direction=outbound-api&From=%2B15559999999&To=%2B15559999999", None, own);
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
        params in proptest::collection::vec(("(CallSid|From|To|Direction|StirVerstat|MessageStatus|.{0,3})", "(whatsapp:)?\\+?[0-9]{0,18}|TN-Validation-Passed-[AB]|outbound-api|.{0,8}"), 0..8),
    ) {
        let admission = guard::admission(&params, &[]);
        if admission.person.is_none() {
            prop_assert!(admission.level.is_none_or(|level| level < Level::Shown));
        }
        if let Some(person) = admission.person {
            prop_assert!(plugin_api::phone::is_person(&person), "{person}");
            let is_signed = params.iter().any(|(name, from)| name == "From" && from.starts_with("whatsapp:"));
            prop_assert_eq!(admission.level == Some(Level::Signed), is_signed && !params.iter().any(|(name, _)| name == "CallSid"));
            let verdict = |verdict: &str| params.iter().any(|(name, value)| name == "StirVerstat" && value == verdict);
            let is_ours = params.iter().any(|(name, value)| name == "Direction" && value.starts_with("outbound"));
            prop_assert!(admission.level != Some(Level::Attested) || verdict("TN-Validation-Passed-A") || is_ours);
        }
    }
}
