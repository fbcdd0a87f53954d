//! In the background, every memory gets its vector: what was said, what was remembered while the model was away, and all of
//! it anew when the model is another one. The oldest first; while the model is away, less and less often.

use plugin_api::{
    prelude::*,
    tokio::{self, task::JoinHandle, time},
    tracing,
};

use crate::{
    embedder::{Embedded, Embedder, NoVectors},
    store::{Claimed, Space, Store},
};

/// So many memories are embedded by one request.
const BATCH: u32 = 64;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks whether there is something to do that nobody told of.
const IDLE: Duration = Duration::from_secs(60);
const BACKOFF_BASE: Duration = Duration::from_secs(1);
const BACKOFF_CAP: Duration = Duration::from_secs(60);
/// A text that the model refuses is tried again after so long, and later ever more seldom.
const REFUSED_BASE: Duration = Duration::from_secs(300);
const REFUSED_CAP: Duration = Duration::from_secs(24 * 3600);
/// How often progress is logged.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Embeds what waits.
pub struct Worker {
    store: Arc<Store>,
    embedder: Arc<Embedder>,
    context: Context,
    /// Tells this run of this host from others.
    holder: String,
}

/// What one step came to.
enum Step {
    /// So many got their vectors.
    Done(usize),
    /// There is nothing to do.
    Idle,
}

impl Worker {
    pub fn new(store: Arc<Store>, embedder: Arc<Embedder>, context: Context) -> Self {
        Self { store, embedder, context, holder: format!("{:032x}", rand::random::<u128>()) }
    }

    /// Works until it is aborted.
    pub fn start(self) -> JoinHandle<()> {
        tokio::spawn(async move { self.run().await })
    }

    async fn run(&self) {
        if let Err(error) = self.store.void_claims().await {
            tracing::debug!(%error, "earlier claims end by themselves");
        }
        let mut report = Progress::default();
        let mut failures = 0_u32;
        loop {
            let pause = match self.step().await {
                Ok(Step::Done(count)) => {
                    failures = 0;
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
                    Duration::from_millis(error.retry_after_ms.unwrap_or_default()).max(backoff(failures))
                }
            };
            // A vector that could be made elsewhere, or a new memory, ends the pause.
            let _ = time::timeout(pause, self.embedder.woken()).await;
        }
    }

    async fn step(&self) -> Result<Step, OperationError> {
        let Some(space) = self.space().await? else { return Ok(Step::Idle) };
        let claimed = self.store.claim(&space.id, &self.holder, BATCH).await?;
        if !claimed.is_empty() {
            let done = self.embed(&space, &claimed).await;
            if done.is_err() {
                self.store.release(&self.holder).await?;
            }
            return done.map(Step::Done);
        }
        self.store.fill_queue(&space.id).await?;
        while self.store.tidy_spaces(&space.id).await? {
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
        let made = self.embedder.embed(["memory"], PATIENCE).await.map_err(NoVectors::into_error)?;
        Ok(Some(made.space))
    }

    async fn embed(&self, space: &Space, claimed: &[Claimed]) -> Result<usize, OperationError> {
        match self.embedder.embed(claimed.iter().map(|memory| memory.body.as_str()), PATIENCE).await {
            Ok(made) => self.keep(space, claimed, made).await,
            Err(NoVectors::Model(error)) if error.kind == ErrorKind::Invalid => {
                self.embed_each(space, claimed).await
            }
            Err(error) => Err(error.into_error()),
        }
    }

    /// One of the texts is refused: the others need not wait for it.
    async fn embed_each(&self, space: &Space, claimed: &[Claimed]) -> Result<usize, OperationError> {
        for memory in claimed {
            match self.embedder.embed([memory.body.as_str()], PATIENCE).await {
                Ok(made) => drop(self.keep(space, std::slice::from_ref(memory), made).await?),
                Err(NoVectors::Model(error)) if error.kind == ErrorKind::Invalid => {
                    tracing::warn!(error = %error.message, "the model refuses a memory: it is found by its words");
                    let times = u32::try_from(memory.attempts).unwrap_or(u32::MAX).min(16);
                    let pause = REFUSED_BASE.saturating_mul(1 << times).min(REFUSED_CAP);
                    self.store.postpone(&space.id, memory.seq, pause).await?;
                }
                Err(error) => return Err(error.into_error()),
            }
        }
        Ok(claimed.len())
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

/// Ever longer, and never the same for two hosts.
fn backoff(failures: u32) -> Duration {
    let most = BACKOFF_BASE.saturating_mul(1 << failures.min(10)).min(BACKOFF_CAP);
    most.mul_f64(rand::random_range(0.5..=1.0))
}
