//! What a caller learns of a mail that was not taken, by the moment at which it went wrong.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use expect_test::{Expect, expect};
use plugin_api::{
    error::{ErrorKind, ReasonCode},
    requests::{
        email::{Attachment, SendEmail},
        host::Report,
    },
    serde_json::{Value, json},
    tokio::{self, sync::Notify},
};

use super::{
    peer::{Peer, Talk},
    setup::{mail_to, plugin, reported, shown, trouble},
};

/// Sends a mail to a peer, which is expected not to take it.
async fn fails(
    settings: Value,
    script: impl Fn(&mut Talk) -> Option<()> + Send + Sync + 'static,
    expected: Expect,
) -> plugin_api::error::OperationError {
    let peer = Peer::start(script);
    let error = plugin(peer.port, settings).call(mail_to(&["ada@example.com", "eve@example.com"])).await;
    let error = error.expect_err("the mail is not taken");
    let id = error.details.as_ref().and_then(|details| details["message_id"].as_str()).unwrap_or("-");
    expected.assert_eq(&shown(&error, peer.port).replace(id, "<ID>"));
    error
}

/// The peer answers this to the first line that begins so.
fn answers(command: &'static str, answer: &'static str) -> impl Fn(&mut Talk) -> Option<()> {
    move |talk| {
        talk.until(command)?;
        talk.say(answer)?;
        talk.go_on_until("never")
    }
}

/// The peer takes the mail and answers this.
fn answers_mail(answer: &'static str) -> impl Fn(&mut Talk) -> Option<()> {
    move |talk| {
        talk.until("DATA")?;
        talk.mail()?;
        talk.say(answer)?;
        talk.go_on_until("never")
    }
}

#[tokio::test]
async fn a_sender_that_is_refused() {
    fails(
        json!({}),
        answers("MAIL", "550 5.7.1 not your address"),
        expect!["denied: not sent: the server does not permit the sender (SMTP 550 5.7.1)"],
    )
    .await;
    fails(
        json!({}),
        answers("MAIL", "451 4.3.0 try again"),
        expect!["unavailable: not sent: the server puts off the sender (SMTP 451 4.3.0)"],
    )
    .await;
}

#[tokio::test]
async fn recipients_that_are_refused() {
    let script = answers("RCPT TO:<eve", "550 5.1.1 no such user");
    let error = fails(
        json!({}),
        script,
        expect!["invalid: not sent to anybody: the server refuses `eve@example.com` (SMTP 550 5.1.1)"],
    )
    .await;
    let trouble = trouble(&error);
    assert_eq!(trouble.smtp_code, Some(550));
    assert_eq!(trouble.recipients[0].address, "eve@example.com");
    assert_eq!(trouble.recipients[0].enhanced_code.as_deref(), Some("5.1.1"));
    fails(
        json!({}),
        answers("RCPT", "450 4.2.0 greylisted"),
        expect!["unavailable: not sent to anybody: the server puts off `ada@example.com` (SMTP 450 4.2.0)"],
    )
    .await;
}

#[tokio::test]
async fn a_mail_that_is_refused() {
    fails(
        json!({}),
        answers("DATA", "451 4.3.0 disk full"),
        expect!["unavailable: not sent: the server puts off the mail (SMTP 451 4.3.0)"],
    )
    .await;
    fails(
        json!({}),
        answers_mail("552 5.3.4 too large"),
        expect!["invalid: not sent: the server refuses the mail as too large (SMTP 552 5.3.4)"],
    )
    .await;
    fails(
        json!({}),
        answers_mail("554 5.7.1 spam"),
        expect!["denied: not sent: the server does not permit the mail (SMTP 554 5.7.1)"],
    )
    .await;
    fails(
        json!({}),
        answers_mail("452 4.3.1 no room"),
        expect!["unavailable: not sent: the server puts off the mail (SMTP 452 4.3.1)"],
    )
    .await;
}

