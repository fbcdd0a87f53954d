//! The table of statuses, and what to do next.

use std::sync::Arc;

use comfy_table::{Cell, Color, Table, presets};
use serde_json::json;
use switchboard::status::{PluginHealth, Snapshot, Status};

use super::detail::detail;

/// One line a plugin: name, kind, status, why.
pub fn statuses(plugins: &[Arc<PluginHealth>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["PLUGIN", "KIND", "STATUS", "DETAIL"]);
    for plugin in plugins {
        let kind = plugin.kind.map_or("unknown", |kind| kind.as_str());
        let status = Cell::new(plugin.status.as_str()).fg(colour(plugin.status));
        table.add_row(vec![
            Cell::new(&plugin.name),
            Cell::new(kind),
            status,
            Cell::new(detail(&json!(**plugin))),
        ]);
    }
    table.trim_fmt()
}

/// What a person can do, one line a plugin that needs somebody.
pub fn next_steps(snapshot: &Snapshot) -> Vec<String> {
    let steps = snapshot.plugins.iter().filter_map(|plugin| {
        let fix = plugin.fix.as_ref()?;
        let link = fix.href.as_ref().map(|href| format!(": {href}")).unwrap_or_default();
        Some(format!("{}: {}{link}", plugin.name, fix.label))
    });
    steps.collect()
}

fn colour(status: Status) -> Color {
    match status {
        Status::Connected => Color::Green,
        Status::Error => Color::Red,
        Status::Disconnected | Status::Initializing => Color::Yellow,
        Status::NotConfigured | Status::NotInitialized => Color::DarkGrey,
    }
}
