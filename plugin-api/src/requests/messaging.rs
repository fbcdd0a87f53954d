//! What the `messaging_service` plugin offers: messages to people, of any length, each sent once; the threads that
//! people write in; and what could not be processed.
//!
//! A thread is a person, `+15551234567`: by SMS, WhatsApp and RCS they write in the same one. Somebody on WhatsApp who
//! shows no number is `whatsapp:US.13491208655302741918`. `memory_service` keeps the conversation; this plugin keeps
//! the outcome of each message.
//!
//! Moments are milliseconds since 1970, UTC.

use super::{memory::Attachment, twilio::Media, twilio_service::Channel};
use crate::{message, origin::Origin, requests::Request};

/// The route that Twilio hands inbound messages to.
pub const INBOUND_PATH: &str = "/webhooks/twilio/inbound-message";

/// Sends a text to a person. One that is too long for a message goes as several, in order, split at the ends of
/// sentences.
///
/// It is stored before anything is sent, and goes on by itself from then on, whatever happens to the caller or the host.
/// The answer comes when it is over, or when the caller's time ends: then [`SentText::state`] is `pending`. With an
/// idempotency key it is sent once, and a repeat learns what became of it.
///
/// # Errors
/// | kind | when |
/// |---|---|
/// | `invalid` | the request, or Twilio refuses it for good; nothing was sent |
/// | `denied` | they opted out, WhatsApp demands a template, or a carrier forbids it; nothing was sent |
/// | `conflict` | the idempotency key was used for another text |
/// | `unavailable`, `overloaded`, `deadline` | it could not be stored; nothing is sent |
/// | `denied` | a repeat with the same idempotency key, after Twilio reported that it was not delivered |
/// | `unknown_outcome` | nobody knows whether a part was sent; [`SentText`] is in the details. It is not sent again |
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The recipient, as `+15551234567`, or on WhatsApp without a number as `whatsapp:US.13491208655302741918`. Left
    /// out: the person of this conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How. Left out: the way they wrote last, where they may still be written to that way; else SMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// The text, of any length; may be empty where there are media.
    #[serde(default)]
    pub text: String,
    /// Addresses of pictures, sounds or files that Twilio fetches, at most 10; they go with the first message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media_urls: Vec<String>,
    /// Who wrote the text, if it is not the assistant's own: for plugins alone, so no model is shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub origin: Option<Origin>,
}

impl Request for Send {
    const OPERATION: &'static str = "send";
    type Response = SentText;
}

/// What became of a text.
#[message]
#[derive(PartialEq, Eq)]
pub struct SentText {
    /// Names it in [`Retry`] and [`ListUnprocessed`].
    pub id: String,
    /// What became of it as a whole: the worst of its parts.
    pub state: SendState,
    /// Who it goes to.
    pub to: String,
    /// How.
    pub channel: Channel,
    /// Its messages, in order.
    pub parts: Vec<SentPart>,
    /// An earlier call with the same idempotency key stored it; this one did not.
    pub repeated: bool,
}

/// One message of a text.
#[message]
#[derive(PartialEq, Eq)]
pub struct SentPart {
    /// What became of it.
    pub state: SendState,
    /// The message at Twilio, once it is sent; `twilio_service.read_delivery` tells more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Why it is not sent, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of something that is to be sent.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SendState {
    /// It is stored, and will be sent.
    Pending,
    /// Twilio has it.
    Sent,
    /// The person opted out before it could be sent, so it is not.
    Dropped,
    /// It was refused, or could not be sent for too long.
    Failed,
    /// Twilio had it, and reported that it did not reach the person.
    Undelivered,
    /// It was handed over, and nobody knows whether Twilio took it. It is not sent again.
    UnknownOutcome,
}

/// Lists the threads, the one in which something came or went last first. Not on behalf of a person.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListThreads {
    /// At most so many, 1 to 500; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
    /// [`Threads::next`] of an answer, to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Request for ListThreads {
    const OPERATION: &'static str = "threads";
    type Response = Threads;
}

