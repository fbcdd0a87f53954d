//! A request -> a [`Letter`]: the bytes that are sent, and whom they are for. Refuses what cannot be a mail; never
//! touches the network.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::{
    Address, Message,
    message::{
        Body, Mailbox, MessageBuilder, MultiPart, SinglePart,
        header::{ContentDisposition, ContentTransferEncoding, ContentType},
    },
};
use plugin_api::{
    error::OperationError,
    requests::email::{Attachment, SendEmail},
};

use crate::address;

/// Most recipients of one mail: what every server must take (RFC 5321, 4.5.3.1.8).
pub const MAX_RECIPIENTS: usize = 100;
/// Longest subject, in bytes.
const MAX_SUBJECT: usize = 998;
/// Longest name of a file, in bytes.
const MAX_FILENAME: usize = 255;

/// A mail, ready to be sent.
#[derive(Debug)]
pub struct Letter {
    pub message_id: String,
    pub sender: Address,
    /// Everybody that it goes to, each once.
    pub recipients: Vec<Address>,
    /// Headers and body with CRLF line ends.
    pub bytes: Vec<u8>,
}

impl Letter {
    /// Writes the mail.
    ///
    /// # Errors
    /// `invalid`, with what is wrong and where.
    pub fn write(
        request: &SendEmail,
        from: &Mailbox,
        message_id: String,
        max_size: usize,
    ) -> Result<Self, OperationError> {
        let to = addresses("to", &request.to)?;
        let cc = addresses("cc", &request.cc)?;
        let bcc = addresses("bcc", &request.bcc)?;
        let recipients = recipients([&to, &cc, &bcc])?;
        check_size("the request's content", content_size(request), max_size)?;

        let mut message = Message::builder()
            .message_id(Some(message_id.clone()))
            .from(from.clone())
            .subject(line("subject", &request.subject, MAX_SUBJECT)?);
        message = to.into_iter().fold(message, MessageBuilder::to);
        message = cc.into_iter().fold(message, MessageBuilder::cc);
        message = bcc.into_iter().fold(message, MessageBuilder::bcc);
        if let Some(reply_to) = &request.reply_to {
            message = message.reply_to(mailbox("reply_to", reply_to)?);
        }

        let message = match content(request)? {
            Content::Single(part) => message.singlepart(part),
            Content::Multi(part) => message.multipart(part),
        };
        let bytes =
            message.map_err(|_| OperationError::internal("the mail cannot be put together"))?.formatted();
        check_size("the mail", bytes.len(), max_size)?;
        Ok(Self { message_id, sender: from.email.clone(), recipients, bytes })
    }
}

/// The body in the making.
enum Content {
    Single(SinglePart),
    Multi(MultiPart),
}

fn content(request: &SendEmail) -> Result<Content, OperationError> {
    let body = match (request.text.as_deref(), request.html.as_deref()) {
        (Some(text), Some(html)) => Content::Multi(MultiPart::alternative_plain_html(crlf(text), crlf(html))),
        (Some(text), None) => Content::Single(SinglePart::plain(crlf(text))),
        (None, Some(html)) => Content::Single(SinglePart::html(crlf(html))),
        (None, None) => {
            return Err(OperationError::invalid("the mail is empty: give `text`, `html` or both"));
        }
    };
    if request.attachments.is_empty() {
        return Ok(body);
    }
    let mixed = match body {
        Content::Single(part) => MultiPart::mixed().singlepart(part),
        Content::Multi(part) => MultiPart::mixed().multipart(part),
    };
    let parts = request.attachments.iter().enumerate().map(|(index, file)| attachment(index, file));
    let mixed = parts.collect::<Result<Vec<_>, _>>()?.into_iter().fold(mixed, MultiPart::singlepart);
    Ok(Content::Multi(mixed))
}

