//! Makes instances of the library under test, and asks them with a limit.

use std::{future::Future, io, sync::Arc, time::Duration};

use plugin_api::{
    error::Failure,
    manifest::Manifest,
    protocol::{CallHeader, CreateRequest, PING},
};
use serde_json::Value;
use switchboard::{
    config::{self, Environment, PluginConfig, Resolution},
    loader::{Instance, Library},
};
use tempfile::TempDir;
use tokio::time::timeout;

use super::witness::Witness;

/// The library, and what its instances are made with.
pub(super) struct Bench {
    library: Arc<dyn Library>,
    folder: TempDir,
    /// The settings that are given, before variables and defaults.
    pub(super) section: PluginConfig,
    /// The variables that count.
    pub(super) environment: Environment,
    /// What a host would make of both.
    pub(super) resolution: Resolution,
    /// How long each step may take.
    pub(super) limit: Duration,
}

impl Bench {
    pub(super) fn new(
        library: Arc<dyn Library>,
        section: PluginConfig,
        environment: Environment,
        limit: Duration,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("switchboard-plugin-test-").tempdir()?;
        let resolution = config::resolve(&section, library.manifest(), &environment);
        Ok(Self { library, folder, section, environment, resolution, limit })
    }

    pub(super) fn manifest(&self) -> &Manifest {
        self.library.manifest()
    }

    /// Makes an instance that logs from this level on.
    pub(super) async fn create(
        &self,
        settings: Value,
        log_level: &str,
        witness: &Witness,
    ) -> Result<Arc<dyn Instance>, Failure> {
        let manifest = self.manifest();
        let folder = self.folder.path().to_string_lossy().into_owned();
        let request = CreateRequest {
            instance: manifest.name.clone(),
            settings,
            log_level: log_level.to_owned(),
            data_dir: folder.clone(),
            config_dir: folder,
            dependencies: [manifest.requires.clone(), manifest.wants.clone()].concat(),
        };
        self.library.create(Arc::new(witness.clone()), request, self.limit).await
    }

    /// Waits for a step, no longer than the limit.
    pub(super) async fn within<T>(&self, step: impl Future<Output = T>) -> Option<T> {
        timeout(self.limit, step).await.ok()
    }

    /// Whether the instance's threads are free.
    pub(super) async fn answers(&self, instance: &Arc<dyn Instance>) -> bool {
        let header = CallHeader { operation: PING.to_owned(), ..CallHeader::default() };
        matches!(self.within(instance.call(&header, Vec::new())).await, Some(Ok(_)))
    }
}

/// The header of a call of an operation, as an operator's has it.
pub(super) fn header(operation: &str) -> CallHeader {
    CallHeader { operation: operation.to_owned(), ..CallHeader::default() }
}
