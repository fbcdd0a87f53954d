//! How the start went: when each plugin began and ended its first attempt, and the chain that everything waited for.

use maud::{Markup, html};

use super::words;
use crate::status::{PluginHealth, Snapshot};

/// The width of the time line, in units of its own.
const WIDTH: f64 = 1000.0;

pub(super) fn show(snapshot: &Snapshot) -> Markup {
    let mut plugins: Vec<_> = snapshot
        .plugins
        .iter()
        .filter(|plugin| plugin.timing.init_ms.is_some())
        .map(|plugin| &**plugin)
        .collect();
    plugins.sort_by(|one, other| waited(one).total_cmp(&waited(other)).then(end(one).total_cmp(&end(other))));
    let whole = plugins.iter().map(|plugin| end(plugin)).fold(1.0, f64::max);
    let critical = &snapshot.start.critical_path;
    html! {
        @if !plugins.is_empty() {
            section #start aria-labelledby="start-title" {
                div.heading { h2 #start-title { "Start-up" } }
                (sentence(snapshot))
                div.scroll tabindex="0" role="region" aria-labelledby="start-title" {
                    table.timeline {
                        thead {
                            tr {
                                th scope="col" { "plugin" }
                                th.wide scope="col" { "from the start of the host" }
                                th.number scope="col" { "waited" }
                                th.number scope="col" { "took" }
                            }
                        }
                        tbody { @for plugin in plugins { (row(plugin, critical.contains(&plugin.name), whole)) } }
                    }
                }
            }
        }
    }
}

fn sentence(snapshot: &Snapshot) -> Markup {
    let start = &snapshot.start;
    html! {
        p.sentence {
            @match start.total_ms {
                Some(total) => {
                    "Ready after " b { (words::millis(total)) }
                    @if !start.critical_path.is_empty() {
                        ". The critical path: "
                        @for (place, name) in start.critical_path.iter().enumerate() {
                            @if place > 0 { " → " } (words::link(name))
                        }
                    }
                    "."
                }
                None => "It has not ended yet.",
            }
        }
    }
}

fn row(plugin: &PluginHealth, is_critical: bool, whole: f64) -> Markup {
    let (from, to) = (waited(plugin) / whole * WIDTH, end(plugin) / whole * WIDTH);
    html! {
        tr.critical[is_critical] data-key=(plugin.name) {
            th scope="row" {
                (words::link(&plugin.name)) @if is_critical { " " span.tag { "critical path" } }
            }
            td.wide {
                svg.bar viewBox={ "0 0 " (WIDTH) " 10" } preserveAspectRatio="none" aria-hidden="true" {
                    rect x=(from.round()) y="0" width=((to - from).round().max(4.0)) height="10" {}
                }
            }
            td.number { (words::millis(waited(plugin))) }
            td.number { (words::millis(plugin.timing.init_ms.unwrap_or_default())) }
        }
    }
}

fn waited(plugin: &PluginHealth) -> f64 {
    plugin.timing.waited_ms.unwrap_or_default()
}

fn end(plugin: &PluginHealth) -> f64 {
    waited(plugin) + plugin.timing.init_ms.unwrap_or_default()
}
