//! `switchboard plugin list`: what plugins.toml names.

use std::path::Path;

use comfy_table::{Table, presets};
use plugin_api::manifest::Manifest;
use serde_json::{Value, json};
use switchboard::app;

use crate::cli::{Exit, Failed, load, show};

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
