//! `switchboard call`: an operation of a running host, from a shell.

use serde_json::Value;
use switchboard::http::NO_TOKEN;

use super::{
    Exit, Failed, Source,
    client::{HostClient, Reach},
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
            show(format_args!("{answer:#}"));
            return Ok(Exit::Success);
        }
        Err(Failed::new(Exit::Failed, problem_text(&answer)))
    })
}

/// A problem as a person reads it: what, why, and what to do.
pub(super) fn problem_text(problem: &Value) -> String {
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let what = text("detail").or(text("title")).unwrap_or("the host refused it");
    let mut lines = vec![what.to_owned()];
    for cause in problem.get("root_causes").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| cause.get(key).and_then(Value::as_str).unwrap_or_default();
        let why = if part("message") == what { String::new() } else { format!(": {}", part("message")) };
        lines.push(format!("  caused by: {} is {}{why}", part("name"), part("status")));
    }
    lines.extend(problem.get("details").map(|details| format!("  details: {details}")));
    let hint = match problem.get("status").and_then(Value::as_u64) {
        // A caller without a token is told where it is, not in which header; unless the host has none itself.
        Some(401) if what != NO_TOKEN => Some(
            "set `SWITCHBOARD_TOKEN`, or, for a host on this machine, point `--config` at its configuration",
        ),
        _ => text("hint"),
    };
    lines.extend(hint.map(|hint| format!("  hint: {hint}")));
    lines.join("\n")
}
