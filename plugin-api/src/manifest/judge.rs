//! Judges a manifest: a host that loads it, `switchboard check`, `switchboard plugin test` and the tests of its author
//! all do it by this, so that none of them takes what another refuses. Pure.

mod operations;
mod routes;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, ops::RangeInclusive};

use serde_json::Value;

use super::{Kind, Manifest};
use crate::{protocol::HOST, requests::http::HttpRequest};

pub use operations::cannot_guard;
pub use routes::HOST_PATHS;

/// How often a plugin may want to be probed, in milliseconds: not without a pause, and not never.
const PROBE_INTERVALS: RangeInclusive<u64> = 100..=24 * 60 * 60 * 1000;

/// Everything that keeps a manifest from being used, a line each; empty when it can be used.
pub fn judge(manifest: &Manifest) -> Vec<String> {
    let mut problems = Vec::new();
    check_name(&manifest.name, "the plugin", &mut problems);
    if manifest.name == HOST {
        problems.push(format!("`{HOST}` is reserved for the host itself"));
    }
    check_schema(&manifest.settings, "the settings", &mut problems);
    check_setting_keys(manifest, &mut problems);
    check_dependencies(manifest, &mut problems);
    check_probe(manifest, &mut problems);
    operations::check(manifest, &mut problems);
    routes::check(manifest, &mut problems);
    problems
}

fn check_probe(manifest: &Manifest, problems: &mut Vec<String>) {
    match manifest.probe_interval_ms {
        None if manifest.kind == Kind::Integration => problems.push(
            "an integration needs a probe: without one it would be `connected` for ever, whatever happens outside"
                .to_owned(),
        ),
        Some(interval) if !PROBE_INTERVALS.contains(&interval) => {
            let (least, most) = PROBE_INTERVALS.into_inner();
            problems.push(format!(
                "its probe interval is {interval} ms: expected {least} ms at least, {most} ms at most"
            ));
        }
        _ => {}
    }
}

/// Names are snake_case everywhere: in plugins.toml, JSON, metrics and logs.
fn check_name(name: &str, whose: &str, problems: &mut Vec<String>) {
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|first| first.is_ascii_lowercase());
    let goes_on = letters.all(|next| next.is_ascii_lowercase() || next.is_ascii_digit() || next == '_');
    if !starts || !goes_on || name.len() > 64 {
        problems.push(format!(
            "{whose} is named `{name}`: a name is snake_case, begins with a letter and has at most 64 characters"
        ));
    }
}

fn check_schema(schema: &Value, whose: &str, problems: &mut Vec<String>) {
    if let Err(error) = jsonschema::validator_for(schema) {
        problems.push(format!("the JSON Schema of {whose} is invalid: {error}"));
    }
}

/// Whether a schema takes a value; one that is no schema is told of elsewhere.
fn takes(schema: &Value, value: &impl serde::Serialize) -> bool {
    let Ok(value) = serde_json::to_value(value) else { return false };
    jsonschema::validator_for(schema).map_or(true, |validator| validator.is_valid(&value))
}

/// Whether a schema takes what the host hands to the operation behind a route.
fn takes_request(schema: &Value) -> bool {
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: "http://localhost/path?query=1".to_owned(),
        params: [("name".to_owned(), "value".to_owned())].into(),
        query: "query=1".to_owned(),
        headers: vec![("host".to_owned(), "localhost".to_owned())],
        body: crate::requests::http::Body::Text("text".to_owned()),
    };
    takes(schema, &request)
}

/// Groups may only name settings that exist.
fn check_setting_keys(manifest: &Manifest, problems: &mut Vec<String>) {
    let known = manifest.settings.get("properties").and_then(Value::as_object);
    for key in manifest.require_any.iter().chain(&manifest.all_or_none).flatten() {
        if !known.is_some_and(|known| known.contains_key(key)) {
            problems.push(format!("a group of settings names `{key}`, which is no setting"));
        }
    }
}

fn check_dependencies(manifest: &Manifest, problems: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for dependency in manifest.requires.iter().chain(&manifest.wants) {
        check_name(dependency, "a dependency", problems);
        if *dependency == manifest.name {
            problems.push(format!("`{dependency}` depends on itself"));
        } else if !names.insert(dependency) {
            problems.push(format!("dependency `{dependency}` is declared twice"));
        }
    }
}
