//! What a prepared configuration means to each part of the host: specs for the board, slots for the switch, units for
//! the lifecycle.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use plugin_api::{manifest::Manifest, protocol::CreateRequest};
use serde_json::Value;

use crate::{
    config::{Config, InvalidSetting, Resolution},
    lifecycle::{Backoff, Before, Pace, Standing, Unit},
    status::{DependencySpec, PluginSpec},
    switch::{Limits, Pattern, SlotSpec, ToolPolicy},
};

use super::{
    prepare::{Prepared, PreparedPlugin},
    verdict::Verdict,
};

impl Prepared {
    /// Every secret among the settings.
    pub(super) fn secrets(&self) -> Vec<String> {
        let resolutions = self.plugins.iter().filter_map(|plugin| plugin.resolution.as_ref());
        resolutions.flat_map(Resolution::secrets).cloned().collect()
    }

    /// What the board must know.
    pub(super) fn specs(&self) -> Vec<PluginSpec> {
        self.plugins.iter().map(|plugin| self.spec(plugin)).collect()
    }

    fn spec(&self, plugin: &PreparedPlugin) -> PluginSpec {
        let manifest = plugin.manifest();
        PluginSpec {
            kind: manifest.map(|manifest| manifest.kind),
            version: manifest.map(|manifest| manifest.version.clone()),
            required: plugin.config.required,
            dependencies: self.dependencies(plugin),
            probe_interval: pace(plugin).probe_interval,
            max_attempts: plugin.config.retry.attempts,
            variables: manifest.map(variables).unwrap_or_default(),
            ..PluginSpec::new(plugin.config.name.clone())
        }
    }

    /// The declared dependencies, under the names of the instances that serve them.
    pub(super) fn dependencies(&self, plugin: &PreparedPlugin) -> Vec<DependencySpec> {
        let Some(manifest) = plugin.manifest() else { return Vec::new() };
        let required = manifest.requires.iter().map(|role| (role, true));
        let declared = required.chain(manifest.wants.iter().map(|role| (role, false)));
        let spec = declared.map(|(role, required)| {
            let name = plugin.instance_of(role).to_owned();
            DependencySpec { named: self.names(&name), name, required }
        });
        spec.collect()
    }

    fn names(&self, instance: &str) -> bool {
        self.plugins.iter().any(|plugin| plugin.config.name == instance)
    }

    /// What the switch must know: of the plugins that have a library.
    pub(super) fn slots(&self) -> Vec<SlotSpec> {
        self.plugins.iter().filter_map(|plugin| self.slot(plugin)).collect()
    }

    fn slot(&self, plugin: &PreparedPlugin) -> Option<SlotSpec> {
        let manifest = plugin.manifest()?;
        let roles = manifest.requires.iter().chain(&manifest.wants);
        let links = roles.map(|role| (role.clone(), plugin.instance_of(role).to_owned()));
        let links: HashMap<_, _> = links.filter(|(_, instance)| self.names(instance)).collect();
        let calls = &plugin.config.calls;
        let patterns =
            |patterns: &[String]| patterns.iter().map(|pattern| Pattern::new(pattern.as_str())).collect();
        Some(SlotSpec {
            name: plugin.config.name.clone(),
            manifest: Arc::new(manifest.clone()),
            callers: plugin.config.callers.clone(),
            needs: plugin.config.needs.clone(),
            links,
            limits: Limits::new(calls.timeout, calls.concurrent, calls.queue),
            tools: ToolPolicy {
                allow: patterns(&plugin.config.tools),
                approve: patterns(&plugin.config.approve),
                decides: plugin.config.decides,
            },
        })
    }

    /// What the lifecycle runs; of plugins that ran before, with what is left of them.
    pub(super) fn units(&self, config: &Config, left: &HashMap<String, Before>) -> Vec<Unit> {
        let units = self.plugins.iter().map(|plugin| Unit {
            name: plugin.config.name.clone(),
            standing: self.standing(plugin, config),
            dependencies: self.named_dependencies(plugin),
            pace: pace(plugin),
            before: left.get(&plugin.config.name).copied().unwrap_or_default(),
        });
        units.collect()
    }

    fn named_dependencies(&self, plugin: &PreparedPlugin) -> BTreeMap<String, bool> {
        let named = self.dependencies(plugin).into_iter().filter(|dependency| dependency.named);
        named.map(|dependency| (dependency.name, dependency.required)).collect()
    }

    fn standing(&self, plugin: &PreparedPlugin, config: &Config) -> Standing {
        match plugin.verdict() {
            Verdict::Refused(error) => {
                if let Some(details) = error.details() {
                    tracing::debug!(plugin = %plugin.config.name, "{details}");
                }
                Standing::Quarantined { message: error.to_string(), fix: error.fix() }
            }
            Verdict::Ready(library, settings) => {
                let request = Box::new(self.request(plugin, settings.clone(), config));
                Standing::Startable { library: library.clone(), request }
            }
            Verdict::NotConfigured(missing) => {
                Standing::NotConfigured { missing: missing.to_vec(), message: None }
            }
            Verdict::Invalid(invalid) => Standing::ConfigInvalid {
                invalid: invalid.iter().map(|setting| setting.name.clone()).collect(),
                message: invalid.iter().map(InvalidSetting::to_string).collect::<Vec<_>>().join("; "),
            },
        }
    }

    fn request(&self, plugin: &PreparedPlugin, settings: Value, config: &Config) -> CreateRequest {
        // A plugin asks for its dependencies by the names of its manifest.
        let links = self.slot(plugin).map(|slot| slot.links).unwrap_or_default();
        CreateRequest {
            instance: plugin.config.name.clone(),
            settings,
            log_level: plugin.config.log_level.unwrap_or(config.host.log_level()).as_str().to_owned(),
            data_dir: config.host.data_dir.to_string_lossy().into_owned(),
            config_dir: config.dir.to_string_lossy().into_owned(),
            dependencies: links.into_keys().collect(),
        }
    }
}

/// How often an instance without a probe is asked whether its threads still turn.
const HEARTBEAT: Duration = Duration::from_secs(30);

fn pace(plugin: &PreparedPlugin) -> Pace {
    let config = &plugin.config;
    let declared =
        plugin.manifest().and_then(|manifest| manifest.probe_interval_ms).map(Duration::from_millis);
    Pace {
        heartbeat: config.probe.interval.unwrap_or(HEARTBEAT),
        init_timeout: config.init.timeout,
        // plugins.toml changes how often a plugin is probed, and gives none a probe.
        probe_interval: declared.map(|declared| config.probe.interval.unwrap_or(declared)),
        probe_timeout: config.probe.timeout,
        attempts: config.retry.attempts,
        backoff: Backoff { base: config.retry.base, cap: config.retry.cap },
        recovery: config.retry.recovery,
    }
}

/// Which environment variable a setting may come from, by the setting's key.
pub(super) fn variables(manifest: &Manifest) -> BTreeMap<String, String> {
    let Some(properties) = manifest.settings.get("properties").and_then(Value::as_object) else {
        return BTreeMap::new();
    };
    let named = properties
        .iter()
        .filter_map(|(key, schema)| Some((key.clone(), schema.get("x-env")?.as_str()?.to_owned())));
    named.collect()
}
