//! Two prepared configurations become what must be done to get from the one to the other: which plugins to start, stop
//! and restart, and what only a restart of the host can change. Pure but for a look at the files of libraries.

use std::{collections::BTreeSet, sync::Arc};

use crate::config::{Config, HostConfig, PluginConfig, SECRET_KEY_VARIABLE, SettingsTable};

use super::prepare::{Prepared, PreparedPlugin};

/// What a reload has to do. Names are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// New in plugins.toml.
    pub(super) added: BTreeSet<String>,
    /// No longer in plugins.toml.
    pub(super) removed: BTreeSet<String>,
    /// Different from before.
    pub(super) changed: BTreeSet<String>,
    /// The same as before, but they require what changed.
    pub(super) dependents: BTreeSet<String>,
}

impl Difference {
    pub(super) fn between(old: &Prepared, new: &Prepared) -> Self {
        let of = |prepared: &Prepared| -> BTreeSet<String> {
            prepared.plugins.iter().map(|plugin| plugin.config.name.clone()).collect()
        };
        let (before, after) = (of(old), of(new));
        let added: BTreeSet<_> = after.difference(&before).cloned().collect();
        let changed: BTreeSet<_> = new
            .plugins
            .iter()
            .filter(|plugin| !added.contains(&plugin.config.name) && !is_same(old, new, plugin))
            .map(|plugin| plugin.config.name.clone())
            .collect();
        let dependents = changed.iter().flat_map(|name| new.plan.required_dependents_closure(name));
        let dependents = dependents.map(str::to_owned);
        Self {
            removed: before.difference(&after).cloned().collect(),
            dependents: dependents.filter(|name| !changed.contains(name) && !added.contains(name)).collect(),
            added,
            changed,
        }
    }

    /// Whether an instance of before has to go.
    pub(super) fn stops(&self, name: &str) -> bool {
        [&self.removed, &self.changed, &self.dependents].iter().any(|names| names.contains(name))
    }

    /// Whether an instance has to be made.
    pub(super) fn starts(&self, name: &str) -> bool {
        [&self.added, &self.changed, &self.dependents].iter().any(|names| names.contains(name))
    }
}

fn is_same(old: &Prepared, new: &Prepared, plugin: &PreparedPlugin) -> bool {
    let before = old.plugins.iter().find(|before| before.config.name == plugin.config.name);
    before.is_some_and(|before| {
        section(&before.config) == section(&plugin.config)
            && is_same_library(before, plugin)
            && before.resolution == plugin.resolution
            && old.dependencies(before) == new.dependencies(plugin)
    })
}

/// The keys of the section; its settings are compared as they were resolved, and its place says nothing.
fn section(config: &PluginConfig) -> PluginConfig {
    PluginConfig { line: 0, settings: SettingsTable::default(), ..config.clone() }
}

fn is_same_library(one: &PreparedPlugin, other: &PreparedPlugin) -> bool {
    match (&one.library, &other.library) {
        (Ok(one), Ok(other)) => Arc::ptr_eq(one, other),
        (Err(one), Err(other)) => one.to_string() == other.to_string(),
        _ => false,
    }
}

/// Keeps what only a restart of the host can change as it is, and names it.
pub(super) fn keep_fixed(running: &HostConfig, config: &mut Config) -> Vec<String> {
    // Without `..`: it is decided here of each key whether it takes effect by a reload.
    let HostConfig {
        listen,
        data_dir,
        library_dir,
        public_base_url,
        token,
        secret_key,
        trusted_proxies,
        shutdown_grace,
        log,
        verbose: _,
    } = &config.host;
    // The address that the running host listens on stays, and beyond this machine it demands a token.
    let loses_token =
        token.is_none() && running.token.is_some() && !running.listen.ip().to_canonical().is_loopback();
    let keys = [
        ("listen", *listen != running.listen),
        ("data_dir", *data_dir != running.data_dir),
        ("public_base_url", *public_base_url != running.public_base_url),
        ("token_file", loses_token),
        ("trusted_proxies", *trusted_proxies != running.trusted_proxies),
        ("log", *log != running.log),
    ];
    let differ = keys.into_iter().filter(|(_, differs)| *differs);
    let mut changed: Vec<_> = differ.map(|(key, _)| format!("`{key}` of `[host]`")).collect();
    if *secret_key != running.secret_key {
        changed.push(format!("the variable `{SECRET_KEY_VARIABLE}`"));
    }
    config.host = HostConfig {
        library_dir: library_dir.clone(),
        shutdown_grace: *shutdown_grace,
        token: if loses_token { running.token.clone() } else { token.clone() },
        ..running.clone()
    };
    changed
}

/// The plugins whose library is another file by now.
pub(super) fn outdated(prepared: &Prepared) -> impl Iterator<Item = String> {
    let plugins = prepared.plugins.iter().filter(|plugin| prepared.libraries.is_outdated(&plugin.path));
    plugins.map(|plugin| format!("the library of `{}`, whose file changed", plugin.config.name))
}
