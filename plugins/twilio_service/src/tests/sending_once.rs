//! One idempotency key, one message: whatever Twilio answers, or does not.

use expect_test::expect;
use plugin_api::{
    error::{ErrorKind, OperationError},
    prelude::Duration,
    protocol::CallHeader,
    requests::twilio_service::{
        Channel, FindMessage, FoundMessage, LedgerKind, ListOptOuts, PlaceCall, RecordOptOut, SendMessage,
        UnknownSend, UpdateCall,
    },
    serde_json::{self, json},
    testing::{database::Database, until},
    tokio,
};

use super::setup::{ADA, Twilio, form, keyed, plugin, plugin_with, refusal, sms};
use crate::ledger::now_ms;

fn lost() -> OperationError {
    OperationError::unknown_outcome("it may have been done: `api.twilio.com` gave no answer within 10s")
}

#[tokio::test]
async fn a_repeat_is_answered_and_not_sent() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    let first = plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
    let second = plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
    assert_eq!((first.repeated, second.repeated, &first.sid), (false, true, &second.sid));
    assert_eq!((first.ledger, first.to.as_str()), (LedgerKind::Memory, ADA));
    plugin.call(sms("hi")).await.unwrap();
    plugin.call(sms("hi")).await.unwrap();
    let other = CallHeader { caller: Some("messaging_service".to_owned()), ..keyed("a") };
    assert!(!plugin.call_with(other, sms("hi")).await.unwrap().repeated);
    assert_eq!(twilio.creates().len(), 4, "no key or another caller is another message");
}

#[tokio::test]
async fn repeats_at_the_same_time_are_one_message() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    let call = || plugin.call_with(keyed("a"), sms("hi"));
    let (a, b, c) = tokio::join!(call(), call(), call());
    let repeated: usize = [a, b, c].into_iter().map(|sent| usize::from(sent.unwrap().repeated)).sum();
    assert_eq!((repeated, twilio.creates().len()), (2, 1));
}

#[tokio::test]
async fn a_key_stands_for_one_message() {
    let plugin = plugin(&Twilio::default(), json!({}));
    plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
    let error = plugin.call_with(keyed("a"), sms("bye")).await.unwrap_err();
    expect![
        "conflict: the idempotency key `a` was used for another message: use a new key for a new message"
    ]
    .assert_eq(&error.to_string());
    let call = PlaceCall { to: Some(ADA.into()), say: Some("hi".into()), ..PlaceCall::default() };
    assert!(!plugin.call_with(keyed("a"), call).await.unwrap().repeated, "a call is no message");
}

#[tokio::test]
async fn a_lost_answer_is_looked_for_at_twilio() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    twilio.loses(lost);
    let sent = plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
    assert!(!sent.repeated);
    assert!(plugin.call_with(keyed("a"), sms("hi")).await.unwrap().repeated);
    assert_eq!((twilio.creates().len(), twilio.reads()), (1, 1));
    // The same text again is another message: the one that is known is not taken for it.
    let again = plugin.call_with(keyed("b"), sms("hi")).await.unwrap();
    assert_ne!(again.sid, sent.sid);
}

#[tokio::test]
async fn a_sensitive_text_is_found_again_and_lies_in_no_table() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let plugin = plugin_with(&twilio, &database).await;
    let message = |body: &str| SendMessage { sensitive: true, ..sms(body) };
    let kept = || {
        let rows = database.run("select * from twilio_service_outbox");
        serde_json::to_string(&rows).unwrap()
    };
    twilio.refuses_once(lost);
    plugin.call_with(keyed("a"), message("your code is kiwi plum")).await.unwrap_err();
    let open = kept();
    assert!(open.contains("sealed") && !open.contains("kiwi plum"), "{open}");
    twilio.loses(lost);
    plugin.call_with(keyed("b"), message("your code is fig apple")).await.unwrap();
    assert!(plugin.call_with(keyed("b"), message("your code is fig apple")).await.unwrap().repeated);
    assert_eq!(twilio.creates().len(), 2, "it was recognised by its text");
    let sent = "select count(*) from twilio_service_outbox where state = 'sent' and body = ''";
    assert_eq!(database.number(sent), 1);
    assert!(!kept().contains("fig apple"));
    // All codes there are could be tried against a digest of the text.
    let digests = "select count(distinct fingerprint) from twilio_service_outbox";
    assert_eq!(database.number(digests), 1);
}

