//! Row 1: what a health read costs the host's process, beside a bare axum route that serves the same bytes and headers.
//! Both are processes of their own; what they use of the processors is counted, not how long the client waits.

use std::{fs, thread};

use switchboard_tests::{
    Setup, TestHost,
    artifacts::repository,
    http::{self, Response},
};

use crate::{
    bare::{Answer, Bare},
    client::Client,
    cpu,
    measure::{Pair, by_turns},
    processors,
    table::Row,
};

/// Requests in a round, on each of the connections.
const READS: u32 = 1000;
const CONNECTIONS: usize = 4;

/// Headers that hyper writes by itself.
const BY_HYPER: [&str; 3] = ["date", "content-length", "connection"];

/// The routes, and the budget of each.
const ROUTES: [(&str, &str); 2] =
    [("GET /api/health", "/api/health"), ("GET /api/health/integrations", "/api/health/integrations")];

/// Where the bare server answers 304.
const UNCHANGED: &str = "/unchanged";

pub fn reads(rounds: usize) -> Vec<Row> {
    let mut host = shipped();
    let process = host.process().id();
    let etag = etag(&host);
    let unchanged = host.request("GET", ROUTES[1].1, &[("if-none-match", &etag)], None);
    assert_eq!(unchanged.status, 304, "nothing has changed since");
    let mut answers: Vec<_> = ROUTES.iter().map(|(_, path)| answer(path, host.get(path))).collect();
    answers.push(answer(UNCHANGED, unchanged));
    let bare = Bare::start(&answers);
    answers.iter().for_each(|answer| check(answer, &bare));
    let ours = Server { address: host.address().to_owned(), process };
    let reference = Server { address: bare.address().to_owned(), process: bare.process() };
    measure_apart(&ours, &reference, &etag, rounds)
}

/// A process that answers.
struct Server {
    address: String,
    process: u32,
}

/// Both servers on one processor, who asks them on another; what this process starts later stays free.
fn measure_apart(ours: &Server, reference: &Server, etag: &str, rounds: usize) -> Vec<Row> {
    [ours, reference].into_iter().for_each(|server| processors::bind(server.process, |_| 0));
    thread::scope(|scope| {
        let measuring = scope.spawn(|| {
            processors::bind_this(1);
            measure(ours, reference, etag, rounds)
        });
        measuring.join().expect("it measures to the end")
    })
}

fn measure(ours: &Server, reference: &Server, etag: &str, rounds: usize) -> Vec<Row> {
    let compare = |path: &str, bare_path: &str, status: u16| {
        let headers = [("if-none-match", etag)];
        let headers = if status == 304 { &headers[..] } else { &[] };
        let client = |server: &Server, path| Client::new(&server.address, path, headers, CONNECTIONS, status);
        let (mut to_ours, mut to_bare) = (client(ours, path), client(reference, bare_path));
        by_turns(rounds, || cost(ours.process, &mut to_ours), || cost(reference.process, &mut to_bare))
    };
    let row = |what: &str, pair: Pair, limit| Row::ratio(1, &format!("{what}, CPU"), "us", pair, limit);
    let full = ROUTES.map(|(what, path)| row(what, compare(path, path, 200), 1.2));
    let not_modified = row("the same, not modified: 304", compare(ROUTES[1].1, UNCHANGED, 304), 1.1);
    full.into_iter().chain([not_modified]).collect()
}

/// A host with the configuration that ships, once everything has settled.
fn shipped() -> TestHost {
    let text = fs::read_to_string(repository().join("plugins.toml")).expect("the repository ships one");
    let host = Setup::new(&text).start();
    host.wait_until_ready();
    host
}

fn etag(host: &TestHost) -> String {
    host.get(ROUTES[1].1).header("etag").expect("every health route has one").to_owned()
}

fn answer(path: &str, response: Response) -> Answer {
    let Response { status, headers, body } = response;
    let headers = headers.into_iter().filter(|(name, _)| !BY_HYPER.contains(&name.as_str())).collect();
    Answer { path: path.to_owned(), status, headers, body }
}

/// The bare server must answer the same, or nothing is compared.
fn check(answer: &Answer, bare: &Bare) {
    let response = http::request(bare.address(), "GET", &answer.path, &[], None).expect("it answers");
    let Response { status, mut headers, body } = response;
    headers.retain(|(name, _)| !BY_HYPER.contains(&name.as_str()));
    assert_eq!((status, &headers, &body), (answer.status, &answer.headers, &answer.body));
}

/// Microseconds on a processor for one request.
fn cost(process: u32, client: &mut Client) -> f64 {
    let before = cpu::time(process);
    for _ in 0..READS {
        client.ask();
    }
    (cpu::time(process) - before) as f64 / 1000.0 / f64::from(READS) / CONNECTIONS as f64
}
