//! What a webhook says that Twilio signed -> the person behind it. Pure.
//!
//! A person is a number: SMS, WhatsApp, RCS and voice from it are the same person. Somebody on WhatsApp who shows no number
//! is the address there. On the phone, what a caller shows can be
//! forged: where the carrier checked and found it forged (`StirVerstat`), it is nobody. Where no carrier checked, which
//! is the rule in most countries, it is taken as shown.

use crate::address;

type Params = [(String, String)];

/// The person who wrote, called or was called; `None` where there is none, or none is sure.
pub fn person(params: &Params) -> Option<String> {
    let speaker = if has(params, "CallSid") {
        on_the_phone(params)?
    } else if has(params, "MessageStatus") {
        // A report on a message of ours: nobody said anything.
        return None;
    } else {
        one(params, "From")?
    };
    address::person(speaker).map(str::to_owned)
}

/// On a call that we placed, the person is who was called.
fn on_the_phone(params: &Params) -> Option<&str> {
    if one(params, "Direction").is_some_and(|direction| direction.starts_with("outbound")) {
        return one(params, "To");
    }
    let is_forged = values(params, "StirVerstat").any(|verdict| verdict.contains("Failed"));
    if is_forged { None } else { one(params, "From") }
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
