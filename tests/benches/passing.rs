//! Rows 3 and 4: what passes the switch between two plugins, timed by one of them (the fixture `stopwatch`), which also
//! times the same without a switch, on the same threads.

use serde_json::json;
use switchboard_tests::{Setup, TestHost};

use crate::{
    measure::{Pair, by_turns},
    processors,
    table::Row,
};

const PLUGINS: &str = "[plugins.faulty]\n[plugins.stopwatch]\n";

/// Where the two that talk run.
#[derive(Clone, Copy)]
enum Place {
    /// Both on one processor: what a pass costs.
    One,
    /// Each on its own: the wait for an idle processor to wake comes to it.
    Two,
}

const PLACES: [Place; 2] = [Place::One, Place::Two];

pub fn calls(rounds: usize) -> Vec<Row> {
    let mut host = start();
    PLACES.into_iter().flat_map(|place| calls_at(&mut host, place, rounds)).collect()
}

fn calls_at(host: &mut TestHost, place: Place, rounds: usize) -> [Row; 2] {
    place.bind(host);
    let on = place.words();
    let (bare, with_json) = (
        compare(host, rounds, 2000, "call", "bare_spawn"),
        compare(host, rounds, 2000, "call", "bare_spawn_with_json"),
    );
    [
        Row::ratio(3, &format!("typed call of 200 bytes; spawn elsewhere, await: {on}"), "us", bare, 2.0),
        Row::comparison(3, &format!("the same; with the JSON of the call: {on}"), "us", with_json),
    ]
}

pub fn frames(rounds: usize) -> Vec<Row> {
    let mut host = start();
    PLACES.into_iter().flat_map(|place| frames_at(&mut host, place, rounds)).collect()
}

fn frames_at(host: &mut TestHost, place: Place, rounds: usize) -> [Row; 2] {
    place.bind(host);
    let on = place.words();
    let round_trip = compare(host, rounds, 2000, "round_trip", "bare_round_trip");
    let flow = compare(host, rounds, 20_000, "flow", "bare_flow");
    [
        Row::ratio(4, &format!("stream frame, there and back; tokio mpsc: {on}"), "us", round_trip, 2.0),
        Row::ratio(4, &format!("the same, as fast as they flow: {on}"), "us", flow, 2.0),
    ]
}

impl Place {
    fn words(self) -> &'static str {
        match self {
            Self::One => "one processor",
            Self::Two => "two processors",
        }
    }

    /// `stopwatch` talks to `faulty` and, without a switch, to its thread `elsewhere`.
    fn bind(self, host: &mut TestHost) {
        processors::bind(host.process().id(), |thread| match (self, thread) {
            (Self::Two, "faulty" | "elsewhere") => 1,
            _ => 0,
        });
    }
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
