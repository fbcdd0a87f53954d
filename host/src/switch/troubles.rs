//! What plugins say of their own work, and what operators have seen of it.

use plugin_api::{
    error::{OperationError, ReasonCode},
    requests::host::Trouble as Told,
};

use crate::status::{Finding, MOST_TROUBLES, Trouble};

use super::{FailingSink, Switch};

/// In letters.
const LONGEST_KEY: usize = 64;

impl Switch {
    /// Where it is told what fails in use. Only the first time counts.
    pub fn tell_failing(&self, sink: FailingSink) {
        let _ = self.inner.failing.set(sink);
    }

    /// To be called about once a second: what is counted of failing operations is told then. Gives the plugins of which
    /// a call has gone well since.
    pub fn sweep(&self) -> Vec<String> {
        let slots = self.inner.slots.load();
        let served = slots.iter().filter(|(_, slot)| slot.in_use().sweep());
        served.map(|(name, _)| name.clone()).collect()
    }

    /// A plugin raises a trouble of its own, or says that it is over.
    ///
    /// # Errors
    /// `invalid` if the key cannot be one, if code or message are missing, or if it has raised too many.
    pub fn trouble(&self, name: &str, told: Told) -> Result<(), OperationError> {
        let slots = self.inner.slots.load();
        let Some(slot) = slots.get(name) else { return Ok(()) };
        if told.cleared {
            slot.in_use().clear(&told.key);
            return Ok(());
        }
        let trouble = self.judged(name, told)?;
        if let Some(operation) = &trouble.operation {
            slot.operation(operation).map_err(|error| OperationError::invalid(error.message))?;
        }
        if slot.in_use().raise(trouble) {
            return Ok(());
        }
        Err(OperationError::invalid(format!(
            "`{name}` has raised {MOST_TROUBLES} troubles, which is the limit: clear one first"
        )))
    }

    /// An operator has seen what of a plugin fails in use: it is gone until it happens again. Without operation and key
    /// all of it. Answers what there was.
    pub fn acknowledge(&self, name: &str, operation: Option<&str>, key: Option<&str>) -> Vec<Finding> {
        let is_picked = |finding: &Finding| {
            operation.is_none_or(|operation| finding.operation.as_deref() == Some(operation))
                && key.is_none_or(|key| finding.key.as_deref() == Some(key))
        };
        let slots = self.inner.slots.load();
        slots.get(name).map(|slot| slot.in_use().acknowledge(is_picked)).unwrap_or_default()
    }

    fn judged(&self, name: &str, told: Told) -> Result<Trouble, OperationError> {
        let Told { key, code, message, fix, operation, .. } = told;
        let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        if key.is_empty() || key.len() > LONGEST_KEY || !key.chars().all(letters) {
            return Err(OperationError::invalid(format!(
                "`{}` is not a key of a trouble: it must be snake_case, of at most {LONGEST_KEY} letters",
                self.shortened(&key)
            )));
        }
        let (Some(code), Some(message)) = (code, message) else {
            return Err(OperationError::invalid(format!(
                "the trouble `{key}` of `{name}` needs `code` and `message`, or `\"cleared\": true`"
            )));
        };
        let told_by_host =
            [ReasonCode::ConfigMissing, ReasonCode::LoadFailed, ReasonCode::DependencyUnhealthy];
        if told_by_host.contains(&code) {
            return Err(OperationError::invalid(format!(
                "`{code}` is reserved for the host: choose another code"
            )));
        }
        let mut hint = fix;
        hint.iter_mut().for_each(|hint| self.inner.scrubber.clean_hint(hint));
        Ok(Trouble { key, code, message: self.shortened(&message), hint, operation })
    }
}
