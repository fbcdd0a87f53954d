//! OpenAI's Realtime API (GA) as a [`Backend`], through the plugin `openai`.
//! - [`server`]: its events, read leniently.
//! - [`client`]: ours, written.
//!
//! The server says when speech began with the padding before it, and when it ended with the silence after it: both are
//! taken off here, so that moments are those of the speech itself.

pub mod client;
pub mod server;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_api::{
    prelude::*,
    protocol::CloseReason,
    requests::openai::{OpenAiTrouble, REALTIME, Realtime, RealtimeClose, TroubleCode},
    serde_json,
    tokio::time::timeout,
    tracing,
};

use self::{
    client::{ClientEvent, UPDATE},
    server::{ErrorBody, Response, ServerEvent, Speech},
};
use super::{
    OPENAI,
    model::{Backend, Event, Fault, FaultKind, FunctionCall, Link, Loss, Outcome, Request, Setup},
    settings::{Config, Listening},
};

/// Codes of OpenAI's own begin here: what was asked is refused, and will be again.
const OWN_CODES: u16 = 4000;
/// A policy is violated.
const POLICY: u16 = 1008;

/// Connections through the plugin `openai`.
pub struct OpenAi {
    context: Context,
    config: Arc<Config>,
}

impl OpenAi {
    pub fn new(context: Context, config: Arc<Config>) -> Self {
        Self { context, config }
    }

    async fn begin(&self, setup: &Setup) -> Result<GaLink, Loss> {
        let openai = self.context.dependency(OPENAI).map_err(|error| refused(&error))?;
        let request = Realtime { model: self.config.model.clone() };
        let stream = openai.open(REALTIME, &request).await.map_err(|error| refused(&error))?;
        let (listening, instructions) = (self.config.listening.clone(), setup.instructions.clone());
        let link = GaLink { stream, listening, instructions };
        link.write(&ClientEvent::update(setup, &self.config)).await?;
        link.accepted().await?;
        Ok(link)
    }
}

impl Backend for OpenAi {
    type Link = GaLink;

    async fn open(&self, setup: &Setup) -> Result<GaLink, Loss> {
        let patience = self.config.connect_timeout;
        timeout(patience, self.begin(setup)).await.unwrap_or_else(|_| {
            let reason = format!("the model was not ready within {patience:?}");
            Err(Loss { reason, is_final: false })
        })
    }
}

/// One connection.
pub struct GaLink {
    stream: Stream,
    listening: Listening,
    instructions: String,
}

impl GaLink {
    async fn write(&self, event: &ClientEvent) -> Result<(), Loss> {
        let text = serde_json::to_string(event).map_err(|error| Loss {
            reason: format!("an event cannot be written: {error}"),
            is_final: true,
        })?;
        self.stream.send(Frame::Text(text)).await.map_err(|reason| ended(&reason))
    }

    async fn read(&self) -> Result<ServerEvent, Loss> {
        loop {
            let frame = self.stream.recv().await.map_err(|reason| ended(&reason))?;
            let Frame::Text(text) = frame else { continue };
            match ServerEvent::read(&text) {
                Ok(event) => return Ok(event),
                Err(why) => tracing::warn!(why, "the realtime server sent what is no event"),
            }
        }
    }

