//! `switchboard call`: an operation of a running host, from a shell.

use plugin_api::visible::visible_json;
use serde_json::Value;

use super::{
    Exit, Failed, Source,
    client::{HostClient, Reach, problem_text},
    runtime, show,
};

/// Calls `plugin.operation` with JSON and headers, and prints the response as JSON.
pub fn call(
    source: &Source,
    target: &str,
    request: &str,
    headers: &[(&str, Option<String>)],
    reach: Reach,
) -> Result<Exit, Failed> {
    let usage = |problem: String| Failed::new(Exit::Usage, problem);
    let (plugin, operation) = target
        .split_once('.')
        .ok_or_else(|| usage(format!("`{target}` is not an operation: write it as `plugin.operation`")))?;
    let request: Value =
        serde_json::from_str(request).map_err(|error| usage(format!("the request is not JSON: {error}")))?;
    runtime()?.block_on(async {
        let host = HostClient::find(source, reach)?;
        let route = format!("/api/operations/{plugin}/{operation}");
        let (status, answer) = host.post(&route, &request, headers).await?;
        if status < 400 {
            // Whoever decides by this reads what a model or a stranger wrote.
            show(visible_json(&format!("{answer:#}")));
            return Ok(Exit::Success);
        }
        Err(Failed::new(Exit::Failed, problem_text(&answer)))
    })
}
