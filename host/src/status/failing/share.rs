//! How many of an operation's outcomes within the last ten minutes were failures, counted by half minutes.

use std::collections::VecDeque;

use jiff::Timestamp;

/// In seconds.
const BUCKET: i64 = 30;
/// Together ten minutes.
const BUCKETS: i64 = 20;
/// Below it a share tells nothing.
const ENOUGH: u64 = 20;

#[derive(Debug, Clone, Default)]
pub(super) struct Share {
    /// Oldest first.
    buckets: VecDeque<Bucket>,
}

#[derive(Debug, Clone)]
struct Bucket {
    number: i64,
    faults: u64,
    successes: u64,
    first_fault_at: Option<Timestamp>,
}

impl Share {
    pub(super) fn fault(&mut self, now: Timestamp) {
        let bucket = self.bucket(now);
        bucket.faults += 1;
        bucket.first_fault_at.get_or_insert(now);
    }

    pub(super) fn successes(&mut self, count: u64, now: Timestamp) {
        self.bucket(now).successes += count;
    }

    /// Whether half of enough were failures.
    pub(super) fn is_half(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        let faults: u64 = self.buckets.iter().map(|bucket| bucket.faults).sum();
        let successes: u64 = self.buckets.iter().map(|bucket| bucket.successes).sum();
        faults + successes >= ENOUGH && faults >= successes
    }

    /// When the first failure was, and how many there were.
    pub(super) fn faults(&mut self, now: Timestamp) -> Option<(Timestamp, u64)> {
        self.forget(now);
        let first_at = self.buckets.iter().find_map(|bucket| bucket.first_fault_at)?;
        Some((first_at, self.buckets.iter().map(|bucket| bucket.faults).sum()))
    }

    fn bucket(&mut self, now: Timestamp) -> &mut Bucket {
        self.forget(now);
        let number = number(now);
        if self.buckets.back().is_none_or(|last| last.number < number) {
            self.buckets.push_back(Bucket { number, faults: 0, successes: 0, first_fault_at: None });
        }
        let last = self.buckets.len() - 1;
        &mut self.buckets[last]
    }

    fn forget(&mut self, now: Timestamp) {
        let oldest = number(now) - BUCKETS;
        while self.buckets.front().is_some_and(|first| first.number <= oldest) {
            self.buckets.pop_front();
        }
    }
}

fn number(now: Timestamp) -> i64 {
    now.as_second().div_euclid(BUCKET)
}
