//! JSON pointers: how a place in a document is named between parsing, checking and telling a person.

use serde_json::Value;

/// The pointer of a key or an index under a pointer.
pub(super) fn child(pointer: &str, segment: impl std::fmt::Display) -> String {
    let segment = segment.to_string().replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{segment}")
}

/// The keys and indices on the way, outermost first.
pub(super) fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}

/// The pointer of what holds this place, and the last key or index.
pub(super) fn split(pointer: &str) -> Option<(&str, String)> {
    let (parent, _) = pointer.rsplit_once('/')?;
    Some((parent, segments(pointer).last()?))
}

/// The place as TOML writes a dotted key: `plugins.database.retry`.
pub(super) fn dotted(pointer: &str) -> String {
    let quoted = |segment: String| if is_bare(&segment) { segment } else { format!("{segment:?}") };
    segments(pointer).map(quoted).collect::<Vec<_>>().join(".")
}

/// Takes a place out of a document, if it is there. Items of a list stay: their places are counted.
pub(super) fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, key)) = split(pointer) else { return };
    match document.pointer_mut(parent) {
        Some(Value::Object(table)) => _ = table.remove(&key),
        Some(Value::Array(_)) => remove(document, parent),
        _ => {}
    }
}

fn is_bare(segment: &str) -> bool {
    !segment.is_empty()
        && segment.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
}
