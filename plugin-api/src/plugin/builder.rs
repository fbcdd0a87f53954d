//! The builder by which an author writes a manifest.

use std::{collections::HashMap, time::Duration};

use super::{
    Plugin,
    operation::{Handler, Operation},
};
use crate::manifest::{DEFAULT_PROBE_INTERVAL, Kind, Manifest, Route, schema};

/// A manifest in the making, with the code behind its operations.
pub struct ManifestBuilder<P: Plugin> {
    manifest: Manifest,
    handlers: HashMap<String, Handler<P>>,
}

impl Manifest {
    /// Starts the manifest of a plugin that connects to an outside system. It is probed every minute unless
    /// [`ManifestBuilder::probe_every`] or [`ManifestBuilder::without_probe`] says otherwise.
    pub fn integration<P: Plugin>(name: &str) -> ManifestBuilder<P> {
        ManifestBuilder::new(name, Kind::Integration).probe_every(DEFAULT_PROBE_INTERVAL)
    }

    /// Starts the manifest of a plugin that works with others. It counts by its init, unless it is given a probe by
    /// [`ManifestBuilder::probe_every`].
    pub fn service<P: Plugin>(name: &str) -> ManifestBuilder<P> {
        ManifestBuilder::new(name, Kind::Service)
    }
}

impl<P: Plugin> ManifestBuilder<P> {
    fn new(name: &str, kind: Kind) -> Self {
        let manifest = Manifest {
            name: name.to_owned(),
            version: String::new(),
            kind,
            about: String::new(),
            requires: Vec::new(),
            wants: Vec::new(),
            settings: schema::<P::Settings>(),
            require_any: Vec::new(),
            all_or_none: Vec::new(),
            probe_interval_ms: None,
            multi_instance: false,
            operations: Vec::new(),
            routes: Vec::new(),
        };
        Self { manifest, handlers: HashMap::new() }
    }

    /// One sentence on what the plugin is.
    pub fn about(mut self, about: &str) -> Self {
        about.clone_into(&mut self.manifest.about);
        self
    }

    /// A plugin without which this one cannot be healthy. It is started first, and may be called.
    pub fn requires(mut self, plugin: &str) -> Self {
        self.manifest.requires.push(plugin.to_owned());
        self
    }

    /// A plugin that is used when plugins.toml names it. It is started first, and may be called.
    pub fn wants(mut self, plugin: &str) -> Self {
        self.manifest.wants.push(plugin.to_owned());
        self
    }

    /// At least one of these settings must have a value.
    pub fn require_any<const N: usize>(mut self, keys: [&str; N]) -> Self {
        self.manifest.require_any.push(keys.map(str::to_owned).to_vec());
        self
    }

    /// These settings have a value all together, or none has.
    pub fn all_or_none<const N: usize>(mut self, keys: [&str; N]) -> Self {
        self.manifest.all_or_none.push(keys.map(str::to_owned).to_vec());
        self
    }

    /// [`Plugin::probe`] is called this often (plugins.toml may say otherwise). Never stale within three intervals.
    pub fn probe_every(mut self, interval: Duration) -> Self {
        self.manifest.probe_interval_ms = Some(interval.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// The plugin has no probe: it counts by its init.
    pub fn without_probe(mut self) -> Self {
        self.manifest.probe_interval_ms = None;
        self
    }

    /// Several sections of plugins.toml may use this library, each an instance of its own.
    pub fn multi_instance(mut self) -> Self {
        self.manifest.multi_instance = true;
        self
    }

    /// Something the plugin can be asked to do.
    pub fn operation(mut self, operation: Operation<P>) -> Self {
        let (manifest, handler) = operation.into_parts();
        self.handlers.insert(manifest.name.clone(), handler);
        self.manifest.operations.push(manifest);
        self
    }

    /// Where one of its operations is reached over HTTP. The plugin that guards a route is wanted by that.
    pub fn route(mut self, route: Route) -> Self {
        let route = route.into_manifest();
        if let Some(guard) = route.access.guarding_plugin() {
            let known = [&self.manifest.requires, &self.manifest.wants];
            if guard != self.manifest.name && !known.into_iter().flatten().any(|known| known == guard) {
                self.manifest.wants.push(guard.to_owned());
            }
        }
        self.manifest.routes.push(route);
        self
    }

    /// Whether the plugin has a probe of its own.
    pub(crate) fn has_probe(&self) -> bool {
        self.manifest.probe_interval_ms.is_some()
    }

    /// The manifest alone, with the version of the plugin's crate.
    pub(crate) fn finish(mut self, version: &str) -> (Manifest, HashMap<String, Handler<P>>) {
        version.clone_into(&mut self.manifest.version);
        (self.manifest, self.handlers)
    }
}
