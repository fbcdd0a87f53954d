//! A stream between a caller and the Realtime API's WebSocket: frames pass as they are, in both directions; whoever closes,
//! the other side is told the code and the reason.
//! - [`dial`]: settings -> an open socket, or the [`Trouble`] that refuses the stream.
//! - [`watch`]: events and the close -> whether the server refuses us in the session, or answers.

pub mod dial;
pub mod watch;

use std::future::pending;

use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use plugin_api::{
    prelude::*,
    protocol::CloseReason,
    requests::openai::RealtimeClose,
    tokio::{
        select,
        time::{MissedTickBehavior, interval, timeout},
    },
    tracing,
};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use self::{dial::Socket, watch::Sign};
use crate::{evidence::Evidence, settings::Config, trouble::connecting::Way};

/// After this many pings without any sign of life a connection counts as broken.
const UNANSWERED: u32 = 3;
/// Longest wait for the other side's goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// The longest reason that a close frame carries (RFC 6455, 5.5).
const LONGEST_REASON: usize = 123;

/// How it ended.
enum End {
    /// The caller closed the stream, or is gone.
    Caller(CloseReason),
    /// The server closed the socket.
    Server(RealtimeClose),
    /// The connection is no more; in words.
    Broken(String),
}

/// Carries frames until one side closes.
pub async fn bridge(socket: Socket, stream: &Stream, config: &Config, evidence: &Evidence) {
    let (mut sink, mut source) = socket.split();
    let end = select! {
        biased;
        end = to_caller(&mut source, stream, config, evidence) => end,
        end = to_server(stream, &mut sink, config.realtime_ping) => end,
    };
    match end {
        End::Caller(reason) => hang_up(&mut sink, &mut source, &RealtimeClose::of(&reason)).await,
        End::Server(close) => {
            let server = config.realtime_server();
            let words = words(&close, &server);
            stream.close(watch::closed(close, words, Way::realtime(&server)));
            // Sends the answer to its close frame.
            let _ = timeout(GOODBYE, drained(&mut source)).await;
        }
        End::Broken(words) => {
            let close = RealtimeClose { close_code: RealtimeClose::BROKEN, close_reason: String::new() };
            stream.close(close.into_reason(words));
        }
    }
}

async fn to_caller(
    source: &mut SplitStream<Socket>,
    stream: &Stream,
    config: &Config,
    evidence: &Evidence,
) -> End {
    let server = config.realtime_server();
    let patience = config.realtime_ping * UNANSWERED;
    loop {
        let frame = match timeout(patience, source.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => {
                match watch::sign(&text, Way::realtime(&server)) {
                    Some(Sign::Refused(trouble)) => evidence.refused_in_session(*trouble).await,
                    Some(Sign::Answered) => evidence.answered_in_session().await,
                    None => {}
                }
                Frame::Text(text.as_str().to_owned())
            }
            Ok(Some(Ok(Message::Binary(data)))) => Frame::Binary(data.into()),
            Ok(Some(Ok(Message::Close(frame)))) => return End::Server(closed_by(frame)),
            // A ping is answered by the next read.
            Ok(Some(Ok(_))) => continue,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "the realtime connection broke");
                return End::Broken(format!("the connection to `{server}` broke"));
            }
            Ok(None) => return End::Broken(format!("the connection to `{server}` broke")),
            Err(_) => return End::Broken(format!("`{server}` gave no sign of life within {patience:?}")),
        };
        if let Err(reason) = stream.send(frame).await {
            return End::Caller(reason);
        }
    }
}

async fn to_server(stream: &Stream, sink: &mut SplitSink<Socket, Message>, ping: Duration) -> End {
    let mut pings = interval(ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = select! {
            frame = stream.recv() => match frame {
                Ok(Frame::Text(text)) => Message::text(text),
                Ok(Frame::Binary(data)) => Message::binary(data),
                Err(reason) => return End::Caller(reason),
            },
            _ = pings.tick() => Message::Ping(Vec::new().into()),
        };
        if let Err(error) = sink.send(message).await {
            tracing::debug!(%error, "the realtime connection takes no more");
            // Why, the other direction learns: a close frame may still wait there.
            return pending().await;
        }
    }
}

/// Tells the server why, and waits for its goodbye.
async fn hang_up(
    sink: &mut SplitSink<Socket, Message>,
    source: &mut SplitStream<Socket>,
    close: &RealtimeClose,
) {
    let code = CloseCode::from(close.close_code);
    let code = if code.is_allowed() { code } else { CloseCode::from(RealtimeClose::ERROR) };
    let frame = CloseFrame { code, reason: shortened(&close.close_reason).into() };
    let goodbye = async {
        // Whether it is still heard makes no difference any more.
        let _ = sink.send(Message::Close(Some(frame))).await;
        drained(source).await;
    };
    let _ = timeout(GOODBYE, goodbye).await;
}

async fn drained(source: &mut SplitStream<Socket>) {
    while let Some(Ok(_)) = source.next().await {}
}

fn closed_by(frame: Option<CloseFrame>) -> RealtimeClose {
    // 1005 stands for a close frame without a code (RFC 6455, 7.4.1).
    frame.map_or(RealtimeClose { close_code: 1005, close_reason: String::new() }, |frame| RealtimeClose {
        close_code: frame.code.into(),
        close_reason: frame.reason.as_str().to_owned(),
    })
}

fn words(close: &RealtimeClose, server: &str) -> String {
    let RealtimeClose { close_code, close_reason } = close;
    match close_reason.is_empty() {
        true => format!("`{server}` closed the connection ({close_code})"),
        false => format!("`{server}` closed the connection ({close_code}: {close_reason})"),
    }
}

/// As much as a close frame carries.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_REASON)]
}
