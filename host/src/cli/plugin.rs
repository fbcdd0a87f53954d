//! `switchboard plugin`: what plugins there are, and what a library is.

use std::path::{Path, PathBuf};

use comfy_table::{Table, presets};
use plugin_api::manifest::Manifest;
use serde_json::{Value, json};
use switchboard::{
    app,
    loader::{self, LoadError, Origin},
};

use super::{Exit, Failed, load, show};

/// Lists the plugins that the configuration names. A library that is refused is listed with its reason.
pub fn list(path: &Path, json: bool) -> Result<Exit, Failed> {
    let config = load(path)?;
    let prepared = app::prepare(&config).map_err(|refused| Failed::new(Exit::Configuration, refused))?;
    let refused = prepared.plugins.iter().any(|plugin| plugin.library.is_err());
    if json {
        let all: Vec<Value> = prepared
            .plugins
            .iter()
            .map(|plugin| {
                let error = plugin.library.as_ref().err().map(ToString::to_string);
                json!({
                    "name": plugin.config.name, "library": plugin.path, "manifest": plugin.manifest(), "error": error,
                })
            })
            .collect();
        show(format_args!("{:#}", json!(all)));
    } else {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(["PLUGIN", "KIND", "VERSION", "REQUIRES", "WANTS", "ABOUT"]);
        for plugin in &prepared.plugins {
            let name = plugin.config.name.clone();
            table.add_row(match &plugin.library {
                Ok(library) => row(name, library.manifest()),
                Err(error) => vec![
                    name,
                    "unknown".into(),
                    String::new(),
                    String::new(),
                    String::new(),
                    error.to_string(),
                ],
            });
        }
        show(table.trim_fmt());
    }
    Ok(if refused { Exit::Library } else { Exit::Success })
}

fn row(name: String, manifest: &Manifest) -> Vec<String> {
    vec![
        name,
        manifest.kind.as_str().to_owned(),
        manifest.version.clone(),
        manifest.requires.join(", "),
        manifest.wants.join(", "),
        manifest.about.clone(),
    ]
}

/// Opens one library and tells what it is.
pub fn inspect(path: &Path, library: &str, json: bool) -> Result<Exit, Failed> {
    let file = file_of(path, library)?;
    let library = loader::open(&file).map_err(refused)?;
    if json {
        show(format_args!("{:#}", json!({ "origin": library.origin(), "manifest": library.manifest() })));
    } else {
        print(library.origin(), library.manifest());
    }
    Ok(Exit::Success)
}

/// A path is taken as it is; a name is looked up as a section of plugins.toml would.
fn file_of(path: &Path, library: &str) -> Result<PathBuf, Failed> {
    if library.contains(['/', '\\', '.']) {
        return Ok(PathBuf::from(library));
    }
    Ok(loader::path_of(&app::library_dir(&load(path)?), library))
}

fn refused(error: LoadError) -> Failed {
    Failed::new(Exit::Library, error)
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
            (operation.needs_approval, " (needs approval)"),
        ];
        let marks: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
        show(format_args!("  {}{marks}  {}", operation.name, operation.about));
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
