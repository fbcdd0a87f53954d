//! A form becomes a message, whatever is in it.

use plugin_api::requests::twilio_service::Channel;
use proptest::prelude::*;

use super::setup::{ADA, request};
use crate::{
    inbound::{self, Inbound},
    keyword::{self, Keyword},
};

fn read(pairs: &[(&str, &str)]) -> Inbound {
    inbound::read(&request(pairs), Some(ADA), 7).expect("it is a message")
}

#[test]
fn a_message_with_all_its_parts() {
    let message = read(&[
        ("MessageSid", "MM1"),
        ("From", "whatsapp:+15550000001"),
        ("Body", "grüße 👋\0"),
        ("ProfileName", "Ada"),
        ("NumMedia", "2"),
        ("MediaUrl0", "https://api.twilio.com/0"),
        ("MediaContentType0", "image/jpeg"),
        ("MediaUrl1", "https://api.twilio.com/1"),
    ]);
    assert_eq!((message.sid.as_str(), message.channel, message.at_ms), ("MM1", Channel::Whatsapp, 7));
    assert_eq!((message.body.as_str(), message.display_name.as_deref()), ("grüße 👋", Some("Ada")));
    let kinds: Vec<_> =
        message.attachments.iter().map(|attachment| attachment.content_type.as_str()).collect();
    assert_eq!(kinds, ["image/jpeg", "application/octet-stream"]);
    assert_eq!((message.person.as_str(), message.is_person), (ADA, true));
}

#[test]
fn ten_media_and_no_text() {
    let fields: Vec<(String, String)> = (0..10)
        .flat_map(|index| {
            [
                (format!("MediaUrl{index}"), format!("https://a/{index}")),
                (format!("MediaContentType{index}"), "image/png".to_owned()),
            ]
        })
        .collect();
    let mut pairs = vec![("MessageSid", "MM1"), ("From", ADA), ("Body", ""), ("NumMedia", "10")];
    pairs.extend(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let message = read(&pairs);
    assert_eq!((message.body.as_str(), message.attachments.len()), ("", 10));
    assert_eq!(message.attachments[9].url, "https://a/9");
}

#[test]
fn a_place_is_told_in_words() {
    let place = [("MessageSid", "SM1"), ("From", ADA), ("Latitude", "52.5"), ("Longitude", "13.4")];
    assert_eq!(read(&place).body, "[a place at 52.5, 13.4]");
    let named = [&place[..], &[("Body", "here"), ("Label", "Home"), ("Address", "Street 1")]].concat();
    assert_eq!(read(&named).body, "here\n[a place at 52.5, 13.4: Home, Street 1]");
}

#[test]
fn what_is_no_message_is_refused() {
    for (pairs, expected) in [
        (vec![("From", ADA)], "this is no inbound message: `MessageSid` is missing"),
        (
            vec![("MessageSid", "SM/../1"), ("From", ADA)],
            "this is no inbound message: `MessageSid` is missing",
        ),
        (vec![("MessageSid", "SM1")], "this is no inbound message: `From` is missing"),
    ] {
        let error = inbound::read(&request(&pairs), None, 0).expect_err("it is none");
        assert_eq!(error.message, expected);
    }
}

#[test]
fn who_is_no_person_is_kept_as_they_are() {
    let message = inbound::read(&request(&[("MessageSid", "SM1"), ("From", "ACME")]), None, 0).unwrap();
    assert_eq!((message.person.as_str(), message.is_person), ("ACME", false));
}

#[test]
fn the_channel_is_that_of_the_address() {
    for (from, to, channel, sender) in [
        (ADA, "+15551234567", Channel::Sms, None),
        ("ACME", "+15551234567", Channel::Sms, None),
        ("whatsapp:US.13491208655302741918", "whatsapp:+15551234567", Channel::Whatsapp, None),
        ("rcs:+15550000001", "rcs:acme_agent", Channel::Rcs, Some("rcs:acme_agent")),
        ("RCS:+15550000001", "rcs:acme_agent", Channel::Rcs, Some("rcs:acme_agent")),
        ("client:ada", "client:bob", Channel::Other, None),
        ("messenger:1234567890", "messenger:1", Channel::Other, None),
    ] {
        let message = read(&[("MessageSid", "SM1"), ("From", from), ("To", to)]);
        assert_eq!((message.channel, message.rcs_sender.as_deref()), (channel, sender), "{from}");
    }
}

#[test]
fn keywords_are_the_word_alone() {
    for (body, expected) in [
        ("STOP", Some(Keyword::Stop)),
        (" stop. ", Some(Keyword::Stop)),
        ("\"Unsubscribe\"", Some(Keyword::Stop)),
        ("Stop!", Some(Keyword::Stop)),
        ("start", Some(Keyword::Start)),
        ("UNSTOP", Some(Keyword::Start)),
        ("Help?", Some(Keyword::Help)),
        ("info", Some(Keyword::Help)),
        ("stop it", None),
        ("please stop", None),
        ("yes", None),
        ("help me", None),
        ("", None),
        ("ＳＴＯＰ", None),
    ] {
        assert_eq!(Keyword::of(None, body), expected, "{body}");
    }
    assert!(keyword::is_yes(" YES! ") && !keyword::is_yes("yes please"));
}

#[test]
fn what_twilio_recognised_counts_more_than_the_words() {
    assert_eq!(Keyword::of(Some("STOP"), "arrêt"), Some(Keyword::Stop));
    assert_eq!(Keyword::of(Some("START"), "stop"), Some(Keyword::Start));
    assert_eq!(Keyword::of(Some("something new"), "stop"), None);
    let told = read(&[("MessageSid", "SM1"), ("From", ADA), ("Body", "aide"), ("OptOutType", "HELP")]);
    assert_eq!((told.keyword, told.is_answered), (Some(Keyword::Help), true));
    let own = read(&[("MessageSid", "SM1"), ("From", ADA), ("Body", "help")]);
    assert_eq!((own.keyword, own.is_answered), (Some(Keyword::Help), false));
}

proptest! {
    #[test]
    fn whatever_comes_is_a_message_or_an_error(
        pairs in proptest::collection::vec(("(MessageSid|SmsSid|From|Body|NumMedia|MediaUrl0|OptOutType|Latitude|Longitude|.{0,4})", ".{0,20}"), 0..10),
    ) {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Ok(message) = inbound::read(&request(&pairs), None, 0) {
            prop_assert!(!message.sid.is_empty() && !message.person.is_empty() && !message.body.contains('\0'));
        }
    }
}
