//! Row 2: how long a health read takes while every plugin hangs or blocks its thread, beside the same host while all is
//! well; and whether ten thousand reads make anybody ask a plugin anything.

use std::{fmt::Write as _, time::Instant};

use serde_json::json;
use switchboard_tests::{Setup, TestHost, wait::wait_until};

use crate::{
    client::Client,
    measure::{by_turns, percentile},
    table::Row,
};

/// All reads, in however many rounds.
const READS: usize = 10_000;

/// What the plugins of a host do; plugins that block cannot be asked how often they were.
const HANG: [(&str, bool); 3] = [
    ("init = \"hang\"", true),
    // It settles by its init, and its first probe never ends.
    ("probe = \"hang\"", true),
    ("init = \"block\"", false),
];
const WELL: [(&str, bool); 3] = [("", true); 3];

/// Plugins of each kind.
const OF_A_KIND: usize = 4;

const PATH: &str = "/api/health/integrations";

pub fn reads(rounds: usize) -> Vec<Row> {
    let (bad, well) = (start(HANG), start(WELL));
    wait_until("every plugin to hang", || asked(&bad, HANG), |asked| *asked == 3 * OF_A_KIND as u64);
    let before = (asked(&bad, HANG), asked(&well, WELL));
    let each = READS.div_ceil(rounds);
    let client = |host: &TestHost| Client::new(host.address(), PATH, &[], 1, 200);
    let (mut ours, mut reference) = (client(&bad), client(&well));
    let pair = by_turns(rounds, || slowest(&mut ours, each), || slowest(&mut reference, each));
    let after = (asked(&bad, HANG), asked(&well, WELL));
    let caused = (after.0 - before.0) + (after.1 - before.1);
    vec![
        Row::ratio(2, "health reads while every plugin hangs, p99", "us", pair, 1.2),
        Row::limit(2, "probes caused by 10,000 of them", "", caused as f64, 0.0),
    ]
}

/// A host whose plugins begin no probe by the clock during the run: one under way never ends.
fn start(kinds: [(&str, bool); 3]) -> TestHost {
    let mut text = String::new();
    for (kind, (settings, _)) in kinds.iter().enumerate() {
        for number in 0..OF_A_KIND {
            let interval = if settings.starts_with("probe") { "1s" } else { "1h" };
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "[plugins.p{kind}_{number}]\nlibrary = \"faulty\"\ninit = {{ timeout = \"1h\" }}\n\
                 probe = {{ interval = \"{interval}\", timeout = \"1h\" }}\nsettings = {{ {settings} }}\n"
            );
        }
    }
    Setup::new(&text).start()
}

/// How often the plugins that can be asked were asked to come up or to answer a probe.
fn asked(host: &TestHost, kinds: [(&str, bool); 3]) -> u64 {
    let kinds = kinds.iter().enumerate().filter(|(_, (_, answers))| *answers);
    let names = kinds.flat_map(|(kind, _)| (0..OF_A_KIND).map(move |number| format!("p{kind}_{number}")));
    let count = |name: String| {
        let response = host.call(&name, "counts", &json!({}));
        assert_eq!(response.status, 200, "{}", response.body);
        let counts = response.json();
        counts["inits"].as_u64().unwrap_or(0) + counts["probes"].as_u64().unwrap_or(0)
    };
    names.map(count).sum()
}

/// The 99th percentile of so many reads, in microseconds.
fn slowest(client: &mut Client, reads: usize) -> f64 {
    let read = |_| {
        let began = Instant::now();
        client.ask();
        began.elapsed().as_secs_f64() * 1e6
    };
    percentile((0..reads).map(read).collect(), 0.99)
}
