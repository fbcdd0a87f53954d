//! Which operations a language model may be offered through which plugin: the operation's mark, and the allow-list of
//! plugins.toml, which is empty by default.

use plugin_api::{
    error::OperationError, manifest::OperationMode, protocol::CallHeader, requests::host::Tool,
};

use super::{Switch, slot::Slot};

/// `google_calendar.*`, `smtp.send_email`: a name in which `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern out of plugins.toml.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut last = None;
        for part in parts {
            if let Some(part) = last.replace(part) {
                let Some(found) = rest.find(part) else { return false };
                rest = &rest[found + part.len()..];
            }
        }
        last.map_or(rest.is_empty(), |last| rest.ends_with(last))
    }
}

/// The allow-list of one plugin.
#[derive(Debug, Clone, Default)]
pub struct ToolPolicy {
    /// What it may list and call.
    pub allow: Vec<Pattern>,
    /// Which of these wait for a person, beside those that are marked so.
    pub approve: Vec<Pattern>,
}

impl ToolPolicy {
    fn allows(&self, name: &str) -> bool {
        self.allow.iter().any(|pattern| pattern.matches(name))
    }

    fn asks_a_person(&self, name: &str) -> bool {
        self.approve.iter().any(|pattern| pattern.matches(name))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str, expected: bool) {
        assert_eq!(Pattern::new(pattern).matches(name), expected, "`{pattern}` and `{name}`");
    }

    #[test]
    fn patterns_match_whole_names() {
        check("smtp.send_email", "smtp.send_email", true);
        check("smtp.send", "smtp.send_email", false);
        check("google_calendar.*", "google_calendar.list_events", true);
        check("google_calendar.*", "google_calendar_two.list_events", false);
        check("*.send_*", "smtp.send_email", true);
        check("*.send_*", "smtp.resend_email", false);
        check("a*b*c", "a-b-b-c", true);
        check("a*a", "a", false);
        check("*", "anything.at_all", true);
        check("", "smtp.send_email", false);
    }
}
