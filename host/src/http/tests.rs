//! Stories told through the router, with the exact answers.

mod reads;
mod refusals;
mod advice;
mod polling;
mod events;
mod openapi;
mod writes;
mod process;
mod pages;
mod access;
mod stamps;
mod serving;

use std::{net::SocketAddr, sync::Mutex, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use jiff::SignedDuration;
use plugin_api::{error::Failure, manifest::Kind};
use tower::ServiceExt as _;

use super::*;
use crate::status::{BoardConfig, DependencySpec, Event, PluginSpec, StartReport};

/// A host whose clock stands still.
struct Host {
    board: Board,
    draining: watch::Sender<bool>,
    operations: Arc<FakeOperations>,
    routes: Routes,
    router: Router,
}

/// Notes what was called, and answers what it was told to.
#[derive(Default)]
struct FakeOperations {
    calls: Mutex<Vec<String>>,
    answer: Mutex<Option<Result<String, OperationError>>>,
    /// What a probe finds out.
    board: Mutex<Option<(Board, String, Event)>>,
}

impl Operations for FakeOperations {
    fn call(&self, header: CallHeader, payload: Bytes) -> BoxFuture<'_, Result<Vec<u8>, OperationError>> {
        let CallHeader { plugin, operation, .. } = header;
        let payload = String::from_utf8_lossy(&payload).into_owned();
        self.calls.lock().unwrap().push(format!("{plugin}.{operation} {payload}"));
        if let Some((board, name, event)) = self.board.lock().unwrap().take() {
            board.apply(&name, event, now());
        }
        let answer = self.answer.lock().unwrap().clone().unwrap_or(Ok("null".to_owned()));
        Box::pin(async { answer.map(String::into_bytes) })
    }

    fn ask_guard(
        &self,
        header: CallHeader,
        payload: Bytes,
    ) -> BoxFuture<'_, Result<Vec<u8>, OperationError>> {
        self.call(header, payload)
    }

    fn open(&self, header: CallHeader, _: Bytes) -> BoxFuture<'_, Result<PipeEnd, OperationError>> {
        Box::pin(async move { Err(OperationError::not_found(format!("no stream `{}`", header.operation))) })
    }
}

fn now() -> Timestamp {
    "2026-11-22T23:50:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn board(plugins: Vec<PluginSpec>) -> Board {
    let (boot_id, version) = ("k3v9".to_owned(), "0.1.0".to_owned());
    Board::new(BoardConfig { boot_id, version, plugins, now: ago(3600) })
}

impl Host {
    fn new(plugins: Vec<PluginSpec>) -> Self {
        Self::with_access(plugins, AccessSettings::default())
    }

    fn with_access(plugins: Vec<PluginSpec>, access: AccessSettings) -> Self {
        let (board, draining) = (board(plugins), watch::Sender::new(false));
        let operations = Arc::new(FakeOperations::default());
        let routes = Routes::default();
        let state = HttpState {
            board: board.clone(),
            routes: routes.clone(),
            operations: operations.clone(),
            registry: prometheus::Registry::new(),
            draining: draining.subscribe(),
            access,
            operators: Operators::default(),
            clock: now,
        };
        Self { board, draining, operations, routes, router: router(state) }
    }

    /// Everything works.
    fn connected() -> Self {
        let host = Self::new(vec![database(), service("memory_service", &["database"])]);
        host.connect("database");
        host.connect("memory_service");
        host.board.set_start(StartReport {
            waves: vec![vec!["database".to_owned()], vec!["memory_service".to_owned()]],
            critical_path: vec!["database".to_owned(), "memory_service".to_owned()],
            total_ms: Some(40.5),
        });
        host.board.tick(now());
        host
    }

    /// A cause with victims, missing settings that hold another, a consent that is missing, a library that is broken.
    fn troubled() -> Self {
        let host = Self::new(vec![
            database(),
            integration("google_calendar"),
            integration("smtp"),
            integration("twilio"),
            PluginSpec::new("acme"),
            service("messaging_service", &["twilio_service", "?database", "?scheduler_service"]),
            service("newsletter_service", &["smtp"]),
            service("twilio_service", &["twilio"]),
        ]);
        for name in ["database", "messaging_service", "twilio_service"] {
            host.connect(name);
        }
        host.fail("twilio", Failure::timeout("no answer within 2 s"));
        let consent = Failure::consent_required("configured, but nobody has authorised it yet");
        host.fail("google_calendar", consent.href("/api/calendar/oauth/start"));
        let missing = vec!["SMTP_SERVER".to_owned(), "SMTP_FROM_EMAIL".to_owned()];
        host.apply("smtp", Event::NotConfigured { missing, message: None });
        host.apply("newsletter_service", Event::Held { causes: vec!["smtp".to_owned()] });
        let message = "`libacme.so` is a text file, not a library".to_owned();
        host.apply("acme", Event::LoadFailed { message, fix: "Rebuild or upgrade the library".to_owned() });
        host.board.tick(now());
        host
    }

