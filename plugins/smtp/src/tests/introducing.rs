//! The name by which this machine introduces itself: which one it is, and what is said when a server does not take it.

use std::sync::mpsc;

use expect_test::expect;
use plugin_api::{
    error::{ErrorKind, ReasonCode},
    requests::email::SendTrouble,
    serde_json::{Value, json},
    tokio,
};

use super::{
    peer::{Peer, Talk},
    setup::{mail_to, plugin, shown, shown_failure, trouble},
};

/// As a server hears it.
async fn hello(settings: Value) -> String {
    let (tell, told) = mpsc::channel();
    let peer = Peer::start(move |talk| {
        talk.say("220 peer")?;
        tell.send(talk.hear()?).ok()?;
        talk.say("250 peer")?;
        talk.go_on_until("never")
    });
    plugin(peer.port, settings).init().await.unwrap();
    told.recv().unwrap()
}

#[tokio::test]
async fn it_is_the_setting_or_the_domain_of_the_sender_or_an_address() {
    assert_eq!(hello(json!({})).await, "EHLO example.com");
    assert_eq!(hello(json!({ "ehlo_name": "mail.example.org" })).await, "EHLO mail.example.org");
    assert_eq!(hello(json!({ "ehlo_name": "[192.0.2.7]" })).await, "EHLO [192.0.2.7]");
    assert_eq!(hello(json!({ "ehlo_name": "[IPv6:2001:db8::1]" })).await, "EHLO [IPv6:2001:db8::1]");
    assert_eq!(hello(json!({ "ehlo_name": "post.bücher.example" })).await, "EHLO post.xn--bcher-kva.example");
    assert_eq!(hello(json!({ "from_email": "bot@bücher.example" })).await, "EHLO xn--bcher-kva.example");
    // No server takes such a domain for a name.
    assert_eq!(hello(json!({ "from_email": "bot@localhost" })).await, "EHLO [127.0.0.1]");
    assert_eq!(hello(json!({ "from_email": "bot@[192.0.2.7]" })).await, "EHLO [127.0.0.1]");
}

/// Greets, and answers EHLO with this.
fn answers_hello(line: &'static str) -> Peer {
    Peer::start(move |talk| {
        talk.say("220 peer")?;
        talk.hear()?;
        talk.say(line)?;
        talk.fall_silent()
    })
}

#[tokio::test]
async fn a_name_that_is_refused_at_once_is_told_as_the_setting() {
    let fails = async |line, expected: expect_test::Expect| {
        let peer = answers_hello(line);
        let failure = plugin(peer.port, json!({ "ehlo_name": "vm" })).init().await.unwrap_err();
        expected.assert_eq(&shown_failure(&failure, peer.port));
    };
    fails("504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname", expect!["config_invalid [ehlo_name]: `127.0.0.1:PORT` refuses `vm`, the name by which this machine introduces itself (SMTP 504 5.5.2) => Set `SMTP_EHLO_NAME` to a domain of yours that resolves, such as `mail.example.com`"]).await;
    fails("501 Syntactically invalid argument(s)", expect!["config_invalid [ehlo_name]: `127.0.0.1:PORT` refuses `vm`, the name by which this machine introduces itself (SMTP 501) => Set `SMTP_EHLO_NAME` to a domain of yours that resolves, such as `mail.example.com`"]).await;
    fails("450 4.7.1 <vm>: Helo command rejected: Host not found", expect!["unavailable [ehlo_name]: `127.0.0.1:PORT` refuses `vm`, the name by which this machine introduces itself (SMTP 450 4.7.1) => Set `SMTP_EHLO_NAME` to a domain of yours that resolves, such as `mail.example.com`"]).await;
    // Gmail's relay.
    fails("421 4.7.0 Try again later, closing connection. (EHLO) a6-20020a - gsmtp", expect!["unavailable [ehlo_name]: `127.0.0.1:PORT` refuses `vm`, the name by which this machine introduces itself (SMTP 421 4.7.0) => Set `SMTP_EHLO_NAME` to a domain of yours that resolves, such as `mail.example.com`"]).await;
    fails("554 5.7.1 <vm>: Helo command rejected: Access denied", expect!["config_invalid [ehlo_name]: `127.0.0.1:PORT` refuses `vm`, the name by which this machine introduces itself (SMTP 554 5.7.1) => Set `SMTP_EHLO_NAME` to a domain of yours that resolves, such as `mail.example.com`"]).await;
    fails(
        "421 4.3.2 shutting down",
        expect!["unavailable [-]: `127.0.0.1:PORT` does not serve at the moment (SMTP 421 4.3.2)"],
    )
    .await;
}

