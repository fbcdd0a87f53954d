//! Messages and calls as Twilio has them; a person sees only their own.

use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::twilio_service::{FetchCall, FetchMessage, PlaceCall, UpdateCall},
    serde_json::json,
    tokio,
};

use super::setup::{ADA, NUMBER, Twilio, plugin, sms};

fn on_behalf_of(person: &str) -> CallHeader {
    CallHeader { person: Some(person.to_owned()), ..CallHeader::default() }
}

#[tokio::test]
async fn a_person_sees_only_what_is_theirs() {
    let plugin = plugin(&Twilio::default(), json!({}));
    let sid = plugin.call(sms("hi")).await.unwrap().sid;
    let fetch = FetchMessage { sid };
    let message = plugin.call(fetch.clone()).await.unwrap();
    assert_eq!(
        (message.to.as_str(), message.from.as_deref(), message.body.as_deref()),
        (ADA, Some(NUMBER), Some("hi"))
    );
    plugin.call_with(on_behalf_of(ADA), fetch.clone()).await.unwrap();
    let error = plugin.call_with(on_behalf_of("+15559999999"), fetch).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);

    let call = PlaceCall { to: Some(ADA.into()), say: Some("hi".into()), ..PlaceCall::default() };
    let fetch = FetchCall { sid: plugin.call(call).await.unwrap().sid };
    assert_eq!(plugin.call_with(on_behalf_of(ADA), fetch.clone()).await.unwrap().to, ADA);
    assert_eq!(
        plugin.call_with(on_behalf_of("+15559999999"), fetch).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn what_is_no_sid_is_not_asked_for() {
    let twilio = Twilio::default();
    let plugin = plugin(&twilio, json!({}));
    for sid in ["", "SM1", "../Calls/CA1", "CA00000000000000000000000000000001"] {
        let error = plugin.call(FetchMessage { sid: sid.to_owned() }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{sid}");
    }
    let hang_up = UpdateCall {
        sid: "SM00000000000000000000000000000001".into(),
        hang_up: true,
        ..UpdateCall::default()
    };
    assert_eq!(plugin.call(hang_up).await.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!((twilio.reads(), twilio.creates().len()), (0, 0));
}
