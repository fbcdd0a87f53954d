//! Twilio asks to slow down -> the same attempt again, after the pause that it asks for and while the caller waits. The
//! pause is here, above everything that an attempt looks up: what is sent after it is judged by what holds after it.

use plugin_api::{
    error::{ErrorKind, OperationError},
    prelude::Duration,
    tokio::time::{Instant, sleep},
};

const ATTEMPTS: u32 = 4;
const BACKOFF_BASE: Duration = Duration::from_millis(500);
/// With less than this left, the caller could not learn what became of another attempt.
const LEAST: Duration = Duration::from_millis(500);

/// Attempts it until it is not refused as too much. `overloaded` says that nothing was done.
///
/// # Errors
/// The attempt's; `overloaded` when the pause would outlast the caller.
pub async fn while_busy<T, F: Future<Output = Result<T, OperationError>>>(
    deadline: Instant,
    attempt: impl Fn() -> F,
) -> Result<T, OperationError> {
    let mut attempts = 0;
    loop {
        let error = match attempt().await {
            Err(error) if error.kind == ErrorKind::Overloaded => error,
            outcome => return outcome,
        };
        attempts += 1;
        let pause = pause(&error, attempts);
        if attempts == ATTEMPTS || Instant::now() + pause + LEAST > deadline {
            return Err(error);
        }
        sleep(pause).await;
    }
}

/// As long as Twilio asks for and a little more at random, else by backoff with full jitter.
fn pause(error: &OperationError, attempts: u32) -> Duration {
    match error.retry_after_ms {
        Some(asked) => Duration::from_millis(asked) + BACKOFF_BASE.mul_f64(rand::random()),
        None => (BACKOFF_BASE * 2_u32.pow(attempts)).mul_f64(rand::random()),
    }
}
