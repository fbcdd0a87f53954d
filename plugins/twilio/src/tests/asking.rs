//! Requests: what is tried again, what never is, and what each refusal means.

use expect_test::{Expect, expect};
use plugin_api::{
    error::{ErrorKind, ReasonCode},
    requests::{
        host::Report,
        twilio::{Identify, RestRequest},
    },
    serde_json::json,
    tokio,
};

use super::{
    peer::{Deed, Peer, closed_port},
    setup::{ACCOUNT, NUMBER, plugin, reported, shown, with_key, within},
};

fn create() -> RestRequest {
    let form = [
        ("To", "+15550001"),
        ("Body", "grüße & co"),
        ("MediaUrl", "https://a/1"),
        ("MediaUrl", "https://a/2"),
    ];
    RestRequest::post("Messages.json", form.map(|(name, value)| (name.into(), value.into())).to_vec())
}

fn read() -> RestRequest {
    RestRequest::get("Messages/SM1.json").query("To", "+1")
}

fn too_many(number: usize) -> Deed {
    match number {
        0 => Deed::Answer(429, "Retry-After: 0\r\n", r#"{"code":20429,"status":429}"#.into()),
        1 => Deed::json(429, r#"{"code":20429,"status":429}"#),
        _ => Deed::json(201, r#"{"sid":"SM1"}"#),
    }
}

#[tokio::test]
async fn a_create_is_sent_as_twilio_wants_it() {
    let peer = Peer::start(|_, _| Deed::json(201, r#"{"sid":"SM1"}"#));
    let plugin = plugin(peer.port, json!({}));
    let answer = plugin.call(create()).await.unwrap();
    assert_eq!((answer.status, answer.body["sid"].as_str()), (201, Some("SM1")));
    let asked = &peer.requests()[0];
    assert!(
        asked.starts_with(&format!("POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1\r\n")),
        "{asked}"
    );
    assert!(asked.contains("authorization: Basic "), "{asked}");
    assert!(
        asked.ends_with("To=%2B15550001&Body=gr%C3%BC%C3%9Fe+%26+co&MediaUrl=https%3A%2F%2Fa%2F1&MediaUrl=https%3A%2F%2Fa%2F2"),
        "{asked}"
    );
    assert!(matches!(reported(&plugin, |_| true).await, Report::Success));
}

#[tokio::test]
async fn successes_are_reported_once_in_a_while() {
    let peer = Peer::start(|_, _| Deed::json(200, "{}"));
    let plugin = plugin(peer.port, json!({}));
    let began = std::time::Instant::now();
    for _ in 0..20 {
        plugin.call(read()).await.unwrap();
    }
    let most = began.elapsed().as_secs() as usize + 1;
    reported(&plugin, |_| true).await;
    assert!(plugin.reports().len() <= most, "{} in {most} s", plugin.reports().len());
}

#[tokio::test]
async fn too_many_reads_are_asked_again_and_a_create_is_handed_back() {
    let peer = Peer::start(|number, _| too_many(number));
    plugin(peer.port, json!({})).call(read()).await.unwrap();
    assert_eq!(peer.requests().len(), 3);

    let peer = Peer::start(|number, _| too_many(number));
    let error = plugin(peer.port, json!({})).call(create()).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after_ms), (ErrorKind::Overloaded, Some(0)));
    assert_eq!(peer.requests().len(), 1, "the person may say STOP meanwhile");
}

#[tokio::test]
async fn a_wait_beyond_the_callers_time_is_handed_on() {
    let peer = Peer::start(|_, _| Deed::Answer(429, "Retry-After: 60\r\n", r#"{"code":20429}"#.into()));
    let error = plugin(peer.port, json!({})).call_with(within(5_000), read()).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after_ms), (ErrorKind::Overloaded, Some(60_000)));
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn reads_are_repeated_and_creates_are_not() {
    for deed in [|| Deed::json(503, "{}"), || Deed::Cut] {
        let script = move |number, _: &str| if number == 0 { deed() } else { Deed::json(200, "{}") };
        let peer = Peer::start(script);
        plugin(peer.port, json!({})).call(read()).await.unwrap();
        assert_eq!(peer.requests().len(), 2);

        let peer = Peer::start(script);
        let error = plugin(peer.port, json!({})).call(create()).await.unwrap_err();
        assert_eq!((error.kind, peer.requests().len()), (ErrorKind::UnknownOutcome, 1));
    }
}

#[tokio::test]
async fn silence_leaves_a_create_unknown() {
    let peer = Peer::start(|_, _| Deed::Silence);
    let plugin = plugin(peer.port, json!({ "timeout": "200ms" }));
    let error = plugin.call(create()).await.unwrap_err();
    expect!["unknown_outcome: it may have been done: `127.0.0.1:PORT` gave no answer within 200ms"]
        .assert_eq(&shown(&error, peer.port));
    assert_eq!(peer.requests().len(), 1);
    let report = reported(&plugin, |_| true).await;
    assert!(matches!(report, Report::Failure { code: ReasonCode::Timeout, .. }), "{report:?}");
}

#[tokio::test]
async fn what_was_never_sent_is_certain() {
    let nobody = closed_port();
    let error = plugin(nobody, json!({})).call(create()).await.unwrap_err();
    expect!["unavailable: nothing was sent: nobody listens at `127.0.0.1:PORT`"]
        .assert_eq(&shown(&error, nobody));

    let error = plugin(nobody, json!({})).call_with(within(100), create()).await.unwrap_err();
    expect!["deadline: nothing was sent: the caller's time is over"].assert_eq(&shown(&error, nobody));
}

#[tokio::test]
async fn refused_credentials_are_reported_at_once() {
    let peer = Peer::start(|_, _| Deed::json(401, r#"{"code":20003,"status":401}"#));
    let plugin = plugin(peer.port, with_key());
    let error = plugin.call(create()).await.unwrap_err();
    expect![[r#"unavailable: Twilio refuses the API key or its secret (Twilio 20003) {"code":20003,"http_status":401}"#]]
        .assert_eq(&shown(&error, peer.port));
    let report = reported(&plugin, |report| matches!(report, Report::Failure { .. })).await;
    assert!(matches!(report, Report::Failure { code: ReasonCode::AuthInvalid, .. }), "{report:?}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let peer = Peer::start(|_, _| Deed::Answer(302, "Location: http://127.0.0.1:1/\r\n", String::new()));
    let plugin = plugin(peer.port, json!({}));
    assert_eq!(plugin.call(read()).await.unwrap_err().kind, ErrorKind::Internal);
    assert_eq!(plugin.call(create()).await.unwrap_err().kind, ErrorKind::UnknownOutcome);
}

#[tokio::test]
async fn every_code_has_its_meaning() {
    async fn check(status: u16, code: u32, expected: Expect) {
        let peer = Peer::start(move |_, _| {
            Deed::json(status, &json!({ "code": code, "message": "raw" }).to_string())
        });
        let error = plugin(peer.port, json!({})).call_with(within(3_000), create()).await.unwrap_err();
        expected.assert_eq(&shown(&error, peer.port));
    }
    check(400, 21211, expect![[r#"invalid: Twilio did not do it: the recipient is no valid phone number (Twilio 21211) {"code":21211,"http_status":400}"#]]).await;
    check(400, 21610, expect![[r#"denied: Twilio did not do it: the recipient opted out (STOP) (Twilio 21610) {"code":21610,"http_status":400}"#]]).await;
    check(400, 21408, expect![[r#"denied: Twilio did not do it: the account may not reach that country (Twilio 21408) {"code":21408,"http_status":400}"#]]).await;
    check(400, 21614, expect![[r#"invalid: Twilio did not do it: the recipient cannot be reached by this kind of message or call (Twilio 21614) {"code":21614,"http_status":400}"#]]).await;
    check(400, 63016, expect![[r#"denied: Twilio did not do it: they did not write within 24 hours: WhatsApp takes a template only (Twilio 63016) {"code":63016,"http_status":400}"#]]).await;
    check(400, 21220, expect![[r#"conflict: Twilio did not do it: the call or message is in another state (Twilio 21220) {"code":21220,"http_status":400}"#]]).await;
    check(404, 20404, expect![[r#"not_found: Twilio did not do it: Twilio knows no such thing (Twilio 20404) {"code":20404,"http_status":404}"#]]).await;
    check(403, 20005, expect![[r#"unavailable: the account cannot be used: Twilio says that it is not active (Twilio 20005); Twilio's console says why {"code":20005,"http_status":403}"#]]).await;
    check(400, 99999, expect![[r#"invalid: Twilio did not do it: the request does not fit (Twilio 99999) {"code":99999,"http_status":400}"#]]).await;
}

/// The trouble of a create that Twilio refuses so, and the setting that it names.
async fn blamed(status: u16, code: u32, from: Option<&str>) -> (Option<ReasonCode>, Option<String>) {
    let peer =
        Peer::start(move |_, _| Deed::json(status, &json!({ "code": code, "message": "raw" }).to_string()));
    let mut request = create();
    request.form.extend(from.map(|from| ("From".to_owned(), from.to_owned())));
    let error = plugin(peer.port, json!({})).call_with(within(1_000), request).await.unwrap_err();
    (error.trouble, error.fix.and_then(|fix| fix.setting))
}

#[tokio::test]
async fn a_refusal_of_us_is_a_trouble_and_the_callers_mistake_is_none() {
    for code in [21211, 21408, 21610, 21614, 21620, 63016, 99999] {
        assert_eq!(blamed(400, code, Some(NUMBER)).await, (None, None), "{code} is the request's");
    }
    let number = || (Some(ReasonCode::ConfigInvalid), Some("phone_number".to_owned()));
    assert_eq!(blamed(400, 21606, Some(NUMBER)).await, number());
    assert_eq!(blamed(400, 21659, Some(&format!("whatsapp:{NUMBER}"))).await, number());
    assert_eq!(blamed(400, 21606, Some("+15559999999")).await, (None, None), "the caller chose it");
    for (status, code, expected) in [
        (400, 30034, ReasonCode::Forbidden),
        (400, 21608, ReasonCode::Account),
        (403, 20005, ReasonCode::Account),
        (403, 70_002, ReasonCode::Forbidden),
        (429, 20429, ReasonCode::RateLimited),
    ] {
        assert_eq!(blamed(status, code, Some(NUMBER)).await.0, Some(expected), "{code}");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_account() {
    let peer = Peer::start(|_, _| Deed::json(200, "{}"));
    let plugin = plugin(peer.port, json!({}));
    for path in [
        "",
        "Messages",
        "../AC2/Messages.json",
        "/Messages.json",
        "a//b.json",
        "Messages.json?x=1.json",
        "é.json",
    ] {
        let error = plugin.call(RestRequest::get(path)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{path}");
    }
    assert_eq!(peer.requests().len(), 0);
}

#[tokio::test]
async fn it_tells_twilios_clock_and_not_its_own() {
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let peer = Peer::start(move |_, _| Deed::Answer(200, date, "{}".into()));
    let plugin = plugin(peer.port, json!({}));
    assert_eq!(plugin.call(Identify {}).await.unwrap().now_ms, None);
    let began = std::time::Instant::now();
    plugin.call(read()).await.unwrap();
    let now_ms = plugin.call(Identify {}).await.unwrap().now_ms.expect("it was told");
    let most = i64::try_from(began.elapsed().as_millis()).unwrap() + 1;
    assert!((0..=most).contains(&(now_ms - 784_111_777_000)), "{now_ms}");
}

#[tokio::test]
async fn it_tells_who_it_is() {
    let identity = plugin(1, json!({})).call(Identify {}).await.unwrap();
    assert_eq!((identity.account_sid.as_str(), identity.phone_number.as_str()), (ACCOUNT, NUMBER));
    assert!(identity.can_verify_webhooks);
    assert!(!plugin(1, with_key()).call(Identify {}).await.unwrap().can_verify_webhooks);
}
