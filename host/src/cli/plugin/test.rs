//! `switchboard plugin test`: a library becomes a checklist of what every plugin promises. It runs in this process, with
//! a stand-in for the host; each step has a limit. No operation is called with a request that fits, so that nothing is
//! sent, bought or deleted.

mod checklist;
mod manifest;
mod schemas;
mod settings;
mod garbage;
mod witness;
mod bench;
mod creating;
mod calls;
mod lifecycle;
mod traces;

use std::{fs, path::Path};

use clap::Args;
use plugin_api::settings::Span;
use serde_json::{Map, Value};
use switchboard::config::{self, Environment, PluginConfig, Resolution, SettingsTable};

use self::{bench::Bench, checklist::Checklist};
use super::open;
use crate::cli::{Exit, Failed, runtime, show};

/// What is tested, and how.
#[derive(Debug, Args)]
pub struct Test {
    /// A plugin's name, or the path of its library.
    library: String,
    /// The plugin's settings, as its table in plugins.toml has them. Variables of the environment count, too.
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// The same, from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "settings")]
    settings_file: Option<std::path::PathBuf>,
    /// How long each step may take.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = Span::parse)]
    limit: Span,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs every check, and prints what came of it.
pub fn test(config: &Path, wish: &Test) -> Result<Exit, Failed> {
    let given = given(wish)?;
    let library = open(config, &wish.library)?;
    let plugin = library.manifest().clone();
    let mut list = Checklist::default();
    manifest::check(&plugin, &library.origin().path, &mut list);
    schemas::check(&plugin, &mut list);
    settings::check(&plugin, &mut list);
    let resolution = resolve(&plugin, given.clone(), &Environment::of_process());
    list.hide(resolution.secrets());
    let bench = Bench::new(library, given, resolution, wish.limit.0)
        .map_err(|error| Failed::new(Exit::Failed, format!("no folder can be made: {error}")))?;
    runtime()?.block_on(run(&bench, &mut list));
    show(if wish.json { list.json(&plugin) } else { list.text(&plugin) });
    Ok(if list.has_failures() { Exit::Failed } else { Exit::Success })
}

/// The checks that need an instance, in the order of its life.
async fn run(bench: &Bench, list: &mut Checklist) {
    creating::check(bench, list).await;
    let usable = creating::usable(bench, list).await;
    calls::check(bench, usable.as_ref(), list).await;
    let lasting = lifecycle::check(bench, usable.as_ref(), list).await;
    traces::check(bench, usable.as_ref(), lasting, list).await;
}

/// The settings that the command line gives.
fn given(wish: &Test) -> Result<Map<String, Value>, Failed> {
    let usage = |problem: String| Failed::new(Exit::Usage, problem);
    let text = match (&wish.settings, &wish.settings_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => fs::read_to_string(file)
            .map_err(|error| usage(format!("`{}` cannot be read: {error}", file.display())))?,
        (None, None) => return Ok(Map::new()),
    };
    // The parser's own words could show a piece of a secret.
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        usage(format!("the settings are not a JSON object: see line {line}, column {column}"))
    })
}

/// What a host would make of settings.
fn resolve(
    plugin: &plugin_api::manifest::Manifest,
    settings: Map<String, Value>,
    variables: &Environment,
) -> Resolution {
    let section =
        PluginConfig { settings: SettingsTable::from_values(settings), ..PluginConfig::new(&plugin.name) };
    config::resolve(&section, plugin, variables)
}
