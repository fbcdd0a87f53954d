//! How many may follow events at once.

use std::{net::IpAddr, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::{
    problem::Problem,
    shares::{Part, Shares},
    view::Reader,
};
use crate::status::Board;

/// How many streams at once: the rest of the connections stays for everybody else.
const SEATS: usize = 512;

/// How many of them are for operators alone.
const RESERVED: usize = 64;

/// How many of them one client may have that is no operator: others follow, too.
const SHARE: usize = 64;

/// When to come back to a host whose seats are taken, in seconds.
const COME_BACK: u64 = 15;

/// What the streams share.
pub(in crate::http) struct Events {
    pub(super) board: Board,
    seats: Arc<Semaphore>,
    shares: Arc<Shares>,
}

/// Held as long as a stream lasts.
pub(super) struct Seat {
    _permit: OwnedSemaphorePermit,
    _part: Option<Part>,
}

impl Events {
    pub(in crate::http) fn new(board: Board) -> Self {
        Self { board, seats: Arc::new(Semaphore::new(SEATS)), shares: Shares::new(SHARE) }
    }

    /// How many streams are open.
    pub(in crate::http) fn open(&self) -> usize {
        SEATS - self.seats.available_permits()
    }

    pub(super) fn seat(&self, reader: Reader, client: Option<IpAddr>) -> Result<Seat, Problem> {
        let is_operator = reader == Reader::Operator;
        let _part = match is_operator {
            true => None,
            false => Some(self.shares.take(client).ok_or_else(|| {
                refused(format!(
                    "this client has {} event streams open, which is the limit",
                    self.shares.most()
                ))
            })?),
        };
        let seats = if is_operator { SEATS } else { SEATS - RESERVED };
        let free = (self.open() < seats).then(|| self.seats.clone().try_acquire_owned().ok()).flatten();
        let full = || refused(format!("{seats} event streams are open, which is the limit"));
        Ok(Seat { _permit: free.ok_or_else(full)?, _part })
    }
}

fn refused(detail: String) -> Problem {
    Problem::unavailable(detail, "try again later, or poll `/api/health` with `If-None-Match`")
        .retry_after(COME_BACK)
}
