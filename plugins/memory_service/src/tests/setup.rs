//! An instance of the plugin, as the tests want it.

use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::{
        memory::{
            AddTurn, EmbeddingProgress, Medium, Memory, ReadEmbeddingProgress, Recall, Recalled, Remember,
            Speaker,
        },
        openai::{Chat, Embed},
        sql::Vector,
    },
    serde_json::{Value, json},
    testing::{TestInstance, TestPlugin, database::Database},
    tokio,
};

use super::{model::Model, vec};
use crate::MemoryService;

pub type Instance = TestInstance<MemoryService>;

pub const ADA: &str = "+15551234567";
pub const BOB: &str = "+15557654321";

/// An instance, and what it remembers by.
pub struct World {
    pub database: Database,
    pub model: Model,
    pub plugin: Instance,
}

impl World {
    pub async fn start() -> Self {
        Self::with(json!({})).await
    }

    pub async fn with(settings: Value) -> Self {
        let (database, model) = (database(), Model::new());
        let plugin = instance(&database, &model, settings);
        plugin.init().await.expect("the database is there");
        Self { database, model, plugin }
    }

    pub async fn ask<R: Request>(&self, person: &str, request: R) -> Result<R::Response, OperationError> {
        self.plugin.call_with(on_behalf_of(person), request).await
    }

    #[track_caller]
    pub fn remember(&self, person: &str, text: &str) -> impl Future<Output = String> {
        let request = Remember { text: text.to_owned(), tags: Vec::new() };
        async move { self.ask(person, request).await.expect("it is kept").id }
    }

    pub async fn say(&self, person: &str, text: &str) -> String {
        self.ask(person, turn(text)).await.expect("it is kept").id
    }

    pub async fn recall(&self, person: &str, query: &str) -> Recalled {
        let request = Recall { query: query.to_owned(), ..Recall::default() };
        self.ask(person, request).await.expect("something is answered")
    }

    pub async fn progress(&self) -> EmbeddingProgress {
        self.plugin.call(ReadEmbeddingProgress {}).await.expect("it is told")
    }

    /// Waits until everything has its vector.
    pub async fn embedded(&self) -> EmbeddingProgress {
        let wait = async {
            loop {
                let progress = self.progress().await;
                if progress.pending == 0 && progress.model.is_some() {
                    return progress;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the background embeds")
    }
}

/// An empty database with sqlite-vec.
pub fn database() -> Database {
    vec::register();
    let vector = Vector { extension: "sqlite-vec".to_owned(), version: "0.1.9".to_owned(), installed: true };
    Database::new().with_vector(vector)
}

/// An instance on this database and this model, as another host would have one.
pub fn instance(database: &Database, model: &Model, settings: Value) -> Instance {
    let mut all = json!({});
    let given = settings.as_object().expect("settings are an object").clone();
    all.as_object_mut().expect("it is an object").extend(given);
    let (embedder, writer) = (model.clone(), model.clone());
    database
        .serve(TestPlugin::new(all))
        .fake("openai", move |embed: Embed| embedder.embed(embed))
        .fake("openai", move |chat: Chat| writer.chat(chat))
        .create()
        .expect("the settings are good")
}

pub fn on_behalf_of(person: &str) -> CallHeader {
    CallHeader { person: Some(person.to_owned()), caller: Some("tester".to_owned()), ..CallHeader::default() }
}

pub fn keyed(person: &str, key: &str) -> CallHeader {
    CallHeader { idempotency_key: Some(key.to_owned()), ..on_behalf_of(person) }
}

/// Something that the person says by SMS.
pub fn turn(text: &str) -> AddTurn {
    AddTurn {
        origin: None,
        speaker: Speaker::Person,
        medium: Medium::Sms,
        text: text.to_owned(),
        attachments: Vec::new(),
        source: None,
        at_ms: None,
        display_name: None,
    }
}

pub fn texts(memories: &[Memory]) -> Vec<&str> {
    memories.iter().map(|memory| memory.text.as_str()).collect()
}
