//! Facts and turns in, each once; forgetting. Each is kept first, and gets its vector afterwards: a model that is away
//! keeps nobody from remembering.

use plugin_api::{
    origin::Origin,
    prelude::*,
    requests::memory::{
        AddTurn, AddedTurn, Forget, Forgotten, Medium, MemoryKind, Remember, Remembered, Speaker,
    },
    serde_json::json,
    tracing,
};

use crate::{
    embedder::{Embedder, NoVectors},
    store::{NewMemory, NewPerson, Store, Which, Written, kind_name, medium_name, now_ms},
};

const MOST_LETTERS: usize = 100_000;
const MOST_LETTERS_OF_FACT: usize = 10_000;
const MOST_ATTACHMENTS: usize = 100;
const MOST_TAGS: usize = 32;
const MOST_LETTERS_OF_TAG: usize = 64;
const MOST_IDS: usize = 500;
/// While a fact's vector is made by who remembers it, the background leaves it alone.
const LEASE: Duration = Duration::from_secs(15);

/// Keeps, and forgets.
pub struct Keeper {
    store: Arc<Store>,
    embedder: Arc<Embedder>,
}

impl Keeper {
    pub fn new(store: Arc<Store>, embedder: Arc<Embedder>) -> Self {
        Self { store, embedder }
    }

    pub async fn remember(
        &self,
        person: &str,
        request: Remember,
        call: &Call,
    ) -> Result<Remembered, OperationError> {
        let text = clean(request.text.trim());
        if text.is_empty() {
            return Err(OperationError::invalid("`text` is empty: expected the fact, as a sentence"));
        }
        bounded("text", text.chars().count(), MOST_LETTERS_OF_FACT, "letters")?;
        let tags = tags(&request.tags)?;
        let fact = NewMemory {
            id: new_id("fact"),
            kind: kind_name(MemoryKind::Fact),
            body: &text,
            speaker: None,
            medium: None,
            source: None,
            once: once(call),
            caller: call.caller().unwrap_or_default(),
            attachments: json!([]),
            tags: &tags,
            at_ms: now_ms(),
            origin: "",
            lease: LEASE,
        };
        let whose = NewPerson { person, display_name: None, is_heard: false };
        let written = self.store.write(&whose, &fact).await?;
        let embedded = match written.repeated {
            true => self.is_embedded(&written).await?,
            false => self.embed(&written, &text, call).await,
        };
        Ok(Remembered { id: written.id, repeated: written.repeated, embedded })
    }

    async fn is_embedded(&self, written: &Written) -> Result<bool, OperationError> {
        match self.embedder.space().await {
            Some(space) => self.store.is_embedded(&space.id, written.seq).await,
            None => Ok(false),
        }
    }

    /// Whether it can be found by its meaning at once. If not, it will be: it is in the queue.
    async fn embed(&self, written: &Written, text: &str, call: &Call) -> bool {
        let kept = async {
            let made = self.embedder.embed_now(text, Some(call)).await.map_err(NoVectors::into_error)?;
            let vectors: Vec<_> = made.vectors.into_iter().map(|vector| (written.seq, vector)).collect();
            self.store.write_vectors(&made.space.id, &vectors).await
        };
        let Err(error) = kept.await else { return true };
        tracing::debug!(%error, "a fact gets its vector later");
        if let Err(error) = self.store.release_memory(written.seq).await {
            tracing::debug!(%error, "a fact waits for the end of its lease");
        }
        self.embedder.wake();
        false
    }

