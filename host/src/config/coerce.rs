//! A text out of the environment becomes the number, truth value or list that a schema wants. Where it cannot, it
//! stays what it is, and the check against the schema says what is wrong.

use serde_json::{Number, Value};

use super::shape::Shape;

/// Coerces the texts at these JSON pointers.
pub(super) fn coerce_at<'p>(
    document: &mut Value,
    shape: &Shape<'_>,
    pointers: impl IntoIterator<Item = &'p String>,
) {
    for pointer in pointers {
        if let Some(value) = document.pointer_mut(pointer)
            && let Value::String(text) = value
        {
            *value = coerce(text, &shape.at(pointer));
        }
    }
}

/// What the text says in the terms of the schema.
pub(super) fn coerce(text: &str, shape: &Shape<'_>) -> Value {
    if shape.allows("string") {
        return text.into();
    }
    let word = text.trim();
    let number = || integer(word).filter(|_| shape.allows("integer") || shape.allows("number"));
    let fraction = || word.parse().ok().and_then(Number::from_f64).filter(|_| shape.allows("number"));
    let truth = || truth(word).filter(|_| shape.allows("boolean"));
    let list = || shape.allows("array").then(|| list(word, shape)).map(Value::Array);
    let table = || {
        serde_json::from_str(word).ok().filter(|value: &Value| value.is_object() && shape.allows("object"))
    };
    let number = number().or_else(fraction).map(Value::Number);
    number.or_else(|| truth().map(Value::Bool)).or_else(table).or_else(list).unwrap_or_else(|| text.into())
}

fn integer(word: &str) -> Option<Number> {
    word.parse::<i64>().map(Number::from).or_else(|_| word.parse::<u64>().map(Number::from)).ok()
}

/// What a word of the environment says where a truth value is wanted.
pub(super) fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A list as JSON, or its items with commas between them.
fn list(word: &str, shape: &Shape<'_>) -> Vec<Value> {
    if let Ok(Value::Array(items)) = serde_json::from_str(word) {
        return items;
    }
    let items = word.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.enumerate().map(|(index, item)| coerce(item, &shape.child(&index.to_string()))).collect()
}
