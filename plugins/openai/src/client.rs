//! The API over HTTP, by async-openai: the list of models, chats at once and as they are written, vectors. One request is
//! one request: nothing here tries again.
//! - [`trust`]: the setting `ca_file` -> whom to trust, for HTTP and for the WebSocket.
//! - [`endpoint`]: settings -> address and headers.
//! - [`transport`]: a request -> a good answer, or a [`Trouble`].

pub mod endpoint;
pub mod transport;
pub mod trust;

use std::{future::Future, sync::Arc};

use async_openai::{
    Client as Api,
    error::{OpenAIError, StreamError},
    types::stream::StreamResponse,
};
use plugin_api::{
    requests::doctor::Clock,
    serde_json::Value,
    tokio::{sync::OnceCell, time::timeout},
};
use serde_json::value::RawValue;

use self::{
    endpoint::Endpoint,
    transport::{Answers, LARGEST_CHAT, LARGEST_VECTORS, LastClock, Transport},
    trust::Trust,
};
use crate::{
    settings::Config,
    trouble::{
        Trouble,
        connecting::{Way, network, no_answer},
    },
};

/// Asks the API.
pub struct Client {
    config: Arc<Config>,
    trust: Arc<Trust>,
    /// Made when it is needed first: it reads whom to trust.
    http: OnceCell<reqwest::Client>,
    clock: LastClock,
}

/// The answer of a chat while it comes: events of JSON. Dropping it ends the answer at the server.
pub struct Events {
    stream: StreamResponse<Value>,
    config: Arc<Config>,
}

/// A form in which a chat is answered.
pub trait Form: Sized {
    /// Whether it comes as it is written.
    const IS_STREAM: bool;

    /// Sends a request for a chat; comes back when the answer is there, or begins.
    fn of_chat(client: &Client, request: &Value) -> impl Future<Output = Result<Self, Trouble>> + Send;
}

/// At once.
impl Form for Value {
    const IS_STREAM: bool = false;

    async fn of_chat(client: &Client, request: &Value) -> Result<Self, Trouble> {
        client
            .whole(LARGEST_CHAT)
            .await?
            .chat()
            .create_byot(request)
            .await
            .map_err(|error| client.trouble(error))
    }
}

/// As it is written.
impl Form for Events {
    const IS_STREAM: bool = true;

    async fn of_chat(client: &Client, request: &Value) -> Result<Self, Trouble> {
        let api = client.api(Answers::Events { begin_within: client.config.timeout }).await?;
        let stream = api.chat().create_stream_byot(request).await.map_err(|error| client.trouble(error))?;
        Ok(Self { stream, config: client.config.clone() })
    }
}

impl Client {
    pub fn new(config: Arc<Config>, trust: Arc<Trust>) -> Self {
        Self { config, trust, http: OnceCell::new(), clock: LastClock::default() }
    }

    /// The server's clock, as its last answer told it.
    pub fn clock(&self) -> Option<Clock> {
        self.clock.get()
    }

    /// The list of models, and with it whether the key is known.
    pub async fn models(&self) -> Result<Value, Trouble> {
        self.short().await?.models().list_byot().await.map_err(|error| self.trouble(error))
    }

    /// One model; a [`Trouble`] with `ModelNotFound` if there is none.
    pub async fn model(&self, name: &str) -> Result<Value, Trouble> {
        // A name may hold what would end the path.
        let name = endpoint::path_segment(name);
        self.short().await?.models().retrieve_byot(name).await.map_err(|error| self.trouble(error))
    }

    /// Vectors, as the JSON that came.
    pub async fn embeddings(&self, request: &Value) -> Result<Box<RawValue>, Trouble> {
        self.whole(LARGEST_VECTORS)
            .await?
            .embeddings()
            .create_byot(request)
            .await
            .map_err(|error| self.trouble(error))
    }

    async fn whole(&self, most: usize) -> Result<Api<Endpoint>, Trouble> {
        self.api(Answers::Whole { within: self.config.timeout, setting: "timeout", most }).await
    }

    /// For what a server answers without work.
    async fn short(&self) -> Result<Api<Endpoint>, Trouble> {
        let (within, setting) = (self.config.connect_timeout, "connect_timeout");
        self.api(Answers::Whole { within, setting, most: LARGEST_VECTORS }).await
    }

    /// async-openai with our connections, and without its own retries.
    async fn api(&self, answers: Answers) -> Result<Api<Endpoint>, Trouble> {
        let http = self.http.get_or_try_init(|| self.trust.http_client(&self.config)).await?;
        let transport = Transport::new(http.clone(), self.config.clone(), answers, self.clock.clone());
        Ok(Api::build(http.clone(), Endpoint::new(&self.config)).with_http_service(transport))
    }

    fn trouble(&self, error: OpenAIError) -> Trouble {
        trouble(error, &self.config.server())
    }
}

impl Events {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Value>, Trouble> {
        use futures_util::StreamExt as _;

        let (server, within) = (self.config.server(), self.config.timeout);
        match timeout(within, self.stream.next()).await {
            Ok(Some(Ok(event))) => Ok(Some(event)),
            Ok(Some(Err(error))) => Err(trouble(error, &server)),
            Ok(None) => Ok(None),
            Err(_) => Err(no_answer(&server, "no more of its answer", within, "timeout")),
        }
    }
}

/// What async-openai hands through or adds.
fn trouble(error: OpenAIError, server: &str) -> Trouble {
    match error {
        OpenAIError::Boxed(error) => match error.downcast::<Trouble>() {
            Ok(trouble) => *trouble,
            Err(other) => network(&*other, Way::http(server)),
        },
        OpenAIError::Reqwest(error) => network(&error, Way::http(server)),
        OpenAIError::StreamError(error) => match *error {
            // Of the error beneath, only its text is left: it came while the answer was read.
            StreamError::EventStream(_) => {
                let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                network(&broken, Way::http(server))
            }
            StreamError::UnknownEvent(_) => {
                Trouble::protocol(server, "with events that are none of a chat's")
            }
        },
        OpenAIError::JSONDeserialize(..) => Trouble::protocol(server, "with something that is not JSON"),
        _ => Trouble::protocol(server, "what async-openai cannot read"),
    }
}
