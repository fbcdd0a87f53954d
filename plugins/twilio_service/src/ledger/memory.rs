//! The ledger in memory: for one run of one host, and for the newest of each kind.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use plugin_api::{
    error::OperationError,
    requests::twilio_service::{Delivery, OptOuts, Undelivered, WebhookState},
};

use super::{Claim, Entry, State};
use crate::{
    draft::Mark,
    outcome::{self, is_failed},
    status::StatusReport,
};

/// How many entries, statuses and webhooks are remembered, each.
pub const CAPACITY: usize = 4096;

/// Remembers while the process runs.
#[derive(Default)]
pub struct Memory(Mutex<Books>);

#[derive(Default)]
struct Books {
    entries: Newest<String, Kept>,
    statuses: Newest<String, (StatusReport, i64)>,
    opt_outs: BTreeSet<String>,
    webhooks: Newest<(String, String), Webhook>,
}

/// An entry, with the moments of its end of lease and of its claim.
struct Kept {
    entry: Entry,
    until_ms: i64,
    created_ms: i64,
}

impl Kept {
    fn at(&self, now_ms: i64) -> Entry {
        Entry { lease_ms: (self.until_ms - now_ms).max(0), ..self.entry.clone() }
    }
}

struct Webhook {
    claim: String,
    done: bool,
    lease_ms: i64,
}

type Outcome<T> = Result<T, OperationError>;

impl Memory {
    pub fn claim(&self, entry: &Entry, now_ms: i64) -> Outcome<Claim> {
        let mut books = self.lock();
        match books.entries.get(&entry.id) {
            Some(known) if !known.at(now_ms).is_free() => Ok(Claim::Taken(Box::new(known.at(now_ms)))),
            _ => {
                let until_ms = now_ms + entry.lease_ms;
                let kept = Kept { entry: entry.clone(), until_ms, created_ms: now_ms };
                books.entries.insert(entry.id.clone(), kept);
                Ok(Claim::Fresh)
            }
        }
    }

    pub fn begin(&self, entry: &Entry, until_ms: i64) -> Outcome<bool> {
        Ok(self.change(&entry.id, |known| {
            let is_ours = known.entry.owner == entry.owner && known.entry.state == State::Claimed;
            if is_ours {
                (known.entry.state, known.entry.sending_ms) = (State::Sending, entry.sending_ms);
                known.until_ms = until_ms;
            }
            is_ours
        }))
    }

    pub fn sent(&self, id: &str, sid: &str, status: &str) -> Outcome<bool> {
        Ok(self.change(id, |Kept { entry: known, .. }| {
            let is_open = matches!(known.state, State::Sending | State::Unknown);
            if is_open {
                (known.sid, known.status) = (sid.to_owned(), status.to_owned());
                settle(known, State::Sent);
            }
            is_open
        }))
    }

    pub fn not_sent(&self, entry: &Entry, state: State) -> Outcome<()> {
        self.change(&entry.id, |Kept { entry: known, .. }| {
            let is_ours = known.owner == entry.owner && known.state != State::Sent;
            if is_ours {
                settle(known, state);
            }
            is_ours
        });
        Ok(())
    }

    pub fn entry(&self, id: &str, now_ms: i64) -> Outcome<Option<Entry>> {
        Ok(self.lock().entries.get(&id.to_owned()).map(|kept| kept.at(now_ms)))
    }

    pub fn has_sid(&self, sid: &str) -> Outcome<bool> {
        Ok(self.lock().entries.values().any(|kept| kept.entry.sid == sid))
    }

    pub fn open_entries(&self, now_ms: i64, age_ms: i64) -> Outcome<Vec<Entry>> {
        let books = self.lock();
        let young = books.entries.values().filter(|kept| kept.created_ms > now_ms - age_ms);
        Ok(young.map(|kept| kept.at(now_ms)).filter(Entry::is_open).collect())
    }

    pub fn record(&self, report: &StatusReport, now_ms: i64) -> Outcome<()> {
        let mut books = self.lock();
        let is_newer = books.statuses.get(&report.sid).is_none_or(|(known, _)| known.step < report.step);
        if is_newer {
            books.statuses.insert(report.sid.clone(), (report.clone(), now_ms));
        }
        Ok(())
    }

