//! Metrics and configurations become Prometheus' own complaints of them.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use super::{Missing, program};

/// What `promtool check metrics` complains of; empty if nothing.
///
/// # Errors
/// If promtool is not installed.
pub fn complaints(metrics: &str) -> Result<String, Missing> {
    let output = judged(&["check", "metrics"], metrics)?;
    let complaints = [output.stdout, output.stderr].concat();
    let complaints = String::from_utf8_lossy(&complaints).trim().to_owned();
    assert!(output.status.success() || !complaints.is_empty(), "promtool fails without a word");
    Ok(complaints)
}

/// How `promtool check config` judges a configuration, without the files that it names.
///
/// # Errors
/// If promtool is not installed.
pub fn config(text: &str) -> Result<Output, Missing> {
    judged(&["check", "config", "--syntax-only", "/dev/stdin"], text)
}

fn judged(arguments: &[&str], text: &str) -> Result<Output, Missing> {
    let mut promtool = Command::new(program("promtool", &[])?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be started");
    // Closed at the end of the statement: promtool reads to the end first.
    promtool.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("promtool reads");
    Ok(promtool.wait_with_output().expect("promtool ends"))
}
