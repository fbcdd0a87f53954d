//! Servers and tools of other makers. `tests/run` installs them; where one is missing, the test that asked is skipped.

/// PostgreSQL, a cluster of its own for each test.
pub mod postgres;
/// An SMTP server.
pub mod smtp;
/// A server that repeats what must not be repeated.
pub mod parrot;
/// A server that Node.js runs.
pub mod node;
/// Stand-ins for Twilio and Google.
pub mod emulate;
/// Twilio's own library, which signs requests.
pub mod twilio;
/// A stand-in for OpenAI.
pub mod aimock;
/// A small OpenAI whose vectors are known.
pub mod ideas;
/// Prometheus' own judgement of metrics.
pub mod promtool;

use std::{
    env, fmt,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::Command,
};

use crate::artifacts::repository;

/// A partner that is not there.
#[derive(Debug)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "missing: {}; `tests/run` installs it", self.0)
    }
}

impl Missing {
    fn of(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// A program on the path or in one of the folders that Debian keeps off it.
fn program(name: &str, beside: &[PathBuf]) -> Result<PathBuf, Missing> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = beside.iter().cloned().chain(env::split_paths(&path));
    folders
        .find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
        .ok_or_else(|| Missing::of(format!("the program `{name}`")))
}

/// Python with the packages of `tests/partners/requirements.txt`.
fn python() -> Result<PathBuf, Missing> {
    let python = repository().join(".partners/python/bin/python");
    if python.is_file() { Ok(python) } else { Err(Missing::of("Python with the test partners")) }
}

/// clippy and rustfmt: cargo's own, which an installation may lack.
///
/// # Errors
/// If one of them is not there.
pub fn lints() -> Result<(), Missing> {
    for tool in ["cargo-clippy", "rustfmt"] {
        let there = Command::new(tool).arg("--version").output().is_ok_and(|answer| answer.status.success());
        there.then_some(()).ok_or_else(|| Missing::of(format!("`{tool}` (`rustup component add`)")))?;
    }
    Ok(())
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a listener has an address").port()
}
