//! Against a real mail server: what arrives, and what TLS, a login and a refusal look like there.

use expect_test::{Expect, expect};
use plugin_api::{
    error::ErrorKind,
    requests::{
        email::{Attachment, SendEmail},
        host::Report,
    },
    serde_json::{Value, json},
    tokio,
};

use super::{
    partner::{Authority, Partner},
    setup::{PASSWORD, keyed, mail_to, plugin, reported, shown, shown_failure, trouble},
};

const LOGIN: [&str; 2] = ["--auth", "ada:correct-horse-battery"];

fn encrypted(tls: &str, authority: &Authority) -> Value {
    json!({ "tls": tls, "ca_file": authority.file(), "username": "ada", "password": PASSWORD })
}

fn full_mail() -> SendEmail {
    SendEmail {
        cc: vec!["\"Hopper, Grace\" <grace@example.com>".to_owned()],
        bcc: vec!["hidden@example.com".to_owned()],
        reply_to: Some("desk@example.com".to_owned()),
        subject: "Grüße 👋".to_owned(),
        text: Some("Zeile 1\n.\nZeile 3 – ä\n".to_owned()),
        html: Some("<p>Grüße</p>\n".to_owned()),
        attachments: vec![Attachment {
            filename: "bericht ä.bin".to_owned(),
            content_type: Some("application/x-report".to_owned()),
            content: "AAECDQr/".to_owned(),
        }],
        ..mail_to(&["Ada Lövelace <ada@example.com>"])
    }
}

#[tokio::test]
async fn a_mail_arrives_whole_by_implicit_tls_and_by_starttls() {
    let authority = Authority::new("ours");
    for tls in ["implicit", "starttls"] {
        let mode = format!("--{tls}");
        let options = [&[mode.as_str()], &LOGIN[..]].concat();
        let Some(server) = Partner::start_tls(&options, &authority.certify("127.0.0.1")) else { return };
        let plugin = plugin(server.port, encrypted(tls, &authority));
        plugin.init().await.unwrap();
        let sent = plugin.call(full_mail()).await.unwrap();
        assert_eq!(sent.accepted, ["ada@example.com", "grace@example.com", "hidden@example.com"]);
        assert!(matches!(reported(&plugin).await, Report::Success));
        plugin.stop().await.unwrap();

        let [mail] = &server.mails()[..] else { panic!("one mail arrives") };
        assert_eq!(mail["from"], "bot@example.com");
        assert_eq!(mail["to"], json!(sent.accepted));
        assert_eq!(mail["encrypted"], true);
        assert_eq!(mail["authenticated"], true);
        let header = |name: &str| mail["headers"][name].as_str().unwrap_or("-").to_owned();
        assert_eq!(header("Message-ID"), sent.message_id);
        assert_eq!(header("From"), "Bot <bot@example.com>");
        assert_eq!(header("To"), "Ada Lövelace <ada@example.com>");
        assert_eq!(header("Cc"), "\"Hopper, Grace\" <grace@example.com>");
        assert_eq!(header("Bcc"), "-");
        assert_eq!(header("Reply-To"), "desk@example.com");
        assert_eq!(header("Subject"), "Grüße 👋");
        assert_eq!(mail["text"], "Zeile 1\r\n.\r\nZeile 3 – ä\r\n");
        assert_eq!(mail["html"], "<p>Grüße</p>\r\n");
        let attachment = json!({
            "filename": "bericht ä.bin", "content_type": "application/x-report", "content": "AAECDQr/",
        });
        assert_eq!(mail["attachments"], json!([attachment]));
        let told = format!("{:?} {:?}", plugin.logs(), plugin.reports());
        assert!(!told.contains(PASSWORD) && !told.contains("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"), "{told}");
    }
}

