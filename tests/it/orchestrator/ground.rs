//! Hosts whose model does as the goal says, the effects of their tools, and the people who decide.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, http::Response, wait::wait_until};

/// What hosts on one database share.
const KEY: &str = "+/8QWm2k3J9vQ0xYc1Zt5b7uH8gA2eR4iLpOsTfUdWk=";

/// plugins.toml with further settings of the orchestrator and of the toolbox.
pub fn config(orchestrator: &str, toolbox: &str) -> String {
    format!(
        r#"
        [plugins.database]
        [plugins.toolbox]
        settings = {{ {toolbox} }}

        [plugins.orchestrator_service]
        bind = {{ openai = "toolbox" }}
        tools = [
            "toolbox.look", "toolbox.note", "toolbox.pu*", "toolbox.spend", "toolbox.fail", "toolbox.panic", "toolbox.hang",
            "toolbox.large", "toolbox.write", "absent.*", "workshop.*",
        ]
        calls = {{ timeout = "310s" }}
        [plugins.orchestrator_service.settings]
        lease = "2s"
        {orchestrator}
        "#
    )
}

/// A plugin with tools that has no instance before the file `key` is there.
pub fn workshop(shelf: u32) -> String {
    format!(
        r#"
        [plugins.workshop]
        library = "toolbox"
        retry = {{ attempts = 1000, base = "50ms", cap = "200ms" }}
        settings = {{ opens = "key", shelf = {shelf} }}
        "#
    )
}

/// Waits until a run waits for plugins.
#[track_caller]
pub fn wait_until_held(host: &TestHost, run: &str) -> Value {
    wait_until("the run to wait for a plugin", || fetch(host, run), |report| report["held_by"].is_array())
}

pub fn setup(orchestrator: &str, toolbox: &str) -> Setup {
    Setup::new(&config(orchestrator, toolbox)).env("SWITCHBOARD_SECRET_KEY", KEY)
}

#[track_caller]
pub fn start(setup: Setup) -> TestHost {
    let host = setup.start();
    host.wait_for_status("orchestrator_service", "connected");
    host.wait_for_status("database", "connected");
    host.wait_for_status("toolbox", "connected");
    host
}

/// Starts a run whose model does as the goal says.
#[track_caller]
pub fn begin(host: &TestHost, goal: &Value) -> String {
    let started = host.call("orchestrator_service", "run", &json!({ "goal": goal.to_string() }));
    assert_eq!(started.status, 200, "{}", started.body);
    started.json()["run"].as_str().expect("it has a name").to_owned()
}

/// Starts a run and waits until it is done.
#[track_caller]
pub fn finish(host: &TestHost, goal: &Value) -> Value {
    let run = begin(host, goal);
    wait_for(host, &run, "done")
}

/// How a run goes.
#[track_caller]
pub fn fetch(host: &TestHost, run: &str) -> Value {
    let fetched = host.call("orchestrator_service", "fetch_run", &json!({ "run": run }));
    assert_eq!(fetched.status, 200, "{}", fetched.body);
    fetched.json()
}

#[track_caller]
pub fn wait_for(host: &TestHost, run: &str, state: &str) -> Value {
    wait_until(&format!("the run to be {state}"), || fetch(host, run), |report| report["state"] == state)
}

/// Decides the first thing that a run waits for.
#[track_caller]
pub fn decide(host: &TestHost, report: &Value, approve: bool) -> Response {
    let decision = &report["waiting_for"][0]["id"];
    let request = json!({ "run": report["run"], "decision": decision, "approve": approve });
    host.call("orchestrator_service", "decide", &request)
}

/// Goes on until a run is over; what may have been done is not done again.
#[track_caller]
pub fn to_the_end(host: &TestHost, run: &str) -> Value {
    to_the_end_counting(host, run).0
}

/// The same, and how often it was asked what nobody knows.
#[track_caller]
pub fn to_the_end_counting(host: &TestHost, run: &str) -> (Value, usize) {
    let mut doubts = 0;
    loop {
        let report =
            wait_until("the run to stand still", || fetch(host, run), |report| report["state"] != "running");
        if report["state"] != "waiting" {
            return (report, doubts);
        }
        let approve = report["waiting_for"][0]["question"] == "approval";
        doubts += usize::from(!approve);
        assert_eq!(decide(host, &report, approve).status, 200, "{report}");
    }
}

/// What the tools did, a line each: `tool key person what`.
pub struct Effects {
    pub file: PathBuf,
}

impl Effects {
    pub fn of(setup: &Setup) -> Self {
        Self { file: setup.path("effects.txt") }
    }

    pub fn all(&self) -> Vec<String> {
        fs::read_to_string(&self.file).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    pub fn count(&self, tool: &str) -> usize {
        self.of_tool(tool).len()
    }

    #[track_caller]
    pub fn wait_for(&self, tool: &str, times: usize) {
        wait_until(&format!("`{tool}` to take effect"), || self.count(tool), |count| *count >= times);
    }

    /// The keys under which a tool took effect more than once.
    pub fn doubled(&self, tool: &str) -> Vec<String> {
        let keys: Vec<String> = self.of_tool(tool).iter().map(|line| key(line)).collect();
        let again = |(index, key): (usize, &String)| keys[..index].contains(key).then(|| key.clone());
        keys.iter().enumerate().filter_map(again).collect()
    }

    fn of_tool(&self, tool: &str) -> Vec<String> {
        let prefix = format!("{tool} ");
        self.all().into_iter().filter(|line| line.starts_with(&prefix)).collect()
    }
}

fn key(line: &str) -> String {
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}
