//! Calls on the telephone: answered turn by turn, or in real time, or by a request for a message; placed; kept and shown. In
//! the order in which a call passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `call`: what a conversation needs of its call, whoever keeps it.
//! - `webhook`: what Twilio tells -> of which call it tells what. Pure.
//! - `twiml`: verbs -> TwiML, escaped. Pure.
//! - `speech`: what is to be said and done next -> verbs. Pure.
//! - `store`: calls, their words, recordings and orders, in the database.
//! - `proof`: how a caller of whom it is not certain who they are proves it.
//! - `journal`: what happens -> the store, also while the database is away.
//! - `session`: a call in real time, from its audio to what is written down.
//! - `desk`: what all handlers share, and which way a call can be answered.
//! - `mind`: what somebody says -> a run of `orchestrator_service`, or a chat.
//! - `answering`: a turn -> what is heard next.
//! - `events`: everything else that Twilio tells.
//! - `outbound`: calls of ours.
//! - `caretaker`: what is remembered, announced and closed in the background.
//! - `showing`: calls as they are shown; text; transfers and ends.
//! - `routes`: a webhook -> its handler, in time and once.

mod settings;
mod call;
mod webhook;
mod twiml;
mod speech;
mod store;
mod proof;
mod journal;
mod session;
mod desk;
mod mind;
mod answering;
mod events;
mod outbound;
mod caretaker;
mod showing;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use plugin_api::{
    level::Level,
    prelude::*,
    requests::{
        twilio::Media,
        voice::{
            CallList, CallPerson, CallRecord, CalledPerson, CheckCode, CheckedCode, EndCall, FetchRecording,
            ListCalls, Respond, Responded, SESSION, SendCode, SentCode, Session, ShowCall, TransferCall,
            VOICE_PATH,
        },
    },
    tracing,
    worker::Worker,
};

use crate::{
    desk::Desk,
    routes::Once,
    settings::{Config, Settings},
    webhook::Webhook,
};

const OPENAI: &str = "openai";
const ORCHESTRATOR: &str = "orchestrator_service";
const DATABASE: &str = "database";
const MEMORY: &str = "memory_service";
const TWILIO_SERVICE: &str = "twilio_service";
/// It carries the audio of calls. It requires this plugin, so it is asked for and never called.
const BRIDGE: &str = "realtime_call_bridge";
/// How long somebody on the phone waits for plugins that are not in service.
const TOOLS_WAIT: Duration = Duration::from_secs(4);
const GUARD: &str = "twilio_service.verify_webhook";
/// Twilio's webhooks are short forms.
const WEBHOOK_BODY_LIMIT: usize = 256 * 1024;

/// What Twilio calls below [`VOICE_PATH`], and the operation that takes it.
const WEBHOOKS: [(&str, &str); 10] = [
    ("", "receive_voice"),
    ("/turn", "receive_turn"),
    ("/wait", "receive_wait"),
    ("/stream-ended", "receive_stream_ended"),
    ("/stream-status", "receive_stream_status"),
    ("/dial-ended", "receive_dial_ended"),
    ("/voicemail", "receive_voicemail"),
    ("/recording", "receive_recording"),
    ("/machine", "receive_machine"),
    ("/status", "receive_status"),
];

/// Answers and places calls.
struct VoiceAssistant {
    desk: Arc<Desk>,
    caretaker: OnceLock<Worker>,
}

impl Plugin for VoiceAssistant {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        let manifest = Manifest::service("voice_assistant")
            .about("Answers and places telephone calls, in real time or turn by turn")
            .requires(OPENAI)
            .requires(ORCHESTRATOR)
            .wants(DATABASE)
            .wants(MEMORY)
            .wants(TWILIO_SERVICE);
        webhooks(routes(operations(manifest)))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Config::check(settings)?;
        Ok(Self { desk: Arc::new(Desk::new(context, config)), caretaker: OnceLock::new() })
    }

    /// Calls are answered whatever the database does; what an earlier run left is seen to in the background.
    async fn init(&self) -> Result<(), Failure> {
        let desk = &self.desk;
        self.caretaker.get_or_init(|| caretaker::start(desk));
        if !desk.journal.store.is_named() {
            tracing::warn!(
                "calls are answered and not kept: add a section `[plugins.database]` to plugins.toml"
            );
        } else if let Err(error) = desk.journal.store.migrate().await {
            tracing::warn!(%error, "calls are kept as soon as the database answers");
        }
        Ok(())
    }

    async fn stop(&self) {
        if let Some(caretaker) = self.caretaker.get() {
            caretaker.stop();
        }
        self.desk.journal.close().await;
    }
}

