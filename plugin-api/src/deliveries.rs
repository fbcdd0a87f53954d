//! Messages that Twilio took and reports as not delivered, for plugins that send through `twilio_service`. Reports come
//! late, twice and in any order: each is handed to its sender until it had its effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    context::Dependency,
    error::OperationError,
    lease::millis,
    requests::twilio_service::{ListUndelivered, NotDelivered},
};

/// Reports of so long ago are asked for after a start: carriers report within days.
pub const RECALLED: Duration = Duration::from_secs(4 * 24 * 60 * 60);
/// A report may come before its message is noted as sent, which takes minutes where its outcome has to be looked for: for so
/// long it is handed over again. Reports of hosts that share a database may be seen in another order than they came in.
const OVERLAP: Duration = Duration::from_secs(10 * 60);
/// How often all of them are asked for again: the clock that they bear may have been put back, and new ones lie before those
/// that were read.
const ANEW: Duration = OVERLAP;

/// How far the reports have been read. Their moments, by the database's clock, only say where to go on; how long one is
/// handed over is measured here.
#[derive(Debug)]
pub struct Reports {
    after_ms: i64,
    /// When they were last asked for from the beginning.
    begun: Instant,
    /// By the messages.
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    first: Instant,
    is_ours: bool,
}

impl Default for Reports {
    fn default() -> Self {
        Self { after_ms: recalled_ms(), begun: Instant::now(), seen: BTreeMap::new() }
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
        let (mut after_ms, mut after_sid) = (self.begin(Instant::now()), String::new());
        loop {
            let ask = ListUndelivered { after_ms, after_sid, limit: None };
            let page = twilio_service.call(ask).await?;
            let Some(last) = page.messages.last() else { break };
            (after_ms, after_sid) = (last.at_ms, last.sid.clone());
            let now = Instant::now();
            let open: Vec<_> =
                page.messages.into_iter().filter(|report| self.is_open(&report.sid, now)).collect();
            if !open.is_empty() {
                let sids: Vec<_> = open.iter().map(|report| report.sid.clone()).collect();
                let ours = take(open).await?;
                self.note(sids, &ours, now);
            }
            if !page.truncated {
                break;
            }
        }
        self.after_ms = self.after_ms.max(after_ms);
        // Later than this they are not asked for any more.
        self.seen.retain(|_, seen| seen.first.elapsed() < RECALLED + 2 * ANEW);
        Ok(())
    }

    /// The moment from which they are asked for.
    fn begin(&mut self, now: Instant) -> i64 {
        if now.duration_since(self.begun) >= ANEW {
            (self.begun, self.after_ms) = (now, recalled_ms());
        }
        self.after_ms.saturating_sub(millis(OVERLAP))
    }

    /// Whether a report is new, or may be of a message that is not noted as sent yet.
    fn is_open(&self, sid: &str, now: Instant) -> bool {
        let seen = self.seen.get(sid);
        seen.is_none_or(|seen| !seen.is_ours && now.duration_since(seen.first) < OVERLAP)
    }

    fn note(&mut self, sids: Vec<String>, ours: &BTreeSet<String>, now: Instant) {
        for sid in sids {
            let is_ours = ours.contains(&sid);
            self.seen.entry(sid).or_insert(Seen { first: now, is_ours }).is_ours |= is_ours;
        }
    }
}

fn recalled_ms() -> i64 {
    Timestamp::now().as_millisecond().saturating_sub(millis(RECALLED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_handed_over_until_its_message_is_known_or_ten_minutes_have_passed() {
        let (mut reports, now) = (Reports::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(reports.is_open("SM1", now));
        reports.note(vec!["SM1".to_owned(), "SM2".to_owned()], &BTreeSet::from(["SM1".to_owned()]), now);
        assert!(!reports.is_open("SM1", later(1)), "it had its effect");
        assert!(reports.is_open("SM2", later(599)));
        reports.note(vec!["SM2".to_owned()], &BTreeSet::new(), later(599));
        assert!(!reports.is_open("SM2", later(600)), "it is nobody's here");
    }

    #[test]
    fn reports_of_a_clock_that_was_put_back_are_found() {
        let (mut reports, hour_ms) = (Reports::default(), 60 * 60 * 1000);
        let now_ms = Timestamp::now().as_millisecond();
        reports.after_ms = now_ms + hour_ms;
        assert!(reports.begin(Instant::now()) > now_ms);
        assert!(reports.begin(Instant::now() + ANEW) < now_ms - hour_ms);
    }
}
