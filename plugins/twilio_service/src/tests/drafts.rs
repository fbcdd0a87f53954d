//! Requests become forms, or are refused in words before anything is asked.

use expect_test::{Expect, expect};
use plugin_api::requests::twilio_service::{
    CallEvent, Channel, MachineDetection, PlaceCall, SendMessage, UpdateCall,
};

use super::setup::{ADA, identity, sms};
use crate::{draft, settings::Config};

const TEMPLATE: &str = "HX00000000000000000000000000000001";

fn public() -> Config {
    Config { public_base_url: Some("https://example.com".to_owned()), ..Config::default() }
}

fn shown(form: &[(String, String)]) -> String {
    form.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

fn message(request: &SendMessage, config: &Config, expected: Expect) {
    expected.assert_eq(&match draft::message(request, config, &identity(), None) {
        Ok(draft) => shown(&draft.form("E1")),
        Err(error) => error.to_string(),
    });
}

fn call(request: &PlaceCall, config: &Config, expected: Expect) {
    expected.assert_eq(&match draft::call(request, config, &identity(), Some(ADA)) {
        Ok(draft) => shown(&draft.form("E1")),
        Err(error) => error.to_string(),
    });
}

#[test]
fn messages_of_every_kind() {
    message(
        &sms("hi"),
        &public(),
        expect![[r#"
        To=+15550000001
        From=+15551234567
        Body=hi
        StatusCallback=https://example.com/webhooks/twilio/status?ref=E1
    "#]],
    );
    let mms = SendMessage {
        media_urls: vec!["https://example.com/1.png".into(), "https://example.com/2.png".into()],
        validity_seconds: Some(60),
        status_callback: Some("https://b/status".into()),
        from: Some("+15559999999".into()),
        ..sms("look")
    };
    message(
        &mms,
        &public(),
        expect![[r#"
        To=+15550000001
        From=+15559999999
        Body=look
        MediaUrl=https://example.com/1.png
        MediaUrl=https://example.com/2.png
        ValidityPeriod=60
        StatusCallback=https://b/status
    "#]],
    );
    let template = SendMessage {
        body: None,
        channel: Channel::Whatsapp,
        content_sid: Some(TEMPLATE.into()),
        content_variables: [("1".to_owned(), "Ada \"A\"".to_owned())].into(),
        ..sms("")
    };
    message(
        &template,
        &Config { whatsapp_number: Some("+14155238886".into()), ..Config::default() },
        expect![[r#"
        To=whatsapp:+15550000001
        From=whatsapp:+14155238886
        ContentSid=HX00000000000000000000000000000001
        ContentVariables={"1":"Ada \"A\""}
    "#]],
    );
    let service = Config {
        messaging_service_sid: Some("MG00000000000000000000000000000001".into()),
        ..Config::default()
    };
    message(
        &sms("hi"),
        &service,
        expect![[r#"
        To=+15550000001
        MessagingServiceSid=MG00000000000000000000000000000001
        Body=hi
    "#]],
    );
}

#[test]
fn what_is_sent_comes_from_this_host() {
    let media = |url: &str| {
        let request = SendMessage { media_urls: vec![url.to_owned()], ..sms("look") };
        draft::message(&request, &public(), &identity(), None).is_ok()
    };
    let twiml = |verbs: &str| {
        let twiml = Some(format!("<Response>{verbs}</Response>"));
        draft::call(&PlaceCall { twiml, ..PlaceCall::default() }, &public(), &identity(), Some(ADA)).is_ok()
    };
    let url = |url: &str| {
        let request = PlaceCall { url: Some(url.to_owned()), ..PlaceCall::default() };
        draft::call(&request, &public(), &identity(), Some(ADA)).is_ok()
    };
    for own in ["https://example.com/1.png", "https://example.com/a/b?c=d"] {
        assert!(media(own) && url(own), "{own}");
        assert!(twiml(&format!("<Play>{own}</Play><Redirect method=\"POST\">{own}</Redirect>")), "{own}");
    }
    assert!(twiml("<Say>Hello</Say>"));
    for foreign in [
        "https://example.com",
        "https://example.com.evil.org/1.png",
        "https://example.com@evil.org/1.png",
        "https://example.com:444/1.png",
        "http://example.com/1.png",
        "https://EXAMPLE.com/1.png",
        "https://evil.org/https://example.com/1.png",
        "https://evil.org/?https://example.com/1.png",
        "https://example.com/../1.png",
        "https://example.com/a/..\\evil",
        "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
    ] {
        assert!(!media(foreign) && !url(foreign), "{foreign}");
        assert!(!twiml(&format!("<Play>{foreign}</Play>")), "{foreign}");
    }
    for hidden in [
        "<Play>https:&#47;&#47;evil.org/a</Play>",
        "<Play><![CDATA[https:]]>//evil.org</Play>",
        "<Play>//evil.org</Play>",
    ] {
        assert!(!twiml(hidden), "{hidden}");
    }
}

#[test]
fn messages_that_cannot_be_sent() {
    let none = Config::default();
    let with = |change: fn(&mut SendMessage)| {
        let mut request = sms("hi");
        change(&mut request);
        request
    };
    message(
        &with(|m| m.to = None),
        &none,
        expect!["invalid: `to` is missing, and the call is not on behalf of a person with a number"],
    );
    message(
        &with(|m| m.to = Some("0555 1".into())),
        &none,
        expect![
            "invalid: `0555 1` is no phone number: expected `+`, the country and the number, without spaces, such as `+15551234567`"
        ],
    );
    message(
        &with(|m| m.body = Some(" ".into())),
        &none,
        expect!["invalid: the message is empty: it needs `body`, `media_urls` or `content_sid`"],
    );
    message(
        &with(|m| m.body = Some("é".repeat(1601))),
        &none,
        expect!["invalid: `body` has 1601 characters: expected at most 1600"],
    );
    message(
        &with(|m| m.media_urls = vec!["https://a".into(); 11]),
        &none,
        expect!["invalid: `media_urls` holds 11 addresses: expected at most 10"],
    );
    message(
        &with(|m| m.media_urls = vec!["file:///etc/passwd".into()]),
        &none,
        expect!["invalid: `media_urls` is `file:///etc/passwd`: expected an address that Twilio can fetch"],
    );
    message(
        &with(|m| m.media_urls = vec!["https://example.com/1.png".into()]),
        &none,
        expect![
            "invalid: `media_urls` is `https://example.com/1.png`: only files of this host are sent, and its address is not known: set PUBLIC_BASE_URL"
        ],
    );
    message(
        &with(|m| m.content_variables = [("1".to_owned(), "x".to_owned())].into()),
        &none,
        expect!["invalid: `content_variables` are for a template: `content_sid` is missing"],
    );
    message(
        &with(|m| m.content_sid = Some(TEMPLATE.into())),
        &none,
        expect!["invalid: a template brings its own text and media: leave `body` and `media_urls` out"],
    );
    message(
        &with(|m| m.validity_seconds = Some(0)),
        &none,
        expect!["invalid: `validity_seconds` is 0: expected 1 to 36000"],
    );
    message(
        &with(|m| m.from = Some("A sender too long".into())),
        &none,
        expect![
            "invalid: `A sender too long` is no sender: expected a number such as `+15551234567`, a short code or a name"
        ],
    );
}

#[test]
fn calls_of_every_kind() {
    let say = PlaceCall { say: Some("Tom & <Jerry>\u{0}".into()), ..PlaceCall::default() };
    call(
        &say,
        &public(),
        expect![[r#"
        To=+15550000001
        From=+15551234567
        Twiml=<Response><Say>Tom &amp; &lt;Jerry&gt;</Say></Response>
        StatusCallbackEvent=initiated
        StatusCallbackEvent=ringing
        StatusCallbackEvent=answered
        StatusCallbackEvent=completed
        StatusCallback=https://example.com/webhooks/twilio/status?ref=E1
    "#]],
    );
    let url = PlaceCall {
        url: Some("https://example.com/twiml".into()),
        ring_seconds: Some(20),
        time_limit_seconds: Some(60),
        machine_detection: Some(MachineDetection::DetectMessageEnd),
        machine_detection_callback: Some("https://a/machine".into()),
        status_events: Some(vec![CallEvent::Answered]),
        status_callback: Some("https://b/".into()),
        ..PlaceCall::default()
    };
    call(
        &url,
        &public(),
        expect![[r#"
        To=+15550000001
        From=+15551234567
        Url=https://example.com/twiml
        Timeout=20
        TimeLimit=60
        MachineDetection=DetectMessageEnd
        AsyncAmd=true
        AsyncAmdStatusCallback=https://a/machine
        StatusCallbackEvent=answered
        StatusCallback=https://b/
    "#]],
    );
    let digits = PlaceCall {
        twiml: Some("<Response/>".into()),
        send_digits: Some("ww1#".into()),
        ..PlaceCall::default()
    };
    call(
        &digits,
        &Config { call_time_limit: Some(600), ..Config::default() },
        expect![[r#"
        To=+15550000001
        From=+15551234567
        Twiml=<Response/>
        SendDigits=ww1#
        TimeLimit=600
    "#]],
    );
}

#[test]
fn calls_that_cannot_be_placed() {
    let none = Config::default();
    let with = |change: fn(&mut PlaceCall)| {
        let mut request = PlaceCall { say: Some("hi".into()), ..PlaceCall::default() };
        change(&mut request);
        request
    };
    call(&with(|c| c.say = None), &none, expect!["invalid: expected one of `say`, `twiml` and `url`"]);
    call(
        &with(|c| c.url = Some("https://a".into())),
        &none,
        expect!["invalid: expected one of `say`, `twiml` and `url`"],
    );
    call(
        &with(|c| c.say = Some("x".repeat(4000))),
        &none,
        expect!["invalid: the TwiML has 4032 characters: expected at most 4000; put it behind `url`"],
    );
    call(
        &with(|c| c.send_digits = Some("12a".into())),
        &none,
        expect!["invalid: `send_digits` is `12a`: expected at most 32 of 0-9, `*`, `#`, `w` and `W`"],
    );
    call(
        &with(|c| c.time_limit_seconds = Some(86_401)),
        &none,
        expect!["invalid: `time_limit_seconds` is 86401: expected 1 to 86400"],
    );
    call(
        &with(|c| (c.send_digits, c.machine_detection) = (Some("1".into()), Some(MachineDetection::Enable))),
        &none,
        expect![
            "invalid: `machine_detection` and `send_digits` exclude each other: Twilio would detect nothing"
        ],
    );
    call(
        &with(|c| c.machine_detection_callback = Some("https://a".into())),
        &none,
        expect!["invalid: `machine_detection_callback` needs `machine_detection`"],
    );
    call(
        &with(|c| c.from = Some("ACME".into())),
        &none,
        expect!["invalid: `ACME` is no number to call from: expected one such as `+15551234567`"],
    );
}

#[test]
fn changes_of_calls() {
    let sid = "CA00000000000000000000000000000001";
    let update = |request: UpdateCall| match draft::update(&request) {
        Ok(form) => shown(&form),
        Err(error) => error.to_string(),
    };
    let of = |hang_up, twiml: Option<&str>, url: Option<&str>| UpdateCall {
        sid: sid.to_owned(),
        hang_up,
        twiml: twiml.map(str::to_owned),
        url: url.map(str::to_owned),
    };
    assert_eq!(update(of(true, None, None)), "Status=completed\n");
    assert_eq!(update(of(false, Some("<Response/>"), None)), "Twiml=<Response/>\n");
    assert_eq!(update(of(false, None, Some("https://a"))), "Url=https://a\n");
    assert_eq!(
        update(of(true, None, Some("https://a"))),
        "invalid: expected one of `hang_up`, `twiml` and `url`"
    );
    assert_eq!(
        update(UpdateCall { sid: "../Messages".into(), ..of(true, None, None) }),
        "invalid: `sid` is `../Messages`: expected `CA` and 32 hexadecimal digits"
    );
}
