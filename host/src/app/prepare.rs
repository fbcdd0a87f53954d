//! Judges everything that can be judged without starting: opens the libraries, holds settings against their schemas,
//! and makes the start plan. Problems of one plugin stay with it; problems of the whole prevent the start.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use plugin_api::manifest::{Access, Manifest, OperationMode, RouteManifest, judge::cannot_guard};

use crate::{
    config::{self, Config, LibraryRef, PluginConfig, Problem, Problems, Resolution, closest},
    graph::{self, StartPlan},
    http::{Guard, PluginRoute, RouteTable},
    loader::{self, Library, LoadError},
};

use super::libraries::Libraries;

/// A configuration that could be read, and cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(#[from] pub Problems);

/// A plugin as far as it can be judged before it starts.
pub struct PreparedPlugin {
    /// Its section of plugins.toml.
    pub config: PluginConfig,
    /// The file of its library.
    pub path: PathBuf,
    /// Its library, or why it cannot be used.
    pub library: Result<Arc<dyn Library>, Arc<LoadError>>,
    /// Its settings; `None` without a library.
    pub resolution: Option<Resolution>,
    /// What of them can be used, and was probably meant otherwise.
    pub warnings: Vec<Problem>,
}

impl PreparedPlugin {
    /// Its manifest; `None` without a library.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.library.as_ref().ok().map(|library| library.manifest())
    }

    /// The instance that serves it under this name: itself, or a dependency, with `bind` applied.
    pub(super) fn instance_of<'a>(&'a self, role: &'a str) -> &'a str {
        if self.manifest().is_some_and(|manifest| manifest.name == role) {
            return &self.config.name;
        }
        self.config.bind.get(role).map_or(role, String::as_str)
    }
}

/// A configuration that can be started.
pub struct Prepared {
    /// In the order of the file.
    pub plugins: Vec<PreparedPlugin>,
    /// In which order they start.
    pub plan: StartPlan,
    /// Where they are reached over HTTP.
    pub routes: RouteTable,
    /// What was opened for it.
    pub(super) libraries: Libraries,
    /// What can be used, and was probably meant otherwise; with that of the plugins.
    pub warnings: Problems,
}

/// Judges a configuration. Blocks while it opens libraries.
///
/// # Errors
/// Every problem that concerns the whole, each with its line.
pub fn prepare(config: &Config) -> Result<Prepared, Refused> {
    prepare_with(config, Libraries::default())
}

/// The same, with libraries that are open already.
pub(super) fn prepare_with(config: &Config, mut libraries: Libraries) -> Result<Prepared, Refused> {
    let plugins = open_all(config, &mut libraries);
    let mut problems = shared_libraries(&plugins);
    problems.extend(plugins.iter().flat_map(|plugin| unusable_guards(plugin, &plugins)));
    problems.extend(plugins.iter().filter_map(useless_callers));
    problems.extend(plugins.iter().flat_map(useless_needs));
    let nodes = plugins.iter().map(|plugin| graph::node(&plugin.config, plugin.manifest(), config)).collect();
    let plan = graph::plan(nodes).map_err(|found| problems.extend(found));
    let routes = RouteTable::new(plugins.iter().flat_map(routes_of)).map_err(|found| problems.extend(found));
    if let (Ok(plan), Ok(routes), true) = (plan, routes, problems.is_empty()) {
        let of_plugins = plugins.iter().flat_map(|plugin| plugin.warnings.clone());
        let warnings = config.warnings.iter().cloned().chain(of_plugins).collect();
        let warnings = Problems::new(&config.path, warnings);
        return Ok(Prepared { plugins, plan, routes, libraries, warnings });
    }
    Err(Refused(Problems::new(&config.path, problems)))
}

/// Guards of a plugin's routes that the plugin which they name cannot serve, as far as it is there.
fn unusable_guards(plugin: &PreparedPlugin, all: &[PreparedPlugin]) -> Vec<Problem> {
    let Some(manifest) = plugin.manifest() else { return Vec::new() };
    let problem = |route: &RouteManifest| {
        let Access::Guard(guard) = &route.access else { return None };
        let (role, operation) = guard.split_once('.')?;
        let instance = plugin.instance_of(role);
        let guarding = all.iter().find(|other| other.config.name == instance)?.manifest()?;
        let why = cannot_guard(guarding, operation)?;
        let (name, RouteManifest { method, path, .. }) = (&plugin.config.name, route);
        let message = format!(
            "route `{method} {path}` of `{name}` is guarded by `{instance}.{operation}`, which {why}"
        );
        let hint = format!(
            "`{name}` {} does not fit `{instance}` {}: build both from one source",
            manifest.version, guarding.version
        );
        Some(Problem::new(message).at(plugin.config.line).hint(hint))
    };
    manifest.routes.iter().filter_map(problem).collect()
}

/// A key that restricts nothing, though somebody relies on it.
fn useless_callers(plugin: &PreparedPlugin) -> Option<Problem> {
    let (manifest, name) = (plugin.manifest()?, &plugin.config.name);
    let restricts = manifest.operations.iter().any(|operation| operation.callers.is_some());
    (plugin.config.callers.is_some() && !restricts).then(|| {
        let message = format!(
            "`callers` of `[plugins.{name}]` has no effect: no operation of `{name}` is limited to callers"
        );
        Problem::new(message).at(plugin.config.line).hint("remove it")
    })
}

