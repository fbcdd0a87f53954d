//! A refusal of one request -> an `OperationError`: its kind by Twilio's code, else by the status.

use plugin_api::{prelude::*, requests::twilio::TwilioTrouble, serde_json};

use super::refusal::Refusal;
use crate::{client::Broken, settings::Config};

/// Codes whose kind the status does not tell, or that a person meets often: <https://www.twilio.com/docs/api/errors>.
const KNOWN: &[(&[u32], ErrorKind, &str)] = &[
    (&[21211, 21217, 21401, 21421], ErrorKind::Invalid, "the recipient is no valid phone number"),
    (
        &[21212, 21606, 21603, 21659, 21660],
        ErrorKind::Invalid,
        "the sender is not one of the account's numbers",
    ),
    (&[21210, 21213], ErrorKind::Invalid, "the caller's number is not verified for the account"),
    (
        &[21214, 21612, 21614],
        ErrorKind::Invalid,
        "the recipient cannot be reached by this kind of message or call",
    ),
    (
        &[21205, 21609, 21620, 11100, 12300],
        ErrorKind::Invalid,
        "an address in it is not one that Twilio can fetch",
    ),
    (&[21602, 21619], ErrorKind::Invalid, "the message is empty"),
    (&[21605, 21617], ErrorKind::Invalid, "the text is too long"),
    (&[21623], ErrorKind::Invalid, "there are too many media, or they are too large"),
    (&[21655, 21656, 63027, 63028], ErrorKind::Invalid, "the template or its variables do not fit"),
    (&[21215, 21408, 13227], ErrorKind::Denied, "the account may not reach that country"),
    (&[21216, 32203], ErrorKind::Denied, "Twilio blocks that number"),
    (&[21219, 21608, 10002], ErrorKind::Denied, "a trial account reaches verified numbers only"),
    (&[21610], ErrorKind::Denied, "the recipient opted out (STOP)"),
    (&[30034, 21704], ErrorKind::Denied, "the sender is not registered for this kind of traffic"),
    (&[63016], ErrorKind::Denied, "they did not write within 24 hours: WhatsApp takes a template only"),
    (&[63007, 63015], ErrorKind::Denied, "the WhatsApp sender is not set up for that recipient"),
    (&[21220, 20409], ErrorKind::Conflict, "the call or message is in another state"),
    (&[20404], ErrorKind::NotFound, "Twilio knows no such thing"),
    (&[21611, 30001, 63018, 14107, 20429], ErrorKind::Overloaded, "too much is under way"),
];

/// Twilio refuses. Nothing was done.
pub fn refused(refusal: Refusal, config: &Config) -> OperationError {
    if let Some(failure) = refusal.failure(config) {
        return with(OperationError::from(failure), refusal);
    }
    let (kind, words) = meaning(refusal);
    let error = OperationError::new(kind, format!("Twilio did not do it: {words} ({refusal})"));
    let error = match refusal.retry_after {
        Some(wait) if kind == ErrorKind::Overloaded => error.retry_after(wait),
        _ => error,
    };
    with(error, refusal)
}

/// It was sent, and an error of the server says nothing of what it had done by then.
pub fn unknown(refusal: Refusal) -> OperationError {
    let message = format!("it may have been done: Twilio broke off while it worked on it ({refusal})");
    with(OperationError::unknown_outcome(message), refusal)
}

/// No answer came. What is only read is as if it had not been asked.
pub fn unanswered(broken: Broken, reads: bool) -> OperationError {
    match broken {
        Broken::Unsent(failure) => {
            let error = OperationError::from(failure);
            OperationError { message: format!("nothing was sent: {}", error.message), ..error }
        }
        Broken::Sent(failure) if reads => failure.into(),
        Broken::Sent(failure) => {
            OperationError::unknown_outcome(format!("it may have been done: {}", failure.message))
        }
    }
}

fn meaning(refusal: Refusal) -> (ErrorKind, &'static str) {
    let known = refusal.code.and_then(|code| KNOWN.iter().find(|(codes, ..)| codes.contains(&code)));
    if let Some((_, kind, words)) = known {
        return (*kind, words);
    }
    match refusal.status {
        403 => (ErrorKind::Denied, "the account may not do that"),
        404 | 410 => (ErrorKind::NotFound, "Twilio knows no such thing"),
        409 | 412 => (ErrorKind::Conflict, "it contradicts what is there"),
        429 => (ErrorKind::Overloaded, "too many requests"),
        _ => (ErrorKind::Invalid, "the request does not fit"),
    }
}

fn with(error: OperationError, refusal: Refusal) -> OperationError {
    let trouble = TwilioTrouble { code: refusal.code, http_status: Some(refusal.status) };
    error.details(serde_json::to_value(trouble).expect("numbers are always JSON"))
}
