//! What happened of late, to whichever plugin, the newest first.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::words;
use crate::status::{PluginHealth, Snapshot, Transition};

/// How much of it is told.
const TOLD: usize = 50;

pub(super) fn show(snapshot: &Snapshot) -> Markup {
    let told = |plugin| move |change| (plugin, change);
    let mut events: Vec<(&PluginHealth, &Transition)> =
        snapshot.plugins.iter().flat_map(|plugin| plugin.history.iter().map(told(&**plugin))).collect();
    // Stable: what happened to a plugin at one moment keeps its order.
    events.reverse();
    events.sort_by_key(|(_, change)| Reverse(change.at));
    events.truncate(TOLD);
    html! {
        section #events aria-labelledby="events-title" {
            div.heading { h2 #events-title { "Events" } }
            @if events.is_empty() { p.hint { "Nothing has happened yet." } }
            div.scroll.log tabindex="0" role="region" aria-labelledby="events-title" {
                ul.events { @for (plugin, change) in events { (event(&plugin.name, change)) } }
            }
        }
    }
}

fn event(plugin: &str, change: &Transition) -> Markup {
    html! {
        li {
            (words::time(change.at))
            (words::glyph(change.to.as_str()))
            p {
                (words::link(plugin)) ": " (words::status(change.from)) " → " b { (words::status(change.to)) }
                @if let Some(message) = &change.message { " " span.why { (words::prose(message)) } }
            }
        }
    }
}
