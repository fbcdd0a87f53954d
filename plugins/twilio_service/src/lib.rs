//! Messages and calls through Twilio, each sent once; what became of them; webhooks that are surely Twilio's. In the order
//! in which a message passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `address`: text -> a phone number, a sender, a person. Pure.
//! - `draft`: a request -> the form that Twilio is sent, and what it can be recognised by. Pure.
//! - `outcome`: a status and a code -> whether a message arrived, and what a failure means. Pure.
//! - `ledger`: what was sent, told and claimed, in the database or in memory.
//! - `reconcile`: an entry whose outcome is unknown, what Twilio has -> what is certain. Pure but for the reading.
//! - `deliveries`: what became of the newest messages -> the troubles that no answer of Twilio's tells.
//! - `patience`: Twilio asks to slow down -> the same attempt again, when it says.
//! - `sender`: all of this together: one idempotency key, one message.
//! - `reader`: messages and calls as Twilio has them.
//! - `status`: Twilio's reports -> the newest status, in whatever order they come. Pure.
//! - `guard`: a webhook that Twilio signed -> the person behind it. Pure.
//! - `doctor`: a webhook to this host itself, and where Twilio sends its own -> what to mend in Twilio's console.

mod settings;
mod address;
mod draft;
mod status;
mod outcome;
mod ledger;
mod reconcile;
mod deliveries;
mod patience;
mod sender;
mod reader;
mod guard;
mod doctor;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use plugin_api::{
    level::Level,
    prelude::*,
    requests::{
        doctor::{Examination, Examine},
        http::Admission,
        twilio::{FetchMedia, Media, VerifySignature},
        twilio_service::{
            CallRecord, ClaimWebhook, Delivery, FetchCall, FetchMessage, FindMessage, FoundMessage,
            ListOptOuts, ListUndelivered, MessageRecord, OptOuts, PlaceCall, PlacedCall, ReadDelivery,
            RecordOptOut, STATUS_PATH, SendMessage, SentMessage, SettleWebhook, Undelivered, UpdateCall,
            WebhookClaim,
        },
    },
    worker::Worker,
};

use crate::{
    sender::{Asker, Sender},
    settings::{Config, Settings},
};

const TWILIO: &str = "twilio";
const DATABASE: &str = "database";
/// Messages that were not delivered, listed at once.
const UNDELIVERED: u32 = 100;
const MOST_UNDELIVERED: u32 = 500;
/// Twilio's reports are short forms.
const STATUS_BODY_LIMIT: usize = 64 * 1024;

/// Sends, reads, and takes webhooks.
struct TwilioService {
    context: Context,
    config: Arc<Config>,
    sender: Arc<Sender>,
    sweeper: OnceLock<Worker>,
}

impl Plugin for TwilioService {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        let manifest = Manifest::service("twilio_service")
            .about("Sends SMS, MMS and WhatsApp, places calls, and verifies Twilio's webhooks")
            .requires(TWILIO)
            .wants(DATABASE)
            .route(
                Route::post(STATUS_PATH, "receive_status")
                    .guard("twilio_service.verify_webhook")
                    .body_limit(STATUS_BODY_LIMIT),
            )
            .route(
                Route::post(doctor::PATH, "receive_rehearsal")
                    .guard("twilio_service.verify_webhook")
                    .body_limit(STATUS_BODY_LIMIT),
            )
            .operation(
                Operation::of(Self::doctor)
                    .about("Proves that webhooks reach this host, signed ones alone, and that Twilio sends them here")
                    .idempotent()
                    .doctor(),
            )
            .operation(
                Operation::new("receive_rehearsal", Self::receive_rehearsal)
                    .about("Takes the webhook by which the doctor proves the way to this host")
                    .idempotent(),
            );
        webhooks(reading(sending(manifest)))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Arc::new(Config::check(settings)?);
        let sender = Arc::new(Sender::new(context.clone()));
        Ok(Self { context, config, sender, sweeper: OnceLock::new() })
    }

    /// Twilio itself is verified by `twilio`. Entries that an earlier run left open are looked into in the background.
    async fn init(&self) -> Result<(), Failure> {
        self.sweeper.get_or_init(|| sender::start_to_sweep(&self.sender));
        Ok(())
    }

    async fn stop(&self) {
        if let Some(sweeper) = self.sweeper.get() {
            sweeper.stop();
        }
    }
}

