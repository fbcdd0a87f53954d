//! A running host, as an operator sees it: its address, its health, its output, its end.

use std::{fs, process::Stdio, time::Duration};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    http::{self, Response},
    process::{Finished, Process},
    setup::Setup,
    wait::{LIMIT, poll, wait_until},
};

/// The real binary, running. Killed when dropped; a failed test shows its output.
pub struct TestHost {
    setup: Setup,
    process: Process,
    address: String,
}

impl Setup {
    /// Starts `switchboard run` and waits until it serves.
    ///
    /// # Panics
    /// If it does not, with its output.
    #[track_caller]
    pub fn start(self) -> TestHost {
        TestHost::start(self)
    }

    /// The same, with outputs of the caller's.
    #[track_caller]
    pub fn start_with(self, stdout: Stdio, stderr: Stdio) -> TestHost {
        let process = self.spawn_with(&["run"], stdout, stderr);
        TestHost::serving(self, process)
    }
}

impl TestHost {
    /// Starts `switchboard run` and waits until its health route answers.
    #[track_caller]
    fn start(setup: Setup) -> Self {
        let process = setup.spawn(&["run"]);
        Self::serving(setup, process)
    }

    /// Waits until the health route of a process that was started answers.
    #[track_caller]
    fn serving(setup: Setup, mut process: Process) -> Self {
        let serves = |address: &String| http::request(address, "GET", "/livez", &[], None).is_ok();
        let address = poll(
            LIMIT,
            || if process.is_running() { Ok(address(&setup, process.id())) } else { Err("it ended") },
            |seen| matches!(seen, Ok(Some(address)) if serves(address)) || seen.is_err(),
        );
        match address {
            Ok(Ok(Some(address))) => Self { setup, process, address },
            other => panic!("the host does not serve: {other:?}\n{}", process.output()),
        }
    }

    /// The folder that it runs in.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Where it listens, such as `127.0.0.1:40123`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// `GET` of a path.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], None)
    }

    /// `POST` of JSON to a path.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.request("POST", path, &[("content-type", "application/json")], Some(&body.to_string()))
    }

    /// Calls an operation, as the command line does.
    #[track_caller]
    pub fn call(&self, plugin: &str, operation: &str, request: &Value) -> Response {
        self.post(&format!("/api/operations/{plugin}/{operation}"), request)
    }

    /// Any request.
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

    /// A plugin as the health API shows it, integration or service.
    #[track_caller]
    pub fn plugin(&self, name: &str) -> Value {
        let integration = self.get(&format!("/api/health/integrations/{name}"));
        if integration.status == 200 {
            return integration.json();
        }
        let service = self.get(&format!("/api/health/services/{name}"));
        assert_eq!(
            service.status, 200,
            "neither integration nor service: {} {}",
            integration.body, service.body
        );
        service.json()
    }

    /// The status of a plugin.
    #[track_caller]
    pub fn status(&self, name: &str) -> String {
        self.plugin(name)["status"].as_str().expect("every plugin has a status").to_owned()
    }

    /// Waits until a plugin has this status, and gives the plugin.
    #[track_caller]
    pub fn wait_for_status(&self, name: &str, status: &str) -> Value {
        self.wait_for_plugin(name, status, |plugin| plugin["status"] == status)
    }

    /// Waits until a plugin satisfies.
    #[track_caller]
    pub fn wait_for_plugin(&self, name: &str, what: &str, satisfies: impl Fn(&Value) -> bool) -> Value {
        wait_until(&format!("`{name}` to be {what}"), || self.plugin(name), satisfies)
    }

    /// Waits until everything that may start has had its first attempt.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        wait_until("the host to be ready", || self.get("/readyz").status, |status| *status == 200);
    }

    /// Waits until it has printed these words: the log is written aside, a moment after what it tells of.
    #[track_caller]
    pub fn wait_for_output(&self, words: &str) -> String {
        wait_until(&format!("{words:?} in the output"), || self.output(), |output| output.contains(words))
    }

    /// Everything it has printed so far, both outputs.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Runs another `switchboard` command in the same folder and environment.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Finished {
        self.setup.command(arguments)
    }

    /// Sends SIGTERM and waits for the end. Gives the setup back, so that it can be started again.
    #[track_caller]
    pub fn terminate(mut self) -> (Finished, Setup) {
        self.process.signal(Signal::TERM);
        let Self { setup, process, .. } = self;
        (process.wait(), setup)
    }

    /// Sends SIGTERM; the host has to end within this time.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn terminate_within(mut self, limit: Duration) -> (Finished, Setup) {
        self.process.signal(Signal::TERM);
        let ended = poll(limit, || self.process.is_running(), |is_running| !is_running);
        assert!(ended.is_ok(), "the host has not ended {limit:?} after it was told to\n{}", self.output());
        self.wait()
    }

    /// Waits for the end of a host that was told to stop.
    #[track_caller]
    pub fn wait(self) -> (Finished, Setup) {
        let Self { setup, process, .. } = self;
        (process.wait(), setup)
    }

    /// Ends it without warning. Gives the setup back, so that it can be started again.
    pub fn kill(mut self) -> Setup {
        self.process.kill();
        self.setup
    }
}

/// The address in `run.json`, if the process has written it.
fn address(setup: &Setup, process: u32) -> Option<String> {
    let text = fs::read_to_string(setup.path("data/run.json")).ok()?;
    let run: Value = serde_json::from_str(&text).ok()?;
    let written_by_it = run["pid"].as_u64() == Some(process.into());
    let address = run["address"].as_str()?;
    written_by_it.then(|| address.trim_start_matches("http://").to_owned())
}
