//! The place of one plugin in the switch, with or without an instance.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwapOption;
use plugin_api::{
    error::OperationError,
    manifest::{Manifest, OperationMode},
};

use crate::loader::Instance;

use super::{
    CallMetrics, Limits, SlotSpec,
    attachment::{Attachment, Detached, Visit},
    did_you_mean,
    metrics::OperationMetrics,
    tools::ToolPolicy,
};

pub(super) struct Slot {
    name: String,
    manifest: Arc<Manifest>,
    links: HashMap<String, String>,
    limits: Limits,
    tools: ToolPolicy,
    operations: HashMap<String, (OperationMode, OperationMetrics)>,
    attachment: ArcSwapOption<Attachment>,
}

impl Slot {
    pub(super) fn new(spec: SlotSpec, metrics: &CallMetrics) -> Self {
        let SlotSpec { name, manifest, links, limits, tools } = spec;
        let operations = manifest.operations.iter().map(|operation| {
            (operation.name.clone(), (operation.mode, metrics.operation(&name, &operation.name)))
        });
        let operations = operations.collect();
        Self { name, manifest, links, limits, tools, operations, attachment: ArcSwapOption::empty() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
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

    /// How an operation is used, and its counters, if there is one of this name.
    pub(super) fn operation(&self, name: &str) -> Result<(OperationMode, &OperationMetrics), OperationError> {
        self.operations.get(name).map(|(mode, metrics)| (*mode, metrics)).ok_or_else(|| {
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

    /// Begins a call or a stream, if there is an instance.
    pub(super) fn visit(&self) -> Option<Visit> {
        self.attachment.load().as_ref().map(Attachment::visit)
    }

    pub(super) fn attach(&self, instance: Arc<dyn Instance>) {
        self.attachment.store(Some(Arc::new(Attachment::new(instance))));
    }

    pub(super) fn detach(&self) -> Detached {
        Detached::new(self.attachment.swap(None))
    }
}
