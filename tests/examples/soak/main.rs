//! A soak, a command of its own: `cargo run -p switchboard-tests --example soak -- --minutes 15`, which is what it takes
//! when nothing is said. Three fifths of the time one host stays under load while its plugins misbehave and are restarted:
//! its memory must stay flat, and no descriptor be left over. For another fifth its log stalls, fails and recovers: it
//! answers all the time. Then it is killed and stopped alternately: nothing is lost.

/// One host under load for long.
mod steady;
/// One host whose log goes nowhere for a while, again and again.
mod sinks;
/// Many lives of one host.
mod lives;

use std::time::{Duration, Instant};

const MINUTES: u64 = 15;

fn main() {
    let time = Duration::from_secs(60 * minutes());
    let begun = Instant::now();
    steady::run(begun, time * 3 / 5);
    sinks::run(begun + time * 4 / 5);
    lives::run(begun + time);
    println!("the soak has passed");
}

/// The number behind `--minutes`.
fn minutes() -> u64 {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => MINUTES,
        (Some("--minutes"), Some(minutes)) => minutes.parse().expect("`--minutes` takes a number"),
        _ => panic!("usage: soak [--minutes N]"),
    }
}
