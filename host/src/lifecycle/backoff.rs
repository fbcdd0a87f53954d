//! How long to wait before the next attempt: exponential with full jitter, so that many hosts that lost one server do
//! not come back to it at the same time. Pure.

use std::time::Duration;

/// The bounds of the waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait after the first failure; it doubles with each further one.
    pub base: Duration,
    /// The longest that a wait may be.
    pub cap: Duration,
}

impl Backoff {
    /// The longest wait after this many failures in a row.
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doubled =
            2_u32.checked_pow(failures.saturating_sub(1)).and_then(|factor| self.base.checked_mul(factor));
        doubled.unwrap_or(self.cap).min(self.cap)
    }

    /// The wait after this many failures in a row. `roll` is a random number of [0, 1); what the other side asked for
    /// is waited at least, unless it is longer than the cap allows.
    pub fn wait(&self, failures: u32, roll: f64, asked: Option<Duration>) -> Duration {
        let jittered = self.ceiling(failures).mul_f64(roll.clamp(0.0, 1.0));
        asked.map_or(jittered, |asked| jittered.max(asked.min(self.cap)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let backoff = Backoff { base: millis(500), cap: millis(30_000) };
        let ceilings = [1, 2, 3, 7, 8, 4_000_000_000].map(|failures| backoff.ceiling(failures).as_millis());
        assert_eq!(ceilings, [500, 1000, 2000, 30_000, 30_000, 30_000]);
    }

    #[test]
    fn what_the_other_side_asks_for_is_respected_up_to_the_cap() {
        let backoff = Backoff { base: millis(500), cap: millis(30_000) };
        assert_eq!(backoff.wait(1, 0.5, Some(millis(7000))), millis(7000));
        assert_eq!(backoff.wait(1, 0.5, Some(millis(3_600_000))), millis(30_000));
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_its_ceiling_and_the_cap(
            base in 1..10_000_u64, cap in 1..100_000_u64, failures in 0..200_u32, roll in 0.0..1.0_f64,
        ) {
            let backoff = Backoff { base: millis(base), cap: millis(cap) };
            let wait = backoff.wait(failures, roll, None);
            prop_assert!(wait <= backoff.ceiling(failures));
            prop_assert!(wait <= backoff.cap);
            prop_assert!(backoff.ceiling(failures) <= backoff.ceiling(failures + 1));
        }
    }
}
