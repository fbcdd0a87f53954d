//! The system calls of a process, in order.

use std::{io, process::Command};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{Missing, program};
use crate::{process::Process, wait::wait_until};

/// A tracer of a running process; ended when dropped.
pub struct Strace {
    process: Process,
    folder: TempDir,
}

impl Strace {
    /// Follows all threads of a process; `calls` as `strace -e trace=` takes them.
    ///
    /// # Errors
    /// If strace is not installed, or nothing may be traced here.
    pub fn attach(process: u32, calls: &str) -> Result<Self, Missing> {
        let strace = program("strace", &[])?;
        let folder = tempfile::Builder::new().prefix("switchboard-strace-").tempdir().expect("a folder");
        let mut command = Command::new(strace);
        command
            .args(["--follow-forks", "--decode-fds=path,socket", "--string-limit=16", "--signal=none"])
            .args(["--trace", calls, "--output"])
            .arg(folder.path().join("trace"))
            .args(["--attach", &process.to_string()]);
        let mut process = Process::start(&mut command, folder.path(), "strace").expect("strace starts");
        wait_until(
            "a process that is traced",
            || (process.stderr(), process.is_running()),
            |(said, runs)| said.contains("attached") || !runs,
        );
        if !process.is_running() {
            return Err(Missing::of(format!("the right to trace: {}", process.stderr().trim())));
        }
        Ok(Self { process, folder })
    }

    /// Lets go; the calls that have returned, a line each.
    ///
    /// # Errors
    /// If there is nothing to be read.
    pub fn detach(mut self) -> io::Result<Vec<String>> {
        self.process.signal(Signal::INT);
        wait_until("a tracer that ends", || self.process.is_running(), |runs| !runs);
        let trace = std::fs::read_to_string(self.folder.path().join("trace"))?;
        Ok(trace.lines().map(str::to_owned).collect())
    }
}
