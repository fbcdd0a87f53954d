//! How a call or a stream ended is weighed: it went well, it was the caller's, it counts where it was served, or deeper
//! down, where that plugin's own call failed.

use plugin_api::{
    error::{ErrorKind, OperationError, ReasonCode},
    protocol::CallHeader,
};

use serde::Deserialize;

use crate::status::Fault;

use super::{
    Switch,
    blame::{self, Culprit, Terms},
    slot::{Operation, Slot},
};

/// In letters.
const LONGEST_MESSAGE: usize = 300;

impl Switch {
    /// A call or a stream ended well.
    pub(super) fn went_well(&self, slot: &Slot, operation: &Operation, header: &CallHeader) {
        if operation.usage.succeeded() {
            self.went_well_at_last(slot, operation, header);
        }
    }

    #[cold]
    fn went_well_at_last(&self, slot: &Slot, operation: &Operation, header: &CallHeader) {
        slot.in_use().success(&operation.name);
        self.inner.blame.went_well(header);
        self.inner.told.went_well(header);
    }

    /// A call or a stream failed. `terms` are `None` if it did not reach the plugin.
    #[cold]
    pub(super) fn went_wrong(
        &self,
        slot: &Slot,
        operation: &str,
        header: &CallHeader,
        error: &OperationError,
        terms: Option<Terms>,
    ) {
        let is_fault = terms.is_some_and(|terms| blame::is_own_fault(error, terms));
        if !is_fault && blame::is_callers(error) {
            return;
        }
        let here = || Culprit { plugin: slot.name().to_owned(), operation: operation.to_owned() };
        let deeper = if is_fault { self.culprit(slot, header, error) } else { None };
        let culprit = match deeper {
            Some(culprit) => {
                self.met_by(&culprit, slot.name());
                culprit
            }
            None if is_fault => {
                slot.in_use().fault(operation, self.fault(header, error));
                here()
            }
            None if slot.in_use().is_failing() || self.is_unhealthy(slot.name()) => here(),
            None => return,
        };
        self.inner.blame.lay(header, culprit);
    }

    /// A call did not even find whom it meant, who is in trouble.
    pub(super) fn unreachable(&self, header: &CallHeader, error: &OperationError) {
        if !error.root_causes.is_empty() {
            let culprit = Culprit { plugin: header.plugin.clone(), operation: header.operation.clone() };
            self.inner.blame.lay(header, culprit);
        }
    }

    /// Who is behind a failure of this plugin, if it is another one: what failed when it called it, or what is named as
    /// the root of the error.
    fn culprit(&self, slot: &Slot, header: &CallHeader, error: &OperationError) -> Option<Culprit> {
        let found = header.trace.as_ref().and_then(|trace| self.inner.blame.find(trace, slot.name()));
        let unnamed = |plugin: String| Culprit { plugin, operation: String::new() };
        let is_other = |name: &String| name != slot.name();
        let named = || error.root_causes.iter().map(|cause| cause.name.clone()).find(is_other);
        // It may know that what it requires is away, and not even ask.
        let known = || {
            let may_know = error.kind == ErrorKind::Unavailable && error.trouble.is_none();
            let causes = if may_know { (self.inner.causes)(slot.name()) } else { Vec::new() };
            causes.into_iter().map(|cause| cause.name).find(is_other)
        };
        found.or_else(|| named().or_else(known).map(unnamed))
    }

    fn met_by(&self, culprit: &Culprit, caller: &str) {
        if let Some(target) = self.inner.slots.load().get(&culprit.plugin) {
            target.in_use().met_by(&culprit.operation, caller);
        }
    }

    fn is_unhealthy(&self, name: &str) -> bool {
        !(self.inner.causes)(name).is_empty()
    }

    fn fault(&self, header: &CallHeader, error: &OperationError) -> Fault {
        let mut hint = error.fix.as_deref().cloned();
        hint.iter_mut().for_each(|hint| self.inner.scrubber.clean_hint(hint));
        Fault {
            code: code(error),
            message: self.shortened(&error.message),
            hint,
            caller: header.caller.clone(),
            key: header.idempotency_key.clone(),
        }
    }

    /// Scrubbed, and no longer than a line in a list.
    pub(super) fn shortened(&self, message: &str) -> String {
        let mut message = message.to_owned();
        self.inner.scrubber.clean(&mut message);
        message.chars().take(LONGEST_MESSAGE).collect()
    }
}

/// An error's code for its plugin, at least by its kind.
pub(super) fn code(error: &OperationError) -> ReasonCode {
    if let Some(trouble) = error.trouble {
        return trouble;
    }
    match error.kind {
        ErrorKind::Panicked => ReasonCode::Panicked,
        ErrorKind::Deadline => ReasonCode::Timeout,
        ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::UnknownOutcome => ReasonCode::Unavailable,
        _ => ReasonCode::Internal,
    }
}

/// Of an operation that serves a route, the HTTP status is the outcome: whoever asked sees a failure, though the call
/// as such went well. `None` if it went well. Errors of the client tell nothing, as everywhere.
pub(super) fn of_response(response: &[u8]) -> Option<OperationError> {
    #[derive(Deserialize)]
    struct Head {
        status: u16,
    }
    let Ok(Head { status }) = serde_json::from_slice(response) else {
        return Some(OperationError::internal("it gave an answer that is not an HTTP response"));
    };
    let kind = match status {
        200..=399 => return None,
        // Not implemented, and a version that is not supported: the request asks for what there is not.
        400..=499 | 501 | 505 => ErrorKind::Invalid,
        // It passes on that something behind it does not work.
        502..=504 => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    Some(OperationError::new(kind, format!("it answered with HTTP status {status}")))
}