fn sending(manifest: ManifestBuilder<TwilioService>) -> ManifestBuilder<TwilioService> {
    manifest
        .operation(
            Operation::of(TwilioService::send_message)
                .about(
                    "Sends one SMS, MMS or WhatsApp message. It costs money and cannot be taken back. Leave out `to` to \
                     write to the person of this conversation. If the outcome is unknown, do not send it again: say so.",
                )
                .tool()
                .decisive(["to", "channel", "from", "content_sid", "media_urls"])
                .keyed()
                .needs(Level::Shown)
                .needs_approval(),
        )
        .operation(
            Operation::of(TwilioService::place_call)
                .about(
                    "Rings somebody up and reads out what `say` holds. It costs money and cannot be taken back. Leave \
                     out `to` to ring up the person of this conversation. If the outcome is unknown, do not call \
                     again: say so.",
                )
                .tool()
                .decisive(["to", "from", "url", "time_limit_seconds"])
                .keyed()
                .needs(Level::Shown)
                .needs_approval(),
        )
        .operation(
            Operation::of(TwilioService::update_call)
                .about("Ends a call in progress, or goes on with other TwiML"),
        )
}

fn reading(manifest: ManifestBuilder<TwilioService>) -> ManifestBuilder<TwilioService> {
    manifest
        .operation(
            Operation::of(TwilioService::fetch_message)
                .about("Reports the outcome of a message, by the SID that sending it returned")
                .tool()
                .needs(Level::Shown)
                .idempotent(),
        )
        .operation(
            Operation::of(TwilioService::fetch_call)
                .about("Reports the outcome of a call, by the SID that placing it returned")
                .tool()
                .needs(Level::Shown)
                .idempotent(),
        )
        .operation(
            Operation::of(TwilioService::find_message)
                .about("Tells whether a message went out under an idempotency key, and sends nothing")
                .idempotent(),
        )
        .operation(
            Operation::of(TwilioService::read_delivery)
                .about("Reads the newest status that Twilio reported for a message or call")
                .idempotent(),
        )
        .operation(
            Operation::of(TwilioService::undelivered)
                .about("Lists messages that Twilio took and reported as not delivered")
                .idempotent(),
        )
        .operation(
            Operation::of(TwilioService::fetch_media)
                .about("Fetches a file that came with a message or call")
                .idempotent(),
        )
}

fn webhooks(manifest: ManifestBuilder<TwilioService>) -> ManifestBuilder<TwilioService> {
    manifest
        .operation(
            Operation::new("verify_webhook", TwilioService::verify_webhook)
                .about(
                    "The guard of routes that Twilio calls: admits what Twilio signed, and names the person and how \
                     certain that is",
                )
                .guard()
                .idempotent(),
        )
        .operation(
            Operation::new("receive_status", TwilioService::receive_status)
                .about("Takes Twilio's report on a message or call")
                .idempotent(),
        )
        .operation(
            Operation::of(TwilioService::claim_webhook)
                .about("Decides whether a webhook is to be handled, once"),
        )
        .operation(Operation::of(TwilioService::settle_webhook).about("Ends the claim of a webhook"))
        .operation(
            Operation::of(TwilioService::record_opt_out)
                .about("Notes that somebody wants no messages, or wants them again")
                .idempotent(),
        )
        .operation(
            Operation::of(TwilioService::list_opt_outs).about("Lists who wants no messages").idempotent(),
        )
}

impl TwilioService {
    async fn send_message(
        self: Arc<Self>,
        request: SendMessage,
        call: Call,
    ) -> Result<SentMessage, OperationError> {
        let asker = Asker::of(&call);
        let identity = self.sender.identity().await?;
        let draft = draft::message(&request, &self.config, &identity, call.person())?;
        let to = address::plain(&draft.to).to_owned();
        let sent = self.sender.send(draft, asker).await?;
        let ledger = self.sender.ledger().kind();
        Ok(SentMessage { sid: sent.sid, status: sent.status, to, repeated: sent.repeated, ledger })
    }

    async fn place_call(
        self: Arc<Self>,
        request: PlaceCall,
        call: Call,
    ) -> Result<PlacedCall, OperationError> {
        let asker = Asker::of(&call);
        let identity = self.sender.identity().await?;
        let draft = draft::call(&request, &self.config, &identity, call.person())?;
        let to = draft.to.clone();
        let sent = self.sender.send(draft, asker).await?;
        let ledger = self.sender.ledger().kind();
        Ok(PlacedCall { sid: sent.sid, status: sent.status, to, repeated: sent.repeated, ledger })
    }

