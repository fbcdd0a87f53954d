//! What the `twilio_service` plugin offers: messages and calls, each sent once; what became of them; webhooks that are
//! surely Twilio's, and handled once. Routes that Twilio calls are guarded by its operation `verify_webhook`.

mod calls;
mod messages;
mod webhooks;

pub use calls::{CallEvent, CallRecord, FetchCall, MachineDetection, PlaceCall, PlacedCall, UpdateCall};
pub use messages::{Channel, FetchMessage, MessageRecord, SendMessage, SentMessage};
pub use webhooks::{ClaimWebhook, SettleWebhook, WebhookClaim, WebhookState};

use crate::{message, requests::Request};

/// The route that Twilio tells the statuses of messages and calls to.
pub const STATUS_PATH: &str = "/webhooks/twilio/status";

/// Where the ledger stands, and so what "once" covers.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// In the database: across restarts, and across hosts that share it.
    Database,
    /// In memory: within one run of one host.
    Memory,
}

/// The details of an `unknown_outcome` of [`SendMessage`] or [`PlaceCall`].
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct UnknownSend {
    /// The entry in the ledger. Its outcome is looked for, and a repeat with the same idempotency key learns it.
    pub entry: String,
    /// Who it was for.
    pub to: String,
    /// When it was handed to Twilio, in milliseconds since 1970.
    pub since_ms: i64,
    /// Messages or calls at Twilio that may be it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

/// Asks whether a message went out under an idempotency key of the caller, and sends nothing. That nobody knows it yet is
/// an answer, and no error.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FindMessage {
    /// The idempotency key that it was sent with.
    pub key: String,
}

impl Request for FindMessage {
    const OPERATION: &'static str = "find_message";
    type Response = FoundMessage;
}

/// Whether a message went out.
#[message]
#[derive(PartialEq, Eq)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FoundMessage {
    /// Twilio took it.
    Sent {
        /// Its SID.
        sid: String,
        /// Twilio's status when it took it.
        status: String,
    },
    /// Certainly not, as long as the ledger remembers the key: nothing was sent under it, or Twilio refused it. It remembers
    /// for 90 days in the database; in memory for the newest 4096 messages and calls, and until the plugin is restarted or
    /// reloaded.
    NotSent,
    /// It is being sent, or its outcome is being looked for: ask again.
    Open {
        /// Which of both, for a person.
        why: String,
    },
}

/// Asks what Twilio told of a message or call since it was sent; asks nothing of Twilio.
///
/// # Errors
/// `not_found`: nothing was told of it.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ReadDelivery {
    /// The SID of the message or call.
    pub sid: String,
}

impl Request for ReadDelivery {
    const OPERATION: &'static str = "read_delivery";
    type Response = Delivery;
}

/// The newest status of a message or call: it never goes back, in whatever order Twilio's reports come.
#[message]
#[derive(PartialEq, Eq)]
pub struct Delivery {
    /// The SID of the message or call.
    pub sid: String,
    /// As Twilio names it: `delivered`, `failed`, `completed` …
    pub status: String,
    /// Why it failed, by Twilio's error code.
    #[serde(default)]
    pub error_code: Option<u32>,
    /// When it was told, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Asks which messages Twilio took and reported as not delivered, by reports that came to this host or to another one that
/// shares the database: the earliest report first, those of one millisecond in the order of their SIDs.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListUndelivered {
    /// Only reports that came after this moment, in milliseconds since 1970, or at it with a greater SID than `after_sid`.
    pub after_ms: i64,
    /// To go on: the SID of the last report of an answer, with its moment as `after_ms`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub after_sid: String,
    /// At most so many, 1 to 500; 100 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
}

impl Request for ListUndelivered {
    const OPERATION: &'static str = "undelivered";
    type Response = Undelivered;
}

/// Some of the messages that were not delivered.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Undelivered {
    /// The messages.
    pub messages: Vec<NotDelivered>,
    /// There are more.
    pub truncated: bool,
}

/// A message that was not delivered.
#[message]
#[derive(PartialEq, Eq)]
pub struct NotDelivered {
    /// The SID of the message.
    pub sid: String,
    /// Twilio's error code (<https://www.twilio.com/docs/api/errors>), if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// Its meaning, for a person: lower case, no period.
    pub why: String,
    /// Advice for a person.
    pub advice: String,
    /// When it was reported, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Notes that somebody no longer wants messages (`STOP`), or wants them again (`START`). Receivers of inbound messages
/// call it with the webhook's `From` and its `OptOutType`.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RecordOptOut {
    /// The address as the webhook has it, `+15551234567`, `rcs:+15551234567` or `whatsapp:+15551234567`. As at Twilio, SMS
    /// and RCS are opted out of together; one who opted out of them may still want WhatsApp.
    pub address: String,
    /// True for `STOP`, false for `START`.
    pub opted_out: bool,
}

impl Request for RecordOptOut {
    const OPERATION: &'static str = "record_opt_out";
    type Response = ();
}

/// Asks who opted out.
#[message]
#[derive(Default)]
#[serde(deny_unknown_fields)]
pub struct ListOptOuts {
    /// Only those that hold for this address: an opt-out from SMS holds for RCS, and the other way round.
    #[serde(default)]
    pub address: Option<String>,
}

impl Request for ListOptOuts {
    const OPERATION: &'static str = "list_opt_outs";
    type Response = OptOuts;
}

/// Who opted out.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct OptOuts {
    /// Their addresses, sorted.
    pub addresses: Vec<String>,
    /// There are more than are listed.
    pub truncated: bool,
}
