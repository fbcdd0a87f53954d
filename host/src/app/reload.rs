//! plugins.toml is read again while the host runs: what changed is restarted with what requires it, and nothing else.
//! A file that cannot be read, or a plugin that cannot be loaded, changes nothing.

use std::{collections::HashMap, sync::Arc};

use plugin_api::error::OperationError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    clock,
    config::{self, Config, Problems},
    loader,
    status::Board,
    tasks,
};

use super::{
    Core, Current, Refused,
    difference::{Difference, keep_fixed, outdated},
    prepare::{Prepared, PreparedPlugin, prepare_with},
};

/// What a reload did. Names are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Started: new in plugins.toml.
    pub added: Vec<String>,
    /// Stopped: no longer in plugins.toml.
    pub removed: Vec<String>,
    /// Restarted: changed in plugins.toml, or in the environment that it names.
    pub changed: Vec<String>,
    /// Restarted: they require what changed.
    pub dependents: Vec<String>,
    /// What takes effect only when the host is restarted.
    pub needs_restart: Vec<String>,
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration is refused.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// The configuration is good, but for libraries that cannot be used.
    #[error("{0}")]
    Libraries(Problems),
    /// The host is about to stop.
    #[error("the host is stopping")]
    Stopping,
    /// It ended by a panic, at a place that the log names.
    #[error(
        "the host panicked during the reload: some plugins may have been stopped\n  hint: restart the host, and report it with the log"
    )]
    Panicked,
}

impl From<ReloadError> for OperationError {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Refused(Refused(problems)) => refusal("configuration", &problems),
            ReloadError::Libraries(problems) => refusal(LIBRARY, &problems),
            ReloadError::Stopping => OperationError::unavailable(error.to_string()),
            ReloadError::Panicked => OperationError::internal(error.to_string()),
        }
    }
}

/// What of a configuration is refused, when a library is.
pub const LIBRARY: &str = "library";

/// All problems, and whether they concern the configuration or a library.
fn refusal(refused: &str, problems: &Problems) -> OperationError {
    let count = problems.iter().count();
    let message = format!("the {refused} is refused, and nothing was changed ({count} found)");
    let problems = problems.to_string();
    let lines: Vec<_> = problems.lines().collect();
    OperationError::invalid(message).details(json!({ "refused": refused, "problems": lines }))
}

/// What `check` refuses, a reload refuses. A library that could not be used before either, for the same reason, keeps
/// nothing else from being changed: its plugin is in `error`, and stays so.
fn judge(running: &[(String, String)], config: &Config, prepared: &Prepared) -> Result<(), ReloadError> {
    let invalid: Vec<_> = prepared.plugins.iter().flat_map(PreparedPlugin::invalid).collect();
    let known = |plugin: &&PreparedPlugin| match &plugin.library {
        Ok(_) => true,
        Err(error) => running.contains(&(plugin.config.name.clone(), error.to_string())),
    };
    let libraries = prepared.plugins.iter().filter(|plugin| !known(plugin));
    let libraries: Vec<_> = libraries.filter_map(PreparedPlugin::refused).collect();
    match (invalid.is_empty(), libraries.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(ReloadError::Libraries(Problems::new(&config.path, libraries))),
        (false, _) => Err(refused(Problems::new(&config.path, [invalid, libraries].concat()))),
    }
}

impl Core {
    /// Reads plugins.toml again, and brings the plugins to what it says: to its end, even if whoever asked goes away. A
    /// panic in it ends nothing else.
    pub(super) async fn reload(self: Arc<Self>) -> Result<Reloaded, ReloadError> {
        let board = self.board.clone();
        apart(&board, async move { self.reload_here().await }).await
    }

    /// One reload at a time.
    async fn reload_here(&self) -> Result<Reloaded, ReloadError> {
        let mut current = self.current.lock().await;
        if *self.draining.borrow() {
            return Err(ReloadError::Stopping);
        }
        let running = current.config.clone();
        let libraries = current.prepared.libraries.clone();
        let refused_before = refused_libraries(&current.prepared);
        // Libraries are opened here, which blocks.
        let read = tokio::task::spawn_blocking(move || -> Result<_, ReloadError> {
            let mut config = config::load(&running.path, &running.environment).map_err(refused)?;
            let fixed = keep_fixed(&running.host, &mut config);
            let prepared = prepare_with(&config, libraries)?;
            judge(&refused_before, &config, &prepared)?;
            Ok((config, prepared, fixed))
        });
        let mut draining = self.draining.subscribe();
        let (config, prepared, mut needs_restart) = tokio::select! {
            read = read => read.expect("reading does not panic, and the runtime is alive")?,
            // A host that is told to stop waits for no file.
            _ = draining.wait_for(|draining| *draining) => return Err(ReloadError::Stopping),
        };
        super::warn(&prepared);
        needs_restart.extend(outdated(&prepared));
        let difference = Difference::between(&current.prepared, &prepared);
        self.bring(&current.config, &config, &prepared, &difference).await;
        *current = Current { config, prepared };
        Ok(Reloaded::of(difference, needs_restart))
    }

