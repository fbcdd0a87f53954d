//! An SMTP server that keeps what it is sent, or misbehaves as its options say.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{Missing, python};
use crate::{
    artifacts::repository,
    process::Process,
    wait::{LIMIT, poll},
};

/// A running server; ended when dropped.
pub struct SmtpServer {
    _folder: TempDir,
    process: Process,
    port: u16,
}

impl SmtpServer {
    /// Starts `tests/partners/smtp_server.py` with these options, and waits for the line with its port.
    ///
    /// # Errors
    /// If Python or its packages are not there.
    ///
    /// # Panics
    /// If they are, and the server does not start.
    pub fn start(options: &[&str]) -> Result<Self, Missing> {
        let python = python()?;
        let folder = tempfile::Builder::new().prefix("switchboard-smtp-").tempdir().expect("a folder");
        let mut command = Command::new(python);
        command
            .arg(repository().join("tests/partners/smtp_server.py"))
            .args(options)
            .env("PYTHONUNBUFFERED", "1");
        let process = Process::start(&mut command, folder.path(), "smtp-server").expect("python starts");
        let port = poll(LIMIT, || port(&process), Option::is_some).ok().flatten();
        let port = port.unwrap_or_else(|| panic!("the SMTP server does not start\n{}", process.output()));
        Ok(Self { _folder: folder, process, port })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The messages it has taken so far, as it tells of them.
    pub fn messages(&self) -> Vec<Value> {
        lines(&self.process)
            .into_iter()
            .filter(|line| line.get("message").is_some() || line.get("data").is_some())
            .collect()
    }
}

fn port(process: &Process) -> Option<u16> {
    lines(process).first()?["port"].as_u64()?.try_into().ok()
}

fn lines(process: &Process) -> Vec<Value> {
    process.stdout().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Reads a file that the server made, such as its certificate.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the server made it")
}
