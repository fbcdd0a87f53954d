//! The host against its budgets (DESIGN 8): one table, each row beside its reference, measured alternately in the same run,
//! so that whatever disturbs the machine disturbs both. Ratios are what counts; the figures are this machine's.
//! A budget that is missed is told, and fails the command only with `--strict`.

mod arguments;
mod measure;
mod table;
mod cpu;
mod processors;
mod client;
mod bare;
mod health;
mod outage;
mod passing;
mod start;
mod cold;
mod recall;
mod steps;
mod inserting;
mod webhook;
mod telephone;
mod claims;
mod events;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use table::Row;

/// A row of the design's table, or one beyond it: its number, and what measures it in so many rounds.
type Subject = (u8, fn(usize) -> Vec<Row>);

const SUBJECTS: [Subject; 12] = [
    (1, health::reads),
    (2, outage::reads),
    (3, passing::calls),
    (4, passing::frames),
    (5, start::thousand),
    (6, cold::starts),
    (7, recall::recalls),
    (8, telephone::calls),
    (9, steps::taken),
    (10, claims::jobs),
    (11, webhook::stored),
    (12, events::delays),
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.serve {
        bare::serve(file);
        return ExitCode::SUCCESS;
    }
    if let Some(database) = &arguments.insert {
        inserting::serve(database);
        return ExitCode::SUCCESS;
    }
    println!("{}\n", table::environment(arguments.rounds));
    let mut rows = Vec::new();
    for (number, measure) in SUBJECTS {
        if arguments.wants(number) {
            eprintln!("measuring row {number}");
            rows.extend(measure(arguments.rounds));
        }
    }
    println!("{}", table::render(&rows));
    let is_missed = rows.iter().any(Row::is_missed);
    if arguments.strict && is_missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
