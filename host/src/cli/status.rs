//! `switchboard status`: how a running host is.

use std::{path::Path, time::Duration};

use comfy_table::{Table, presets};
use serde_json::Value;

use super::{Exit, Failed, client::HostClient, runtime, show};

/// How often `--watch` looks. Reads are answered from memory.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Prints the statuses, once or whenever they change.
pub fn status(path: &Path, watch: bool, json: bool) -> Result<Exit, Failed> {
    runtime()?.block_on(async {
        let host = HostClient::find(path)?;
        let mut shown = None;
        loop {
            let connections = host.get("/api/health/connections").await?;
            let revision = connections.get("revision").cloned();
            if shown != Some(revision.clone()) {
                print(&connections, json);
                shown = Some(revision);
            }
            if !watch {
                return Ok(exit(&connections));
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    })
}

fn print(connections: &Value, json: bool) {
    if json {
        show(format_args!("{connections:#}"));
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["PLUGIN", "KIND", "STATUS", "SINCE", "DETAIL"]);
    for plugin in ["integrations", "services"].iter().flat_map(|kind| plugins(connections, kind)) {
        let text = |key: &str| plugin.get(key).and_then(Value::as_str).unwrap_or_default();
        let reason = plugin.pointer("/reason/message").and_then(Value::as_str).map(str::to_owned);
        let latency = plugin.get("latency_ms").and_then(Value::as_f64);
        let answered = || latency.map(|latency| format!("answered in {latency} ms"));
        let detail = reason.or_else(answered).unwrap_or_default();
        table.add_row([text("name"), text("kind"), text("status"), text("since"), &detail]);
    }
    show(format_args!("{}\n\nThe host is {}.", table.trim_fmt(), overall(connections)));
}

fn plugins<'a>(connections: &'a Value, kind: &str) -> impl Iterator<Item = &'a Value> {
    connections.get(kind).and_then(Value::as_object).into_iter().flat_map(|plugins| plugins.values())
}

fn overall(connections: &Value) -> &str {
    connections.get("status").and_then(Value::as_str).unwrap_or("unknown")
}

fn exit(connections: &Value) -> Exit {
    match overall(connections) {
        "healthy" => Exit::Success,
        "degraded" => Exit::Failed,
        _ => Exit::Usage,
    }
}
