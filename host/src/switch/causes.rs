//! Which plugins are named behind an error. An error is newer than what the board says: what a plugin has answered by itself
//! takes the place of the older reason in its status, also where a dependent passes it on in words of its own.

use plugin_api::{
    error::{ErrorKind, OperationError, RootCause},
    protocol::CallHeader,
};

use super::{Switch, blame, outcome, recent::Recent};

/// The failed calls of late, by trace and caller: what the caller was told.
pub(super) type Told = Recent<Answer>;

/// The answer to a caller whose call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It failed for these causes.
    Failed(Vec<RootCause>),
    /// This plugin answered that the request was wrong: whatever comes of it, the status of that plugin is not the cause.
    Refused(String),
}

impl Switch {
    /// Names the plugins behind an error that is not the request's own fault. `by_itself`: the plugin has answered so.
    pub(super) fn with_causes(
        &self,
        plugin: &str,
        header: &CallHeader,
        mut error: OperationError,
        by_itself: bool,
    ) -> OperationError {
        if blame::is_callers(&error) {
            self.tell(header, || Answer::Refused(plugin.to_owned()));
            return error;
        }
        let known = (self.inner.causes)(plugin);
        if error.root_causes.is_empty() {
            error.root_causes = self.causes_of(plugin, header, &error, by_itself, known.clone());
        }
        self.tell(header, || {
            let mut causes = error.root_causes.clone();
            if causes.is_empty() && by_itself {
                causes.extend(known.into_iter().find(|cause| cause.name == plugin));
                causes.iter_mut().for_each(|cause| self.renew(cause, &error));
            }
            Answer::Failed(causes)
        });
        error
    }

    fn causes_of(
        &self,
        plugin: &str,
        header: &CallHeader,
        error: &OperationError,
        by_itself: bool,
        mut known: Vec<RootCause>,
    ) -> Vec<RootCause> {
        use ErrorKind::{Deadline, Overloaded, Unavailable};
        let was_reached = by_itself || error.kind == Deadline;
        let told = header.trace.as_ref().filter(|_| was_reached);
        let refused_by = match told.and_then(|trace| self.inner.told.find(trace, plugin)) {
            Some(Answer::Failed(causes)) => return causes,
            Some(Answer::Refused(by)) => Some(by),
            None => None,
        };
        // It may know that what it requires is away, and not even ask.
        let may_know = !by_itself || matches!(error.kind, Unavailable | Overloaded | Deadline);
        known.retain(|cause| {
            if cause.name == plugin {
                !by_itself || cause.message.as_ref().is_some_and(|known| error.message.contains(known))
            } else {
                may_know && refused_by.as_ref() != Some(&cause.name)
            }
        });
        known
    }

    /// The plugin's status stands, its reason is the new one.
    fn renew(&self, cause: &mut RootCause, error: &OperationError) {
        cause.code = Some(outcome::code(error));
        cause.message = Some(self.shortened(&error.message));
    }

    fn tell(&self, header: &CallHeader, answer: impl FnOnce() -> Answer) {
        let (Some(trace), Some(caller)) = (&header.trace, &header.caller) else { return };
        let answer = answer();
        // A failure tells more than a refusal after it.
        let failed_before = matches!(answer, Answer::Refused(_))
            && matches!(self.inner.told.find(trace, caller), Some(Answer::Failed(_)));
        if !failed_before {
            self.inner.told.lay(header, answer);
        }
    }
}
