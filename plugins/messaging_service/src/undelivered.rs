//! What Twilio took and reports as not delivered -> the message says so, where it is shown, to whoever asks for it, and to
//! the assistant. Reports come late, twice and in any order: each has its effect once.

use std::collections::BTreeMap;

use plugin_api::{
    error::OperationError,
    prelude::{Arc, Duration},
    requests::{
        memory::ReadThread,
        twilio_service::{ListUndelivered, NotDelivered},
    },
    tokio::time::sleep,
    tracing,
    worker::Pulse,
};

use crate::{
    MEMORY, TWILIO_SERVICE,
    pump::Pump,
    store::{Part, now_ms},
};

/// How often it is asked what did not arrive.
const LOOK: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(15);
/// Reports of so long ago are asked for after a start: carriers report within days.
const RECALLED_MS: i64 = 4 * 24 * 60 * 60 * 1000;
/// Reports are asked for again so long: the clocks of hosts differ, and one may come before its message is noted as sent.
const OVERLAP_MS: i64 = 2 * 60 * 1000;
/// A message that was remembered is found among so many of its thread.
const SOUGHT: u32 = 100;

type Outcome<T> = Result<T, OperationError>;

/// Reports that had their effect, by the messages, with their moments.
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
    let mut newest = after_ms - OVERLAP_MS;
    loop {
        let ask = ListUndelivered { after_ms: newest, limit: None };
        let answer = pump.context.dependency(TWILIO_SERVICE)?.deadline(CALL).call(ask).await?;
        for message in &answer.messages {
            pulse.turn();
            newest = newest.max(message.at_ms);
            if !known.contains_key(&message.sid) && take(pump, message).await? {
                known.insert(message.sid.clone(), message.at_ms);
            }
        }
        if !answer.truncated {
            return Ok(newest);
        }
    }
}

/// Whether it had its effect. A message that is not ours, or not yet, has none.
async fn take(pump: &Pump, message: &NotDelivered) -> Outcome<bool> {
    let Some(part) = pump.store.sent_as(&message.sid).await? else { return Ok(false) };
    let text = text_of(pump, &part).await;
    if pump.store.not_delivered(&part, &text, message).await? {
        tracing::warn!(
            sid = message.sid,
            text = part.message,
            "a message was not delivered: {}",
            message.why
        );
        pump.count("undelivered").await;
        pump.changed();
    }
    Ok(true)
}

/// The text is kept here until it is remembered; then it is in the memory.
async fn text_of(pump: &Pump, part: &Part) -> String {
    if !part.is_remembered {
        return part.body.clone();
    }
    let read = async {
        let memory = pump.context.dependency(MEMORY)?.person(&part.person).deadline(CALL);
        memory.call(ReadThread { limit: Some(SOUGHT), before: None }).await
    };
    let said = match read.await {
        Ok(thread) => thread.turns.into_iter().find(|turn| turn.source == part.sid),
        Err(error) => {
            tracing::debug!(%error, "the text of a message that was not delivered cannot be read");
            None
        }
    };
    said.map(|turn| turn.text).unwrap_or_default()
}
