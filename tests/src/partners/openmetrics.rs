//! OpenMetrics become what Prometheus' own library for Python, the strictest reader, complains of.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::{Missing, python};

/// Reads from standard input, and prints how many samples there are, or what is wrong.
const READ: &str = "\
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
try:
    print(sum(len(family.samples) for family in text_string_to_metric_families(sys.stdin.read())))
except ValueError as error:
    print(error)
";

/// How many samples it reads; the error is what it complains of.
///
/// # Errors
/// If Python or the library is not there.
pub fn samples(metrics: &str) -> Result<Result<usize, String>, Missing> {
    let mut reader = Command::new(python()?)
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python can be started");
    // Closed at the end of the statement: it reads to the end first.
    reader.stdin.take().expect("it is piped").write_all(metrics.as_bytes()).expect("it reads");
    let output = reader.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
    Ok(said.parse().map_err(|_| said))
}