/// Some of the threads.
#[message]
#[derive(PartialEq, Eq)]
pub struct Threads {
    /// The threads.
    pub threads: Vec<ThreadState>,
    /// There are more: give it as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How a thread is.
#[message]
#[derive(PartialEq, Eq)]
pub struct ThreadState {
    /// The person.
    pub person: String,
    /// When something first came or went.
    pub first_ms: i64,
    /// When something last came or went.
    pub last_ms: i64,
    /// How they wrote last; left out if they never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_channel: Option<Channel>,
    /// Until when they may be written to by WhatsApp without a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whatsapp_until_ms: Option<i64>,
    /// The channels on which they want no messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opted_out: Vec<Channel>,
    /// How many messages are on their way, in or out.
    pub open: u64,
    /// How many could not be processed.
    pub failed: u64,
}

/// Reads the newest messages of a thread. On behalf of a person, only their own.
///
/// # Errors
/// `not_found`: the person has no thread. `unavailable`: `memory_service`, which keeps what was said, does not answer.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ReadMessages {
    /// Whose thread. Left out: that of the person of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// At most so many messages, 1 to 500; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
    /// [`Messages::earlier`] of an answer, to go on towards the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Request for ReadMessages {
    const OPERATION: &'static str = "thread";
    type Response = Messages;
}

/// A stretch of a thread.
#[message]
#[derive(PartialEq, Eq)]
pub struct Messages {
    /// The thread.
    pub thread: ThreadState,
    /// What they call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What was said, oldest first, also on the phone.
    pub messages: Vec<Message>,
    /// There are earlier ones: give it as `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<String>,
    /// What is on its way or failed, oldest first; only with the newest messages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unprocessed: Vec<UnprocessedMessage>,
}

/// Something that was said.
#[message]
#[derive(PartialEq, Eq)]
pub struct Message {
    /// The message or call at Twilio, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Who said it: true the person, false the assistant.
    pub inbound: bool,
    /// How: `sms`, `whatsapp`, `voice` or `other`.
    pub medium: super::memory::Medium,
    /// In words.
    pub text: String,
    /// What came with it; [`FetchAttachment`] fetches it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// When.
    pub at_ms: i64,
    /// Why it did not reach the person, if Twilio reported that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_delivered: Option<String>,
}

/// Lists what is not processed yet, or could not be: the oldest first. Not on behalf of a person.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListUnprocessed {
    /// Only what failed, or whose outcome is unknown: what waits for a person.
    #[serde(default)]
    pub failed_only: bool,
    /// Only these of them, by [`UnprocessedMessage::id`], at most 500. Left out: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub ids: Vec<String>,
    /// At most so many, 1 to 500; 100 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
}

impl Request for ListUnprocessed {
    const OPERATION: &'static str = "unprocessed";
    type Response = Unprocessed;
}

/// What is not processed.
#[message]
#[derive(PartialEq, Eq)]
pub struct Unprocessed {
    /// How many are under way.
    pub open: u64,
    /// How many failed, or have an unknown outcome.
    pub failed: u64,
    /// Some of them, the oldest first.
    pub messages: Vec<UnprocessedMessage>,
}

/// A message that is not processed.
#[message]
#[derive(PartialEq, Eq)]
pub struct UnprocessedMessage {
    /// Names it in [`Retry`]: `SM…` for what came, else what [`SentText::id`] says.
    pub id: String,
    /// Whether it came, or is to go.
    pub inbound: bool,
    /// Whether [`Retry`] can try it once more.
    #[serde(default)]
    pub may_retry: bool,
    /// Whose thread.
    pub person: String,
    /// How.
    pub channel: Channel,
    /// How far it is: of what came `received`, `remembered`, `running`, `following` (while those behind it go on), `failed`
    /// or `unanswerable` (nobody can be answered where it came from: it is kept to be read); of what goes `pending`, `looking` (for its outcome), `failed`, `undelivered` or `unknown_outcome`.
    pub state: String,
    /// The text.
    pub text: String,
    /// How many attempts failed.
    pub attempts: u32,
    /// Why the last one did, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The fix, where that is known, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// The run that answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Since when it is here.
    pub since_ms: i64,
    /// When it is retried; left out if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<i64>,
}

/// Retries a failed message. One that was not delivered is sent again, as another message. One that may have been sent
/// is not: its outcome is looked for once more. Not on behalf of a person.
///
/// # Errors
/// `not_found`: there is no such message. `conflict`: it has not failed.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// [`UnprocessedMessage::id`].
    pub id: String,
}

impl Request for Retry {
    const OPERATION: &'static str = "retry";
    type Response = ();
}

/// Fetches a picture, sound or file that came with a message, from Twilio, with its size limited by the settings. On
/// behalf of a person, only what they sent.
///
/// # Errors
/// `not_found`: no message that came here has it. `invalid`: it is larger than allowed. The others as
/// [`super::twilio::FetchMedia`].
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FetchAttachment {
    /// [`Attachment::url`].
    pub url: String,
}

impl Request for FetchAttachment {
    const OPERATION: &'static str = "fetch_attachment";
    type Response = Media;
}