    /// Stops what has to go, tells every part of the host what there is now, and starts what is to start.
    async fn bring(&self, old: &Config, config: &Config, prepared: &Prepared, difference: &Difference) {
        self.scrubber.add(prepared.secrets());
        self.scrubber.add(config.host.token.iter().map(|token| token.expose().to_owned()));
        self.operators.replace_token(config.host.token.clone());
        if old.host.token.is_some() != config.host.token.is_some() {
            super::tell_access(&config.host, old.host.token.is_some());
        }
        let left = self.lifecycle.stop_some(|name| difference.stops(name), old.host.shutdown_grace).await;
        self.board.reconfigure(prepared.specs(), clock::now());
        self.switch.remove(&difference.removed);
        difference.removed.iter().for_each(|name| self.forget_metrics(name));
        // A library that is refused now leaves no slot; the board knows why.
        let without = prepared.plugins.iter().filter(|plugin| plugin.library.is_err());
        let without: Vec<String> = without.map(|plugin| plugin.config.name.clone()).collect();
        self.switch.remove(&without);
        self.switch.add(prepared.slots().into_iter().filter(|slot| difference.starts(&slot.name)));
        self.routes.replace(prepared.routes.clone());
        self.libraries.set(loader::open_count());
        self.start(config, prepared, difference, &left);
    }

    /// Of a plugin that plugins.toml does not name any more.
    fn forget_metrics(&self, name: &str) {
        self.flood.forget(name);
        self.observations.forget(name);
    }

    fn start(
        &self,
        config: &Config,
        prepared: &Prepared,
        difference: &Difference,
        left: &HashMap<String, crate::lifecycle::Before>,
    ) {
        let units = prepared.units(config, left);
        let units = units.into_iter().filter(|unit| difference.starts(&unit.name)).collect();
        self.lifecycle.resume(units, prepared.plan.clone().into());
    }
}

async fn apart<T: Send + 'static>(
    board: &Board,
    work: impl Future<Output = Result<T, ReloadError>> + Send + 'static,
) -> Result<T, ReloadError> {
    tokio::spawn(work).await.unwrap_or_else(|_| {
        tasks::tell(board, "reload", None);
        Err(ReloadError::Panicked)
    })
}

/// The plugins whose library cannot be used, and why.
fn refused_libraries(prepared: &Prepared) -> Vec<(String, String)> {
    let refused = prepared
        .plugins
        .iter()
        .filter_map(|plugin| Some((plugin.config.name.clone(), plugin.library.as_ref().err()?.to_string())));
    refused.collect()
}

fn refused(problems: Problems) -> ReloadError {
    Refused(problems).into()
}

impl Reloaded {
    fn of(difference: Difference, needs_restart: Vec<String>) -> Self {
        let Difference { added, removed, changed, dependents } = difference;
        let names = |names: std::collections::BTreeSet<String>| names.into_iter().collect();
        Self {
            added: names(added),
            removed: names(removed),
            changed: names(changed),
            dependents: names(dependents),
            needs_restart,
        }
    }

    /// Whether nothing was started, stopped or restarted.
    pub fn is_nothing(&self) -> bool {
        [&self.added, &self.removed, &self.changed, &self.dependents].iter().all(|names| names.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::BoardConfig;

    #[tokio::test]
    async fn a_reload_that_panics_is_an_error_that_is_told() {
        let (boot_id, version) = ("test".to_owned(), "0".to_owned());
        let board = Board::new(BoardConfig { boot_id, version, plugins: Vec::new(), now: clock::now() });
        let panics = async { panic!("as the test wants it") };
        let outcome: Result<Reloaded, ReloadError> = apart(&board, panics).await;
        assert!(matches!(outcome, Err(ReloadError::Panicked)), "{outcome:?}");
        assert_eq!(board.snapshot().panics["reload"].count, 1);
    }
}
