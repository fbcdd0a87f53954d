//! Root causes by plugin become the few plugins to look at, with what each of them takes down.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use plugin_api::{
    error::{FixAction, ReasonCode},
    protocol::HOST,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    model::{Failing, Fix, PluginHealth, Reason, Status},
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
    #[serde(serialize_with = "time::serialize")]
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// Its work fails, though its probe may succeed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failing: bool,
    /// For a person, where status and code do not say it: what fails, that it flaps, that what is known of it is stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The other plugins that have it among their root causes, or met its failures.
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

/// Something that fails in use, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailingOf {
    pub name: String,
    #[serde(flatten)]
    pub failing: Failing,
}

impl Snapshot {
    /// What is wrong with the host itself, and the root causes that matter: those in `error`, `disconnected` or
    /// `initializing`, those that hold others, and those that make a required plugin unhealthy; and whatever fails in use,
    /// flaps or is stale. Never empty while the whole is not healthy, once everything has settled.
    pub fn causes(&self) -> Vec<Cause> {
        let mut affected: BTreeMap<&str, Vec<&PluginHealth>> = BTreeMap::new();
        for plugin in self.plugins.iter() {
            for root in plugin.root_causes.iter() {
                affected.entry(root).or_default().push(plugin);
            }
        }
        let causes = self.plugins.iter().filter_map(|plugin| {
            let affected = affected.get(plugin.name.as_str()).map(Vec::as_slice).unwrap_or_default();
            let matters = |plugin: &&PluginHealth| plugin.required || plugin.is_held() || in_trouble(plugin);
            if affected.iter().any(matters) { Some(cause(plugin, affected)) } else { doubt(plugin) }
        });
        let of_host = self.host.iter().map(|trouble| cause_of_host(trouble, self.shown(trouble.since)));
        of_host.chain(causes).collect()
    }

    /// The same for who knows whether the checker is stale: then the host itself is a cause.
    pub fn causes_when(&self, checker_is_stale: bool) -> Vec<Cause> {
        let mut causes = self.causes();
        if checker_is_stale {
            let message = "the host has stopped checking: what is known of its plugins is stale";
            causes.insert(
                0,
                Cause {
                    name: HOST.to_owned(),
                    status: Status::Error,
                    code: Some(ReasonCode::Internal),
                    since: self.shown(self.ticked_at),
                    failing: false,
                    message: Some(message.to_owned()),
                    affects: Vec::new(),
                },
            );
        }
        causes
    }

    /// What fails in use, sorted by plugin.
    pub fn failing(&self) -> Vec<FailingOf> {
        let of = |plugin: &PluginHealth| {
            let named = |failing: &Failing| FailingOf { name: plugin.name.clone(), failing: failing.clone() };
            plugin.failing.iter().map(named).collect::<Vec<_>>()
        };
        self.plugins.iter().flat_map(|plugin| of(plugin)).collect()
    }

    /// What waits for a person.
    pub fn attention(&self) -> Vec<Attention> {
        self.plugins.iter().filter_map(|plugin| attention(plugin)).collect()
    }
}

fn cause(root: &PluginHealth, affected: &[&PluginHealth]) -> Cause {
    let others = affected.iter().map(|plugin| &plugin.name).filter(|name| **name != root.name);
    let met = root.failing.iter().flat_map(|failing| &failing.callers);
    let affects: BTreeSet<_> = others.chain(met).cloned().collect();
    Cause {
        name: root.name.clone(),
        status: root.status,
        code: root.reason.as_ref().map(|reason| reason.code),
        since: root.since,
        failing: !root.failing.is_empty(),
        message: None,
        affects: affects.into_iter().collect(),
    }
}

/// The host stands under its own name, which no plugin can have.
fn cause_of_host(trouble: &HostTrouble, since: Timestamp) -> Cause {
    Cause {
        name: HOST.to_owned(),
        status: Status::Error,
        code: Some(trouble.code),
        message: Some(trouble.message.clone()),
        since,
        failing: false,
        affects: Vec::new(),
    }
}

/// A plugin that may well be healthy, and is not to be relied on all the same.
fn doubt(plugin: &PluginHealth) -> Option<Cause> {
    let cause = cause(plugin, &[]);
    if let Some(worst) = plugin.failing.iter().max_by_key(|failing| failing.last_at) {
        let since = plugin.failing.iter().map(|failing| failing.since).min().unwrap_or(worst.since);
        let what = worst.operation.as_deref().or(worst.key.as_deref()).unwrap_or_default();
        let message = Some(format!("`{what}` fails in use: {}", worst.message));
        return Some(Cause { code: Some(worst.code), since, message, ..cause });
    }
    let message = match (plugin.stale, plugin.flapping) {
        (true, _) => "stale: no check of it has ended for three intervals",
        (_, true) => "flapping: its status changed more than five times in ten minutes",
        (false, false) => return None,
    };
    Some(Cause { message: Some(message.to_owned()), ..cause })
}

fn in_trouble(plugin: &PluginHealth) -> bool {
    matches!(plugin.status, Status::Error | Status::Disconnected | Status::Initializing)
}

/// By its status, else by what fails in use.
fn attention(plugin: &PluginHealth) -> Option<Attention> {
    let (name, status) = (plugin.name.clone(), plugin.status);
    if plugin.fix.as_ref().is_some_and(needs_person) {
        return Some(Attention { name, status, reason: plugin.reason.clone(), fix: plugin.fix.clone() });
    }
    let failing = plugin.failing.iter().find(|failing| needs_person(&failing.fix))?;
    let reason = Reason { code: failing.code, message: failing.message.clone(), retryable: false };
    Some(Attention { name, status, reason: Some(reason), fix: Some(failing.fix.clone()) })
}

fn needs_person(fix: &Fix) -> bool {
    !matches!(fix.action, FixAction::Retry | FixAction::SeeDependency)
}
