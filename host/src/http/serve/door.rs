//! What happens at the door is counted, and the host is told while nobody can come in.

use std::{net::SocketAddr, sync::Arc};

use plugin_api::error::ReasonCode;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::task::JoinHandle;

use crate::{clock, config::Network, status::Board, tasks};

/// Counts connections that were not served as usual. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    cut: IntCounterVec,
    failed: IntCounter,
    board: Board,
    /// The proxies that are believed: their connections are those of many clients.
    proxies: Arc<[Network]>,
}

impl Door {
    /// Counts in this registry, and tells this board of trouble.
    ///
    /// # Panics
    /// If the registry has these metrics already.
    pub fn new(registry: &Registry, board: Board, proxies: &[Network]) -> Self {
        let cut = Opts::new(
            "switchboard_connections_cut_total",
            "Connections that were closed early: idle ones that gave way, clients that did not read their answer, and \
             those for which there was no room.",
        );
        let cut = IntCounterVec::new(cut, &["cause"]).expect("the name and the text are well-formed");
        ["idle", "unread", "room"].iter().for_each(|cause| cut.with_label_values(&[cause]).inc_by(0));
        let failed = IntCounter::new(
            "switchboard_accept_errors_total",
            "How often the system could not hand over a connection, such as for lack of file descriptors.",
        );
        let failed = failed.expect("the name and the text are well-formed");
        registry.register(Box::new(cut.clone())).expect("the registry is new, and the names differ");
        registry.register(Box::new(failed.clone())).expect("the registry is new, and the names differ");
        Self { cut, failed, board, proxies: proxies.into() }
    }

    /// Whether many clients come by this address.
    pub(super) fn is_proxy(&self, client: SocketAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(client.ip()))
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

    /// Why nobody can come in; `None`: everybody can again.
    pub(super) fn tell(&self, trouble: Option<&'static str>) {
        let trouble = trouble.map(|message| (ReasonCode::Unavailable, message));
        self.board.set_host_trouble("descriptors", trouble, clock::now());
    }

    /// Serves one connection in the background.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tasks::once(&self.board, "connection", None, work)
    }
}
