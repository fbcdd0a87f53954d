//! A text goes once, in parts, by a way that works, and whoever asks learns what became of it.

use std::sync::Arc;

use plugin_api::{
    error::{ErrorKind, OperationError},
    prelude::Duration,
    protocol::CallHeader,
    requests::{
        messaging::{ListUnprocessed, Retry, Send, SendState},
        twilio_service::{Channel, FoundMessage},
    },
    serde_json::{self, json},
    tokio,
};

use super::setup::{ADA, World, away, now_ms, text, wait, whatsapp};

fn to_ada(words: &str) -> Send {
    Send { to: Some(ADA.to_owned()), text: words.to_owned(), ..Send::default() }
}

fn keyed(key: &str) -> CallHeader {
    CallHeader { idempotency_key: Some(key.to_owned()), ..CallHeader::default() }
}

#[tokio::test]
async fn a_text_goes_once_and_is_remembered() {
    let world = World::default();
    let (one, other) = (world.host().await, world.host().await);
    let first = one.call_with(keyed("k"), to_ada("hello")).await.unwrap();
    assert_eq!((first.state, first.repeated, first.to.as_str()), (SendState::Sent, false, ADA));
    assert_eq!(first.parts[0].sid.as_deref(), Some("SMout0"));
    let again = other.call_with(keyed("k"), to_ada("hello")).await.unwrap();
    assert_eq!((again.id, again.repeated, again.parts), (first.id, true, first.parts));
    let conflict = one.call_with(keyed("k"), to_ada("something else")).await.unwrap_err();
    assert_eq!(conflict.kind, ErrorKind::Conflict);
    assert_eq!(
        conflict.message,
        "the idempotency key `k` was used for another text: use a new key for a new text"
    );
    assert_eq!(world.texts(), ["hello"]);
    world.settles(&one).await;
    assert_eq!(world.said(ADA), ["sms assistant: hello"]);
}

#[tokio::test]
async fn many_at_once_with_one_key_are_one() {
    let world = World::default();
    let hosts = [world.host().await, world.host().await];
    let send = |index: usize| hosts[index % 2].call_with(keyed("k"), to_ada("once"));
    let sent = tokio::join!(send(0), send(1), send(2), send(3));
    assert!(sent.0.is_ok() && sent.1.is_ok() && sent.2.is_ok() && sent.3.is_ok(), "{sent:?}");
    assert_eq!(world.texts(), ["once"]);
}

#[tokio::test]
async fn a_long_text_goes_in_parts_with_the_media_first() {
    let world = World::default();
    let host = world.host().await;
    let long = Send { media_urls: vec!["https://a/1.png".to_owned()], ..to_ada(&"A sentence. ".repeat(200)) };
    let sent = host.call(long).await.unwrap();
    assert_eq!((sent.state, sent.parts.len()), (SendState::Sent, 2));
    let state = world.state();
    assert_eq!((state.sent[0].1.media_urls.len(), state.sent[1].1.media_urls.len()), (1, 0));
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_is_stored() {
    let world = World::default();
    let host = world.host().await;
    for (request, expected) in [
        (Send::default(), "`to` is missing, and the call is not on behalf of a person with a number"),
        (to_ada(" "), "there is nothing to send: give `text` or `media_urls`"),
        (
            Send { to: Some("0155".to_owned()), ..to_ada("x") },
            "`0155` is no phone number: expected `+`, the country and the number, without spaces, such as `+15551234567`",
        ),
        (
            Send { media_urls: vec!["file:///etc".to_owned()], ..to_ada("x") },
            "`file:///etc` is no address that Twilio could fetch",
        ),
        (
            Send { media_urls: vec!["https://a".to_owned(); 11], ..to_ada("x") },
            "`media_urls` are more than 10",
        ),
        (to_ada(&"x".repeat(70_000)), "`text` has more than 65536 bytes"),
    ] {
        let refused = host.call(request).await.unwrap_err();
        assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Invalid, expected));
    }
    assert_eq!(world.database.run("select 1 as one from messaging_service_outbox").len(), 0);
}

#[tokio::test]
async fn without_a_number_it_is_the_person_of_the_call() {
    let world = World::default();
    let host = world.host().await;
    let header = CallHeader { person: Some(ADA.to_owned()), ..CallHeader::default() };
    let sent = host.call_with(header, Send { text: "hi".to_owned(), ..Send::default() }).await.unwrap();
    assert_eq!(sent.to, ADA);
}

