//! Texts -> vectors, by `openai`, and which space they belong to: what the server calls its model decides, so that another
//! model is noticed with the first vector that it makes.

use std::sync::{Mutex as Lock, PoisonError};

use plugin_api::{
    prelude::*,
    requests::{
        memory::EmbeddingProgress,
        openai::{Embed, Embeddings},
    },
    tokio::sync::{Mutex, Notify},
    tracing,
};

use crate::{
    OPENAI,
    settings::Config,
    store::{Space, Store},
    tokens, vectors,
};

/// Longer texts are embedded by their beginning: models take some 8000 tokens, and count otherwise than we do.
const MOST_TOKENS: u32 = 4000;

/// Makes vectors.
pub struct Embedder {
    context: Context,
    config: Arc<Config>,
    store: Arc<Store>,
    space: Mutex<Option<Space>>,
    trouble: Lock<Option<String>>,
    /// Why the last text was refused that was.
    refusal: Lock<Option<String>>,
    /// There is something to do, or what was in the way no longer is.
    wake: Notify,
}

/// Vectors, and what they may be compared with.
#[derive(Debug, Clone)]
pub struct Embedded {
    pub space: Space,
    pub vectors: Vec<Vec<f32>>,
}

/// Why there are none.
#[derive(Debug, Clone)]
pub enum NoVectors {
    /// The model could not be asked, or refused.
    Model(OperationError),
    /// The database failed.
    Store(OperationError),
}

impl NoVectors {
    pub fn into_error(self) -> OperationError {
        match self {
            Self::Model(error) | Self::Store(error) => error,
        }
    }
}

impl Embedder {
    pub fn new(context: Context, config: Arc<Config>, store: Arc<Store>) -> Self {
        let (space, trouble, refusal) = (Mutex::default(), Lock::default(), Lock::default());
        Self { context, config, store, space, trouble, refusal, wake: Notify::new() }
    }

    /// A vector for each text, no later than it is worth waiting for somebody's call.
    pub async fn embed_now(&self, text: &str, call: Option<&Call>) -> Result<Embedded, NoVectors> {
        // What comes after it needs time, too.
        let left = call.and_then(Call::remaining).map_or(Duration::MAX, |left| left / 2);
        self.embed([text], self.config.embedding_timeout.min(left)).await
    }

    /// A vector for each text, within this time.
    pub async fn embed(
        &self,
        texts: impl IntoIterator<Item = &str>,
        patience: Duration,
    ) -> Result<Embedded, NoVectors> {
        let texts: Vec<String> = texts.into_iter().map(|text| tokens::cut(text, MOST_TOKENS)).collect();
        let count = texts.len();
        let request = Embed {
            texts,
            model: self.config.embedding_model.clone(),
            dimensions: self.config.embedding_dimensions,
        };
        let answer = async { self.context.dependency(OPENAI)?.deadline(patience).call(request).await };
        let before = self.space().await;
        let made = answer.await.and_then(|made| check(made, count, before.as_ref())).map_err(|error| {
            self.note_trouble(Some(error.message.clone()));
            NoVectors::Model(error)
        })?;
        if self.note_trouble(None) {
            self.wake();
        }
        let space = self.enter(&made.model, made.dimensions).await.map_err(NoVectors::Store)?;
        Ok(Embedded { space, vectors: made.vectors })
    }

    /// The space of this model, which is from now on the one that counts.
    async fn enter(&self, model: &str, dimensions: usize) -> Result<Space, OperationError> {
        let mut current = self.space.lock().await;
        if let Some(space) = &*current
            && space.model == model
            && space.dimensions == dimensions
        {
            return Ok(space.clone());
        }
        let space = self.store.open_space(model, dimensions).await?;
        let before = current.as_ref().map_or("none", |space| space.model.as_str());
        tracing::info!(model, dimensions, before, "memories are compared by the vectors of this model");
        *current = Some(space.clone());
        self.wake();
        Ok(space)
    }

    /// The space that counts; none before the first vector was made.
    pub async fn space(&self) -> Option<Space> {
        self.space.lock().await.clone()
    }

    /// Notes why no vectors can be made, or that they can. Whether there was trouble before.
    fn note_trouble(&self, trouble: Option<String>) -> bool {
        std::mem::replace(&mut *self.trouble.lock().unwrap_or_else(PoisonError::into_inner), trouble)
            .is_some()
    }

    /// Notes why the model does not answer one text, while it answers others.
    pub fn note_refused(&self, why: &str) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    /// What is in the way: of all vectors, or of some.
    fn in_the_way(&self, refused: u64) -> Option<String> {
        let known = |lock: &Lock<Option<String>>| lock.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known(&self.trouble).or_else(|| {
            let why = known(&self.refusal).map(|why| format!("; the last: {why}")).unwrap_or_default();
            let told = format!("the model fails on {refused} of the memories: they are found by words{why}");
            (refused > 0).then_some(told)
        })
    }

    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Until there is something to do.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// How far all memories have come.
    pub async fn progress(&self) -> Result<EmbeddingProgress, OperationError> {
        let keeping = self.store.ready().await?.keeping;
        let space = self.space().await;
        let total = self.store.count_wordy().await?;
        let (pending, refused) = match &space {
            Some(space) => {
                let refused = self.store.count_refused(&space.id).await?;
                (self.store.count_pending(&space.id).await?.min(total), refused.min(total))
            }
            None => (total, 0),
        };
        Ok(EmbeddingProgress {
            dimensions: space.as_ref().map_or(0, |space| space.dimensions.try_into().unwrap_or(u32::MAX)),
            model: space.map(|space| space.model),
            vectors: keeping.as_str().to_owned(),
            total,
            embedded: total - pending,
            pending,
            refused,
            trouble: self.in_the_way(refused),
        })
    }
}

/// Refuses what is no vector for each text; and another length than the same model's vectors had: they could not be
/// compared, and every memory would get a new one, again and again.
fn check(made: Embeddings, count: usize, before: Option<&Space>) -> Result<Embeddings, OperationError> {
    let is_vector = |vector: &Vec<f32>| vector.len() == made.dimensions && vectors::is_good(vector);
    if made.vectors.len() != count || !made.vectors.iter().all(is_vector) {
        return Err(OperationError::internal("the model's answer contains an invalid vector"));
    }
    match before {
        Some(space) if space.model == made.model && space.dimensions != made.dimensions => {
            Err(OperationError::internal(format!(
                "the model `{}` returns vectors of {} numbers, and returned vectors of {} before: if that is intended, \
                 restart `memory_service`",
                made.model, made.dimensions, space.dimensions
            )))
        }
        _ => Ok(made),
    }
}
