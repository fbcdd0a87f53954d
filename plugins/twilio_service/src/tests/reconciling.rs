//! What is certain of a message or call whose answer was lost.

use plugin_api::serde_json::{Value, json};
use proptest::prelude::*;

use super::setup::{ADA, NUMBER};
use crate::{
    draft::{Kind, Mark},
    ledger::{Entry, State},
    reconcile::{Candidate, Verdict, candidates, decide},
};

const SENT_AT: i64 = 1_800_000_000_000;
const MINUTE: i64 = 60_000;

fn entry(kind: Kind, mark: Mark) -> Entry {
    Entry {
        id: "E1".to_owned(),
        kind,
        fingerprint: String::new(),
        state: State::Unknown,
        owner: String::new(),
        lease_ms: 0,
        to: ADA.to_owned(),
        from: NUMBER.to_owned(),
        mark,
        sensitive: false,
        media: 0,
        sid: String::new(),
        status: String::new(),
        sending_ms: SENT_AT,
        created_ms: SENT_AT,
    }
}

fn body(text: &str) -> Mark {
    Mark::Body(text.to_owned())
}

fn candidate(sid: &str, body: &str) -> Candidate {
    Candidate {
        sid: sid.to_owned(),
        status: "sent".to_owned(),
        created_ms: SENT_AT,
        body: body.to_owned(),
        media: 0,
    }
}

fn sent(sid: &str) -> Verdict {
    Verdict::Sent { sid: sid.to_owned(), status: "sent".to_owned() }
}

#[test]
fn a_message_is_found_by_its_text() {
    let decide =
        |found: &[Candidate]| decide(&entry(Kind::Message, body("hi")), found, true, Some(SENT_AT + MINUTE));
    assert_eq!(decide(&[candidate("SM1", "hi")]), sent("SM1"));
    assert_eq!(
        decide(&[candidate("SM0", "bye"), candidate("SM1", "hi"), candidate("SM2", "hi")]),
        sent("SM1")
    );
    assert_eq!(decide(&[candidate("SM1", "Sent from your Twilio trial account - hi")]), sent("SM1"));
    let with_picture = Candidate { media: 1, ..candidate("SM1", "hi") };
    assert_eq!(decide(&[with_picture]), Verdict::Undecided(vec![]));
    assert_eq!(decide(&[candidate("SM1", "oh hi")]), Verdict::Undecided(vec![]));
}

#[test]
fn what_twilio_does_not_have_after_a_while_was_not_sent() {
    let decide =
        |are_all, waited| decide(&entry(Kind::Message, body("hi")), &[], are_all, Some(SENT_AT + waited));
    assert_eq!(decide(true, MINUTE), Verdict::Undecided(vec![]));
    assert_eq!(decide(true, 3 * MINUTE), Verdict::NotSent);
    assert_eq!(decide(false, 3 * MINUTE), Verdict::Undecided(vec![]), "there is more to read");
}

#[test]
fn a_template_cannot_be_recognised() {
    let decide = |found: &[Candidate]| {
        decide(&entry(Kind::Message, Mark::Template), found, true, Some(SENT_AT + 3 * MINUTE))
    };
    assert_eq!(decide(&[candidate("SM1", "Dear Ada")]), Verdict::Undecided(vec!["SM1".to_owned()]));
    assert_eq!(decide(&[]), Verdict::NotSent);
}

#[test]
fn one_call_is_it_and_two_are_not() {
    let decide =
        |found: &[Candidate]| decide(&entry(Kind::Call, Mark::Call), found, true, Some(SENT_AT + MINUTE));
    assert_eq!(decide(&[candidate("CA1", "")]), sent("CA1"));
    let two = vec!["CA1".to_owned(), "CA2".to_owned()];
    assert_eq!(decide(&[candidate("CA1", ""), candidate("CA2", "")]), Verdict::Undecided(two));
}

fn listed(to: &str, from: &str, direction: &str, date: &str) -> Value {
    json!({
        "sid": "SM1", "status": "sent", "to": to, "from": from, "direction": direction, "body": "hi",
        "date_created": date, "num_media": "0",
    })
}

#[test]
fn only_what_went_the_same_way_since_then_counts() {
    let message = entry(Kind::Message, body("hi"));
    let count = |item: Value, next: Value| {
        let answer = json!({ "messages": [item], "next_page_uri": next });
        candidates(&message, &answer).map(|(found, are_all)| (found.len(), are_all))
    };
    let at = "Fri, 15 Jan 2027 08:00:00 +0000";
    let earlier = "Fri, 15 Jan 2027 07:58:59 +0000";
    let out = "outbound-api";
    assert_eq!(count(listed(ADA, NUMBER, out, at), Value::Null), Some((1, true)));
    assert_eq!(count(listed(ADA, NUMBER, out, at), json!("/next")), Some((1, false)));
    assert_eq!(count(listed(ADA, NUMBER, out, earlier), json!("/next")), Some((0, true)));
    assert_eq!(count(listed(ADA, "+15559", out, at), Value::Null), Some((0, true)));
    assert_eq!(count(listed("+15559", NUMBER, out, at), Value::Null), Some((0, true)));
    assert_eq!(count(listed(ADA, NUMBER, "inbound", at), Value::Null), Some((0, true)));
    assert_eq!(count(listed(ADA, NUMBER, out, "yesterday"), Value::Null), None);
    assert_eq!(candidates(&message, &json!({})), None);
}

proptest! {
    #[test]
    fn whatever_twilio_answers_is_no_panic(text in "[ -~]{0,20}", number: i64, list in "messages|calls") {
        let message = entry(Kind::Message, body("hi"));
        for item in [json!(text), json!(number), json!({ "sid": text, "date_created": text }), json!({ "num_media": number })] {
            let _ = candidates(&message, &json!({ &list: [item], "next_page_uri": text }));
        }
    }

    #[test]
    fn never_not_sent_while_there_is_something(bodies in proptest::collection::vec("hi|bye", 1..5), waited in 0..10 * MINUTE) {
        let found: Vec<_> = bodies.iter().enumerate().map(|(n, text)| candidate(&format!("SM{n}"), text)).collect();
        let verdict = decide(&entry(Kind::Message, body("hi")), &found, true, Some(SENT_AT + waited));
        prop_assert_eq!(matches!(verdict, Verdict::Sent { .. }), bodies.iter().any(|text| text == "hi"));
    }
}