#[tokio::test]
async fn what_cannot_be_found_stays_unknown_and_is_not_sent_again() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    twilio.refuses(lost);
    let error = plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    expect!["unknown_outcome: the message may have been sent: `api.twilio.com` gave no answer within 10s; its outcome is being looked for, and a repeat with the same idempotency key learns it"]
        .assert_eq(&error.to_string());
    let details: UnknownSend = serde_json::from_value(error.details.unwrap()).unwrap();
    assert_eq!((details.to.as_str(), details.candidates.len()), (ADA, 0));

    let repeat = plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    assert_eq!((repeat.kind, twilio.creates().len()), (ErrorKind::UnknownOutcome, 1));
}

/// A step of the clock makes the lease of what is under way here look long over.
#[tokio::test]
async fn what_is_under_way_here_is_not_taken_for_lost() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let plugin = plugin_with(&twilio, &database).await;
    let release = twilio.holds_once();
    let meanwhile = async {
        twilio.wait_for_a_create().await;
        database.run("update twilio_service_outbox set lease_ms = 0, sending_ms = 0");
        let hurried = CallHeader { deadline_ms: Some(1_000), ..keyed("a") };
        let repeat = plugin.call_with(hurried, sms("hi")).await.unwrap_err();
        let found = plugin.call(FindMessage { key: "a".to_owned() }).await.unwrap();
        assert_eq!(found, FoundMessage::Open { why: "it is being sent".to_owned() });
        release.send(()).unwrap();
        repeat.kind
    };
    let (first, repeat) = tokio::join!(plugin.call_with(keyed("a"), sms("hi")), meanwhile);
    assert_eq!((first.unwrap().repeated, repeat), (false, ErrorKind::Deadline));
    assert_eq!(twilio.creates().len(), 1);
    assert!(plugin.call_with(keyed("a"), sms("hi")).await.unwrap().repeated);
}

#[tokio::test]
async fn the_ledger_tells_what_went_out_and_sends_nothing() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    let find = |key: &str| plugin.call(FindMessage { key: key.to_owned() });
    assert_eq!(find("a").await.unwrap(), FoundMessage::NotSent, "nobody sent it");
    let sent = plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
    plugin.call(RecordOptOut { address: ADA.to_owned(), opted_out: true }).await.unwrap();
    assert!(matches!(find("a").await.unwrap(), FoundMessage::Sent { sid, .. } if sid == sent.sid));
    plugin.call_with(keyed("b"), sms("hi")).await.unwrap_err();
    assert_eq!(find("b").await.unwrap(), FoundMessage::NotSent, "the recipient opted out");
    let other = CallHeader { caller: Some("messaging_service".to_owned()), ..CallHeader::default() };
    let found = plugin.call_with(other, FindMessage { key: "a".to_owned() }).await.unwrap();
    assert_eq!(found, FoundMessage::NotSent);

    plugin.call(RecordOptOut { address: ADA.to_owned(), opted_out: false }).await.unwrap();
    twilio.refuses(lost);
    plugin.call_with(keyed("c"), sms("hi")).await.unwrap_err();
    assert!(matches!(find("c").await.unwrap(), FoundMessage::Open { .. }), "an answer, and no failure");
    twilio.set_ahead(130_000);
    assert_eq!(find("c").await.unwrap(), FoundMessage::NotSent);
    assert_eq!(twilio.creates().len(), 2);
}

