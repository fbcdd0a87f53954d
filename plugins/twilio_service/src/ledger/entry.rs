//! An entry: a message or call that is, was or may have been sent.

use super::now_ms;
use crate::draft::{Draft, Kind, Mark};

/// How far an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Somebody is about to send it; nothing was sent.
    Claimed,
    /// It is being sent, or was when the host ended.
    Sending,
    /// Twilio has it.
    Sent,
    /// It was certainly not sent.
    Failed,
    /// It was handed over, and no answer came.
    Unknown,
}

/// A message or call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub kind: Kind,
    pub fingerprint: String,
    pub state: State,
    /// Which call of an operation sends it.
    pub owner: String,
    /// For how long it is its owner's, from now on; over at 0.
    pub lease_ms: i64,
    pub to: String,
    pub from: String,
    /// The text of a message is kept only as long as its outcome is open.
    pub mark: Mark,
    /// Nobody else must read the text.
    pub sensitive: bool,
    pub media: i64,
    pub sid: String,
    pub status: String,
    /// When it was about to be handed over, by Twilio's clock; 0 if that was not known.
    pub sending_ms: i64,
    /// When it was claimed, as it is told to people.
    pub created_ms: i64,
}

/// What a claim leads to.
#[derive(Debug)]
pub enum Claim {
    /// It is ours to send.
    Fresh,
    /// Another call has or had it; here is how it stands.
    Taken(Box<Entry>),
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// What is not known is treated as what may have been sent.
    pub fn named(name: &str) -> Self {
        [Self::Claimed, Self::Sending, Self::Sent, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == name)
            .unwrap_or(Self::Unknown)
    }
}

impl Entry {
    /// A claim of this draft.
    pub fn new(id: String, owner: String, draft: &Draft, lease_ms: i64) -> Self {
        Self {
            id,
            kind: draft.kind,
            fingerprint: draft.fingerprint.clone(),
            state: State::Claimed,
            owner,
            lease_ms,
            to: draft.to.clone(),
            from: draft.from.clone(),
            mark: draft.mark.clone(),
            sensitive: draft.sensitive,
            media: draft.media,
            sid: String::new(),
            status: String::new(),
            sending_ms: 0,
            created_ms: now_ms(),
        }
    }

    /// When it was about to be handed over, by the best clock there was.
    pub fn since_ms(&self) -> i64 {
        if self.sending_ms == 0 { self.created_ms } else { self.sending_ms }
    }

    /// Whether another call may claim it: nothing was sent, and nobody is about to.
    pub fn is_free(&self) -> bool {
        self.state == State::Failed || (self.state == State::Claimed && self.lease_ms <= 0)
    }

    /// Whether it may have been sent, and nobody waits for an answer any more.
    pub fn is_open(&self) -> bool {
        self.state == State::Unknown || (self.state == State::Sending && self.lease_ms <= 0)
    }
}
