//! People, what was said with them, and what is known of them: kept, found again by meaning and by words, summed up, and
//! forgotten for good. In the order in which a memory passes:
//! - `settings`: what the operator may choose -> a checked `Config`.
//! - `person`: a call -> the one person whom it is about. Pure.
//! - `words`: a text -> the words that it is found by. Pure.
//! - `vectors`: a vector -> what databases keep and compare. Pure.
//! - `tokens`: a text -> how many tokens it takes, or as much of it as fits. Pure.
//! - `store`: all of it in the database, the same on SQLite and PostgreSQL.
//! - `keeper`: facts and turns in, each once; forgetting.
//! - `embedder`: texts -> vectors, and which model they are of.
//! - `worker`: in the background, every memory gets its vector.
//! - `fuse`: two rankings and the age of what they hold -> one ranking. Pure.
//! - `finder`: a question -> memories.
//! - `pauses`: people whose threads are left alone for a while.
//! - `summary`: a thread of any length -> what fits into so many tokens.

mod settings;
mod person;
mod words;
mod vectors;
mod tokens;
mod store;
mod embedder;
mod keeper;
mod worker;
mod fuse;
mod finder;
mod pauses;
mod summary;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use plugin_api::{
    level::Level,
    prelude::*,
    requests::memory::{
        AddTurn, AddedTurn, EmbeddingProgress, Forget, Forgotten, ListPeople, People, ReadEmbeddingProgress,
        ReadThread, Recall, Recalled, Remember, Remembered, Summarise, Thread, ThreadSummary,
    },
    worker::Worker,
};

use crate::{
    embedder::Embedder,
    finder::Finder,
    keeper::Keeper,
    settings::{Config, Settings},
    store::Store,
    summary::Summariser,
};

const OPENAI: &str = "openai";
const DATABASE: &str = "database";
/// The plugins that may list people, and forget whom they name.
const CALLERS: [&str; 3] = ["messaging_service", "orchestrator_service", "voice_assistant"];

/// Remembers people.
struct MemoryService {
    store: Arc<Store>,
    embedder: Arc<Embedder>,
    keeper: Keeper,
    finder: Finder,
    summariser: Summariser,
    worker: OnceLock<Worker>,
    context: Context,
}

impl Plugin for MemoryService {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        let manifest = Manifest::service("memory_service")
            .about("Remembers people: what was said with them, and what is known of them")
            .requires(OPENAI)
            .requires(DATABASE);
        for_plugins(for_models(manifest))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Arc::new(Config::check(settings)?);
        let store = Arc::new(Store::new(context.clone()));
        let embedder = Arc::new(Embedder::new(context.clone(), config.clone(), store.clone()));
        Ok(Self {
            keeper: Keeper::new(store.clone(), embedder.clone()),
            finder: Finder::new(store.clone(), embedder.clone(), config.clone(), context.clone()),
            summariser: Summariser::new(store.clone(), context.clone(), config),
            worker: OnceLock::new(),
            context,
            store,
            embedder,
        })
    }

    /// The database must hold the tables; that OpenAI is away keeps nobody from remembering.
    async fn init(&self) -> Result<(), Failure> {
        self.store.ready().await.map_err(unready)?;
        self.worker.get_or_init(|| worker::start(&self.context, &self.store, &self.embedder));
        Ok(())
    }

    async fn stop(&self) {
        if let Some(worker) = self.worker.get() {
            worker.stop();
        }
    }
}