/// Twilio's clock is not known before its first answer, and ours may be ahead of it or behind.
#[tokio::test]
async fn our_clock_settles_nothing() {
    for (is_known_when_sent, ahead_ms) in [(true, -200_000), (false, 200_000)] {
        let twilio = Twilio::default();
        let plugin = plugin(&twilio, json!({}));
        let find = || plugin.call(FindMessage { key: "a".to_owned() });
        twilio.set_ahead(ahead_ms);
        twilio.set_without_clock(!is_known_when_sent);
        twilio.refuses(lost);
        plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
        twilio.set_without_clock(is_known_when_sent);
        let found = find().await.unwrap();
        assert!(matches!(found, FoundMessage::Open { .. }), "{is_known_when_sent}: {found:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_begun_is_not_sent_and_not_in_doubt() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    // Once for the draft: what fails is the look at Twilio's clock.
    twilio.identifies(1);
    let error = plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    expect!["unavailable: not sent: the plugin panicked"].assert_eq(&error.to_string());
    assert_eq!(twilio.creates().len(), 0);
    let found = plugin.call(FindMessage { key: "a".to_owned() }).await.unwrap();
    assert_eq!(found, FoundMessage::NotSent);
    twilio.works();
    assert!(!plugin.call_with(keyed("a"), sms("hi")).await.unwrap().repeated, "the key is free at once");
}

/// A process that is gone had claimed it, and sent nothing: on SQLite there is no other process, and nobody waits for it.
#[tokio::test]
async fn what_a_process_that_is_gone_only_claimed_is_sent_at_once() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let before = plugin_with(&twilio, &database).await;
    before.call_with(keyed("a"), sms("hi")).await.unwrap();
    before.stop().await.unwrap();
    database.run(&format!(
        "update twilio_service_outbox set state = 'claimed', sid = null, owner = 'gone', lease_ms = {}",
        now_ms() + 20_000
    ));
    let plugin = plugin_with(&twilio, &database).await;
    assert!(!plugin.call_with(keyed("a"), sms("hi")).await.unwrap().repeated);
    assert_eq!(twilio.creates().len(), 2);
}

/// Nobody asks for it again, since its recipient opted out meanwhile.
#[tokio::test]
async fn what_was_only_claimed_ends_by_itself_and_its_text_is_forgotten() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let before = plugin_with(&twilio, &database).await;
    before.call_with(keyed("a"), sms("hi")).await.unwrap();
    before.stop().await.unwrap();
    database.run("update twilio_service_outbox set state = 'claimed', sid = null, owner = 'gone', lease_ms = 1, body = 'hi'");
    let plugin = plugin_with(&twilio, &database).await;
    let ended = "select count(*) from twilio_service_outbox where state = 'failed' and body = ''";
    until("the claim to end", async || database.number(ended), |ended| *ended == 1).await;
    assert!(!plugin.call_with(keyed("a"), sms("hi")).await.unwrap().repeated, "the key is free");
}

#[tokio::test]
async fn what_twilio_has_is_found_whatever_this_hosts_clock_says() {
    for ahead_ms in [-3_600_000, -100_000, 100_000, 3_600_000] {
        let twilio = Twilio::default();
        twilio.set_ahead(ahead_ms);
        let plugin = plugin(&twilio, json!({}));
        twilio.loses(lost);
        let sent = plugin.call_with(keyed("a"), sms("hi")).await;
        assert!(sent.is_ok_and(|sent| !sent.repeated), "{ahead_ms}");
    }
}

#[tokio::test]
async fn what_twilio_does_not_have_is_sent_again_after_two_minutes_of_its_clock() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    twilio.refuses(lost);
    plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    twilio.works();
    twilio.set_ahead(110_000);
    let repeat = plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    assert_eq!(repeat.kind, ErrorKind::UnknownOutcome);
    twilio.set_ahead(130_000);
    assert!(!plugin.call_with(keyed("a"), sms("hi")).await.unwrap().repeated);
    assert_eq!(twilio.creates().len(), 2);
}

/// It was written down while the clock of the database was a day behind.
#[tokio::test]
async fn what_is_young_by_twilios_clock_is_looked_for_whatever_the_databases_clock_says() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let before = plugin_with(&twilio, &database).await;
    twilio.refuses(lost);
    before.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    before.stop().await.unwrap();
    twilio.works();
    twilio.set_ahead(130_000);
    database.run("update twilio_service_outbox set created_ms = created_ms - 90000000, lease_ms = 1");
    let _plugin = plugin_with(&twilio, &database).await;
    let decided = "select count(*) from twilio_service_outbox where state = 'failed'";
    until("the entry to be decided", async || database.number(decided), |decided| *decided == 1).await;
}

#[tokio::test]
async fn a_template_that_may_have_gone_names_what_it_may_be() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    twilio.loses(lost);
    let template = SendMessage { body: None, content_sid: Some(format!("HX{}", "0".repeat(32))), ..sms("") };
    let error = plugin.call_with(keyed("a"), template).await.unwrap_err();
    let details: UnknownSend = serde_json::from_value(error.details.unwrap()).unwrap();
    assert_eq!(details.candidates.len(), 1);
}

