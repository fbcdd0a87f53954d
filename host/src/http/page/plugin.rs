//! Everything a person may want to know of one plugin, and what to do about it.

use maud::{Markup, html};
use plugin_api::{error::FixAction, manifest::Kind};

use super::{
    spark,
    traffic::{Calls, Traffic},
    words,
};
use crate::status::{Dependency, PluginHealth, Snapshot, Status, kind_name};

/// How many of its transitions are told.
const TOLD: usize = 10;

pub(super) fn list(snapshot: &Snapshot, traffic: &Traffic) -> Markup {
    let of_kind =
        |service: bool| snapshot.plugins.iter().filter(move |plugin| plugin.is_service() == service);
    html! {
        section #plugins aria-labelledby="plugins-title" {
            div.heading {
                h2 #plugins-title { "Plugins" }
                div #filter hidden data-own {}
            }
            @for (title, service) in [("Integrations", false), ("Services", true)] {
                @if of_kind(service).next().is_some() {
                    div.group data-key=(title) {
                        h3 { (title) }
                        ul.plugins {
                            @for plugin in of_kind(service) { (row(plugin, traffic.plugin(&plugin.name))) }
                        }
                    }
                }
            }
        }
    }
}

fn row(plugin: &PluginHealth, calls: Calls) -> Markup {
    let look = words::look(plugin);
    html! {
        li.plugin.{ "is-" (look) } id={ "plugin-" (plugin.name) } tabindex="-1" data-key=(plugin.name) data-look=(look)
            data-status=(plugin.status) data-healthy[plugin.healthy]
            data-calm[plugin.is_only_not_set_up()]
            data-cause[!plugin.healthy && plugin.root_causes.contains(&plugin.name)]
            data-roots=(plugin.root_causes)
        {
            div.name {
                (words::glyph(look))
                h4 { (plugin.name) }
                @if plugin.required { " " span.tag { "required" } }
            }
            div.state {
                p { b { (words::status(plugin.status)) } " " (words::since(plugin.since)) (flags(plugin)) }
                @if !plugin.is_held() { (reason(plugin)) }
                (waits(plugin))
                @for note in &plugin.notes { p.note { (words::prose(note)) } }
                (fix(plugin))
            }
            (measures(plugin, calls))
            div.action { (verify(plugin)) }
            (details(plugin, calls))
        }
    }
}

fn flags(plugin: &PluginHealth) -> Markup {
    html! {
        @if plugin.stale { " " span.tag.warns title="no check has ended for three intervals" { "stale" } }
        @if plugin.flapping { " " span.tag.warns title="more than five changes in ten minutes" { "flapping" } }
    }
}

/// What keeps it from working, or from starting, and what is behind that.
fn waits(plugin: &PluginHealth) -> Markup {
    let what = if plugin.is_held() { "cannot start before " } else { "waits for " };
    let is_direct = plugin.blocked_by == plugin.root_causes;
    html! {
        @if !plugin.blocked_by.is_empty() {
            p.waits {
                (what) (words::links(plugin.blocked_by.iter()))
                @if !is_direct { ", because of " (words::links(plugin.root_causes.iter())) }
            }
        }
    }
}

fn measures(plugin: &PluginHealth, calls: Calls) -> Markup {
    html! {
        div.latency {
            @if let Some(latency) = plugin.latency_ms {
                (spark::line(&plugin.probes.recent))
                span { (words::millis(latency)) }
            }
        }
        div.traffic {
            @if calls.calls > 0 {
                span { (words::count(calls.calls)) @if calls.calls == 1 { " call" } @else { " calls" } }
                @if calls.errors > 0 {
                    span.failed { (words::count(calls.errors)) " failed" }
                }
            }
        }
    }
}

/// Why it is not connected.
pub(super) fn reason(plugin: &PluginHealth) -> Markup {
    html! {
        @if let Some(reason) = &plugin.reason {
            p.reason { (words::prose(&reason.message)) }
        }
    }
}

/// Why it cannot be relied on, whatever its status.
pub(super) fn doubt(plugin: &PluginHealth) -> Markup {
    html! {
        @for failing in &plugin.failing {
            p.reason { "fails in use: " (words::prose(&failing.message)) }
            p.hint {
                (words::many(usize::try_from(failing.failures).unwrap_or(usize::MAX), "failure"))
                " since " (words::time(failing.since))
                @if !failing.callers.is_empty() {
                    "; met by " (words::links(failing.callers.iter().map(String::as_str)))
                }
            }
            p.fix.words { (failing.fix.label) }
        }
        @if !plugin.failing.is_empty() {
            button.acknowledge type="button" hidden data-acknowledge=(plugin.name)
                aria-label={ "Acknowledge the failures of " (plugin.name) } { "Acknowledge" }
        }
        @if plugin.stale { p.reason { "no check has ended for three intervals: what is shown may be out of date" } }
        @if plugin.flapping { p.reason { "its status changed more than five times in ten minutes: see its history" } }
    }
}

