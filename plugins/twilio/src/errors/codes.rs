//! A refusal of one request -> an `OperationError`: its kind by Twilio's code, else by the status.

use plugin_api::{prelude::*, requests::twilio::TwilioTrouble, serde_json};

use super::{refusal::Refusal, transport::Broken};
use crate::settings::Config;

/// Where to look at the account.
const CONSOLE: &str = "https://console.twilio.com/";

/// Whose fault a refusal is.
#[derive(Clone, Copy)]
enum Blame {
    /// The request's: another recipient, text or time would do.
    Request,
    /// The sender's; ours where the sender is the number of the settings.
    Sender,
    /// The account's, under this code.
    Account(ReasonCode),
}

use Blame::{Account, Request, Sender};

/// Codes whose kind the status does not tell, or that a person meets often: <https://www.twilio.com/docs/api/errors>.
/// Countries that the account may not reach stay the request's: most accounts keep them closed against fraud.
const KNOWN: &[(&[u32], ErrorKind, Blame, &str)] = &[
    (&[21211, 21217, 21401, 21421], ErrorKind::Invalid, Request, "the recipient is no valid phone number"),
    (
        &[21212, 21606, 21603, 21659, 21660],
        ErrorKind::Invalid,
        Sender,
        "the sender is not one of the account's numbers, or cannot send this",
    ),
    (
        &[21701, 21703, 21705, 21712],
        ErrorKind::Invalid,
        Request,
        "the Messaging Service is not there, or has no number that can send",
    ),
    (&[21210, 21213], ErrorKind::Invalid, Sender, "the caller's number is not verified for the account"),
    (
        &[21214, 21612, 21614],
        ErrorKind::Invalid,
        Request,
        "the recipient cannot be reached by this kind of message or call",
    ),
    (
        &[21205, 21609, 21620, 11100, 12300],
        ErrorKind::Invalid,
        Request,
        "an address in it is not one that Twilio can fetch",
    ),
    (&[21602, 21619], ErrorKind::Invalid, Request, "the message is empty"),
    (&[21605, 21617], ErrorKind::Invalid, Request, "the text is too long"),
    (&[21623], ErrorKind::Invalid, Request, "there are too many media, or they are too large"),
    (&[21655, 21656, 63027, 63028], ErrorKind::Invalid, Request, "the template or its variables do not fit"),
    (&[21215, 21408, 13227], ErrorKind::Denied, Request, "the account may not reach that country"),
    (&[21216, 32203], ErrorKind::Denied, Request, "Twilio blocks that number"),
    (
        &[21219, 21608, 10002],
        ErrorKind::Denied,
        Account(ReasonCode::Account),
        "a trial account reaches verified numbers only",
    ),
    (&[21610], ErrorKind::Denied, Request, "the recipient opted out (STOP)"),
    (&[30002], ErrorKind::Denied, Account(ReasonCode::Account), "the account is suspended"),
    (
        &[30032, 30033, 30034, 21704],
        ErrorKind::Denied,
        Account(ReasonCode::Forbidden),
        "the sender is not registered for this kind of traffic",
    ),
    (
        &[63016],
        ErrorKind::Denied,
        Request,
        "they did not write within 24 hours: WhatsApp takes a template only",
    ),
    (&[63007, 63015], ErrorKind::Denied, Request, "the WhatsApp sender is not set up for that recipient"),
    (&[21220, 20409], ErrorKind::Conflict, Request, "the call or message is in another state"),
    (&[20404], ErrorKind::NotFound, Request, "Twilio knows no such thing"),
    (
        &[21611, 30001, 63018, 14107, 20429],
        ErrorKind::Overloaded,
        Account(ReasonCode::RateLimited),
        "too much is under way",
    ),
];

/// One code of each kind that has words of its own.
#[cfg(test)]
pub fn known() -> impl Iterator<Item = u32> {
    KNOWN.iter().filter_map(|(codes, ..)| codes.first().copied())
}

/// Twilio refuses. Nothing was done. `from`: the sender of the request, if it has one.
pub fn refused(refusal: Refusal, config: &Config, from: Option<&str>) -> OperationError {
    if let Some(failure) = refusal.failure(config) {
        return with(OperationError::from(failure), refusal);
    }
    let (kind, blame, words) = meaning(refusal);
    let error = OperationError::new(kind, format!("Twilio did not do it: {words} ({refusal})"));
    let error = match refusal.retry_after {
        Some(wait) if kind == ErrorKind::Overloaded => error.retry_after(wait),
        _ => error,
    };
    let is_ours = from.is_some_and(|from| from.trim_start_matches("whatsapp:") == config.phone_number);
    with(blamed(error, blame, is_ours), refusal)
}

/// With the trouble, where it is ours and not the request's.
fn blamed(error: OperationError, blame: Blame, is_our_number: bool) -> OperationError {
    match blame {
        Account(ReasonCode::RateLimited) => error.with_trouble(ReasonCode::RateLimited),
        Account(code) => {
            let label = "See the account and the registration of its numbers in Twilio's console";
            error.with_trouble(code).with_fix(FixHint::label(label).href(CONSOLE))
        }
        Sender if is_our_number => {
            error.with_trouble(ReasonCode::ConfigInvalid).with_fix(FixHint::setting("phone_number"))
        }
        Sender | Request => error,
    }
}

/// It was sent, and an error of the server says nothing of what it had done by then.
pub fn unknown(refusal: Refusal) -> OperationError {
    let message = format!("it may have been done: Twilio broke off while it worked on it ({refusal})");
    with(OperationError::unknown_outcome(message), refusal)
}

/// No answer came. A read is as if it had not been asked.
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

fn meaning(refusal: Refusal) -> (ErrorKind, Blame, &'static str) {
    let known = refusal.code.and_then(|code| KNOWN.iter().find(|(codes, ..)| codes.contains(&code)));
    if let Some((_, kind, blame, words)) = known {
        return (*kind, *blame, words);
    }
    match refusal.status {
        // An API key may be limited to reading.
        403 => (ErrorKind::Denied, Account(ReasonCode::Forbidden), "account or key may not do that"),
        404 | 410 => (ErrorKind::NotFound, Request, "Twilio knows no such thing"),
        409 | 412 => (ErrorKind::Conflict, Request, "it contradicts what is there"),
        429 => (ErrorKind::Overloaded, Account(ReasonCode::RateLimited), "too many requests"),
        _ => (ErrorKind::Invalid, Request, "the request does not fit"),
    }
}

fn with(error: OperationError, refusal: Refusal) -> OperationError {
    let trouble = TwilioTrouble { code: refusal.code, http_status: Some(refusal.status) };
    error.details(serde_json::to_value(trouble).expect("numbers are always JSON"))
}
