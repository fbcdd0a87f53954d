//! Measurements become rows of one table, and the environment one line above it.

use std::{fs, thread};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

use crate::measure::Pair;

/// A measurement beside its budget.
pub struct Row {
    number: u8,
    what: String,
    ours: String,
    reference: String,
    ratio: Option<f64>,
    budget: Option<String>,
    is_met: bool,
}

impl Row {
    /// Ours may take so many times what the reference takes.
    pub fn ratio(number: u8, what: &str, unit: &str, pair: Pair, limit: f64) -> Self {
        let row = Self::comparison(number, what, unit, pair);
        Self { budget: Some(format!("<= {limit}x")), is_met: pair.ratio() <= limit, ..row }
    }

    /// Ours beside another reference, without a budget: for who wants to know where the time goes.
    pub fn comparison(number: u8, what: &str, unit: &str, pair: Pair) -> Self {
        Self {
            number,
            what: what.to_owned(),
            ours: format!("{:.1} {unit}", pair.ours),
            reference: format!("{:.1} {unit}", pair.reference),
            ratio: Some(pair.ratio()),
            budget: None,
            is_met: true,
        }
    }

    /// There is nothing to compare with: the budget is a figure.
    pub fn limit(number: u8, what: &str, unit: &str, ours: f64, limit: f64) -> Self {
        Self {
            number,
            what: what.to_owned(),
            ours: format!("{ours:.0} {unit}"),
            reference: String::new(),
            ratio: None,
            budget: Some(format!("<= {limit:.0} {unit}")),
            is_met: ours <= limit,
        }
    }

    /// There is nothing to compare with, and no budget.
    pub fn figure(number: u8, what: &str, unit: &str, ours: f64) -> Self {
        Self { budget: None, is_met: true, ..Self::limit(number, what, unit, ours, ours) }
    }

    /// Whether it has a budget and is beyond it.
    pub fn is_missed(&self) -> bool {
        !self.is_met
    }

    fn cells(&self) -> [String; 7] {
        let verdict = match (&self.budget, self.is_met) {
            (None, _) => "",
            (Some(_), true) => "met",
            (Some(_), false) => "MISSED",
        };
        [
            self.number.to_string(),
            self.what.clone(),
            self.ours.clone(),
            self.reference.clone(),
            self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.budget.clone().unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

/// The table, as text that is Markdown, too.
pub fn render(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["row", "what", "ours", "reference", "ratio", "budget", ""]);
    table.add_rows(rows.iter().map(Row::cells));
    for number in 2..=5 {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// What the figures depend on.
pub fn environment(rounds: usize) -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let profile = if cfg!(debug_assertions) { "debug: its ratios mean nothing" } else { "optimised" };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} cores, {profile}, {rounds} rounds, medians; load of the machine before: {load}")
}
