//! Waits for a condition with a limit, never for a time: a slow machine makes a test slow, not red.

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

/// How long anything may take. Far beyond what it takes on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Between two looks. Pauses grow with the wait: some stand-ins answer 5,000 requests an hour and no more.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Asks again and again until the answer satisfies, and gives it back.
///
/// # Panics
/// If none did within [`LIMIT`]; says what was waited for and what the last answer was.
#[track_caller]
pub fn wait_until<T: Debug>(what: &str, ask: impl FnMut() -> T, satisfies: impl Fn(&T) -> bool) -> T {
    match poll(LIMIT, ask, satisfies) {
        Ok(answer) => answer,
        Err(last) => panic!("waited {LIMIT:?} for {what}; last seen: {last:#?}"),
    }
}

/// Asks again and again until the answer satisfies or the limit is over; the error is the last answer.
pub fn poll<T>(limit: Duration, mut ask: impl FnMut() -> T, satisfies: impl Fn(&T) -> bool) -> Result<T, T> {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if satisfies(&answer) {
            return Ok(answer);
        }
        if begun.elapsed() >= limit {
            return Err(answer);
        }
        thread::sleep((begun.elapsed() / 20).clamp(PAUSE, LONGEST_PAUSE));
    }
}
