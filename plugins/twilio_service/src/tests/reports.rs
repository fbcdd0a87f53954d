//! Reports of Twilio: in whatever order they come, the newest status stays.

use plugin_api::{
    error::{ErrorKind, OperationError},
    requests::{
        http::{Body, HttpRequest, HttpResponse},
        twilio_service::{Delivery, ListUndelivered, ReadDelivery},
    },
    serde_json::{self, json},
    testing::{TestInstance, database::Database},
    tokio,
};
use proptest::prelude::*;

use super::setup::{Twilio, form, keyed, plugin, plugin_with, sms};
use crate::{TwilioService, status};

async fn report(
    plugin: &TestInstance<TwilioService>,
    request: HttpRequest,
) -> Result<HttpResponse, OperationError> {
    let answer = plugin.call_json("receive_status", serde_json::to_value(&request).unwrap()).await?;
    Ok(serde_json::from_value(answer).unwrap())
}

async fn delivery(plugin: &TestInstance<TwilioService>, sid: &str) -> Result<Delivery, OperationError> {
    plugin.call(ReadDelivery { sid: sid.to_owned() }).await
}

#[tokio::test]
async fn a_status_never_goes_back() {
    let plugin = plugin(&Twilio::default(), json!({}));
    assert_eq!(delivery(&plugin, "SM1").await.unwrap_err().kind, ErrorKind::NotFound);
    for (status, expected) in [
        ("sent", "sent"),
        ("queued", "sent"),
        ("delivered", "delivered"),
        ("sent", "delivered"),
        ("read", "read"),
    ] {
        let body = format!("MessageSid=SM1&MessageStatus={status}&To=%2B1");
        assert_eq!(report(&plugin, form("https://a/", &body)).await.unwrap().status, 204);
        assert_eq!(delivery(&plugin, "SM1").await.unwrap().status, expected);
    }
    let failed = "MessageSid=SM2&MessageStatus=undelivered&ErrorCode=30005";
    report(&plugin, form("https://a/", failed)).await.unwrap();
    assert_eq!(delivery(&plugin, "SM2").await.unwrap().error_code, Some(30005));
    let call = "CallSid=CA1&CallStatus=no-answer&CallbackSource=call-progress-events&SequenceNumber=2";
    report(&plugin, form("https://a/", call)).await.unwrap();
    report(&plugin, form("https://a/", "CallSid=CA1&CallStatus=ringing&SequenceNumber=1")).await.unwrap();
    assert_eq!(delivery(&plugin, "CA1").await.unwrap().status, "no-answer");
}

/// As `remembering.rs` has it of the ledger in memory.
#[tokio::test]
async fn the_database_tells_reports_of_one_moment_page_by_page_each_once() {
    let database = Database::new();
    let plugin = plugin_with(&Twilio::default(), &database).await;
    for sid in ["SM3", "SM1", "SM5", "SM2", "SM4", "SM0"] {
        let body = format!("MessageSid={sid}&MessageStatus=undelivered&ErrorCode=30007&To=%2B1");
        report(&plugin, form("https://a/", &body)).await.unwrap();
    }
    database.run("update twilio_service_statuses set at_ms = 1000");
    database.run("update twilio_service_statuses set at_ms = 1001 where sid = 'SM0'");
    let (mut ask, mut pages) = (ListUndelivered { limit: Some(2), ..ListUndelivered::default() }, Vec::new());
    loop {
        let page = plugin.call(ask.clone()).await.unwrap();
        pages.push(page.messages.iter().map(|report| report.sid.clone()).collect::<Vec<_>>().join(" "));
        match page.messages.last() {
            Some(last) if page.truncated => (ask.after_ms, ask.after_sid) = (last.at_ms, last.sid.clone()),
            _ => break,
        }
    }
    assert_eq!(pages, ["SM1 SM2", "SM3 SM4", "SM5 SM0"]);
}

#[tokio::test]
async fn what_is_no_report_is_refused() {
    let plugin = plugin(&Twilio::default(), json!({}));
    for body in ["", "MessageSid=SM1", "MessageStatus=sent", "CallSid=CA1&CallStatus="] {
        assert_eq!(
            report(&plugin, form("https://a/", body)).await.unwrap_err().kind,
            ErrorKind::Invalid,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_report_that_names_an_entry_settles_it() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({ "public_base_url": "https://example.com" }));
    twilio.refuses(|| OperationError::unknown_outcome("it may have been done: silence"));
    let error = plugin.call_with(keyed("k2"), sms("other")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnknownOutcome);
    let callback =
        twilio.creates()[0].form.iter().find(|(name, _)| name == "StatusCallback").unwrap().1.clone();
    report(&plugin, form(&callback, "MessageSid=SM77&MessageStatus=sent")).await.unwrap();
    let sent = plugin.call_with(keyed("k2"), sms("other")).await.unwrap();
    assert_eq!((sent.sid.as_str(), sent.status.as_str(), sent.repeated), ("SM77", "sent", true));
    assert_eq!(twilio.creates().len(), 1);
}

proptest! {
    #[test]
    fn any_order_ends_with_the_same_status(order in Just(vec!["queued", "sending", "sent", "delivered", "read"]).prop_shuffle()) {
        let mut known: Option<&str> = None;
        for status in order {
            if known.is_none_or(|known| status::step(known) < status::step(status)) {
                known = Some(status);
            }
        }
        prop_assert_eq!(known, Some("read"));
    }

    #[test]
    fn whatever_comes_is_no_panic(body: Vec<u8>, query in "[ -~]{0,30}") {
        let request = HttpRequest { query, body: Body::from_bytes(&body), ..HttpRequest::default() };
        let _ = status::read(&request);
    }

    #[test]
    fn a_report_is_read_whatever_else_it_says(sid in "SM[0-9a-f]{32}", status in "[a-z-]{1,12}", more in "[A-Za-z0-9=&%+]{0,40}") {
        let request = form("https://a/?ref=E1", &format!("MessageSid={sid}&MessageStatus={status}&X={more}"));
        let report = status::read(&request).unwrap();
        prop_assert_eq!((report.sid, report.status, report.entry), (sid, status, Some("E1".to_owned())));
    }
}
