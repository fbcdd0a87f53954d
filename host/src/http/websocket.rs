//! A WebSocket and a stream, frame by frame in both directions, until one of them closes; the reason goes along.

use std::{pin::pin, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use plugin_abi::boundary::{FRAME_BINARY, FRAME_TEXT, Frame};
use plugin_api::{
    error::{ErrorKind, OperationError},
    pipe::PipeEnd,
    protocol::CloseReason,
};
use tokio::time::timeout;

/// The longest reason that a close frame can carry, in bytes (RFC 6455, 5.5).
const REASON_LIMIT: usize = 123;

/// How long a client may take to take what was sent before the plugin closed.
const REST: Duration = Duration::from_secs(10);
/// How long it may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Lasts as long as both sides do.
pub(super) async fn bridge(socket: WebSocket, end: PipeEnd) {
    let (mut to_client, mut from_client) = socket.split();
    let Some(reason) = talk(&mut to_client, &mut from_client, &end).await else { return };
    let goodbye = async {
        // The client may have gone.
        let _ = to_client.send(Message::Close(Some(close_frame(&reason)))).await;
        // Until it answers: a connection that is left with something to read is reset, and the goodbye may be lost.
        while let Some(Ok(_)) = from_client.next().await {}
    };
    let _ = timeout(GOODBYE, goodbye).await;
}

/// Why the client is to be told that it is over; `None`: it knows, or takes nothing any more.
async fn talk(
    to_client: &mut SplitSink<WebSocket, Message>,
    from_client: &mut SplitStream<WebSocket>,
    end: &PipeEnd,
) -> Option<CloseReason> {
    let mut telling = pin!(outward(to_client, end));
    tokio::select! {
        reason = &mut telling => Some(reason),
        gone = inward(from_client, end) => match gone {
            Gone::Client(reason) => {
                end.close(reason);
                None
            }
            Gone::Plugin => timeout(REST, telling).await.ok(),
        },
    }
}

/// Who takes nothing any more of what the client sends.
enum Gone {
    /// The client itself.
    Client(CloseReason),
    /// The plugin closed; the other direction learns why.
    Plugin,
}

/// From the client to the plugin. A plugin that does not read makes the client wait.
async fn inward(from_client: &mut SplitStream<WebSocket>, end: &PipeEnd) -> Gone {
    while let Some(message) = from_client.next().await {
        let frame = match message {
            Ok(Message::Text(text)) => Frame { kind: FRAME_TEXT, data: text.as_bytes().to_vec().into() },
            Ok(Message::Binary(data)) => Frame { kind: FRAME_BINARY, data: data.to_vec().into() },
            Ok(Message::Close(close)) => return Gone::Client(closed_by(close)),
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Err(_) => break,
        };
        if end.send(frame).await.is_err() {
            return Gone::Plugin;
        }
    }
    Gone::Client(CloseReason::failed(OperationError::cancelled("the client went away")))
}

fn closed_by(close: Option<CloseFrame>) -> CloseReason {
    match close {
        Some(close) => CloseReason::done(format!("the client closed: {} {}", close.code, close.reason)),
        None => CloseReason::done("the client closed"),
    }
}

/// From the plugin to the client. A client that does not read makes the plugin wait.
async fn outward(to_client: &mut SplitSink<WebSocket, Message>, end: &PipeEnd) -> CloseReason {
    loop {
        let message = match end.recv().await.map(message_of) {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return CloseReason::failed(error),
            Err(reason) => return CloseReason::clone(&reason),
        };
        if to_client.send(message).await.is_err() {
            return CloseReason::failed(OperationError::cancelled("the client went away"));
        }
    }
}

/// A frame of a plugin as the client gets it.
pub(super) fn message_of(Frame { kind, data }: Frame) -> Result<Message, OperationError> {
    match kind {
        FRAME_TEXT => String::from_utf8(data.into_vec())
            .map(|text| Message::Text(text.into()))
            .map_err(|_| OperationError::internal("a text frame is not UTF-8")),
        FRAME_BINARY => Ok(Message::Binary(data.into_vec().into())),
        kind => Err(OperationError::internal(format!("a frame of unknown kind {kind}"))),
    }
}

pub(super) fn close_frame(reason: &CloseReason) -> CloseFrame {
    let code = match reason.error.as_ref().map(|error| error.kind) {
        None => close_code::NORMAL,
        Some(ErrorKind::Cancelled) => close_code::AWAY,
        Some(ErrorKind::Invalid | ErrorKind::Denied) => close_code::POLICY,
        Some(_) => close_code::ERROR,
    };
    let end = reason.message.floor_char_boundary(REASON_LIMIT);
    CloseFrame { code, reason: reason.message[..end].into() }
}
