//! What a tool returns -> the words that a model is told of it. [`crate::origin`] marks them. Pure.

use serde_json::{Value, json};

use crate::error::OperationError;

/// The result of a tool as a model is told: no longer than so many bytes, with a note if it was.
pub fn result(value: &Value, most: usize) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    if text.len() <= most {
        return text;
    }
    let (shown, whole) = (cut_off(&text, most), text.len());
    format!("{shown}\n[cut off: these are the first {} of {whole} bytes; ask for less]", shown.len())
}

/// The error of a tool as a model is told of it.
pub fn failure(error: &OperationError, most: usize) -> String {
    let wait = error.retry_after_ms.map(|wait| wait.div_ceil(1000));
    let mut told = json!({ "error": error.kind, "message": error.message });
    if let Some(seconds) = wait {
        told["retry_after_seconds"] = seconds.into();
    }
    result(&told, most)
}

/// So many bytes at most, whole letters.
pub fn cut_off(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
