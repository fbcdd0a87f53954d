//! Checks a manifest's name, words and version. The loader has already refused unusable manifests, by the judge of all
//! manifests. Pure.

use std::path::Path;

use plugin_api::manifest::Manifest;
use switchboard::loader;

use super::checklist::{Checklist, Outcome};

/// Adds a line for each promise.
pub(super) fn check(plugin: &Manifest, library: &Path, list: &mut Checklist) {
    list.add("manifest.load", "the library loads, and its manifest can be used", Outcome::ok());
    list.add("manifest.name", "the library is found by the plugin's name", named(plugin, library));
    list.add("manifest.about", "the plugin and its operations have descriptions", about(plugin));
    list.add("manifest.version", "its version is a valid Cargo version", version(&plugin.version));
}

fn named(plugin: &Manifest, library: &Path) -> Outcome {
    let expected = loader::path_of(Path::new(""), &plugin.name);
    if library.file_name() == Some(expected.as_os_str()) {
        return Outcome::ok();
    }
    Outcome::failed(
        format!(
            "it is in `{}`, but `{}` is looked for in `{}`",
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
        silent.push("the plugin has no description".to_owned());
    }
    let operations = plugin.operations.iter().filter(|operation| operation.about.trim().is_empty());
    silent.extend(operations.map(|operation| format!("`{}` has no description", operation.name)));
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
        let outcomes = [named(&manifest, &file), about(&manifest), version(&manifest.version)];
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
            },
            expect![[r#"
                it is in `/plugins/libmail.so`, but `post` is looked for in `libpost.so`
                the plugin has no description; `send` has no description
                it is `1.0`"#]],
        );
    }
}