    /// Waits until the settings are in force.
    async fn accepted(&self) -> Result<(), Loss> {
        loop {
            match self.read().await? {
                ServerEvent::Session(state) if state.kind == "session.updated" => return Ok(()),
                ServerEvent::Error(refusal) => {
                    if let Some(loss) = session_refused(refusal.error) {
                        return Err(loss);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Link for GaLink {
    async fn send(&self, mut request: Request) -> Result<(), Loss> {
        if let Request::Respond { directions: Some(directions), .. } = &mut request {
            // Those of a response stand in place of those of the session.
            *directions = format!("{}\n\n{directions}", self.instructions);
        }
        self.write(&request.into()).await
    }

    async fn recv(&self) -> Result<Event, Loss> {
        Ok(translate(self.read().await?, &self.listening))
    }

    fn close(&self, reason: &str) {
        self.stream.close(CloseReason::done(reason));
    }
}

/// The meaning of an error for a session that begins; `None`: nothing. Errors in our settings will come again; errors
/// of the server pass.
pub fn session_refused(error: ErrorBody) -> Option<Loss> {
    let is_request = error.kind.as_deref() == Some("invalid_request_error");
    let fault = fault(error);
    let is_update = fault.about.as_deref() == Some(UPDATE);
    let is_ours = is_update || fault.about.is_none();
    let is_hopeless = fault.kind == FaultKind::Hopeless;
    let reason = format!("the model refuses the session: {}", fault.message);
    let is_final = is_hopeless || is_request && is_update;
    (is_ours || is_hopeless).then_some(Loss { reason, is_final })
}

/// Why the plugin `openai` opened no socket.
fn refused(error: &OperationError) -> Loss {
    use TroubleCode as Code;
    let code = OpenAiTrouble::of(error).map(|trouble| trouble.code);
    let passes = match code {
        Some(Code::RateLimited | Code::Unavailable | Code::Timeout | Code::ConnectionRefused | Code::Dns) => {
            true
        }
        Some(_) => false,
        None => error.kind.may_retry(true),
    };
    Loss { reason: error.message.clone(), is_final: !passes }
}

/// Why the stream ended: OpenAI's own codes say that the same will happen again, all others pass.
pub fn ended(reason: &CloseReason) -> Loss {
    let close = RealtimeClose::of(reason);
    let is_final = close.close_code >= OWN_CODES || close.close_code == POLICY;
    let reason = match close.close_code {
        RealtimeClose::AWAY if close.close_reason.contains("expired") => {
            "the session with the model has expired".to_owned()
        }
        RealtimeClose::AWAY => {
            format!("the connection with the model went away ({})", close.close_code)
        }
        _ if reason.message.is_empty() => {
            format!("the model closed the connection ({})", close.close_code)
        }
        _ => reason.message.clone(),
    };
    Loss { reason, is_final }
}

/// A server event as what the conversation needs of it.
pub fn translate(event: ServerEvent, listening: &Listening) -> Event {
    match event {
        ServerEvent::Error(refusal) => Event::Fault(fault(refusal.error)),
        ServerEvent::SpeechStarted(speech) => Event::SpeechStarted { at_ms: began(&speech, listening) },
        ServerEvent::SpeechStopped(speech) => Event::SpeechStopped { at_ms: stopped(&speech, listening) },
        ServerEvent::Timeout(speech) => Event::Idle { item: speech.item_id },
        ServerEvent::Committed(named) => Event::Committed { item: named.item_id },
        ServerEvent::Item(state) => Event::ItemAdded { item: state.item.id },
        ServerEvent::Transcribed(words) => Event::Heard { item: words.item_id, text: Some(words.transcript) },
        ServerEvent::NotTranscribed(named) => Event::Heard { item: named.item_id, text: None },
        ServerEvent::ResponseCreated(state) => Event::ResponseCreated { response: state.response.id },
        ServerEvent::ResponseDone(state) => done(state.response),
        ServerEvent::Audio(delta) => match STANDARD.decode(&delta.delta) {
            Ok(audio) => Event::Audio { response: delta.response_id, item: delta.item_id, audio },
            Err(_) => Event::Other,
        },
        ServerEvent::AudioDone(named) => Event::AudioDone { item: named.item_id },
        ServerEvent::Words(delta) => {
            Event::Words { response: delta.response_id, item: delta.item_id, text: delta.delta }
        }
        ServerEvent::WordsDone(words) => Event::WordsDone { item: words.item_id, text: words.transcript },
        ServerEvent::Session(_) => Event::Other,
        ServerEvent::Unknown(body) => {
            tracing::trace!(kind = body["type"].as_str(), "an event is ignored");
            Event::Other
        }
    }
}

fn began(speech: &Speech, listening: &Listening) -> u64 {
    let padding = match listening {
        Listening::Silence { prefix_ms, .. } => *prefix_ms,
        Listening::Meaning { .. } => 0,
    };
    match speech.audio_start_ms {
        // There was not as much audio as the padding would have taken.
        Some(0) => 0,
        Some(start) => start.saturating_add(padding),
        None => u64::MAX,
    }
}

fn stopped(speech: &Speech, listening: &Listening) -> u64 {
    let silence = match listening {
        Listening::Silence { silence_ms, .. } => *silence_ms,
        Listening::Meaning { .. } => 0,
    };
    speech.audio_end_ms.map_or(u64::MAX, |end| end.saturating_sub(silence))
}

fn done(response: Response) -> Event {
    let details = response.status_details.unwrap_or_default();
    let outcome = match response.status.as_str() {
        "completed" => {
            let calls = response.output.into_iter().filter(|item| item.kind == "function_call");
            Outcome::Completed { calls: calls.filter_map(function_call).collect() }
        }
        "cancelled" => Outcome::Cancelled,
        "failed" => {
            let error = details.error.unwrap_or_default();
            let code = error.code.or(error.kind).unwrap_or_else(|| "unknown".to_owned());
            let is_hopeless = fault_kind(&code) == FaultKind::Hopeless;
            Outcome::Failed { message: error.message.unwrap_or(code), is_hopeless }
        }
        // What has another status has not been completed either.
        _ => Outcome::Incomplete { reason: details.reason.unwrap_or(response.status) },
    };
    Event::ResponseDone { response: response.id, outcome }
}

fn function_call(item: server::Item) -> Option<FunctionCall> {
    let (call_id, name) = (item.call_id?, item.name?);
    Some(FunctionCall { call_id, name, arguments: item.arguments.unwrap_or_default() })
}

fn fault(error: ErrorBody) -> Fault {
    let code = error.code.or(error.kind).unwrap_or_default();
    let message = error.message.unwrap_or_else(|| code.clone());
    Fault { about: error.event_id, message, kind: fault_kind(&code) }
}

/// By the code of an error.
fn fault_kind(code: &str) -> FaultKind {
    match code {
        "conversation_already_has_active_response" => FaultKind::Busy,
        "response_cancel_not_active" => FaultKind::NotActive,
        "session_expired" => FaultKind::Expired,
        "insufficient_quota"
        | "invalid_api_key"
        | "beta_api_shape_disabled"
        | "model_not_found"
        | "account_deactivated"
        | "billing_hard_limit_reached" => FaultKind::Hopeless,
        _ => FaultKind::Other,
    }
}
