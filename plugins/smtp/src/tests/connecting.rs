//! Every way in which there is no working connection: its code, its setting, its exact words.

use std::sync::mpsc;

use expect_test::{Expect, expect};
use plugin_api::{
    requests::host::Report,
    serde_json::{Value, json},
    tokio,
};

use super::{
    partner::Authority,
    peer::{Peer, Talk, closed_port},
    setup::{PASSWORD, login, mail_to, plugin, reported, shown, shown_failure},
};

async fn fails(port: u16, settings: Value, expected: Expect) {
    let failure = plugin(port, settings).init().await.expect_err("there is no working connection");
    expected.assert_eq(&shown_failure(&failure, port));
}

/// The peer's first line is this.
fn greets(line: &'static str) -> Peer {
    Peer::start(move |talk| {
        talk.say(line)?;
        talk.fall_silent()
    })
}

/// The peer answers the login with this.
fn answers_login(line: &'static str) -> Peer {
    Peer::start(move |talk| {
        talk.until("AUTH")?;
        talk.say(line)?;
        talk.fall_silent()
    })
}

#[tokio::test]
async fn a_server_that_answers_is_connected() {
    let peer = Peer::start(|talk| {
        talk.until("AUTH PLAIN")?;
        talk.say("235 2.7.0 welcome")?;
        talk.go_on_until("NOOP")?;
        talk.say("250 OK")
    });
    let plugin = plugin(peer.port, login());
    plugin.init().await.unwrap();
    plugin.probe().await.unwrap();
    assert_eq!(peer.connections(), 2, "every probe logs in anew");
    plugin.stop().await.unwrap();
}

#[tokio::test]
async fn nobody_there() {
    fails(closed_port(), json!({}), expect!["refused [-]: nobody listens at `127.0.0.1:PORT`"]).await;
    fails(
        587,
        json!({ "server": "no-such-host.invalid" }),
        expect!["dns [server]: the name `no-such-host.invalid` does not resolve to an address"],
    )
    .await;
}

#[tokio::test]
async fn silence() {
    let silent = Peer::start(Talk::fall_silent);
    let short = json!({ "timeout": "200ms" });
    fails(silent.port, short.clone(), expect!["timeout [tls]: `127.0.0.1:PORT` gave no greeting within 200ms: if the port expects TLS from the first byte, set `SMTP_TLS=implicit`"]).await;
    fails(silent.port, json!({ "timeout": "200ms", "tls": "implicit" }), expect!["timeout [tls]: `127.0.0.1:PORT` gave no greeting within 200ms: if the port begins unencrypted, set `SMTP_TLS=starttls`"]).await;

    let deaf = Peer::start(|talk| {
        talk.until("AUTH")?;
        talk.fall_silent()
    });
    let mut settings = login();
    settings["timeout"] = json!("200ms");
    fails(
        deaf.port,
        settings,
        expect!["timeout [-]: `127.0.0.1:PORT` gave no answer to the login within 200ms"],
    )
    .await;

    let dozing = Peer::start(|talk| {
        talk.until("NOOP")?;
        talk.fall_silent()
    });
    fails(dozing.port, short, expect!["timeout [-]: `127.0.0.1:PORT` gave no answer to NOOP within 200ms"])
        .await;
}

#[tokio::test]
async fn something_else_than_a_mail_server() {
    fails(greets("HTTP/1.1 400 Bad Request").port, json!({}), expect!["protocol [server]: `127.0.0.1:PORT` does not answer as a mail server: check `SMTP_SERVER` and `SMTP_PORT`"]).await;
    fails(greets("hello").port, json!({}), expect!["protocol [server]: `127.0.0.1:PORT` does not answer as a mail server: check `SMTP_SERVER` and `SMTP_PORT`"]).await;
    fails(
        Peer::start(|_| None).port,
        json!({}),
        expect!["unavailable [-]: `127.0.0.1:PORT` closed the connection before it was usable"],
    )
    .await;
}

#[tokio::test]
async fn a_server_that_will_not_serve() {
    fails(
        greets("421 4.3.2 shutting down").port,
        json!({}),
        expect!["unavailable [-]: `127.0.0.1:PORT` does not serve at the moment (SMTP 421 4.3.2)"],
    )
    .await;
    fails(
        greets("554 5.7.1 your address is listed").port,
        json!({}),
        expect!["forbidden [-]: `127.0.0.1:PORT` refuses to serve this machine (SMTP 554 5.7.1) => Ask the operator of `127.0.0.1:PORT` to take mail from this machine, or use another server"],
    )
    .await;
}