fn operations(manifest: ManifestBuilder<VoiceAssistant>) -> ManifestBuilder<VoiceAssistant> {
    manifest
        .operation(
            Operation::stream(SESSION, VoiceAssistant::session)
                .about("The conversation of a call in real time, for the plugin that carries its audio"),
        )
        .operation(
            Operation::of(VoiceAssistant::respond)
                .about("Answers one turn of a conversation in text, as on the phone")
                .needs(Level::Attested),
        )
        .operation(
            Operation::of(VoiceAssistant::call_person)
                .about(
                    "Rings up the person of this conversation and has an assistant pursue an objective with them. It \
                     costs money and cannot be taken back. If the outcome is unknown, do not call again: say so.",
                )
                .tool()
                .decisive(["to"])
                .keyed()
                .needs(Level::Shown)
                .needs_approval(),
        )
        .operation(
            Operation::of(VoiceAssistant::transfer_call)
                .about(
                    "Connects the telephone call that the person is in with somebody else, by the name that you were \
                     given. It happens as soon as your answer was spoken, so say in it what comes.",
                )
                .tool()
                .decisive(["to"])
                .idempotent(),
        )
        .operation(
            Operation::of(VoiceAssistant::end_call)
                .about(
                    "Ends the telephone call that the person is in, as soon as your answer was spoken. Only when they \
                     have said goodbye, or want nothing more.",
                )
                .tool()
                .idempotent(),
        )
        .operation(
            Operation::of(VoiceAssistant::send_code)
                .about(
                    "Sends a code by SMS to the number that the caller calls from, so that they can prove who they are. Only \
                     if it is not certain who they are, and only if they agree.",
                )
                .tool(),
        )
        .operation(
            Operation::of(VoiceAssistant::check_code)
                .about(
                    "Checks the code that the caller says or presses after `send_code`. From their next words on they are \
                     known, if it is right.",
                )
                .tool(),
        )
        .operation(Operation::of(VoiceAssistant::list_calls).about("Lists calls").idempotent())
        .operation(
            Operation::of(VoiceAssistant::show_call)
                .about("Shows a call with all that was said and done in it")
                .idempotent(),
        )
        .operation(
            Operation::of(VoiceAssistant::fetch_recording)
                .about("Fetches the recording of a call, or a message that was left")
                .idempotent(),
        )
}

fn routes(manifest: ManifestBuilder<VoiceAssistant>) -> ManifestBuilder<VoiceAssistant> {
    manifest
        .operation(
            Operation::new("route_calls", VoiceAssistant::route_calls)
                .about("`list_calls`, over HTTP")
                .idempotent(),
        )
        .operation(
            Operation::new("route_call", VoiceAssistant::route_call)
                .about("`show_call`, over HTTP")
                .idempotent(),
        )
        .route(Route::get("/api/calls", "route_calls"))
        .route(Route::get("/api/calls/{call}", "route_call"))
}

fn webhooks(manifest: ManifestBuilder<VoiceAssistant>) -> ManifestBuilder<VoiceAssistant> {
    let serving = [
        Operation::new("receive_voice", VoiceAssistant::receive_voice).about("Answers a call"),
        Operation::new("receive_turn", VoiceAssistant::receive_turn).about("Answers what was said in a call"),
        Operation::new("receive_wait", VoiceAssistant::receive_wait)
            .about("Answers while the assistant needs time"),
        Operation::new("receive_stream_ended", VoiceAssistant::receive_stream_ended)
            .about("Goes on with a call whose audio ended"),
        Operation::new("receive_stream_status", VoiceAssistant::receive_stream_status)
            .about("Notes how a call's audio goes"),
        Operation::new("receive_dial_ended", VoiceAssistant::receive_dial_ended)
            .about("Goes on with a call that was transferred"),
        Operation::new("receive_voicemail", VoiceAssistant::receive_voicemail)
            .about("Takes a message that was left"),
        Operation::new("receive_recording", VoiceAssistant::receive_recording).about("Notes a recording"),
        Operation::new("receive_machine", VoiceAssistant::receive_machine)
            .about("Notes who answered a call of ours"),
        Operation::new("receive_status", VoiceAssistant::receive_status).about("Notes that a call is over"),
    ];
    let manifest = serving.into_iter().map(Operation::idempotent).fold(manifest, ManifestBuilder::operation);
    WEBHOOKS.into_iter().fold(manifest, |manifest, (path, operation)| {
        let path = format!("{VOICE_PATH}{path}");
        manifest.route(Route::post(&path, operation).guard(GUARD).body_limit(WEBHOOK_BODY_LIMIT))
    })
}

impl VoiceAssistant {
    async fn session(
        self: Arc<Self>,
        request: Session,
        stream: Stream,
        call: Call,
    ) -> Result<(), OperationError> {
        self.desk.sessions.serve(request, stream, call).await
    }