/// The trouble of a mail that is refused so, and the setting that it names.
async fn blamed(
    script: impl Fn(&mut Talk) -> Option<()> + Send + Sync + 'static,
) -> Option<(ReasonCode, Option<String>)> {
    let peer = Peer::start(script);
    let error =
        plugin(peer.port, json!({})).call(mail_to(&["ada@example.com"])).await.expect_err("it is refused");
    error.trouble.map(|code| (code, error.fix.and_then(|fix| fix.setting)))
}

#[tokio::test]
async fn a_refusal_of_us_is_a_trouble() {
    let sender = |code| Some((code, Some("from_email".to_owned())));
    let quota = Some((ReasonCode::Quota, None));
    assert_eq!(blamed(answers("MAIL", "550 5.7.1 not your address")).await, sender(ReasonCode::Forbidden));
    assert_eq!(blamed(answers("MAIL", "553 5.1.8 no such domain")).await, sender(ReasonCode::ConfigInvalid));
    assert_eq!(blamed(answers("RCPT", "554 5.7.1 Relay access denied")).await, sender(ReasonCode::Forbidden));
    assert_eq!(blamed(answers("RCPT", "550 Relaying denied")).await, sender(ReasonCode::Forbidden));
    assert_eq!(blamed(answers_mail("550 5.7.26 not authenticated")).await, sender(ReasonCode::Forbidden));
    assert_eq!(blamed(answers_mail("550 5.4.5 Daily user sending limit exceeded")).await, quota);
    assert_eq!(blamed(answers("MAIL", "454 Throttling failure: Daily message quota exceeded")).await, quota);
    let login = Some((ReasonCode::AuthInvalid, Some("username".to_owned())));
    assert_eq!(blamed(answers("MAIL", "530 5.7.0 log in first")).await, login);
}

