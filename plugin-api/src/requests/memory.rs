//! What the `memory_service` plugin offers: people, what was said with them, and what is known of them.
//!
//! A person is a verified number, `+15551234567`: the same by SMS, by WhatsApp and on the phone. Every request is about
//! the person on whose behalf it is called, [`Call::person`](crate::context::Call::person), and about nobody else; a plugin that works in the
//! background names it by [`Dependency::person`](crate::context::Dependency::person).
//!
//! Moments are milliseconds since 1970, UTC.
//!
//! # Errors
//! | kind | when |
//! |---|---|
//! | `invalid` | the request, or it is on behalf of nobody |
//! | `not_found` | the person has no such memory |
//! | `unavailable`, `overloaded`, `deadline` | the database, as it says; nothing was changed |

use crate::{message, origin::Origin, requests::Request};

/// How something was said.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Medium {
    /// SMS or MMS.
    Sms,
    /// WhatsApp.
    Whatsapp,
    /// RCS.
    Rcs,
    /// On the phone.
    Voice,
    /// Otherwise.
    Other,
}

/// Who said it.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person.
    Person,
    /// The assistant, or whoever answered in its name.
    Assistant,
}

/// A picture, sound or file that came with what was said.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its media type, such as `image/jpeg`.
    pub content_type: String,
    /// Where it is.
    pub url: String,
}

/// Adds something that was said to the person's thread. With an idempotency key on the call, or with `source`, it is
/// added once.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct AddTurn {
    /// Who said it.
    pub speaker: Speaker,
    /// How.
    pub medium: Medium,
    /// In words; may be empty where there are attachments.
    #[serde(default)]
    pub text: String,
    /// What came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What it is called elsewhere, such as Twilio's `SM…` or `CA…:3`; no two turns of a person have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When, in milliseconds since 1970; now if left out. It is shown; a thread stands in the order in which it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<i64>,
    /// What they call themselves, such as a WhatsApp profile name. It is shown, and proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Who wrote it, if those are not the own words of whoever said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Request for AddTurn {
    const OPERATION: &'static str = "add_turn";
    type Response = AddedTurn;
}

/// The turn is in the thread.
#[message]
#[derive(PartialEq, Eq)]
pub struct AddedTurn {
    /// The turn.
    pub id: String,
    /// It was there before; this call changed nothing.
    pub repeated: bool,
}

/// Something that was said.
#[message]
#[derive(PartialEq, Eq)]
pub struct Turn {
    /// Its id.
    pub id: String,
    /// Who said it.
    pub speaker: Speaker,
    /// How.
    pub medium: Medium,
    /// In words.
    pub text: String,
    /// What came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What it is called elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When.
    pub at_ms: i64,
    /// Who wrote it, if those are not the own words of whoever said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Reads the newest turns of the person's thread.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ReadThread {
    /// At most so many turns, 1 to 500; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
    /// [`Thread::earlier`] of an answer, to go on towards the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Request for ReadThread {
    const OPERATION: &'static str = "thread";
    type Response = Thread;
}

/// A stretch of the person's thread.
#[message]
#[derive(PartialEq, Eq)]
pub struct Thread {
    /// The person.
    pub person: String,
    /// What they call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The turns, oldest first.
    pub turns: Vec<Turn>,
    /// What was said before the first of these turns, in short, as far as it was summarised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// There are earlier turns: give it as `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<String>,
}

/// Keeps a fact about the person. With an idempotency key on the call it is kept once.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Remember {
    /// The fact, as a sentence that stands alone: `Ada is allergic to nuts`.
    pub text: String,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Request for Remember {
    const OPERATION: &'static str = "remember";
    type Response = Remembered;
}

/// The fact is kept.
#[message]
#[derive(PartialEq, Eq)]
pub struct Remembered {
    /// The memory.
    pub id: String,
    /// It was known before; this call changed nothing.
    pub repeated: bool,
    /// It can already be found by its meaning; if not, by its words until its vector is made.
    pub embedded: bool,
}

/// Finds what is known of the person, and what was said with them, by meaning and by words together.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// What to look for, in plain words.
    pub query: String,
    /// At most so many, 1 to 50; 8 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub limit: Option<u32>,
    /// Only of these kinds; all if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<MemoryKind>,
    /// Only what was said this way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
    /// Only what has one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Only from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Only before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

