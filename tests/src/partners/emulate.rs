//! Stand-ins for Twilio and Google: the package `emulate`.

use std::fs;

use serde_json::Value;

use super::{Missing, node::NodeServer};

/// Starts one service, `twilio` or `google`, with these seeds (the package's own format, as JSON).
///
/// # Errors
/// If Node.js or the package is not there.
///
/// # Panics
/// If they are, and the service does not start.
pub fn start(service: &str, seed: &Value) -> Result<NodeServer, Missing> {
    NodeServer::start("emulate/dist/index.js", "/", |port, folder| {
        let seeds = folder.join("seed.json");
        fs::write(&seeds, seed.to_string()).expect("a file can be written");
        let options = ["start", "--service", service, "--port", port, "--seed"];
        options.into_iter().map(Into::into).chain([seeds.into()]).collect()
    })
}
