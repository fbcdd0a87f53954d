//! What serde demands of integers beyond what the schema says: schemars writes the limits of 8 and 16 bits only, and
//! JSON Schema takes `3.0` for an integer.

use serde_json::{Value, json};

use super::super::{pointer, shape::Shape};

/// Gives integers of 32 and 64 bits their limits.
pub(super) fn set(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            let limits = match keywords.get("format").and_then(Value::as_str) {
                Some("int32") => Some((json!(i32::MIN), json!(i32::MAX))),
                Some("uint32") => Some((json!(0), json!(u32::MAX))),
                Some("uint64" | "uint") => Some((json!(0), json!(u64::MAX))),
                Some("int64" | "int") => Some((json!(i64::MIN), json!(i64::MAX))),
                _ => None,
            };
            if let Some((minimum, maximum)) = limits {
                keywords.entry("minimum").or_insert(minimum);
                keywords.entry("maximum").or_insert(maximum);
            }
            keywords.values_mut().for_each(set);
        }
        Value::Array(items) => items.iter_mut().for_each(set),
        _ => {}
    }
}

/// Calls back for every number with a point where only an integer may stand.
pub(super) fn fractions(value: &Value, shape: &Shape<'_>, here: &str, found: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Number(number) if number.is_f64() && shape.allows("integer") && !shape.allows("number") => {
            found(here, value);
        }
        Value::Object(table) => {
            for (key, value) in table {
                fractions(value, &shape.child(key), &pointer::child(here, key), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let index = index.to_string();
                fractions(value, &shape.child(&index), &pointer::child(here, &index), found);
            }
        }
        _ => {}
    }
}
