//! A request -> a good answer, or a [`Trouble`]: what async-openai sends requests through. It sends each once, bounds time
//! and size, and lets no refusal through, so that async-openai neither retries nor logs what the server says.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use async_openai::{error::OpenAIError, middleware::HttpRequestFactory};
use plugin_api::{
    requests::doctor::Clock,
    serde::de::IgnoredAny,
    serde_json::{self, Value},
    tokio::time::timeout,
};
use reqwest::{
    Body, Request, Response,
    header::{CONTENT_TYPE, DATE},
};
use tokio_tungstenite::tungstenite::http;
use tower::Service;

use crate::{
    settings::Config,
    trouble::{
        Trouble,
        connecting::{Way, network, no_answer, no_connection},
        status,
    },
};

/// How an answer in events is called.
const EVENTS: &str = "text/event-stream";
/// 2048 vectors of 3072 numbers each, as JSON, are some 90 MB.
pub const LARGEST_VECTORS: usize = 128 * 1024 * 1024;
/// Longer than any model writes, thoughts and all, and short enough to be kept by whoever asked.
pub const LARGEST_CHAT: usize = 4 * 1024 * 1024;
/// What may be wrong is said in the first words.
const LARGEST_REFUSAL: usize = 64 * 1024;
/// Longest wait for the words of a refusal: its status says enough.
const REFUSAL_WITHIN: Duration = Duration::from_secs(2);

/// In which form the answer comes.
#[derive(Debug, Clone, Copy)]
pub enum Answers {
    /// JSON, whole within this time, which this setting decides, and no more than so many bytes.
    Whole { within: Duration, setting: &'static str, most: usize },
    /// Events, the first part of the answer within this time.
    Events { begin_within: Duration },
}

/// Sends requests.
#[derive(Clone)]
pub struct Transport {
    http: reqwest::Client,
    config: Arc<Config>,
    answers: Answers,
    clock: LastClock,
}

/// The server's clock, as its last answer told it.
#[derive(Clone, Default)]
pub struct LastClock(Arc<Mutex<Option<Clock>>>);

impl LastClock {
    pub fn get(&self) -> Option<Clock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, server: &str, response: &Response) {
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        if let Some(clock) = date.and_then(|date| Clock::read(server, date)) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
        }
    }
}

impl Transport {
    pub fn new(http: reqwest::Client, config: Arc<Config>, answers: Answers, clock: LastClock) -> Self {
        Self { http, config, answers, clock }
    }

    async fn exchange(self, request: Request) -> Result<Response, Trouble> {
        let server = self.config.server();
        match self.answers {
            Answers::Whole { within, setting, most } => timeout(within, self.whole(request, most))
                .await
                .unwrap_or_else(|_| Err(no_answer(&server, "no answer", within, setting))),
            Answers::Events { begin_within } => timeout(begin_within, self.events(request))
                .await
                .unwrap_or_else(|_| Err(no_answer(&server, "no answer", begin_within, "timeout"))),
        }
    }

    /// An answer that is read to its end, and is JSON.
    async fn whole(&self, request: Request, most: usize) -> Result<Response, Trouble> {
        let response = self.good(request).await?;
        let status = response.status();
        let body = self.body(response, most).await?;
        if serde_json::from_slice::<IgnoredAny>(&body).is_err() {
            return Err(Trouble::protocol(&self.config.server(), "with something that is not JSON"));
        }
        let mut whole = http::Response::new(Body::from(body));
        *whole.status_mut() = status;
        Ok(whole.into())
    }

    /// An answer that goes on coming. One that came at once is an event, the only one; an error may be among such.
    async fn events(&self, request: Request) -> Result<Response, Trouble> {
        let response = self.good(request).await?;
        let form = response.headers().get(CONTENT_TYPE).and_then(|form| form.to_str().ok());
        let form = form.unwrap_or(EVENTS).trim_start().to_ascii_lowercase();
        if form.starts_with(EVENTS) {
            return Ok(response);
        }
        let body = self.body(response, LARGEST_CHAT).await?;
        let event = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        if event.get("choices").is_none() && event.get("error").is_none() {
            return Err(Trouble::protocol(&self.config.server(), "at once what was asked for as a stream"));
        }
        let events = http::Response::builder().header(CONTENT_TYPE, EVENTS);
        let events = events.body(Body::from(format!("data: {event}\n\n")));
        Ok(events.expect("the header is one").into())
    }

    /// An answer that is no refusal.
    async fn good(&self, request: Request) -> Result<Response, Trouble> {
        let response = self.http.execute(request).await.map_err(|error| self.no_answer(&error))?;
        self.clock.note(&self.config.server(), &response);
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // A refusal that is cut off or too large is judged by what came of it: nothing.
        let words = timeout(REFUSAL_WITHIN, self.body(response, LARGEST_REFUSAL)).await;
        let words = words.ok().and_then(Result::ok).unwrap_or_default();
        let server = self.config.server();
        let trouble = status::refused(Way::http(&server), status.as_u16(), &headers, &words);
        let trouble = trouble.without(self.config.api_key.expose());
        trouble.log();
        Err(trouble)
    }

    async fn body(&self, mut response: Response, limit: usize) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.no_answer(&error))? {
            if body.len() + piece.len() > limit {
                return Err(Trouble::too_large(&self.config.server(), limit));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn no_answer(&self, error: &reqwest::Error) -> Trouble {
        let server = self.config.server();
        let way = Way::http(&server);
        match error.is_timeout() {
            true => no_connection(way, self.config.connect_timeout),
            false => network(error, way),
        }
    }
}

impl Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = Trouble;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Trouble>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Trouble>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let transport = self.clone();
        Box::pin(async move {
            let request = factory.build().await.map_err(|error| {
                Trouble::protocol(
                    &transport.config.server(),
                    &format!("nothing: no request can be made ({error})"),
                )
            })?;
            transport.exchange(request).await
        })
    }
}

impl From<Trouble> for OpenAIError {
    fn from(trouble: Trouble) -> Self {
        Self::Boxed(Box::new(trouble))
    }
}
