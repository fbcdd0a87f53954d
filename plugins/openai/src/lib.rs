//! OpenAI and every server that is compatible with it, by async-openai. In the order in which a request passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `wire`: a request -> the JSON that is sent.
//! - `client`: one HTTP request -> a good answer or a `Trouble`.
//! - `trouble`: what went wrong -> what it means for the plugin and for the caller.
//! - `turns`: messages -> messages that the strictest template of a chat takes.
//! - `dialect`: refusals that name what is in the way -> the request without it.
//! - `fields`: the JSON of servers -> what is read of it.
//! - `thinking`, `written_calls`: what a model writes -> words, beside thoughts and tool calls that it wrote as text.
//! - `answer`, `assembly`: the answer to a chat, whole or in pieces -> what the caller gets.
//! - `embedding`: texts -> requests; answers -> vectors in order.
//! - `realtime`: a stream <-> the Realtime API's WebSocket.
//! - `models`: the list of models -> whether those of the settings are there.
//! - `evidence`: what calls show -> what the host is told.
//! - `service`: all of this together, one method an operation.
//! - `doctor`: the models of the settings, one chat with a tool, and one vector.

mod settings;
mod turns;
mod wire;
mod client;
mod trouble;
mod dialect;
mod fields;
mod thinking;
mod written_calls;
mod answer;
mod assembly;
mod embedding;
mod realtime;
mod models;
mod evidence;
mod service;
mod doctor;
#[cfg(test)]
mod tests;

use plugin_api::{
    prelude::*,
    requests::{
        doctor::{Examination, Examine},
        openai::{CHAT_STREAM, Chat, ChatAnswer, Embed, Embeddings, REALTIME, Realtime},
    },
};

use crate::{
    service::Service,
    settings::{Config, Settings},
};

const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// One server, one key.
struct OpenAi {
    service: Service,
}

impl Plugin for OpenAi {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::integration("openai")
            .about("Chats with language models, computes embeddings of texts, and opens realtime sessions")
            .multi_instance()
            .probe_every(PROBE_INTERVAL)
            .operation(
                Operation::of(Self::chat)
                    .about("Asks a language model to go on with a chat: an answer, or tools that it wants called")
                    .idempotent(),
            )
            .operation(
                Operation::stream(CHAT_STREAM, Self::chat_stream)
                    .about("The same, with the answer while it is written; closing the stream ends it"),
            )
            .operation(
                Operation::of(Self::embed).about("Turns texts into vectors, any number of them").idempotent(),
            )
            .operation(
                Operation::stream(REALTIME, Self::realtime)
                    .about("The Realtime API's WebSocket: its events, as they are, in both directions"),
            )
            .operation(
                Operation::of(Self::doctor)
                    .about(
                        "Checks that the key and the models work, by the list of models, one chat with a tool, and \
                         one vector",
                    )
                    .idempotent()
                    .doctor(),
            )
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Config::check(settings, |path| context.resolve_path(path))?;
        Ok(Self { service: Service::new(config, context) })
    }

    async fn probe(&self) -> Result<(), Failure> {
        Ok(self.service.verify().await?)
    }
}

impl OpenAi {
    async fn chat(self: Arc<Self>, request: Chat, _: Call) -> Result<ChatAnswer, OperationError> {
        self.service.chat(&request).await
    }

    async fn chat_stream(
        self: Arc<Self>,
        request: Chat,
        stream: Stream,
        _: Call,
    ) -> Result<(), OperationError> {
        self.service.chat_stream(&request, &stream).await
    }

    async fn embed(self: Arc<Self>, request: Embed, _: Call) -> Result<Embeddings, OperationError> {
        self.service.embed(&request).await
    }

    async fn doctor(self: Arc<Self>, _: Examine, _: Call) -> Result<Examination, OperationError> {
        Ok(doctor::examine(&self.service).await)
    }

    async fn realtime(
        self: Arc<Self>,
        request: Realtime,
        stream: Stream,
        _: Call,
    ) -> Result<(), OperationError> {
        self.service.realtime(&request, &stream).await
    }
}

plugin_api::export_plugin!(OpenAi);