#[tokio::test]
async fn a_wrong_password() {
    let authority = Authority::new("ours");
    let options = ["--implicit", "--auth", "ada:another"];
    let Some(server) = Partner::start_tls(&options, &authority.certify("127.0.0.1")) else { return };
    let failure = plugin(server.port, encrypted("implicit", &authority)).init().await.unwrap_err();
    expect![
        "auth_invalid [password]: `127.0.0.1:PORT` refuses the user name or the password (SMTP 535 5.7.8)"
    ]
    .assert_eq(&shown_failure(&failure, server.port));
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let check = async |certificate, tls: &str, expected: Expect| {
        let Some(server) = Partner::start_tls(&[&format!("--{tls}")], &certificate) else { return };
        let settings = json!({ "tls": tls, "ca_file": ours.file() });
        let failure = plugin(server.port, settings).init().await.expect_err("it is not trusted");
        expected.assert_eq(&shown_failure(&failure, server.port));
    };
    check(
        theirs.certify("127.0.0.1"),
        "implicit",
        expect!["tls [ca_file]: the certificate of `127.0.0.1:PORT` is signed by no trusted authority: if it is a private one, give the certificate of its authority in `SMTP_CA_FILE`"],
    )
    .await;
    check(
        theirs.certify("127.0.0.1"),
        "starttls",
        expect!["tls [ca_file]: the certificate of `127.0.0.1:PORT` is signed by no trusted authority: if it is a private one, give the certificate of its authority in `SMTP_CA_FILE`"],
    )
    .await;
    check(ours.certify("mail.example.com"), "implicit", expect!["tls [server]: the certificate of `127.0.0.1:PORT` is for another name: set `SMTP_SERVER` to the name that it is for"]).await;
    check(
        ours.certify_expired("127.0.0.1"),
        "implicit",
        expect!["tls [-]: the certificate of `127.0.0.1:PORT` has expired: it must be renewed there => Renew the certificate of `127.0.0.1:PORT`"],
    )
    .await;
}

#[tokio::test]
async fn a_mailbox_that_does_not_exist() {
    let Some(server) = Partner::start(&["--reject-rcpt", "eve@example.com"]) else { return };
    let plugin = plugin(server.port, json!({}));
    let error = plugin.call(mail_to(&["ada@example.com", "eve@example.com"])).await.unwrap_err();
    expect!["invalid: not sent to anybody: the server refuses `eve@example.com` (SMTP 550 5.1.1)"]
        .assert_eq(&shown(&error, server.port));
    assert!(server.mails().is_empty(), "nobody got it");
    plugin.call(mail_to(&["ada@example.com"])).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_puts_off_once_takes_the_repeat() {
    let Some(server) = Partner::start(&["--greylist"]) else { return };
    let plugin = plugin(server.port, json!({}));
    let error = plugin.call_with(keyed("job 7"), mail_to(&["ada@example.com"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(trouble(&error).smtp_code, Some(451));
    plugin.call_with(keyed("job 7"), mail_to(&["ada@example.com"])).await.unwrap();
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_mail_that_was_taken_without_an_answer_is_found_by_its_message_id() {
    let Some(server) = Partner::start(&["--drop-after-data"]) else { return };
    let plugin = plugin(server.port, json!({}));
    let error = plugin.call_with(keyed("job 7"), mail_to(&["ada@example.com"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnknownOutcome);
    plugin.call_with(keyed("job 7"), mail_to(&["ada@example.com"])).await.unwrap_err();
    let [mail] = &server.mails()[..] else { panic!("one mail was taken: {:?}", server.mails()) };
    assert_eq!(mail["headers"]["Message-ID"].as_str(), trouble(&error).message_id.as_deref());
}

#[tokio::test]
async fn an_address_beyond_ascii_arrives_where_it_is_taken() {
    let Some(server) = Partner::start(&[]) else { return };
    plugin(server.port, json!({})).call(mail_to(&["müller@example.com"])).await.unwrap();
    assert_eq!(server.mails()[0]["to"], json!(["müller@example.com"]));
}

#[tokio::test]
async fn a_server_that_never_greets() {
    let Some(server) = Partner::start(&["--never-greet"]) else { return };
    let failure = plugin(server.port, json!({ "timeout": "200ms" })).init().await.unwrap_err();
    assert_eq!(failure.code.as_str(), "timeout");
}
