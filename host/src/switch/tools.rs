//! Which operations a language model may be offered through which plugin: the operation's mark, and the allow-list of
//! plugins.toml, which is empty by default.

use std::time::Duration;

use plugin_api::{
    error::OperationError,
    level::Level,
    manifest::OperationMode,
    protocol::CallHeader,
    requests::host::{Away, Tool, Toolset},
};

use super::{Switch, policy::ToolPolicy, slot::Slot};
use crate::{
    clock,
    status::{PluginHealth, Status},
};

impl Switch {
    /// The tools that a plugin may use now, sorted by name: allowed, marked so, and with an instance behind them. On behalf
    /// of somebody of whom it is only so certain who they are, none that needs more.
    pub fn tools(&self, caller: &str, level: Option<Level>) -> Vec<Tool> {
        self.toolset(caller, level).tools
    }

    /// The same, and the plugins with tools that it may use, that plugins.toml names, and that have no instance.
    pub fn toolset(&self, caller: &str, level: Option<Level>) -> Toolset {
        let slots = self.inner.slots.load();
        let Some(policy) = slots.get(caller).map(|slot| slot.tools()) else { return Toolset::default() };
        let snapshot = self.inner.board.snapshot();
        let mut set = Toolset::default();
        for plugin in snapshot.plugins.iter() {
            let Some(slot) = slots.get(&plugin.name) else {
                // Its library could not be loaded: nobody knows its tools.
                if policy.may_allow_tool_of(&plugin.name) {
                    let since = clock::now().duration_since(plugin.since);
                    set.away.push(away(plugin, since.try_into().unwrap_or_default(), Vec::new()));
                }
                continue;
            };
            // Asked once: it is in one of the lists, whatever happens meanwhile.
            match (slot.vacant_for(), tools_of(slot, policy, level)) {
                (_, tools) if tools.is_empty() => {}
                (None, tools) => set.tools.extend(tools),
                (Some(vacant_for), tools) => set.away.push(away(plugin, vacant_for, tools)),
            }
        }
        set.tools.sort_by(|left, right| left.name.cmp(&right.name));
        set
    }

    /// Whether a plugin may state that a person agreed to a call of this tool.
    pub fn may_approve(&self, caller: &str, tool: &str) -> Result<(), OperationError> {
        let slots = self.inner.slots.load();
        let policy = slots.get(caller).map(|slot| slot.tools());
        if !policy.is_some_and(|policy| policy.decides) {
            return Err(OperationError::denied(format!(
                "`{caller}` may not approve calls of tools: set `decides = true` in `[plugins.{caller}]` if people decide \
                 there"
            )));
        }
        if !policy.is_some_and(|policy| policy.allows(tool)) {
            return Err(not_allowed(caller, tool));
        }
        Ok(())
    }

    /// Whether a call may be repeated without doing what it does twice.
    pub fn may_repeat(&self, tool: &str) -> bool {
        let (plugin, operation) = tool.split_once('.').unwrap_or((tool, ""));
        let slots = self.inner.slots.load();
        let operation = slots.get(plugin).and_then(|slot| slot.manifest().operation(operation));
        operation.is_some_and(|operation| operation.idempotent || operation.keyed)
    }

    /// Runs a tool on behalf of a plugin that may use it; `approved` if a person agreed.
    ///
    /// # Errors
    /// `denied` outside the allow-list, or if a person must agree first, `unavailable` if its plugin is configured and not in service, `not_found` if there
    /// is no such tool, and whatever the operation answers.
    pub async fn call_tool(
        &self,
        caller: &str,
        name: &str,
        header: CallHeader,
        arguments: Vec<u8>,
        approved: bool,
    ) -> Result<Vec<u8>, OperationError> {
        let (plugin, operation) = name.split_once('.').unwrap_or((name, ""));
        let slots = self.inner.slots.load();
        let policy = slots.get(caller).map(|slot| slot.tools()).filter(|policy| policy.allows(name));
        let Some(policy) = policy else { return Err(not_allowed(caller, name)) };
        let slot = match slots.get(plugin) {
            Some(slot) if is_tool(slot, operation) => slot.clone(),
            None if self.inner.board.snapshot().plugin(plugin).is_some() => {
                let root_causes = (self.inner.causes)(plugin);
                return Err(OperationError { root_causes, ..self.not_in_service(plugin) });
            }
            _ => return Err(OperationError::not_found(format!("there is no tool `{name}`"))),
        };
        let is_marked =
            slot.manifest().operation(operation).is_some_and(|operation| operation.needs_approval);
        if (is_marked || policy.asks_a_person(name)) && !approved {
            return Err(OperationError::denied(format!(
                "a person must agree before `{caller}` calls the tool `{name}`, and none did: start it as a run of \
                 `orchestrator_service`, which asks one"
            )));
        }
        let header = CallHeader { plugin: plugin.to_owned(), operation: operation.to_owned(), ..header };
        slot.admit_person(&header)?;
        self.run(&slot, header, arguments).await
    }
}

fn not_allowed(caller: &str, tool: &str) -> OperationError {
    OperationError::denied(format!(
        "`{caller}` may not use the tool `{tool}`: `tools` of `[plugins.{caller}]` does not allow it"
    ))
}

fn away(plugin: &PluginHealth, vacant_for: Duration, tools: Vec<Tool>) -> Away {
    Away {
        plugin: plugin.name.clone(),
        status: plugin.status.as_str().to_owned(),
        message: plugin.reason.as_ref().map(|reason| reason.message.clone()),
        away_ms: vacant_for.as_millis().try_into().unwrap_or(u64::MAX),
        returns: match plugin.status {
            // Its instance is being exchanged.
            Status::Connected | Status::Initializing => true,
            // With a reason, it is held until somebody configures what it requires.
            Status::NotInitialized => plugin.reason.is_none(),
            Status::Error => plugin.reason.as_ref().is_some_and(|reason| reason.retryable),
            Status::Disconnected | Status::NotConfigured => false,
        },
        tools,
    }
}

fn tools_of(slot: &Slot, policy: &ToolPolicy, level: Option<Level>) -> Vec<Tool> {
    let operations = slot.manifest().operations.iter();
    let named = operations.map(|operation| (format!("{}.{}", slot.name(), operation.name), operation));
    let is_certain =
        |operation: &str| level.is_none_or(|level| slot.needs(operation).is_none_or(|needs| needs <= level));
    let allowed = named.filter(|(name, operation)| {
        is_tool(slot, &operation.name) && policy.allows(name) && is_certain(&operation.name)
    });
    allowed
        .map(|(name, operation)| Tool {
            needs_approval: operation.needs_approval || policy.asks_a_person(&name),
            name,
            about: operation.about.clone(),
            parameters: operation.request.clone(),
            idempotent: operation.idempotent,
            keyed: operation.keyed,
            decisive: operation.decisive.clone(),
        })
        .collect()
}

fn is_tool(slot: &Slot, operation: &str) -> bool {
    let operation = slot.manifest().operation(operation);
    operation.is_some_and(|operation| operation.tool && operation.mode == OperationMode::Call)
}
