//! Messages of people, taken once, answered in order; and texts to them, each sent once. In the order in which a message
//! passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `keyword`: STOP, START and HELP. Pure.
//! - `inbound`: a webhook -> a message. Pure.
//! - `window`: when and how a person may be written to. Pure.
//! - `backoff`: an error -> when to try again. Pure.
//! - `split`: a text -> the messages that it goes as. Pure.
//! - `store`: what came, what is to go, and who is at work on it, in the database.
//! - `text`: what came, in words. Pure.
//! - `assistant`: a message -> a run of `orchestrator_service`.
//! - `unanswered`: messages that cannot be answered, one after the other -> a trouble.
//! - `pump`: what all work shares, and how it hears of what there is to do.
//! - `sending`: a text on its way -> handed to Twilio, remembered, done.
//! - `answering`: a message -> remembered, answered, done.
//! - `undelivered`: what Twilio took and no carrier delivered -> said where it is shown.
//! - `worker`: what is due, on whichever host -> worked on.
//! - `outgoing`: a request to send -> a text on its way, and what became of it.
//! - `showing`: threads, messages, what is not processed.
//! - `routes`: HTTP -> the operations, and back.

mod settings;
mod keyword;
mod inbound;
mod window;
mod backoff;
mod split;
mod store;
mod text;
mod rate;
mod assistant;
mod unanswered;
mod pump;
mod sending;
mod answering;
mod undelivered;
mod worker;
mod outgoing;
mod showing;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use plugin_api::{
    level::Level,
    prelude::*,
    requests::{
        messaging::{
            FetchAttachment, INBOUND_PATH, ListThreads, ListUnprocessed, Messages, ReadMessages, Retry, Send,
            SentText, Threads, Unprocessed,
        },
        twilio::Media,
        twilio_service::RecordOptOut,
    },
    tokio::time::timeout,
    tracing,
    worker::Worker,
};

use crate::{
    inbound::Inbound,
    keyword::Keyword,
    pump::Pump,
    settings::{Config, Settings},
};

const TWILIO_SERVICE: &str = "twilio_service";
const MEMORY: &str = "memory_service";
const DATABASE: &str = "database";
const ORCHESTRATOR: &str = "orchestrator_service";
const GUARD: &str = "twilio_service.verify_webhook";
/// Twilio's webhooks are short forms.
const WEBHOOK_BODY_LIMIT: usize = 256 * 1024;
/// Twilio waits 15 s for the answer to a webhook.
const TELLING: Duration = Duration::from_secs(5);

/// Takes messages, answers them, and sends texts.
struct MessagingService {
    pump: Arc<Pump>,
    workers: OnceLock<[Worker; 3]>,
}

impl Plugin for MessagingService {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        let manifest = Manifest::service("messaging_service")
            .about("Takes messages by SMS and WhatsApp, answers them, and sends texts of any length")
            .requires(TWILIO_SERVICE)
            .requires(MEMORY)
            .wants(DATABASE)
            .wants(ORCHESTRATOR);
        routes(operations(manifest))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Config::check(settings)?;
        Ok(Self { pump: Arc::new(Pump::new(context, config)), workers: OnceLock::new() })
    }

    /// What an earlier run left is taken up in the background, also while the database is away.
    async fn init(&self) -> Result<(), Failure> {
        if !self.pump.context.has(DATABASE) {
            return Err(Failure::config_invalid(
                "messages cannot be stored, so none is accepted: add a section `[plugins.database]` to plugins.toml",
            )
            .advise(FixAction::CorrectSetting, "Add a section `[plugins.database]` to plugins.toml, then reload"));
        }
        let pump = &self.pump;
        self.workers.get_or_init(|| worker::start(pump));
        if let Err(error) = pump.store.migrate().await {
            tracing::warn!(%error, "messages are accepted as soon as the database answers");
        }
        Ok(())
    }

    /// What is under way goes on elsewhere, or at the next start.
    async fn stop(&self) {
        let Some(workers) = self.workers.get() else { return };
        workers.iter().for_each(Worker::stop);
        if let Err(error) = self.pump.store.release_all().await {
            tracing::debug!(%error, "work in progress is resumed when the leases end");
        }
    }
}

fn operations(manifest: ManifestBuilder<MessagingService>) -> ManifestBuilder<MessagingService> {
    manifest
        .operation(
            Operation::of(MessagingService::send)
                .about(
                    "Sends a text of any length by SMS or WhatsApp. It costs money and cannot be taken back. Leave out \
                     `to` to write to the person of this conversation. If the state is `pending`, it is on its way. If \
                     the outcome is unknown, do not send it again: say so.",
                )
                .tool()
                .needs(Level::Shown)
                .decisive(["to", "channel", "media_urls"])
                .keyed()
                .needs_approval(),
        )
        .operation(Operation::of(MessagingService::threads).about("Lists the threads").idempotent())
        .operation(
            Operation::of(MessagingService::thread)
                .about("Reads the newest messages of a thread, and what is not processed yet")
                .idempotent(),
        )
        .operation(
            Operation::of(MessagingService::unprocessed)
                .about("Lists what is not processed yet, or could not be")
                .idempotent(),
        )
        .operation(Operation::of(MessagingService::retry).about("Tries again what failed"))
        .operation(
            Operation::of(MessagingService::fetch_attachment)
                .about("Fetches a picture, sound or file that came with a message")
                .idempotent(),
        )
}

