//! Text -> a phone number, a sender, a SID, a person. Pure.

use plugin_api::{error::OperationError, phone::is_number};

const WHATSAPP: &str = "whatsapp:";

/// What Twilio writes for callers who do not show their number: the words ANONYMOUS, BLOCKED, RESTRICTED, UNAVAILABLE
/// and UNKNOWN on a telephone's keys, and an older form. Many people share them.
const WITHHELD: [&str; 6] = ["+266696687", "+2562533", "+7378742833", "+86282452253", "+8656696", "+464"];

/// The address of a number on WhatsApp.
pub fn whatsapp(number: &str) -> String {
    format!("{WHATSAPP}{number}")
}

/// The number of an address, whatever the channel.
pub fn plain(address: &str) -> &str {
    address.strip_prefix(WHATSAPP).unwrap_or(address)
}

/// The person at an address: SMS, WhatsApp and voice are one person. `None` for what is nobody's own number.
pub fn person(address: &str) -> Option<&str> {
    let number = plain(address);
    (is_number(number) && !WITHHELD.contains(&number)).then_some(number)
}

/// Who it is for: as the request says, else the person of the call.
pub fn recipient(to: Option<&str>, person: Option<&str>) -> Result<String, OperationError> {
    let to = to.or(person).ok_or_else(|| {
        OperationError::invalid("`to` is missing, and the call is not on behalf of a person with a number")
    })?;
    if is_number(to) {
        return Ok(to.to_owned());
    }
    Err(OperationError::invalid(format!(
        "`{to}` is no phone number: expected `+`, the country and the number, without spaces, such as `+15551234567`"
    )))
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
    if is_number(plain(address)) {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`{address}` is no address: expected `+15551234567` or `whatsapp:+15551234567`"
    )))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