    async fn update_call(
        self: Arc<Self>,
        request: UpdateCall,
        call: Call,
    ) -> Result<CallRecord, OperationError> {
        let form = draft::update(&request)?;
        reader::update_call(&self.sender, &request.sid, form, Asker::of(&call).deadline()).await
    }

    async fn fetch_message(
        self: Arc<Self>,
        request: FetchMessage,
        call: Call,
    ) -> Result<MessageRecord, OperationError> {
        reader::message(&self.sender, &request.sid, call.person()).await
    }

    async fn fetch_call(
        self: Arc<Self>,
        request: FetchCall,
        call: Call,
    ) -> Result<CallRecord, OperationError> {
        reader::call(&self.sender, &request.sid, call.person()).await
    }

    async fn find_message(
        self: Arc<Self>,
        request: FindMessage,
        call: Call,
    ) -> Result<FoundMessage, OperationError> {
        self.sender.find(call.caller().unwrap_or_default(), &request.key).await
    }

    async fn read_delivery(
        self: Arc<Self>,
        request: ReadDelivery,
        _: Call,
    ) -> Result<Delivery, OperationError> {
        let delivery = self.sender.ledger().delivery(&request.sid).await?;
        delivery.ok_or_else(|| {
            OperationError::not_found(format!("Twilio has not reported anything of `{}`", request.sid))
        })
    }

    async fn undelivered(
        self: Arc<Self>,
        request: ListUndelivered,
        _: Call,
    ) -> Result<Undelivered, OperationError> {
        let limit = request.limit.unwrap_or(UNDELIVERED);
        if !(1..=MOST_UNDELIVERED).contains(&limit) {
            return Err(OperationError::invalid(format!(
                "`limit` is {limit}: expected 1 to {MOST_UNDELIVERED}"
            )));
        }
        self.sender.ledger().undelivered(request.after_ms, &request.after_sid, limit).await
    }

    async fn fetch_media(self: Arc<Self>, request: FetchMedia, _: Call) -> Result<Media, OperationError> {
        self.context.dependency(TWILIO)?.call(request).await
    }

    async fn verify_webhook(
        self: Arc<Self>,
        request: HttpRequest,
        _: Call,
    ) -> Result<Admission, OperationError> {
        let public_base_url = self.config.public_base_url.clone();
        let verified =
            self.context.dependency(TWILIO)?.call(VerifySignature { request, public_base_url }).await?;
        let identity = self.sender.identity().await?;
        let own = self.config.whatsapp_number.iter().chain(&self.config.own_numbers).map(String::as_str);
        let own: Vec<&str> = own.chain([identity.phone_number.as_str()]).collect();
        Ok(guard::admission(&verified.params, &own))
    }

    async fn receive_status(
        self: Arc<Self>,
        request: HttpRequest,
        _: Call,
    ) -> Result<HttpResponse, OperationError> {
        let report = status::read(&request)?;
        self.sender.take_report(report).await?;
        Ok(HttpResponse::empty(204))
    }

    async fn doctor(self: Arc<Self>, _: Examine, _: Call) -> Result<Examination, OperationError> {
        let twilio = self.context.dependency(TWILIO)?;
        let checks = doctor::examine(&twilio, self.config.public_base_url.as_deref()).await;
        Ok(Examination { checks, clock: None })
    }

    async fn receive_rehearsal(
        self: Arc<Self>,
        request: HttpRequest,
        _: Call,
    ) -> Result<HttpResponse, OperationError> {
        Ok(HttpResponse::text(doctor::echo(&request)?))
    }

    async fn claim_webhook(
        self: Arc<Self>,
        request: ClaimWebhook,
        call: Call,
    ) -> Result<WebhookClaim, OperationError> {
        self.sender.ledger().claim_webhook(call.caller().unwrap_or_default(), &request).await
    }

    async fn settle_webhook(
        self: Arc<Self>,
        request: SettleWebhook,
        call: Call,
    ) -> Result<(), OperationError> {
        self.sender.ledger().settle_webhook(call.caller().unwrap_or_default(), &request).await
    }

    async fn record_opt_out(self: Arc<Self>, request: RecordOptOut, _: Call) -> Result<(), OperationError> {
        address::check_opt_out(&request.address)?;
        self.sender.ledger().record_opt_out(&request.address, request.opted_out).await
    }

    async fn list_opt_outs(
        self: Arc<Self>,
        request: ListOptOuts,
        _: Call,
    ) -> Result<OptOuts, OperationError> {
        self.sender.ledger().opt_outs(request.address.as_deref()).await
    }
}

plugin_api::export_plugin!(TwilioService);
