//! What a webhook says of which call.

use plugin_api::{level::Level, prelude::HttpRequest};

use super::setup::{ADA, CALL, request};
use crate::webhook::Webhook;

fn read(path: &str, form: &[(&str, &str)]) -> Webhook {
    Webhook::read(&request(path, form), (Some(ADA), Some(Level::Attested)), Level::Attested).unwrap()
}

#[test]
fn the_other_side_is_who_rang_up_or_was_rung_up() {
    let form = [("CallSid", CALL), ("From", ADA), ("To", "+15551234567"), ("Direction", "inbound")];
    let inbound = read("", &form);
    assert_eq!((inbound.number.as_deref(), inbound.is_outbound), (Some(ADA), false));
    let form = [("CallSid", CALL), ("From", "+15551234567"), ("To", ADA), ("Direction", "outbound-api")];
    let outbound = read("", &form);
    assert_eq!((outbound.number.as_deref(), outbound.is_outbound), (Some(ADA), true));
}

#[test]
fn whoever_is_not_certain_enough_is_nobody() {
    let form = [("CallSid", CALL), ("From", ADA)];
    let person = |level: Option<Level>, known_from| {
        Webhook::read(&request("", &form), (Some(ADA), level), known_from).unwrap().person
    };
    assert_eq!(person(Some(Level::Attested), Level::Attested).as_deref(), Some(ADA));
    assert_eq!(person(Some(Level::Shown), Level::Attested), None);
    assert_eq!(person(None, Level::Attested), None, "a guard that does not say so has not seen more");
    assert_eq!(person(Some(Level::Shown), Level::Shown).as_deref(), Some(ADA));
    assert_eq!(person(Some(Level::Withheld), Level::Shown), None);
}

#[test]
fn words_come_before_keys() {
    let said = |form: &[(&str, &str)]| read("/turn", &[&[("CallSid", CALL)], form].concat()).said();
    assert_eq!(said(&[("SpeechResult", " yes\u{0} "), ("Digits", "1")]).as_deref(), Some("yes"));
    assert_eq!(said(&[("SpeechResult", "  "), ("Digits", "12#")]).as_deref(), Some("[pressed the keys 12#]"));
    assert_eq!(said(&[("SpeechResult", "")]), None);
}

#[test]
fn every_event_has_its_own_key_made_of_what_is_signed() {
    let key = |path: &str, form: &[(&str, &str)]| read(path, &[&[("CallSid", "CA1")], form].concat()).key();
    assert_eq!(key("", &[("CallStatus", "ringing")]), "/webhooks/twilio/voice:CA1");
    assert_eq!(key("/turn?n=5&silent=0", &[]), "/webhooks/twilio/voice/turn:CA1:n=5:silent=0");
    assert_eq!(
        key("/recording", &[("RecordingSid", "RE1"), ("RecordingStatus", "completed")]),
        "/webhooks/twilio/voice/recording:CA1:RE1:completed"
    );
}

#[test]
fn what_is_about_no_call_is_refused() {
    for form in [&[][..], &[("CallSid", "")], &[("CallSid", "CA1/../x")]] {
        let refused = Webhook::read(&request("", form), (None, None), Level::Attested).unwrap_err();
        assert_eq!(refused.message, "this is about no call: `CallSid` is missing");
    }
    assert!(Webhook::read(&HttpRequest::default(), (None, None), Level::Attested).is_err());
}
