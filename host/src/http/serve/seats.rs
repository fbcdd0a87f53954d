//! Everybody who is connected, and since when each has nothing to do: if all places are taken, the connection that has been
//! idle the longest gives way to a new one.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::Notify;

use crate::http::shares::household;

/// A request is being served.
const BUSY: u64 = u64::MAX;

/// All seats that are taken.
#[derive(Default)]
pub(super) struct Seats {
    /// Counts up with everything that ends: a smaller number has been idle for longer.
    turn: AtomicU64,
    taken: Mutex<BTreeMap<u64, Arc<Seat>>>,
}

/// One connection as others see it.
pub(super) struct Seat {
    number: u64,
    client: IpAddr,
    seats: Arc<Seats>,
    /// Its turn, or [`BUSY`].
    idle_since: AtomicU64,
    /// Something is written that the client does not take.
    is_writing: AtomicBool,
    is_asked: AtomicBool,
    asked: Notify,
}

impl Seats {
    /// A seat for a new connection, idle until its first request; given back when the guard is dropped.
    pub(super) fn take(self: &Arc<Self>, client: SocketAddr) -> Taken {
        let number = self.turn.fetch_add(1, Relaxed);
        let seat = Arc::new(Seat {
            number,
            client: household(client.ip()),
            seats: self.clone(),
            idle_since: AtomicU64::new(number),
            is_writing: AtomicBool::new(false),
            is_asked: AtomicBool::new(false),
            asked: Notify::new(),
        });
        self.lock().insert(number, seat.clone());
        Taken(seat)
    }

    /// How many a client has, without those that were asked to leave.
    pub(super) fn of(&self, client: SocketAddr) -> usize {
        let client = household(client.ip());
        self.lock().values().filter(|seat| seat.client == client && !seat.is_asked.load(Relaxed)).count()
    }

    /// Asks the connection that has been idle the longest to leave, of all or of one client; whether there is one.
    pub(super) fn ask_the_idlest(&self, client: Option<SocketAddr>) -> bool {
        let client = client.map(|client| household(client.ip()));
        let taken = self.lock();
        let idle = taken.values().filter(|seat| seat.is_idle() && !seat.is_asked.load(Relaxed));
        let idle = idle.filter(|seat| client.is_none_or(|client| seat.client == client));
        let idlest = idle.min_by_key(|seat| seat.idle_since.load(Relaxed));
        idlest.is_some_and(|seat| {
            seat.is_asked.store(true, Relaxed);
            seat.asked.notify_one();
            true
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Seat>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A request has come; it is served until what is given back is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Work {
        self.idle_since.store(BUSY, Relaxed);
        Work(Some(self.clone()))
    }

    /// Whether neither a request is served nor the end of an answer is still to be taken.
    pub(super) fn is_idle(&self) -> bool {
        self.idle_since.load(Relaxed) != BUSY && !self.is_writing.load(Relaxed)
    }

    /// Whether the client still has to take what was written.
    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Relaxed);
    }

    /// Waits until somebody else needs the place.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }
}

/// A seat as long as its connection lasts.
pub(super) struct Taken(pub(super) Arc<Seat>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.seats.lock().remove(&self.0.number);
    }
}

/// A request and its answer.
pub(super) struct Work(Option<Arc<Seat>>);

impl Work {
    /// It lasts as long as the connection: it was upgraded.
    pub(super) fn stay(mut self) {
        self.0 = None;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(seat) = &self.0 {
            seat.idle_since.store(seat.seats.turn.fetch_add(1, Relaxed), Relaxed);
        }
    }
}

pin_project! {
    /// A body that is work until it ends.
    pub(super) struct Worked<B> {
        #[pin]
        pub(super) body: B,
        pub(super) work: Option<Work>,
    }
}

impl<B: Body> Body for Worked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idlest_is_asked_first_and_once() {
        let seats = Arc::new(Seats::default());
        let client = SocketAddr::from(([192, 0, 2, 1], 1));
        let other = SocketAddr::from(([192, 0, 2, 2], 1));
        let [first, second, third] = [seats.take(client), seats.take(client), seats.take(other)];
        let is_asked = |seat: &Taken| seat.0.is_asked.load(Relaxed);
        drop(first.0.begin());
        assert_eq!((seats.of(client), seats.of(other)), (2, 1));
        assert!(seats.ask_the_idlest(None));
        assert!(is_asked(&second) && !is_asked(&third), "the first had a request since");
        let work = third.0.begin();
        first.0.set_writing(true);
        assert!(!seats.ask_the_idlest(None), "a request is served, an answer is written");
        drop(work);
        assert!(!seats.ask_the_idlest(Some(client)), "the one that is idle is another client's");
        assert_eq!((seats.of(client), seats.of(other)), (1, 1), "one was asked to leave");
        assert!(seats.ask_the_idlest(None) && is_asked(&third));
        drop((first, second, third));
        assert!(seats.lock().is_empty());
    }
}
