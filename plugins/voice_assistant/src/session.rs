//! A call's conversation in real time: the caller's audio to a model that hears and speaks, its audio back, tools between,
//! and what was said written down. In the order in which a conversation passes:
//! - [`settings`]: what the operator gives -> a checked `Config`.
//! - `prompt`: who calls, and what for -> the instructions of the model. Pure.
//! - `material`: what is known of the caller, and which tools there are, gathered.
//! - [`model`]: what a conversation needs of a model, whoever makes it.
//! - [`openai`]: OpenAI's Realtime API as such a model.
//! - `clock`: the caller's audio, and the two clocks that count it. Pure.
//! - `words`: how much of a text was heard. Pure.
//! - `core`: the conversation as a machine. Pure.
//! - `toolrun`: a call of a tool -> what came of it.
//! - `scribe`: what happens -> the ledger, in order.
//! - `driver`: all of it, in one loop.

mod clock;
mod core;
mod driver;
mod material;
pub mod model;
pub mod openai;
mod prompt;
mod scribe;
pub mod settings;
mod toolrun;
mod words;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use plugin_api::{
    prelude::*,
    requests::voice::Session,
    tokio::{self, task::JoinHandle, time::sleep},
    tracing,
};

use self::{
    driver::{Driver, Parts},
    material::Material,
    model::{Backend, Loss},
    openai::OpenAi,
    settings::Config,
};
use crate::call::{CallBrief, Ledger, Next};

const OPENAI: &str = "openai";
const MEMORY: &str = "memory_service";
const ORCHESTRATOR: &str = "orchestrator_service";

/// The conversations of this host, and those that are about to begin.
pub struct Sessions<L, B: Backend = OpenAi> {
    context: Context,
    config: Arc<Config>,
    ledger: Arc<L>,
    backend: Arc<B>,
    prepared: Arc<Mutex<Prepared<B::Link>>>,
}

/// Connections that wait for their call, by call.
struct Prepared<T> {
    /// By number, so that a later one for the same call is another one.
    waiting: HashMap<String, (u64, Opening<T>)>,
    count: u64,
}

type Opening<T> = JoinHandle<Result<Ready<T>, Loss>>;

/// Everything that a conversation begins with.
struct Ready<T> {
    link: T,
    opened: Instant,
    material: Material,
}

impl<L: Ledger> Sessions<L> {
    /// Conversations with OpenAI's Realtime API.
    pub fn new(context: Context, config: Arc<Config>, ledger: Arc<L>) -> Self {
        let backend = OpenAi::new(context.clone(), config.clone());
        Self::with_backend(context, config, ledger, backend)
    }
}

impl<L: Ledger, B: Backend> Sessions<L, B> {
    /// Conversations with another model.
    pub fn with_backend(context: Context, config: Arc<Config>, ledger: Arc<L>, backend: B) -> Self {
        let prepared = Arc::new(Mutex::new(Prepared { waiting: HashMap::new(), count: 0 }));
        Self { context, config, ledger, backend: Arc::new(backend), prepared }
    }

    /// Opens a connection with the model for a call that is about to be connected, so that nobody waits for it then. It
    /// waits for a time, unless too many do; then the conversation opens its own.
    pub fn prepare(&self, brief: &CallBrief) {
        let mut prepared = lock(&self.prepared);
        let is_new = !prepared.waiting.contains_key(&brief.call);
        if !is_new || prepared.waiting.len() >= self.config.prepared_sessions {
            tracing::debug!(call = brief.call, is_new, "no session is prepared");
            return;
        }
        prepared.count += 1;
        let number = prepared.count;
        let opening = tokio::spawn(self.begin(brief.clone()));
        prepared.waiting.insert(brief.call.clone(), (number, opening));
        let (shared, call, time) = (self.prepared.clone(), brief.call.clone(), self.config.prepared_time);
        tokio::spawn(async move {
            sleep(time).await;
            let mut prepared = lock(&shared);
            if prepared.waiting.get(&call).is_some_and(|(known, _)| *known == number) {
                discard(&mut prepared, &call);
            }
        });
    }

    /// The call will not be connected.
    pub fn discard(&self, call: &str) {
        discard(&mut lock(&self.prepared), call);
    }

    /// How many connections wait for their call.
    #[cfg(test)]
    pub fn prepared(&self) -> usize {
        lock(&self.prepared).waiting.len()
    }

    /// Holds the conversation of a call.
    ///
    /// # Errors
    /// `denied` by the token; `unavailable` if the model cannot be had: then the call goes on turn by turn.
    pub async fn serve(&self, request: Session, stream: Stream, call: Call) -> Result<(), OperationError> {
        let brief = self.ledger.redeem(&request.call, &request.stream, &request.token).await?;
        let Ready { link, opened, material } = match self.ready(&brief).await {
            Ok(ready) => ready,
            Err(loss) => {
                tracing::warn!(call = brief.call, reason = loss.reason, "a call has no realtime model");
                self.ledger.decide(&brief.call, Next::Turns { reason: loss.reason.clone() }).await;
                return Err(OperationError::unavailable(loss.reason));
            }
        };
        let parts = Parts {
            context: self.context.clone(),
            config: self.config.clone(),
            ledger: self.ledger.clone(),
            backend: self.backend.clone(),
            material: Arc::new(material),
            link,
            age: opened.elapsed(),
            stream,
            trace: call.trace().map(str::to_owned),
        };
        Driver::new(parts).hold().await;
        Ok(())
    }

    /// What was prepared, or the same anew: what was prepared may have failed for a reason that has passed.
    async fn ready(&self, brief: &CallBrief) -> Result<Ready<B::Link>, Loss> {
        let prepared = lock(&self.prepared).waiting.remove(&brief.call);
        if let Some((_, opening)) = prepared {
            match opening.await {
                Ok(Ok(ready)) => return Ok(ready),
                Ok(Err(loss)) if loss.is_final => return Err(loss),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        self.begin(brief.clone()).await
    }

    fn begin(&self, brief: CallBrief) -> impl Future<Output = Result<Ready<B::Link>, Loss>> + Send + 'static {
        let (context, config, backend) = (self.context.clone(), self.config.clone(), self.backend.clone());
        async move {
            let material = Material::gather(&context, &config, brief).await;
            let link = backend.open(&material.setup(&config)).await?;
            Ok(Ready { link, opened: Instant::now(), material })
        }
    }
}

fn discard<T>(prepared: &mut Prepared<T>, call: &str) {
    if let Some((_, opening)) = prepared.waiting.remove(call) {
        // A connection that was ready is dropped with it.
        opening.abort();
    }
}

fn lock<T>(prepared: &Mutex<Prepared<T>>) -> MutexGuard<'_, Prepared<T>> {
    prepared.lock().unwrap_or_else(PoisonError::into_inner)
}
