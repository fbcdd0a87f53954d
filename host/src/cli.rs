//! The command line: one file a command, and what they share.

use std::{
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand, ValueEnum};
use switchboard::{
    config::{self, Config},
    scrub::Scrubber,
};

mod call;
mod check;
mod client;
mod detail;
mod doctor;
mod exit;
mod graph;
mod log;
mod plugin;
mod reload;
mod run;
mod schema;
mod status;
mod table;
mod variables;

use client::Reach;
pub use exit::{Exit, Failed};

/// The configuration beside the sources, or of the folder where one works.
const HERE: &str = "plugins.toml";
/// Where `host/deploy/install` puts it.
const INSTALLED: &str = "/etc/switchboard/plugins.toml";

/// Runs integrations and services as plugins, and reports truthfully what works.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, about)]
pub struct Arguments {
    /// The configuration; otherwise the one that `SWITCHBOARD_CONFIG` names, `plugins.toml` here, or
    /// `/etc/switchboard/plugins.toml`.
    #[arg(long, value_name = "PATH", global = true)]
    config: Option<PathBuf>,
    /// Shows more: details of why a library is refused, and everything the host logs.
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the host until it is stopped (the default).
    Run,
    /// Checks the configuration without starting the host.
    Check {
        /// Also starts every plugin once, and says whether it connects.
        #[arg(long)]
        connect: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows the dependencies between plugins.
    Graph {
        /// How to draw it.
        #[arg(long, value_enum, default_value_t)]
        format: GraphFormat,
        /// Shows what this plugin takes down.
        #[arg(long, value_name = "NAME", conflicts_with = "format")]
        down: Option<String>,
    },
    /// Shows how a running host is: 0 healthy, 1 degraded, 2 unhealthy, 3 unreachable.
    Status {
        /// Follows changes: redraws on a terminal, otherwise prints a line per change.
        #[arg(long)]
        watch: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Checks a running host and everything that it connects to, end to end, and says what to fix: 0 if nothing failed.
    Doctor {
        /// Only these plugins; `host` is the host itself.
        #[arg(value_name = "PLUGIN")]
        plugins: Vec<String>,
        /// Also runs checks that others can see, such as sending a mail to its own sender; announces each one first.
        #[arg(long)]
        send: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Shows the levels of a running host's log, or sets one until the host ends.
    Log {
        /// The plugin, or `host` for the host itself.
        #[arg(value_name = "PLUGIN", requires = "level")]
        plugin: Option<String>,
        /// `off`, `error`, `warn`, `info`, `debug` or `trace`; `default` returns to the level in plugins.toml.
        #[arg(value_name = "LEVEL")]
        level: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Makes a running host read its configuration again, and restart what changed and what requires it.
    Reload {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Calls an operation of a plugin of a running host, or of `host` itself.
    Call {
        /// The operation.
        #[arg(value_name = "PLUGIN.OPERATION")]
        target: String,
        /// The request.
        #[arg(value_name = "JSON", default_value = "{}")]
        request: String,
        /// On behalf of this person, such as `+15551234567`.
        #[arg(long, value_name = "PERSON")]
        person: Option<String>,
        /// Makes a repeated call harmless: calls with the same key take effect at most once.
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Lists, inspects, creates and tests plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Prints the JSON Schema of plugins.toml, with the settings of every plugin that it names.
    Schema,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Lists the plugins that the configuration names.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows what a library declares: settings, dependencies, operations.
    Inspect {
        /// A plugin's name, or the path of its library.
        library: String,
        /// Prints the manifest as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Creates a new plugin that builds and is healthy from the start.
    New(plugin::New),
    /// Checks a library against the plugin contract, and prints a checklist: 0 if every line passed.
    Test(plugin::Test),
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum GraphFormat {
    #[default]
    Tree,
    Dot,
    Mermaid,
    Json,
}

impl Command {
    /// Opens libraries, and starts no plugin.
    fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::Check { connect: false, .. }
                | Self::Graph { .. }
                | Self::Schema
                | Self::Plugin(PluginCommand::List { .. } | PluginCommand::Inspect { .. })
        )
    }
}

/// Runs the command.
///
/// # Errors
/// What it failed by, with the exit code of that.
pub fn execute(arguments: Arguments) -> Result<Exit, Failed> {
    let Arguments { config: given, verbose, command } = arguments;
    variables::begin(command.as_ref().is_some_and(Command::only_looks))?;
    let source = Source::of(given, std::env::var_os("SWITCHBOARD_CONFIG"), Path::new(INSTALLED));
    let config = source.path.clone();
    match command.unwrap_or(Command::Run) {
        Command::Run => run::run(&config, verbose),
        Command::Check { connect, json } => check::check(&config, verbose, connect, json),
        Command::Graph { format, down } => graph::graph(&config, format, down.as_deref()),
        Command::Status { watch, json, reach } => status::status(&source, watch, json, reach),
        Command::Doctor { plugins, send, json, reach } => {
            doctor::doctor(&source, &plugins, send, json, reach)
        }
        Command::Log { plugin, level, reach } => log::log(&source, plugin.zip(level), reach),
        Command::Reload { json, reach } => reload::reload(&source, json, reach),
        Command::Call { target, request, person, idempotency_key, reach } => {
            let marks = [("switchboard-person", person), ("idempotency-key", idempotency_key)];
            call::call(&source, &target, &request, &marks, reach)
        }
        Command::Plugin(PluginCommand::List { json }) => plugin::list(&config, json),
        Command::Plugin(PluginCommand::Inspect { library, json }) => plugin::inspect(&config, &library, json),
        // An installed configuration is changed only if it is named.
        Command::Plugin(PluginCommand::New(wish)) => {
            plugin::new(if source.is_named { &config } else { Path::new(HERE) }, &wish)
        }
        Command::Plugin(PluginCommand::Test(wish)) => plugin::test(&source, &wish),
        Command::Schema => schema::schema(&config),
    }
}

/// Which configuration counts.
struct Source {
    path: PathBuf,
    /// The command line names it.
    is_given: bool,
    /// The command line or a variable names it.
    is_named: bool,
}

impl Source {
    /// The one of the command line, of the variable, the one here, or the installed one.
    fn of(given: Option<PathBuf>, variable: Option<OsString>, installed: &Path) -> Self {
        let is_given = given.is_some();
        let named = given.or_else(|| variable.filter(|path| !path.is_empty()).map(PathBuf::from));
        let is_named = named.is_some();
        let here = Path::new(HERE);
        let path = named.unwrap_or_else(|| {
            let is_elsewhere = !here.exists() && installed.exists();
            if is_elsewhere { installed.to_owned() } else { here.to_owned() }
        });
        Self { path, is_given, is_named }
    }
}

/// Reads the configuration and the environment.
fn load(path: &Path) -> Result<Config, Failed> {
    config::load(path, variables::variables()).map_err(|problems| Failed::new(Exit::Configuration, problems))
}

/// The same, and sends what is logged to standard error from here on.
fn load_and_log(path: &Path, verbose: bool) -> Result<(Config, Scrubber), Failed> {
    let mut config = load(path)?;
    config.host.verbose = verbose;
    let scrubber = Scrubber::default();
    switchboard::app::log::install(&config.host, &scrubber);
    Ok((config, scrubber))
}

/// The runtime of commands that wait for something.
fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Runtime::new()
        .map_err(|error| Failed::new(Exit::Failed, format!("no runtime can be made: {error}")))
}

/// Says on standard error what was probably meant otherwise.
fn warn(warning: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "warning: {warning}");
}

/// Prints a line. The reader may have gone, such as `head`: then there is nobody to tell.
fn show(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_the_one_that_is_named_the_one_here_or_the_installed_one() {
        let installed = tempfile::NamedTempFile::new().unwrap();
        let of = |given: Option<&str>, variable: Option<&str>, installed: &Path| {
            let source = Source::of(given.map(PathBuf::from), variable.map(OsString::from), installed);
            (source.path, source.is_given, source.is_named)
        };
        assert_eq!(of(Some("a"), Some("b"), installed.path()), ("a".into(), true, true));
        assert_eq!(of(None, Some("b"), installed.path()), ("b".into(), false, true));
        // Tests run in the folder of this crate, where there is none.
        assert_eq!(of(None, Some(""), installed.path()), (installed.path().into(), false, false));
        assert_eq!(of(None, None, Path::new("/nowhere/plugins.toml")), (HERE.into(), false, false));
    }
}
