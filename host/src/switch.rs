//! Everything between two plugins, and between a plugin and the world, passes here, addressed by name, as bytes. The
//! switch enforces declared dependencies, deadlines and concurrency, counts and times every call, and names the root
//! causes when one fails.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant as Clock},
};

use arc_swap::ArcSwap;
use plugin_api::{
    error::{OperationError, RootCause},
    level::Level,
    manifest::{Manifest, OperationMode},
    protocol::{CallHeader, HOST},
    requests::host::NotInService,
};

use crate::{config::closest, loader::Instance, scrub::Scrubber, status::Board};

mod attachment;
mod blame;
mod causes;
mod end;
mod host_operations;
mod in_use;
mod levels;
mod limits;
mod metrics;
mod outcome;
mod policy;
mod recent;
mod slot;
mod streams;
mod tools;
mod troubles;

pub use attachment::Detached;
pub use end::LogSink;
pub use host_operations::{HostOperations, Offer, Request};
pub use in_use::FailingSink;
pub use limits::Limits;
pub use metrics::CallMetrics;
pub use policy::{Pattern, ToolPolicy};

use blame::{Blame, Terms};
use causes::Told;
use in_use::InUse;
use slot::Slot;

/// What the switch must know of a plugin before it has an instance.
pub struct SlotSpec {
    /// The instance's name.
    pub name: String,
    /// What the plugin offers.
    pub manifest: Arc<Manifest>,
    /// The plugins that may call its operations about people, if plugins.toml says so.
    pub callers: Option<Vec<String>>,
    /// How certain it must be who speaks, by operation, where plugins.toml says so.
    pub needs: BTreeMap<String, Level>,
    /// The declared dependencies that plugins.toml names: the name in the manifest, and the instance that serves it.
    pub links: HashMap<String, String>,
    /// How many calls at once, and for how long.
    pub limits: Limits,
    /// Which tools it may list and call.
    pub tools: ToolPolicy,
}

/// Who calls.
#[derive(Clone)]
pub enum Caller {
    /// A person at the command line or the HTTP interface.
    Operator,
    /// An instance, by name.
    Plugin(Arc<str>),
    /// Anyone on the network, before a guard has decided about them: nothing but guards may be asked.
    Nobody,
}

/// Finds the root causes of a plugin's trouble.
pub type Causes = Arc<dyn Fn(&str) -> Vec<RootCause> + Send + Sync>;

/// The switch. Cheap to clone.
#[derive(Clone)]
pub struct Switch {
    inner: Arc<Inner>,
}

struct Inner {
    slots: ArcSwap<HashMap<String, Arc<Slot>>>,
    board: Board,
    host: OnceLock<HostOperations>,
    causes: Causes,
    scrubber: Scrubber,
    metrics: CallMetrics,
    log: LogSink,
    levels: ArcSwap<BTreeMap<String, String>>,
    failing: Arc<OnceLock<FailingSink>>,
    blame: Blame,
    told: Told,
}

impl Switch {
    /// A switch without plugins, that tells the board of its own panics.
    pub fn new(
        board: &Board,
        causes: Causes,
        scrubber: Scrubber,
        metrics: CallMetrics,
        log: LogSink,
    ) -> Self {
        let slots = ArcSwap::from_pointee(HashMap::new());
        let (host, levels, failing) = (OnceLock::new(), ArcSwap::default(), Arc::default());
        let (blame, told) = (Blame::default(), Told::default());
        let board = board.clone();
        let inner =
            Inner { slots, board, host, causes, scrubber, metrics, log, levels, failing, blame, told };
        Self { inner: Arc::new(inner) }
    }

    /// Makes plugins known, in the place of what was known of them. Calls of them are `unavailable` until they have an
    /// instance.
    pub fn add(&self, specs: impl IntoIterator<Item = SlotSpec>) {
        let before = self.inner.slots.load_full();
        let new = |spec: SlotSpec| {
            // How it fares in use is known whichever instance serves.
            let in_use = before.get(&spec.name).map(|slot| slot.in_use().clone());
            let in_use = in_use.unwrap_or_else(|| InUse::new(&spec.name, self.inner.failing.clone()).into());
            Arc::new(Slot::new(spec, &self.inner.metrics, in_use))
        };
        let added: Vec<_> = specs.into_iter().map(new).collect();
        for slot in &added {
            before
                .get(slot.name())
                .into_iter()
                .for_each(|old| self.forget(old, |gone| slot.operation(gone).is_err()));
        }
        self.inner.slots.rcu(|slots| {
            let mut slots = HashMap::clone(slots);
            slots.extend(added.iter().map(|slot| (slot.name().to_owned(), slot.clone())));
            slots
        });
    }

