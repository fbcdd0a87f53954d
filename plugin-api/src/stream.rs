//! A stream as both of its ends see it: frames in order, bounded queues with back-pressure, and a reason at the end.

use abi_stable::std_types::RResult;
use plugin_abi::boundary::{FRAME_BINARY, FRAME_TEXT, Frame as WireFrame, StreamEndBox};

use crate::protocol::{CloseReason, close_reason};

/// One message on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// One end of a stream. Dropping it closes the stream.
pub struct Stream {
    end: StreamEndBox,
}

impl Stream {
    pub(crate) fn new(end: StreamEndBox) -> Self {
        Self { end }
    }

    /// Waits until the other side has room for it, and sends a frame.
    ///
    /// # Errors
    /// Why the stream is closed.
    pub async fn send(&self, frame: Frame) -> Result<(), CloseReason> {
        match self.end.send(to_wire(frame)).await {
            RResult::ROk(()) => Ok(()),
            RResult::RErr(reason) => Err(close_reason(&reason)),
        }
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// Why the stream is closed, after every frame that was sent before.
    pub async fn recv(&self) -> Result<Frame, CloseReason> {
        match self.end.recv().await {
            RResult::ROk(frame) => from_wire(frame),
            RResult::RErr(reason) => Err(close_reason(&reason)),
        }
    }

    /// Closes both directions. Only the first reason of a stream counts.
    pub fn close(&self, reason: CloseReason) {
        self.end.close(serde_json::to_vec(&reason).unwrap_or_default().into());
    }
}

fn to_wire(frame: Frame) -> WireFrame {
    match frame {
        Frame::Text(text) => WireFrame { kind: FRAME_TEXT, data: text.into_bytes().into() },
        Frame::Binary(data) => WireFrame { kind: FRAME_BINARY, data: data.into() },
    }
}

/// A frame of an unknown kind or with broken text cannot come from a conforming host: it ends the stream.
pub(crate) fn from_wire(frame: WireFrame) -> Result<Frame, CloseReason> {
    let unreadable = |what: String| CloseReason::failed(crate::error::OperationError::internal(what));
    match frame.kind {
        FRAME_TEXT => String::from_utf8(frame.data.into_vec())
            .map(Frame::Text)
            .map_err(|error| unreadable(format!("a text frame is not UTF-8: {error}"))),
        FRAME_BINARY => Ok(Frame::Binary(frame.data.into_vec())),
        kind => Err(unreadable(format!("a frame of unknown kind {kind}"))),
    }
}
