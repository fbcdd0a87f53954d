//! In the background, every memory gets its vector: what was said, what was remembered while the model was away, and all of
//! it anew when the model is another one. The oldest first; while the model is away, less and less often. A text that the
//! server fails on, in whatever way, holds up no other: it is told from a server that is away by a text that cannot fail.

use std::sync::atomic::{AtomicU32, Ordering};

use plugin_api::{
    prelude::*,
    requests::{host::Trouble, openai::OpenAiTrouble},
    standing::Standing,
    tokio::{self, time},
    tracing,
    worker::{Pulse, Worker},
};

use crate::{
    embedder::{Embedded, Embedder, NoVectors},
    store::{Claimed, LONGEST_PAUSE, Space, Store},
};

/// So many memories are embedded by one request.
const BATCH: u32 = 64;
/// A text that no server has a reason to refuse.
const HARMLESS: &str = "memory";
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks whether there is something to do that nobody told of.
const IDLE: Duration = Duration::from_secs(60);
const BACKOFF_BASE: Duration = Duration::from_secs(1);
const BACKOFF_CAP: Duration = Duration::from_secs(60);
/// What the model refuses is tried again after so long, and later ever more seldom.
const REFUSED_BASE: Duration = Duration::from_secs(300);
/// How often progress is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The trouble that no memory gets its vector by what our settings ask for.
const VECTORS: &str = "vectors";
/// So many times in a row every text is refused until it is one.
const REFUSALS: u32 = 2;

/// Between two requests for vectors, with the statements around them.
const LONGEST_TURN: Duration = Duration::from_secs(180);

/// Begins to embed what waits.
pub fn start(context: &Context, store: &Arc<Store>, embedder: &Arc<Embedder>) -> Worker {
    let (store, embedder, own) = (store.clone(), embedder.clone(), context.clone());
    Worker::start(context, "embedding", LONGEST_TURN, move |pulse| {
        let embedding = Embedding::new(store.clone(), embedder.clone(), own.clone(), pulse);
        async move { embedding.run().await }
    })
}

/// Embeds what waits.
struct Embedding {
    store: Arc<Store>,
    embedder: Arc<Embedder>,
    context: Context,
    /// Tells this run of this host from others.
    holder: String,
    /// How many memories are embedded by one request: fewer for a server that refuses so many.
    batch: AtomicU32,
    /// The trouble that the model refuses every text.
    refusing: Standing,
    pulse: Pulse,
}

/// What one step came to.
enum Step {
    /// So many got their vectors.
    Done(usize),
    /// There is nothing to do.
    Idle,
}

impl Embedding {
    fn new(store: Arc<Store>, embedder: Arc<Embedder>, context: Context, pulse: Pulse) -> Self {
        let (holder, batch) = (format!("{:032x}", rand::random::<u128>()), AtomicU32::new(BATCH));
        Self { store, embedder, context, holder, batch, refusing: Standing::new(VECTORS), pulse }
    }

