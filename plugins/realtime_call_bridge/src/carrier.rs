//! A WebSocket of Twilio and the stream of a conversation, for as long as a call lasts: who it is, frames from both sides
//! into the core and out of it, and a goodbye to both, whoever ends it. It neither understands nor keeps what is said.

use std::future::pending;

use plugin_api::{
    jiff::Timestamp,
    phone::is_harmless_sid,
    prelude::*,
    requests::{
        bridge::TOKEN_PARAMETER,
        voice::{SESSION, Session},
    },
    tokio::{
        join, pin, select,
        sync::oneshot,
        time::{MissedTickBehavior, interval, sleep, timeout},
    },
    tracing,
};

use crate::{
    Bridge, VOICE,
    calls::Place,
    frames::{self, Start, Told},
    line::{Identity, Line, Side},
    machine::{End, Input},
    recorder::{Recorder, Unwritten},
    recording::{Header, VERSION},
};

/// How often the passing of time is told to the core.
const TICK: Duration = Duration::from_millis(100);
/// How long both sides may take to take the last frames, and the conversation to close where Twilio is to wait for it.
const GOODBYE: Duration = Duration::from_secs(2);
/// Frames before `start`.
const MOST_BEFORE_START: usize = 8;

/// Carries one connection to its end. `cut` is dropped when the host gives it up.
///
/// # Errors
/// Why it did not become a call, or how it failed.
pub async fn carry(
    bridge: Arc<Bridge>,
    twilio: Stream,
    cut: oneshot::Receiver<()>,
    mut place: Place,
) -> Result<(), OperationError> {
    let introduced = introduction(&bridge, &twilio).await;
    let asked = introduced.inspect_err(|error| refused(&bridge, None, error))?;
    let (line, unwritten) = line(&bridge, &asked);
    place.take(&line);
    let session = match open(&bridge, &line, &asked, &twilio).await {
        Ok(session) => session,
        Err(error) => {
            refused(&bridge, Some(&asked.call), &error);
            return Err(error);
        }
    };
    // Whoever has no good token costs no recording.
    let writing = unwritten.map(|unwritten| unwritten.write(&bridge.recordings));
    let end = talk(&line, &twilio, &session, cut).await;
    session.close(end.close_reason());
    twilio.close(end.close_reason());
    tell(&bridge, &line, &end);
    if let Some(writing) = writing {
        // The recording of a call that was cut is whole, too, unless the disk takes longer.
        let _ = timeout(GOODBYE, writing).await;
    }
    Ok(())
}

/// Whoever looks for calls that were not carried finds each of them in the log and in the metrics.
pub fn refused(bridge: &Bridge, call: Option<&str>, error: &OperationError) {
    bridge.gauge.refused();
    tracing::warn!(call, "a media stream is refused: {error}");
}

/// What the first frames tell.
async fn introduction(bridge: &Bridge, twilio: &Stream) -> Result<Session, OperationError> {
    let patience = bridge.config.start_timeout;
    let start = timeout(patience, started(twilio)).await.map_err(|_| {
        OperationError::invalid(format!("the connection did not say within {patience:?} which call it is"))
    })??;
    let Start { stream_sid: stream, call_sid: call, media_format: format, custom_parameters } = start;
    if !is_harmless_sid(&stream) || !is_harmless_sid(&call) {
        return Err(OperationError::invalid("the `start` of the media stream names no call or no stream"));
    }
    if (format.encoding.as_str(), format.sample_rate, format.channels) != ("audio/x-mulaw", 8000, 1) {
        return Err(OperationError::invalid(format!(
            "the media stream carries `{}` at {} Hz on {} channels; `audio/x-mulaw` at 8000 Hz on 1 is expected",
            format.encoding, format.sample_rate, format.channels
        )));
    }
    let token = custom_parameters.get(TOKEN_PARAMETER).and_then(|token| token.as_str()).ok_or_else(|| {
        OperationError::denied(format!("the media stream has no parameter `{TOKEN_PARAMETER}`"))
    })?;
    Ok(Session { call, stream, token: token.to_owned() })
}

async fn started(twilio: &Stream) -> Result<Start, OperationError> {
    for _ in 0..MOST_BEFORE_START {
        let frame = twilio.recv().await.map_err(|reason| {
            OperationError::cancelled(format!("the connection ended before it began: {}", reason.message))
        })?;
        if let Frame::Text(text) = frame
            && let Some(Told::Start(start)) = frames::read(&text)
        {
            return Ok(*start);
        }
    }
    Err(OperationError::invalid("the connection does not begin as a media stream of Twilio does"))
}