/// As Postfix, Exim, and a host that takes no mail (RFC 7504) say it.
#[tokio::test]
async fn a_machine_that_is_refused_at_its_name_is_not_told_to_change_the_name() {
    for (line, reply) in [
        (
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
            "554 5.7.1",
        ),
        ("550 Your host 192.0.2.1 is blacklisted at bl.spamcop.net", "550"),
        ("521 5.3.2 mail.example.com does not accept mail", "521 5.3.2"),
    ] {
        let peer = answers_hello(line);
        let failure = plugin(peer.port, json!({ "ehlo_name": "vm" })).init().await.unwrap_err();
        let words = format!(
            "forbidden [-]: `127.0.0.1:PORT` refuses to serve this machine (SMTP {reply}) => Ask the operator of `127.0.0.1:PORT` to take mail from this machine, or use another server"
        );
        assert_eq!(shown_failure(&failure, peer.port), words);
    }
}

#[tokio::test]
async fn a_server_that_knows_no_ehlo_is_greeted_as_of_old() {
    let peer = Peer::start(|talk| {
        talk.say("220 peer")?;
        talk.hear()?;
        talk.say("502 5.5.1 Command not implemented")?;
        (talk.hear()? == "HELO example.com").then_some(())?;
        talk.say("250 peer")?;
        talk.go_on_until("DATA")?;
        talk.mail()?;
        talk.say("250 taken")
    });
    plugin(peer.port, json!({})).call(mail_to(&["ada@example.com"])).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_refused_at_a_recipient_does_not_blame_the_recipient() {
    for (stop, code) in [("RCPT", "504 5.5.2"), ("MAIL", "550 5.7.1"), ("RCPT", "450 4.7.1")] {
        let peer = Peer::start(move |talk: &mut Talk| {
            talk.until(stop)?;
            talk.say(&format!("{code} <vm>: Helo command rejected: need fully-qualified hostname"))?;
            talk.go_on_until("never")
        });
        let plugin = plugin(peer.port, json!({ "ehlo_name": "vm" }));
        let error = plugin.call(mail_to(&["ada@example.com"])).await.unwrap_err();
        let words = format!(
            "not sent: the server refuses `vm`, the name by which this machine introduces itself (SMTP {code}): set `SMTP_EHLO_NAME`"
        );
        assert_eq!(error.message, words);
        assert_eq!(error.trouble, Some(ReasonCode::ConfigInvalid));
        assert_eq!(error.fix.clone().and_then(|fix| fix.setting).as_deref(), Some("ehlo_name"));
        assert_eq!(error.kind == ErrorKind::Unavailable, code.starts_with('4'));
        let SendTrouble { recipients, smtp_code, .. } = trouble(&error);
        assert_eq!((recipients, smtp_code), (Vec::new(), code[..3].parse().ok()));
    }
}

#[tokio::test]
async fn a_recipient_whose_name_only_looks_like_it_is_a_recipient() {
    let peer = Peer::start(|talk| {
        talk.until("RCPT")?;
        talk.say("550 5.1.1 <helo@example.com>: Recipient address rejected: michelo is unknown")?;
        talk.go_on_until("never")
    });
    let error = plugin(peer.port, json!({})).call(mail_to(&["helo@example.com"])).await.unwrap_err();
    expect!["invalid: not sent to anybody: the server refuses `helo@example.com` (SMTP 550 5.1.1)"]
        .assert_eq(&shown(&error, peer.port));
}