    async fn receive_voice(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let (desk, otherwise) = (self.desk.clone(), self.sorry());
        let handle = async move {
            let once = Once::of(&desk, &hook).await;
            let verbs = desk.voice(&hook, once.is_first).await;
            once.settle(&desk).await;
            verbs
        };
        Ok(routes::within_time(call, handle, otherwise).await)
    }

    async fn receive_turn(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let (desk, otherwise) = (self.desk.clone(), self.desk.later(&hook));
        Ok(routes::within_time(call, async move { desk.turn(&hook).await }, otherwise).await)
    }

    async fn receive_wait(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let (desk, otherwise) = (self.desk.clone(), self.desk.later(&hook));
        Ok(routes::within_time(call, async move { desk.wait(&hook).await }, otherwise).await)
    }

    async fn receive_stream_ended(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let (desk, otherwise) = (self.desk.clone(), self.sorry());
        Ok(routes::within_time(call, async move { desk.stream_ended(&hook).await }, otherwise).await)
    }

    async fn receive_stream_status(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let desk = self.desk.clone();
        let handle = async move {
            let once = Once::of(&desk, &hook).await;
            if once.is_first {
                desk.stream_status(&hook).await;
            }
            once.settle(&desk).await;
        };
        Ok(routes::noted(call, handle).await)
    }

    async fn receive_dial_ended(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let (desk, otherwise) = (self.desk.clone(), self.sorry());
        Ok(routes::within_time(call, async move { desk.dial_ended(&hook).await }, otherwise).await)
    }

    async fn receive_voicemail(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let desk = self.desk.clone();
        let otherwise = speech::ending(&desk.config, &desk.config.texts.thanks);
        Ok(routes::within_time(call, async move { desk.voicemail(&hook).await }, otherwise).await)
    }

    async fn receive_recording(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let desk = self.desk.clone();
        let handle = async move { desk.recorded(&hook, hook.asked("voicemail") == Some(1)).await };
        Ok(routes::noted(call, handle).await)
    }

    async fn receive_machine(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let desk = self.desk.clone();
        let handle = async move {
            let once = Once::of(&desk, &hook).await;
            desk.machine(&hook, once.is_first).await;
            once.settle(&desk).await;
        };
        Ok(routes::noted(call, handle).await)
    }

    async fn receive_status(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let hook = self.hook(&request, &call)?;
        let desk = self.desk.clone();
        Ok(routes::noted(call, async move { desk.status(&hook).await }).await)
    }

    fn hook(&self, request: &HttpRequest, call: &Call) -> Result<Webhook, OperationError> {
        Webhook::read(request, (call.person(), call.level()), self.desk.config.known_from)
    }

    /// What is said when nothing else can be.
    fn sorry(&self) -> Vec<twiml::Verb> {
        speech::voicemail(&self.desk.config, &self.desk.config.texts.apology)
    }

    async fn respond(self: Arc<Self>, request: Respond, call: Call) -> Result<Responded, OperationError> {
        self.desk.respond(request, &call).await
    }

    async fn call_person(
        self: Arc<Self>,
        request: CallPerson,
        call: Call,
    ) -> Result<CalledPerson, OperationError> {
        self.desk.call_person(request, &call).await
    }

    async fn transfer_call(self: Arc<Self>, request: TransferCall, call: Call) -> Result<(), OperationError> {
        self.desk.transfer_call(request, &call).await
    }

    async fn end_call(self: Arc<Self>, request: EndCall, call: Call) -> Result<(), OperationError> {
        self.desk.end_call(request, &call).await
    }

    async fn send_code(self: Arc<Self>, _: SendCode, call: Call) -> Result<SentCode, OperationError> {
        self.desk.send_code(&call).await
    }

    async fn check_code(
        self: Arc<Self>,
        request: CheckCode,
        call: Call,
    ) -> Result<CheckedCode, OperationError> {
        self.desk.check_code(request, &call).await
    }

    async fn list_calls(self: Arc<Self>, request: ListCalls, call: Call) -> Result<CallList, OperationError> {
        self.desk.list_calls(request, &call).await
    }

    async fn show_call(self: Arc<Self>, request: ShowCall, call: Call) -> Result<CallRecord, OperationError> {
        self.desk.show_call(request, &call).await
    }

    async fn fetch_recording(
        self: Arc<Self>,
        request: FetchRecording,
        call: Call,
    ) -> Result<Media, OperationError> {
        self.desk.fetch_recording(request, &call).await
    }

    async fn route_calls(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.desk.list_calls(request.read()?, &call).await?)
    }

    async fn route_call(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.desk.show_call(request.read()?, &call).await?)
    }
}

plugin_api::export_plugin!(VoiceAssistant);
