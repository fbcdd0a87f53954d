//! Finds the running host by its folder for data, and talks to it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use switchboard::{
    app::RunFile,
    config::{HostConfig, Token},
};

use super::{Exit, Failed, call::problem_text, load};

/// The media type of server-sent events.
const EVENTS: &str = "text/event-stream";

/// The event after which they go on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A way to the running host.
pub struct HostClient {
    http: Client,
    base: String,
    token: Option<Token>,
}

impl HostClient {
    /// The host that runs with this configuration.
    pub fn find(path: &Path) -> Result<Self, Failed> {
        let HostConfig { data_dir, token, .. } = load(path)?.host;
        let run = RunFile::read(&data_dir).ok_or_else(|| {
            let folder = data_dir.display();
            Failed::new(
                Exit::Unreachable,
                format!("no host runs in `{folder}`; start one with `switchboard run`"),
            )
        })?;
        // reqwest makes no client without a provider, though loopback is not encrypted; an error says there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().no_proxy().build();
        let http =
            http.map_err(|error| Failed::new(Exit::Failed, format!("no HTTP client can be made: {error}")))?;
        Ok(Self { http, base: format!("http://{}", reachable(run.address)), token })
    }

    /// Reads a route.
    pub async fn get(&self, path: &str) -> Result<Value, Failed> {
        let answer = self.with_token(self.http.get(format!("{}{path}", self.base))).send().await;
        self.json(answer).await.map(|(_, body)| body)
    }

    /// Reads a route unless it is still what it was under this entity tag; gives the new tag with the answer.
    pub async fn get_if_changed(
        &self,
        path: &str,
        known: Option<&str>,
    ) -> Result<Option<(Option<String>, Value)>, Failed> {
        let request = self.with_token(self.http.get(format!("{}{path}", self.base)));
        let request = match known {
            Some(tag) => request.header(IF_NONE_MATCH, tag),
            None => request,
        };
        let answer = request.send().await;
        if answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::NOT_MODIFIED) {
            return Ok(None);
        }
        let tag = answer.as_ref().ok().and_then(|answer| answer.headers().get(ETAG));
        let tag = tag.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        self.json(answer).await.map(|(_, body)| Some((tag, body)))
    }

    /// Listens to a route that tells events, those after `last` if there was one; `None` if there is none, or it takes
    /// nobody any more.
    pub async fn listen(&self, path: &str, last: Option<&str>) -> Option<Response> {
        let request = self.http.get(format!("{}{path}", self.base)).header(ACCEPT, EVENTS);
        let request = last.into_iter().fold(request, |request, last| request.header(LAST_EVENT_ID, last));
        let answer = self.with_token(request).send().await.ok()?;
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        (answer.status().is_success() && kind.starts_with(EVENTS)).then_some(answer)
    }

    /// Asks an operation of the host itself.
    ///
    /// # Errors
    /// What the host refused it by.
    pub async fn ask<T: DeserializeOwned>(&self, operation: &str, request: &Value) -> Result<T, Failed> {
        let (status, answer) = self.post(&format!("/api/operations/host/{operation}"), request, &[]).await?;
        if status >= 400 {
            return Err(Failed::new(Exit::Failed, problem_text(&answer)));
        }
        serde_json::from_value(answer).map_err(|error| {
            Failed::new(Exit::Failed, format!("the host answered what this command does not know: {error}"))
        })
    }

    /// Posts JSON with the headers that have a value; gives the HTTP status with the answer.
    pub async fn post(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, Option<String>)],
    ) -> Result<(u16, Value), Failed> {
        let given = headers.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let request = self.http.post(format!("{}{path}", self.base)).json(body);
        let request = given.fold(request, |request, (name, value)| request.header(*name, value));
        let answer = self.with_token(request).send().await;
        self.json(answer).await
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn json(&self, answer: reqwest::Result<Response>) -> Result<(u16, Value), Failed> {
        let gone = |_| Failed::new(Exit::Unreachable, format!("the host at {} does not answer", self.base));
        let answer = answer.map_err(gone)?;
        let status = answer.status().as_u16();
        let body = answer.json().await.map_err(|error| {
            Failed::new(Exit::Failed, format!("{} answered {status} without JSON: {error}", self.base))
        })?;
        Ok((status, body))
    }
}

/// A host that listens on every address is found on this machine's own.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}