    /// Forgets plugins, which have no instance any more.
    pub fn remove<'a>(&self, names: impl IntoIterator<Item = &'a String, IntoIter: Clone>) {
        let names = names.into_iter();
        let before = self.inner.slots.load_full();
        self.inner.slots.rcu(|slots| {
            let mut slots = HashMap::clone(slots);
            names.clone().for_each(|name| _ = slots.remove(name));
            slots
        });
        names.filter_map(|name| before.get(name)).for_each(|slot| self.forget(slot, |_| true));
    }

    /// Ends the series of the operations that are gone.
    fn forget(&self, slot: &Slot, is_gone: impl Fn(&str) -> bool) {
        let names = slot.operations().map(|operation| operation.name.as_str());
        names.filter(|name| is_gone(name)).for_each(|name| self.inner.metrics.forget(slot.name(), name));
    }

    /// The instance of the plugin that its manifest calls so; the first by name if there are several.
    pub fn instance_of(&self, plugin: &str) -> Option<String> {
        let slots = self.inner.slots.load();
        let instances = slots.values().filter(|slot| slot.manifest().name == plugin).map(|slot| slot.name());
        instances.min().map(str::to_owned)
    }

    /// What can be asked of whom: plugins sorted by name, and the host itself.
    pub fn offers(&self) -> Vec<Offer> {
        let slots = self.inner.slots.load();
        let of_slot = |slot: &Arc<Slot>| Offer {
            plugin: slot.name().to_owned(),
            about: slot.manifest().about.clone(),
            operations: slot.manifest().operations.clone(),
        };
        let mut offers: Vec<_> = slots.values().map(of_slot).collect();
        offers.extend(self.inner.host.get().map(HostOperations::offer));
        offers.sort_by(|one, other| one.plugin.cmp(&other.plugin));
        offers
    }

    /// Gives the host's own operations. Only the first time counts.
    pub fn serve_host(&self, operations: HostOperations) {
        let _ = self.inner.host.set(operations);
    }

    /// From now on this instance serves the plugin's calls.
    pub fn attach(&self, name: &str, instance: Arc<dyn Instance>) {
        self.keep_level(name, &instance);
        if let Some(slot) = self.inner.slots.load().get(name) {
            slot.attach(instance);
        }
    }

    /// Its init has succeeded: what failed before was told by its status.
    pub fn came_into_service(&self, name: &str) {
        if let Some(slot) = self.inner.slots.load().get(name) {
            slot.in_use().came_into_service();
        }
    }

    /// From now on nobody serves the plugin's calls. Those in progress go on as long as what this gives is there.
    pub fn detach(&self, name: &str) -> Detached {
        self.inner.slots.load().get(name).map_or_else(|| Detached::new(None), |slot| slot.detach())
    }

    /// Calls an operation and waits for its response, no longer than the shorter of the caller's deadline and the
    /// called plugin's `calls.timeout`.
    ///
    /// # Errors
    /// The operation's own error; `denied`, `not_found`, `overloaded`, `unavailable` or `deadline` from the switch.
    pub async fn call(
        &self,
        caller: &Caller,
        mut header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, OperationError> {
        caller.complete(&mut header);
        let outcome = if header.plugin == HOST && !caller.is_nobody() {
            self.call_host(caller, header, payload).await
        } else {
            self.call_plugin(caller, header, payload).await
        };
        outcome.map_err(|error| self.scrubbed(error))
    }

    async fn call_host(
        &self,
        caller: &Caller,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, OperationError> {
        let Some(operations) = self.inner.host.get() else {
            return Err(OperationError::unavailable("the host is still starting"));
        };
        operations.call(caller.clone(), header, payload).await
    }

    async fn call_plugin(
        &self,
        caller: &Caller,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, OperationError> {
        let found = self.find(caller, &header.plugin);
        let slot = found.inspect_err(|error| self.unreachable(&header, error))?;
        slot.admit(caller, &header.operation)?;
        slot.admit_person(&header)?;
        self.run(&slot, header, payload).await
    }

    /// The slot that a caller means by a name.
    fn find(&self, caller: &Caller, name: &str) -> Result<Arc<Slot>, OperationError> {
        let slots = self.inner.slots.load();
        let target = match caller {
            Caller::Operator | Caller::Nobody => name,
            Caller::Plugin(caller) => match slots.get(caller.as_ref()).and_then(|slot| slot.link(name)) {
                Some(instance) => instance,
                None => return Err(undeclared(caller, name)),
            },
        };
        slots.get(target).cloned().ok_or_else(|| {
            // Without a library it has no slot, but the board knows why.
            let root_causes = (self.inner.causes)(target);
            if !root_causes.is_empty() {
                return OperationError { root_causes, ..self.not_in_service(target) };
            }
            let known = slots.keys().map(String::as_str);
            OperationError::not_found(format!("there is no plugin `{target}`{}", did_you_mean(target, known)))
        })
    }

    /// The operations of a plugin that are marked `doctor`; none without an instance.
    pub fn examiners(&self, name: &str) -> Vec<String> {
        let slots = self.inner.slots.load();
        let slot = slots.get(name).filter(|slot| slot.has_instance());
        let operations = slot.into_iter().flat_map(|slot| &slot.manifest().operations);
        operations.filter(|operation| operation.doctor).map(|operation| operation.name.clone()).collect()
    }

    /// Runs an operation on a slot's instance, within its limits.
    async fn run(
        &self,
        slot: &Slot,
        mut header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, OperationError> {
        let operation = slot.operation(&header.operation)?;
        if operation.mode != OperationMode::Call {
            return Err(OperationError::invalid(format!(
                "`{}.{}` is a stream",
                slot.name(),
                header.operation
            )));
        }
        let began = Clock::now();
        let asked = header.deadline_ms.map(Duration::from_millis);
        let limit = slot.limits().deadline(header.deadline_ms);
        let reached = AtomicBool::new(false);
        header.deadline_ms = Some(limit.as_millis().try_into().unwrap_or(u64::MAX));
        let answered = AtomicBool::new(false);
        let work = async {
            let visit = slot.visit().ok_or_else(|| self.not_in_service(slot.name()))?;
            visit
                .run(slot.name(), async {
                    let _permit = slot.limits().enter(slot.name()).await?;
                    reached.store(true, Ordering::Relaxed);
                    let answer = visit.instance().call(&header, payload).await;
                    answered.store(true, Ordering::Relaxed);
                    answer
                })
                .await
        };
        let outcome = match tokio::time::timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(slot.name(), &header.operation, limit)),
        };
        let took = began.elapsed();
        operation.metrics.record(took, outcome.as_ref().err().map(|error| error.kind));
        let refused = match &outcome {
            Ok(response) if operation.serves_route => outcome::of_response(response).map(Cow::Owned),
            Ok(_) => None,
            Err(error) => Some(Cow::Borrowed(error)),
        };
        match refused {
            None => self.went_well(slot, operation, &header),
            Some(error) => {
                let terms = Terms::of(asked, slot.limits().timeout(), took);
                let terms = reached.load(Ordering::Relaxed).then_some(terms);
                self.went_wrong(slot, &operation.name, &header, &error, terms);
            }
        }
        let by_itself = answered.into_inner();
        outcome.map_err(|error| self.with_causes(slot.name(), &header, error, by_itself))
    }

    /// Nobody was reached: the caller may wait for the plugin, and call again.
    fn not_in_service(&self, name: &str) -> OperationError {
        let snapshot = self.inner.board.snapshot();
        let status = snapshot.plugin(name).map(|plugin| plugin.status.as_str()).unwrap_or_default();
        NotInService { plugin: name.to_owned(), status: status.to_owned() }.into()
    }

    /// The error as it may be shown.
    fn scrubbed(&self, mut error: OperationError) -> OperationError {
        self.inner.scrubber.clean_error(&mut error);
        error
    }
}

impl Caller {
    /// The instance's name; `None` for a person.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Operator | Self::Nobody => None,
            Self::Plugin(name) => Some(name),
        }
    }

    /// The header as it goes on: what a caller writes of itself is not believed, and neither is a person of whom no one
    /// says how certain they are.
    fn complete(&self, header: &mut CallHeader) {
        header.caller = self.name().map(str::to_owned);
        header.trace.get_or_insert_with(new_trace);
        if header.person.is_some() && matches!(self, Self::Plugin(_)) {
            header.level.get_or_insert(Level::Shown);
        }
    }

    fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody)
    }
}

fn undeclared(caller: &str, name: &str) -> OperationError {
    OperationError::denied(format!(
        "`{caller}` may not call `{name}`: its manifest does not declare it, or plugins.toml does not name it"
    ))
}

fn late(plugin: &str, operation: &str, limit: Duration) -> OperationError {
    OperationError::deadline(format!("`{plugin}.{operation}` did not answer within {limit:?}"))
}

/// A hint in brackets, when one of the known names is close.
fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    closest(name, known).map(|close| format!(" (did you mean `{close}`?)")).unwrap_or_default()
}

/// A new trace: 32 hexadecimal digits.
fn new_trace() -> String {
    rand::random::<[u8; 32]>()
        .iter()
        .map(|byte| char::from(b"0123456789abcdef"[usize::from(byte & 15)]))
        .collect()
}

#[cfg(test)]
mod tests;