    pub fn outcomes(&self, most: u32) -> Outcome<Vec<outcome::Outcome>> {
        let books = self.lock();
        let ended = books.statuses.values().filter(|(report, _)| report.is_last());
        let mut ended: Vec<_> =
            ended.filter_map(|(report, at)| Some((*at, report, report.channel()?))).collect();
        // Of one millisecond, what came last is not known: the worse counts as newer.
        ended.sort_by_key(|(at, report, _)| (std::cmp::Reverse(*at), !is_failed(&report.status)));
        ended.truncate(most.try_into().unwrap_or(usize::MAX));
        Ok(ended
            .into_iter()
            .map(|(_, report, channel)| outcome::Outcome::of(&report.status, report.error_code, channel))
            .collect())
    }

    pub fn delivery(&self, sid: &str) -> Outcome<Option<Delivery>> {
        let books = self.lock();
        Ok(books.statuses.get(&sid.to_owned()).map(|(report, at_ms)| Delivery {
            sid: report.sid.clone(),
            status: report.status.clone(),
            error_code: report.error_code,
            at_ms: *at_ms,
        }))
    }

    pub fn undelivered(&self, after_ms: i64, after_sid: &str, most: u32) -> Outcome<Undelivered> {
        let books = self.lock();
        let failed = |(report, at): &&(StatusReport, i64)| {
            (*at, report.sid.as_str()) > (after_ms, after_sid)
                && is_failed(&report.status)
                && report.channel().is_some()
        };
        let message = |(report, at): &(StatusReport, i64)| {
            let channel = report.channel().unwrap_or_default();
            super::not_delivered(report.sid.clone(), channel, report.error_code, *at)
        };
        let mut messages: Vec<_> = books.statuses.values().filter(failed).map(message).collect();
        messages.sort_by(|one, other| (one.at_ms, &one.sid).cmp(&(other.at_ms, &other.sid)));
        let most = most.try_into().unwrap_or(usize::MAX);
        let truncated = messages.len() > most;
        messages.truncate(most);
        Ok(Undelivered { messages, truncated })
    }

    pub fn record_opt_out(&self, address: &str, opted_out: bool) -> Outcome<()> {
        let mut books = self.lock();
        match opted_out {
            true => books.opt_outs.insert(address.to_owned()),
            false => books.opt_outs.remove(address),
        };
        Ok(())
    }

    pub fn opt_outs(&self, address: Option<&str>, most: u32) -> Outcome<OptOuts> {
        let books = self.lock();
        let wanted = |known: &&String| address.is_none_or(|address| address == *known);
        let mut addresses: Vec<String> = books.opt_outs.iter().filter(wanted).cloned().collect();
        let most = most.try_into().unwrap_or(usize::MAX);
        let truncated = addresses.len() > most;
        addresses.truncate(most);
        Ok(OptOuts { addresses, truncated })
    }

    pub fn claim_webhook(
        &self,
        caller: &str,
        key: &str,
        claim: &str,
        now_ms: i64,
        lease_ms: i64,
    ) -> Outcome<WebhookState> {
        let mut books = self.lock();
        let key = (caller.to_owned(), key.to_owned());
        match books.webhooks.get(&key) {
            Some(Webhook { done: true, .. }) => Ok(WebhookState::Done),
            Some(known) if known.lease_ms > now_ms => Ok(WebhookState::InProgress),
            _ => {
                books.webhooks.insert(key, Webhook { claim: claim.to_owned(), done: false, lease_ms });
                Ok(WebhookState::Claimed)
            }
        }
    }

    pub fn settle_webhook(&self, caller: &str, key: &str, claim: &str, done: bool) -> Outcome<bool> {
        let mut books = self.lock();
        let key = (caller.to_owned(), key.to_owned());
        match books.webhooks.get_mut(&key) {
            Some(known) if known.claim == claim && !known.done => {
                known.done = done;
                if !done {
                    books.webhooks.remove(&key);
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Kept) -> bool) -> bool {
        self.lock().entries.get_mut(&id.to_owned()).is_some_and(change)
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settle(entry: &mut Entry, state: State) {
    entry.state = state;
    if state != State::Unknown
        && let Mark::Body(body) = &mut entry.mark
    {
        body.clear();
    }
}

/// A map that forgets what came first when it is full.
struct Newest<K, V> {
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Newest<K, V> {
    fn default() -> Self {
        Self { map: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Newest<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    fn values(&self) -> impl Iterator<Item = &V> {
        self.map.values()
    }

    fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.map.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        self.map.remove(key);
        self.order.retain(|known| known != key);
    }
}
