//! One HTTP exchange under the account -> its status and JSON, or where it broke: before anything was sent, or after.
//! Follows no redirect and tries nothing twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use plugin_api::{
    jiff::fmt::rfc2822,
    prelude::*,
    requests::twilio::{RestMethod, RestRequest},
    serde_json::{self, Value},
    tokio::time::timeout,
    web::retry_after,
};
use reqwest::{RequestBuilder, Response, header, redirect};
use url::Url;

use crate::{
    errors::transport::{self, Broken},
    settings::Config,
};

const API_VERSION: &str = "2010-04-01";
/// Twilio closes idle connections; a fresh one costs less than a request that is lost on an old one.
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// No answer of the REST API comes near it.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

/// Talks to Twilio.
pub struct Client {
    http: reqwest::Client,
    config: Arc<Config>,
    /// Twilio's clock in milliseconds since 1970, and when it told it.
    clock: Mutex<Option<(i64, Instant)>>,
}

/// What Twilio answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// Twilio's clock, as the header `Date` tells it.
    pub date: Option<String>,
    /// `None`: it is no JSON.
    pub json: Option<Value>,
}

impl Client {
    pub fn new(config: Arc<Config>) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(config.timeout)
            .pool_idle_timeout(IDLE_LIMIT)
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| transport::no_client(&error))?;
        Ok(Self { http, config, clock: Mutex::default() })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Sends a request once and waits for its answer, no longer than `limit`.
    pub async fn exchange(&self, request: &RestRequest, limit: Duration) -> Result<Answer, Broken> {
        let url = self.url(&request.path, &request.query);
        let builder = match request.method {
            RestMethod::Get => self.http.get(url),
            RestMethod::Post => self.post_form(url, &request.form),
        };
        let exchange = async {
            let response = self.send(self.authenticated(builder)).await?;
            let status = response.status().as_u16();
            let retry_after = response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| retry_after(value.to_str().ok()?));
            let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
            let date = date.map(str::to_owned);
            self.set_clock(date.as_deref());
            let body = self.read(response, ANSWER_LIMIT).await?.unwrap_or_default();
            Ok(Answer { status, retry_after, date, json: serde_json::from_slice(&body).ok() })
        };
        timeout(limit, exchange)
            .await
            .unwrap_or_else(|_| Err(Broken::Sent(transport::too_slow(limit, &self.config))))
    }

    /// Twilio's clock now, in milliseconds since 1970; `None` before it told it.
    pub fn now_ms(&self) -> Option<i64> {
        let (told_ms, at) = (*self.clock.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(told_ms + i64::try_from(at.elapsed().as_millis()).ok()?)
    }

    fn set_clock(&self, date: Option<&str>) {
        if let Some(date) = date.and_then(|date| rfc2822::parse(date).ok()) {
            let told = (date.timestamp().as_millisecond(), Instant::now());
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }
    }

    /// The account itself.
    pub fn account_path(&self) -> String {
        format!("/{API_VERSION}/Accounts/{}", self.config.account_sid)
    }

    /// Asks for a file, with the credentials or without.
    pub fn get(&self, url: Url, with_credentials: bool) -> RequestBuilder {
        let builder = self.http.get(url);
        if with_credentials { self.authenticated(builder) } else { builder }
    }

    /// Posts a form to any address, as Twilio does: without the credentials of the REST API.
    pub fn post_form(&self, url: Url, form: &[(String, String)]) -> RequestBuilder {
        self.http
            .post(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encode(form))
    }

    /// Sends it and waits for the head of the answer.
    pub async fn send(&self, builder: RequestBuilder) -> Result<Response, Broken> {
        builder.send().await.map_err(|error| transport::broken(&error, &self.config))
    }

    /// The body; `None` if it is longer than `most` bytes.
    pub async fn read(&self, mut response: Response, most: usize) -> Result<Option<Vec<u8>>, Broken> {
        let mut body = Vec::new();
        while let Some(piece) =
            response.chunk().await.map_err(|error| transport::broken(&error, &self.config))?
        {
            if body.len() + piece.len() > most {
                return Ok(None);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Some(body))
    }

    fn authenticated(&self, builder: RequestBuilder) -> RequestBuilder {
        let credentials = &self.config.credentials;
        builder.basic_auth(&credentials.user, Some(credentials.password.expose()))
    }

    /// `path` has been checked, or is our own; an empty one is the account itself.
    fn url(&self, path: &str, query: &[(String, String)]) -> Url {
        let mut url = self.config.base_url.clone();
        let base = url.path().trim_end_matches('/');
        let account = self.account_path();
        let full = match path {
            "" => format!("{base}{account}.json"),
            path => format!("{base}{account}/{path}"),
        };
        url.set_path(&full);
        url.set_query((!query.is_empty()).then(|| encode(query)).as_deref());
        url
    }
}

fn encode(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
