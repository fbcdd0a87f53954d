//! `switchboard schema`: for editors, and for who wants to know every key.

use std::path::Path;

use switchboard::{app, config};

use super::{Exit, Failed, load, show};

/// Prints the JSON Schema of plugins.toml. A library that cannot be used leaves its settings open.
pub fn schema(path: &Path) -> Result<Exit, Failed> {
    let config = load(path)?;
    let prepared = app::prepare(&config).map_err(|refused| Failed::new(Exit::Configuration, refused))?;
    let settings: Vec<_> = prepared
        .plugins
        .iter()
        .filter_map(|plugin| Some((plugin.config.name.as_str(), &plugin.manifest()?.settings)))
        .collect();
    show(format_args!("{:#}", config::schema(&settings)));
    Ok(Exit::Success)
}
