//! What a manifest says of the plugin itself: names, words, versions, dependencies and routes. What makes a manifest
//! unusable, the loader has refused before. Pure.

use std::{path::Path, time::Duration};

use plugin_api::manifest::{Access, Kind, Manifest};
use switchboard::{
    config::Problem,
    http::{PluginRoute, RouteTable},
    loader,
};

use super::checklist::{Checklist, Outcome};

/// Adds a line for each promise.
pub(super) fn check(plugin: &Manifest, library: &Path, list: &mut Checklist) {
    list.add("manifest.load", "the library loads, and its manifest can be used", Outcome::ok());
    list.add("manifest.name", "the library is found by the plugin's name", named(plugin, library));
    list.add("manifest.about", "the plugin and its operations say what they are", about(plugin));
    list.add("manifest.version", "its version is one of Cargo's", version(&plugin.version));
    list.add("manifest.probe", "what joins an outside system verifies that it answers", probe(plugin));
    list.add("manifest.routes", "its routes are free of clashes, also with the host's", routes(plugin));
    list.add("manifest.guards", "who guards its routes is there to be asked", guards(plugin));
}

fn named(plugin: &Manifest, library: &Path) -> Outcome {
    let expected = loader::path_of(Path::new(""), &plugin.name);
    if library.file_name() == Some(expected.as_os_str()) {
        return Outcome::ok();
    }
    Outcome::failed(
        format!(
            "it is in `{}`, and `{}` is looked for in `{}`",
            library.display(),
            plugin.name,
            expected.display()
        ),
        "give crate and manifest the same name",
    )
}

fn about(plugin: &Manifest) -> Outcome {
    let mut silent = Vec::new();
    if plugin.about.trim().is_empty() {
        silent.push("the plugin says nothing".to_owned());
    }
    let operations = plugin.operations.iter().filter(|operation| operation.about.trim().is_empty());
    silent.extend(operations.map(|operation| format!("`{}` says nothing", operation.name)));
    Outcome::none(
        silent,
        "add `.about(\"…\")`: a sentence for people, and for a tool also for the language model",
    )
}

fn version(version: &str) -> Outcome {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').map(str::parse::<u64>).collect();
    if numbers.len() == 3 && numbers.iter().all(Result::is_ok) {
        return Outcome::ok();
    }
    Outcome::failed(format!("it is `{version}`"), "write it as `0.1.0` in Cargo.toml")
}

fn probe(plugin: &Manifest) -> Outcome {
    match (plugin.kind, plugin.probe_interval_ms) {
        (Kind::Integration, None) => Outcome::failed(
            "it has no probe: it would be `connected` for ever, whatever happens outside",
            "write `probe`, and take `.without_probe()` out",
        ),
        (_, Some(0)) => Outcome::failed("its interval is 0", "choose one, such as `Duration::from_secs(60)`"),
        (Kind::Service, None) => Outcome::Ok("a service counts by its init".to_owned()),
        (_, Some(_)) => Outcome::ok(),
    }
}

fn routes(plugin: &Manifest) -> Outcome {
    let route = |manifest: &plugin_api::manifest::RouteManifest| PluginRoute {
        plugin: plugin.name.clone(),
        line: 0,
        manifest: manifest.clone(),
        guard: None,
        streams: false,
        patience: Duration::ZERO,
    };
    let problems = RouteTable::new(plugin.routes.iter().map(route)).err().unwrap_or_default();
    let problems = problems.into_iter().map(|Problem { message, .. }| message).collect();
    Outcome::none(problems, "choose another path: below the plugin's own name there are no clashes")
}

fn guards(plugin: &Manifest) -> Outcome {
    let mut absent = Vec::new();
    for route in &plugin.routes {
        let Access::Guard(guard) = &route.access else { continue };
        let (owner, operation) = guard.split_once('.').unwrap_or((guard, ""));
        let declared = plugin.requires.iter().chain(&plugin.wants).any(|name| name == owner);
        if owner == plugin.name && plugin.operation(operation).is_none() {
            absent.push(format!(
                "`{} {}` is guarded by `{guard}`, which is no operation",
                route.method, route.path
            ));
        } else if owner != plugin.name && !declared {
            absent.push(format!(
                "`{} {}` is guarded by `{guard}`, which is not declared",
                route.method, route.path
            ));
        }
    }
    Outcome::none(
        absent,
        "name an operation that there is; requests are answered 503 until the guard can be asked",
    )
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn failures(change: impl FnOnce(&mut Manifest), expected: Expect) {
        let mut manifest: Manifest = serde_json::from_value(json!({
            "name": "mail", "version": "0.1.0", "kind": "service", "about": "Sends mail", "settings": {},
            "operations": [{ "name": "send", "mode": "call", "about": "Sends one.", "request": {} }],
            "routes": [{ "method": "POST", "path": "/mail", "operation": "send" }],
        }))
        .unwrap();
        change(&mut manifest);
        let file = loader::path_of(Path::new("/plugins"), "mail");
        let outcomes = [
            named(&manifest, &file),
            about(&manifest),
            version(&manifest.version),
            probe(&manifest),
            routes(&manifest),
            guards(&manifest),
        ];
        let failed = outcomes.into_iter().filter_map(|outcome| match outcome {
            Outcome::Failed { why, .. } => Some(why),
            _ => None,
        });
        expected.assert_eq(&failed.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_good_manifest_keeps_every_promise() {
        failures(|_| {}, expect![""]);
    }

    #[test]
    fn each_broken_promise_is_told() {
        failures(
            |manifest| {
                manifest.name = "post".into();
                manifest.about = " ".into();
                manifest.operations[0].about.clear();
                manifest.version = "1.0".into();
                manifest.kind = Kind::Integration;
                manifest.routes[0].path = "/metrics".into();
                manifest.routes[0].access = Access::Guard("post.nobody".into());
            },
            expect![[r#"
                it is in `/plugins/libmail.so`, and `post` is looked for in `libpost.so`
                the plugin says nothing; `send` says nothing
                it is `1.0`
                it has no probe: it would be `connected` for ever, whatever happens outside
                `post` claims `POST /metrics`, which is a route of the host itself
                `POST /metrics` is guarded by `post.nobody`, which is no operation"#]],
        );
    }

    #[test]
    fn a_guard_of_another_plugin_is_declared() {
        failures(
            |manifest| manifest.routes[0].access = Access::Guard("gate.admit".into()),
            expect!["`POST /mail` is guarded by `gate.admit`, which is not declared"],
        );
    }
}