/// Levels of operations that the plugin does not have.
fn useless_needs(plugin: &PreparedPlugin) -> Vec<Problem> {
    let (Some(manifest), name) = (plugin.manifest(), &plugin.config.name) else { return Vec::new() };
    let known = || manifest.operations.iter().map(|operation| operation.name.as_str());
    let unknown = plugin.config.needs.keys().filter(|operation| !known().any(|known| known == *operation));
    let problem = |operation: &String| {
        let message =
            format!("`needs` of `[plugins.{name}]` names `{operation}`, which `{name}` has no operation for");
        let meant = closest(operation, known());
        let hint = meant.map_or_else(|| "remove it".to_owned(), |meant| format!("did you mean `{meant}`?"));
        Problem::new(message).at(plugin.config.line).hint(hint)
    };
    unknown.map(problem).collect()
}

/// The routes of a plugin, each with the instance that guards it.
fn routes_of(plugin: &PreparedPlugin) -> Vec<PluginRoute> {
    let Some(manifest) = plugin.manifest() else { return Vec::new() };
    let route = |route: &RouteManifest| {
        let guard = match &route.access {
            Access::Guard(operation) => operation.split_once('.').map(|(role, operation)| Guard {
                plugin: plugin.instance_of(role).to_owned(),
                operation: operation.to_owned(),
            }),
            _ => None,
        };
        let mode = manifest.operation(&route.operation).map(|operation| operation.mode);
        PluginRoute {
            plugin: plugin.config.name.clone(),
            line: plugin.config.line,
            manifest: route.clone(),
            guard,
            streams: mode == Some(OperationMode::Stream),
            patience: plugin.config.calls.timeout,
        }
    };
    manifest.routes.iter().map(route).collect()
}

/// The folder of libraries: the executable's, unless plugins.toml says otherwise.
pub fn library_dir(config: &Config) -> PathBuf {
    let beside_executable = || std::env::current_exe().ok()?.parent().map(Path::to_owned);
    config.host.library_dir.clone().or_else(beside_executable).unwrap_or_else(|| config.dir.clone())
}

/// Every section with its library and its settings.
fn open_all(config: &Config, libraries: &mut Libraries) -> Vec<PreparedPlugin> {
    let folder = library_dir(config);
    let paths: Vec<PathBuf> = config.plugins.iter().map(|plugin| path_of(plugin, &folder)).collect();
    libraries.open(&paths);
    let prepared = config.plugins.iter().zip(paths).map(|(plugin, path)| {
        let library = libraries.get(&path);
        let library = library.and_then(|library| named_as_expected(plugin, &path, library));
        let resolution = library
            .as_ref()
            .ok()
            .map(|library| config::resolve(plugin, library.manifest(), &config.environment));
        let unset =
            |library: &Arc<dyn Library>| config::unset(plugin, library.manifest(), &config.environment);
        let warnings = library.as_ref().map(unset).unwrap_or_default();
        PreparedPlugin { config: plugin.clone(), path, library, resolution, warnings }
    });
    prepared.collect()
}

/// The file of a plugin's library, in the folder of libraries unless its section says otherwise.
pub fn path_of(plugin: &PluginConfig, folder: &Path) -> PathBuf {
    match &plugin.library {
        LibraryRef::Name(name) => loader::path_of(folder, name),
        LibraryRef::Path(path) => path.clone(),
    }
}

/// A library that is found by a plugin's name holds that plugin, or it is a file that was renamed.
fn named_as_expected(
    plugin: &PluginConfig,
    path: &Path,
    library: Arc<dyn Library>,
) -> Result<Arc<dyn Library>, Arc<LoadError>> {
    let found = &library.manifest().name;
    match &plugin.library {
        LibraryRef::Name(expected) if expected != found => {
            let problem = format!("it is named `{found}`, and plugins.toml asks for `{expected}`");
            Err(Arc::new(LoadError::BadManifest(path.to_owned(), vec![problem])))
        }
        _ => Ok(library),
    }
}

/// Two sections may use one library only if its manifest says so.
fn shared_libraries(plugins: &[PreparedPlugin]) -> Vec<Problem> {
    let mut first: HashMap<&Path, &PreparedPlugin> = HashMap::new();
    let mut problems = Vec::new();
    for plugin in plugins {
        let Some(other) = first.insert(&plugin.path, plugin) else { continue };
        let Some(manifest) = plugin.manifest().filter(|manifest| !manifest.multi_instance) else { continue };
        let (name, other) = (&plugin.config.name, &other.config.name);
        let message =
            format!("`[plugins.{name}]` and `[plugins.{other}]` use the same library, `{}`", manifest.name);
        let hint = format!("`{}` runs once in a host: remove one of the sections", manifest.name);
        problems.push(Problem::new(message).at(plugin.config.line).hint(hint));
    }
    problems
}
