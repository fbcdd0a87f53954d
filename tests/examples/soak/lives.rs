//! One host, killed and stopped alternately and started again, its plugins misbehaving at random: what was acknowledged is
//! there, and what was taken is answered.

use std::{
    collections::BTreeSet,
    thread::{self, JoinHandle},
    time::Instant,
};

use rustix::process::Signal;
use serde_json::json;
use switchboard_tests::{Setup, TestHost, footprint::Footprint, http, wait::wait_until, writers::Writers};

pub const CONFIG: &str = r#"
[host]
shutdown_grace = "25s"

[plugins.database]
required = true

[plugins.faulty]
probe = { interval = "200ms", timeout = "500ms" }
retry = { attempts = 3, base = "10ms", cap = "100ms" }
calls = { timeout = "1s" }

[plugins.unruly]
probe = { interval = "200ms", timeout = "500ms" }
retry = { attempts = 3, base = "10ms", cap = "100ms" }
calls = { timeout = "5s" }

[plugins.neighbour]
library = "faulty"
"#;

/// Faults that a plugin survives; those that block its thread cost an instance each, and five are all there are.
pub const FAULTS: [&str; 7] = [
    "\"panic\"",
    "\"garbage\"",
    "\"hang\"",
    "{\"flood\":3000}",
    "{\"slow_ms\":300}",
    "{\"fail\":{\"code\":\"unavailable\"}}",
    "\"panic_without_text\"",
];

/// How many numbers a round may write.
const IDS: u64 = 10_000_000;

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    rounds: u64,
    acknowledged: BTreeSet<u64>,
    requests: u64,
    kills: u64,
    stops: u64,
    most: Footprint,
}

/// Lives until then, one at least.
pub fn run(ends: Instant) {
    let mut setup = Setup::new(CONFIG);
    let mut seen = Seen::default();
    while seen.rounds == 0 || Instant::now() < ends {
        seen.rounds += 1;
        setup = round(setup, &mut seen);
        println!(
            "life {}: {} rows, {} requests, {} kills, {} stops, at most {} MiB and {} threads",
            seen.rounds,
            seen.acknowledged.len(),
            seen.requests,
            seen.kills,
            seen.stops,
            seen.most.memory_kib / 1024,
            seen.most.threads
        );
    }
    let host = setup.start();
    (1..=seen.rounds).for_each(|round| all_there(&host, &seen.acknowledged, round));
}

/// One life of the host: load and faults, then a kill or a stop, alternately.
fn round(setup: Setup, seen: &mut Seen) -> Setup {
    let mut host = setup.start();
    for name in ["database", "faulty", "unruly", "neighbour"] {
        host.wait_for_status(name, "connected");
    }
    all_there(&host, &seen.acknowledged, seen.rounds - 1);
    let writers = Writers::start(&host, 8, "ledger", IDS * seen.rounds);
    for fault in FAULTS {
        misbehave(&host, fault);
        seen.requests += 3;
        unharmed(&host);
        measure(&mut host, seen);
        writers.wait_for_more(20);
    }
    // Each third life has one fault that costs an instance.
    if seen.rounds.is_multiple_of(3) {
        let generation = host.plugin("faulty")["generation"].as_u64();
        misbehave(&host, "\"block\"");
        host.wait_for_plugin("faulty", "replaced", |faulty| {
            faulty["generation"].as_u64() > generation && faulty["status"] == "connected"
        });
    }
    let setup = if seen.rounds.is_multiple_of(2) {
        seen.kills += 1;
        host.kill()
    } else {
        seen.stops += 1;
        stop_under_load(&mut host);
        let (finished, setup) = host.wait();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        setup
    };
    seen.acknowledged.extend(writers.stop());
    setup
}

pub fn misbehave(host: &TestHost, fault: &str) {
    let request = format!("{{\"fault\":{fault}}}");
    let headers = [("content-type", "application/json")];
    host.request("POST", "/api/operations/faulty/commit", &headers, Some(&request));
    let escaped: String = fault.bytes().map(|byte| format!("%{byte:02x}")).collect();
    host.get(&format!("/unruly/call?fault={escaped}"));
    // What breaks off has no whole answer.
    let _ = http::request(host.address(), "GET", &format!("/unruly/stream?late={escaped}"), &[], None);
}

#[track_caller]
pub fn unharmed(host: &TestHost) {
    for path in ["/livez", "/readyz", "/api/health/connections", "/metrics"] {
        assert_eq!(host.get(path).status, 200, "{path}");
    }
    let echoed = host.call("neighbour", "echo", &json!({"text": "well"}));
    assert_eq!(echoed.status, 200, "{}", echoed.body);
}

/// What was taken when the host was told to stop is answered whole.
fn stop_under_load(host: &mut TestHost) {
    wait_until("unruly to answer", || host.get("/unruly/call").status, |status| *status == 200);
    let before = host.output().matches("a request waits").count();
    let client = |path: &str| -> JoinHandle<Result<http::Response, String>> {
        let (address, path) = (host.address().to_owned(), path.to_owned());
        thread::spawn(move || http::request(&address, "GET", &path, &[], None))
    };
    let clients: Vec<_> = (0..10)
        .flat_map(|_| [client("/unruly/call?wait=1000"), client("/unruly/stream?wait=1000")])
        .collect();
    let taken = |output: &String| output.matches("a request waits").count() == before + 20;
    wait_until("all requests to be taken", || host.output(), taken);
    host.process().signal(Signal::TERM);
    for client in clients {
        let answer = client.join().expect("a client does not panic").expect("a whole answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// Every row that was acknowledged in a round is in the database.
#[track_caller]
fn all_there(host: &TestHost, acknowledged: &BTreeSet<u64>, round: u64) {
    host.wait_for_status("database", "connected");
    let create = json!({"sql": "create table if not exists ledger (id integer primary key)"});
    assert_eq!(host.call("database", "execute", &create).status, 200);
    let (first, next) = (IDS * round, IDS * (round + 1));
    let sql = format!("select group_concat(id) as ids from ledger where id >= {first} and id < {next}");
    let answer = host.call("database", "query", &json!({"sql": sql}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let numbers = answer.body.split(|letter: char| !letter.is_ascii_digit());
    let rows: BTreeSet<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let lost: Vec<_> = acknowledged.range(first..next).filter(|id| !rows.contains(id)).collect();
    assert!(lost.is_empty(), "acknowledged rows are lost: {lost:?}");
}

/// Memory and threads.
fn measure(host: &mut TestHost, seen: &mut Seen) {
    let now = Footprint::of(host.process().id());
    seen.most.memory_kib = seen.most.memory_kib.max(now.memory_kib);
    seen.most.threads = seen.most.threads.max(now.threads);
}