    pub async fn add_turn(
        &self,
        person: &str,
        request: AddTurn,
        call: &Call,
    ) -> Result<AddedTurn, OperationError> {
        let text = clean(&request.text);
        bounded("text", text.chars().count(), MOST_LETTERS, "letters")?;
        bounded("attachments", request.attachments.len(), MOST_ATTACHMENTS, "of them")?;
        if request.source.as_deref().is_some_and(|source| source.trim().is_empty()) {
            return Err(OperationError::invalid("`source` is empty: leave it out, or say what it is called"));
        }
        let (source, display_name) = (request.source.as_deref().map(clean), request.display_name.as_deref());
        let display_name = display_name.map(|name| clean(name.trim())).filter(|name| !name.is_empty());
        let attachments = request.attachments.iter().map(|attachment| {
            json!({ "content_type": clean(&attachment.content_type), "url": clean(&attachment.url) })
        });
        let turn = NewMemory {
            id: new_id("turn"),
            kind: kind_name(MemoryKind::Turn),
            body: &text,
            speaker: Some(speaker_name(request.speaker)),
            medium: Some(medium_name(request.medium)),
            source: source.as_deref(),
            once: once(call),
            caller: call.caller().unwrap_or_default(),
            attachments: attachments.collect(),
            tags: &[],
            at_ms: request.at_ms.unwrap_or_else(now_ms),
            origin: request.origin.map_or("", Origin::as_str),
            lease: Duration::ZERO,
        };
        let whose = NewPerson { person, display_name: display_name.as_deref(), is_heard: true };
        let written = self.store.write(&whose, &turn).await?;
        if !written.repeated {
            self.embedder.wake();
        }
        Ok(AddedTurn { id: written.id, repeated: written.repeated })
    }

    pub async fn forget(&self, person: &str, request: Forget) -> Result<Forgotten, OperationError> {
        let by_time = request.since_ms.is_some() || request.until_ms.is_some();
        let ways = [!request.ids.is_empty(), by_time, request.everything];
        if ways.iter().filter(|way| **way).count() != 1 {
            return Err(OperationError::invalid(
                "say what to forget in one way: `ids`, a time by `since_ms` and `until_ms`, or `everything`",
            ));
        }
        bounded("ids", request.ids.len(), MOST_IDS, "of them")?;
        let everything = request.everything;
        let named = !request.ids.is_empty();
        let ids = request.ids.iter().map(|id| clean(id)).collect();
        let which = Which { ids, since_ms: request.since_ms, until_ms: request.until_ms };
        let (facts, turns) = self.store.erase(person, &which).await?;
        if named && facts + turns == 0 {
            return Err(OperationError::not_found("the person has no such memory: `recall` tells the ids"));
        }
        if everything {
            self.store.erase_person(person).await?;
        }
        tracing::info!(facts, turns, "memories were deleted for good");
        Ok(Forgotten { facts, turns })
    }
}

pub fn speaker_name(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Person => "person",
        Speaker::Assistant => "assistant",
    }
}

/// How a source is told, in words.
pub fn medium_in_words(medium: Option<Medium>) -> &'static str {
    match medium {
        Some(Medium::Sms) => " by SMS",
        Some(Medium::Whatsapp) => " by WhatsApp",
        Some(Medium::Rcs) => " by RCS",
        Some(Medium::Voice) => " on the phone",
        Some(Medium::Other) | None => "",
    }
}

/// PostgreSQL keeps no NUL.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn bounded(field: &str, found: usize, most: usize, of_what: &str) -> Result<(), OperationError> {
    if found <= most {
        return Ok(());
    }
    Err(OperationError::invalid(format!("`{field}` has {found} {of_what}: at most {most} can be kept")))
}

/// As they are compared: small, without spaces around them.
pub fn tags(tags: &[String]) -> Result<Vec<String>, OperationError> {
    bounded("tags", tags.len(), MOST_TAGS, "of them")?;
    let mut cleaned = Vec::new();
    for tag in tags {
        let tag = clean(tag.trim()).to_lowercase();
        bounded("a tag", tag.chars().count(), MOST_LETTERS_OF_TAG, "letters")?;
        if !tag.is_empty() && !cleaned.contains(&tag) {
            cleaned.push(tag);
        }
    }
    Ok(cleaned)
}

/// The same key of two callers is not the same.
fn once(call: &Call) -> Option<String> {
    let key = clean(call.idempotency_key()?);
    Some(format!("{}/{}/{key}", call.caller().unwrap_or_default(), call.operation()))
}

fn new_id(kind: &str) -> String {
    format!("{kind}_{:032x}", rand::random::<u128>())
}
