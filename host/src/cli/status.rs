//! `switchboard status`: how a running host is.

mod watch;

use comfy_table::{Table, presets};
use serde_json::Value;
use switchboard::app::output;

use super::{
    Exit, Failed, Source,
    client::{HostClient, Reach},
    detail::detail,
    runtime, show,
};

/// Without the token, the host tells neither reasons nor dependencies.
const REDUCED: &str = "reasons are left out, as this command has no operator's token: set `SWITCHBOARD_TOKEN`, or, for a \
     host on this machine, point `--config` at its configuration";

/// Prints the statuses, once or whenever they change.
pub fn status(source: &Source, watch: bool, json: bool, reach: Reach) -> Result<Exit, Failed> {
    runtime()?.block_on(async {
        let host = HostClient::find(source, reach)?;
        if watch {
            let never = watch::watch(&host, json).await?;
            match never {}
        }
        let connections = host.get("/api/health/connections").await?;
        match json {
            true => show(format_args!("{connections:#}")),
            false => show(table(&connections)),
        }
        if connections.get("edges").is_none() {
            output::stderr().say(REDUCED);
        }
        Ok(exit(&connections))
    })
}

/// All plugins as a person reads them, and how the whole is.
pub(super) fn table(connections: &Value) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["PLUGIN", "KIND", "STATUS", "SINCE", "DETAIL"]);
    for plugin in plugins(connections) {
        let text = |key: &str| plugin.get(key).and_then(Value::as_str).unwrap_or_default();
        table.add_row([text("name"), text("kind"), text("status"), text("since"), &detail(plugin)]);
    }
    format!("{}\n\nThe host is {}.{}", table.trim_fmt(), overall(connections), notes(connections))
}

/// What an operator should know of the host itself, a line each.
fn notes(connections: &Value) -> String {
    let notes = connections.get("notes").and_then(Value::as_array);
    notes.into_iter().flatten().filter_map(Value::as_str).map(|note| format!("\n{note}")).collect()
}

/// Integrations, then services.
pub(super) fn plugins(connections: &Value) -> impl Iterator<Item = &Value> {
    let section = |kind| connections.get(kind).and_then(Value::as_object);
    ["integrations", "services"].into_iter().filter_map(section).flat_map(|plugins| plugins.values())
}

/// How the whole is.
pub(super) fn overall(connections: &Value) -> &str {
    connections.get("status").and_then(Value::as_str).unwrap_or("unknown")
}

fn exit(connections: &Value) -> Exit {
    match overall(connections) {
        "healthy" => Exit::Success,
        "degraded" => Exit::Failed,
        _ => Exit::Usage,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_noted_of_the_host_is_shown() {
        let connections = json!({"status": "healthy", "notes": ["a task ended by a panic", "another one"]});
        let table = table(&connections);
        assert!(table.ends_with("The host is healthy.\na task ended by a panic\nanother one"), "{table}");
    }
}
