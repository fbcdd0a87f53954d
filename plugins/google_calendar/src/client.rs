//! The Calendar API over HTTP: one request, its answer as JSON, tried again where that is safe and the time allows. Never
//! follows a redirect, so that no token goes where nobody meant it to.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse, http};
use plugin_api::{
    prelude::*,
    requests::doctor::Clock,
    serde_json::{self, Value},
    tls,
    tokio::time::{Instant, sleep_until, timeout_at},
    tracing,
    web::retry_after,
};
use reqwest::{ClientBuilder, Method, Response, Url, header, redirect};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::{
    errors::{self, Fault, Refusal},
    settings::is_loopback,
};

/// The most of an answer that is read: a page of 250 events with long descriptions is far below.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The answer leaves this long before the caller's deadline, so that it still reaches the caller.
const MARGIN: Duration = Duration::from_millis(200);
/// How long a request may take whose caller sets no end.
const PATIENCE: Duration = Duration::from_secs(25);

/// The parameter with the time zone of an answer.
const ZONE: &str = "timeZone";

/// Until when an answer is of use.
pub type Deadline = Instant;

/// The deadline of the call being served.
pub fn deadline(call: &Call) -> Deadline {
    Instant::now() + call.remaining().map_or(PATIENCE, |left| left.saturating_sub(MARGIN))
}

/// HTTP for the API and for tokens.
#[derive(Clone)]
pub struct Client {
    /// By the proxy of the environment, if it names one.
    http: reqwest::Client,
    /// To this machine, where no proxy leads.
    local: reqwest::Client,
    base: Url,
    timeout: Duration,
    /// Google's clock, as its last answer told it.
    clock: Arc<Mutex<Option<Clock>>>,
}

/// What is asked of the API.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    if_match: Option<String>,
    /// Doing it twice is no harm.
    repeatable: bool,
}

impl Ask {
    /// A read of `calendars/{id}/…`.
    pub fn get(path: &[&str]) -> Self {
        Self::new(Method::GET, path, true)
    }

    /// A question that needs a body.
    pub fn question(path: &[&str], body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path, true) }
    }

    /// Something new, under an id of ours.
    pub fn create(path: &[&str], body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path, true) }
    }

    /// A change, which a second time could undo somebody else's.
    pub fn change(path: &[&str], body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::PATCH, path, false) }
    }

    /// A deletion.
    pub fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path, true)
    }

    fn new(method: Method, path: &[&str], repeatable: bool) -> Self {
        let path = path.iter().map(ToString::to_string).collect();
        Self { method, path, query: Vec::new(), body: None, if_match: None, repeatable }
    }

    /// With a parameter.
    pub fn with(mut self, name: &'static str, value: impl Into<Option<String>>) -> Self {
        self.query.extend(value.into().map(|value| (name, value)));
        self
    }

    /// Only if the thing is still this version.
    pub fn if_match(mut self, etag: Option<String>) -> Self {
        self.if_match = etag;
        self
    }

    /// The time zone that it names, if it names one.
    fn zone(&self) -> Option<&str> {
        let of_body = || self.body.as_ref()?.pointer("/start/timeZone")?.as_str();
        let of_query = || self.query.iter().find(|(name, _)| *name == ZONE).map(|(_, zone)| zone.as_str());
        of_body().or_else(of_query)
    }

    /// The same, with another name of the time zone.
    pub fn in_zone(&self, name: &str) -> Self {
        let mut ask = self.clone();
        for side in ["/start/timeZone", "/end/timeZone"] {
            if let Some(zone) = ask.body.as_mut().and_then(|body| body.pointer_mut(side)) {
                *zone = name.into();
            }
        }
        for (_, zone) in ask.query.iter_mut().filter(|(parameter, _)| *parameter == ZONE) {
            name.clone_into(zone);
        }
        ask
    }

    /// May a fault be answered by asking again?
    fn may_repeat_after(&self, fault: &Fault) -> bool {
        if self.repeatable { fault.is_passing() } else { fault.is_undone() }
    }
}

impl Client {
    /// Makes the client; connects to nothing.
    pub fn new(base: Url, timeout: Duration) -> Result<Self, Failure> {
        tls::install_provider();
        let builder = || {
            reqwest::Client::builder()
                .redirect(redirect::Policy::none())
                .connect_timeout(timeout)
                .timeout(timeout)
                .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        };
        let client = |builder: ClientBuilder| {
            builder.build().map_err(|_| Failure::internal("no HTTP client can be made"))
        };
        let (http, local) = (client(builder())?, client(builder().no_proxy())?);
        Ok(Self { http, local, base, timeout, clock: Arc::default() })
    }

