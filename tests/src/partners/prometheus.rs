//! A real Prometheus, which scrapes a host and answers queries.

use std::{fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{Missing, free_port, program};
use crate::{
    http,
    process::Process,
    wait::{LIMIT, poll},
};

/// A running server; ended when dropped.
pub struct Prometheus {
    // Ended before its folder goes.
    _process: Process,
    _folder: TempDir,
    address: String,
}

impl Prometheus {
    /// Starts one that scrapes `/metrics` of this address every other second, with a token if there is one.
    ///
    /// # Errors
    /// If Prometheus is not installed.
    ///
    /// # Panics
    /// If it is, and does not start.
    pub fn scraping(target: &str, token: Option<&str>) -> Result<Self, Missing> {
        let prometheus = program("prometheus", &[])?;
        let folder = tempfile::Builder::new().prefix("switchboard-prometheus-").tempdir().expect("a folder");
        let authorization = token.map(|token| format!("    authorization: {{ credentials: {token} }}\n"));
        let config = format!(
            "global: {{ scrape_interval: 2s, scrape_timeout: 2s }}\nscrape_configs:\n  - job_name: switchboard\n{}    \
             static_configs: [{{ targets: [\"{target}\"] }}]\n",
            authorization.unwrap_or_default()
        );
        fs::write(folder.path().join("prometheus.yml"), config).expect("a file can be written");
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(prometheus);
        command
            .current_dir(folder.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={address}"));
        let process = Process::start(&mut command, folder.path(), "prometheus").expect("prometheus starts");
        let ready = || http::request(&address, "GET", "/-/ready", &[], None).map(|answer| answer.status);
        if poll(LIMIT, ready, |status| *status == Ok(200)).is_err() {
            panic!("prometheus does not start\n{}", process.output());
        }
        Ok(Self { _process: process, _folder: folder, address })
    }

    /// What its query API answers now: the series, each with labels and value.
    #[track_caller]
    pub fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.ask(&format!("/api/v1/query?query={}", percent_encoded(query)));
        answer["data"]["result"].as_array().expect("a query has a result").clone()
    }

    /// What it was told of a family: type, help and unit.
    #[track_caller]
    pub fn metadata(&self, family: &str) -> Value {
        self.ask(&format!("/api/v1/metadata?metric={family}"))["data"][family][0].clone()
    }

    #[track_caller]
    fn ask(&self, path: &str) -> Value {
        let answer = http::request(&self.address, "GET", path, &[], None).expect("prometheus answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }
}

fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}
