//! Metrics become Prometheus' own complaints of them.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::{Missing, program};

/// What `promtool check metrics` complains of; empty if nothing.
///
/// # Errors
/// If promtool is not installed.
pub fn complaints(metrics: &str) -> Result<String, Missing> {
    let mut promtool = Command::new(program("promtool", &[])?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be started");
    // Closed at the end of the statement: promtool reads to the end first.
    promtool.stdin.take().expect("it is piped").write_all(metrics.as_bytes()).expect("promtool reads");
    let output = promtool.wait_with_output().expect("promtool ends");
    let complaints = [output.stdout, output.stderr].concat();
    let complaints = String::from_utf8_lossy(&complaints).trim().to_owned();
    assert!(output.status.success() || !complaints.is_empty(), "promtool fails without a word");
    Ok(complaints)
}