    /// Google's clock, as its last answer told it.
    pub fn clock(&self) -> Option<Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks, and asks again while that may help: with growing pauses, or after what Google says.
    pub async fn ask(&self, ask: &Ask, token: &Secret, deadline: Deadline) -> Result<Value, Fault> {
        let mut attempt = 1;
        loop {
            let fault = match self.ask_once(ask, token, deadline).await {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let next = Instant::now() + pause(attempt, &fault);
            if attempt == ATTEMPTS || !ask.may_repeat_after(&fault) || next >= deadline {
                return Err(fault);
            }
            tracing::debug!(attempt, %fault, "a request to Google is retried");
            sleep_until(next).await;
            attempt += 1;
        }
    }

    async fn ask_once(&self, ask: &Ask, token: &Secret, deadline: Deadline) -> Result<Value, Fault> {
        let mut request = self.http.request(ask.method.clone(), self.url(ask)).bearer_auth(token.expose());
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        if let Some(etag) = &ask.if_match {
            request = request.header(header::IF_MATCH, etag);
        }
        let request = request.build().map_err(|error| errors::transport(&error, self.host()))?;
        let (status, retry_after, body) = self.exchange(request, deadline).await?;
        if (200..300).contains(&status) {
            return read(&body, self.host());
        }
        tracing::debug!(status, answer = %String::from_utf8_lossy(&body), "Google refuses");
        let zone = ask.zone().filter(|_| status == 400 && is_about_zone(&body)).map(str::to_owned);
        Err(Fault::Refused(Refusal { status, reason: reason(&body), retry_after, zone }))
    }

    /// Sends a form, and answers the status; for what OAuth's library does not do.
    pub async fn post_form(&self, url: &Url, field: (&str, &str), deadline: Deadline) -> Result<u16, Fault> {
        let body = Url::parse_with_params("form:", [field]).ok();
        let body = body.and_then(|url| url.query().map(str::to_owned)).unwrap_or_default();
        let form = "application/x-www-form-urlencoded";
        let request = self.http.post(url.clone()).header(header::CONTENT_TYPE, form).body(body).build();
        let request = request.map_err(|error| errors::transport(&error, host_of(url)))?;
        Ok(self.exchange(request, deadline).await?.0)
    }

    async fn exchange(
        &self,
        request: reqwest::Request,
        deadline: Deadline,
    ) -> Result<(u16, Option<Duration>, Vec<u8>), Fault> {
        let host = host_of(request.url()).to_owned();
        let http = if is_loopback(request.url()) { &self.local } else { &self.http };
        if Instant::now() >= deadline {
            return Err(Fault::OutOfTime { sent: false });
        }
        let work = async {
            let response = http.execute(request).await.map_err(|error| errors::transport(&error, &host))?;
            self.note_clock(&host, &response);
            let status = response.status().as_u16();
            let wait = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            Ok((status, wait.and_then(retry_after), body_of(response, &host).await?))
        };
        timeout_at(deadline, work).await.unwrap_or(Err(Fault::OutOfTime { sent: true }))
    }

    fn note_clock(&self, host: &str, response: &Response) {
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        if let Some(clock) = date.and_then(|date| Clock::read(host, date)) {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
        }
    }

    fn url(&self, ask: &Ask) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        url
    }

    fn host(&self) -> &str {
        host_of(&self.base)
    }
}

/// Google's token endpoint through the same client. An outage there is a [`Fault`], not an answer.
impl<'c> AsyncHttpClient<'c> for Client {
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Fault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let host = request.uri().host().unwrap_or_default().to_owned();
            let request = reqwest::Request::try_from(request);
            let request = request.map_err(|error| errors::transport(&error, &host))?;
            let (status, retry_after, body) = self.exchange(request, Instant::now() + self.timeout).await?;
            if status == 429 || status >= 500 {
                return Err(Fault::Refused(Refusal {
                    status,
                    reason: String::new(),
                    retry_after,
                    zone: None,
                }));
            }
            let mut response = http::Response::new(body);
            *response.status_mut() = http::StatusCode::from_u16(status).map_err(|_| no_protocol(&host))?;
            Ok(response)
        })
    }
}

fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

async fn body_of(mut response: Response, host: &str) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| errors::transport(&error, host))? {
        body.extend_from_slice(&piece);
        if body.len() > LARGEST_ANSWER {
            return Err(no_protocol(host));
        }
    }
    Ok(body)
}

/// A 204 says nothing.
fn read(body: &[u8], host: &str) -> Result<Value, Fault> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).map_err(|_| no_protocol(host))
}

fn no_protocol(host: &str) -> Fault {
    Fault::Unanswered(Failure::protocol(format!("`{host}` does not answer as the Calendar API")))
}

/// Google's word for an error: `error.errors[0].reason`, of newer services `error.details[].reason`.
fn reason(body: &[u8]) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let classic = body.pointer("/error/errors/0/reason");
    let newer = body.pointer("/error/details/0/reason");
    let reason = newer.or(classic).and_then(Value::as_str).unwrap_or_default();
    // It is shown to people: a word, and nothing else.
    reason.chars().filter(char::is_ascii_alphanumeric).take(60).collect()
}

/// Google says so in words alone: `Invalid time zone definition for start time.`
fn is_about_zone(body: &[u8]) -> bool {
    let words = String::from_utf8_lossy(body).to_ascii_lowercase();
    words.contains("time zone") || words.contains("timezone")
}

/// Full jitter, unless Google says how long.
fn pause(attempt: u32, fault: &Fault) -> Duration {
    if let Fault::Refused(Refusal { retry_after: Some(wait), .. }) = fault {
        return *wait;
    }
    let longest = FIRST_PAUSE * 2_u32.pow(attempt);
    let mut random = [0; 4];
    match SystemRandom::new().fill(&mut random) {
        Ok(()) => longest.mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX)),
        Err(_) => longest,
    }
}
