//! `host.set_log_level`: levels of the log while the host runs. They hold until the host ends or they are set back; a
//! restart of the plugin and a reload of plugins.toml leave them as they are.

use std::collections::BTreeMap;

use plugin_api::{error::OperationError, protocol::HOST};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::LogLevel;

use super::{Core, log};

/// Asks for a log level, or for the current levels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SetLevel {
    /// The plugin, or `host` for the host itself.
    pub plugin: Option<String>,
    /// `off` to `trace`; left out, the level returns to that of plugins.toml.
    pub level: Option<LogLevel>,
}

/// The current log levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Levels {
    /// By name, `host` among them.
    pub levels: BTreeMap<String, LogLevel>,
    /// Those that were set since the host started and differ from plugins.toml.
    pub set: Vec<String>,
}

impl Core {
    /// Sets a level.
    pub(super) async fn set_log_level(&self, wanted: SetLevel) -> Result<Levels, OperationError> {
        let name = wanted.plugin.as_deref().unwrap_or(HOST);
        let configured = self.configured_levels().await;
        let own = configured.get(name).copied();
        let own = own.ok_or_else(|| OperationError::not_found(format!("there is no plugin `{name}`")))?;
        let level = wanted.level.unwrap_or(own);
        if name == HOST {
            log::set_level(level)?;
        } else {
            self.switch.set_log_level(name, level.as_str(), wanted.level.is_some()).await?;
        }
        tracing::info!("the log of `{name}` is at the level `{}`", level.as_str());
        self.log_levels().await
    }

    /// The levels as they are.
    pub(super) async fn log_levels(&self) -> Result<Levels, OperationError> {
        let mut levels = self.configured_levels().await;
        let mut set = Vec::new();
        for (name, level) in self.switch.log_levels().iter() {
            let level = serde_json::from_value(level.as_str().into());
            let level = level.map_err(|error| OperationError::internal(error.to_string()))?;
            levels.insert(name.clone(), level);
            set.push(name.clone());
        }
        if let Some(level) = log::level()
            && levels.insert(HOST.to_owned(), level) != Some(level)
        {
            set.push(HOST.to_owned());
        }
        Ok(Levels { levels, set })
    }

    /// What plugins.toml says.
    async fn configured_levels(&self) -> BTreeMap<String, LogLevel> {
        let current = self.current.lock().await;
        let host = current.config.host.log_level();
        let plugins = current.prepared.plugins.iter().map(|plugin| &plugin.config);
        let plugins = plugins.map(|plugin| (plugin.name.clone(), plugin.log_level.unwrap_or(host)));
        plugins.chain([(HOST.to_owned(), host)]).collect()
    }
}
