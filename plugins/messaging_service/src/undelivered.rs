//! What Twilio took and reports as not delivered -> the message says so, where it is shown, to whoever asks for it, and to
//! the assistant. Each report has its effect once.

use std::collections::BTreeSet;

use plugin_api::{
    deliveries::{RECALLED, Reports},
    error::OperationError,
    prelude::{Arc, Duration},
    requests::twilio_service::NotDelivered,
    tokio::time::sleep,
    tracing,
    worker::Pulse,
};

use crate::{TWILIO_SERVICE, pump::Pump};

/// How often it is asked what did not arrive.
const LOOK: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(15);
/// The text of a message that was sent is kept as long as a report may come, and may be asked for.
pub const TEXTS_KEPT: Duration = RECALLED.saturating_mul(2);

type Outcome<T> = Result<T, OperationError>;

/// Looks for ever.
pub async fn look_for_ever(pump: Arc<Pump>, pulse: Pulse) {
    let mut reports = Reports::default();
    loop {
        pulse.turn();
        if let Err(error) = look(&pump, &pulse, &mut reports).await {
            tracing::debug!(%error, "reports of undelivered messages cannot be read at the moment");
        }
        pulse.rest();
        sleep(LOOK).await;
    }
}

async fn look(pump: &Pump, pulse: &Pulse, reports: &mut Reports) -> Outcome<()> {
    let twilio = pump.context.dependency(TWILIO_SERVICE)?.deadline(CALL);
    reports.look(&twilio, |new| take(pump, pulse, new)).await
}

/// The SIDs of messages that are ours.
async fn take(pump: &Pump, pulse: &Pulse, reports: Vec<NotDelivered>) -> Outcome<BTreeSet<String>> {
    pulse.turn();
    let sids: Vec<_> = reports.iter().map(|report| report.sid.as_str()).collect();
    let ours = pump.store.sent_as(&sids).await?;
    for report in &reports {
        if let Some(part) = ours.get(&report.sid)
            && pump.store.not_delivered(part, report).await?
        {
            tracing::warn!(
                sid = report.sid,
                text = part.message,
                "a message was not delivered: {}",
                report.why
            );
            pump.count("undelivered").await;
            pump.changed();
        }
    }
    Ok(ours.into_keys().collect())
}