impl Request for Recall {
    const OPERATION: &'static str = "recall";
    type Response = Recalled;
}

/// What a memory is.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    /// Kept by [`Remember`].
    Fact,
    /// Said by somebody.
    Turn,
}

/// What was found, the best first.
#[message]
#[derive(PartialEq)]
pub struct Recalled {
    /// The memories.
    pub memories: Vec<Memory>,
    /// Whether meanings were compared. If not, only words were, and `note` says why.
    pub semantic: bool,
    /// Remarks on this answer, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Something known of the person.
#[message]
#[derive(PartialEq)]
pub struct Memory {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: MemoryKind,
    /// In words.
    pub text: String,
    /// Where it comes from, in words: `said by the person by SMS`, `remembered by orchestrator_service`.
    pub source: String,
    /// When it was said or kept.
    pub at_ms: i64,
    /// What it was tagged with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How well it fits, 0 to 1; comparable within one answer only.
    pub score: f64,
}

/// Deletes for good what is known of the person: by id, by time, or all of it. One of them.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// These memories, facts or turns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// What was said or kept from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// What was said or kept before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// All of it, and the person.
    #[serde(default)]
    pub everything: bool,
}

impl Request for Forget {
    const OPERATION: &'static str = "forget";
    type Response = Forgotten;
}

/// What is gone.
#[message]
#[derive(PartialEq, Eq)]
pub struct Forgotten {
    /// How many facts.
    pub facts: u64,
    /// How many turns.
    pub turns: u64,
}

/// Sums up the person's thread, so that it fits into so many tokens: what was said long ago in short, the newest turns
/// as they are.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Summarise {
    /// How many tokens summary and turns may take together, 200 to 100000; 2000 if left out. Tokens are estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 100_000))]
    pub token_budget: Option<u32>,
}

impl Request for Summarise {
    const OPERATION: &'static str = "summarise";
    type Response = ThreadSummary;
}

/// A thread within a budget.
#[message]
#[derive(PartialEq, Eq)]
pub struct ThreadSummary {
    /// What was said before the first of `turns`, in short; empty if nothing was.
    pub summary: String,
    /// The newest turns, oldest first.
    pub turns: Vec<Turn>,
    /// How many tokens both take, estimated.
    pub tokens: u32,
    /// How many turns the summary stands for.
    pub summarised_turns: u64,
    /// How many earlier turns neither covers, as the model could not be asked; 0 if all is well.
    pub missing_turns: u64,
}

/// Lists the people who are known, the one heard of last first. Not on behalf of a person.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListPeople {
    /// At most so many, 1 to 500; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
    /// [`People::next`] of an answer, to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Request for ListPeople {
    const OPERATION: &'static str = "people";
    type Response = People;
}

/// Some of the people.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct People {
    /// The people.
    pub people: Vec<Person>,
    /// There are more: give it as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Somebody who is known.
#[message]
#[derive(PartialEq, Eq)]
pub struct Person {
    /// Their number.
    pub person: String,
    /// What they call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// When they were first heard of.
    pub first_ms: i64,
    /// When they, or the assistant, last said something.
    pub last_ms: i64,
    /// How many turns their thread has.
    pub turns: u64,
    /// How many facts are known.
    pub facts: u64,
}

/// Reports how many memories can be found by meaning already. About nobody in particular.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ReadEmbeddingProgress {}

impl Request for ReadEmbeddingProgress {
    const OPERATION: &'static str = "embedding_progress";
    type Response = EmbeddingProgress;
}

/// How far the embedding of all memories has come.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct EmbeddingProgress {
    /// The model whose vectors count, as its server calls it; none while no vector has been made since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many numbers each of its vectors has; 0 without a model.
    #[serde(default)]
    pub dimensions: u32,
    /// How vectors are kept: `sqlite-vec`, `pgvector` or `bytes`.
    pub vectors: String,
    /// How many memories hold words.
    pub total: u64,
    /// How many of them have a vector of this model.
    pub embedded: u64,
    /// How many wait for theirs.
    pub pending: u64,
    /// How many of these the model has failed on: they are found by their words, and retried at growing intervals.
    #[serde(default)]
    pub refused: u64,
    /// What is in the way, in words: of all vectors if the last attempt failed, else of those that were refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
