//! Twilio's REST API, by reqwest, and the check of what claims to come from Twilio. In the order in which a request
//! passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `client`: one HTTP exchange under the account -> its status and JSON, or where it broke.
//! - `errors`: what went wrong there -> why the plugin does not work, or why an operation did not.
//! - `evidence`: what an exchange showed of the plugin's own health -> the host, not more often than it helps.
//! - `rest`: exchanges with retries: what was perhaps done is never done again.
//! - `verify`: account and number -> connected, or why not.
//! - `media`: files of messages and calls.
//! - `signature`: a text, a secret -> whether Twilio signed it. Pure.
//! - `webhook`: a request on a route -> the texts that Twilio may have signed. Pure.
//! - `rehearsal`: a form -> what a webhook answers to it, signed as by Twilio or not.
//! - `doctor`: account, number and rights -> what works, and what to mend in Twilio's console.

mod settings;
mod errors;
mod client;
mod evidence;
mod rest;
mod verify;
mod media;
mod signature;
mod webhook;
mod rehearsal;
mod doctor;
#[cfg(test)]
mod tests;

use plugin_api::{
    prelude::*,
    requests::{
        doctor::{Examination, Examine},
        twilio::{
            FetchMedia, Heard, Identify, Identity, Media, RehearseWebhook, RestRequest, RestResponse,
            Verified, VerifySignature,
        },
    },
};

use crate::{
    client::Client,
    evidence::Reporter,
    rest::{Rest, Until},
    settings::{Config, Settings},
};

const PROBE_INTERVAL: Duration = Duration::from_secs(300);

/// One account, one number.
struct Twilio {
    config: Arc<Config>,
    rest: Rest,
    refusals: evidence::Throttle,
}

impl Plugin for Twilio {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::integration("twilio")
            .about("Connects to Twilio: credentials, verified REST access, the check of webhooks")
            .require_any(["auth_token", "api_key_sid"])
            .all_or_none(["api_key_sid", "api_secret"])
            .probe_every(PROBE_INTERVAL)
            .operation(
                Operation::of(Self::request)
                    .about("Sends a request to Twilio's REST API under the account, for twilio_service"),
            )
            .operation(Operation::of(Self::identify).about("Reports the account and the number").idempotent())
            .operation(
                Operation::of(Self::verify_signature)
                    .about("Checks if Twilio signed a request; the guard of routes is twilio_service.verify_webhook")
                    .idempotent(),
            )
            .operation(
                Operation::of(Self::fetch_media)
                    .about("Fetches a file that came with a message or call")
                    .idempotent(),
            )
            .operation(
                Operation::of(Self::rehearse_webhook)
                    .about("Posts a form to a webhook of this host, signed as Twilio signs it or not; for twilio_service"),
            )
            .operation(
                Operation::of(Self::doctor)
                    .about("Proves that account, number and rights are what the other plugins need")
                    .idempotent()
                    .doctor(),
            )
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        plugin_api::tls::install_provider();
        let config = Arc::new(Config::check(settings)?);
        let client = Client::new(config.clone())?;
        let rest = Rest::new(client, Reporter::new(context));
        Ok(Self { config, rest, refusals: evidence::Throttle::new(webhook::LOG_INTERVAL) })
    }

    async fn probe(&self) -> Result<(), Failure> {
        verify::account_and_number(self.rest.client()).await
    }
}

impl Twilio {
    async fn request(
        self: Arc<Self>,
        request: RestRequest,
        call: Call,
    ) -> Result<RestResponse, OperationError> {
        self.rest.request(&request, Until::of(&call)).await
    }

    async fn identify(self: Arc<Self>, _: Identify, _: Call) -> Result<Identity, OperationError> {
        Ok(Identity {
            account_sid: self.config.account_sid.clone(),
            phone_number: self.config.phone_number.clone(),
            can_verify_webhooks: self.config.webhook_keys.are_there(),
            now_ms: self.rest.client().now_ms(),
        })
    }

    async fn verify_signature(
        self: Arc<Self>,
        request: VerifySignature,
        _: Call,
    ) -> Result<Verified, OperationError> {
        let VerifySignature { request, public_base_url } = request;
        let verified = webhook::verify(&request, public_base_url.as_deref(), &self.config.webhook_keys);
        if let Err(error) = &verified
            && self.refusals.passes()
        {
            webhook::log_refusal(&request, public_base_url.as_deref(), error);
        }
        Ok(Verified { params: verified? })
    }

    async fn fetch_media(self: Arc<Self>, request: FetchMedia, call: Call) -> Result<Media, OperationError> {
        media::fetch(&self.rest, &request, Until::of(&call)).await
    }

    async fn rehearse_webhook(
        self: Arc<Self>,
        request: RehearseWebhook,
        _: Call,
    ) -> Result<Heard, OperationError> {
        rehearsal::rehearse(self.rest.client(), &request).await
    }

    async fn doctor(self: Arc<Self>, _: Examine, _: Call) -> Result<Examination, OperationError> {
        Ok(doctor::examine(self.rest.client()).await)
    }
}

plugin_api::export_plugin!(Twilio);