    /// Works until it is aborted.
    async fn run(&self) {
        if let Err(error) = self.store.void_claims().await {
            tracing::debug!(%error, "earlier claims end by themselves");
        }
        let mut report = Progress::default();
        let mut failures = 0_u32;
        loop {
            self.pulse.turn();
            let pause = match self.step().await {
                Ok(Step::Done(count)) => {
                    failures = 0;
                    self.refusing.clear(&self.context).await;
                    self.tell(&mut report, count).await;
                    continue;
                }
                Ok(Step::Idle) => {
                    failures = 0;
                    report.finish();
                    IDLE
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(error = %error.message, "memories wait for their vectors");
                    }
                    self.count("embedding_failures", 1).await;
                    failures += 1;
                    if failures >= REFUSALS && is_of_our_settings(&error) {
                        self.refusing.raise(&self.context, refused_all(&error)).await;
                    }
                    Duration::from_millis(error.retry_after_ms.unwrap_or_default()).max(backoff(failures))
                }
            };
            self.pulse.rest();
            // A vector that could be made elsewhere, or a new memory, ends the pause.
            let _ = time::timeout(pause, self.embedder.woken()).await;
        }
    }

    async fn step(&self) -> Result<Step, OperationError> {
        let Some(space) = self.space().await? else { return Ok(Step::Idle) };
        let most = self.batch.load(Ordering::Relaxed);
        let claimed = self.store.claim(&space.id, &self.holder, most).await?;
        if !claimed.is_empty() {
            let done = self.embed(&space, &claimed).await;
            if done.is_err() {
                self.store.release(&self.holder).await?;
            }
            return done.map(Step::Done);
        }
        self.store.fill_queue(&space.id).await?;
        while self.store.tidy_spaces(&space.id).await? {
            self.pulse.turn();
            tokio::task::yield_now().await;
        }
        Ok(Step::Idle)
    }

    /// The space that counts. Whether the model is still the same is asked once, when there is something to embed.
    async fn space(&self) -> Result<Option<Space>, OperationError> {
        if let Some(space) = self.embedder.space().await {
            return Ok(Some(space));
        }
        if self.store.count_wordy().await? == 0 {
            return Ok(None);
        }
        let made = self.embedder.embed([HARMLESS], PATIENCE).await.map_err(NoVectors::into_error)?;
        Ok(Some(made.space))
    }

    async fn embed(&self, space: &Space, claimed: &[Claimed]) -> Result<usize, OperationError> {
        match self.vectors(claimed).await {
            Ok(made) => self.keep(space, claimed, made).await,
            Err(NoVectors::Model(error)) if claimed.len() > 1 && error.kind != ErrorKind::Overloaded => {
                self.prove_answering(error).await?;
                self.embed_parts(space, claimed).await
            }
            Err(NoVectors::Model(error)) if error.kind != ErrorKind::Overloaded => {
                self.prove_answering(error.clone()).await?;
                self.refused(space, &claimed[0], &error).await?;
                Ok(1)
            }
            Err(error) => Err(error.into_error()),
        }
    }

    /// The server answers other texts, so the batch is in the way, or one of its texts. It is halved until it is known
    /// which; the others need not wait. Where every text is good alone, later batches are as small as those that were.
    async fn embed_parts(&self, space: &Space, claimed: &[Claimed]) -> Result<usize, OperationError> {
        let (mut largest, mut is_any_refused) = (1, false);
        let mut parts = vec![claimed];
        while let Some(part) = parts.pop() {
            if part.len() == claimed.len() {
                let (one, other) = part.split_at(part.len() / 2);
                parts.extend([other, one]);
                continue;
            }
            match self.vectors(part).await {
                Ok(made) => {
                    largest = largest.max(part.len());
                    self.keep(space, part, made).await?;
                }
                Err(NoVectors::Model(error)) if error.kind == ErrorKind::Overloaded => return Err(error),
                Err(NoVectors::Model(_)) if part.len() > 1 => {
                    let (one, other) = part.split_at(part.len() / 2);
                    parts.extend([other, one]);
                }
                Err(NoVectors::Model(error)) => {
                    self.prove_answering(error.clone()).await?;
                    self.refused(space, &part[0], &error).await?;
                    is_any_refused = true;
                }
                Err(error) => return Err(error.into_error()),
            }
        }
        if !is_any_refused {
            let largest = u32::try_from(largest).unwrap_or(BATCH);
            tracing::warn!(
                largest,
                "the model refuses larger batches: from now on it gets so many texts at once"
            );
            self.batch.store(largest, Ordering::Relaxed);
        }
        Ok(claimed.len())
    }

    async fn vectors(&self, claimed: &[Claimed]) -> Result<Embedded, NoVectors> {
        self.pulse.turn();
        self.embedder.embed(claimed.iter().map(|memory| memory.body.as_str()), PATIENCE).await
    }

    /// Whether the server answers a text that nothing can be wrong with. If not, `error` is about the server, and every
    /// text waits.
    async fn prove_answering(&self, error: OperationError) -> Result<(), OperationError> {
        match self.embedder.embed([HARMLESS], PATIENCE).await {
            Ok(_) => Ok(()),
            Err(NoVectors::Model(_)) => Err(error),
            Err(NoVectors::Store(error)) => Err(error),
        }
    }

    /// A text that the model does not answer, while it answers others, is tried again ever more seldom.
    async fn refused(
        &self,
        space: &Space,
        memory: &Claimed,
        error: &OperationError,
    ) -> Result<(), OperationError> {
        let pause = pause_after(u32::try_from(memory.attempts).unwrap_or(u32::MAX));
        self.store.postpone(&space.id, memory.seq, pause).await?;
        tracing::warn!(
            memory = memory.id,
            error = %error.message,
            "the model works on other texts, but not this memory: it is found by its words, and tried again in {} s",
            pause.as_secs()
        );
        self.embedder.note_refused(&error.message);
        self.count("embedding_refused", 1).await;
        Ok(())
    }

    /// A model that changed meanwhile has a space, and a queue, of its own.
    async fn keep(
        &self,
        space: &Space,
        claimed: &[Claimed],
        made: Embedded,
    ) -> Result<usize, OperationError> {
        let vectors: Vec<_> = claimed.iter().map(|memory| memory.seq).zip(made.vectors).collect();
        self.store.write_vectors(&made.space.id, &vectors).await?;
        if made.space != *space {
            self.store.release(&self.holder).await?;
        }
        Ok(vectors.len())
    }

    async fn tell(&self, report: &mut Progress, count: usize) {
        self.count("embedded", count.try_into().unwrap_or(u64::MAX)).await;
        if !report.is_due() {
            return;
        }
        if let Ok(progress) = self.embedder.progress().await
            && progress.pending > 0
        {
            let (embedded, total) = (progress.embedded, progress.total);
            tracing::info!(embedded, total, model = progress.model, "memories are getting their vectors");
            report.told = true;
        }
    }

    async fn count(&self, name: &str, by: u64) {
        // A host that cannot take it has other troubles.
        let _ = self.context.host().count(name, by).await;
    }
}

