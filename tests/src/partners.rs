//! Servers and tools of other makers. `tests/run` installs them; where one is missing, the test that asked is skipped.

/// PostgreSQL, a cluster of its own for each test.
pub mod postgres;
/// A file system that fills up.
pub mod small_disk;
/// A file system that does not answer.
pub mod dead_mount;
/// The system calls of a process.
pub mod strace;
/// A wall clock that is stepped.
pub mod stepped_clock;
/// An SMTP server.
pub mod smtp;
/// A mail server that answers in any bytes.
pub mod raw_smtp;
pub mod forward_proxy;
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
/// A real embedding model.
pub mod minilm;
/// Judges of units and manifests.
pub mod deploy;
/// A browser.
pub mod browser;
/// The media stream of a call, as Twilio opens it.
pub mod media;
/// A scripted Realtime API.
pub mod realtime;
/// Prometheus' own judgement of metrics.
pub mod promtool;
/// A real Prometheus that scrapes.
pub mod prometheus;
/// A validator of OpenAPI documents.
pub mod openapi;
/// The strictest reader of OpenMetrics.
pub mod openmetrics;

use std::{
    env, fmt,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{self, Command},
    sync::atomic::{AtomicU16, Ordering},
};

use crate::artifacts::repository;

/// A partner that is not there.
#[derive(Debug)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "missing: {}; `tests/run`, run as root, provides it", self.0)
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

/// Python with the packages of `tests/partners/requirements*.txt`.
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

/// A port that nobody listens on at this moment, and that nobody is given who asks for any: it lies below those that Linux
/// gives away by itself (`ip_local_port_range`), and is chosen once in this process.
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Another process starts elsewhere.
    let start = (process::id() % u32::from(COUNT)) as u16;
    let port = || FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(port).take(COUNT.into()).find(is_free).expect("a port is free")
}
