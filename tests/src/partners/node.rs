//! A server out of `tests/partners/package.json`, on the Node.js that comes with it.

use std::{ffi::OsString, path::Path, process::Command};

use tempfile::TempDir;

use super::{Missing, free_port, repository};
use crate::{
    http::{self, Response},
    process::Process,
    wait::{LIMIT, poll, wait_until},
};

/// How often another port is tried, when somebody took the free one first.
const TRIES: usize = 5;

/// A running server; ended when dropped.
pub struct NodeServer {
    // Ends with the folder still there.
    process: Process,
    folder: TempDir,
    address: String,
    command: Command,
    ready: String,
}

impl NodeServer {
    /// Starts a file of the packages, such as `emulate/dist/index.js`, and waits until `GET ready` answers. `arguments`
    /// is given the port and a folder to write files into.
    ///
    /// # Errors
    /// If Node.js or the package is not there.
    ///
    /// # Panics
    /// If they are, and the server does not start.
    pub fn start(
        file: &str,
        ready: &str,
        arguments: impl Fn(&str, &Path) -> Vec<OsString>,
    ) -> Result<Self, Missing> {
        Self::start_with(&[], file, ready, arguments)
    }

    /// The same, with variables in the server's environment.
    ///
    /// # Errors
    /// As [`NodeServer::start`].
    ///
    /// # Panics
    /// As [`NodeServer::start`].
    pub fn start_with(
        variables: &[(&str, &str)],
        file: &str,
        ready: &str,
        arguments: impl Fn(&str, &Path) -> Vec<OsString>,
    ) -> Result<Self, Missing> {
        let modules = repository().join(".partners/node/node_modules");
        let (node, program) = (modules.join(".bin/node"), modules.join(file));
        if !node.is_file() || !program.is_file() {
            return Err(Missing::of("Node.js with the test partners"));
        }
        let mut output = String::new();
        for _ in 0..TRIES {
            let folder = tempfile::Builder::new().prefix("switchboard-node-").tempdir().expect("a folder");
            let port = free_port().to_string();
            let mut command = Command::new(&node);
            command.arg(&program).args(arguments(&port, folder.path())).current_dir(folder.path());
            command.envs(variables.iter().copied());
            let mut process = Process::start(&mut command, folder.path(), "server").expect("node starts");
            let address = format!("127.0.0.1:{port}");
            let answers = || match process.is_running() {
                true => http::request(&address, "GET", ready, &[], None).is_ok().then_some(true),
                false => Some(false),
            };
            if poll(LIMIT, answers, Option::is_some) == Ok(Some(true)) {
                return Ok(Self { process, folder, address, command, ready: ready.to_owned() });
            }
            output = process.output();
        }
        panic!("`{file}` does not start\n{output}")
    }

    /// Where it listens, such as `127.0.0.1:40123`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Starts it anew on the same port, after it was ended, and waits until it answers.
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn resume(&mut self) {
        self.process = Process::start(&mut self.command, self.folder.path(), "resumed").expect("node starts");
        let answers = || http::request(&self.address, "GET", &self.ready, &[], None).is_ok();
        wait_until("the server to be back", answers, |answers| *answers);
    }

    /// The process: an outage is made by ending it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Any request to it.
    #[track_caller]
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Response {
        http::request(&self.address, method, path, headers, body)
            .unwrap_or_else(|error| panic!("no answer to {method} {path}: {error}"))
    }
}
