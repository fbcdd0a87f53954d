//! How long probes took becomes counts by bucket, for the metrics, and the last of them one by one, for people.

use std::{collections::VecDeque, time::Duration};

use super::time;

/// How many durations are kept one by one: an hour's, where a probe comes every minute.
const RECENT: usize = 60;

/// A histogram of probe durations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProbeDurations {
    counts: [u64; Self::BOUNDS.len()],
    /// How many probes there were.
    pub count: u64,
    /// How many seconds they took together.
    pub sum: f64,
    /// The last ones in milliseconds, oldest first.
    pub recent: VecDeque<f64>,
}

impl ProbeDurations {
    /// The upper bounds of the buckets, in seconds.
    pub const BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

    /// Each bound with the number of probes that took no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        Self::BOUNDS.iter().copied().zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }

    pub(super) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        if let Some(bucket) = Self::BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.counts[bucket] += 1;
        }
        self.count += 1;
        self.sum += seconds;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(time::millis(duration));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_counts_everything_up_to_its_bound() {
        let mut probes = ProbeDurations::default();
        for millis in [1, 5, 6, 60_000] {
            probes.observe(Duration::from_millis(millis));
        }
        let first: Vec<_> = probes.cumulative().take(3).collect();
        assert_eq!(first, [(0.001, 1), (0.005, 2), (0.01, 3)]);
        assert_eq!(probes.cumulative().last(), Some((10.0, 3)));
        assert_eq!((probes.count, probes.sum), (4, 60.012));
    }

    #[test]
    fn the_last_ones_are_kept_one_by_one() {
        let mut probes = ProbeDurations::default();
        (1..=62).for_each(|millis| probes.observe(Duration::from_millis(millis)));
        assert_eq!(probes.recent.len(), RECENT);
        assert_eq!((probes.recent.front(), probes.recent.back()), (Some(&3.0), Some(&62.0)));
    }
}
