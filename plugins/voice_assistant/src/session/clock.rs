//! The caller's audio on its way to the model, and the two clocks that count it: that of the call's media stream, and that
//! of one connection with the model, which begins anew with each. Bounded: what is too old is lost. Pure.

use std::collections::VecDeque;

/// 8,000 samples a second, one byte each.
pub const BYTES_PER_MS: u64 = 8;
/// As much waits at most while there is no connection: 15 s. As much is remembered to be sent again.
const MOST_BYTES: usize = 120_000;
/// As much is sent at once at most: 200 ms.
const LARGEST_PIECE: usize = 1_600;
/// Jumps of the clocks that are remembered.
const MOST_JUMPS: usize = 64;

/// The caller's audio.
#[derive(Debug, Default)]
pub struct Caller {
    /// Bytes that came from the caller since the media stream began.
    received: u64,
    /// The newest of them. The first is number `received - tape.len()`.
    tape: VecDeque<u8>,
    /// The next byte to be sent.
    next: u64,
    /// Bytes that this connection was sent.
    sent: u64,
    /// From this byte of the connection on, the bytes of the stream count from there.
    jumps: VecDeque<(u64, u64)>,
    /// Bytes that were lost before they could be sent.
    lost: u64,
}

impl Caller {
    /// More audio came.
    pub fn receive(&mut self, audio: &[u8]) {
        self.received += audio.len() as u64;
        self.tape.extend(audio);
        let excess = self.tape.len().saturating_sub(MOST_BYTES);
        self.tape.drain(..excess);
        self.lost += self.first().saturating_sub(self.next);
        self.next = self.next.max(self.first());
    }

    /// Something waits to be sent.
    pub fn has_more(&self) -> bool {
        self.next < self.received
    }

    /// The next piece to be sent.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let from = (self.next - self.first()) as usize;
        let piece: Vec<u8> = self.tape.range(from..).take(LARGEST_PIECE).copied().collect();
        if piece.is_empty() {
            return None;
        }
        if self.stream_of(self.sent) != Some(self.next) {
            self.jumps.push_back((self.sent, self.next));
            if self.jumps.len() > MOST_JUMPS {
                self.jumps.pop_front();
            }
        }
        self.next += piece.len() as u64;
        self.sent += piece.len() as u64;
        Some(piece)
    }

    /// A new connection begins, with the audio from this moment of the stream on, as far as it is remembered.
    pub fn begin_again(&mut self, from_ms: u64) {
        let from = from_ms.saturating_mul(BYTES_PER_MS).min(self.next);
        self.next = from.max(self.first());
        self.sent = 0;
        self.jumps.clear();
    }

    /// A moment of the connection as one of the stream; never later than what came.
    pub fn at_stream(&self, link_ms: u64) -> u64 {
        let byte = link_ms.saturating_mul(BYTES_PER_MS).min(self.sent);
        self.stream_of(byte).unwrap_or(self.next).min(self.received) / BYTES_PER_MS
    }

    /// What was sent, on the clock of the stream.
    pub fn sent_ms(&self) -> u64 {
        self.next / BYTES_PER_MS
    }

    /// Milliseconds that were lost before they could be sent.
    pub fn lost_ms(&self) -> u64 {
        self.lost / BYTES_PER_MS
    }

    fn first(&self) -> u64 {
        self.received - self.tape.len() as u64
    }

    fn stream_of(&self, byte: u64) -> Option<u64> {
        let jump = self.jumps.iter().rev().find(|(at, _)| *at <= byte)?;
        Some(jump.1 + (byte - jump.0))
    }
}
