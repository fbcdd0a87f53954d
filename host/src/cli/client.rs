//! Finds the running host by its folder for data, and talks to it.

use std::path::Path;

use reqwest::{Client, Response};
use serde_json::Value;
use switchboard::app::RunFile;

use super::{Exit, Failed, load};

/// A way to the running host.
pub struct HostClient {
    http: Client,
    base: String,
}

impl HostClient {
    /// The host that runs with this configuration.
    pub fn find(path: &Path) -> Result<Self, Failed> {
        let data_dir = load(path)?.host.data_dir;
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
        Ok(Self { http, base: format!("http://{}", run.address) })
    }

    /// Reads a route.
    pub async fn get(&self, path: &str) -> Result<Value, Failed> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await;
        self.json(answer).await.map(|(_, body)| body)
    }

    /// Posts JSON; gives the HTTP status with the answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value), Failed> {
        let answer = self.http.post(format!("{}{path}", self.base)).json(body).send().await;
        self.json(answer).await
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
