//! Operations: their names and schemas, and marks that contradict each other.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{check_name, check_schema, takes, takes_request};
use crate::{
    manifest::{Manifest, OperationManifest, OperationMode},
    requests::doctor::Examine,
};

pub(super) fn check(manifest: &Manifest, problems: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for operation in &manifest.operations {
        check_name(&operation.name, "an operation", problems);
        if !names.insert(&operation.name) {
            problems.push(format!("operation `{}` is declared twice", operation.name));
        }
        check_schema(&operation.request, &format!("the request of `{}`", operation.name), problems);
        if operation.mode == OperationMode::Call && !operation.response.is_null() {
            check_schema(&operation.response, &format!("the response of `{}`", operation.name), problems);
        }
        check_marks(operation, problems);
    }
}

fn check_marks(operation: &OperationManifest, problems: &mut Vec<String>) {
    let mut add = |what: &str| problems.push(format!("operation `{}` {what}", operation.name));
    let is_stream = operation.mode == OperationMode::Stream;
    if operation.tool && is_stream {
        add("is a tool and a stream: a language model can only make calls");
    }
    if operation.tool && operation.request.get("type").and_then(Value::as_str) != Some("object") {
        add(
            "is a tool and takes something else than an object, which is all that a language model can give it",
        );
    }
    if operation.needs_approval && !operation.tool {
        add("waits for a person's agreement and is no tool: nobody else is asked for one");
    }
    if operation.idempotent && operation.keyed {
        add("is idempotent and keyed: what may be repeated in any case needs no key for it");
    }
    if operation.doctor && (is_stream || !takes(&operation.request, &Examine::default())) {
        add("is for the doctor, and is no call that takes an `Examine`");
    }
}

/// Why an operation of this plugin cannot guard a route; `None` if it can.
pub fn cannot_guard(manifest: &Manifest, operation: &str) -> Option<&'static str> {
    match manifest.operation(operation) {
        None => Some("is no operation"),
        Some(guard) if guard.mode == OperationMode::Stream => Some("is a stream: it needs a call"),
        Some(guard) if !takes_request(&guard.request) => Some("does not take an HTTP request"),
        Some(_) => None,
    }
}