/// The server refuses even a harmless text, and not the plugin `openai`: then it refuses what our settings ask for.
fn is_of_our_settings(error: &OperationError) -> bool {
    let is_refused = matches!(
        error.kind,
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Conflict
    );
    is_refused && error.trouble.is_none() && OpenAiTrouble::of(error).is_some()
}

fn refused_all(error: &OperationError) -> Trouble {
    let message = format!("no memory gets its vector, the model refuses every text: {}", error.message);
    let failure = Failure::config_invalid(message).setting("embedding_model");
    Trouble::raised(VECTORS, failure)
        .label("Correct `embedding_model` or `embedding_dimensions` of memory_service")
}

/// When it was last told how far it is.
#[derive(Default)]
struct Progress {
    at: Option<time::Instant>,
    told: bool,
}

impl Progress {
    fn is_due(&mut self) -> bool {
        let is_due = self.at.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if is_due {
            self.at = Some(time::Instant::now());
        }
        is_due
    }

    fn finish(&mut self) {
        if std::mem::take(self).told {
            tracing::info!("all memories have their vectors");
        }
    }
}

/// How long what the model fails on is left alone, after so many failures before this one.
pub fn pause_after(failures: u32) -> Duration {
    REFUSED_BASE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE)
}

/// Ever longer, and never the same for two hosts.
fn backoff(failures: u32) -> Duration {
    let most = BACKOFF_BASE.saturating_mul(1 << failures.min(10)).min(BACKOFF_CAP);
    most.mul_f64(rand::random_range(0.5..=1.0))
}
