//! Which requests become a mail, how it reads, and what is said of the others.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use plugin_api::requests::email::{Attachment, SendEmail};
use proptest::prelude::*;

use super::setup::mail_to;
use crate::{address, message::Letter, message_id};

const ID: &str = "<1@example.com>";

fn write(request: &SendEmail) -> Result<Letter, String> {
    let from = address::parse("Bot <bot@example.com>").unwrap();
    Letter::write(request, &from, ID.to_owned(), 10_000).map_err(|error| error.to_string())
}

fn refused(request: SendEmail, expected: Expect) {
    expected.assert_eq(&write(&request).expect_err("it is refused"));
}

fn with_file(attachment: Attachment) -> SendEmail {
    SendEmail { attachments: vec![attachment], ..mail_to(&["ada@example.com"]) }
}

fn file() -> Attachment {
    Attachment { filename: "a.txt".to_owned(), content_type: None, content: "aGVsbG8=".to_owned() }
}

#[test]
fn a_plain_mail_reads_so() {
    let request = SendEmail {
        cc: vec!["Grace Hopper <grace@example.com>".to_owned()],
        bcc: vec!["hidden@example.com".to_owned(), "ada@example.com".to_owned()],
        reply_to: Some("desk@example.com".to_owned()),
        subject: "Grüße".to_owned(),
        ..mail_to(&["Ada Lovelace <ada@example.com>"])
    };
    let letter = write(&request).unwrap();
    let text = String::from_utf8(letter.bytes).unwrap();
    let stable: Vec<&str> = text.lines().filter(|line| !line.starts_with("Date: ")).collect();
    expect![[r#"
        Message-ID: <1@example.com>
        From: Bot <bot@example.com>
        Subject: =?utf-8?b?R3LDvMOfZQ==?=
        To: "Ada Lovelace" <ada@example.com>
        Cc: "Grace Hopper" <grace@example.com>
        Reply-To: desk@example.com
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 7bit

        Hello, world!
    "#]]
    .assert_eq(&stable.join("\n"));
    let recipients: Vec<String> = letter.recipients.iter().map(ToString::to_string).collect();
    assert_eq!(recipients, ["ada@example.com", "grace@example.com", "hidden@example.com"]);
}

#[test]
fn nothing_gets_into_a_header_that_could_end_it() {
    let mail = || mail_to(&["ada@example.com"]);
    refused(
        SendEmail { subject: "Hi\r\nBcc: eve@example.com".to_owned(), ..mail() },
        expect![
            "invalid: `subject` must be one line: line breaks and control characters are not allowed in it"
        ],
    );
    refused(
        mail_to(&["ada@example.com\r\nBcc: eve@example.com"]),
        expect![[
            r#"invalid: `to[0]` is `ada@example.com\r\nBcc: eve@example.com`: line breaks and control characters are not allowed in an address"#
        ]],
    );
    refused(
        mail_to(&["Ada\n <ada@example.com>"]),
        expect![[
            r#"invalid: `to[0]` is `Ada\n <ada@example.com>`: line breaks and control characters are not allowed in an address"#
        ]],
    );
    refused(
        SendEmail { reply_to: Some("a@example.com\n".to_owned()), ..mail() },
        expect![[
            r#"invalid: `reply_to` is `a@example.com\n`: line breaks and control characters are not allowed in an address"#
        ]],
    );
    refused(
        with_file(Attachment { filename: "a\r\nX: y".to_owned(), ..file() }),
        expect![
            "invalid: `attachments[0].filename` must be one line: line breaks and control characters are not allowed in it"
        ],
    );
    refused(
        with_file(Attachment { content_type: Some("text/plain\r\nX: y".to_owned()), ..file() }),
        expect![[
            r#"invalid: `attachments[0].content_type` is `text/plain\r\nX: y`: expected the media type of one file, such as `application/pdf`"#
        ]],
    );
}

#[test]
fn what_is_wrong_is_named() {
    let mail = || mail_to(&["ada@example.com"]);
    refused(mail_to(&[]), expect!["invalid: nobody to send it to: give an address in `to`, `cc` or `bcc`"]);
    refused(
        mail_to(&["ada@example.com", "nobody"]),
        expect![
            "invalid: `to[1]` is `nobody`: expected one address such as `ada@example.com` or `Ada Lovelace <ada@example.com>`"
        ],
    );
    refused(
        mail_to(&["ada@example.com, eve@example.com"]),
        expect![
            "invalid: `to[0]` is `ada@example.com, eve@example.com`: expected one address such as `ada@example.com` or `Ada Lovelace <ada@example.com>`"
        ],
    );
    refused(
        mail_to(&["Ada <ada@example.com> <eve@example.com>"]),
        expect![
            "invalid: `to[0]` is `Ada <ada@example.com> <eve@example.com>`: expected one address such as `ada@example.com` or `Ada Lovelace <ada@example.com>`"
        ],
    );
    let long = SendEmail { cc: vec![format!("{}@example.com", "a".repeat(300))], ..mail() };
    assert!(write(&long).unwrap_err().ends_with("it is 312 bytes long, at most 254 are allowed"));
    let long = SendEmail { subject: "a".repeat(999), ..mail() };
    refused(long, expect!["invalid: `subject` is 999 bytes long, at most 998 are allowed"]);
    refused(
        SendEmail { text: None, ..mail() },
        expect!["invalid: the mail is empty: give `text`, `html` or both"],
    );
    refused(
        with_file(Attachment { filename: "../etc/passwd".to_owned(), ..file() }),
        expect![
            "invalid: `attachments[0].filename` is `../etc/passwd`: expected a name without folders, such as `report.pdf`"
        ],
    );
    refused(
        with_file(Attachment { content_type: Some("multipart/mixed".to_owned()), ..file() }),
        expect![
            "invalid: `attachments[0].content_type` is `multipart/mixed`: expected the media type of one file, such as `application/pdf`"
        ],
    );
    refused(
        with_file(Attachment { content: "no base64!".to_owned(), ..file() }),
        expect!["invalid: `attachments[0].content` is not standard base64"],
    );
    let many: Vec<String> = (0..101).map(|number| format!("p{number}@example.com")).collect();
    refused(
        SendEmail { bcc: many, ..mail() },
        expect!["invalid: the mail has 102 recipients, at most 100 are allowed: send it in several calls"],
    );
}

#[test]
fn a_mail_that_is_too_large_says_both_sizes() {
    let text = Some("x".repeat(10_001));
    refused(
        SendEmail { text, ..mail_to(&["ada@example.com"]) },
        expect![
            "invalid: the request's content has 10001 bytes, at most 10000 are allowed (setting `max_message_size`)"
        ],
    );
    refused(
        with_file(Attachment { content: "aGVs".repeat(2_400), ..file() }),
        expect!["invalid: the mail has 10450 bytes, at most 10000 are allowed (setting `max_message_size`)"],
    );
}

#[test]
fn a_key_always_gives_the_same_message_id() {
    let id = |parts: &[&str]| message_id::derived(parts, "example.com");
    expect!["<2fe4cbffc370896a7caa6aad29b619fb@example.com>"].assert_eq(&id(&[
        "smtp",
        "scheduler_service",
        "job 7",
    ]));
    assert_ne!(id(&["smtp", "ab", "c"]), id(&["smtp", "a", "bc"]));
    let random: BTreeSet<String> = (0..100).map(|_| message_id::random("example.com").unwrap()).collect();
    assert_eq!(random.len(), 100);
}

proptest! {
    /// No text makes a line end that one server takes for one and another does not, nor ends the mail.
    #[test]
    fn every_line_ends_by_crlf(text in "([a-z.é\r\n]|\r\n\\.\r\n|\n\\.\n){0,60}", html: Option<String>) {
        let request = SendEmail { text: Some(text), html, ..mail_to(&["ada@example.com"]) };
        let bytes = write(&request).unwrap().bytes;
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                b'\r' => prop_assert_eq!(bytes.get(index + 1), Some(&b'\n')),
                b'\n' => prop_assert_eq!(bytes[index - 1], b'\r'),
                byte => prop_assert!(byte.is_ascii()),
            }
        }
    }

    /// Whatever stands in the fields, the headers are ours, each once, and the recipients are those that were given.
    #[test]
    fn no_field_makes_a_header(subject: String, name in "\\PC{0,20}", filename: String) {
        let request = SendEmail {
            to: vec![format!("{name} <ada@example.com>")],
            attachments: vec![Attachment { filename, ..file() }],
            subject,
            ..mail_to(&[])
        };
        if let Ok(letter) = write(&request) {
            let text = String::from_utf8(letter.bytes).unwrap();
            let (headers, _) = text.split_once("\r\n\r\n").unwrap();
            let mut names: Vec<&str> = headers
                .split("\r\n")
                .filter(|line| !line.starts_with([' ', '\t']))
                .map(|line| line.split_once(':').unwrap().0)
                .collect();
            names.sort_unstable();
            prop_assert_eq!(names, ["Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]);
            prop_assert_eq!(letter.recipients.len(), 1);
            prop_assert_eq!(letter.recipients[0].to_string(), "ada@example.com");
        }
    }
}
