//! Which level each plugin logs at, where that was set while the host runs: it outlives the instance, so that one that is
//! restarted goes on at the same level.

use std::{collections::BTreeMap, sync::Arc};

use plugin_api::{
    error::OperationError,
    protocol::{CallHeader, SET_LOG_LEVEL, SetLogLevel},
};

use crate::{loader::Instance, tasks};

use super::{Caller, Switch};

impl Switch {
    /// From now on the plugin logs at this level, its later instances too; with `lasting` false they do not.
    ///
    /// # Errors
    /// There is no such plugin, or its instance does not take the level.
    pub async fn set_log_level(&self, name: &str, level: &str, lasting: bool) -> Result<(), OperationError> {
        let slot = self.find(&Caller::Operator, name)?;
        self.inner.levels.rcu(|levels| {
            let mut levels = BTreeMap::clone(levels);
            match lasting {
                true => _ = levels.insert(name.to_owned(), level.to_owned()),
                false => _ = levels.remove(name),
            }
            levels
        });
        match slot.visit() {
            Some(visit) => set(visit.instance(), level).await,
            None => Ok(()),
        }
    }

    /// The levels that were set so, by plugin.
    pub fn log_levels(&self) -> Arc<BTreeMap<String, String>> {
        self.inner.levels.load_full()
    }

    /// Tells a new instance the level that was set for its plugin.
    pub(super) fn keep_level(&self, name: &str, instance: &Arc<dyn Instance>) {
        let Some(level) = self.inner.levels.load().get(name).cloned() else { return };
        let (name, instance) = (name.to_owned(), instance.clone());
        tasks::once(&self.inner.board, "log_level", Some(&name.clone()), async move {
            if let Err(error) = set(instance.as_ref(), &level).await {
                tracing::warn!(plugin = name, level, "its log level could not be set: {error}");
            }
        });
    }
}

async fn set(instance: &dyn Instance, level: &str) -> Result<(), OperationError> {
    let header = CallHeader { operation: SET_LOG_LEVEL.to_owned(), ..CallHeader::default() };
    let request = serde_json::to_vec(&SetLogLevel { level: level.to_owned() })
        .map_err(|error| OperationError::internal(error.to_string()))?;
    instance.call(&header, request).await.map(|_| ())
}
