//! What can be asked of the benchmarks.

use std::path::PathBuf;

use clap::Parser;

/// Holds the host against its budgets, and prints one table.
#[derive(Parser)]
pub struct Arguments {
    /// Only this row, by its number: 1 to 12; may be given several times.
    #[arg(long = "row", value_parser = clap::value_parser!(u8).range(1..=12))]
    rows: Vec<u8>,

    /// How many rounds: in each, ours and the reference take turns; their medians are compared.
    #[arg(long, default_value_t = 20, value_parser = at_least_one)]
    pub rounds: usize,

    /// Fail if a budget is missed.
    #[arg(long)]
    pub strict: bool,

    /// Be the bare axum server that this file describes, for the benchmarks themselves.
    #[arg(long, hide = true)]
    pub serve: Option<PathBuf>,

    /// Be the bare axum server that inserts into this database, for the benchmarks themselves.
    #[arg(long, hide = true)]
    pub insert: Option<String>,

    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Whether this row is asked for.
    pub fn wants(&self, row: u8) -> bool {
        self.rows.is_empty() || self.rows.contains(&row)
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1".to_owned()),
        Ok(rounds) => Ok(rounds),
    }
}
