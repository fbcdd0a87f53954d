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

use std::fs;

use clap::Args;
use plugin_api::settings::Span;
use serde_json::{Map, Value};
use switchboard::config::{Environment, PluginConfig, SettingsTable};

use self::{bench::Bench, checklist::Checklist};
use super::{is_path, open};
use crate::cli::{Exit, Failed, Source, load, runtime, show};

/// What is tested, and how.
#[derive(Debug, Args)]
pub struct Test {
    /// A plugin's name, or the path of its library.
    library: String,
    /// The plugin's settings, instead of those in its section of plugins.toml. Variables of the environment count, too.
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
pub fn test(source: &Source, wish: &Test) -> Result<Exit, Failed> {
    let given = given(wish)?;
    let library = open(&source.path, &wish.library)?;
    let plugin = library.manifest().clone();
    let mut list = Checklist::default();
    manifest::check(&plugin, &library.origin().path, &mut list);
    schemas::check(&plugin, &mut list);
    settings::check(&plugin, &mut list);
    let (section, environment) = match given {
        Some(given) => {
            (section_of(&plugin.name, SettingsTable::from_values(given)), Environment::of_process())
        }
        None => configured(source, &wish.library, &plugin.name)?,
    };
    let bench = Bench::new(library, section, environment, wish.limit.0)
        .map_err(|error| Failed::new(Exit::Failed, format!("no folder can be made: {error}")))?;
    list.hide(bench.resolution.secrets());
    runtime()?.block_on(run(&bench, &mut list));
    show(if wish.json { list.json(&plugin) } else { list.text(&plugin) });
    Ok(list.exit())
}

/// The checks that need an instance, in the order of its life.
async fn run(bench: &Bench, list: &mut Checklist) {
    creating::check(bench, list).await;
    let usable = creating::usable(bench, list).await;
    calls::check(bench, usable.as_ref(), list).await;
    let lasting = lifecycle::check(bench, usable.as_ref(), list).await;
    traces::check(bench, usable.as_ref(), lasting, list).await;
}

/// The settings that the command line gives, if it does.
fn given(wish: &Test) -> Result<Option<Map<String, Value>>, Failed> {
    let usage = |problem: String| Failed::new(Exit::Usage, problem);
    let text = match (&wish.settings, &wish.settings_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => fs::read_to_string(file)
            .map_err(|error| usage(format!("`{}` cannot be read: {error}", file.display())))?,
        (None, None) => return Ok(None),
    };
    // The parser's own words could show a piece of a secret.
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        usage(format!("the settings are not a JSON object: see line {line}, column {column}"))
    })
}

/// The plugin's section of plugins.toml, and the variables with those of the `.env` beside it. A library that is named by
/// its path needs neither.
fn configured(source: &Source, library: &str, plugin: &str) -> Result<(PluginConfig, Environment), Failed> {
    let none = section_of(plugin, SettingsTable::default());
    if is_path(library) && !source.is_named && !source.path.exists() {
        return Ok((none, Environment::of_process()));
    }
    let mut config = load(&source.path)?;
    let name = if is_path(library) { plugin } else { library };
    let at = config.plugins.iter().position(|section| section.name == name);
    Ok((at.map_or(none, |at| config.plugins.swap_remove(at)), config.environment))
}

fn section_of(plugin: &str, settings: SettingsTable) -> PluginConfig {
    PluginConfig { settings, ..PluginConfig::new(plugin) }
}
