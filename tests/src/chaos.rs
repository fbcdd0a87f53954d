//! A seed becomes random faults and work, and a judgement on what was promised: `tests/examples/chaos/README.md` tells it
//! for people. One round starts hosts and partners, lets people and operators use them while everything fails at random,
//! heals all of it, waits until nothing is left to be done, and checks the invariants.

/// A seed becomes what is done, and when.
mod plan;
/// What happened, in order.
mod history;
/// Twilio's REST: takes messages, and fails as it is told.
mod carrier;
/// A model that repeats what it is told, and calls a tool if a goal says so.
mod model;
/// The hosts, what they connect to, and the ways between them.
mod world;
/// People who text, jobs, and actions that two persons decide at once.
mod workload;
/// The faults of a plan are done.
mod nemesis;
/// What must be true in the end.
mod invariants;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

pub use plan::{Database, Plan};

use crate::partners::Missing;
use history::History;
use world::World;

/// How a round went.
#[derive(Debug)]
pub struct Round {
    /// The seed that draws the same plan again.
    pub seed: u64,
    /// The database of its hosts.
    pub database: Database,
    /// How long it took.
    pub took: Duration,
    /// What was done, for people.
    pub counts: String,
    /// What was broken, an entry each; empty if all is well.
    pub violations: Vec<String>,
    /// Where logs and history were kept, if something was broken.
    pub folder: Option<PathBuf>,
}

/// One round.
///
/// # Errors
/// If a partner is not installed.
///
/// # Panics
/// If a partner, or the machinery of the test, fails.
pub fn round(seed: u64, database: Database) -> Result<Round, Missing> {
    let begun = Instant::now();
    let plan = Plan::draw(seed, database);
    let history = History::new(begun);
    let world = World::start(&plan, &history)?;
    let work = workload::Work::prepare(&plan)?;
    let done = std::thread::scope(|scope| {
        let working = scope.spawn(|| work.run(&plan, &world, &history));
        nemesis::run(&plan, &world, &history);
        world.heal();
        history.note("healed".to_owned());
        working.join().expect("no client panics")
    });
    let settled = invariants::settle(&world, &done, &history);
    let checked = if settled { invariants::check(&world, &done, &history) } else { String::new() };
    let violations = history.violations();
    let folder = world.end(&history, &plan, !violations.is_empty());
    let counts = format!("{}; {checked}", done.counts());
    Ok(Round { seed, database, took: begun.elapsed(), counts, violations, folder })
}