#[tokio::test]
async fn what_was_certainly_not_sent_may_be_sent_again() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    twilio.refuses(|| OperationError::unavailable("nothing was sent: nobody listens"));
    let error = plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    expect!["unavailable: not sent: nothing was sent: nobody listens"].assert_eq(&error.to_string());
    twilio.works();
    assert!(!plugin.call_with(keyed("a"), sms("hi")).await.unwrap().repeated);
}

#[tokio::test]
async fn without_time_nothing_is_sent() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    let hurried = CallHeader { deadline_ms: Some(400), ..keyed("a") };
    let error = plugin.call_with(hurried, sms("hi")).await.unwrap_err();
    expect!["deadline: not sent: the caller's time is over"].assert_eq(&error.to_string());
    assert_eq!(twilio.creates().len(), 0);
    plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
}

#[tokio::test]
async fn who_opted_out_gets_no_message_and_twilio_is_not_asked() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    let stop = RecordOptOut { address: ADA.to_owned(), opted_out: true };
    plugin.call(stop.clone()).await.unwrap();
    let error = plugin.call(sms("hi")).await.unwrap_err();
    expect!["denied: not sent: `+15550000001` opted out; only they can change that, by writing START to the sender"]
        .assert_eq(&error.to_string());
    assert_eq!(twilio.creates().len(), 0);
    plugin.call(SendMessage { channel: Channel::Whatsapp, ..sms("hi") }).await.unwrap();
    let listed = plugin.call(ListOptOuts::default()).await.unwrap().addresses;
    assert_eq!(listed, [ADA.to_owned(), format!("rcs:{ADA}")], "Twilio keeps one opt-out for both");
    plugin.call(RecordOptOut { opted_out: false, ..stop }).await.unwrap();
    plugin.call(sms("hi")).await.unwrap();
    let nobody = RecordOptOut { address: "ada".to_owned(), opted_out: true };
    assert_eq!(plugin.call(nobody).await.unwrap_err().kind, ErrorKind::Invalid);
}

fn too_many() -> OperationError {
    OperationError::overloaded("Twilio did not do it: too many requests").retry_after(Duration::ZERO)
}

#[tokio::test]
async fn too_many_requests_are_sent_again() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    twilio.refuses_once(too_many);
    let sent = plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
    assert_eq!((sent.repeated, twilio.creates().len()), (false, 2));
    twilio.refuses_once(too_many);
    let call = PlaceCall { to: Some(ADA.into()), say: Some("hi".into()), ..PlaceCall::default() };
    let placed = plugin.call_with(keyed("b"), call).await.unwrap();
    assert_eq!(twilio.creates().len(), 4);
    twilio.refuses_once(too_many);
    let hang_up = UpdateCall { sid: placed.sid, hang_up: true, ..UpdateCall::default() };
    plugin.call(hang_up).await.unwrap();
    assert_eq!(twilio.creates().len(), 6);
}

#[tokio::test]
async fn a_wait_beyond_the_callers_time_is_handed_on() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    twilio.refuses_once(|| too_many().retry_after(Duration::from_secs(60)));
    let error = plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after_ms), (ErrorKind::Overloaded, Some(60_000)));
    assert_eq!(twilio.creates().len(), 1);
}

#[tokio::test]
async fn a_stop_while_twilio_asks_to_wait_is_heeded() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let plugin = plugin_with(&twilio, &database).await;
    let stopped = database.clone();
    twilio.refuses_once(move || {
        stopped.run(&format!("insert into twilio_service_opt_outs values ('{ADA}', 0)"));
        too_many()
    });
    let error = plugin.call_with(keyed("a"), sms("hi")).await.unwrap_err();
    assert_eq!((error.kind, twilio.creates().len()), (ErrorKind::Denied, 1));
    assert_eq!(database.number("select count(*) from twilio_service_outbox where state = 'failed'"), 1);
}

#[tokio::test]
async fn a_repeat_after_a_stop_learns_that_it_was_sent() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    let sent = plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
    plugin.call(RecordOptOut { address: ADA.to_owned(), opted_out: true }).await.unwrap();
    let repeat = plugin.call_with(keyed("a"), sms("hi")).await.unwrap();
    assert_eq!((repeat.repeated, repeat.sid), (true, sent.sid));
}

