//! A picture or a change becomes the bytes of an event (WHATWG HTML, 9.2), with what its reader may see. JSON has no line
//! breaks of its own, so that one `data` line holds it.

use axum::body::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::super::view::Reader;
use crate::status::{Change, KindName, Moment, Overall, Status, Transition, kind_name, rfc3339};

/// How long a client waits before it comes back, in milliseconds.
pub(super) const BEGIN: Bytes = Bytes::from_static(b"retry: 1000\n\n");

/// Says that somebody is there.
pub(super) const COMMENT: Bytes = Bytes::from_static(b":\n\n");

const END: Bytes = Bytes::from_static(b"\n\n");

/// An event with all that is known, in pieces, so that everybody's JSON is the same bytes in memory.
pub(super) fn picture(kind: &str, boot_id: &str, revision: u64, json: Bytes) -> [Bytes; 3] {
    [head(kind, boot_id, revision).into(), json, END]
}

/// Events for changes, in their order.
pub(super) fn transitions<'a>(
    changes: impl IntoIterator<Item = &'a Change>,
    boot_id: &str,
    reader: Reader,
) -> Bytes {
    let mut text = String::new();
    for change in changes {
        text.push_str(&head("transition", boot_id, change.revision));
        text.push_str(&json(change, reader));
        text.push_str("\n\n");
    }
    text.into()
}

fn head(kind: &str, boot_id: &str, revision: u64) -> String {
    format!("id: {boot_id}-{revision}\nevent: {kind}\ndata: ")
}

/// A change as anybody may see it, and what only operators get: a line of the plugin's history.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub(in super::super) struct Told<'a> {
    name: &'a str,
    #[schemars(with = "KindName")]
    kind: &'static str,
    status: Status,
    healthy: bool,
    #[schemars(with = "Moment")]
    since: String,
    /// The host as a whole.
    overall: Overall,
    #[serde(flatten)]
    details: Option<Details<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct Details<'a> {
    revision: u64,
    #[serde(flatten)]
    transition: &'a Transition,
}

fn json(change: &Change, reader: Reader) -> String {
    let Change { revision, name, kind, healthy, overall, transition } = change;
    let details = Details { revision: *revision, transition };
    let told = Told {
        name,
        kind: kind_name(*kind),
        status: transition.to,
        healthy: *healthy,
        since: rfc3339(transition.at),
        overall: *overall,
        details: (reader == Reader::Operator).then_some(details),
    };
    serde_json::to_string(&told).expect("a change has string keys and plain values")
}
