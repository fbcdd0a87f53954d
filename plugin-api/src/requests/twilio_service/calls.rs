//! Telephone calls.

use super::{Delivery, LedgerKind};
use crate::{message, requests::Request};

/// Rings somebody up. The words stand in `say`, `twiml` or behind `url`: one of them.
///
/// With an idempotency key on the call it rings once.
///
/// # Errors
/// As [`super::SendMessage`].
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct PlaceCall {
    /// Whom to ring up, as `+15551234567`. Left out: the person of this conversation.
    #[serde(default)]
    pub to: Option<String>,
    /// A text to read out; then the call ends.
    #[serde(default)]
    pub say: Option<String>,
    /// TwiML, at most 4000 characters.
    #[serde(default)]
    pub twiml: Option<String>,
    /// Where Twilio fetches TwiML when they answer.
    #[serde(default)]
    pub url: Option<String>,
    /// The number to show, one of the account's. Left out: the configured one.
    #[serde(default)]
    pub from: Option<String>,
    /// Digits to press once they answer: 0-9, `*`, `#`, `w` for half a second, `W` for one; at most 32.
    #[serde(default)]
    pub send_digits: Option<String>,
    /// How long to let it ring, in seconds, 1 to 600.
    #[serde(default)]
    pub ring_seconds: Option<u32>,
    /// How long the call may last, in seconds, 1 to 86400. Left out: the setting `call_time_limit`.
    #[serde(default)]
    pub time_limit_seconds: Option<u32>,
    /// Find out whether a machine answers. Twilio ignores it together with `send_digits`, so that is `invalid`.
    #[serde(default)]
    pub machine_detection: Option<MachineDetection>,
    /// With `machine_detection`: the call goes on at once, and Twilio tells there who answered, once it is known. Left
    /// out, the call waits in silence until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_detection_callback: Option<String>,
    /// Which steps Twilio reports. Left out: all.
    #[serde(default)]
    pub status_events: Option<Vec<CallEvent>>,
    /// Where Twilio reports them. Left out: this host, where its public address is known.
    #[serde(default)]
    pub status_callback: Option<String>,
}

/// How to find out whether a machine answers.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MachineDetection {
    /// As soon as it is known.
    Enable,
    /// A machine's greeting is waited for, so that a message can be left.
    DetectMessageEnd,
}

/// A step of a call.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CallEvent {
    /// Twilio dials.
    Initiated,
    /// It rings.
    Ringing,
    /// They answer.
    Answered,
    /// It is over.
    Completed,
}

impl Request for PlaceCall {
    const OPERATION: &'static str = "place_call";
    type Response = PlacedCall;
}

/// Twilio has taken the call over.
#[message]
#[derive(PartialEq, Eq)]
pub struct PlacedCall {
    /// The call at Twilio.
    pub sid: String,
    /// Its status then, such as `queued`.
    pub status: String,
    /// Whom it rings up.
    pub to: String,
    /// An earlier call with the same idempotency key placed it; this one did not.
    pub repeated: bool,
    /// What "once" covers.
    pub ledger: LedgerKind,
}

/// Changes a call in progress: ends it, or goes on with other TwiML. New TwiML ends a media stream of the call. One of
/// the three.
///
/// # Errors
/// `conflict`: the call is over. The others as `request` of `twilio`.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct UpdateCall {
    /// The call, `CA…`.
    pub sid: String,
    /// Hang up; before they answer, the call is given up.
    #[serde(default)]
    pub hang_up: bool,
    /// Go on with this TwiML, at most 4000 characters.
    #[serde(default)]
    pub twiml: Option<String>,
    /// Go on with the TwiML that Twilio fetches there.
    #[serde(default)]
    pub url: Option<String>,
}

impl Request for UpdateCall {
    const OPERATION: &'static str = "update_call";
    type Response = CallRecord;
}

/// Reads a call from Twilio. On behalf of a person, only their own.
///
/// # Errors
/// `not_found`: there is no such call. The others as `request` of `twilio`.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FetchCall {
    /// The call, `CA…`.
    pub sid: String,
}

impl Request for FetchCall {
    const OPERATION: &'static str = "fetch_call";
    type Response = CallRecord;
}

/// A call as Twilio has it.
#[message]
#[derive(PartialEq, Eq)]
pub struct CallRecord {
    /// The call.
    pub sid: String,
    /// Its status.
    pub status: String,
    /// `inbound`, `outbound-api` …
    pub direction: String,
    /// Who rang up.
    pub from: String,
    /// Who was rung up.
    pub to: String,
    /// How long it took, in seconds, once it is over.
    #[serde(default)]
    pub duration_seconds: Option<u32>,
    /// Who answered, where that was to be found out: `human`, `machine_start` …
    #[serde(default)]
    pub answered_by: Option<String>,
    /// What Twilio reported of it to this host.
    #[serde(default)]
    pub reported: Option<Delivery>,
}
