//! The place of one plugin in the switch, with or without an instance.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use plugin_api::{
    error::OperationError,
    level::Level,
    manifest::{Manifest, OperationMode},
    protocol::CallHeader,
};

use crate::loader::Instance;

use super::{
    CallMetrics, Caller, Limits, SlotSpec,
    attachment::{Attachment, Detached, Visit},
    did_you_mean,
    in_use::{InUse, Usage},
    metrics::OperationMetrics,
    policy::ToolPolicy,
};

pub(super) struct Slot {
    name: String,
    manifest: Arc<Manifest>,
    callers: Option<Vec<String>>,
    needs: BTreeMap<String, Level>,
    links: HashMap<String, String>,
    limits: Limits,
    tools: ToolPolicy,
    operations: HashMap<String, Operation>,
    in_use: Arc<InUse>,
    attachment: ArcSwapOption<Attachment>,
    /// Since when there is no instance, where there is none.
    vacant_since: Mutex<Instant>,
}

/// One of a plugin's operations.
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) mode: OperationMode,
    pub(super) metrics: OperationMetrics,
    pub(super) usage: Arc<Usage>,
    /// Its answer is an HTTP response.
    pub(super) serves_route: bool,
}

impl Slot {
    pub(super) fn new(spec: SlotSpec, metrics: &CallMetrics, in_use: Arc<InUse>) -> Self {
        let SlotSpec { name, manifest, callers, needs, links, limits, tools } = spec;
        in_use.set_operations(manifest.operations.iter().map(|operation| operation.name.as_str()));
        let operations = manifest.operations.iter().map(|operation| {
            let (metrics, usage) = (metrics.operation(&name, &operation.name), in_use.usage(&operation.name));
            let (name, mode) = (operation.name.clone(), operation.mode);
            let serves_route = manifest.routes.iter().any(|route| route.operation == name);
            (name.clone(), Operation { name, mode, metrics, usage, serves_route })
        });
        let operations = operations.collect();
        let (attachment, vacant_since) = (ArcSwapOption::empty(), Mutex::new(Instant::now()));
        Self {
            name,
            manifest,
            callers,
            needs,
            links,
            limits,
            tools,
            operations,
            in_use,
            attachment,
            vacant_since,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether this caller may ask for the operation, as far as that depends on the operation.
    pub(super) fn admit(&self, caller: &Caller, operation: &str) -> Result<(), OperationError> {
        let name = &self.name;
        let declared = self.manifest.operation(operation);
        match caller {
            Caller::Operator => Ok(()),
            Caller::Nobody if declared.is_some_and(|declared| declared.guard) => Ok(()),
            // Not the client's fault, so that it is not told as a refusal.
            Caller::Nobody => {
                Err(OperationError::internal(format!("`{name}.{operation}` is not declared as a guard")))
            }
            Caller::Plugin(caller) => {
                let Some(by_default) = declared.and_then(|declared| declared.callers.as_ref()) else {
                    return Ok(());
                };
                let granted = self.callers.as_ref().unwrap_or(by_default);
                if granted.iter().any(|granted| **granted == **caller) {
                    return Ok(());
                }
                Err(OperationError::denied(format!(
                    "`{caller}` may not call `{name}.{operation}`, which is about people: name it in `callers` of \
                     `[plugins.{name}]` if it should"
                )))
            }
        }
    }

    /// Whether it is certain enough who the person of the call is.
    pub(super) fn admit_person(&self, header: &CallHeader) -> Result<(), OperationError> {
        let (name, operation) = (&self.name, &header.operation);
        match (self.needs(operation), header.level) {
            (Some(needed), Some(level)) if level < needed => Err(OperationError::denied(format!(
                "`{name}.{operation}` needs a person of level `{}`, and whoever speaks here is `{}`: it is not certain                  enough who they are",
                needed.as_str(),
                level.as_str()
            ))),
            _ => Ok(()),
        }
    }

    /// How certain it must be who speaks, if that matters.
    pub(super) fn needs(&self, operation: &str) -> Option<Level> {
        let declared = || self.manifest.operation(operation).and_then(|declared| declared.needs);
        self.needs.get(operation).copied().or_else(declared)
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn tools(&self) -> &ToolPolicy {
        &self.tools
    }

    /// The instance that serves a declared dependency.
    pub(super) fn link(&self, role: &str) -> Option<&str> {
        self.links.get(role).map(String::as_str)
    }

    /// How its operations fare.
    pub(super) fn in_use(&self) -> &Arc<InUse> {
        &self.in_use
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

    /// The operation of this name, if there is one.
    pub(super) fn operation(&self, name: &str) -> Result<&Operation, OperationError> {
        self.operations.get(name).ok_or_else(|| {
            let known = self.operations.keys().map(String::as_str);
            OperationError::not_found(format!(
                "`{}` has no operation `{name}`{}",
                self.name,
                did_you_mean(name, known)
            ))
        })
    }

    pub(super) fn has_instance(&self) -> bool {
        self.attachment.load().is_some()
    }

    /// For how long there has been no instance; `None` if there is one.
    pub(super) fn vacant_for(&self) -> Option<Duration> {
        // In this order: the moment is set before the instance goes.
        let is_vacant = !self.has_instance();
        is_vacant.then(|| self.vacant_since.lock().unwrap_or_else(PoisonError::into_inner).elapsed())
    }

    /// Begins a call or a stream, if there is an instance.
    pub(super) fn visit(&self) -> Option<Visit> {
        self.attachment.load().as_ref().map(Attachment::visit)
    }

    pub(super) fn attach(&self, instance: Arc<dyn Instance>) {
        self.in_use.succeeded_by_another();
        self.attachment.store(Some(Arc::new(Attachment::new(instance))));
    }

    pub(super) fn detach(&self) -> Detached {
        if self.has_instance() {
            *self.vacant_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        Detached::new(self.attachment.swap(None))
    }
}
