//! Carries telephone calls in real time: Twilio's media stream of a call to the conversation of `voice_assistant`, and back.
//! In the order in which a frame passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `calls`: the calls on this host.
//! - `carrier`: the two sockets of a call, from its first frame to the goodbye.
//! - `frames`: Twilio's JSON -> what it tells, and back. Pure.
//! - `line`: the core of a call, and what waits to be sent.
//! - `machine`: frames and time -> frames and measurements. Pure.
//! - `recorder`, `recording`, `replay`: a call as a file, and what today's core makes of it.
//! - `gauge`: measurements -> the host's metrics.

mod settings;
mod calls;
mod carrier;
mod frames;
mod line;
mod machine;
mod recorder;
mod recording;
mod replay;
mod gauge;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use plugin_api::{
    prelude::*,
    requests::{
        bridge::{BridgedCalls, HangUp, HungUp, ListCalls, Replay, Replayed},
        http::Admission,
        twilio_service::UpdateCall,
        voice::MEDIA_PATH,
    },
    serde_json,
    tokio::{self, sync::oneshot, task::spawn_blocking, time::timeout},
    tracing,
};

use crate::{
    calls::Calls,
    gauge::Gauge,
    machine::End,
    settings::{Config, Settings},
};

const NAME: &str = "realtime_call_bridge";
const VOICE: &str = "voice_assistant";
const TWILIO: &str = "twilio_service";
/// Frames of Twilio are of a few hundred bytes.
const FRAME_LIMIT: usize = 64 * 1024;
/// Why a call ends that an operator has ended.
const HUNG_UP: &str = "an operator hung up";
/// How long calls that were cut may take to say goodbye to their conversations.
const GOODBYES: Duration = Duration::from_secs(3);

/// Carries calls.
struct Bridge {
    context: Context,
    config: Config,
    calls: Arc<Calls>,
    gauge: Gauge,
    recordings: PathBuf,
}

impl Plugin for Bridge {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::service(NAME)
            .about("Carries the audio of telephone calls between Twilio and the voice assistant")
            .requires(VOICE)
            .wants(TWILIO)
            .route(
                Route::websocket(MEDIA_PATH, "media")
                    .guard("realtime_call_bridge.admit")
                    .body_limit(FRAME_LIMIT),
            )
            .operation(
                Operation::stream("media", Self::media)
                    .about("The media stream of a call: Twilio's frames in both directions"),
            )
            .operation(
                Operation::new("admit", Self::admit)
                    .about("The guard of the media stream: admits what Twilio signed")
                    .guard()
                    .idempotent(),
            )
            .operation(
                Operation::of(Self::list_calls)
                    .about("Lists the calls that are on this host now")
                    .idempotent(),
            )
            .operation(Operation::of(Self::hang_up).about("Ends a call that is on this host").idempotent())
            .operation(
                Operation::of(Self::replay)
                    .about(
                        "Replays a recorded call through the current code, and reports the first difference",
                    )
                    .idempotent(),
            )
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Config::check(settings)?;
        Ok(Self {
            calls: Calls::new(config.max_calls),
            gauge: Gauge::new(context.clone()),
            recordings: context.data_dir().join(NAME),
            config,
            context,
        })
    }

    /// Its dependencies provide what it needs. Its health shows when its door is held by tokens alone.
    async fn init(&self) -> Result<(), Failure> {
        let notes = match self.config.require_signature {
            true => Vec::new(),
            false => vec![format!(
                "`require_signature` is off: `{MEDIA_PATH}` accepts everybody, and only the token of a call protects it"
            )],
        };
        // Calls are carried whether or not the note is shown.
        if let Err(error) = self.context.host().note(notes).await {
            tracing::warn!(%error, "the health details may not show whether `require_signature` is off");
        }
        Ok(())
    }

    /// The host has cut every call by now; what remains is that their conversations are told so.
    async fn stop(&self) {
        // Whoever takes longer is dropped.
        let _ = timeout(GOODBYES, self.calls.over()).await;
    }
}

impl Bridge {
    async fn admit(self: Arc<Self>, request: HttpRequest, _: Call) -> Result<Admission, OperationError> {
        if !self.config.require_signature {
            return Ok(Admission::default());
        }
        let unfit = |error: serde_json::Error| OperationError::internal(error.to_string());
        let request = serde_json::to_value(request).map_err(unfit)?;
        let admission = self.context.dependency(TWILIO)?.call_json("verify_webhook", &request).await?;
        serde_json::from_value(admission).map_err(unfit)
    }

    /// The call goes on in a task of its own, so that it can say goodbye when the host drops this one.
    async fn media(
        self: Arc<Self>,
        _: HttpRequest,
        stream: Stream,
        call: Call,
    ) -> Result<(), OperationError> {
        let full = |error: &OperationError| carrier::refused(&self, None, error);
        let place = self.calls.enter().inspect_err(full)?;
        let (_uncut, cut) = oneshot::channel();
        let carried = tokio::spawn(call.scope(carrier::carry(self, stream, cut, place)));
        carried.await.unwrap_or_else(|error| {
            Err(OperationError::new(ErrorKind::Panicked, format!("the call broke off: {error}")))
        })
    }

    async fn list_calls(self: Arc<Self>, _: ListCalls, _: Call) -> Result<BridgedCalls, OperationError> {
        Ok(BridgedCalls { calls: self.calls.lines().iter().map(|line| line.shown()).collect() })
    }

    async fn hang_up(self: Arc<Self>, request: HangUp, _: Call) -> Result<HungUp, OperationError> {
        let HangUp { call } = request;
        let lines = self.calls.lines();
        let lines: Vec<_> = lines.into_iter().filter(|line| line.identity.call == call).collect();
        if lines.is_empty() {
            return Err(OperationError::not_found(format!(
                "the call `{call}` is not on this host: `list_calls` tells which are"
            )));
        }
        // Twilio may close the stream before it answers. The requester may give up waiting, and the call goes on.
        let _leaving: Vec<_> = lines.iter().map(|line| line.leaving(HUNG_UP)).collect();
        let ended = self.end_line(&call).await;
        // The line first: else Twilio would go on with the call's TwiML for a moment.
        lines.iter().for_each(|line| line.end(End::of_call(HUNG_UP)));
        Ok(HungUp { call, line_ended: ended.is_ok(), why_not: ended.err().map(|error| error.message) })
    }

    async fn end_line(&self, call: &str) -> Result<(), OperationError> {
        let hang_up = UpdateCall { sid: call.to_owned(), hang_up: true, ..UpdateCall::default() };
        self.context.dependency(TWILIO)?.call(hang_up).await.map(drop)
    }

    async fn replay(self: Arc<Self>, request: Replay, _: Call) -> Result<Replayed, OperationError> {
        let folder = self.recordings.clone();
        let replayed = spawn_blocking(move || {
            let text = recorder::load(&folder, &request.recording)?;
            replay::replay(&request.recording, &text)
        });
        replayed.await.unwrap_or_else(|error| Err(OperationError::internal(format!("it broke off: {error}"))))
    }
}

plugin_api::export_plugin!(Bridge);
