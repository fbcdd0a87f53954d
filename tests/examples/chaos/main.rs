//! Random faults, a command of its own: `cargo run -p switchboard-tests --example chaos -- --rounds 60 --seed 1`. It prints
//! a line a round; the first round that breaks an invariant ends it with exit code 1, its seed and its folder. See
//! `README.md` beside this file.

use std::{
    collections::VecDeque,
    panic::catch_unwind,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use switchboard_tests::chaos::{self, Database, Plan, Round};

const USAGE: &str = "usage: chaos [--rounds N] [--seed N] [--database sqlite|postgresql|both] [--at-once N] \
                     [--keep-going] [--plan]";

/// What was asked for.
struct Arguments {
    rounds: u64,
    seed: u64,
    databases: Vec<Database>,
    /// How many rounds at once.
    at_once: usize,
    /// Whether further rounds follow one that broke something.
    keeps_going: bool,
    /// Prints the plans, and does nothing.
    plan: bool,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let rounds = (0..arguments.rounds).map(|round| {
        // Both by turns.
        let database = arguments.databases[round as usize % arguments.databases.len()];
        (arguments.seed + round, database)
    });
    if arguments.plan {
        rounds.for_each(|(seed, database)| println!("{}", Plan::draw(seed, database)));
        return ExitCode::SUCCESS;
    }
    let (queue, has_failed) = (Mutex::new(rounds.collect::<VecDeque<_>>()), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..arguments.at_once {
            scope.spawn(|| {
                while arguments.keeps_going || !has_failed.load(Ordering::Relaxed) {
                    let next = queue.lock().expect("no round panics").pop_front();
                    let Some((seed, database)) = next else { return };
                    let round = catch_unwind(|| chaos::round(seed, database));
                    let is_clean = match &round {
                        Ok(Ok(round)) => {
                            tell(round);
                            round.violations.is_empty()
                        }
                        Ok(Err(missing)) => {
                            println!("seed {seed}, {database:?}: {missing}");
                            false
                        }
                        // Its message and place stand above.
                        Err(_) => {
                            println!("seed {seed}, {database:?}: BROKEN by a panic, as of a host that does not start");
                            false
                        }
                    };
                    has_failed.fetch_or(!is_clean, Ordering::Relaxed);
                }
            });
        }
    });
    ExitCode::from(u8::from(has_failed.load(Ordering::Relaxed)))
}

fn tell(round: &Round) {
    let Round { seed, database, took, counts, violations, folder } = round;
    let ending =
        if violations.is_empty() { "clean".to_owned() } else { format!("{} BROKEN", violations.len()) };
    println!("seed {seed}, {database:?}, {:.0} s: {ending}; {counts}", took.as_secs_f64());
    for violation in violations {
        println!("  {violation}");
    }
    if let Some(folder) = folder {
        println!("  kept: {}", folder.display());
    }
}

fn arguments() -> Option<Arguments> {
    let both = || vec![Database::Sqlite, Database::Postgresql];
    let mut found =
        Arguments { rounds: 60, seed: 1, databases: both(), at_once: 1, keeps_going: false, plan: false };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        match name.as_str() {
            "--rounds" => found.rounds = given.next()?.parse().ok().filter(|rounds| *rounds > 0)?,
            "--seed" => found.seed = given.next()?.parse().ok()?,
            "--at-once" => found.at_once = given.next()?.parse().ok().filter(|at_once| *at_once > 0)?,
            "--keep-going" => found.keeps_going = true,
            "--plan" => found.plan = true,
            "--database" => {
                found.databases = match given.next()?.as_str() {
                    "sqlite" => vec![Database::Sqlite],
                    "postgresql" => vec![Database::Postgresql],
                    "both" => both(),
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
    Some(found)
}
