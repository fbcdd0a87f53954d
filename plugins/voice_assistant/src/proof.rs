//! A caller who merely shows a number proves that they have it: by a code that goes there by SMS, and that they say or press
//! on the phone. Attempts are bounded, by call and by number, whichever host they come to; only the hash of a code is kept.

use plugin_api::{
    context::Context, error::OperationError, level::Level, prelude::Duration,
    requests::twilio_service::SendMessage,
};
use subtle::ConstantTimeEq;

use crate::{
    TWILIO_SERVICE,
    call::Proof,
    store::{Store, hash_of, random_id},
};

/// A code is this many digits.
const DIGITS: usize = 6;
const SENDING: Duration = Duration::from_secs(10);

/// Sends a new code; the one before is void.
pub async fn send_code(context: &Context, store: &Store, call: &str) -> Result<(), OperationError> {
    let code = format!("{:0DIGITS$}", rand::random_range(0..10_u32.pow(DIGITS as u32)));
    let Some(number) = store.keep_code(call, &hash(call, &code)).await? else {
        return Err(OperationError::denied(
            "no code was sent: the caller is known, shows no number of their own, or was sent as many codes as they may be",
        ));
    };
    let body = format!(
        "{code} is your code for the call that you are making now. If you are not calling, somebody pretends to be you: \
         ignore it."
    );
    // For whoever has the number: whoever is on the phone may send nothing.
    let twilio = context.dependency(TWILIO_SERVICE)?.person(&number).level(Level::Shown);
    let twilio = twilio.deadline(SENDING).idempotency_key(random_id());
    let message =
        SendMessage { to: Some(number), body: Some(body), sensitive: true, ..SendMessage::default() };
    twilio.call(message).await.map(drop)
}

/// Counts the attempt before it is judged.
pub async fn check_code(store: &Store, call: &str, code: &str) -> Result<Proof, OperationError> {
    let digits: String = code.chars().filter(char::is_ascii_digit).collect();
    let Some((kept, left)) = store.try_code(call).await? else {
        return Err(OperationError::denied(
            "no code is valid: none was sent, it is too old, or it was tried too often; a new one may be sent",
        ));
    };
    if !bool::from(kept.as_bytes().ct_eq(hash(call, &digits).as_bytes())) {
        return Ok(Proof::Wrong { left });
    }
    let Some(person) = store.set_proven(call, &kept).await? else {
        return Err(OperationError::denied("the code was used just now, or the call is over"));
    };
    Ok(Proof::Proven(person))
}

/// A code is of one call.
fn hash(call: &str, code: &str) -> String {
    hash_of(&format!("{call}:{code}"))
}
