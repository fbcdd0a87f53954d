//! Statuses, times, numbers and sentences as a person reads them. A status always has a word and a shape of its own, so
//! that nobody needs to tell colours apart.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::status::{PluginHealth, Status, rfc3339};

/// Every shape, drawn once and used by its name.
pub(super) fn glyphs() -> Markup {
    let shapes = [
        ("connected", "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm-1 9.9L4 8l1.1-1.1L7 8.7l3.9-4L12 5.8Z"),
        (
            "disconnected",
            "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 2a2.4 2.4 0 1 1 0 4.8A2.4 2.4 0 0 1 8 3Zm-4 8.6c.6-2 2-2.8 4-2.8s3.4.8 4 2.8Z",
        ),
        (
            "not_configured",
            "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 2.6Zm-3 4.6h6v1.6H5Z",
        ),
        (
            "error",
            "M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1Zm.2 3.2-1.1 1.1L6.9 8l-2.7 2.7 1.1 1.1L8 9.1l2.7 2.7 1.1-1.1L9.1 8l2.7-2.7-1.1-1.1L8 6.9Z",
        ),
        ("initializing", "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6v10.8a5.4 5.4 0 0 1 0-10.8Z"),
        (
            "not_initialized",
            "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 2.6Z",
        ),
        ("blocked", "M8 1 15 14.5H1ZM7.2 6v4h1.6V6Zm0 5v1.6h1.6V11Z"),
        ("mark", "M2 2h3v5h6V2h3v12h-3V9H5v5H2Z"),
    ];
    html! {
        svg.sprite aria-hidden="true" width="0" height="0" {
            @for (name, path) in shapes {
                symbol id={ "glyph-" (name) } viewBox="0 0 16 16" { path fill-rule="evenodd" d=(path) {} }
            }
        }
    }
}

/// How a plugin looks: its status, but for one that works and is kept from it by another.
pub(super) fn look(plugin: &PluginHealth) -> &'static str {
    let is_kept = plugin.status == Status::Connected && !plugin.healthy;
    if is_kept { "blocked" } else { plugin.status.as_str() }
}

pub(super) fn glyph(look: &str) -> Markup {
    html! { svg.glyph.{ "is-" (look) } aria-hidden="true" { use href={ "#glyph-" (look) } {} } }
}

/// `not configured`.
pub(super) fn status(status: Status) -> String {
    status.as_str().replace('_', " ")
}

/// A link to where a plugin is told of.
pub(super) fn link(name: &str) -> Markup {
    html! { a href={ "#plugin-" (name) } { (name) } }
}

/// Links with commas between them.
pub(super) fn links<'a>(names: impl IntoIterator<Item = &'a str>) -> Markup {
    html! { @for (place, name) in names.into_iter().enumerate() { @if place > 0 { ", " } (link(name)) } }
}

/// A message of ours: what stands in backticks is code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Since when something is so; scripts tell for how long.
pub(super) fn since(time: Timestamp) -> Markup {
    html! { time.since datetime=(rfc3339(time)) { "since " (utc(time)) } }
}

/// In UTC; scripts tell how long ago it was.
pub(super) fn time(time: Timestamp) -> Markup {
    html! { time datetime=(rfc3339(time)) { (utc(time)) } }
}

fn utc(time: Timestamp) -> String {
    time.strftime("%-d %b %H:%M:%S UTC").to_string()
}

/// `182 ms`, `1.20 s`.
pub(super) fn millis(millis: f64) -> String {
    match millis {
        small if small < 10.0 => format!("{small:.1} ms"),
        middle if middle < 1000.0 => format!("{middle:.0} ms"),
        large => format!("{:.2} s", large / 1000.0),
    }
}

/// `1,204,117`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let grouped = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group));
    grouped.collect::<Vec<_>>().join(",")
}

/// `1 plugin`, `3 plugins`.
pub(super) fn many(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_a_person_reads_them() {
        assert_eq!([0, 999, 1000, 1_204_117].map(count), ["0", "999", "1,000", "1,204,117"]);
        assert_eq!([0.04, 9.96, 182.4, 1204.0].map(millis), ["0.0 ms", "10.0 ms", "182 ms", "1.20 s"]);
        assert_eq!([0, 1, 2].map(|number| many(number, "call")), ["0 calls", "1 call", "2 calls"]);
    }

    #[test]
    fn what_a_plugin_says_stays_text() {
        assert_eq!(
            prose("`<b>` is not '\"&\"'").into_string(),
            "<code>&lt;b&gt;</code> is not '&quot;&amp;&quot;'"
        );
        assert_eq!(prose("no `end").into_string(), "no <code>end</code>");
    }
}
