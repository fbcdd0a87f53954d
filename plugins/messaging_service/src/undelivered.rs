//! What Twilio took and reports as not delivered -> the message says so, where it is shown, to whoever asks for it, and to
//! the assistant. Reports come late, twice and in any order: each has its effect once.

use std::collections::BTreeMap;

use plugin_api::{
    error::OperationError,
    prelude::{Arc, Duration},
    requests::twilio_service::{ListUndelivered, NotDelivered},
    tokio::time::sleep,
    tracing,
    worker::Pulse,
};

use crate::{TWILIO_SERVICE, pump::Pump, store::now_ms};

/// How often it is asked what did not arrive.
const LOOK: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(15);
/// Reports of so long ago are asked for after a start: carriers report within days.
const RECALLED_MS: i64 = 4 * 24 * 60 * 60 * 1000;
/// The text of a message that was sent is kept as long as a report may come, and may be asked for.
pub const TEXTS_KEPT_MS: i64 = 2 * RECALLED_MS;
/// Reports are asked for again so long: the clocks of hosts differ, and one may come before its message is noted as sent,
/// which takes minutes where its outcome has to be looked for.
const OVERLAP_MS: i64 = 10 * 60 * 1000;

type Outcome<T> = Result<T, OperationError>;

/// Reports that had their effect, or will have none, by the messages, with their moments.
type Known = BTreeMap<String, i64>;

/// Looks for ever.
pub async fn look_for_ever(pump: Arc<Pump>, pulse: Pulse) {
    let (mut after_ms, mut known) = (now_ms() - RECALLED_MS, Known::new());
    loop {
        pulse.turn();
        match look(&pump, &pulse, after_ms, &mut known).await {
            Ok(newest) => after_ms = newest.max(after_ms),
            Err(error) => tracing::debug!(%error, "nobody knows at the moment which messages arrive"),
        }
        known.retain(|_, at_ms| *at_ms > after_ms - 2 * OVERLAP_MS);
        pulse.rest();
        sleep(LOOK).await;
    }
}

/// Takes what was reported since then; answers when the newest of it was.
async fn look(pump: &Pump, pulse: &Pulse, after_ms: i64, known: &mut Known) -> Outcome<i64> {
    let (mut newest, mut after_sid) = (after_ms - OVERLAP_MS, String::new());
    loop {
        let ask = ListUndelivered { after_ms: newest, after_sid, limit: None };
        let answer = pump.context.dependency(TWILIO_SERVICE)?.deadline(CALL).call(ask).await?;
        pulse.turn();
        take(pump, &answer.messages, known).await?;
        let Some(last) = answer.messages.into_iter().last() else { return Ok(newest) };
        (newest, after_sid) = (last.at_ms, last.sid);
        if !answer.truncated {
            return Ok(newest);
        }
    }
}

/// A message that is not ours, or not yet, has no effect.
async fn take(pump: &Pump, reports: &[NotDelivered], known: &mut Known) -> Outcome<()> {
    let new: Vec<_> = reports.iter().filter(|report| !known.contains_key(&report.sid)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let sids: Vec<_> = new.iter().map(|report| report.sid.as_str()).collect();
    let ours = pump.store.sent_as(&sids).await?;
    let settled_ms = now_ms() - OVERLAP_MS;
    for report in new {
        let part = ours.get(&report.sid);
        if let Some(part) = part
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
        if part.is_some() || report.at_ms < settled_ms {
            known.insert(report.sid.clone(), report.at_ms);
        }
    }
    Ok(())
}
