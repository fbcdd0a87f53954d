//! The reference of health reads: an axum server with nothing but routes that answer what they were given, in a process
//! of its own, which ends with who started it.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::Response,
    routing::get,
};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// An answer, as it was read from the host.
#[derive(Serialize, Deserialize)]
pub struct Answer {
    pub path: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// The server as who started it sees it.
pub struct Bare {
    child: Child,
    address: String,
    _folder: TempDir,
}

impl Bare {
    /// Starts it with these answers.
    pub fn start(answers: &[Answer]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("answers.json");
        fs::write(&file, serde_json::to_vec(answers).expect("answers are text"))
            .expect("a file can be written");
        let this = std::env::current_exe().expect("a process knows its own file");
        let mut child = Command::new(this)
            .arg("--serve")
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this very program can be started");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut address).expect("it tells its address");
        Self { child, address: address.trim().to_owned(), _folder: folder }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the answers of a file until standard input is closed. The runtime is built as the host's.
pub fn serve(file: &Path) {
    let text = fs::read(file).expect("the file can be read");
    let answers: Vec<Answer> = serde_json::from_slice(&text).expect("it holds answers");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    runtime.spawn(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        println!("{}", listener.local_addr().expect("it is bound"));
        axum::serve(listener, router(answers)).await.expect("axum serves");
    });
    // Ends when the other process does, however that ends.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    runtime.shutdown_background();
}

fn router(answers: Vec<Answer>) -> Router {
    answers.into_iter().fold(Router::new(), |router, answer| {
        let status = StatusCode::from_u16(answer.status).expect("it came from a server");
        let headers: HeaderMap = answer.headers.iter().map(header).collect();
        let body = Bytes::from(answer.body);
        router.route(&answer.path, get(move || async move { respond(status, &headers, &body) }))
    })
}

/// With as little as possible in between.
fn respond(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Response {
    let mut response = Response::new(Body::from(body.clone()));
    *response.status_mut() = status;
    *response.headers_mut() = headers.clone();
    response
}

fn header((name, value): &(String, String)) -> (HeaderName, HeaderValue) {
    (name.parse().expect("it came from a server"), value.parse().expect("it came from a server"))
}