#[tokio::test]
async fn whatsapp_takes_texts_for_a_day_and_then_only_by_template() {
    let world = World::default();
    let host = world.host().await;
    let by_whatsapp = |words: &str| Send { channel: Some(Channel::Whatsapp), ..to_ada(words) };
    let refused = host.call(by_whatsapp("hi")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    assert_eq!(
        refused.message,
        "not sent: `+15550000001` has not written by WhatsApp within 24 hours, so WhatsApp demands a template: set \
         `whatsapp_template`, or send an SMS"
    );
    whatsapp(&host, ADA, "SM1", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
    let sent = host.call(to_ada("by the way that they wrote")).await.unwrap();
    assert_eq!(sent.channel, Channel::Whatsapp);
    host.stop().await.unwrap();

    world.database.run("update messaging_service_threads set whatsapp_ms = whatsapp_ms - 90000000");
    let template = "HX0123456789abcdef0123456789abcdef";
    let host = world.host_with(json!({ "whatsapp_template": template })).await;
    assert_eq!(host.call(to_ada("an SMS instead")).await.unwrap().channel, Channel::Sms);
    host.call(by_whatsapp("two\n\nlines  of it")).await.unwrap();
    let state = world.state();
    let last = &state.sent.last().unwrap().1;
    assert_eq!((last.body.as_deref(), last.content_sid.as_deref()), (None, Some(template)));
    assert_eq!(last.content_variables["1"], "two lines of it");
}

/// The window closes while the answer waits for Twilio.
#[tokio::test]
async fn an_answer_that_comes_too_late_for_whatsapp_is_kept_and_shown() {
    let world = World::default();
    world.state().twilio = Some((away(), false));
    let host = world.host().await;
    whatsapp(&host, ADA, "SM1", "hello").await;
    let place = std::panic::Location::caller();
    let waits = || async { world.database.run("select 1 as one from messaging_service_outbox").len() };
    wait(place, waits, |waiting| *waiting == 1).await;
    world.database.run("update messaging_service_threads set whatsapp_ms = whatsapp_ms - 90000000");
    world.settles(&host).await;
    let failed = host.call(ListUnprocessed::default()).await.unwrap();
    assert_eq!(
        (failed.messages[0].id.as_str(), failed.messages[0].text.as_str()),
        ("SM1:answer", "re: hello")
    );
    world.state().twilio = None;
    whatsapp(&host, ADA, "SM2", "are you there?").await;
    world.wait_for_texts(&host, &["re: are you there?"]).await;
    host.call(Retry { id: "SM1:answer".to_owned() }).await.unwrap();
    world.wait_for_texts(&host, &["re: are you there?", "re: hello"]).await;
}

#[tokio::test]
async fn a_refusal_is_an_error_and_takes_the_parts_behind_along() {
    let world = World::default();
    world.state().twilio = Some((OperationError::invalid("not sent: no such number"), false));
    let host = world.host().await;
    let refused = host.call(to_ada(&"A sentence. ".repeat(200))).await.unwrap_err();
    assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Invalid, "not sent: no such number"));
    let report: plugin_api::requests::messaging::SentText =
        serde_json::from_value(refused.details.unwrap()).unwrap();
    assert_eq!((report.state, report.parts.len()), (SendState::Failed, 2));
    assert_eq!(report.parts[1].error.as_deref(), Some("part 1 was not sent"));
}

/// Twilio has it, and nobody here knows: it is asked again by the same key, never sent anew.
#[tokio::test]
async fn an_unknown_outcome_is_looked_for() {
    let world = World::default();
    world.state().twilio = Some((OperationError::unknown_outcome("no answer came"), true));
    let host = world.host().await;
    let header = CallHeader { deadline_ms: Some(1500), ..keyed("k") };
    let unknown = host.call_with(header, to_ada("hello")).await.unwrap_err();
    assert_eq!((unknown.kind, unknown.message.as_str()), (ErrorKind::UnknownOutcome, "no answer came"));
    assert_eq!(unknown.details.unwrap()["state"], json!(SendState::UnknownOutcome));
    world.state().twilio = None;
    let place = std::panic::Location::caller();
    let ask = || async { host.call_with(keyed("k"), to_ada("hello")).await };
    let sent = wait(place, ask, Result::is_ok).await.unwrap();
    assert_eq!((sent.state, sent.repeated), (SendState::Sent, true));
    assert_eq!(world.texts(), ["hello"]);
}

