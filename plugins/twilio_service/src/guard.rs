//! What a webhook says that Twilio signed -> the person behind it, and how certain that is. Pure.
//!
//! A person is a number: SMS, WhatsApp, RCS and voice from it are the same person. Somebody on WhatsApp who shows no number
//! is the address there. A channel is believed as far as it proves something: WhatsApp knows who writes; a text shows a
//! number; for a caller's number a carrier vouches by `StirVerstat`, with attestation A, or nobody does
//! (<https://www.twilio.com/docs/voice/trusted-calling-with-shakenstir>). Where a carrier found it forged, and where it is
//! one of our own, it is nobody's.

use plugin_api::{
    level::Level,
    requests::{http::Admission, twilio_service::Channel},
};

use crate::address;

type Params = [(String, String)];

/// The only verdict by which a carrier vouches for the caller's right to the number, as it reached Twilio itself.
const ATTESTED: &str = "TN-Validation-Passed-A";

/// Who is behind a webhook.
enum Speaker<'p> {
    /// This address, and how certain that is.
    At(&'p str, Level),
    /// Nobody who is known.
    Unknown,
    /// Nobody said anything.
    None,
}

/// The person who wrote, called or was called. `own`: the numbers of the account that are known.
pub fn admission(params: &Params, own: &[&str]) -> Admission {
    let nobody = |level| Admission { person: None, level };
    let (address, level) = match speaker(params) {
        Speaker::At(address, level) => (address, level),
        Speaker::Unknown => return nobody(Some(Level::Withheld)),
        Speaker::None => return nobody(None),
    };
    // Twilio delivers here what was sent to a number of the account, so whoever shows the same one has forged it.
    let reached = if is_ours(params) { "From" } else { "To" };
    let ours = own.iter().copied().chain(values(params, reached));
    if ours.map(address::plain).any(|ours| ours == address::plain(address)) {
        return nobody(Some(Level::Own));
    }
    match address::person(address) {
        Some(person) => Admission { person: Some(person.to_owned()), level: Some(level) },
        None => nobody(Some(Level::Withheld)),
    }
}

fn speaker(params: &Params) -> Speaker<'_> {
    if has(params, "CallSid") {
        return on_the_phone(params);
    }
    if has(params, "MessageStatus") {
        // A report on a message of ours.
        return Speaker::None;
    }
    match one(params, "From") {
        Some(from) => Speaker::At(from, Channel::of(from).level()),
        None => Speaker::Unknown,
    }
}

/// On a call that we placed, the person is who was called: whoever answers there has the number.
fn on_the_phone(params: &Params) -> Speaker<'_> {
    if is_ours(params) {
        return one(params, "To").map_or(Speaker::Unknown, |to| Speaker::At(to, Level::Attested));
    }
    let is_forged = values(params, "StirVerstat").any(|verdict| verdict.contains("Failed"));
    match one(params, "From").filter(|_| !is_forged) {
        Some(from) if one(params, "StirVerstat") == Some(ATTESTED) => Speaker::At(from, Level::Attested),
        Some(from) => Speaker::At(from, Level::Shown),
        None => Speaker::Unknown,
    }
}

/// We placed the call.
fn is_ours(params: &Params) -> bool {
    one(params, "Direction").is_some_and(|direction| direction.starts_with("outbound"))
}

fn has(params: &Params, name: &str) -> bool {
    values(params, name).next().is_some()
}

fn values<'p>(params: &'p Params, name: &str) -> impl Iterator<Item = &'p str> {
    params.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The one value of a parameter; `None` if it is there with two.
fn one<'p>(params: &'p Params, name: &str) -> Option<&'p str> {
    let first = values(params, name).next()?;
    values(params, name).all(|value| value == first).then_some(first)
}
