//! A mail that was not taken -> an `OperationError` whose kind tells what is certain: that nothing was sent, or that
//! nobody can know.

use std::time::Duration;

use plugin_api::{
    prelude::*,
    requests::email::{RefusedRecipient, SendTrouble},
    serde_json,
};

use super::{
    connecting::HELLO,
    reply::{About, Reply},
};

/// What to do about a sender that is refused.
const SENDER: &str =
    "let the mail server permit the sender (`SMTP_FROM_EMAIL`) for this login, or set another one";

/// The server refuses the sender or the mail itself. Nothing was sent.
pub fn refused(about: About, reply: &Reply) -> OperationError {
    let what = if about == About::Sender { "the sender" } else { "the mail" };
    let (kind, words) = verdict(reply, what);
    of_us(about, reply, OperationError::new(kind, format!("not sent: the server {words} ({reply})")))
}

/// The server refuses recipients. Nothing was sent to anybody.
pub fn refused_recipients(refused: &[(String, Reply)]) -> OperationError {
    // One that is refused for good makes the request wrong, whatever the others may become.
    let (_, worst) = refused.iter().max_by_key(|(_, reply)| reply.code).expect("somebody was refused");
    let list: Vec<String> = refused.iter().map(|(address, reply)| format!("`{address}` ({reply})")).collect();
    let (kind, words) = verdict(worst, &list.join(", "));
    let trouble = SendTrouble { recipients: refused.iter().map(recipient).collect(), ..codes(worst) };
    let message = format!("not sent to anybody: the server {words}");
    let fault = refused.iter().find_map(|(_, reply)| reply.fault(About::Recipient));
    blamed(with(OperationError::new(kind, message), &trouble), fault)
}

/// The server refuses the name by which this machine introduces itself, whichever command it says so at. Nothing was sent.
pub fn refused_hello(reply: &Reply, name: &str) -> OperationError {
    let (kind, _) = verdict(reply, "");
    let message = format!(
        "not sent: the server refuses `{name}`, the name by which this machine introduces itself ({reply}): set \
         `SMTP_EHLO_NAME`"
    );
    let hint = FixHint { label: Some(HELLO.to_owned()), ..FixHint::setting("ehlo_name") };
    let error = OperationError::new(kind, message).with_trouble(ReasonCode::ConfigInvalid).with_fix(hint);
    with(error, &codes(reply))
}

/// The login is at fault, as this failure says. Nothing was sent.
pub fn refused_login(reply: &Reply, failure: &Failure) -> OperationError {
    let (kind, _) = verdict(reply, "");
    let hint = FixHint {
        label: failure.advice.as_ref().map(|advice| advice.label.clone()),
        setting: failure.setting.clone(),
        href: failure.href.clone(),
    };
    let error = OperationError::new(kind, format!("not sent: {}", failure.message));
    with(error.with_trouble(failure.code).with_fix(hint), &codes(reply))
}

/// The server ends the connection (RFC 5321, 3.8). Nothing was sent.
pub fn ended(server: &str, reply: &Reply) -> OperationError {
    let message =
        format!("not sent: `{server}` ended the connection ({reply}): it does not serve at the moment");
    of_us(About::Mail, reply, OperationError::unavailable(message))
}

/// An address needs what the server does not offer (RFC 6531). Nothing was sent.
pub fn no_international_addresses(address: &str) -> OperationError {
    OperationError::invalid(format!(
        "not sent: the server takes no addresses beyond ASCII (SMTPUTF8), and `{address}` is one"
    ))
}

/// The connection broke, or the server fell silent, before the mail was complete. Nothing was sent.
pub fn broke_off(server: &str, place: &str) -> OperationError {
    OperationError::unavailable(format!(
        "not sent: the connection to `{server}` broke or fell silent {place}"
    ))
}

/// There is no working connection. Nothing was sent.
pub fn out_of_reach(failure: Failure) -> OperationError {
    let error = OperationError::from(failure);
    OperationError { message: format!("not sent: {}", error.message), ..error }
}

/// Every connection is busy. Nothing was sent.
pub fn all_busy(connections: usize, waited: Duration) -> OperationError {
    OperationError::overloaded(format!(
        "not sent: none of the {connections} connections became free within {waited:?} (setting `connections`)"
    ))
}

/// The caller has no time left to learn the outcome, so it was not begun.
pub fn out_of_time() -> OperationError {
    OperationError::deadline("not sent: the caller's time ended before the mail was handed over")
}

/// The mail was handed over, and no answer came.
pub fn unknown(message_id: &str, why: &str) -> OperationError {
    let trouble = SendTrouble { message_id: Some(message_id.to_owned()), ..SendTrouble::default() };
    let message = format!(
        "the mail {message_id} may have been sent: it was handed over, and {why}; look for it before sending it again"
    );
    with(OperationError::unknown_outcome(message), &trouble)
}

/// With the codes, and with the trouble where the server refuses us.
fn of_us(about: About, reply: &Reply, error: OperationError) -> OperationError {
    blamed(with(error, &codes(reply)), reply.fault(about))
}

/// With the trouble, where the server refuses us: our limit, or the sender of the settings.
fn blamed(error: OperationError, fault: Option<ReasonCode>) -> OperationError {
    let Some(code) = fault else { return error };
    let hint = match code {
        ReasonCode::Quota => FixHint::label("wait, or ask the mail server's operator for a higher limit"),
        _ => FixHint { label: Some(SENDER.to_owned()), ..FixHint::setting("from_email") },
    };
    error.with_trouble(code).with_fix(hint)
}

fn codes(reply: &Reply) -> SendTrouble {
    SendTrouble {
        smtp_code: Some(reply.code),
        enhanced_code: reply.enhanced.clone(),
        ..SendTrouble::default()
    }
}

/// What an answer means for the caller, and what the server did with `what`.
fn verdict(reply: &Reply, what: &str) -> (ErrorKind, String) {
    if reply.is_transient() {
        (ErrorKind::Unavailable, format!("puts off {what}"))
    } else if reply.is_policy() {
        (ErrorKind::Denied, format!("does not permit {what}"))
    } else if reply.is_about_size() {
        (ErrorKind::Invalid, format!("refuses {what} as too large"))
    } else {
        (ErrorKind::Invalid, format!("refuses {what}"))
    }
}

fn recipient((address, reply): &(String, Reply)) -> RefusedRecipient {
    RefusedRecipient {
        address: address.clone(),
        smtp_code: reply.code,
        enhanced_code: reply.enhanced.clone(),
    }
}

fn with(error: OperationError, trouble: &SendTrouble) -> OperationError {
    error.details(serde_json::to_value(trouble).expect("strings and numbers are always JSON"))
}
