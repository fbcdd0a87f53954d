//! Those who follow health by events: cut at any line they miss and repeat nothing, and they keep no host from stopping.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    events::{Event, EventClient},
    flip::{STATUSES, flip},
    partners::free_port,
    trials,
};

pub fn tests() -> Vec<Trial> {
    trials![
        a_client_that_is_cut_a_hundred_times_misses_and_repeats_nothing,
        so_does_one_that_needs_a_token,
        without_the_token_nobody_learns_why,
        a_restart_is_told_by_a_resync,
        a_stop_ends_the_streams_and_does_not_wait_for_them,
    ]
}

const CUTS: usize = 100;
const TOKEN: &str = "correct-horse-battery-staple";
const BEARER: (&str, &str) = ("authorization", "Bearer correct-horse-battery-staple");

fn setup() -> Setup {
    Setup::new("[host]\nshutdown_grace = \"20s\"\n[plugins.faulty]\nprobe = { interval = \"1h\" }\n")
}

/// Listens beyond loopback, so that everybody needs the token.
fn with_token() -> TestHost {
    setup().env("SWITCHBOARD_TOKEN", TOKEN).env("SWITCHBOARD_LISTEN", "0.0.0.0:0").start()
}

fn wait_until_connected(host: &TestHost) {
    host.wait_until_ready();
    host.wait_for_status("faulty", "connected");
}

fn a_client_that_is_cut_a_hundred_times_misses_and_repeats_nothing() {
    cut_a_hundred_times(&setup().start(), &[]);
}

fn so_does_one_that_needs_a_token() {
    cut_a_hundred_times(&with_token(), &[BEARER]);
}

fn cut_a_hundred_times(host: &TestHost, headers: &[(&str, &str)]) {
    wait_until_connected(host);
    let mut client = EventClient::new(host.address(), headers);
    let first = client.next_event();
    assert_eq!(first.kind, "snapshot");
    let seen_enough = AtomicBool::new(false);
    let mut events = vec![first];
    thread::scope(|scope| {
        let flips = scope.spawn(|| {
            let mut turns = 0;
            while !seen_enough.load(Ordering::Relaxed) {
                flip(host, headers, turns);
                turns += 1;
            }
            turns
        });
        for cut in 0..CUTS {
            // Between events, in the middle of one, before anything came: every line has its turn.
            events.extend(client.read_lines(cut * 7 % 13));
            client.cut();
        }
        seen_enough.store(true, Ordering::Relaxed);
        let turns = flips.join().expect("it flips to the end");
        assert!(turns >= CUTS / 5, "{turns} transitions prove nothing");
        while transitions(&events).count() < turns {
            events.push(client.next_event());
        }
        // Another one shows that nothing is repeated behind the last.
        flip(host, headers, turns);
        while transitions(&events).count() < turns + 1 {
            events.push(client.next_event());
        }
    });
    assert!(events.iter().all(|event| event.kind != "resync"), "everything could be replayed");
    for (turn, event) in transitions(&events).enumerate() {
        let (from, to) = (STATUSES[(turn + 1) % 2], STATUSES[turn % 2]);
        assert_eq!((&event.data["from"], &event.data["to"]), (&json!(from), &json!(to)), "number {turn}");
    }
    let revisions: Vec<_> = transitions(&events).map(revision).collect();
    assert!(revisions.is_sorted_by(|one, next| one < next), "in order, and each once: {revisions:?}");
}

fn transitions(events: &[Event]) -> impl Iterator<Item = &Event> {
    events.iter().filter(|event| event.kind == "transition")
}

/// The number in the id.
fn revision(event: &Event) -> u64 {
    let (_, revision) = event.id.rsplit_once('-').expect("an id is `<boot>-<revision>`");
    revision.parse().expect("a revision is a number")
}

fn without_the_token_nobody_learns_why() {
    let host = with_token();
    host.wait_until_ready();
    let mut client = EventClient::new(host.address(), &[]);
    let mut operator = EventClient::new(host.address(), &[BEARER]);
    let (picture, full) = (client.next_event(), operator.next_event());
    assert_eq!(keys(&picture.data), ["integrations", "services", "status"]);
    assert_eq!(keys(&picture.data["integrations"]["faulty"]), ["healthy", "kind", "name", "since", "status"]);
    assert!(full.data["edges"].is_array(), "{full:?}");
    flip(&host, &[BEARER], 0);
    let change = next_transition(&mut client);
    assert_eq!(keys(&change.data), ["healthy", "kind", "name", "overall", "since", "status"]);
    assert_eq!(change.data["overall"], "degraded");
    let told = next_transition(&mut operator);
    assert_eq!((&told.data["code"], &told.id), (&json!("consent_required"), &change.id));
    let faulty = host.request("GET", "/api/health/integrations/faulty", &[BEARER], None).json();
    let remembered = faulty["history"].as_array().and_then(|history| history.last()).expect("a history");
    for key in keys(remembered) {
        assert_eq!(told.data[key], remembered[key], "{key}: a line of the history");
    }
}

fn next_transition(client: &mut EventClient) -> Event {
    loop {
        let event = client.next_event();
        if event.kind == "transition" {
            return event;
        }
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn a_restart_is_told_by_a_resync() {
    let host = setup().env("SWITCHBOARD_LISTEN", &format!("127.0.0.1:{}", free_port()));
    let host = host.start();
    wait_until_connected(&host);
    let mut client = EventClient::new(host.address(), &[]);
    let before = client.next_event();
    let host = host.kill().start();
    client.cut();
    let after = client.next_event();
    assert_eq!((before.kind.as_str(), after.kind.as_str()), ("snapshot", "resync"));
    let boot = host.get("/api/health").json()["boot_id"].as_str().map(str::to_owned);
    assert_eq!(after.id.rsplit_once('-').map(|(boot, _)| boot), boot.as_deref());
    assert!(after.data["integrations"]["faulty"].is_object(), "{after:?}");
}

fn a_stop_ends_the_streams_and_does_not_wait_for_them() {
    let host = setup().start();
    wait_until_connected(&host);
    let mut clients: Vec<_> = (0..20).map(|_| EventClient::new(host.address(), &[])).collect();
    for client in &mut clients {
        assert_eq!(client.next_event().kind, "snapshot");
    }
    let (finished, _) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!finished.stderr.contains("did not end within"), "{finished:?}");
    assert!(!finished.stdout.contains("did not end within"), "{finished:?}");
    for mut client in clients {
        client.read_to_end().expect("it has an end");
    }
}
