//! An OpenAI-compatible server that answers by fixtures: the package `@copilotkit/aimock`.

use std::fs;

use serde_json::Value;

use super::{Missing, node::NodeServer};

/// Where it tells what it was asked.
pub const JOURNAL: &str = "/__aimock/journal";

/// Starts a server with these fixtures (the package's own format). `OPENAI_BASE_URL` is its address and `/v1`.
///
/// # Errors
/// If Node.js or the package is not there.
///
/// # Panics
/// If they are, and the server does not start.
pub fn start(fixtures: &Value) -> Result<NodeServer, Missing> {
    start_with(fixtures, &[])
}

/// The same, for those alone who know this key.
///
/// # Errors
/// As [`start`].
///
/// # Panics
/// As [`start`].
pub fn start_for(key: &str, fixtures: &Value) -> Result<NodeServer, Missing> {
    start_with(fixtures, &[("AIMOCK_API_KEYS", key)])
}

fn start_with(fixtures: &Value, variables: &[(&str, &str)]) -> Result<NodeServer, Missing> {
    NodeServer::start_with(variables, ".bin/llmock", JOURNAL, |port, folder| {
        let files = folder.join("fixtures");
        fs::create_dir(&files).expect("a folder can be made");
        fs::write(files.join("fixtures.json"), fixtures.to_string()).expect("a file can be written");
        let options = ["-p", port, "--validate-on-load", "-f"];
        options.into_iter().map(Into::into).chain([files.into()]).collect()
    })
}
