//! What a plugin hands to HTTP, as bytes that nobody vouches for.

use plugin_abi::boundary::Frame;
use plugin_api::protocol::CloseReason;

use super::{plugins, websocket};

/// The longest payload of a control frame (RFC 6455, 5.5), less the code.
const REASON_LIMIT: usize = 123;

/// A response, or the head of one in pieces.
pub(crate) fn response(json: &[u8]) {
    if let Ok(answer) = plugins::answer_of(json) {
        assert!((200..600).contains(&answer.status().as_u16()), "{}", answer.status());
    }
}

/// A frame for a WebSocket.
pub(crate) fn frame(kind: u8, data: &[u8]) {
    let _ = websocket::message_of(Frame { kind, data: data.to_vec().into() });
}

/// The end of a WebSocket.
pub(crate) fn end(reason: &CloseReason) {
    assert!(websocket::close_frame(reason).reason.len() <= REASON_LIMIT);
}
