//! A webhook -> its handler, which has so much time and no more, and is told whether it came before.

use plugin_api::{
    prelude::*,
    requests::twilio_service::{ClaimWebhook, SettleWebhook, WebhookState},
    tokio::{self, time::timeout},
    tracing,
};

use crate::{TWILIO_SERVICE, desk::Desk, twiml, twiml::Verb, webhook::Webhook};

/// Twilio waits 15 seconds.
const ANSWER_TIME: Duration = Duration::from_secs(12);
/// A claim costs no more of it than this.
const CLAIM_TIME: Duration = Duration::from_secs(2);

/// Handles a webhook within the time that Twilio gives. The handler goes on when Twilio no longer waits: what was said is
/// kept all the same. `otherwise` is said where it takes too long, or something broke.
pub async fn within_time<F>(call: Call, handle: F, otherwise: Vec<Verb>) -> HttpResponse
where
    F: Future<Output = Vec<Verb>> + Send + 'static,
{
    let handling = tokio::spawn(call.scope(handle));
    let verbs = match timeout(ANSWER_TIME, handling).await {
        Ok(Ok(verbs)) => verbs,
        Ok(Err(error)) => {
            tracing::error!(%error, "a webhook could not be handled");
            otherwise
        }
        Err(_) => {
            tracing::warn!("a webhook takes longer than Twilio waits");
            otherwise
        }
    };
    twiml::response(&verbs)
}

/// The same for what only tells something: the answer says nothing.
pub async fn noted<F>(call: Call, handle: F) -> HttpResponse
where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = async move {
        handle.await;
        Vec::new()
    };
    within_time(call, handle, Vec::new()).await
}

/// The right to handle a webhook.
pub struct Once {
    key: String,
    /// `None`: nobody could be asked, or somebody has it.
    claim: Option<String>,
    /// Whether it comes for the first time, as far as anybody knows.
    pub is_first: bool,
}

impl Once {
    /// Asks whether it was handled before, on whichever host. Where nobody can be asked, it counts as new: what must not
    /// happen twice is made sure of where it happens.
    pub async fn of(desk: &Desk, hook: &Webhook) -> Self {
        let key = hook.key();
        let claim = ClaimWebhook { key: key.clone(), lease_seconds: None };
        let claimed =
            async { desk.context.dependency(TWILIO_SERVICE)?.deadline(CLAIM_TIME).call(claim).await };
        match claimed.await {
            Ok(claim) => Self { key, is_first: claim.state == WebhookState::Claimed, claim: claim.claim },
            Err(error) => {
                tracing::warn!(call = hook.call, %error, "it is unknown whether a webhook was handled before");
                Self { key, claim: None, is_first: true }
            }
        }
    }

    /// It is handled.
    pub async fn settle(self, desk: &Desk) {
        let Some(claim) = self.claim else { return };
        let settle = SettleWebhook { key: self.key, claim, done: true };
        let settled =
            async { desk.context.dependency(TWILIO_SERVICE)?.deadline(CLAIM_TIME).call(settle).await };
        if let Err(error) = settled.await {
            tracing::debug!(%error, "a webhook could not be marked as handled");
        }
    }
}