#[tokio::test]
async fn what_is_wrong_with_a_recipient_or_a_mail_is_no_trouble() {
    for answer in [
        "550 5.1.1 no such user",
        "550 5.7.1 we take no mail from you",
        "552 5.2.2 over quota",
        "452 4.2.2 full",
    ] {
        assert_eq!(blamed(answers("RCPT", answer)).await, None, "{answer}");
    }
    for answer in ["552 5.3.4 too large", "554 5.7.1 spam", "550 5.6.0 malformed"] {
        assert_eq!(blamed(answers_mail(answer)).await, None, "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_mail_is_complete_sent_nothing() {
    fails(json!({}), |talk| talk.until("RCPT"), expect!["unavailable: not sent: the connection to `127.0.0.1:PORT` broke or fell silent while the recipients were named"]).await;
    fails(json!({}), |talk| talk.until("DATA"), expect!["unavailable: not sent: the connection to `127.0.0.1:PORT` broke or fell silent before the mail was handed over"]).await;
    let silent = |talk: &mut Talk| {
        talk.until("DATA")?;
        talk.fall_silent()
    };
    fails(json!({ "timeout": "200ms" }), silent, expect!["unavailable: not sent: the connection to `127.0.0.1:PORT` broke or fell silent before the mail was handed over"]).await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_of_the_mail_sent_nothing() {
    let peer = Peer::start(|talk| {
        talk.until("DATA")?;
        talk.say("354 go on")?;
        talk.hear()?;
        None
    });
    // More than the buffers between the two hold, so that it cannot be written to its end.
    let large =
        Attachment { filename: "large".to_owned(), content_type: None, content: "AAAA".repeat(5_000_000) };
    let request = SendEmail { attachments: vec![large], ..mail_to(&["ada@example.com"]) };
    let plugin = plugin(peer.port, json!({ "max_message_size": 40_000_000 }));
    let error = plugin.call(request).await.unwrap_err();
    expect!["unavailable: not sent: the connection to `127.0.0.1:PORT` broke or fell silent while the mail was handed over"].assert_eq(&shown(&error, peer.port));
}

#[tokio::test]
async fn no_answer_after_the_mail_is_an_unknown_outcome() {
    let cut = |talk: &mut Talk| {
        talk.until("DATA")?;
        talk.mail()
    };
    let error = fails(json!({}), cut, expect!["unknown_outcome: the mail <ID> may have been sent: it was handed over, and the server's answer did not arrive whole; look for it before sending it again"]).await;
    assert!(trouble(&error).message_id.unwrap().ends_with("@example.com>"));
    let silent = |talk: &mut Talk| {
        talk.until("DATA")?;
        talk.mail()?;
        talk.fall_silent()
    };
    fails(json!({ "message_timeout": "200ms" }), silent, expect!["unknown_outcome: the mail <ID> may have been sent: it was handed over, and the server gave no answer within 200ms; look for it before sending it again"]).await;
    fails(json!({}), answers_mail("what?"), expect!["unknown_outcome: the mail <ID> may have been sent: it was handed over, and the server's answer did not arrive whole; look for it before sending it again"]).await;
}

#[tokio::test]
async fn a_server_that_wants_a_login_is_reported() {
    let peer = Peer::start(answers("MAIL", "530 5.7.0 log in first"));
    let plugin = plugin(peer.port, json!({}));
    let error = plugin.call(mail_to(&["ada@example.com"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    let Report::Failure { message, .. } = reported(&plugin).await else { panic!("a failure is reported") };
    expect!["`127.0.0.1:PORT` wants a login (SMTP 530 5.7.0): set `SMTP_USERNAME` and `SMTP_PASSWORD`"]
        .assert_eq(&message.replace(&peer.port.to_string(), "PORT"));
}

#[tokio::test]
async fn an_address_beyond_ascii_needs_a_server_that_takes_it() {
    let peer = Peer::start(|talk| talk.until("never"));
    let error = plugin(peer.port, json!({})).call(mail_to(&["müller@example.com"])).await.unwrap_err();
    expect!["invalid: not sent: the server takes no addresses beyond ASCII (SMTPUTF8), and `müller@example.com` is one"].assert_eq(&shown(&error, peer.port));
}

#[tokio::test]
async fn a_domain_beyond_ascii_goes_to_any_server() {
    let (tell, told) = mpsc::channel();
    let peer = Peer::start(move |talk| {
        talk.until("RCPT TO:<ada@xn--bcher-kva.example>")?;
        talk.say("250 OK")?;
        talk.go_on_until("DATA")?;
        talk.say("354 go on")?;
        loop {
            let line = talk.hear()?;
            if line == "." {
                break;
            }
            tell.send(line).ok()?;
        }
        talk.say("250 taken")?;
        talk.go_on_until("never")
    });
    let sent = plugin(peer.port, json!({})).call(mail_to(&["Ada <ada@bücher.example>"])).await.unwrap();
    assert_eq!(sent.accepted, ["ada@xn--bcher-kva.example"]);
    let lines: Vec<String> = told.try_iter().collect();
    assert!(lines.contains(&"To: Ada <ada@xn--bcher-kva.example>".to_owned()), "{lines:?}");
    assert!(lines.iter().all(|line| line.is_ascii()), "{lines:?}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let peer = Peer::start(|talk| {
        talk.until("DATA")?;
        loop {
            talk.mail()?;
            talk.say("250 taken")?;
            talk.go_on_until("DATA")?;
        }
    });
    let plugin = plugin(peer.port, json!({}));
    for _ in 0..3 {
        plugin.call(mail_to(&["ada@example.com"])).await.unwrap();
    }
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_died_meanwhile_is_replaced() {
    let peer = Peer::start(|talk| {
        talk.until("DATA")?;
        talk.mail()?;
        talk.say("250 taken")
    });
    let plugin = plugin(peer.port, json!({}));
    for _ in 0..3 {
        plugin.call(mail_to(&["ada@example.com"])).await.unwrap();
    }
    assert_eq!(peer.connections(), 3);
}

/// A peer that takes one mail a connection, ends it at this command of the second one, and counts what it took.
fn takes_one_a_connection(command: &'static str, end: &'static str) -> (Peer, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let peer = Peer::start(move |talk| {
        talk.until("DATA")?;
        talk.mail()?;
        counter.fetch_add(1, Ordering::SeqCst);
        talk.say("250 taken")?;
        talk.go_on_until(command)?;
        if !end.is_empty() {
            talk.say(end)?;
        }
        None
    });
    (peer, taken)
}

#[tokio::test]
async fn a_kept_connection_that_the_server_ends_is_replaced_and_the_mail_goes_once() {
    for (command, end) in [
        // Amazon SES: knadh/listmonk#2683 and #81.
        ("MAIL", "421 4.7.0 Maximum message count per session reached"),
        ("MAIL", "451 4.4.2 Timeout waiting for data from client."),
        ("RCPT", "421 4.4.2 closing transmission channel"),
        ("DATA", "421 shutting down"),
        ("MAIL", ""),
    ] {
        let (peer, taken) = takes_one_a_connection(command, end);
        let plugin = plugin(peer.port, json!({}));
        for number in 1..=3 {
            plugin
                .call(mail_to(&["ada@example.com"]))
                .await
                .unwrap_or_else(|error| panic!("{command} {end}: {error}"));
            assert_eq!(taken.load(Ordering::SeqCst), number, "{command} {end}");
        }
        assert_eq!(peer.connections(), 3, "{command} {end}");
    }
}

#[tokio::test]
async fn a_fresh_connection_that_the_server_ends_is_not_replaced() {
    let peer = Peer::start(answers("MAIL", "421 4.7.0 too many connections"));
    let error = plugin(peer.port, json!({})).call(mail_to(&["ada@example.com"])).await.unwrap_err();
    expect!["unavailable: not sent: `127.0.0.1:PORT` ended the connection (SMTP 421 4.7.0): it does not serve at the moment"].assert_eq(&shown(&error, peer.port));
    assert_eq!(peer.connections(), 1);

    // At a recipient it is nobody's fault.
    let peer = Peer::start(answers("RCPT", "421 4.3.2 shutting down"));
    let error = plugin(peer.port, json!({})).call(mail_to(&["ada@example.com"])).await.unwrap_err();
    assert_eq!((error.kind, trouble(&error).recipients), (ErrorKind::Unavailable, Vec::new()));
    assert_eq!(error.trouble, None);
}

#[tokio::test]
async fn a_refusal_on_a_kept_connection_is_a_refusal() {
    let (peer, taken) = takes_one_a_connection("MAIL", "451 4.3.0 try again");
    let plugin = plugin(peer.port, json!({}));
    plugin.call(mail_to(&["ada@example.com"])).await.unwrap();
    let error = plugin.call(mail_to(&["ada@example.com"])).await.unwrap_err();
    expect!["unavailable: not sent: the server puts off the sender (SMTP 451 4.3.0)"]
        .assert_eq(&error.to_string());
    assert_eq!((peer.connections(), taken.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn more_mails_than_connections_wait_and_then_are_refused() {
    let busy = Arc::new(Notify::new());
    let tell = busy.clone();
    let peer = Peer::start(move |talk| {
        talk.until("DATA")?;
        talk.mail()?;
        tell.notify_one();
        talk.fall_silent()
    });
    let plugin = plugin(peer.port, json!({ "connections": 1, "timeout": "300ms" }));
    let second = async {
        busy.notified().await;
        plugin.call(mail_to(&["eve@example.com"])).await.unwrap_err()
    };
    tokio::select! {
        first = plugin.call(mail_to(&["ada@example.com"])) => panic!("the peer never answers, and yet: {first:?}"),
        error = second => expect!["overloaded: not sent: none of the 1 connections became free within 300ms (setting `connections`)"].assert_eq(&error.to_string()),
    }
}
