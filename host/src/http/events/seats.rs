//! How many may follow events at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::{problem::Problem, view::Reader};
use crate::status::Board;

/// How many streams at once: the rest of the connections stays for everybody else.
const SEATS: usize = 512;

/// How many of them are for operators alone.
const RESERVED: usize = 64;

/// When to come back to a host whose seats are taken, in seconds.
const COME_BACK: u64 = 15;

/// What the streams share.
pub(in crate::http) struct Events {
    pub(super) board: Board,
    seats: Arc<Semaphore>,
}

impl Events {
    pub(in crate::http) fn new(board: Board) -> Self {
        Self { board, seats: Arc::new(Semaphore::new(SEATS)) }
    }

    /// How many streams are open.
    pub(in crate::http) fn open(&self) -> usize {
        SEATS - self.seats.available_permits()
    }

    pub(super) fn seat(&self, reader: Reader) -> Result<OwnedSemaphorePermit, Problem> {
        let seats = if reader == Reader::Operator { SEATS } else { SEATS - RESERVED };
        let free = (self.open() < seats).then(|| self.seats.clone().try_acquire_owned().ok()).flatten();
        free.ok_or_else(|| {
            let detail = format!("{seats} event streams are open, which is the limit");
            Problem::unavailable(detail, "try again later, or poll `/api/health` with `If-None-Match`")
                .retry_after(COME_BACK)
        })
    }
}
