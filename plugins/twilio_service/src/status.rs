//! Twilio's reports -> the newest status, in whatever order they come. Pure.

use plugin_api::{
    error::OperationError,
    requests::{http::HttpRequest, twilio_service::Channel},
};

/// The channels of messages, as the ledger writes them.
pub const SMS: &str = "sms";
pub const WHATSAPP: &str = "whatsapp";
/// From this step on a message has reached its recipient, or will not.
pub const ENDED: i64 = 6;

/// One report on a message or call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    pub sid: String,
    pub status: String,
    /// How far it has come: a later step is never replaced by an earlier one.
    pub step: i64,
    pub error_code: Option<u32>,
    /// Who the message was for.
    pub to: Option<String>,
    /// The entry that it is about, where our own address for reports named it.
    pub entry: Option<String>,
}

impl StatusReport {
    /// By which channel a message went, as the ledger writes it; `None` for a call.
    pub fn channel(&self) -> Option<&'static str> {
        let is_message = !self.sid.starts_with("CA");
        is_message.then_some(self.to.as_deref().map_or(SMS, |to| Channel::of(to).as_str()))
    }

    /// Nothing more becomes of the message, for good or bad.
    pub fn is_last(&self) -> bool {
        self.step >= ENDED
    }
}

/// What a request on the route reports.
pub fn read(request: &HttpRequest) -> Result<StatusReport, OperationError> {
    let params = request.form()?;
    let get = |names: &[&str]| {
        names.iter().find_map(|name| params.iter().find(|(key, value)| key == name && !value.is_empty()))
    };
    let message = get(&["MessageSid", "SmsSid"]).zip(get(&["MessageStatus", "SmsStatus"]));
    let call = get(&["CallSid"]).zip(get(&["CallStatus"]));
    let ((_, sid), (_, status)) = message.or(call).ok_or_else(|| {
        OperationError::invalid("this is no report on a message or call: SID and status are missing")
    })?;
    let entry = request.query().into_iter().find(|(name, _)| name == "ref").map(|(_, entry)| entry);
    Ok(StatusReport {
        sid: sid.clone(),
        status: status.clone(),
        step: step(status),
        error_code: get(&["ErrorCode"]).and_then(|(_, code)| code.parse().ok()),
        to: get(&["To"]).map(|(_, to)| to.clone()),
        entry,
    })
}

/// How far a message or call with this status has come. Twilio's names for both do not contradict each other. A final
/// status stays, but for a message that is read after it was delivered. A name that is not known says nothing.
pub fn step(status: &str) -> i64 {
    match status {
        "accepted" | "scheduled" => 1,
        "queued" | "initiated" | "receiving" => 2,
        "sending" | "ringing" => 3,
        "sent" | "in-progress" | "answered" => 4,
        "partially_delivered" => 5,
        "delivered" | "undelivered" | "failed" | "canceled" | "received" => ENDED,
        "completed" | "busy" | "no-answer" => ENDED,
        "read" => 7,
        _ => 0,
    }
}
