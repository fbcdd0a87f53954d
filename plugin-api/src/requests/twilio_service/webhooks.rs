//! Twilio sends a webhook again when it got no answer in time, perhaps to another host. A handler claims it first, does
//! the work, and settles the claim.
//!
//! ```
//! use plugin_api::requests::{http::{Body, HttpRequest}, twilio_service::ClaimWebhook};
//!
//! let request = HttpRequest {
//!     method: "POST".into(),
//!     body: Body::Text("MessageSid=SM1&SmsStatus=received".into()),
//!     ..HttpRequest::default()
//! };
//! assert_eq!(ClaimWebhook::of(&request).unwrap().key, "message:SM1:received");
//! ```

use super::LedgerKind;
use crate::{
    message,
    requests::{Request, http::HttpRequest},
};

/// What Twilio marks all its tries of one event with.
const TOKEN_HEADER: &str = "i-twilio-idempotency-token";

/// Asks whether a webhook is to be handled. Keys of different callers never meet, so two plugins may handle one event.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ClaimWebhook {
    /// What is the same for all tries of one event; see [`ClaimWebhook::of`].
    pub key: String,
    /// How long the claim holds, in seconds, if it is not settled: then the next try may claim the event. Left out: 60; at
    /// most 3600.
    #[serde(default)]
    pub lease_seconds: Option<u32>,
}

impl ClaimWebhook {
    /// The claim of an event by its request. `None`: Twilio gave nothing by which another try could be recognised, so
    /// it is to be handled.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let key = match request.header(TOKEN_HEADER) {
            Some(token) if !token.is_empty() => format!("token:{token}"),
            _ => fallback(request)?,
        };
        Some(Self { key, lease_seconds: None })
    }
}

impl Request for ClaimWebhook {
    const OPERATION: &'static str = "claim_webhook";
    type Response = WebhookClaim;
}

/// The outcome of a [`ClaimWebhook`].
#[message]
#[derive(PartialEq, Eq)]
pub struct WebhookClaim {
    /// Whether to handle it.
    pub state: WebhookState,
    /// The right to settle it; there if `state` is `claimed`.
    #[serde(default)]
    pub claim: Option<String>,
    /// Whether tries that reach other hosts are recognised.
    pub ledger: LedgerKind,
}

/// What became of a webhook.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum WebhookState {
    /// It is yours: handle it, then settle the claim.
    Claimed,
    /// Somebody handles it at this moment: answer as if it were handled, or with a 503 to be tried again.
    InProgress,
    /// It was handled.
    Done,
}

/// Ends a claim.
///
/// # Errors
/// `conflict`: the lease ran out, and somebody else has the event now.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SettleWebhook {
    /// The key that was claimed.
    pub key: String,
    /// [`WebhookClaim::claim`].
    pub claim: String,
    /// True: it was handled. False: it was not; the next try may claim it at once.
    pub done: bool,
}

impl Request for SettleWebhook {
    const OPERATION: &'static str = "settle_webhook";
    type Response = ();
}

/// The key of an event without Twilio's token. A turn of a call in progress has none: two turns may look the same.
fn fallback(request: &HttpRequest) -> Option<String> {
    let params = if request.method == "GET" { request.query() } else { request.form().ok()? };
    let get = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if let Some(recording) = get("RecordingSid") {
        return Some(format!("recording:{recording}:{}", get("RecordingStatus")?));
    }
    if let Some((stream, event)) = get("StreamSid").zip(get("StreamEvent")) {
        return Some(format!("stream:{stream}:{event}"));
    }
    if let Some(message) = get("MessageSid").or(get("SmsSid")) {
        let event = get("MessageStatus").or(get("SmsStatus")).unwrap_or("received");
        return Some(format!("message:{message}:{event}"));
    }
    let (call, status) = get("CallSid").zip(get("CallStatus"))?;
    match get("SequenceNumber") {
        Some(number) => Some(format!("call:{call}:{status}:{number}")),
        None if status == "ringing" => Some(format!("call:{call}:ringing")),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::http::Body;

    fn key(form: &str) -> Option<String> {
        let request = HttpRequest { body: Body::Text(form.into()), ..HttpRequest::default() };
        ClaimWebhook::of(&request).map(|claim| claim.key)
    }

    #[test]
    fn every_event_has_its_own_key() {
        for (form, expected) in [
            ("MessageSid=SM1&SmsSid=SM1&Body=hi&SmsStatus=received", Some("message:SM1:received")),
            ("MessageSid=SM1&MessageStatus=sent", Some("message:SM1:sent")),
            ("CallSid=CA1&CallStatus=ringing&Direction=inbound", Some("call:CA1:ringing")),
            ("CallSid=CA1&CallStatus=completed&SequenceNumber=3", Some("call:CA1:completed:3")),
            ("CallSid=CA1&CallStatus=in-progress&SpeechResult=yes", None),
            (
                "CallSid=CA1&CallStatus=in-progress&StreamSid=MZ1&StreamEvent=stream-started",
                Some("stream:MZ1:stream-started"),
            ),
            ("CallSid=CA1&RecordingSid=RE1&RecordingStatus=completed", Some("recording:RE1:completed")),
            ("", None),
        ] {
            assert_eq!(key(form).as_deref(), expected, "{form}");
        }
    }

    #[test]
    fn the_token_of_twilio_wins() {
        let request = HttpRequest {
            headers: vec![("i-twilio-idempotency-token".into(), "t-1".into())],
            body: Body::Text("MessageSid=SM1".into()),
            ..HttpRequest::default()
        };
        assert_eq!(ClaimWebhook::of(&request).unwrap().key, "token:t-1");
    }
}
