//! Idempotency keys -> what became of the mail, for as long as this process runs and for the last [`CAPACITY`] keys.
//!
//! A key whose mail was certainly not sent is forgotten, so that it can be tried again. Not covered: a restart, another
//! host, and keys pushed out by newer ones; there the same key still gives the same Message-ID, by which a reader's
//! mail server can tell.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use plugin_api::{
    error::{ErrorKind, OperationError},
    requests::email::Sent,
    tokio::sync::watch,
};

/// How many settled keys are remembered.
pub const CAPACITY: usize = 4096;

/// What became of a mail.
pub type Outcome = Result<Sent, OperationError>;

/// Who asked, and by which key.
pub type Key = (String, String);

/// What a request says, as a digest: the same key must not stand for two mails.
pub type Fingerprint = [u8; 32];

/// Remembers.
#[derive(Default)]
pub struct Ledger {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Key, Entry>,
    /// The settled keys, oldest first.
    settled: VecDeque<Key>,
}

struct Entry {
    fingerprint: Fingerprint,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What a key leads to.
pub enum Place {
    /// It is new: the holder sends the mail.
    Free(Claim),
    /// Another call has it: this is where its outcome shows.
    Taken(watch::Receiver<Option<Outcome>>),
}

impl Ledger {
    /// Takes a key, unless another call has it.
    ///
    /// # Errors
    /// `conflict` if the key stands for another mail.
    pub fn claim(self: &Arc<Self>, key: Key, fingerprint: Fingerprint) -> Result<Place, OperationError> {
        let mut entries = self.lock();
        if let Some(entry) = entries.by_key.get(&key) {
            if entry.fingerprint != fingerprint {
                return Err(OperationError::conflict(format!(
                    "the idempotency key `{}` was used for another mail: use a new key for a new mail",
                    key.1
                )));
            }
            return Ok(Place::Taken(entry.outcome.clone()));
        }
        let (show, outcome) = watch::channel(None);
        entries.by_key.insert(key.clone(), Entry { fingerprint, outcome });
        Ok(Place::Free(Claim { keyed: Some((self.clone(), key)), show, fallback: None }))
    }

    fn settle(&self, key: Key, outcome: &Outcome) {
        let mut entries = self.lock();
        if !may_have_been_sent(outcome) {
            entries.by_key.remove(&key);
            return;
        }
        entries.settled.push_back(key);
        if entries.settled.len() > CAPACITY
            && let Some(oldest) = entries.settled.pop_front()
        {
            entries.by_key.remove(&oldest);
        }
    }

    fn forget(&self, key: &Key) {
        self.lock().by_key.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send one mail. Dropped without an outcome, it frees its key, unless the mail may have gone.
pub struct Claim {
    keyed: Option<(Arc<Ledger>, Key)>,
    show: watch::Sender<Option<Outcome>>,
    fallback: Option<OperationError>,
}

impl Claim {
    /// The right to send a mail that has no key, and is remembered by nobody.
    pub fn without_key() -> Self {
        Self { keyed: None, show: watch::channel(None).0, fallback: None }
    }

    /// From now on the mail may go: should its sending never come to an end, this is the outcome.
    pub fn begin(&mut self, fallback: OperationError) {
        self.fallback = Some(fallback);
    }

    /// States what became of it, and gives it back.
    pub fn settle(mut self, outcome: Outcome) -> Outcome {
        self.conclude(outcome.clone());
        outcome
    }

    fn conclude(&mut self, outcome: Outcome) {
        if let Some((ledger, key)) = self.keyed.take() {
            ledger.settle(key, &outcome);
        }
        self.show.send_replace(Some(outcome));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.keyed.is_none() {
            return;
        }
        match self.fallback.take() {
            Some(error) => self.conclude(Err(error)),
            None => {
                if let Some((ledger, key)) = self.keyed.take() {
                    ledger.forget(&key);
                }
            }
        }
    }
}

fn may_have_been_sent(outcome: &Outcome) -> bool {
    match outcome {
        Ok(_) => true,
        Err(error) => error.kind == ErrorKind::UnknownOutcome,
    }
}
