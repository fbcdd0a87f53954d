//! A caller who merely shows a number proves that they have it: by a code that goes there by SMS, and that they say or press
//! on the phone. Attempts are bounded, by call and by number, whichever host they come to; only the hash of a code is kept.

use plugin_api::{
    context::Context,
    error::OperationError,
    level::Level,
    prelude::{Call, Duration},
    requests::{
        twilio_service::SendMessage,
        voice::{CheckCode, CheckedCode, SentCode},
    },
};
use subtle::ConstantTimeEq;

use crate::{
    TWILIO_SERVICE,
    call::Proof,
    desk::Desk,
    journal::Journal,
    store::{hash_of, random_id},
};

/// A code is this many digits.
const DIGITS: usize = 6;
const SENDING: Duration = Duration::from_secs(10);

impl Desk {
    /// On behalf of the unknown person of a call.
    pub async fn send_code(&self, call: &Call) -> Result<SentCode, OperationError> {
        let live = self.live_call(call).await?;
        send_code(&self.context, &self.journal, &live.call).await?;
        Ok(SentCode {})
    }

    pub async fn check_code(&self, request: CheckCode, call: &Call) -> Result<CheckedCode, OperationError> {
        let live = self.live_call(call).await?;
        Ok(match check_code(&self.journal, &live.call, &request.code).await? {
            Proof::Proven(_) => CheckedCode { proven: true, attempts_left: None },
            Proof::Wrong { left } => CheckedCode { proven: false, attempts_left: left.try_into().ok() },
        })
    }
}

/// Sends a new code; the one before is void.
pub async fn send_code(context: &Context, journal: &Journal, call: &str) -> Result<(), OperationError> {
    let code = format!("{:0DIGITS$}", rand::random_range(0..10_u32.pow(DIGITS as u32)));
    let Some(number) = journal.store.keep_code(call, &hash(call, &code)).await? else {
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
    let message = SendMessage { to: Some(number), body: Some(body), ..SendMessage::default() };
    twilio.call(message).await?;
    journal
        .write(vec![journal.note(call, "a code was sent, by which the caller can prove who they are")])
        .await;
    Ok(())
}

/// Counts the attempt before it is judged.
pub async fn check_code(journal: &Journal, call: &str, code: &str) -> Result<Proof, OperationError> {
    let digits: String = code.chars().filter(char::is_ascii_digit).collect();
    let Some((kept, left)) = journal.store.try_code(call).await? else {
        return Err(OperationError::denied(
            "no code is valid: none was sent, it is too old, or it was tried too often; a new one may be sent",
        ));
    };
    if !bool::from(kept.as_bytes().ct_eq(hash(call, &digits).as_bytes())) {
        return Ok(Proof::Wrong { left });
    }
    let Some(person) = journal.store.set_proven(call, &kept).await? else {
        return Err(OperationError::denied("the code was used just now, or the call is over"));
    };
    journal.is_proven(call, &person);
    journal.write(vec![journal.note(call, "the caller has proven who they are, by a code")]).await;
    Ok(Proof::Proven(person))
}

/// A code is of one call.
fn hash(call: &str, code: &str) -> String {
    hash_of(&format!("{call}:{code}"))
}
