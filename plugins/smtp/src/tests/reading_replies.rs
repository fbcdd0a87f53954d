//! Replies as servers really write them: the code counts, whatever the text is encoded in, and whether there is one.

use std::io::{Cursor, ErrorKind};

use ::tokio::io::{join, sink};
use expect_test::{Expect, expect};
use plugin_api::{error::OperationError, requests::email::Sent, serde_json::json, tokio};
use proptest::prelude::*;

use super::{
    peer::{Peer, Talk},
    setup::{login, mail_to, plugin, shown, shown_failure},
};
use crate::client::connection::{Connection, stuffed};

/// QQ Mail, as cole/aiosmtplib#41 quotes it: "please log in with an authorization code", in GBK.
const GBK_535: &[u8] = b"535 Error: \xc7\xeb\xca\xb9\xd3\xc3\xca\xda\xc8\xa8\xc2\xeb\xb5\xc7\xc2\xbc\xa1\xa3\
    : http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256\r\n";

async fn read(bytes: &[u8]) -> Result<(u16, Vec<String>), ErrorKind> {
    let mut connection = Connection::new(Box::new(join(Cursor::new(bytes.to_vec()), sink())));
    connection.hear().await.map(|reply| (reply.code, reply.lines)).map_err(|error| error.kind())
}

/// The peer says yes to everything until a line begins so, then these bytes, then yes again.
fn says(stop: &'static str, bytes: &'static [u8]) -> impl Fn(&mut Talk) -> Option<()> {
    move |talk| {
        talk.until(stop)?;
        talk.say_bytes(bytes)?;
        talk.go_on_until("never")
    }
}

/// The peer takes the mail and says these bytes.
fn says_after_the_mail(bytes: &'static [u8]) -> impl Fn(&mut Talk) -> Option<()> {
    move |talk| {
        talk.until("DATA")?;
        talk.mail()?;
        talk.say_bytes(bytes)?;
        talk.go_on_until("never")
    }
}

async fn send(script: impl Fn(&mut Talk) -> Option<()> + Send + Sync + 'static) -> Result<Sent, String> {
    let peer = Peer::start(script);
    let sent: Result<Sent, OperationError> =
        plugin(peer.port, json!({})).call(mail_to(&["ada@example.com"])).await;
    sent.map_err(|error| shown(&error, peer.port))
}

#[tokio::test]
async fn a_line_is_a_code_with_or_without_a_text() {
    let ok = |text: &str| Ok((250, vec![text.to_owned()]));
    assert_eq!(read(b"250 OK\r\n").await, ok("OK"));
    assert_eq!(read(b"250\r\n").await, ok(""), "RFC 5321, 4.2: a client must take a reply without text");
    assert_eq!(read(b"250 \r\n").await, ok(""));
    assert_eq!(read(b"250 OK\n").await, ok("OK"), "some end their lines so");
    assert_eq!(
        read(b"571 blocked\r\n").await,
        Ok((571, vec!["blocked".to_owned()])),
        "nobody's list of codes"
    );
    let lines = ["first", "", "last"].map(str::to_owned).to_vec();
    assert_eq!(read(b"250-first\r\n250-\r\n250 last\r\n").await, Ok((250, lines)));
    for nonsense in [
        &b"hello\r\n"[..],
        b"HTTP/1.1 400 Bad Request\r\n",
        b"2500 OK\r\n",
        b"650 OK\r\n",
        b"25\r\n",
        b"\r\n",
    ] {
        assert_eq!(read(nonsense).await, Err(ErrorKind::InvalidData), "{}", nonsense.escape_ascii());
    }
    for cut in [&b""[..], b"250 O", b"250-first\r\n"] {
        assert_eq!(read(cut).await, Err(ErrorKind::UnexpectedEof), "{}", cut.escape_ascii());
    }
    let endless = [b"250 ".to_vec(), vec![b'x'; 200_000]].concat();
    assert_eq!(read(&endless).await, Err(ErrorKind::InvalidData));
}

#[tokio::test]
async fn a_text_is_shown_as_far_as_it_can_be_read() {
    let (code, lines) = read(GBK_535).await.unwrap();
    assert_eq!(code, 535);
    expect![[r"Error: \xc7\xeb\xca\xb9\xd3\xc3\xca\xda\xc8\xa8\xc2\xeb\xb5\xc7\xc2\xbc\xa1\xa3: http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256"]]
        .assert_eq(&lines[0]);
    let (_, lines) = read(b"250 re\xe7u\r\n").await.unwrap();
    assert_eq!(lines, [r"re\xe7u"]);
    let (_, lines) = read("250 reçu\r\n".as_bytes()).await.unwrap();
    assert_eq!(lines, ["reçu"]);
}

