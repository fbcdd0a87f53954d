//! Answers from a serverless handler: the runtime of a provider hands over one request at a time, and nobody listens.
//! Here the runtime is a pipe, one request a line:
//! `echo '{"method":"GET","path":"/api/health"}' | cargo run -p switchboard --example serverless -- plugins.toml`.
//!
//! The first request starts the host, later ones find it running, for as long as the provider keeps the process. All
//! that must last stands in PostgreSQL; `data_dir` needs nothing but a folder that can be written, such as one below
//! `/tmp`.

use std::{
    error::Error,
    io::{BufRead, stdin},
    path::Path,
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request, Response, StatusCode, header},
};
use serde_json::{Value, json};
use switchboard::{
    app::Host,
    config::{self, Config, Environment},
};
use tower::ServiceExt;

/// The largest answer that is handed back; providers take a few megabytes.
const LARGEST: usize = 4 * 1024 * 1024;
/// So long the first request waits for plugins that start; then it tells how far they are.
const SETTLING: Duration = Duration::from_secs(5);

/// What a provider's runtime keeps between two requests.
pub struct Function {
    host: Host,
}

impl Function {
    /// Starts the host.
    pub async fn start(config: Config) -> Result<Self, Box<dyn Error>> {
        let host = Host::start(config).await?;
        host.settled(SETTLING).await;
        Ok(Self { host })
    }

    /// One request, one answer. Nobody knows who is at the other end: details are for who has the operator's token.
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Box<dyn Error>> {
        let Ok(response) = self.host.router().oneshot(request.map(Body::from)).await;
        let (head, body) = response.into_parts();
        if is_endless(&head.headers) {
            let told = "events are not told here; poll /api/health";
            return Ok(Response::builder().status(StatusCode::NOT_IMPLEMENTED).body(told.into())?);
        }
        Ok(Response::from_parts(head, to_bytes(body, LARGEST).await?))
    }

    /// Stops the plugins in their order, where a provider gives notice.
    pub async fn stop(&self) {
        self.host.stop().await;
    }
}

/// Events come as long as somebody listens: an answer that is handed back whole would never be ready.
fn is_endless(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// An event as a provider writes it -> a request.
pub fn request(event: &Value) -> Result<Request<Bytes>, Box<dyn Error>> {
    let text = |key: &str, default: &'static str| event[key].as_str().unwrap_or(default).to_owned();
    let mut request = Request::builder().method(text("method", "GET").as_str()).uri(text("path", "/"));
    for (name, value) in event["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    Ok(request.body(Bytes::from(text("body", "")))?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "plugins.toml".to_owned());
    let function = Function::start(config::load(Path::new(&path), &Environment::of_process())?).await?;
    for line in stdin().lock().lines() {
        let response = function.handle(request(&serde_json::from_str(&line?)?)?).await?;
        let body = String::from_utf8_lossy(response.body());
        println!("{}", json!({ "status": response.status().as_u16(), "body": body }));
    }
    function.stop().await;
    Ok(())
}