    fn apply(&self, name: &str, event: Event) {
        self.board.apply(name, event, ago(3598));
    }

    fn connect(&self, name: &str) {
        self.apply(name, Event::InitStarted { generation: 1, attempt: 1 });
        self.apply(name, Event::InitSucceeded { took: Duration::from_millis(20) });
        let (waited, init) = (Duration::ZERO, Some(Duration::from_millis(20)));
        self.apply(name, Event::Settled { waited, init });
    }

    fn fail(&self, name: &str, failure: Failure) {
        self.apply(name, Event::InitStarted { generation: 1, attempt: 1 });
        self.apply(name, Event::InitFailed { failure, next_attempt_at: None });
    }

    /// Sends a request from this machine, unless it says from where.
    async fn send(&self, mut request: Request<Body>) -> Response {
        let here = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000)));
        request.extensions_mut().get_or_insert(here);
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::read(self.send(Request::get(path).body(Body::empty()).unwrap()).await).await
    }

    async fn get_if_none_match(&self, path: &str, etag: &str) -> Answer {
        let request = Request::get(path).header(header::IF_NONE_MATCH, etag).body(Body::empty()).unwrap();
        Answer::read(self.send(request).await).await
    }

    /// Posts as the command line does; `headers` replace or add to its own.
    async fn post(&self, path: &str, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut request = Request::post(path)
            .header(header::HOST, "127.0.0.1:8080")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        for (name, value) in headers {
            if value.is_empty() {
                request.headers_mut().remove(*name);
            } else {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
        }
        Answer::read(self.send(request).await).await
    }
}

fn database() -> PluginSpec {
    PluginSpec { required: true, ..integration("database") }
}

fn integration(name: &str) -> PluginSpec {
    PluginSpec {
        kind: Some(Kind::Integration),
        version: Some("0.1.0".to_owned()),
        probe_interval: Some(Duration::from_secs(7200)),
        max_attempts: 5,
        ..PluginSpec::new(name)
    }
}

/// With `?` in front, a dependency is only wanted; `scheduler_service` is named by no plugins.toml here.
fn service(name: &str, dependencies: &[&str]) -> PluginSpec {
    let dependency = |written: &&str| {
        let name = written.trim_start_matches('?');
        let (required, named) = (!written.starts_with('?'), name != "scheduler_service");
        DependencySpec { name: name.to_owned(), required, named }
    };
    PluginSpec {
        kind: Some(Kind::Service),
        version: Some("0.2.0".to_owned()),
        dependencies: dependencies.iter().map(dependency).collect(),
        max_attempts: 5,
        ..PluginSpec::new(name)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: String,
}

impl Answer {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Self { status: parts.status, headers: parts.headers, body }
    }

    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, content type and body, for comparison with what is expected.
    #[track_caller]
    fn check(&self, expected: expect_test::Expect) {
        let content_type = self.header(header::CONTENT_TYPE);
        let status = self.status.as_u16();
        // Random, and nobody's to expect; that it is there is one of the tests.
        let id = format!(",\"request_id\":\"{}\"", self.header("x-request-id"));
        let body = self.body.replacen(&id, "", 1);
        let body = if content_type.contains("json") { spread(&body) } else { body };
        expected.assert_eq(&format!("{status} {content_type}\n{body}\n"));
    }
}

/// JSON with its members as they stand, those of the outer levels on a line each.
fn spread(json: &str) -> String {
    const LEVELS: usize = 3;
    let (mut text, mut depth, mut in_string, mut escaped) = (String::new(), 0, false, false);
    let line = |text: &mut String, depth: usize| {
        if depth <= LEVELS {
            text.push('\n');
            text.push_str(&"  ".repeat(depth));
        }
    };
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            text.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        in_string = character == '"';
        if matches!(character, '}' | ']') {
            depth -= 1;
            if !text.ends_with(['{', '[']) {
                line(&mut text, if depth < LEVELS { depth } else { usize::MAX });
            }
        }
        text.push(character);
        match character {
            '{' | '[' => {
                depth += 1;
                if !matches!(characters.peek(), Some('}' | ']')) {
                    line(&mut text, depth);
                }
            }
            ',' => line(&mut text, depth),
            _ => {}
        }
    }
    text
}
