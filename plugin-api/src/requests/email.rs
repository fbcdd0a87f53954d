//! What the `smtp` plugin offers: sending an email.

use crate::{message, requests::Request};

/// Sends one email from the address that the plugin's settings name.
///
/// Either every recipient is accepted and the mail is handed over once, or nothing is sent. An idempotency key on the
/// call makes the mail's Message-ID, and a repeat with the same key within one run of the host answers with the result
/// of the first call instead of sending again.
///
/// # Errors
/// - `invalid`: the request, or the server refuses an address or the mail for good; nothing was sent.
/// - `denied`: the server's policy forbids it; nothing was sent.
/// - `conflict`: the idempotency key was used for another mail.
/// - `unavailable`, `overloaded`: nothing was sent; try again later.
/// - `deadline`: the caller's time ended before anything was sent.
/// - `unknown_outcome`: it was handed over, and no answer came. It may arrive: look for its Message-ID before sending
///   it again.
///
/// Beside the kind, [`SendTrouble`] is in the error's details where the server or the Message-ID has a part in it.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SendEmail {
    /// Who it is for, one address an entry: `ada@example.com` or `Ada Lovelace <ada@example.com>`.
    #[serde(default)]
    pub to: Vec<String>,
    /// Who gets a copy that everybody sees, one address an entry.
    #[serde(default)]
    pub cc: Vec<String>,
    /// Who gets a copy that the others do not see, one address an entry.
    #[serde(default)]
    pub bcc: Vec<String>,
    /// Where answers go, if not to the sender: one address.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// The subject: one line of plain text.
    pub subject: String,
    /// The mail as plain text. Give `text`, `html` or both; with both, `text` says the same for readers without HTML.
    #[serde(default)]
    pub text: Option<String>,
    /// The mail as HTML.
    #[serde(default)]
    pub html: Option<String>,
    /// Files that go with it.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
}

/// A file that goes with an email.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The name that the reader sees, such as `report.pdf`; no folders.
    pub filename: String,
    /// Its media type, such as `application/pdf`. Left out, it is `application/octet-stream`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Its bytes in standard base64.
    pub content: String,
}

impl Request for SendEmail {
    const OPERATION: &'static str = "send_email";
    type Response = Sent;
}

/// The server has taken the mail over. Whether it reaches a mailbox, SMTP cannot tell.
#[message]
#[derive(PartialEq, Eq)]
pub struct Sent {
    /// The mail's Message-ID, with its angle brackets.
    pub message_id: String,
    /// Every address that it goes to, hidden copies included.
    pub accepted: Vec<String>,
    /// An earlier call with the same idempotency key sent it; this one did not.
    pub repeated: bool,
}

/// The details of an error of [`SendEmail`].
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct SendTrouble {
    /// The Message-ID of the mail, for looking it up; given when it may have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The server's reply code, such as 550.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp_code: Option<u16>,
    /// The server's enhanced status code (RFC 3463), such as `5.1.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced_code: Option<String>,
    /// The recipients that the server refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<RefusedRecipient>,
}

/// A recipient that the server refused.
#[message]
#[derive(PartialEq, Eq)]
pub struct RefusedRecipient {
    /// The address.
    pub address: String,
    /// The server's reply code.
    pub smtp_code: u16,
    /// The server's enhanced status code (RFC 3463).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enhanced_code: Option<String>,
}
