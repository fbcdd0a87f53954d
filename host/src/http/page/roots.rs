//! The few plugins to look at: those whose trouble is their own, with what to do and what each of them takes down, and
//! what has a note though it works.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{plugin, words};
use crate::status::{PluginHealth, Snapshot, Status};

pub(super) fn show(snapshot: &Snapshot) -> Markup {
    let affected = affected(snapshot);
    let is_root = |plugin: &PluginHealth| plugin.root_causes.contains(&plugin.name) || is_in_doubt(plugin);
    let mut roots: Vec<_> = snapshot.plugins.iter().filter(|plugin| is_root(plugin)).collect();
    roots.sort_by_key(|plugin| weight(plugin));
    let is_trouble = !roots.iter().all(|plugin| plugin.is_only_not_set_up());
    let title = if is_trouble { "What is wrong" } else { "What is not set up" };
    html! {
        @if !roots.is_empty() {
            section #causes aria-labelledby="causes-title" {
                div.heading { h2 #causes-title { (title) } }
                ul.causes {
                    @for root in roots { (cause(root, affected.get(root.name.as_str()))) }
                }
            }
        }
    }
}

/// What is worst comes first.
pub(super) fn weight(plugin: &PluginHealth) -> u8 {
    match plugin.status {
        _ if plugin.required => 0,
        Status::Error => 1,
        Status::Disconnected | Status::Initializing => 2,
        _ => 3,
    }
}

/// It may work, and cannot be relied on.
fn is_in_doubt(plugin: &PluginHealth) -> bool {
    plugin.stale || plugin.flapping || !plugin.failing.is_empty()
}

/// Which others each plugin keeps from working.
fn affected(snapshot: &Snapshot) -> BTreeMap<&str, Vec<&str>> {
    let mut affected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for plugin in snapshot.plugins.iter() {
        for root in plugin.root_causes.iter().filter(|root| *root != plugin.name) {
            affected.entry(root).or_default().push(&plugin.name);
        }
    }
    affected
}

fn cause(plugin: &PluginHealth, affected: Option<&Vec<&str>>) -> Markup {
    html! {
        li.cause.{ "is-" (plugin.status) } data-key=(plugin.name) {
            h3 { (words::glyph(plugin.status.as_str())) (words::link(&plugin.name)) }
            p.state { (words::status(plugin.status)) " " (words::since(plugin.since)) }
            (plugin::reason(plugin))
            (plugin::doubt(plugin))
            (plugin::fix(plugin))
            (plugin::verify(plugin))
            @if let Some(affected) = affected {
                p.victims {
                    (words::glyph("blocked")) "blocks: " (words::links(affected.iter().copied()))
                }
            }
        }
    }
}
