//! One host under polls, events, calls and reloads, while its plugins misbehave: what it holds of the machine when all is
//! quiet is the same early and late.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::json;
use switchboard_tests::{Setup, TestHost, footprint::Footprint, http, wait::wait_until};

use crate::lives::{CONFIG, FAULTS, misbehave, unharmed};

const POLLERS: usize = 4;
const CALLERS: usize = 2;
const FOLLOWERS: usize = 8;
const EVENTS: &str = "/api/health/events";
/// After so much, a follower goes and comes back.
const FOLLOWED: usize = 64 * 1024;

/// What memory may grow by between two quiet moments: the allocator gives little back.
const GROWTH_KIB: u64 = 24 * 1024;
/// Connections that the system has not taken down yet, and threads that are about to end.
const SLACK: u64 = 4;

/// Holds a host under load until `begun` and `time`, and compares what it held after a quarter and at the end.
pub fn run(begun: Instant, time: Duration) {
    let mut host = Setup::new(CONFIG).start();
    let table = json!({"sql": "create table soak (id integer primary key, text text not null)"});
    connected(&host);
    assert_eq!(host.call("database", "execute", &table).status, 200);
    let mut cycles = 0;
    let mut stretch = |host: &mut TestHost, until: Instant| {
        let load = Load::start(host);
        loop {
            cycles += 1;
            cycle(host, cycles);
            if Instant::now() >= until {
                break;
            }
        }
        let done = load.stop();
        let quiet = quiet(host);
        println!("after {cycles} cycles and {done}: {quiet:?}");
        quiet
    };
    let early = stretch(&mut host, begun + time / 4);
    let late = stretch(&mut host, begun + time);
    let flat = late.memory_kib <= early.memory_kib + GROWTH_KIB;
    assert!(flat, "memory grew from {} to {} KiB", early.memory_kib, late.memory_kib);
    assert!(late.descriptors <= early.descriptors + SLACK, "descriptors are left over: {early:?}, {late:?}");
    assert!(late.threads <= early.threads + SLACK, "threads are left over: {early:?}, {late:?}");
}

/// Every fault that costs no instance, and a restart by a reload.
fn cycle(host: &TestHost, number: u64) {
    for fault in FAULTS {
        misbehave(host, fault);
    }
    let changed = CONFIG
        .replace("[plugins.unruly]", &format!("settings.secret = \"secret-{number}\"\n[plugins.unruly]"));
    fs::write(host.setup().path("plugins.toml"), changed).expect("a file can be written");
    let reloaded = host.call("host", "reload", &json!({}));
    assert_eq!(reloaded.json()["changed"], json!(["faulty"]), "{}", reloaded.body);
    connected(host);
    unharmed(host);
}

fn connected(host: &TestHost) {
    for name in ["database", "faulty", "unruly", "neighbour"] {
        host.wait_for_status(name, "connected");
    }
}

/// What it holds once connections and threads of the load are gone: as many for a while.
fn quiet(host: &mut TestHost) -> Footprint {
    let process = host.process().id();
    let mut seen = (Footprint::of(process), 0);
    wait_until(
        "the host to be quiet",
        || {
            let now = Footprint::of(process);
            let same = now.descriptors >= seen.0.descriptors && now.threads >= seen.0.threads;
            seen = (now, if same { seen.1 + 1 } else { 0 });
            seen
        },
        |(_, same)| *same >= 100,
    )
    .0
}

/// Clients that ask until they are told to stop.
struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    address: String,
    ended: AtomicBool,
    polls: AtomicU64,
    calls: AtomicU64,
    events: AtomicU64,
}

/// What one client does again and again.
type Work = fn(&Shared);

impl Load {
    fn start(host: &TestHost) -> Self {
        let shared = Arc::new(Shared {
            address: host.address().to_owned(),
            ended: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            events: AtomicU64::new(0),
        });
        // A host that has no events is polled alone.
        let followers = if follows(&shared.address).is_some() { FOLLOWERS } else { 0 };
        let work: [(usize, Work); 3] = [(POLLERS, poll), (CALLERS, call), (followers, follow)];
        let clients = work.into_iter().flat_map(|(count, work)| std::iter::repeat_n(work, count));
        let threads = clients.map(|work| {
            let shared = shared.clone();
            thread::spawn(move || {
                while !shared.ended.load(Ordering::Relaxed) {
                    work(&shared);
                }
            })
        });
        Self { threads: threads.collect(), shared }
    }

    /// Ends all of them, and says what they did.
    fn stop(self) -> String {
        let Self { shared, threads } = self;
        shared.ended.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().expect("a client does not panic"));
        let [polls, calls, events] =
            [&shared.polls, &shared.calls, &shared.events].map(|count| count.load(Ordering::Relaxed));
        format!("{polls} polls, {calls} calls, {events} reads of events")
    }
}

fn poll(shared: &Shared) {
    for path in ["/api/health", "/api/health/connections", "/api/health/integrations", "/metrics"] {
        let answer =
            http::request(&shared.address, "GET", path, &[], None).expect("a host under load answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        shared.polls.fetch_add(1, Ordering::Relaxed);
    }
}

fn call(shared: &Shared) {
    let headers = [("content-type", "application/json")];
    let insert = json!({"sql": "insert into soak (text) values ('something')"}).to_string();
    for (target, body) in [("neighbour/echo", "{\"text\":\"well\"}"), ("database/execute", &insert)] {
        let path = format!("/api/operations/{target}");
        let answer = http::request(&shared.address, "POST", &path, &headers, Some(body));
        let answer = answer.expect("a host under load answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        shared.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads events for a while, and goes without a word.
fn follow(shared: &Shared) {
    let Some(mut stream) = follows(&shared.address) else { return };
    let (mut read, mut piece) = (0, [0; 4096]);
    while read < FOLLOWED && !shared.ended.load(Ordering::Relaxed) {
        match stream.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => read += length,
            // Nothing came for now.
            Err(_) => continue,
        }
        shared.events.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection on which events come; `None` if the host tells none.
fn follows(address: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).expect("the host listens");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit can be set");
    write!(stream, "GET {EVENTS} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n").ok()?;
    let mut head = [0; 12];
    wait_until("an answer", || stream.read_exact(&mut head).is_ok(), |read| *read);
    (&head == b"HTTP/1.1 200").then_some(stream)
}
