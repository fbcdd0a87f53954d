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
        add("is a tool whose request is not an object, but a language model can send only an object");
    }
    if operation.needs_approval && !operation.tool {
        add("needs approval and is no tool: only tool calls are approved");
    }
    if !operation.decisive.is_empty() && !operation.tool {
        add("has decisive members and is no tool: only tool calls are approved");
    }
    for member in &operation.decisive {
        if member.split('.').try_fold(&operation.request, member_of).is_none() {
            add(&format!("names `{member}` as decisive, which its request does not have"));
        }
    }
    if operation.idempotent && operation.keyed {
        add("is idempotent and keyed: an operation that may be repeated anyway needs no key");
    }
    if operation.doctor && (is_stream || !takes(&operation.request, &Examine::default())) {
        add("is for the doctor, but is not a call that takes an `Examine`");
    }
    if operation.guard && (is_stream || !takes_request(&operation.request)) {
        add("is a guard, but is not a call that takes an HTTP request");
    }
    if operation.guard && operation.tool {
        add("is a guard and a tool: a guard decides about requests, and has no effect");
    }
}

/// The schema of a member; that of one that may be left out may stand among others.
fn member_of<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    let own = schema.get("properties").and_then(|members| members.get(name));
    own.or_else(|| {
        let parts = ["anyOf", "allOf", "oneOf"].into_iter().filter_map(|of| schema.get(of)?.as_array());
        parts.flatten().find_map(|part| member_of(part, name))
    })
}

/// Why an operation of this plugin cannot guard a route; `None` if it can.
pub fn cannot_guard(manifest: &Manifest, operation: &str) -> Option<&'static str> {
    match manifest.operation(operation) {
        None => Some("is not an operation"),
        Some(guard) if guard.mode == OperationMode::Stream => Some("is a stream: it needs a call"),
        Some(guard) if !takes_request(&guard.request) => Some("does not take an HTTP request"),
        Some(guard) if !guard.guard => Some("is not declared as a guard: mark the operation with `.guard()`"),
        Some(_) => None,
    }
}
