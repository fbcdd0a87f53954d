//! What came with a message, in words, for those who only read. Pure.

use plugin_api::requests::memory::Attachment;

use crate::store::Received;

/// A message in words: its text, and its attachments by kind and address.
pub fn of(message: &Received) -> String {
    with_attachments(&message.body, &message.attachments)
}

pub fn with_attachments(text: &str, attachments: &[Attachment]) -> String {
    let described = attachments.iter().map(describe);
    let lines: Vec<String> =
        Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().chain(described).collect();
    lines.join("\n")
}

fn describe(attachment: &Attachment) -> String {
    let kind = match attachment.content_type.split('/').next() {
        Some("image") => "a picture",
        Some("audio") => "a sound",
        Some("video") => "a video",
        _ if attachment.content_type.contains("vcard") => "a contact",
        _ => "a file",
    };
    format!("[{kind}, {}: {}]", attachment.content_type, attachment.url)
}
