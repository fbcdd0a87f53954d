//! Judges a manifest: the names and schemas that everything later relies on.

use std::{collections::BTreeSet, ops::RangeInclusive};

use plugin_api::{
    manifest::{Access, Manifest, OperationMode, RouteManifest, WEBSOCKET},
    protocol::HOST,
};
use serde_json::Value;

use crate::scrub::one_line;

/// What a route may answer to.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", WEBSOCKET];

/// How often a plugin may want to be probed, in milliseconds: not without a pause, and not never.
const PROBE_INTERVALS: RangeInclusive<u64> = 100..=24 * 60 * 60 * 1000;

/// How many problems of a manifest are told: who mends them sees the rest.
const MOST_PROBLEMS: usize = 20;

/// Why a manifest cannot be used; every text is one line.
pub(crate) enum Unfit {
    /// It cannot be read.
    Unreadable(String),
    /// What it says makes no sense.
    Nonsense(Vec<String>),
}

/// A manifest that can be used, out of its JSON.
pub(crate) fn read(json: &[u8]) -> Result<Manifest, Unfit> {
    let manifest: Manifest =
        serde_json::from_slice(json).map_err(|error| Unfit::Unreadable(one_line(&error.to_string())))?;
    let problems = problems(&manifest);
    if problems.is_empty() {
        return Ok(manifest);
    }
    Err(Unfit::Nonsense(problems.iter().take(MOST_PROBLEMS).map(|problem| one_line(problem)).collect()))
}

/// Everything that is wrong with a manifest; empty when it can be used.
fn problems(manifest: &Manifest) -> Vec<String> {
    let mut problems = Vec::new();
    check_name(&manifest.name, "the plugin", &mut problems);
    if manifest.name == HOST {
        problems.push(format!("`{HOST}` is reserved for the host itself"));
    }
    check_schema(&manifest.settings, "the settings", &mut problems);
    check_setting_keys(manifest, &mut problems);
    check_dependencies(manifest, &mut problems);
    if let Some(interval) = manifest.probe_interval_ms.filter(|interval| !PROBE_INTERVALS.contains(interval))
    {
        let (least, most) = PROBE_INTERVALS.into_inner();
        problems.push(format!(
            "it wants a probe every {interval} ms: an interval has {least} ms at least, {most} ms at most"
        ));
    }
    let mut names = BTreeSet::new();
    for operation in &manifest.operations {
        check_name(&operation.name, "an operation", &mut problems);
        if !names.insert(&operation.name) {
            problems.push(format!("operation `{}` is declared twice", operation.name));
        }
        check_schema(&operation.request, &format!("the request of `{}`", operation.name), &mut problems);
    }
    manifest.routes.iter().for_each(|route| check_route(manifest, route, &mut problems));
    problems
}

/// A route leads to an operation that can serve it.
fn check_route(manifest: &Manifest, route: &RouteManifest, problems: &mut Vec<String>) {
    let name = format!("route `{} {}`", route.method, route.path);
    if !METHODS.contains(&route.method.as_str()) {
        problems.push(format!("{name} has an unknown method; known are {}", METHODS.join(", ")));
    }
    if !route.path.starts_with('/') {
        problems.push(format!("{name} does not begin with `/`"));
    }
    match manifest.operation(&route.operation).map(|operation| operation.mode) {
        None => problems.push(format!("{name} leads to `{}`, which is no operation", route.operation)),
        Some(OperationMode::Call) if route.method == WEBSOCKET => {
            problems
                .push(format!("{name} leads to `{}`, which is a call: it needs a stream", route.operation));
        }
        Some(_) => {}
    }
    if let Access::Guard(guard) = &route.access
        && guard.split_once('.').is_none_or(|(plugin, operation)| plugin.is_empty() || operation.is_empty())
    {
        problems.push(format!("{name} is guarded by `{guard}`: write it as `plugin.operation`"));
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

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(change: impl FnOnce(&mut Manifest), expected: Expect) {
        let mut manifest = serde_json::from_value(json!({
            "name": "mail", "version": "0.1.0", "kind": "integration",
            "settings": { "type": "object", "properties": { "server": { "type": "string" } } },
        }))
        .unwrap();
        change(&mut manifest);
        expected.assert_eq(&problems(&manifest).join("\n"));
    }

    #[test]
    fn a_good_manifest_has_no_problems() {
        check(|_| {}, expect![""]);
    }

    #[test]
    fn names_and_groups_are_judged_all_at_once() {
        check(
            |manifest| {
                manifest.name = "E-Mail".into();
                manifest.require_any = vec![vec!["server".into(), "host".into()]];
                manifest.requires = vec!["database".into(), "database".into()];
            },
            expect![[r#"
                the plugin is named `E-Mail`: a name is snake_case, begins with a letter and has at most 64 characters
                a group of settings names `host`, which is no setting
                dependency `database` is declared twice"#]],
        );
    }

    #[test]
    fn a_route_needs_an_operation_that_can_serve_it() {
        let route = |method: &str, path: &str, operation: &str, access| RouteManifest {
            method: method.into(),
            path: path.into(),
            operation: operation.into(),
            access,
            body_limit: None,
        };
        check(
            |manifest| {
                manifest.operations = serde_json::from_value(json!([
                    { "name": "show", "mode": "call", "request": {} },
                    { "name": "talk", "mode": "stream", "request": {} },
                ]))
                .unwrap();
                manifest.routes = vec![
                    route("GET", "/mail", "show", Access::Operator),
                    route(WEBSOCKET, "/talk", "talk", Access::Public),
                    route("FETCH", "mail", "hide", Access::Guard("gate".into())),
                    route(WEBSOCKET, "/show", "show", Access::Public),
                ];
            },
            expect![[r#"
                route `FETCH mail` has an unknown method; known are GET, POST, PUT, PATCH, DELETE, WEBSOCKET
                route `FETCH mail` does not begin with `/`
                route `FETCH mail` leads to `hide`, which is no operation
                route `FETCH mail` is guarded by `gate`: write it as `plugin.operation`
                route `WEBSOCKET /show` leads to `show`, which is a call: it needs a stream"#]],
        );
    }

    #[test]
    fn probes_need_a_pause_that_ends() {
        check(
            |manifest| manifest.probe_interval_ms = Some(0),
            expect!["it wants a probe every 0 ms: an interval has 100 ms at least, 86400000 ms at most"],
        );
        check(
            |manifest| manifest.probe_interval_ms = Some(u64::MAX),
            expect![[
                r#"it wants a probe every 18446744073709551615 ms: an interval has 100 ms at least, 86400000 ms at most"#
            ]],
        );
        check(|manifest| manifest.probe_interval_ms = Some(100), expect![""]);
    }

    #[test]
    fn the_hosts_name_is_reserved() {
        check(|manifest| manifest.name = "host".into(), expect!["`host` is reserved for the host itself"]);
    }
}
