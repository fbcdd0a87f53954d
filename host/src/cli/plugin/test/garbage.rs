//! Requests that fit no operation, made so that nothing happens should one be taken for a request after all. Pure.

use serde_json::{Map, Value, json};

use super::schemas::properties;

/// Deeper than any reader of JSON follows.
const DEPTH: usize = 10_000;

/// Bytes of a text that is far longer than any sensible one.
const LENGTH: usize = 1 << 20;

/// A request that fits nothing.
pub(super) struct Garbage {
    /// What it is, for a person.
    pub(super) what: &'static str,
    pub(super) payload: Vec<u8>,
    /// Whether only `invalid` is a right answer.
    pub(super) is_invalid: bool,
}

/// Garbage for an operation with this schema of its request: everything that there is.
pub(super) fn requests(schema: &Value) -> Vec<Garbage> {
    let mut all = few(schema);
    all.extend([
        Garbage { what: "bytes that are no text", payload: vec![0xff, 0xfe, 0x00, 0x80], is_invalid: true },
        Garbage { what: "JSON nested 10000 deep", payload: "[".repeat(DEPTH).into_bytes(), is_invalid: true },
        valued("a text of 1 MiB", schema, &Value::String("x".repeat(LENGTH))),
    ]);
    all
}

/// What is made and refused in no time: for where it matters that it is refused, and not what.
pub(super) fn few(schema: &Value) -> Vec<Garbage> {
    vec![
        Garbage { what: "broken JSON", payload: b"{\"a\":".to_vec(), is_invalid: true },
        valued("fields of the wrong types", schema, &wrong_types(schema)),
    ]
}

fn valued(what: &'static str, schema: &Value, value: &Value) -> Garbage {
    let is_invalid = !jsonschema::is_valid(schema, value);
    Garbage { what, is_invalid, payload: value.to_string().into_bytes() }
}

/// An object with all fields of a schema, each a list of lists of lists.
fn wrong_types(schema: &Value) -> Value {
    let mut fields: Map<String, Value> =
        properties(schema).into_iter().flatten().map(|(key, _)| (key.clone(), json!([[[]]]))).collect();
    if fields.is_empty() {
        fields.insert("surely_no_field_of_this_request".to_owned(), json!([[[]]]));
    }
    Value::Object(fields)
}

/// Settings that fit nothing, as a host never sends them.
pub(super) fn settings(schema: &Value) -> Vec<(&'static str, Value)> {
    vec![
        ("null", Value::Null),
        ("a number", json!(7)),
        ("a text", json!("x")),
        ("a list", json!([[[]]])),
        ("fields of the wrong types", wrong_types(schema)),
    ]
}