fn routes(manifest: ManifestBuilder<MessagingService>) -> ManifestBuilder<MessagingService> {
    let serving = [
        Operation::new("receive", MessagingService::receive)
            .about("Takes a message that Twilio delivers")
            .idempotent(),
        Operation::new("route_send", MessagingService::route_send).about("`send`, over HTTP"),
        Operation::new("route_threads", MessagingService::route_threads)
            .about("`threads`, over HTTP")
            .idempotent(),
        Operation::new("route_thread", MessagingService::route_thread)
            .about("`thread`, over HTTP")
            .idempotent(),
        Operation::new("route_unprocessed", MessagingService::route_unprocessed)
            .about("`unprocessed`, over HTTP")
            .idempotent(),
        Operation::new("route_retry", MessagingService::route_retry).about("`retry`, over HTTP"),
        Operation::new("route_attachment", MessagingService::route_attachment)
            .about("`fetch_attachment`, over HTTP")
            .idempotent(),
    ];
    serving
        .into_iter()
        .fold(manifest, ManifestBuilder::operation)
        .route(Route::post(INBOUND_PATH, "receive").guard(GUARD).body_limit(WEBHOOK_BODY_LIMIT))
        .route(Route::post("/api/messages", "route_send"))
        .route(Route::get("/api/messages/threads", "route_threads"))
        .route(Route::get("/api/messages/threads/{person}", "route_thread"))
        .route(Route::get("/api/messages/unprocessed", "route_unprocessed"))
        .route(Route::post("/api/messages/unprocessed/{id}/retry", "route_retry"))
        .route(Route::get("/api/messages/attachment", "route_attachment"))
}

impl MessagingService {
    /// Stored, it is answered at once; what cannot be stored is a 503, and Twilio delivers it again.
    async fn receive(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let message = inbound::read(&request, call.person(), self.pump.store.now_ms())?;
        if !self.pump.store.receive(&message).await.map_err(not_taken)? {
            self.pump.count("repeated").await;
            return Ok(routes::taken());
        }
        self.pump.wake();
        self.pump.count("received").await;
        if matches!(message.keyword, Some(Keyword::Stop | Keyword::Start)) {
            self.tell_at_once(&message).await;
        }
        Ok(routes::taken())
    }

    /// That somebody wants no messages does not wait for its turn: once Twilio has the answer, nothing goes out. Should it
    /// fail, it is told when the turn comes.
    async fn tell_at_once(&self, message: &Inbound) {
        let address = message.channel.address(&message.person);
        let told = async {
            let opted_out = self.pump.store.ways(&message.person).await?.is_stopped(message.channel);
            let twilio = self.pump.context.dependency(TWILIO_SERVICE)?;
            twilio.call(RecordOptOut { address, opted_out }).await
        };
        let told = timeout(TELLING, told)
            .await
            .unwrap_or_else(|_| Err(OperationError::deadline("it took too long")));
        if let Err(error) = told {
            tracing::debug!(sid = message.sid, %error, "it is told later what the person wants");
        }
    }

    async fn send(self: Arc<Self>, request: Send, call: Call) -> Result<SentText, OperationError> {
        outgoing::send(&self.pump, request, &call, call.idempotency_key()).await
    }

    async fn threads(self: Arc<Self>, request: ListThreads, call: Call) -> Result<Threads, OperationError> {
        showing::threads(&self.pump, request, &call).await
    }

    async fn thread(self: Arc<Self>, request: ReadMessages, call: Call) -> Result<Messages, OperationError> {
        showing::thread(&self.pump, request, &call).await
    }

    async fn unprocessed(
        self: Arc<Self>,
        request: ListUnprocessed,
        call: Call,
    ) -> Result<Unprocessed, OperationError> {
        showing::unprocessed(&self.pump, request, &call).await
    }

    async fn retry(self: Arc<Self>, request: Retry, call: Call) -> Result<(), OperationError> {
        showing::retry(&self.pump, request, &call).await
    }

    async fn fetch_attachment(
        self: Arc<Self>,
        request: FetchAttachment,
        call: Call,
    ) -> Result<Media, OperationError> {
        showing::attachment(&self.pump, request, &call).await
    }

    async fn route_send(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let key = request.header("idempotency-key").or(call.idempotency_key());
        let sent = outgoing::send(&self.pump, request.json()?, &call, key).await?;
        let status = if sent.repeated { 200 } else { 201 };
        Ok(HttpResponse::json(&sent)?.status(status))
    }

    async fn route_threads(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.threads(request.read()?, call).await?)
    }

    async fn route_thread(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.thread(request.read()?, call).await?)
    }

    async fn route_unprocessed(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.unprocessed(request.read()?, call).await?)
    }

    async fn route_retry(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        self.retry(request.read()?, call).await?;
        Ok(HttpResponse::empty(202))
    }

    async fn route_attachment(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        Ok(routes::file(self.fetch_attachment(request.read()?, call).await?))
    }
}

/// Twilio delivers again what is answered by a 503, so that is what every failure to store is.
fn not_taken(error: OperationError) -> OperationError {
    OperationError { kind: ErrorKind::Unavailable, ..error }
}

plugin_api::export_plugin!(MessagingService);
