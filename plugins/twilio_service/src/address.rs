//! Text -> a phone number, a sender, a SID, a person. Pure.

use plugin_api::{
    error::OperationError,
    phone::{RCS, WHATSAPP, is_number, is_person, is_whatsapp_user},
    requests::twilio_service::Channel,
};

/// What Twilio writes for callers who do not show their number: the words ANONYMOUS, BLOCKED, RESTRICTED, UNAVAILABLE
/// and UNKNOWN on a telephone's keys, and an older form. Many people share them.
const WITHHELD: [&str; 6] = ["+266696687", "+2562533", "+7378742833", "+86282452253", "+8656696", "+464"];

/// The number of an address, whatever the channel; what has none is its own name.
pub fn plain(address: &str) -> &str {
    let number = address.strip_prefix(WHATSAPP).or_else(|| address.strip_prefix(RCS));
    number.filter(|number| is_number(number)).unwrap_or(address)
}

/// The person at an address: a number is one person by SMS, WhatsApp, RCS and voice; somebody on WhatsApp who shows none is
/// known by the address there. `None` for what is nobody's own.
pub fn person(address: &str) -> Option<&str> {
    let person = plain(address);
    (is_person(person) && !WITHHELD.contains(&person)).then_some(person)
}

/// Who it is for: as the request says, else the person of the call.
pub fn recipient(to: Option<&str>, person: Option<&str>) -> Result<String, OperationError> {
    let to = to.or(person).ok_or_else(|| {
        OperationError::invalid("`to` is missing, and the call is not on behalf of a person with a number")
    })?;
    if is_number(to) {
        return Ok(to.to_owned());
    }
    if is_whatsapp_user(to) {
        return Err(OperationError::invalid(format!(
            "`{to}` shows no number: they are reached by WhatsApp alone"
        )));
    }
    Err(OperationError::invalid(format!(
        "`{to}` is no phone number: expected `+`, the country and the number, without spaces, such as `+15551234567`"
    )))
}

/// The recipient of a message by this channel, as Twilio writes it.
pub fn on_channel(
    channel: Channel,
    to: Option<&str>,
    person: Option<&str>,
) -> Result<String, OperationError> {
    match (channel, to.or(person)) {
        (Channel::Other, _) => {
            Err(OperationError::invalid("`channel` is `other`: nobody can be written to that way"))
        }
        (Channel::Whatsapp, Some(user)) if is_whatsapp_user(user) => Ok(user.to_owned()),
        (channel, _) => Ok(channel.address(&recipient(to, person)?)),
    }
}

/// A sender of SMS: a number, a short code, or a name.
pub fn check_sender(from: &str) -> Result<(), OperationError> {
    let is_short_code = (3..=8).contains(&from.len()) && is_digits(from);
    let is_name = (1..=11).contains(&from.len())
        && from.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | b'&'))
        && from.bytes().any(|byte| byte.is_ascii_alphabetic());
    if is_number(from) || is_short_code || is_name {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`{from}` is no sender: expected a number such as `+15551234567`, a short code or a name"
    )))
}

/// An address that can be opted out.
pub fn check_opt_out(address: &str) -> Result<(), OperationError> {
    if is_person(plain(address)) {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`{address}` is no address: expected `+15551234567`, `rcs:+15551234567` or `whatsapp:+15551234567`"
    )))
}

/// All addresses that an opt-out at this one holds for. Twilio keeps one opt-out for SMS, MMS and RCS, whichever of them
/// the person wrote by, and WhatsApp apart:
/// <https://www.twilio.com/en-us/changelog/twilio-now-supports-unified-opt-outs-across-rcs--sms--and-mms-ch>.
pub fn opted_out_together(address: &str) -> Vec<String> {
    let number = address.strip_prefix(RCS).unwrap_or(address);
    if is_number(number) {
        vec![number.to_owned(), format!("{RCS}{number}")]
    } else {
        vec![address.to_owned()]
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