#[tokio::test]
async fn an_opt_out_holds_for_sms_and_rcs_and_not_for_whatsapp() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({ "whatsapp_number": "+15551234567" }));
    let by = |channel| {
        let from = (channel == Channel::Rcs).then(|| "rcs:acme_agent".to_owned());
        SendMessage { channel, from, ..sms("hi") }
    };
    for address in [format!("rcs:{ADA}"), ADA.to_owned()] {
        for (opted_out, expected) in [(true, Some(ErrorKind::Denied)), (false, None)] {
            plugin.call(RecordOptOut { address: address.clone(), opted_out }).await.unwrap();
            for channel in [Channel::Sms, Channel::Rcs] {
                let refused = plugin.call(by(channel)).await.err().map(|error| error.kind);
                assert_eq!(refused, expected, "{address} {channel:?} {opted_out}");
            }
            plugin.call(by(Channel::Whatsapp)).await.unwrap();
        }
    }
    let whatsapp = format!("whatsapp:{ADA}");
    plugin.call(RecordOptOut { address: whatsapp.clone(), opted_out: true }).await.unwrap();
    assert_eq!(plugin.call(by(Channel::Whatsapp)).await.unwrap_err().kind, ErrorKind::Denied);
    plugin.call(by(Channel::Rcs)).await.unwrap();
    assert_eq!(plugin.call(ListOptOuts::default()).await.unwrap().addresses, [whatsapp]);
}

#[tokio::test]
async fn an_opt_out_that_twilio_tells_of_is_noted() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    twilio.refuses(|| refusal(ErrorKind::Denied, 21610));
    assert_eq!(plugin.call(sms("hi")).await.unwrap_err().kind, ErrorKind::Denied);
    twilio.works();
    assert_eq!(plugin.call(sms("hi")).await.unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(twilio.creates().len(), 1);
}

/// Refused, or reported later, an SMS tells as much of RCS, and the other way round.
#[tokio::test]
async fn an_opt_out_that_twilio_tells_of_holds_for_sms_and_rcs() {
    let from = Some("rcs:acme_agent".to_owned());
    let rcs = SendMessage { channel: Channel::Rcs, from, ..sms("hi") };
    for (first, other, to) in
        [(sms("hi"), rcs.clone(), ADA.to_owned()), (rcs, sms("hi"), format!("rcs:{ADA}"))]
    {
        let twilio = Twilio::default();
        let refused = plugin(&twilio, json!({}));
        twilio.refuses(|| refusal(ErrorKind::Denied, 21610));
        refused.call(first).await.unwrap_err();
        twilio.works();
        assert_eq!(refused.call(other.clone()).await.unwrap_err().kind, ErrorKind::Denied, "{to}");

        let reported = plugin(&twilio, json!({}));
        let to = to.replace('+', "%2B");
        let report = format!("MessageSid=SM{:032x}&MessageStatus=undelivered&ErrorCode=21610&To={to}", 9);
        reported
            .call_json("receive_status", json!(form("https://a/webhooks/twilio/status", &report)))
            .await
            .unwrap();
        assert_eq!(reported.call(other).await.unwrap_err().kind, ErrorKind::Denied, "{to}");
        assert_eq!(twilio.creates().len(), 1);
    }
}

/// As an earlier version wrote it.
#[tokio::test]
async fn an_opt_out_at_one_address_alone_holds_for_those_it_belongs_to() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let plugin = plugin_with(&twilio, &database).await;
    plugin.call(ListOptOuts::default()).await.unwrap();
    database.run(&format!("insert into twilio_service_opt_outs values ('rcs:{ADA}', 0)"));
    assert_eq!(plugin.call(sms("hi")).await.unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(twilio.creates().len(), 0);
    let listed = plugin.call(ListOptOuts { address: Some(ADA.to_owned()) }).await.unwrap();
    assert_eq!(listed.addresses, [format!("rcs:{ADA}")]);
}

#[tokio::test]
async fn left_out_the_recipient_is_the_person() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    let header = CallHeader { person: Some(ADA.to_owned()), ..CallHeader::default() };
    let sent = plugin.call_with(header, SendMessage { to: None, ..sms("hi") }).await.unwrap();
    assert_eq!(sent.to, ADA);
}
