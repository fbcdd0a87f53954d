//! The two ends of a stream and the queues between them. The host makes a pair for every stream, and keeps one end
//! itself when the stream leads to a WebSocket; a plugin's tests make one, too. Plugins see [`crate::stream::Stream`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RVec},
};
use async_ffi::{FfiFuture, FutureExt as _};
use plugin_abi::boundary::{Frame, StreamEnd, StreamEnd_TO, StreamEndBox, TrySendError};
use tokio::sync::{
    Mutex,
    mpsc::{self, error::TrySendError as Full},
    watch,
};

use crate::protocol::CloseReason;

/// How many frames wait in each direction before a sender has to.
pub const CAPACITY: usize = 32;

/// One end of a pipe. Dropping the opener's closes the stream, for both; who serves closes it by ending.
pub struct PipeEnd {
    inner: Arc<End>,
}

struct End {
    send: mpsc::Sender<Frame>,
    // Only one reader makes sense; the lock is what lets it come through a shared reference.
    receive: Mutex<mpsc::Receiver<Frame>>,
    shared: Arc<Shared>,
    serves: bool,
}

/// What both ends know.
struct Shared {
    closed: watch::Sender<Option<Arc<CloseReason>>>,
    taken: watch::Sender<bool>,
    frames: AtomicU64,
    polish: Polish,
}

/// Adjusts the reason that counts before either end sees it. Called once a stream, so that whatever follows from a
/// stream's end is known before anybody acts on it. It must not use the pipe.
pub type Polish = Box<dyn Fn(Closing<'_>) + Send + Sync>;

/// A stream that is about to be closed.
pub struct Closing<'a> {
    /// The reason that counts.
    pub reason: &'a mut CloseReason,
    /// Whether it was given by the end that opened the stream.
    pub by_opener: bool,
    /// Whether the serving end was used.
    pub taken: bool,
}

/// Watches a pipe from outside.
#[derive(Clone)]
pub struct PipeWatch {
    shared: Arc<Shared>,
}

/// The end of who opens a stream, the end of who serves it, and what tells how it goes.
pub fn pair() -> (PipeEnd, PipeEnd, PipeWatch) {
    pair_with(Box::new(|_| ()))
}

/// The same, with close reasons made fit first.
pub fn pair_with(polish: Polish) -> (PipeEnd, PipeEnd, PipeWatch) {
    let (there, at_server) = mpsc::channel(CAPACITY);
    let (back, at_opener) = mpsc::channel(CAPACITY);
    let shared = Arc::new(Shared {
        closed: watch::Sender::new(None),
        taken: watch::Sender::new(false),
        frames: AtomicU64::new(0),
        polish,
    });
    let end = |send, receive, serves| {
        let end = End { send, receive: Mutex::new(receive), shared: shared.clone(), serves };
        PipeEnd { inner: Arc::new(end) }
    };
    (end(there, at_opener, false), end(back, at_server, true), PipeWatch { shared: shared.clone() })
}

impl PipeEnd {
    /// Waits for room and sends.
    ///
    /// # Errors
    /// Why the stream is closed.
    pub async fn send(&self, frame: Frame) -> Result<(), Arc<CloseReason>> {
        self.inner.send(frame).await
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// Why the stream is closed, after every frame that was sent before.
    pub async fn recv(&self) -> Result<Frame, Arc<CloseReason>> {
        self.inner.recv().await
    }

    /// Closes both directions. Only the first reason of a stream counts.
    pub fn close(&self, reason: CloseReason) {
        self.inner.close(reason);
    }

    /// The end as it passes the boundary.
    pub fn into_boundary(self) -> StreamEndBox {
        StreamEnd_TO::from_value(self, TD_Opaque)
    }
}

impl PipeWatch {
    /// Waits until the serving end was used, or the stream was closed; whether it was taken.
    pub async fn taken(&self) -> bool {
        let mut taken = self.shared.taken.subscribe();
        tokio::select! {
            biased;
            // The sender lives in `self`, so the wait ends by the condition only.
            _ = taken.wait_for(|taken| *taken) => true,
            _ = self.closed() => *self.shared.taken.borrow(),
        }
    }

    /// Waits until the stream is closed.
    pub async fn closed(&self) -> Arc<CloseReason> {
        self.shared.closed().await
    }

    /// Closes both directions. Only the first reason of a stream counts.
    pub fn close(&self, reason: CloseReason) {
        self.shared.close(reason, false);
    }

    /// Closes both directions with this very reason: nobody judges it. For what is no outcome of the stream, and must not
    /// fail.
    pub fn abandon(&self, reason: CloseReason) {
        self.shared.end(|| reason);
    }