#[tokio::test]
async fn a_mail_that_was_taken_was_taken_in_any_language() {
    for answer in [
        &b"250 Message accept\xe9 pour livraison\r\n"[..],
        b"250-\xd3\xca\xbc\xfe\r\n250 \xd2\xd1\xca\xd5\r\n",
        b"250\r\n",
        b"250 \r\n",
        b"250 queued\n",
    ] {
        send(says_after_the_mail(answer))
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", answer.escape_ascii()));
    }
    for (stop, answer) in [("MAIL", &b"250\r\n"[..]), ("RCPT", b"250 destinataire accept\xe9\r\n")] {
        let script = move |talk: &mut Talk| {
            talk.until(stop)?;
            talk.say_bytes(answer)?;
            talk.go_on_until("DATA")?;
            talk.mail()?;
            talk.say("250 taken")
        };
        send(script).await.unwrap();
    }
    let bare = |talk: &mut Talk| {
        talk.say_bytes(b"220\r\n")?;
        while talk.hear()? != "DATA" {
            talk.say_bytes(b"250\r\n")?;
        }
        talk.say_bytes(b"354\r\n")?;
        while talk.hear()? != "." {}
        talk.say_bytes(b"250\r\n")?;
        talk.fall_silent()
    };
    send(bare).await.unwrap();
}

#[tokio::test]
async fn a_refusal_in_any_language_is_what_its_code_says() {
    let check = async |script, expected: Expect| expected.assert_eq(&send(script).await.unwrap_err());
    check(
        says("RCPT", b"550 5.1.1 \xd3\xca\xcf\xe4\xb2\xbb\xb4\xe6\xd4\xda\r\n"),
        expect!["invalid: not sent to anybody: the server refuses `ada@example.com` (SMTP 550 5.1.1)"],
    )
    .await;
    check(
        says("RCPT", b"450 4.2.0 r\xe9essayez\r\n"),
        expect!["unavailable: not sent to anybody: the server puts off `ada@example.com` (SMTP 450 4.2.0)"],
    )
    .await;
    let spam = b"550 \xc4\xfa\xb7\xa2\xcb\xcd\xb5\xc4\xd3\xca\xbc\xfe\xb1\xbb\xbe\xdc\xca\xd5\r\n";
    expect!["invalid: not sent: the server refuses the mail (SMTP 550)"]
        .assert_eq(&send(says_after_the_mail(spam)).await.unwrap_err());
    expect!["denied: not sent: the server does not permit the mail (SMTP 571 5.7.1)"]
        .assert_eq(&send(says_after_the_mail(b"571 5.7.1 blocked\r\n")).await.unwrap_err());
    let answer = send(says_after_the_mail(b"550\r\n")).await.unwrap_err();
    expect!["invalid: not sent: the server refuses the mail (SMTP 550)"].assert_eq(&answer);
}

#[tokio::test]
async fn a_login_refused_in_gbk_names_the_password() {
    let peer = Peer::start(says("AUTH", GBK_535));
    let failure = plugin(peer.port, login()).init().await.unwrap_err();
    expect!["auth_invalid [password]: `127.0.0.1:PORT` refuses the user name or the password (SMTP 535)"]
        .assert_eq(&shown_failure(&failure, peer.port));
}

#[tokio::test]
async fn a_greeting_and_a_hello_in_any_language_are_taken() {
    let peer = Peer::start(|talk| {
        talk.say_bytes(b"220 \xbb\xb6\xd3\xad\r\n")?;
        talk.hear()?;
        talk.say_bytes(b"250-\xbb\xb6\xd3\xad\r\n250-auth=LOGIN\r\n250 SmtpUtf8\r\n")?;
        (talk.hear()? == "AUTH LOGIN").then_some(())?;
        // "User name" and "password", in base64 of GBK.
        talk.say_bytes(b"334 08O7p8P7\r\n")?;
        (talk.hear()? == "YWRh").then_some(())?;
        talk.say_bytes(b"334 w9zC6w==\r\n")?;
        (talk.hear()? == "Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5").then_some(())?;
        talk.say_bytes(b"235\r\n")?;
        talk.go_on_until("never")
    });
    plugin(peer.port, login()).init().await.unwrap();
}

proptest! {
    #[test]
    fn no_reply_panics_or_is_read_twice(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(read(&bytes));
        let reply = [b"250-", &bytes.iter().copied().filter(|byte| *byte != b'\n').collect::<Vec<_>>()[..], b"\r\n250 end\r\n"];
        let (code, lines) = runtime.block_on(read(&reply.concat())).unwrap();
        prop_assert_eq!((code, lines.len(), lines[1].as_str()), (250, 2, "end"));
    }

    /// A server turns the lines back into the mail, and none of them ends it.
    #[test]
    fn no_line_of_a_mail_ends_it(lines in prop::collection::vec("[.a]{0,3}", 0..20)) {
        let mail = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>();
        let sent = String::from_utf8(stuffed(mail.as_bytes())).unwrap();
        prop_assert!(sent.lines().all(|line| line != "."));
        let read = sent.lines().map(|line| format!("{}\r\n", line.strip_prefix('.').unwrap_or(line))).collect::<String>();
        prop_assert_eq!(read, if mail.is_empty() { "\r\n".to_owned() } else { mail });
    }
}