/// What to do: the variables to set, a link to follow, or words.
pub(super) fn fix(plugin: &PluginHealth) -> Markup {
    let Some(fix) = &plugin.fix else { return html! {} };
    let settings = &plugin.settings;
    html! {
        @if let Some(href) = fix.href.as_deref().filter(|href| is_page(href)) {
            p.fix { a.button.main href=(href) { (fix.label) } }
        } @else {
            @match fix.action {
                FixAction::SetVariables if !settings.missing.is_empty() => (variables("To set:", &settings.missing)),
                FixAction::CorrectSetting if fix.label == format!("Correct {}", settings.invalid.join(", ")) => {
                    (variables("To correct:", &settings.invalid))
                }
                // What it waits for is linked where that is told.
                FixAction::SeeDependency if !plugin.blocked_by.is_empty() => {}
                _ => p.fix.words { (fix.label) },
            }
        }
    }
}

/// Each in a box of its own; where one of several is enough, both.
fn variables(what: &str, names: &[String]) -> Markup {
    html! {
        div.fix.variables {
            span { (what) }
            ul {
                @for name in names {
                    li { @for (place, one) in name.split(" or ").enumerate() { @if place > 0 { " or " } code { (one) } } }
                }
            }
        }
    }
}

/// A link only where it leads to a page: a plugin could name anything.
fn is_page(href: &str) -> bool {
    href.starts_with("https://") || (href.starts_with('/') && !href.starts_with("//"))
}

/// Works by script alone: the route takes JSON, which no form sends. Only what has an instance can be verified.
pub(super) fn verify(plugin: &PluginHealth) -> Markup {
    let has_instance = !matches!(plugin.status, Status::NotInitialized | Status::NotConfigured)
        && plugin.fix.as_ref().is_none_or(|fix| fix.action != FixAction::Upgrade);
    html! {
        @if has_instance {
            button.verify type="button" hidden
                data-verify={ "/api/health/" (section(plugin)) "/" (plugin.name) "/verify" }
                aria-label={ "Verify " (plugin.name) " now" } { "Verify" }
        }
    }
}

fn section(plugin: &PluginHealth) -> &'static str {
    if plugin.kind == Some(Kind::Service) { "services" } else { "integrations" }
}

fn details(plugin: &PluginHealth, calls: Calls) -> Markup {
    let (requires, wants): (Vec<_>, Vec<_>) = plugin.dependencies.iter().partition(|on| on.required);
    html! {
        details {
            summary aria-label={ "Details of " (plugin.name) } { "Details" }
            dl.facts {
                @if !requires.is_empty() { dt { "Requires" } dd { (dependencies(&requires)) } }
                @if !wants.is_empty() { dt { "Wants" } dd { (dependencies(&wants)) } }
                @if !plugin.dependents.is_empty() {
                    dt { "Needed by" } dd { (words::links(plugin.dependents.iter())) }
                }
                (checks(plugin))
                @if let Some(mean) = calls.mean_ms() { dt { "A call takes" } dd { (words::millis(mean)) " on average" } }
                @if calls.streams > 0 { dt { "Streams" } dd { (words::count(calls.streams)) " open" } }
                dt { "Build" }
                dd {
                    (kind_name(plugin.kind)) @if let Some(version) = &plugin.version { ", version " (version) }
                    @if plugin.generation > 0 { ", instance " (plugin.generation) }
                }
            }
            (history(plugin))
            p.hint { a href={ "/api/health/" (section(plugin)) "/" (plugin.name) } { "as JSON" } }
        }
    }
}

fn dependencies(dependencies: &[&Dependency]) -> Markup {
    html! {
        ul.dependencies {
            @for on in dependencies {
                li data-to=(on.name) data-required[on.required] data-satisfied[on.satisfied] {
                    @match on.status {
                        Some(status) => { (words::glyph(status.as_str())) (words::link(&on.name)) " " (words::status(status)) }
                        None => { (on.name) " is not in plugins.toml" }
                    }
                }
            }
        }
    }
}

fn checks(plugin: &PluginHealth) -> Markup {
    let attempts = &plugin.retry;
    html! {
        @if let Some(checked_at) = plugin.checked_at { dt { "Checked" } dd { (words::time(checked_at)) } }
        @if let Some(next) = plugin.next_check_at { dt { "Next check" } dd { (words::time(next)) } }
        @if attempts.attempt > 0 && plugin.status != Status::Connected {
            dt { "Attempts" }
            dd {
                (attempts.attempt) " of " (attempts.max_attempts)
                @if let Some(next) = attempts.next_attempt_at { ", the next one " (words::time(next)) }
            }
        }
    }
}

fn history(plugin: &PluginHealth) -> Markup {
    html! {
        @if !plugin.history.is_empty() {
            h5 { "History" }
            ul.history {
                @for change in plugin.history.iter().rev().take(TOLD) {
                    li {
                        (words::time(change.at)) " " (words::status(change.to))
                        @if let Some(message) = &change.message { ": " (words::prose(message)) }
                    }
                }
            }
        }
    }
}
