//! Messages that Twilio took and reports as not delivered, for plugins that send through `twilio_service`. Reports come
//! late, twice and in any order: each is handed to its sender until it had its effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    context::Dependency,
    error::OperationError,
    requests::twilio_service::{ListUndelivered, NotDelivered},
};

/// Reports of so long ago are asked for after a start: carriers report within days.
pub const RECALLED: Duration = Duration::from_secs(4 * 24 * 60 * 60);
/// Reports are asked for again so long: the clocks of hosts differ, and one may come before its message is noted as sent,
/// which takes minutes where its outcome has to be looked for.
const OVERLAP_MS: i64 = 10 * 60 * 1000;

/// How far the reports have been read.
#[derive(Debug)]
pub struct Reports {
    after_ms: i64,
    /// Reports that had their effect, or will have none, by the messages, with their moments.
    known: BTreeMap<String, i64>,
}

impl Default for Reports {
    fn default() -> Self {
        Self { after_ms: now_ms() - i64::try_from(RECALLED.as_millis()).unwrap_or(0), known: BTreeMap::new() }
    }
}

impl Reports {
    /// Hands over the reports that are new, or whose message was not known yet, page by page. `take` answers the SIDs of the
    /// messages that are its own: they are not handed over again. It may get a report that another host took.
    ///
    /// # Errors
    /// That of `twilio_service`, or of `take`: the next look begins where this one did.
    pub async fn look<F>(
        &mut self,
        twilio_service: &Dependency,
        mut take: impl FnMut(Vec<NotDelivered>) -> F,
    ) -> Result<(), OperationError>
    where
        F: Future<Output = Result<BTreeSet<String>, OperationError>>,
    {
        let (mut after_ms, mut after_sid) = (self.after_ms - OVERLAP_MS, String::new());
        loop {
            let ask = ListUndelivered { after_ms, after_sid, limit: None };
            let page = twilio_service.call(ask).await?;
            let Some(last) = page.messages.last() else { break };
            (after_ms, after_sid) = (last.at_ms, last.sid.clone());
            let is_new = |report: &NotDelivered| !self.known.contains_key(&report.sid);
            let new: Vec<_> = page.messages.into_iter().filter(is_new).collect();
            if !new.is_empty() {
                let moments: Vec<_> = new.iter().map(|report| (report.sid.clone(), report.at_ms)).collect();
                let ours = take(new).await?;
                let settled_ms = now_ms() - OVERLAP_MS;
                let is_over = |(sid, at_ms): &(String, i64)| ours.contains(sid) || *at_ms < settled_ms;
                self.known.extend(moments.into_iter().filter(is_over));
            }
            if !page.truncated {
                break;
            }
        }
        self.after_ms = self.after_ms.max(after_ms);
        self.known.retain(|_, at_ms| *at_ms > self.after_ms - 2 * OVERLAP_MS);
        Ok(())
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
