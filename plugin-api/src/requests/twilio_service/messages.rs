//! SMS, MMS and WhatsApp.

use std::collections::BTreeMap;

use super::{Delivery, LedgerKind};
use crate::{
    level::Level,
    message,
    phone::{RCS, WHATSAPP, is_number},
    requests::Request,
};

/// Sends one message. It needs a body, media or a template.
///
/// With an idempotency key on the call it goes once, whatever happens in between: see [`SentMessage::ledger`].
///
/// # Errors
/// - `invalid`: the request, or Twilio refuses it for good; nothing was sent.
/// - `denied`: they opted out, or a carrier or the account's permissions forbid it; nothing was sent.
/// - `conflict`: the idempotency key was used for another message.
/// - `unavailable`, `overloaded`, `deadline`: nothing was sent; try again later.
/// - `unknown_outcome`: it was handed over, and no answer came. Its outcome is looked for at Twilio; repeat it with the
///   same idempotency key to learn it, never with another one. [`super::UnknownSend`] is in the details.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// The recipient, as `+15551234567`, or by WhatsApp as `whatsapp:US.13491208655302741918`. Left out: the person of
    /// this conversation.
    #[serde(default)]
    pub to: Option<String>,
    /// SMS (the default; MMS where there are media) or WhatsApp.
    #[serde(default)]
    pub channel: Channel,
    /// The text, at most 1600 characters.
    #[serde(default)]
    pub body: Option<String>,
    /// Addresses of pictures, sounds or files that Twilio fetches, at most 10.
    #[serde(default)]
    pub media_urls: Vec<String>,
    /// A template of Twilio's Content API, `HX…`, instead of a body. WhatsApp demands one where the person has not
    /// written within 24 hours.
    #[serde(default)]
    pub content_sid: Option<String>,
    /// What stands for the template's variables: `{"1": "Ada"}`.
    #[serde(default)]
    pub content_variables: BTreeMap<String, String>,
    /// The sender, one of the account's numbers, or by RCS one of its senders, `rcs:…`. Left out: the configured one.
    #[serde(default)]
    pub from: Option<String>,
    /// Where Twilio reports the delivery. Left out: this host, where its public address is known.
    #[serde(default)]
    pub status_callback: Option<String>,
    /// Give up if it could not be sent within so many seconds, 1 to 36000.
    #[serde(default)]
    pub validity_seconds: Option<u32>,
    /// The body holds what others must not read, such as a link by which anyone can decide, or a code: it lies sealed in
    /// the ledger, and only as long as its outcome is open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
}

/// How a message travels.
#[message]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// SMS, or MMS with media.
    #[default]
    Sms,
    /// WhatsApp.
    Whatsapp,
    /// RCS. It needs a Messaging Service with an RCS sender, or the sender that was written to.
    Rcs,
    /// Anything else that Twilio delivers. Nobody can be written to that way.
    Other,
}

impl Channel {
    /// How certain it is who writes this way: WhatsApp proves it; other channels show a number for which nobody vouches.
    pub fn level(self) -> Level {
        match self {
            Self::Whatsapp => Level::Signed,
            Self::Sms | Self::Rcs => Level::Shown,
            Self::Other => Level::Withheld,
        }
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sms, Self::Whatsapp, Self::Rcs, Self::Other];

    /// By which channel an address of Twilio's is reached: `+15551234567`, a short code or a name by SMS,
    /// `whatsapp:+15551234567`, `rcs:+15551234567`.
    pub fn of(address: &str) -> Self {
        match address.split_once(':').map(|(prefix, _)| prefix.to_ascii_lowercase()).as_deref() {
            None => Self::Sms,
            Some("whatsapp") => Self::Whatsapp,
            Some("rcs") => Self::Rcs,
            Some(_) => Self::Other,
        }
    }

    /// The address of a person on this channel. A person without a number is an address already.
    pub fn address(self, person: &str) -> String {
        match self {
            Self::Whatsapp if is_number(person) => format!("{WHATSAPP}{person}"),
            Self::Rcs if is_number(person) => format!("{RCS}{person}"),
            _ => person.to_owned(),
        }
    }

    /// The name in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Whatsapp => "whatsapp",
            Self::Rcs => "rcs",
            Self::Other => "other",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sms => "SMS",
            Self::Whatsapp => "WhatsApp",
            Self::Rcs => "RCS",
            Self::Other => "another channel",
        }
    }
}

impl Request for SendMessage {
    const OPERATION: &'static str = "send_message";
    type Response = SentMessage;
}

/// Twilio has taken the message over. [`super::ReadDelivery`] and [`FetchMessage`] tell what becomes of it.
#[message]
#[derive(PartialEq, Eq)]
pub struct SentMessage {
    /// The message at Twilio.
    pub sid: String,
    /// Its status then, such as `queued`.
    pub status: String,
    /// Who it goes to.
    pub to: String,
    /// An earlier call with the same idempotency key sent it; this one did not.
    pub repeated: bool,
    /// What "once" covers.
    pub ledger: LedgerKind,
}

/// Reads a message from Twilio. On behalf of a person, only what went to or came from them.
///
/// # Errors
/// `not_found`: there is no such message. The others as `request` of `twilio`.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FetchMessage {
    /// The message, `SM…` or `MM…`.
    pub sid: String,
}

impl Request for FetchMessage {
    const OPERATION: &'static str = "fetch_message";
    type Response = MessageRecord;
}

/// A message as Twilio has it.
#[message]
#[derive(PartialEq, Eq)]
pub struct MessageRecord {
    /// The message.
    pub sid: String,
    /// Its status.
    pub status: String,
    /// `inbound`, `outbound-api` …
    pub direction: String,
    /// Who sent it.
    #[serde(default)]
    pub from: Option<String>,
    /// Who it is for.
    pub to: String,
    /// The text.
    #[serde(default)]
    pub body: Option<String>,
    /// Why it failed, by Twilio's error code.
    #[serde(default)]
    pub error_code: Option<u32>,
    /// When it was made, as Twilio writes it (RFC 2822).
    #[serde(default)]
    pub date_created: Option<String>,
    /// What Twilio reported of it to this host.
    #[serde(default)]
    pub reported: Option<Delivery>,
}
