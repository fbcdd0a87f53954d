//! How often a person was answered -> whether they are answered once more. Two programs that answer each other would never
//! end; a person may ask for an answer all the same.

use plugin_api::error::OperationError;

use crate::{pump::Pump, store::Received};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Why this message gets no answer by itself, if it gets none.
///
/// # Errors
/// Those of `database`.
pub async fn excess(pump: &Pump, message: &Received) -> Result<Option<String>, OperationError> {
    // What was begun is ended, and what a person asks for is done.
    if message.run.is_some() || message.round > 0 || message.keyword.is_some() {
        return Ok(None);
    }
    let most = pump.config.answers_per_hour;
    let answered = pump.store.answered_since(&message.person, pump.store.now_ms() - HOUR_MS, most).await?;
    Ok((answered >= most).then(|| {
        format!(
            "{} was answered {most} times within an hour, which is all that `answers_per_hour` allows: perhaps a program \
             writes there. `retry` answers this message",
            message.person
        )
    }))
}
