//! A WebSocket and a stream, frame by frame in both directions, until one of them closes; the reason goes along.

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use plugin_abi::boundary::{FRAME_BINARY, FRAME_TEXT, Frame};
use plugin_api::{
    error::{ErrorKind, OperationError},
    pipe::PipeEnd,
    protocol::CloseReason,
};

/// The longest reason that a close frame can carry, in bytes (RFC 6455, 5.5).
const REASON_LIMIT: usize = 123;

/// Lasts as long as both sides do.
pub(super) async fn bridge(socket: WebSocket, end: PipeEnd) {
    let (mut to_client, from_client) = socket.split();
    let reason = tokio::select! {
        reason = inward(from_client, &end) => {
            end.close(reason);
            return;
        }
        reason = outward(&mut to_client, &end) => reason,
    };
    // The client may have gone.
    let _ = to_client.send(Message::Close(Some(close_frame(&reason)))).await;
}

/// From the client to the plugin. A plugin that does not read makes the client wait.
async fn inward(mut from_client: SplitStream<WebSocket>, end: &PipeEnd) -> CloseReason {
    while let Some(message) = from_client.next().await {
        let frame = match message {
            Ok(Message::Text(text)) => Frame { kind: FRAME_TEXT, data: text.as_bytes().to_vec().into() },
            Ok(Message::Binary(data)) => Frame { kind: FRAME_BINARY, data: data.to_vec().into() },
            Ok(Message::Close(Some(close))) => {
                return CloseReason::done(format!("the client closed: {} {}", close.code, close.reason));
            }
            Ok(Message::Close(None)) => return CloseReason::done("the client closed"),
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Err(_) => break,
        };
        if let Err(reason) = end.send(frame).await {
            // The plugin closed; the other direction tells the client.
            return CloseReason::clone(&reason);
        }
    }
    CloseReason::failed(OperationError::cancelled("the client went away"))
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