fn attachment(index: usize, attachment: &Attachment) -> Result<SinglePart, OperationError> {
    let place = format!("attachments[{index}]");
    let filename = line(&format!("{place}.filename"), &attachment.filename, MAX_FILENAME)?;
    if filename.is_empty() || filename.contains(['/', '\\']) {
        return Err(OperationError::invalid(format!(
            "`{place}.filename` is `{filename}`: expected a name without folders, such as `report.pdf`"
        )));
    }
    let media_type = attachment.content_type.as_deref().unwrap_or("application/octet-stream");
    let content_type = ContentType::parse(media_type).ok().filter(|_| !is_container(media_type)).ok_or_else(|| {
        OperationError::invalid(format!(
            "`{place}.content_type` is `{}`: expected the media type of one file, such as `application/pdf`",
            media_type.escape_debug()
        ))
    })?;
    let content = STANDARD
        .decode(&attachment.content)
        .map_err(|_| OperationError::invalid(format!("`{place}.content` is not standard base64")))?;
    let body = Body::new_with_encoding(content, ContentTransferEncoding::Base64)
        .expect("base64 can carry any bytes");
    Ok(SinglePart::builder().header(ContentDisposition::attachment(filename)).header(content_type).body(body))
}

/// These hold further parts and may not be written in base64 (RFC 2046, 5.1 and 5.2).
fn is_container(media_type: &str) -> bool {
    let kind = media_type.split('/').next().unwrap_or_default();
    kind.eq_ignore_ascii_case("multipart") || kind.eq_ignore_ascii_case("message")
}

fn addresses(field: &str, texts: &[String]) -> Result<Vec<Mailbox>, OperationError> {
    texts.iter().enumerate().map(|(index, text)| mailbox(&format!("{field}[{index}]"), text)).collect()
}

fn mailbox(place: &str, text: &str) -> Result<Mailbox, OperationError> {
    address::parse(text)
        .map_err(|why| OperationError::invalid(format!("`{place}` is `{}`: {why}", text.escape_debug())))
}

fn recipients(lists: [&Vec<Mailbox>; 3]) -> Result<Vec<Address>, OperationError> {
    let mut recipients: Vec<Address> = Vec::new();
    for mailbox in lists.into_iter().flatten() {
        if !recipients.contains(&mailbox.email) {
            recipients.push(mailbox.email.clone());
        }
    }
    match recipients.len() {
        0 => Err(OperationError::invalid("nobody to send it to: give an address in `to`, `cc` or `bcc`")),
        1..=MAX_RECIPIENTS => Ok(recipients),
        number => Err(OperationError::invalid(format!(
            "the mail has {number} recipients, at most {MAX_RECIPIENTS} are allowed: send it in several calls"
        ))),
    }
}

/// Text that becomes part of a header: one line.
fn line<'a>(field: &str, text: &'a str, limit: usize) -> Result<&'a str, OperationError> {
    if text.chars().any(char::is_control) {
        return Err(OperationError::invalid(format!(
            "`{field}` must be one line: line breaks and control characters are not allowed in it"
        )));
    }
    if text.len() > limit {
        return Err(OperationError::invalid(format!(
            "`{field}` is {} bytes long, at most {limit} are allowed",
            text.len()
        )));
    }
    Ok(text)
}

fn content_size(request: &SendEmail) -> usize {
    let bodies = [&request.text, &request.html].into_iter().flatten().map(String::len).sum::<usize>();
    bodies + request.attachments.iter().map(|attachment| attachment.content.len()).sum::<usize>()
}

fn check_size(what: &str, size: usize, limit: usize) -> Result<(), OperationError> {
    if size <= limit {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "{what} has {size} bytes, at most {limit} are allowed (setting `max_message_size`)"
    )))
}

/// Every line end as CRLF. A bare CR or LF is what one server takes for a line end and another does not, by which a
/// second mail could be smuggled inside the first.
fn crlf(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => {
                letters.next_if_eq(&'\n');
                lines.push_str("\r\n");
            }
            '\n' => lines.push_str("\r\n"),
            other => lines.push(other),
        }
    }
    lines
}