    /// How many frames were sent, in both directions together.
    pub fn frames(&self) -> u64 {
        self.shared.frames.load(Ordering::Relaxed)
    }
}

impl End {
    async fn send(&self, frame: Frame) -> Result<(), Arc<CloseReason>> {
        let frame = match self.try_send(frame) {
            Ok(()) => return Ok(()),
            Err(Refusal::Closed(reason)) => return Err(reason),
            // Whoever serves the stream says why it ended when its work is done.
            Err(Refusal::Gone) => return Err(self.shared.closed().await),
            Err(Refusal::Full(frame)) => frame,
        };
        tokio::select! {
            biased;
            reason = self.shared.closed() => Err(reason),
            sent = self.send.send(frame) => match sent {
                Ok(()) => {
                    self.shared.frames.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                Err(_) => Err(self.shared.closed().await),
            },
        }
    }

    fn try_send(&self, frame: Frame) -> Result<(), Refusal> {
        self.touch();
        if let Some(reason) = self.shared.reason() {
            return Err(Refusal::Closed(reason));
        }
        match self.send.try_send(frame) {
            Ok(()) => {
                self.shared.frames.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(Full::Full(frame)) => Err(Refusal::Full(frame)),
            Err(Full::Closed(_)) => Err(Refusal::Gone),
        }
    }

    async fn recv(&self) -> Result<Frame, Arc<CloseReason>> {
        self.touch();
        let mut receive = self.receive.lock().await;
        if let Ok(frame) = receive.try_recv() {
            return Ok(frame);
        }
        tokio::select! {
            biased;
            frame = receive.recv() => match frame {
                Some(frame) => Ok(frame),
                None => Err(self.shared.closed().await),
            },
            reason = self.shared.closed() => receive.try_recv().map_err(|_| reason),
        }
    }

    fn close(&self, reason: CloseReason) {
        self.shared.close(reason, !self.serves);
    }

    /// The first use of the serving end takes the stream.
    fn touch(&self) {
        if self.serves && !*self.shared.taken.borrow() {
            self.shared.taken.send_replace(true);
        }
    }
}

/// What was not sent, and why.
enum Refusal {
    Full(Frame),
    Closed(Arc<CloseReason>),
    /// The other end is no more, and nobody has said why yet.
    Gone,
}

impl Shared {
    fn reason(&self) -> Option<Arc<CloseReason>> {
        self.closed.borrow().clone()
    }

    async fn closed(&self) -> Arc<CloseReason> {
        let mut closed = self.closed.subscribe();
        // The sender lives in `self`, so the wait ends by the condition only.
        let reason = closed.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(gone)
    }

    fn close(&self, mut reason: CloseReason, by_opener: bool) {
        self.end(|| {
            let taken = *self.taken.borrow();
            (self.polish)(Closing { reason: &mut reason, by_opener, taken });
            reason
        });
    }

    fn end(&self, reason: impl FnOnce() -> CloseReason) {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(Arc::new(reason()));
            }
            first
        });
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Who serves drops its end before it says how it went: the host closes the stream with that.
        if !self.serves {
            self.close(CloseReason::clone(&gone()));
        }
    }
}

/// The reason when an end is dropped without one.
fn gone() -> Arc<CloseReason> {
    let error = crate::error::OperationError::cancelled("the other end of the stream went away");
    Arc::new(CloseReason::failed(error))
}

impl StreamEnd for PipeEnd {
    fn send(&self, frame: Frame) -> FfiFuture<RResult<(), RVec<u8>>> {
        let end = self.inner.clone();
        async move { end.send(frame).await.map_err(|reason| to_bytes(&reason)).into() }.into_ffi()
    }

    fn try_send(&self, frame: Frame) -> RResult<(), TrySendError> {
        let refused = |refusal| match refusal {
            Refusal::Full(frame) => TrySendError::Full(frame),
            Refusal::Closed(reason) => TrySendError::Closed(to_bytes(&reason)),
            Refusal::Gone => TrySendError::Closed(to_bytes(&gone())),
        };
        self.inner.try_send(frame).map_err(refused).into()
    }

    fn recv(&self) -> FfiFuture<RResult<Frame, RVec<u8>>> {
        let end = self.inner.clone();
        async move { end.recv().await.map_err(|reason| to_bytes(&reason)).into() }.into_ffi()
    }

    fn close(&self, reason: RVec<u8>) {
        self.inner.close(crate::protocol::close_reason(&reason));
    }
}

