//! The operations: a request in, its outcome out, and what it showed of the plugin told to the host. Nothing here tries
//! again: whether a repeat makes sense, the kind of the error tells, and the caller decides. The exception is a refusal that
//! names what the request could do without: it is sent without it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use plugin_api::{
    prelude::*,
    requests::openai::{Chat, ChatAnswer, ChatDelta, Embed, Embeddings, Message, Realtime, TroubleCode},
    serde_json::{self, Value},
    tokio::select,
    tracing,
};

use crate::{
    answer::{self, Asked},
    assembly::Assembly,
    client::{Client, Events, Form, trust::Trust},
    dialect::{Dialect, MOST_LESSONS},
    embedding::{self, Collection},
    evidence::Evidence,
    models,
    realtime::{bridge, dial::dial},
    settings::{Choice, Config, Model},
    trouble::Trouble,
    wire,
};

/// All that the plugin can do.
pub struct Service {
    config: Arc<Config>,
    trust: Arc<Trust>,
    client: Client,
    evidence: Evidence,
    dialect: Dialect,
    told_of_missing_model: AtomicBool,
    /// How many texts at once the server takes, as far as it is known.
    batch: AtomicUsize,
    /// What calls showed of the model of the settings, for chats and for vectors.
    chats: Seen,
    vectors: Seen,
}

/// What calls showed of a model. A list of models may lack it, as a gateway's does: a call that succeeds proves it.
#[derive(Default)]
pub struct Seen {
    is_used: AtomicBool,
    is_proven: AtomicBool,
}

impl Seen {
    /// Another plugin asks for the model, so that it is missed if it is not there. The plugin's own questions do not count.
    fn note_use(&self) {
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// Takes over the outcome of a call with the model.
    fn note<T>(&self, outcome: &Result<T, Trouble>) {
        match outcome {
            Ok(_) => self.is_proven.store(true, Ordering::Relaxed),
            Err(trouble) if trouble.code == TroubleCode::ModelNotFound => {
                self.is_proven.store(false, Ordering::Relaxed);
            }
            Err(_) => {}
        }
    }

    fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }
}

