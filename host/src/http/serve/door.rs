//! What happens at the door is counted, and the host is told while nobody can come in.

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Told why nobody can come in, or that everybody can again.
type Tell = dyn Fn(Option<&'static str>) + Send + Sync;

/// Counts connections that were not served as usual. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    cut: IntCounterVec,
    failed: IntCounter,
    tell: Arc<Tell>,
}

impl Door {
    /// Counts in this registry, and tells this function of trouble.
    ///
    /// # Panics
    /// If the registry has these metrics already.
    pub fn new(registry: &Registry, tell: impl Fn(Option<&'static str>) + Send + Sync + 'static) -> Self {
        let cut = Opts::new(
            "switchboard_connections_cut_total",
            "Connections that were closed early: idle ones that gave way, clients that did not read their answer, and \
             those for which there was no room.",
        );
        let cut = IntCounterVec::new(cut, &["cause"]).expect("the name and the text are well-formed");
        ["idle", "unread", "room"].iter().for_each(|cause| cut.with_label_values(&[cause]).inc_by(0));
        let failed = IntCounter::new(
            "switchboard_accept_errors_total",
            "How often the system could not hand over a connection, such as for want of file descriptors.",
        );
        let failed = failed.expect("the name and the text are well-formed");
        registry.register(Box::new(cut.clone())).expect("the registry is new, and the names differ");
        registry.register(Box::new(failed.clone())).expect("the registry is new, and the names differ");
        Self { cut, failed, tell: Arc::new(tell) }
    }

    /// An idle connection gave way.
    pub(super) fn cut_idle(&self) {
        self.cut.with_label_values(&["idle"]).inc();
    }

    /// A client did not read its answer.
    pub(super) fn cut_unread(&self) {
        self.cut.with_label_values(&["unread"]).inc();
    }

    /// There was no room.
    pub(super) fn cut_for_room(&self) {
        self.cut.with_label_values(&["room"]).inc();
    }

    /// The system gave no connection; gives how often that has happened.
    pub(super) fn accept_failed(&self) -> u64 {
        self.failed.inc();
        self.failed.get()
    }

    pub(super) fn tell(&self, trouble: Option<&'static str>) {
        (self.tell)(trouble);
    }
}
