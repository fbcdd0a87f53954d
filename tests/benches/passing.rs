//! Rows 3 and 4: what passes the switch between two plugins, timed by one of them (the fixture `stopwatch`), which also
//! times the same without a switch, on the same threads.

use serde_json::json;
use switchboard_tests::{Setup, TestHost};

use crate::{
    measure::{Pair, by_turns},
    table::Row,
};

const PLUGINS: &str = "[plugins.faulty]\n[plugins.stopwatch]\n";

pub fn calls(rounds: usize) -> Vec<Row> {
    let host = start();
    let compare = |reference| compare(&host, rounds, 2000, "call", reference);
    vec![
        Row::ratio(3, "typed call of 200 bytes; spawn elsewhere, await", "us", compare("bare_spawn"), 2.0),
        Row::comparison(3, "the same; with the JSON of the call", "us", compare("bare_spawn_with_json")),
    ]
}

pub fn frames(rounds: usize) -> Vec<Row> {
    let host = start();
    let round_trip = compare(&host, rounds, 2000, "round_trip", "bare_round_trip");
    let flow = compare(&host, rounds, 20_000, "flow", "bare_flow");
    vec![
        Row::ratio(4, "stream frame, there and back; tokio mpsc", "us", round_trip, 2.0),
        Row::ratio(4, "the same, as fast as they flow", "us", flow, 2.0),
    ]
}

fn start() -> TestHost {
    let host = Setup::new(PLUGINS).start();
    host.wait_for_status("stopwatch", "connected");
    host
}

fn compare(host: &TestHost, rounds: usize, count: u32, ours: &str, reference: &str) -> Pair {
    by_turns(rounds, || time(host, ours, count), || time(host, reference, count))
}

/// Microseconds for one.
fn time(host: &TestHost, subject: &str, count: u32) -> f64 {
    let response = host.call("stopwatch", "time", &json!({ "subject": subject, "count": count }));
    assert_eq!(response.status, 200, "{}", response.body);
    response.json()["ns"].as_f64().expect("it tells nanoseconds") / 1000.0 / f64::from(count)
}