impl Service {
    pub fn new(config: Config, context: Context) -> Self {
        let config = Arc::new(config);
        let trust = Arc::new(Trust::new(config.ca_file.clone()));
        Self {
            client: Client::new(config.clone(), trust.clone()),
            evidence: Evidence::new(context),
            dialect: Dialect::default(),
            told_of_missing_model: AtomicBool::new(false),
            batch: AtomicUsize::new(config.embedding_batch),
            chats: Seen::default(),
            vectors: Seen::default(),
            config,
            trust,
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the server knows the key, and has the models of the settings. Costs nothing, but for a model that somebody
    /// chose and no list has.
    pub async fn verify(&self) -> Result<(), Trouble> {
        let list = match self.client.models().await {
            Ok(list) => list,
            Err(trouble) => {
                let trouble = self.without_list(trouble);
                // A server without a list, or a key that may not read it: a chat that succeeded proves more.
                let says_nothing =
                    matches!(trouble.code, TroubleCode::ConfigInvalid | TroubleCode::Forbidden);
                return if says_nothing && self.chats.is_proven() { Ok(()) } else { Err(trouble) };
            }
        };
        let Some(names) = models::names(&list) else {
            return Err(Trouble::protocol(&self.config.server(), "something else than a list of models")
                .setting("base_url"));
        };
        let no_chat = self.lacks_chat_model(&names).await?;
        let no_embedding = self.lacks_embedding_model(&names).await?;
        let uses = models::Uses { chat: self.chats.is_used(), embedding: self.vectors.is_used() };
        models::judge(&self.config, &names, (no_chat, no_embedding), uses)?;
        self.tell_of_missing(no_chat || no_embedding);
        self.evidence.note_endings(models::endings(&list, &self.config));
        Ok(())
    }

    /// A chat, answered at once.
    pub async fn chat(&self, request: &Chat) -> Result<ChatAnswer, OperationError> {
        wire::check(request)?;
        self.note_use_of_chats(request);
        Ok(self.try_chat(request).await?)
    }

    /// The same as a question of our own: it proves the model, and is no use of it.
    pub async fn try_chat(&self, request: &Chat) -> Result<ChatAnswer, Trouble> {
        let (server, names) = (self.config.server(), answer::names(request));
        let asked = Asked { server: &server, model: self.chat_model(request), tools: &names };
        let body: Value = self.ask(request).await?;
        let answer = answer::read(&body, asked);
        self.dialect.note_opening(asked.model, answer::omits_opening(&body, &answer));
        self.told(request, self.logged(answer))
    }

    /// A chat, answered as it is written. The stream is taken when the answer begins.
    pub async fn chat_stream(&self, request: &Chat, stream: &Stream) -> Result<(), OperationError> {
        wire::check(request)?;
        self.note_use_of_chats(request);
        let (server, names) = (self.config.server(), answer::names(request));
        let asked = Asked { server: &server, model: self.chat_model(request), tools: &names };
        let events: Events = self.ask(request).await?;
        // A caller that goes away drops the events, and with them the answer at the server.
        let answer = self.pass_on(events, stream, asked).await;
        let Some(answer) = self.logged(answer).transpose() else { return Ok(()) };
        send(stream, &ChatDelta::Done { answer: self.told(request, answer)? }).await
    }

    /// Asks for a chat as its model wants it. A refusal that names what the request can do without is learned from, and the
    /// request sent again without it.
    async fn ask<F: Form>(&self, request: &Chat) -> Result<F, Trouble> {
        let mut body = wire::chat(request, &self.config, F::IS_STREAM);
        self.dialect.apply(&mut body);
        let mut lessons = 0..MOST_LESSONS;
        let outcome = loop {
            let outcome = F::of_chat(&self.client, &body).await;
            let refused = outcome.as_ref().err().filter(|_| lessons.next().is_some());
            let Some(lesson) = refused.and_then(|trouble| self.dialect.learn(trouble, &mut body)) else {
                break self.evidence.of(outcome);
            };
            tracing::info!(?lesson, "`{}` is asked otherwise from now on", self.config.server());
        };
        // That an answer begins proves nothing yet.
        outcome.or_else(|trouble| self.about_chat(request, Err(trouble)))
    }

    /// Passes on what is new; `None` if the caller went away, else the whole answer.
    async fn pass_on(
        &self,
        mut events: Events,
        stream: &Stream,
        asked: Asked<'_>,
    ) -> Result<Option<ChatAnswer>, Trouble> {
        let waits = !self.config.is_openai() && self.dialect.may_omit_opening(asked.model);
        let mut assembly = Assembly::new(!asked.tools.is_empty(), waits);
        loop {
            let event = select! {
                event = events.next() => match event {
                    // All of it had come.
                    Err(_) if assembly.is_finished() => None,
                    event => event?,
                },
                // Frames from the caller mean nothing here.
                heard = stream.recv() => match heard {
                    Ok(_) => continue,
                    Err(_) => return Ok(None),
                },
            };
            let Some(event) = event else {
                self.dialect.note_opening(asked.model, assembly.omits_opening());
                return assembly.finish(asked).map(Some);
            };
            for delta in assembly.take(&event, asked.server)? {
                if send(stream, &delta).await.is_err() {
                    return Ok(None);
                }
            }
        }
    }

    /// The outcome of a chat, for the caller; its usage is counted.
    fn told(&self, request: &Chat, answer: Result<ChatAnswer, Trouble>) -> Result<ChatAnswer, Trouble> {
        self.evidence.took(answer.as_ref().map_or_else(|trouble| trouble.usage, |answer| answer.usage));
        self.about_chat(request, answer)
    }

    /// An outcome of a chat: what it says of the model is noted, and its trouble names the model.
    fn about_chat<T>(&self, request: &Chat, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        if self.is_our_chat_model(request) {
            self.chats.note(&outcome);
        }
        let (server, choice) = (self.config.server(), self.config.chat_choice());
        outcome.map_err(|trouble| trouble.about_model(&server, self.chat_model(request), choice))
    }

    fn note_use_of_chats(&self, request: &Chat) {
        if self.is_our_chat_model(request) {
            self.chats.note_use();
        }
    }

    fn is_our_chat_model(&self, request: &Chat) -> bool {
        self.chat_model(request) == self.config.model.name
    }

    fn chat_model<'a>(&'a self, request: &'a Chat) -> &'a str {
        wire::model(request.model.as_deref(), &self.config.model.name)
    }

    /// What a server says in the middle of an answer is shown to the operator who looks for it.
    fn logged<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        outcome.map_err(|trouble| {
            let trouble = trouble.without(self.config.api_key.expose());
            trouble.log();
            trouble
        })
    }

    /// Vectors, by as many requests as it takes.
    pub async fn embed(&self, request: &Embed) -> Result<Embeddings, OperationError> {
        embedding::check(request)?;
        if self.is_of_our_vectors(request) {
            self.vectors.note_use();
        }
        Ok(self.try_embed(request).await?)
    }

    /// The same as a question of our own: it proves the model, and is no use of it.
    pub async fn try_embed(&self, request: &Embed) -> Result<Embeddings, Trouble> {
        let (choice, model) = (self.config.embedding_choice(), self.embedding_model(request));
        let outcome = self.collect(request, model).await;
        if self.is_of_our_vectors(request) {
            self.vectors.note(&outcome);
        }
        outcome.map_err(|trouble| trouble.about_model(&self.config.server(), model, choice))
    }

    async fn collect(&self, request: &Embed, model: &str) -> Result<Embeddings, Trouble> {
        let server = self.config.server();
        let mut collection = Collection::default();
        let mut rest = request.texts.as_slice();
        while let Some(batch) = embedding::batches(rest, self.batch.load(Ordering::Relaxed)).first() {
            let (texts, later) = rest.split_at(batch.end);
            let body = wire::embed(texts, request, &self.config);
            let answer = self.client.embeddings(&body).await;
            if texts.len() > 1 && answer.as_ref().is_err_and(Trouble::is_about_batch) {
                self.batch.store(texts.len().div_ceil(2), Ordering::Relaxed);
                tracing::info!(
                    "`{server}` is sent fewer texts at once from now on: {}",
                    texts.len().div_ceil(2)
                );
                continue;
            }
            let answer = self.evidence.of(answer)?;
            self.logged(collection.take(answer.get(), texts.len(), &server))?;
            rest = later;
        }
        let embeddings = collection.finish(&server, model, request.dimensions)?;
        self.evidence.took(embeddings.usage);
        Ok(embeddings)
    }

    /// Whether it asks the server for vectors of the model of the settings; without texts it asks nothing.
    fn is_of_our_vectors(&self, request: &Embed) -> bool {
        self.embedding_model(request) == self.config.embedding_model.name && !request.texts.is_empty()
    }

    fn embedding_model<'a>(&'a self, request: &'a Embed) -> &'a str {
        wire::model(request.model.as_deref(), &self.config.embedding_model.name)
    }

    /// A realtime session. The stream is taken when the socket is open.
    pub async fn realtime(&self, request: &Realtime, stream: &Stream) -> Result<(), OperationError> {
        let model = wire::model(request.model.as_deref(), &self.config.realtime_model);
        let dialled = self.logged(dial(&self.config, &self.trust, model).await);
        if self.config.is_one_server() {
            match &dialled {
                Ok(_) => self.evidence.success(),
                // Whether there is a Realtime API says nothing of the rest.
                Err(trouble) if trouble.is_about_the_key() => self.evidence.failure(trouble),
                Err(_) => {}
            }
        }
        bridge(dialled?, stream, &self.config, &self.evidence).await;
        Ok(())
    }

    /// What it means that there is no list of models.
    fn without_list(&self, trouble: Trouble) -> Trouble {
        let server = self.config.server();
        let status = trouble.http_status.unwrap_or_default();
        let (code, setting, message) = match trouble.code {
            TroubleCode::ModelNotFound | TroubleCode::InvalidRequest => (
                TroubleCode::ConfigInvalid,
                "base_url",
                format!(
                    "`{server}` has no list of models at this address (HTTP {status}): check `OPENAI_BASE_URL`, which \
                     usually ends in `/v1`"
                ),
            ),
            TroubleCode::Forbidden => (
                TroubleCode::Forbidden,
                "api_key",
                format!(
                    "`{server}` does not let this key read the list of models (HTTP {status}): permit it there, or see \
                     what the project and the country may use"
                ),
            ),
            _ => return trouble,
        };
        Trouble { code, message, setting: Some(setting), ..trouble }
    }

    /// Whether the model of chats is not there, unless a chat proves it: gateways have names that no list tells, such as
    /// Azure's deployments.
    pub async fn lacks_chat_model(&self, names: &[&str]) -> Result<bool, Trouble> {
        if self.chats.is_proven() {
            return Ok(false);
        }
        let question = Chat { max_tokens: Some(16), ..Chat::new([Message::user("Say yes.")]) };
        let (model, choice) = (&self.config.model, self.config.chat_choice());
        self.lacks(names, model, choice, self.try_chat(&question)).await
    }

    async fn lacks_embedding_model(&self, names: &[&str]) -> Result<bool, Trouble> {
        if self.vectors.is_proven() {
            return Ok(false);
        }
        let (model, choice) = (&self.config.embedding_model, self.config.embedding_choice());
        self.lacks(names, model, choice, self.try_embed(&Embed::new(["yes"]))).await
    }

    /// Whether a model is not there: neither in the list, nor when it is asked for by its name, as a short form may be, nor,
    /// if somebody chose it, when it is asked this question.
    async fn lacks<T>(
        &self,
        names: &[&str],
        model: &Model,
        choice: Choice<'_>,
        question: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<bool, Trouble> {
        if !models::lacks(names, model) {
            return Ok(false);
        }
        match self.client.model(&model.name).await {
            Ok(_) => return Ok(false),
            Err(trouble) if !trouble.says_missing() => return Err(trouble.about_unlisted(choice)),
            Err(_) if !model.chosen => return Ok(true),
            Err(_) => {}
        }
        match question.await {
            Ok(_) => Ok(false),
            Err(trouble) if trouble.says_missing() && !trouble.gives_reason() => Ok(true),
            Err(trouble) => Err(trouble.about_unlisted(choice)),
        }
    }

    /// Once, until they are there again.
    fn tell_of_missing(&self, missing: bool) {
        if missing && !self.told_of_missing_model.swap(missing, Ordering::Relaxed) {
            tracing::warn!(
                model = self.config.model.name,
                embedding_model = self.config.embedding_model.name,
                "`{}` lacks one of these models; set `OPENAI_MODEL` or `OPENAI_EMBEDDING_MODEL` if it is needed",
                self.config.server()
            );
        }
        self.told_of_missing_model.store(missing, Ordering::Relaxed);
    }
}

async fn send(stream: &Stream, delta: &ChatDelta) -> Result<(), OperationError> {
    let text = serde_json::to_string(delta)
        .map_err(|_| OperationError::internal("what is new of the answer cannot be written as JSON"))?;
    stream.send(Frame::Text(text)).await.map_err(|reason| OperationError::cancelled(reason.message))
}