/// The ledger knows by a report that Twilio took it, while Twilio itself is out of reach.
#[tokio::test]
async fn what_the_ledger_knows_ends_the_doubt_while_twilio_is_away() {
    let world = World::default();
    world.state().twilio = Some((OperationError::unknown_outcome("no answer came"), true));
    let host = world.host().await;
    let header = CallHeader { deadline_ms: Some(1500), ..keyed("k") };
    host.call_with(header, to_ada("hello")).await.unwrap_err();
    world.state().twilio = Some((away(), false));
    world.settles(&host).await;
    let sent = host.call_with(keyed("k"), to_ada("hello")).await.unwrap();
    assert_eq!((sent.state, sent.parts[0].sid.as_deref()), (SendState::Sent, Some("SMout0")));
}

/// The clock was a day behind when the message went, and has been put right since.
#[tokio::test]
async fn a_clock_that_is_put_ahead_ends_no_search() {
    let world = World::default();
    world.state().twilio = Some((OperationError::unknown_outcome("no answer came"), true));
    let host = world.host().await;
    let header = CallHeader { deadline_ms: Some(1000), ..CallHeader::default() };
    host.call_with(header, to_ada("hello")).await.unwrap_err();
    let attempts = async || world.database.number("select max(attempts) from messaging_service_outbox");
    let before = attempts().await;
    world.database.run("update messaging_service_outbox set looking_ms = looking_ms - 90000000, next_ms = 0");
    world.database.run("update messaging_service_lanes set due_ms = 0");
    let place = std::panic::Location::caller();
    wait(place, attempts, |attempts| *attempts > before).await;
    assert_eq!(
        world.database.number("select count(*) from messaging_service_outbox where state = 'looking'"),
        1
    );
    world.state().twilio = None;
    world.database.run("update messaging_service_outbox set next_ms = 0");
    world.database.run("update messaging_service_lanes set due_ms = 0");
    world.settles(&host).await;
    let open = "select count(*) from messaging_service_outbox where state <> 'sent'";
    assert_eq!((world.database.number(open), world.texts()), (0, vec!["hello".to_owned()]));
}

#[tokio::test]
async fn what_stays_unknown_is_shown_and_holds_nobody_up() {
    let world = World::default();
    world.state().twilio = Some((OperationError::unknown_outcome("no answer came"), true));
    let host = world.host().await;
    let header = CallHeader { deadline_ms: Some(1000), ..CallHeader::default() };
    host.call_with(header, to_ada("hello")).await.unwrap_err();
    // Five minutes and many looks later.
    let later = "set looking_ms = looking_ms - 400000, next_ms = 0, attempts = 20";
    world.database.run(&format!("update messaging_service_outbox {later}"));
    world.database.run("update messaging_service_lanes set due_ms = 0");
    world.settles(&host).await;
    let shown = host.call(ListUnprocessed { failed_only: true, ..ListUnprocessed::default() }).await.unwrap();
    assert_eq!((shown.messages[0].state.as_str(), shown.failed), ("unknown_outcome", 1));
    world.state().twilio = None;
    text(&host, ADA, "SM1", "hi").await;
    world.wait_for_texts(&host, &["hello", "re: hi"]).await;
    host.call(Retry { id: shown.messages[0].id.clone() }).await.unwrap();
    world.settles(&host).await;
    assert_eq!(host.call(ListUnprocessed::default()).await.unwrap().failed, 0);
    assert_eq!(world.texts(), ["hello", "re: hi"], "it was there, and did not go again");
}

/// Twilio answers no attempt in time, and its list shows each time that nothing came of it.
#[tokio::test]
async fn attempts_without_an_answer_come_to_an_end() {
    let world = World::default();
    world.state().twilio = Some((OperationError::unknown_outcome("no answer came"), false));
    world.state().find = Some(Arc::new(|| Ok(FoundMessage::NotSent)));
    let host = world.host_with(json!({ "give_up_after": "6s" })).await;
    let header = CallHeader { deadline_ms: Some(1000), ..CallHeader::default() };
    host.call_with(header, to_ada("hello")).await.unwrap_err();
    world.wait_for_failed(&host, 1).await;
    let shown = host.call(ListUnprocessed::default()).await.unwrap();
    let why = "not sent: no attempt within `give_up_after` succeeded, and Twilio has none of them";
    assert_eq!((shown.messages[0].state.as_str(), shown.messages[0].error.as_deref()), ("failed", Some(why)));
}

