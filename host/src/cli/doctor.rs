//! `switchboard doctor`: what a running host and its plugins found when they examined themselves, and what to mend.

use comfy_table::{Cell, Color, Table, presets};
use plugin_api::requests::doctor::{Check, Verdict};
use serde_json::json;
use switchboard::app::{Diagnose, Diagnosis, Subject, output};

use super::{
    Exit, Failed, Source,
    client::{HostClient, Reach},
    runtime, show,
};

/// Examines, and prints what was found. With `send`, what others see is done too, once it was said.
pub fn doctor(
    source: &Source,
    plugins: &[String],
    send: bool,
    json: bool,
    reach: Reach,
) -> Result<Exit, Failed> {
    runtime()?.block_on(async {
        let host = HostClient::find(source, reach)?;
        let plugins = plugins.to_vec();
        let mut diagnosis: Diagnosis =
            host.ask("doctor", &json!(Diagnose { effects: false, plugins })).await?;
        let waiting = if send { waiting(&diagnosis) } else { Vec::new() };
        if !waiting.is_empty() {
            announce(&diagnosis);
            let request = Diagnose { effects: true, plugins: waiting };
            diagnosis = with(diagnosis, host.ask("doctor", &json!(request)).await?);
        }
        match json {
            true => show(format_args!("{:#}", json!(diagnosis))),
            false => print(&diagnosis),
        }
        Ok(if diagnosis.passed { Exit::Success } else { Exit::Failed })
    })
}

/// The plugins with a check that waits for consent.
fn waiting(diagnosis: &Diagnosis) -> Vec<String> {
    let waits = |subject: &&Subject| subject.checks.iter().any(|check| check.has_effect);
    diagnosis.subjects.iter().filter(waits).map(|subject| subject.name.clone()).collect()
}

/// Says what is about to be done that others see. Not among what was found, which a program may read.
fn announce(diagnosis: &Diagnosis) {
    for (subject, check) in checks(diagnosis).filter(|(_, check)| check.has_effect) {
        let (name, seen) = (&subject.name, &check.seen);
        output::stderr().say(format_args!("with your consent (`--send`), {name}: {seen}"));
    }
}

/// What was found later counts in the place of what was found before.
fn with(before: Diagnosis, later: Diagnosis) -> Diagnosis {
    let newest = |subject: Subject| {
        let again = later.subjects.iter().find(|other| other.name == subject.name);
        again.cloned().unwrap_or(subject)
    };
    Diagnosis::of(before.subjects.into_iter().map(newest).collect())
}

fn print(diagnosis: &Diagnosis) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["PLUGIN", "CHECK", "RESULT", "SEEN"]);
    for (subject, check) in checks(diagnosis) {
        let verdict = Cell::new(check.verdict.as_str()).fg(colour(check.verdict));
        let [name, check_name, seen] = [&subject.name, &check.name, &check.seen].map(Cell::new);
        table.add_row([name, check_name, verdict, seen]);
    }
    show(format_args!("{}\n", table.trim_fmt()));
    fixes("To fix:", diagnosis, |check| check.verdict == Verdict::Failed);
    fixes("To complete:", diagnosis, |check| check.verdict == Verdict::Skipped);
    let count = |verdict| checks(diagnosis).filter(|(_, check)| check.verdict == verdict).count();
    let [ok, failed, skipped] = [Verdict::Ok, Verdict::Failed, Verdict::Skipped].map(count);
    show(format_args!("{ok} ok, {failed} failed, {skipped} skipped"));
}

/// The steps for these checks; several checks may need the same one.
fn fixes(title: &str, diagnosis: &Diagnosis, of: impl Fn(&Check) -> bool) {
    let wanted = checks(diagnosis).filter(|(_, check)| of(check));
    let mut lines: Vec<String> = wanted.filter_map(|(subject, check)| line(subject, check)).collect();
    lines.dedup();
    if !lines.is_empty() {
        show(title);
        lines.iter().for_each(|line| show(format_args!("  {line}")));
        show("");
    }
}

fn line(subject: &Subject, check: &Check) -> Option<String> {
    let effect = check.has_effect.then(|| format!("`switchboard doctor --send` does it ({})", check.name));
    Some(format!("{}: {}", subject.name, effect.or(check.fix.clone())?))
}

fn checks(diagnosis: &Diagnosis) -> impl Iterator<Item = (&Subject, &Check)> {
    diagnosis.subjects.iter().flat_map(|subject| subject.checks.iter().map(move |check| (subject, check)))
}

fn colour(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Ok => Color::Green,
        Verdict::Failed => Color::Red,
        Verdict::Skipped => Color::DarkGrey,
    }
}
