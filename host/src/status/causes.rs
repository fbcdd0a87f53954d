//! Root causes by plugin become the few plugins to look at, with what each of them takes down.

use std::collections::BTreeMap;

use jiff::Timestamp;
use plugin_api::{
    error::{FixAction, ReasonCode},
    protocol::HOST,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    model::{Fix, PluginHealth, Reason, Status},
    snapshot::Snapshot,
    time::{self, Moment},
    trouble::HostTrouble,
};

/// A plugin whose trouble is its own, and everything that it keeps from being healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cause {
    pub name: String,
    pub status: Status,
    pub code: Option<ReasonCode>,
    /// Of the host itself; of a plugin, its details say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(serialize_with = "time::serialize")]
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// The other plugins that have it among their root causes.
    pub affects: Vec<String>,
}

/// A plugin that only a person can mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attention {
    pub name: String,
    pub status: Status,
    pub reason: Option<Reason>,
    pub fix: Option<Fix>,
}

impl Snapshot {
    /// What is wrong with the host itself, and the root causes that matter: those in `error`, `disconnected` or `initializing`, those that hold others, and
    /// those that make a required plugin unhealthy.
    pub fn causes(&self) -> Vec<Cause> {
        let mut affected: BTreeMap<&str, Vec<&PluginHealth>> = BTreeMap::new();
        for plugin in self.plugins.iter() {
            for root in plugin.root_causes.iter() {
                affected.entry(root).or_default().push(plugin);
            }
        }
        let causes = affected.into_iter().filter_map(|(root, affected)| {
            let root = self.plugin(root)?;
            let matters =
                in_trouble(root) || affected.iter().any(|plugin| plugin.required || plugin.is_held());
            matters.then(|| cause(root, &affected))
        });
        self.host.iter().map(cause_of_host).chain(causes).collect()
    }

    /// What waits for a person.
    pub fn attention(&self) -> Vec<Attention> {
        let waiting = self.plugins.iter().filter(|plugin| needs_person(plugin));
        let attention = waiting.map(|plugin| Attention {
            name: plugin.name.clone(),
            status: plugin.status,
            reason: plugin.reason.clone(),
            fix: plugin.fix.clone(),
        });
        attention.collect()
    }
}

fn cause(root: &PluginHealth, affected: &[&PluginHealth]) -> Cause {
    let others = affected.iter().map(|plugin| &plugin.name).filter(|name| **name != root.name);
    Cause {
        name: root.name.clone(),
        status: root.status,
        code: root.reason.as_ref().map(|reason| reason.code),
        message: None,
        since: root.since,
        affects: others.cloned().collect(),
    }
}

/// The host stands under its own name, which no plugin can have.
fn cause_of_host(trouble: &HostTrouble) -> Cause {
    Cause {
        name: HOST.to_owned(),
        status: Status::Error,
        code: Some(trouble.code),
        message: Some(trouble.message.clone()),
        since: trouble.since,
        affects: Vec::new(),
    }
}

fn in_trouble(plugin: &PluginHealth) -> bool {
    matches!(plugin.status, Status::Error | Status::Disconnected | Status::Initializing)
}

fn needs_person(plugin: &PluginHealth) -> bool {
    let action = plugin.fix.as_ref().map(|fix| fix.action);
    !matches!(action, None | Some(FixAction::Retry | FixAction::SeeDependency))
}