/// An earlier attempt may still be under way, or its outcome out of reach.
#[tokio::test]
async fn what_is_given_up_is_not_called_failed_before_it_is_known() {
    for doubt in [Ok(FoundMessage::Open { why: "it is being sent".to_owned() }), Err(away())] {
        let world = World::default();
        world.state().twilio = Some((away(), true));
        world.state().find = Some(Arc::new(move || doubt.clone()));
        let host = world.host_with(json!({ "give_up_after": "1s" })).await;
        let header = CallHeader { deadline_ms: Some(1000), ..CallHeader::default() };
        let id = host.call_with(header, to_ada("hello")).await.unwrap().id;
        let place = std::panic::Location::caller();
        let state = async |state: &str| {
            let query = format!("select count(*) from messaging_service_outbox where state = '{state}'");
            world.database.number(&query)
        };
        wait(place, || state("looking"), |looking| *looking == 1).await;
        // Five minutes and many looks later.
        let later = "set looking_ms = looking_ms - 400000, next_ms = 0, attempts = 20";
        world.database.run(&format!("update messaging_service_outbox {later}"));
        world.database.run("update messaging_service_lanes set due_ms = 0");
        wait(place, || state("unknown"), |unknown| *unknown == 1).await;
        (world.state().find, world.state().twilio) = (None, None);
        host.call(Retry { id }).await.unwrap();
        wait(place, || state("sent"), |sent| *sent == 1).await;
        assert_eq!(world.texts(), ["hello"]);
    }
}

/// What is given up may be under way for a while; then it is known not to have gone.
#[tokio::test]
async fn the_reason_outlasts_the_search() {
    let world = World::default();
    world.state().twilio = Some((away(), false));
    world.state().find = Some(Arc::new(|| Ok(FoundMessage::Open { why: "it is being sent".to_owned() })));
    let host = world.host_with(json!({ "give_up_after": "1s" })).await;
    let header = CallHeader { deadline_ms: Some(1000), ..CallHeader::default() };
    host.call_with(header, to_ada("hello")).await.unwrap();
    let place = std::panic::Location::caller();
    let looks = async || {
        world.database.run("update messaging_service_outbox set next_ms = 0 where state = 'looking'");
        world.database.run("update messaging_service_lanes set due_ms = 0");
        world
            .database
            .number("select count(*) from messaging_service_outbox where state = 'looking' and attempts > 20")
    };
    wait(place, looks, |looks| *looks == 1).await;
    world.state().find = Some(Arc::new(|| Ok(FoundMessage::NotSent)));
    world.wait_for_failed(&host, 1).await;
    let shown = host.call(ListUnprocessed::default()).await.unwrap();
    assert_eq!(shown.messages[0].error.as_deref(), Some("it is away"));
}

/// The look-up outlasts the lease, and another host takes the lane meanwhile.
#[tokio::test]
async fn nothing_is_sent_on_a_lane_that_was_lost_during_a_call() {
    let world = World::default();
    world.state().twilio = Some((OperationError::unknown_outcome("no answer came"), false));
    let host = world.host().await;
    let header = CallHeader { deadline_ms: Some(1000), ..CallHeader::default() };
    host.call_with(header, to_ada("hello")).await.unwrap_err();
    let database = world.database.clone();
    world.state().find = Some(Arc::new(move || {
        let lease = "select lease_ms from messaging_service_lanes where direction = 'out'";
        let is_long = || database.number(lease) - now_ms() > 21_000;
        while tokio::task::block_in_place(is_long) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let later = now_ms() + 30_000;
        database.run(&format!("update messaging_service_lanes set owner = 'other', lease_ms = {later}"));
        Ok(FoundMessage::NotSent)
    }));
    world.state().twilio = None;
    let place = std::panic::Location::caller();
    let overtaken =
        || async { host.logs().iter().any(|log| log.message.contains("another claim took over")) };
    wait(place, overtaken, |told| *told).await;
    assert_eq!(world.texts(), [""; 0]);
}

#[tokio::test]
async fn who_does_not_wait_learns_that_it_is_on_its_way() {
    let world = World::default();
    world.state().twilio = Some((away(), false));
    let host = world.host().await;
    let header = CallHeader { deadline_ms: Some(1000), ..CallHeader::default() };
    let sent = host.call_with(header, to_ada("later")).await.unwrap();
    assert_eq!(sent.state, SendState::Pending);
    world.state().twilio = None;
    world.wait_for_texts(&host, &["later"]).await;
}
