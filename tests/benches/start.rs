//! Row 5: how long the lifecycle takes to start a thousand plugins that depend on each other, beside their critical path:
//! the chain of plugins, each waiting for the one before, whose own starts took longest. The plugins are fakes in this
//! process, and measure their own starts; supervisors, board and clock are the real ones.

mod world;

use std::{collections::HashMap, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    measure::{Pair, median},
    table::Row,
};

use world::World;

const PLUGINS: usize = 1000;
/// Each depends on up to so many ...
const DEPENDENCIES: usize = 3;
/// ... of so many before it.
const REACH: usize = 60;
/// The longest start, in milliseconds.
const LONGEST: u64 = 50;

/// The dependencies of each plugin, all of them before it, and how long its start takes.
pub struct Plan {
    pub dependencies: Vec<Vec<usize>>,
    pub delays: Vec<Duration>,
}

pub fn thousand(rounds: usize) -> Vec<Row> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let (mut ours, mut paths) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let plan = plan(round as u64);
        let (took, starts) = runtime.block_on(World::new(&plan).run());
        ours.push(took.as_secs_f64() * 1000.0);
        paths.push(critical_path(&plan, &starts).as_secs_f64() * 1000.0);
    }
    let pair = Pair { ours: median(ours), reference: median(paths) };
    vec![Row::ratio(5, "start of 1,000 plugins; their critical path", "ms", pair, 1.05)]
}

/// The same for the same round, on every machine.
fn plan(round: u64) -> Plan {
    let mut random = StdRng::seed_from_u64(round);
    let dependencies = |plugin: usize| {
        let count = random.random_range(0..=DEPENDENCIES.min(plugin));
        (0..count).map(|_| random.random_range(plugin.saturating_sub(REACH)..plugin)).collect()
    };
    let mut dependencies: Vec<Vec<usize>> = (0..PLUGINS).map(dependencies).collect();
    for of_one in &mut dependencies {
        of_one.sort_unstable();
        of_one.dedup();
    }
    let delays = (0..PLUGINS).map(|_| Duration::from_millis(random.random_range(1..=LONGEST))).collect();
    Plan { dependencies, delays }
}

/// The longest chain, by how long the starts really took.
fn critical_path(plan: &Plan, starts: &HashMap<usize, Duration>) -> Duration {
    let mut ends: Vec<Duration> = Vec::new();
    for (plugin, dependencies) in plan.dependencies.iter().enumerate() {
        let begin = dependencies.iter().map(|on| ends[*on]).max().unwrap_or_default();
        ends.push(begin + starts[&plugin]);
    }
    ends.into_iter().max().unwrap_or_default()
}
