//! Messages that tools sent -> which did not arrive. Reports come after the tool's answer, and often after the end of its
//! run: the run's model is told while it goes on, and whoever looks at the run in any case.

use std::{collections::BTreeSet, sync::Arc};

use plugin_api::{
    deliveries::Reports,
    prelude::*,
    requests::{
        messaging::SentText,
        twilio_service::{NotDelivered, SentMessage},
    },
    serde::Deserialize,
    serde_json::Value,
    tokio::time::sleep,
    tracing,
    worker::Pulse,
};

use crate::{
    decisions::{Decisions, TWILIO_SERVICE},
    run::Sent,
    shared::Shared,
};

/// How often it is asked what did not arrive.
const LOOK: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(30);

/// What the answer of a tool says was sent: those of `messaging_service` and `twilio_service` that send do, under
/// whatever names they run.
pub fn sent_by(answer: &Value) -> Vec<Sent> {
    if let Ok(text) = SentText::deserialize(answer) {
        let sent = text.parts.into_iter().filter_map(|part| part.sid);
        return sent.map(|sid| Sent { sid, to: text.to.clone() }).collect();
    }
    match SentMessage::deserialize(answer) {
        Ok(SentMessage { sid, to, .. }) => vec![Sent { sid, to }],
        Err(_) => Vec::new(),
    }
}

/// Looks for ever what did not arrive, of what told the approver and of what tools sent.
pub async fn look_for_ever(shared: Arc<Shared>, decisions: Arc<Decisions>, pulse: Pulse) {
    let mut reports = Reports::default();
    loop {
        pulse.turn();
        if let Ok(twilio) = shared.context.dependency(TWILIO_SERVICE) {
            let take = |new| take(&shared, &decisions, &pulse, new);
            if let Err(error) = reports.look(&twilio.deadline(CALL), take).await {
                tracing::debug!(%error, "what did not arrive is looked for later");
            }
        }
        pulse.rest();
        sleep(LOOK).await;
    }
}

/// The SIDs of messages that are ours.
async fn take(
    shared: &Shared,
    decisions: &Decisions,
    pulse: &Pulse,
    reports: Vec<NotDelivered>,
) -> Result<BTreeSet<String>, OperationError> {
    let sids: Vec<_> = reports.iter().map(|report| report.sid.as_str()).collect();
    let ours = shared.store.ours(&sids).await?;
    for report in reports.iter().filter(|report| ours.contains(&report.sid)) {
        pulse.turn();
        for run in shared.store.not_delivered_by_runs(report).await? {
            tracing::warn!(
                run,
                sid = report.sid,
                "a message that a tool sent was not delivered: {}",
                report.why
            );
            shared.changed();
        }
        decisions.not_delivered(report).await?;
    }
    Ok(ours)
}
