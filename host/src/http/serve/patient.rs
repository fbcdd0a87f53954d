//! A connection whose client has to take what is written to it: once nothing was taken for a while, writing fails.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{door::Door, seats::Seat};

/// WebSockets and event streams are written through it, too.
pub(super) struct Patient {
    stream: TcpStream,
    limit: Duration,
    /// Since the client last took something; none while it takes everything.
    waits: Option<Pin<Box<Sleep>>>,
    seat: Option<Arc<Seat>>,
    door: Door,
}

impl Patient {
    pub(super) fn new(stream: TcpStream, limit: Duration, seat: Option<Arc<Seat>>, door: Door) -> Self {
        Self { stream, limit, waits: None, seat, door }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.waits.take().is_some() {
                self.tell(false);
            }
            return written;
        }
        if self.waits.is_none() {
            self.tell(true);
        }
        let limit = self.limit;
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(limit)));
        std::task::ready!(waits.as_mut().poll(context));
        self.door.cut_unread();
        let words = format!("the client has read nothing of its answer for {limit:?}");
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, words)))
    }

    fn tell(&self, is_writing: bool) {
        if let Some(seat) = &self.seat {
            seat.set_writing(is_writing);
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