/// The call, and what is recorded of it already.
fn line(bridge: &Bridge, asked: &Session) -> (Arc<Line>, Option<Unwritten>) {
    let began_at = Timestamp::now();
    let Session { call, stream, .. } = asked.clone();
    let limits = bridge.config.limits;
    let recorded = bridge.config.recording.map(|recording| {
        let (call, stream) = (call.clone(), stream.clone());
        let header = Header { recording: VERSION, call, stream, began_at: began_at.to_string(), limits };
        Recorder::new(recording, &header)
    });
    let (recorder, unwritten) = recorded.unzip();
    let (identity, gauge) = (Identity { call, stream, began_at }, bridge.gauge.clone());
    (Line::new(identity, limits, recorder, move |measure| gauge.measured(measure)), unwritten)
}

/// Opens the conversation. The caller's words wait for it meanwhile.
async fn open(
    bridge: &Bridge,
    line: &Line,
    asked: &Session,
    twilio: &Stream,
) -> Result<Stream, OperationError> {
    let voice = bridge.context.dependency(VOICE)?.deadline(bridge.config.session_timeout);
    let opening = voice.open(SESSION, asked);
    pin!(opening);
    let opened = select! {
        opened = &mut opening => opened,
        // If the caller has gone by then, the conversation is told so.
        () = listen(line, twilio) => opening.await,
    };
    line.sent(Side::Session);
    opened
}

/// Both directions, until the call is over and both sides have taken what there was for them. Once its stream is closed
/// Twilio asks how the call goes on: a conversation that is told to end it has closed before, so that it is known by then.
async fn talk(line: &Line, twilio: &Stream, session: &Stream, cut: oneshot::Receiver<()>) -> End {
    let sending = async {
        join!(speak(line, twilio), hand_on(line, session));
        line.decided().await;
    };
    let cutting = async {
        // Dropped is all that it ever is.
        let _ = cut.await;
        line.gone(Side::Twilio);
        line.end(End::failed(ErrorKind::Cancelled, "the bridge was stopped"));
        pending::<()>().await;
    };
    let goodbye = async {
        line.ended().await;
        sleep(GOODBYE).await;
    };
    select! {
        () = sending => {}
        () = listen_on(line, twilio) => {}
        () = follow(line, session) => {}
        () = keep_time(line) => {}
        () = cutting => {}
        () = goodbye => {}
    }
    line.ended().await
}

/// From Twilio into the core, until the connection ends.
async fn listen(line: &Line, twilio: &Stream) {
    loop {
        line.takes_audio().await;
        match twilio.recv().await {
            Ok(Frame::Text(text)) => line.handle(Input::Twilio(text)),
            // Twilio sends text alone.
            Ok(Frame::Binary(_)) => {}
            Err(reason) => {
                line.gone(Side::Twilio);
                let words = match reason.error {
                    None => "Twilio closed the connection".to_owned(),
                    Some(error) => format!("the connection to Twilio broke: {}", error.message),
                };
                return line.end(End::done(&words));
            }
        }
    }
}

async fn listen_on(line: &Line, twilio: &Stream) {
    listen(line, twilio).await;
    pending().await
}

/// From the conversation into the core.
async fn follow(line: &Line, session: &Stream) {
    loop {
        line.takes_speech().await;
        match session.recv().await {
            Ok(frame) => line.handle(Input::Session(frame)),
            Err(reason) => {
                line.gone(Side::Session);
                match reason.error {
                    None => line.handle(Input::SessionDone(reason.message)),
                    Some(error) => {
                        let reason = format!("the conversation broke off: {}", error.message);
                        line.end(End::failed(error.kind, &reason));
                    }
                }
                return pending().await;
            }
        }
    }
}

/// Out of the core to Twilio, until the call is over.
async fn speak(line: &Line, twilio: &Stream) {
    while let Some(frame) = line.next_for_twilio().await {
        if twilio.send(frame).await.is_err() {
            // Why, who listens learns.
            line.gone(Side::Twilio);
        }
        line.sent(Side::Twilio);
    }
}

/// Out of the core to the conversation, until the call is over.
async fn hand_on(line: &Line, session: &Stream) {
    while let Some(frame) = line.next_for_session().await {
        if session.send(frame).await.is_err() {
            line.gone(Side::Session);
        }
        line.sent(Side::Session);
    }
}

async fn keep_time(line: &Line) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        line.tick();
    }
}

/// The call is over: what is left of it is in the log and in the metrics, also when the conversation is gone.
fn tell(bridge: &Bridge, line: &Line, end: &End) {
    let report = line.shown().media;
    bridge.gauge.over(&report, end.kind.is_some());
    let Identity { call, stream, .. } = &line.identity;
    tracing::info!(
        %call,
        %stream,
        received_ms = report.received_ms,
        padded_ms = report.padded_ms,
        sent_ms = report.sent_ms,
        cleared_ms = report.cleared_ms,
        discarded = report.discarded,
        "the media of a call ended: {}",
        end.reason
    );
}
