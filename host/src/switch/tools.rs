//! Which operations a language model may be offered through which plugin: the operation's mark, and the allow-list of
//! plugins.toml, which is empty by default.

use plugin_api::{
    error::OperationError, manifest::OperationMode, protocol::CallHeader, requests::host::Tool,
};

use super::{Switch, policy::ToolPolicy, slot::Slot};

impl Switch {
    /// The tools that a plugin may use now, sorted by name: allowed, marked so, and with an instance behind them.
    pub fn tools(&self, caller: &str) -> Vec<Tool> {
        let slots = self.inner.slots.load();
        let Some(policy) = slots.get(caller).map(|slot| slot.tools()) else { return Vec::new() };
        let present = slots.values().filter(|slot| slot.has_instance());
        let mut tools: Vec<Tool> = present.flat_map(|slot| tools_of(slot, policy)).collect();
        tools.sort_by(|left, right| left.name.cmp(&right.name));
        tools
    }

    /// Runs a tool on behalf of a plugin that may use it.
    ///
    /// # Errors
    /// `denied` outside the allow-list, `not_found`, and whatever the operation answers.
    pub async fn call_tool(
        &self,
        caller: &str,
        name: &str,
        header: CallHeader,
        arguments: Vec<u8>,
    ) -> Result<Vec<u8>, OperationError> {
        let (plugin, operation) = name.split_once('.').unwrap_or((name, ""));
        let slots = self.inner.slots.load();
        if !slots.get(caller).is_some_and(|slot| slot.tools().allows(name)) {
            return Err(OperationError::denied(format!(
                "`{caller}` may not use the tool `{name}`: `tools` of `[plugins.{caller}]` does not allow it"
            )));
        }
        let slot = slots.get(plugin).filter(|slot| is_tool(slot, operation)).cloned();
        let slot = slot.ok_or_else(|| OperationError::not_found(format!("there is no tool `{name}`")))?;
        let header = CallHeader { plugin: plugin.to_owned(), operation: operation.to_owned(), ..header };
        self.run(&slot, header, arguments).await
    }
}

fn tools_of(slot: &Slot, policy: &ToolPolicy) -> Vec<Tool> {
    let operations = slot.manifest().operations.iter();
    let named = operations.map(|operation| (format!("{}.{}", slot.name(), operation.name), operation));
    let allowed = named.filter(|(name, operation)| is_tool(slot, &operation.name) && policy.allows(name));
    allowed
        .map(|(name, operation)| Tool {
            needs_approval: operation.needs_approval || policy.asks_a_person(&name),
            name,
            about: operation.about.clone(),
            parameters: operation.request.clone(),
            idempotent: operation.idempotent,
            keyed: operation.keyed,
        })
        .collect()
}

fn is_tool(slot: &Slot, operation: &str) -> bool {
    let operation = slot.manifest().operation(operation);
    operation.is_some_and(|operation| operation.tool && operation.mode == OperationMode::Call)
}