/// What a language model may do. It never says about whom.
fn for_models(manifest: ManifestBuilder<MemoryService>) -> ManifestBuilder<MemoryService> {
    manifest
        .operation(
            Operation::of(MemoryService::remember)
                .about(
                    "Keeps a fact about the person of this conversation, for good. Write it as one sentence that can be \
                     understood alone, with names instead of `he` or `it`, and dates instead of `tomorrow`. What is \
                     said in the conversation is kept anyway: remember only what will matter later.",
                )
                .tool()
                .needs(Level::Shown)
                .keyed(),
        )
        .operation(
            Operation::of(MemoryService::recall)
                .about(
                    "Finds what is known of the person of this conversation and what was said with them, also long \
                     ago, by meaning and by words. Use it before you say that you do not know something about them. \
                     If `semantic` is false, only words were compared: try other words.",
                )
                .tool()
                .needs(Level::Shown)
                .idempotent(),
        )
        .operation(
            Operation::of(MemoryService::forget)
                .about(
                    "Deletes for good what is known of the person of this conversation. Use it only when they ask for \
                     it; recall first what it is about, and give the ids. `everything` deletes all there is.",
                )
                .tool()
                .needs(Level::Shown)
                .decisive(["ids", "everything", "since_ms", "until_ms"])
                .callers(CALLERS)
                .idempotent(),
        )
        .operation(
            Operation::of(MemoryService::thread)
                .about("Reads the newest turns of the conversation with this person, or earlier ones.")
                .tool()
                .needs(Level::Shown)
                .idempotent(),
        )
        .operation(
            Operation::of(MemoryService::summarise)
                .about(
                    "Sums up the whole conversation with this person: the newest turns as they are, everything before \
                     in short. If `missing_turns` is not 0, so many turns are not in it.",
                )
                .tool()
                .needs(Level::Shown)
                .idempotent(),
        )
}

fn for_plugins(manifest: ManifestBuilder<MemoryService>) -> ManifestBuilder<MemoryService> {
    manifest
        .operation(
            Operation::of(MemoryService::add_turn)
                .about("Adds something that was said to the thread")
                .needs(Level::Shown),
        )
        .operation(
            Operation::of(MemoryService::people)
                .about("Lists the people who are known")
                .callers(CALLERS)
                .idempotent(),
        )
        .operation(
            Operation::of(MemoryService::embedding_progress)
                .about("Reports how many memories can be found by meaning")
                .idempotent(),
        )
}

impl MemoryService {
    async fn remember(self: Arc<Self>, request: Remember, call: Call) -> Result<Remembered, OperationError> {
        self.keeper.remember(person::of(&call)?, request, &call).await
    }

    async fn add_turn(self: Arc<Self>, request: AddTurn, call: Call) -> Result<AddedTurn, OperationError> {
        self.keeper.add_turn(person::of(&call)?, request, &call).await
    }

    async fn forget(self: Arc<Self>, request: Forget, call: Call) -> Result<Forgotten, OperationError> {
        self.keeper.forget(person::of(&call)?, request).await
    }

    async fn recall(self: Arc<Self>, request: Recall, call: Call) -> Result<Recalled, OperationError> {
        self.finder.recall(person::of(&call)?, request).await
    }

    async fn thread(self: Arc<Self>, request: ReadThread, call: Call) -> Result<Thread, OperationError> {
        self.finder.thread(person::of(&call)?, &request).await
    }

    async fn summarise(
        self: Arc<Self>,
        request: Summarise,
        call: Call,
    ) -> Result<ThreadSummary, OperationError> {
        self.summariser.summarise(person::of(&call)?, &request, &call).await
    }

    async fn people(self: Arc<Self>, request: ListPeople, call: Call) -> Result<People, OperationError> {
        person::nobody(&call)?;
        self.finder.people(&request).await
    }

    async fn embedding_progress(
        self: Arc<Self>,
        _: ReadEmbeddingProgress,
        _: Call,
    ) -> Result<EmbeddingProgress, OperationError> {
        self.embedder.progress().await
    }
}

/// A database that is away comes back; what it refuses otherwise, a person must see to.
fn unready(error: OperationError) -> Failure {
    match error.kind {
        // Whether it had an effect is seen by the next attempt.
        ErrorKind::UnknownOutcome => Failure::unavailable(error.message),
        _ => error.into(),
    }
}

plugin_api::export_plugin!(MemoryService);
