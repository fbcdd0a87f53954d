//! An SMTP server that keeps what it is sent, or misbehaves as its options say.

use std::{fs, path::PathBuf, process::Command};

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
    folder: TempDir,
    // Ends with the folder still there.
    _process: Process,
    port: u16,
}

impl SmtpServer {
    /// Starts `tests/partners/smtp_server.py` with these options, and waits for the line with its port. For TLS it has
    /// a certificate for 127.0.0.1 that it signed itself.
    ///
    /// # Errors
    /// If Python or its packages are not there.
    ///
    /// # Panics
    /// If they are, and the server does not start.
    pub fn start(options: &[&str]) -> Result<Self, Missing> {
        let python = python()?;
        let folder = tempfile::Builder::new().prefix("switchboard-smtp-").tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        fs::write(path("cert.pem"), pair.cert.pem()).expect("a file can be written");
        fs::write(path("key.pem"), pair.signing_key.serialize_pem()).expect("a file can be written");

        let mut command = Command::new(python);
        command.arg(repository().join("tests/partners/smtp_server.py")).args(options);
        for (option, file) in [("--mails", "mails"), ("--cert", "cert.pem"), ("--key", "key.pem")] {
            command.arg(option).arg(path(file));
        }
        let process = Process::start(&mut command, folder.path(), "smtp-server").expect("python starts");
        let port = poll(LIMIT, || port(&process), Option::is_some).ok().flatten();
        let port = port.unwrap_or_else(|| panic!("the SMTP server does not start\n{}", process.output()));
        Ok(Self { folder, _process: process, port })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// The mails that it has taken so far, each as the server understood it.
    pub fn mails(&self) -> Vec<Value> {
        let mails = fs::read_to_string(self.folder.path().join("mails")).unwrap_or_default();
        mails.lines().filter_map(|mail| serde_json::from_str(mail).ok()).collect()
    }
}

/// The port in the first line of a server that Python runs: `{"port": 40123}`.
pub(super) fn port(process: &Process) -> Option<u16> {
    let output = process.stdout();
    let first: Value = serde_json::from_str(output.lines().next()?).ok()?;
    first["port"].as_u64()?.try_into().ok()
}
