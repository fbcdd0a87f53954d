//! A question -> memories, by what they mean and by their words together; a thread and the people, page by page.

use plugin_api::{
    prelude::*,
    requests::memory::{
        ListPeople, Medium, Memory, MemoryKind, People, ReadThread, Recall, Recalled, Thread,
    },
    tokio,
};
use std::time::Instant;

use crate::{
    embedder::{Embedder, NoVectors},
    fuse::{Recency, fuse},
    keeper::{self, medium_in_words},
    settings::Config,
    store::{Filter, Found, Place, Store, now_ms},
    words,
};

const RECALLED: u32 = 8;
const MOST_RECALLED: u32 = 50;
const LISTED: u32 = 50;
const MOST_LISTED: u32 = 500;
/// Each ranking is so many times as long as what is answered: what is far down in one may be first in the other.
const DEPTH: u32 = 4;
const LEAST_DEEP: u32 = 40;

const WAITING: &str = "some memories have no vector yet, and were searched by their words only";

/// Finds, and reads.
pub struct Finder {
    store: Arc<Store>,
    embedder: Arc<Embedder>,
    config: Arc<Config>,
    context: Context,
}

/// What comparing meanings came to.
struct Near {
    found: Vec<Found>,
    semantic: bool,
    note: Option<String>,
}

impl Finder {
    pub fn new(store: Arc<Store>, embedder: Arc<Embedder>, config: Arc<Config>, context: Context) -> Self {
        Self { store, embedder, config, context }
    }

    pub async fn recall(&self, person: &str, request: Recall) -> Result<Recalled, OperationError> {
        let begun = Instant::now();
        let limit = bounded(request.limit, RECALLED, MOST_RECALLED)?;
        let query = request.query.trim();
        if query.is_empty() {
            return Err(OperationError::invalid("`query` is empty: say what to look for, in plain words"));
        }
        let filter = Filter {
            kinds: request.kinds,
            medium: request.medium,
            tags: keeper::tags(&request.tags)?,
            since_ms: request.since_ms,
            until_ms: request.until_ms,
        };
        let deep = (limit * DEPTH).max(LEAST_DEEP);
        let asked = words::asked(query);
        let worded = self.store.worded(person, &asked, &filter, deep);
        let (near, worded) = tokio::join!(self.near(person, query, &filter, deep), worded);
        let (near, worded) = (near?, worded?);
        let recency = Recency { now_ms: now_ms(), half_life_ms: self.config.half_life_ms };
        let fused = fuse([near.found, worded], recency, limit as usize);
        self.measure(begun.elapsed());
        let memories = fused.into_iter().map(|(score, found)| memory(found, score)).collect();
        Ok(Recalled { memories, semantic: near.semantic, note: near.note })
    }

    async fn near(
        &self,
        person: &str,
        query: &str,
        filter: &Filter,
        deep: u32,
    ) -> Result<Near, OperationError> {
        let call = Call::current();
        let made = match self.embedder.embed_now(query, call.as_ref()).await {
            Ok(made) => made,
            Err(NoVectors::Store(error)) => return Err(error),
            Err(NoVectors::Model(error)) => {
                let note = format!("meanings could not be compared, only words: {}", error.message);
                return Ok(Near { found: Vec::new(), semantic: false, note: Some(note) });
            }
        };
        let vector = made.vectors.first().map(Vec::as_slice).unwrap_or_default();
        let (found, waiting) = tokio::join!(
            self.store.near(person, &made.space, vector, filter, deep),
            self.store.is_waiting(&made.space.id, person)
        );
        Ok(Near { found: found?, semantic: true, note: waiting?.then(|| WAITING.to_owned()) })
    }

    /// Nobody waits for the host to take it.
    fn measure(&self, took: Duration) {
        let host = self.context.host();
        tokio::spawn(async move { host.measure("recall_seconds", took.as_secs_f64()).await });
    }

    pub async fn thread(&self, person: &str, request: &ReadThread) -> Result<Thread, OperationError> {
        let limit = bounded(request.limit, LISTED, MOST_LISTED)?;
        let before = request.before.as_deref().map(place).transpose()?;
        let before_place = before.unwrap_or(Place::END);
        let (mut turns, is_cut) = self.store.turns_before(person, before_place, limit + 1).await?;
        let has_more = is_cut || turns.len() > limit as usize;
        turns.truncate(limit as usize);
        let earlier = turns.last().filter(|_| has_more).map(|turn| written(turn.place));
        // What was said before an earlier page is not what the summary ends with.
        let summary = match before {
            None if has_more => self.store.summary(person).await?,
            _ => None,
        };
        Ok(Thread {
            person: person.to_owned(),
            display_name: self.store.heading(person).await?.display_name,
            turns: turns.into_iter().rev().map(|placed| placed.turn).collect(),
            summary: summary.map(|summary| summary.text),
            earlier,
        })
    }

    pub async fn people(&self, request: &ListPeople) -> Result<People, OperationError> {
        let limit = bounded(request.limit, LISTED, MOST_LISTED)?;
        let after = request.after.as_deref().map(|after| {
            let parts = after.split_once('.');
            let parts = parts.and_then(|(last, person)| Some((last.parse().ok()?, person.to_owned())));
            parts.ok_or_else(|| unread("after", after))
        });
        let mut people = self.store.people(after.transpose()?, limit + 1).await?;
        let has_more = people.len() > limit as usize;
        people.truncate(limit as usize);
        let last = people.last().filter(|_| has_more);
        let next = last.map(|last| format!("{}.{}", last.last_ms, last.person));
        Ok(People { people, next })
    }
}

fn bounded(limit: Option<u32>, default: u32, most: u32) -> Result<u32, OperationError> {
    match limit.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        limit => Err(OperationError::invalid(format!("`limit` is {limit}: expected 1 to {most}"))),
    }
}

fn written(place: Place) -> String {
    place.0.to_string()
}

fn place(text: &str) -> Result<Place, OperationError> {
    text.parse().map(Place).map_err(|_| unread("before", text))
}

fn unread(field: &str, text: &str) -> OperationError {
    OperationError::invalid(format!("`{field}` is `{text}`: expected what an earlier answer gave"))
}

fn memory(found: Found, score: f64) -> Memory {
    let source = source(&found);
    Memory {
        kind: if found.kind == "fact" { MemoryKind::Fact } else { MemoryKind::Turn },
        id: found.id,
        text: found.body,
        source,
        at_ms: found.at_ms,
        tags: found.tags,
        score,
    }
}

/// Where it comes from, in words.
fn source(found: &Found) -> String {
    let Some(speaker) = &found.speaker else {
        let caller = if found.caller.is_empty() { "an operator" } else { &found.caller };
        return format!("remembered by {caller}");
    };
    let medium = match found.medium.as_deref() {
        Some("sms") => Some(Medium::Sms),
        Some("whatsapp") => Some(Medium::Whatsapp),
        Some("rcs") => Some(Medium::Rcs),
        Some("voice") => Some(Medium::Voice),
        _ => None,
    };
    format!("said by the {speaker}{}", medium_in_words(medium))
}
