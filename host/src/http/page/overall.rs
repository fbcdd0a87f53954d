//! The host as a whole, in a word, a sentence and six counts.

use maud::{Markup, html};

use super::{roots, words};
use crate::{
    http::views::Rendered,
    status::{Cause, Overall, PluginHealth, Snapshot, Status},
};

pub(super) fn show(rendered: &Rendered) -> Markup {
    let (overall, snapshot) = (rendered.overall(), &*rendered.snapshot);
    let look = match overall {
        Overall::Healthy => "connected",
        Overall::Degraded => "blocked",
        Overall::Unhealthy => "error",
    };
    html! {
        section #overall.overall data-overall=(overall.as_str()) aria-labelledby="overall-title" {
            h1 #overall-title { (words::glyph(look)) span { (capital(overall.as_str())) } }
            p.sentence { (sentence(rendered)) }
            (counts(snapshot))
            p.hint { "started " (words::time(snapshot.shown(snapshot.started_at))) }
            @for note in snapshot.notes() {
                p.hint { (note) }
            }
        }
    }
}

fn counts(snapshot: &Snapshot) -> Markup {
    let counted = Status::ALL
        .map(|status| (status, snapshot.plugins.iter().filter(|plugin| plugin.status == status).count()));
    html! {
        ul.counts {
            @for (status, count) in counted {
                @if count > 0 {
                    li { (words::glyph(status.as_str())) b { (count) } " " (words::status(status)) }
                }
            }
            @if snapshot.blocked() > 0 {
                li { (words::glyph("blocked")) b { (snapshot.blocked()) } " blocked" }
            }
        }
    }
}

/// What matters most.
fn sentence(rendered: &Rendered) -> String {
    let snapshot = &*rendered.snapshot;
    let (causes, bare) = troubled(snapshot);
    let count = |is: fn(&PluginHealth) -> bool| snapshot.plugins.iter().filter(|plugin| is(plugin)).count();
    let (stale, flapping) = (count(|plugin| plugin.stale), count(|plugin| plugin.flapping));
    let failing = count(|plugin| !plugin.failing.is_empty());
    if rendered.is_stale() {
        "The health checker has not run for a while: do not rely on anything below.".to_owned()
    } else if !snapshot.settled {
        let up = snapshot.counts.connected;
        format!("Starting: {up} of {} are up.", words::many(snapshot.plugins.len(), "plugin"))
    } else if let Some(trouble) = snapshot.host.first() {
        format!("{}.", capital(&trouble.message))
    } else if !causes.is_empty() {
        of_causes(&causes)
    } else if failing > 0 {
        let answer =
            if failing == 1 { "answers its checks but fails" } else { "answer their checks but fail" };
        format!("{} {answer} in use.", words::many(failing, "plugin"))
    } else if stale > 0 {
        let have = if stale == 1 { "has" } else { "have" };
        format!("{} {have} not been checked for a while.", words::many(stale, "plugin"))
    } else if flapping > 0 {
        format!("{} changed its status too often in the last ten minutes.", words::many(flapping, "plugin"))
    } else if bare > 0 {
        format!("Everything that is set up works. {} not set up yet.", be(bare))
    } else {
        "Everything works.".to_owned()
    }
}

/// The causes of trouble, and how many plugins are only not set up.
fn troubled(snapshot: &Snapshot) -> (Vec<Cause>, usize) {
    let plugin = |cause: &Cause| snapshot.plugin(&cause.name);
    let mut causes = snapshot.causes();
    let is_trouble = |plugin: &PluginHealth| !plugin.healthy && !plugin.is_only_not_set_up();
    causes.retain(|cause| plugin(cause).is_some_and(|plugin| is_trouble(plugin)));
    causes.sort_by_key(|cause| plugin(cause).map(|plugin| roots::weight(plugin)));
    (causes, snapshot.counts.not_configured)
}

fn of_causes(causes: &[Cause]) -> String {
    let mut affected: Vec<_> = causes.iter().flat_map(|cause| &cause.affects).collect();
    affected.sort_unstable();
    affected.dedup();
    let names: Vec<_> = causes.iter().map(|cause| cause.name.as_str()).take(3).collect();
    let names = match (names.as_slice(), causes.len() - names.len()) {
        ([first @ .., last], 0) if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        (names, 0) => names.concat(),
        (names, more) => format!("{} and {more} more", names.join(", ")),
    };
    let (trouble, block) =
        if causes.len() == 1 { ("is in trouble", "blocks") } else { ("are in trouble", "block") };
    match affected.len() {
        0 => format!("{names} {trouble}; nothing else is affected."),
        1 => format!("{names} {trouble}, and {block} {}.", affected[0]),
        others => format!("{names} {trouble}, and {block} {others} others."),
    }
}

fn be(number: usize) -> String {
    format!("{} {}", words::many(number, "plugin"), if number == 1 { "is" } else { "are" })
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}
