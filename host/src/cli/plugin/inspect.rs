//! `switchboard plugin inspect`: what a library is.

use std::path::Path;

use plugin_api::manifest::Manifest;
use serde_json::{Value, json};
use switchboard::loader::Origin;

use super::open;
use crate::cli::{Exit, Failed, show};

/// Opens one library and tells what it is.
pub fn inspect(path: &Path, library: &str, json: bool) -> Result<Exit, Failed> {
    let library = open(path, library)?;
    if json {
        show(format_args!("{:#}", json!({ "origin": library.origin(), "manifest": library.manifest() })));
    } else {
        print(library.origin(), library.manifest());
    }
    Ok(Exit::Success)
}

fn print(origin: &Origin, manifest: &Manifest) {
    show(format_args!("{} {} ({})", manifest.name, manifest.version, manifest.kind.as_str()));
    if !manifest.about.is_empty() {
        show(&manifest.about);
    }
    show(format_args!("\nlibrary   {}", origin.path.display()));
    show(format_args!("built by  {} for {}, plugin ABI {}", origin.rustc, origin.target, origin.abi_version));
    show(format_args!("requires  {}", listed(&manifest.requires)));
    show(format_args!("wants     {}", listed(&manifest.wants)));
    show(format_args!("\nsettings"));
    for (key, schema) in manifest.settings.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        show(format_args!("  {key}{}", setting(manifest, key, schema)));
    }
    show(format_args!("\noperations"));
    for operation in &manifest.operations {
        let marks = [
            (operation.tool, " (tool)"),
            (operation.idempotent, " (idempotent)"),
            (operation.keyed, " (once a key)"),
            (operation.needs_approval, " (needs approval)"),
        ];
        let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
        let level = operation.needs.map(|level| format!(" (needs `{}`)", level.as_str())).unwrap_or_default();
        show(format_args!("  {}{marks}{level}  {}", operation.name, operation.about));
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

/// Variable, whether it is required or secret, and what it is.
fn setting(manifest: &Manifest, key: &str, schema: &Value) -> String {
    let required = manifest.settings.get("required").and_then(Value::as_array);
    let required = required.is_some_and(|required| required.iter().any(|name| name == key));
    let variable = schema.get("x-env").and_then(Value::as_str).map(|variable| format!(" [{variable}]"));
    let about = schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
    format!("{}{}  {about}", variable.unwrap_or_default(), if required { " required" } else { "" })
}