fn to_bytes(reason: &CloseReason) -> RVec<u8> {
    serde_json::to_vec(reason).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plugin_abi::boundary::FRAME_TEXT;

    use super::*;

    fn text(text: &str) -> Frame {
        Frame { kind: FRAME_TEXT, data: text.as_bytes().to_vec().into() }
    }

    #[tokio::test]
    async fn frames_arrive_in_order_and_before_the_reason() {
        let (opener, server, _) = pair();
        for number in 0..CAPACITY {
            opener.send(text(&number.to_string())).await.unwrap();
        }
        opener.close(CloseReason::done("enough"));
        for number in 0..CAPACITY {
            assert_eq!(server.recv().await.unwrap().data, number.to_string().into_bytes());
        }
        assert_eq!(server.recv().await.err().unwrap().message, "enough");
        assert_eq!(server.send(text("late")).await.unwrap_err().message, "enough");
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_sender_wait_until_there_is_room() {
        let (opener, server, watch) = pair();
        for _ in 0..CAPACITY {
            opener.send(text("x")).await.unwrap();
        }
        let opener = Arc::new(opener);
        let sender = opener.clone();
        let waiting = tokio::spawn(async move { sender.send(text("last")).await.is_ok() });
        tokio::task::yield_now().await;
        assert_eq!(watch.frames(), CAPACITY as u64);
        server.recv().await.unwrap();
        assert!(waiting.await.unwrap());
        assert_eq!(watch.frames(), CAPACITY as u64 + 1);
    }

    #[tokio::test]
    async fn a_sender_that_waits_is_told_when_the_stream_is_closed() {
        let (opener, server, _) = pair();
        for _ in 0..CAPACITY {
            server.send(text("x")).await.unwrap();
        }
        let waiting =
            tokio::spawn(async move { server.send(text("last")).await.unwrap_err().message.clone() });
        tokio::task::yield_now().await;
        drop(opener);
        assert_eq!(waiting.await.unwrap(), "the other end of the stream went away");
    }

    #[tokio::test]
    async fn only_the_first_reason_counts() {
        let polish = || -> Polish {
            Box::new(|closing| {
                let who = if closing.by_opener { "opener" } else { "server" };
                closing.reason.message =
                    format!("{}, by the {who}, taken: {}", closing.reason.message, closing.taken);
            })
        };
        let (opener, server, watch) = pair_with(polish());
        server.close(CloseReason::done("first"));
        opener.close(CloseReason::done("second"));
        assert_eq!(opener.recv().await.err().unwrap().message, "first, by the server, taken: false");
        assert_eq!(watch.closed().await.message, "first, by the server, taken: false");
        let (opener, server, watch) = pair_with(polish());
        server.send(text("x")).await.unwrap();
        drop(opener);
        assert_eq!(
            watch.closed().await.message,
            "the other end of the stream went away, by the opener, taken: true"
        );
    }

    #[tokio::test]
    async fn what_is_abandoned_is_judged_by_nobody() {
        let (opener, _server, watch) = pair_with(Box::new(|_| panic!("it cannot be judged")));
        watch.abandon(CloseReason::done("given up"));
        assert_eq!(opener.recv().await.err().unwrap().message, "given up");
    }

    #[tokio::test]
    async fn a_stream_is_taken_by_its_first_use() {
        let (opener, server, watch) = pair();
        let waits = tokio::time::timeout(Duration::from_millis(20), watch.taken()).await;
        assert!(waits.is_err(), "opening alone does not take it");
        opener.send(text("x")).await.unwrap();
        server.recv().await.unwrap();
        assert!(watch.taken().await);
    }

    #[tokio::test]
    async fn a_stream_that_is_closed_before_its_first_use_is_not_taken() {
        let (_opener, server, watch) = pair();
        drop(server);
        watch.close(CloseReason::done("refused"));
        assert!(!watch.taken().await);
    }

    #[tokio::test]
    async fn who_serves_says_how_it_went_after_its_end_is_gone() {
        let (opener, server, watch) = pair();
        server.send(text("last")).await.unwrap();
        drop(server);
        assert_eq!(opener.recv().await.unwrap().data, b"last"[..]);
        let reason = async { opener.recv().await.err().unwrap().message.clone() };
        let sending = async { opener.send(text("late")).await.unwrap_err().message.clone() };
        let closing = async { watch.close(CloseReason::done("served")) };
        let (reason, sending, ()) = tokio::join!(reason, sending, closing);
        assert_eq!((reason.as_str(), sending.as_str()), ("served", "served"));
    }
}