#[tokio::test]
async fn a_refused_login() {
    fails(
        answers_login("535 5.7.8 no such user ada").port,
        login(),
        expect![
            "auth_invalid [password]: `127.0.0.1:PORT` refuses the user name or the password (SMTP 535 5.7.8)"
        ],
    )
    .await;
    fails(answers_login("534 5.7.9 use an app password").port, login(), expect!["auth_invalid [password]: `127.0.0.1:PORT` wants a password made for one application (SMTP 534 5.7.9) => Make an app password at the provider, and set it as `SMTP_PASSWORD`"]).await;
    fails(answers_login("538 5.7.11 encrypt first").port, login(), expect!["auth_invalid [tls]: `127.0.0.1:PORT` takes a login only over an encrypted connection (SMTP 538 5.7.11): set `SMTP_TLS`"]).await;
    fails(
        answers_login("454 4.7.0 try later").port,
        login(),
        expect!["unavailable [-]: `127.0.0.1:PORT` does not serve at the moment (SMTP 454 4.7.0)"],
    )
    .await;

    let no_login = Peer::start(|talk| {
        talk.say("220 peer")?;
        talk.hear()?;
        talk.say("250 peer")?;
        talk.fall_silent()
    });
    fails(no_login.port, login(), expect!["config_invalid [tls]: `127.0.0.1:PORT` offers no login with a password over an unencrypted connection: set `SMTP_TLS`, or unset `SMTP_USERNAME` and `SMTP_PASSWORD`"]).await;
}

#[tokio::test]
async fn encryption_that_does_not_come_about() {
    let plain = Peer::start(|talk| talk.until("never"));
    fails(plain.port, json!({ "tls": "starttls" }), expect!["tls [tls]: `127.0.0.1:PORT` offers no STARTTLS: set `SMTP_TLS=implicit` if the port expects TLS from the first byte, or `SMTP_TLS=none` to send unencrypted"]).await;
    fails(greets("220 peer ESMTP").port, json!({ "tls": "implicit" }), expect!["tls [tls]: `127.0.0.1:PORT` does not answer in TLS: if the port begins unencrypted, set `SMTP_TLS=starttls`"]).await;
}

/// CVE-2011-0411: what is put behind the reply must not pass for what the server says once it is encrypted.
#[tokio::test]
async fn words_that_come_with_the_reply_to_starttls_end_the_connection() {
    let trusted = Authority::new("ours");
    for more in ["250 2.0.0 OK\r\n", "250-peer\r\n250 AUTH PLAIN\r\n", "\r\n", "2"] {
        let (tell, told) = mpsc::channel();
        let peer = Peer::start(move |talk| {
            talk.say("220 peer")?;
            talk.hear()?;
            talk.say("250-peer\r\n250 STARTTLS")?;
            talk.hear()?;
            // In one piece, so that it comes with the reply.
            talk.say_bytes(format!("220 2.0.0 Ready to start TLS\r\n{more}").as_bytes())?;
            tell.send(talk.hear()).ok()
        });
        fails(peer.port, json!({ "tls": "starttls", "ca_file": trusted.file() }), expect!["tls [-]: `127.0.0.1:PORT` sent extra data after its reply to STARTTLS: an attacker in between may have injected it, so that the connection was closed => Set `SMTP_TLS=implicit` if `127.0.0.1:PORT` has a port for it, or look into the network on the way there"]).await;
        assert_eq!(told.recv().unwrap(), None, "nothing is said after it: {more:?}");
    }
}

#[tokio::test]
async fn authorities_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let settings = json!({ "tls": "implicit", "ca_file": path });
    let message = |failure: plugin_api::error::Failure| {
        shown_failure(&failure, 0).replace(&path.display().to_string(), "CA_FILE")
    };
    let plugin = plugin(closed_port(), settings);
    expect!["config_invalid [ca_file]: `CA_FILE` does not exist"]
        .assert_eq(&message(plugin.init().await.unwrap_err()));
    std::fs::write(&path, "not a certificate").unwrap();
    expect![
        "config_invalid [ca_file]: `CA_FILE` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)"
    ]
    .assert_eq(&message(plugin.init().await.unwrap_err()));
}

#[tokio::test]
async fn a_login_that_is_refused_when_mail_is_sent_is_reported_and_no_secret_is_told() {
    let peer = answers_login("535 5.7.8 bad password correct-horse-battery");
    let plugin = plugin(peer.port, login());
    let error = plugin.call(mail_to(&["ada@example.com"])).await.unwrap_err();
    expect!["unavailable: not sent: `127.0.0.1:PORT` refuses the user name or the password (SMTP 535 5.7.8)"]
        .assert_eq(&shown(&error, peer.port));
    let Report::Failure { code, setting, message, .. } = reported(&plugin).await else {
        panic!("a failure is reported");
    };
    assert_eq!((code.as_str(), setting.as_deref()), ("auth_invalid", Some("password")));
    assert!(!message.contains(PASSWORD) && !error.message.contains(PASSWORD));
}
