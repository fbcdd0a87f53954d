//! A time that no step of the machine's clock disturbs: the wall clock of the start, and what has passed since. Ages and
//! intervals are differences of these; for people `shift` leads back to the wall clock as it stands now.

use std::{sync::OnceLock, time::Instant};

use jiff::{SignedDuration, Timestamp};

static START: OnceLock<(Instant, Timestamp)> = OnceLock::new();

/// Steps smaller than this are noise between two readings.
const NOISE: SignedDuration = SignedDuration::from_millis(100);

/// Now, counted from the start of the process.
pub fn now() -> Timestamp {
    let (began, wall) = START.get_or_init(|| (Instant::now(), Timestamp::now()));
    wall.saturating_add(began.elapsed()).unwrap_or(Timestamp::MAX)
}

/// How far the wall clock was stepped since the start: what to add to a time of [`now`] so that people can compare it
/// with their own clock.
pub fn shift() -> SignedDuration {
    judge(Timestamp::now(), now())
}

fn judge(wall: Timestamp, steady: Timestamp) -> SignedDuration {
    let shift = wall.duration_since(steady);
    if shift.abs() < NOISE { SignedDuration::ZERO } else { shift }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn a_step_is_told_and_noise_is_not() {
        assert_eq!(judge(at(1_000_050), at(1_000_000)), SignedDuration::ZERO);
        assert_eq!(judge(at(4_600_000), at(1_000_000)), SignedDuration::from_secs(3600));
        assert_eq!(judge(at(1_000_000), at(4_600_000)), SignedDuration::from_secs(-3600));
    }

    #[test]
    fn time_goes_on() {
        let earlier = now();
        assert!(now() >= earlier);
    }
}
