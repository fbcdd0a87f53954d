//! What waits for the database, in order, each at its place: so that who brought something knows when it is written. Nothing
//! is written here.

use std::collections::VecDeque;

use crate::store::Written;

/// What may wait.
const MOST: usize = 10_000;

/// The queue.
#[derive(Default)]
pub struct Waiting {
    queue: VecDeque<Written>,
    /// How many were written, or lost at the database, since the start.
    done: u64,
}

impl Waiting {
    /// Lets it wait; how much of it there is no room for.
    pub fn push(&mut self, written: Vec<Written>) -> u64 {
        let room = MOST.saturating_sub(self.queue.len());
        let lost = written.len().saturating_sub(room);
        self.queue.extend(written.into_iter().take(room));
        lost as u64
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// The place behind all that waits.
    pub fn end(&self) -> u64 {
        self.done + self.queue.len() as u64
    }

    /// What is next to be written, if anything before this place is.
    pub fn next(&self, end: u64, most: usize) -> Vec<Written> {
        let most = if self.done < end { most } else { 0 };
        self.queue.iter().take(most).cloned().collect()
    }

    /// The first so many wait no more.
    pub fn done(&mut self, count: usize) {
        self.queue.drain(..count);
        self.done += count as u64;
    }

    pub fn any(&self, is_it: impl FnMut(&Written) -> bool) -> bool {
        self.queue.iter().any(is_it)
    }
}
