//! Composes the host: `prepare` judges everything that can be judged without starting, `Host::start` brings it to
//! life, `run` serves it until it is told to stop. Another program embeds a host by `Host::start` and
//! `Host::router`.

use std::{
    collections::HashMap,
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use plugin_api::{
    error::{OperationError, RootCause},
    pipe::PipeEnd,
    protocol::CallHeader,
};
use prometheus::IntGauge;
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    clock,
    config::{self, Config, HostConfig, Problems},
    http::{self, HttpState, Router, Routes},
    lifecycle::Lifecycle,
    loader,
    scrub::Scrubber,
    status::{Board, BoardConfig, Event, Snapshot},
    switch::{CallMetrics, Caller, Causes, FailingSink, Switch},
    tasks,
};

mod advice;
mod private;
mod data_dir;
mod libraries;
mod prepare;
mod seal;
mod approvals;
mod journal;
mod units;
mod verdict;
mod difference;
mod reload;
mod host_operations;
mod observations;
mod doctor;
mod levels;
mod server;
mod ticker;
mod told;
pub mod output;
pub mod log;

pub use data_dir::{DataDir, RunFile};
pub use doctor::{Diagnose, Diagnosis, Subject};
pub use levels::{Levels, SetLevel};
pub use prepare::{Prepared, PreparedPlugin, Refused, library_dir, path_of, prepare};
pub use reload::{LIBRARY, ReloadError, Reloaded};
pub use verdict::Verdict;

use journal::Journal;
use log::Flood;
use observations::Observations;

/// The version of the host.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What plugins have to end, however long requests took.
const LEAST_FOR_PLUGINS: Duration = Duration::from_secs(3);
/// How long clients may take to hear why what they wait for was cut.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a host did not start, though its configuration is good.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused after all.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The folder for data cannot be used.
    #[error(transparent)]
    DataDir(#[from] data_dir::DataDirError),
    /// The address cannot be had.
    #[error(
        "cannot listen on `{address}`: {reason}\n  hint: {hint}", hint = advice::listening(.reason)
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: std::io::Error,
    },
}

/// A running host: plugins under supervision, and a router that answers for them.
pub struct Host {
    core: Arc<Core>,
    router: Router,
    door: http::Door,
    // Held as long as the host runs: it locks the folder.
    data_dir: DataDir,
    // Ends with the host.
    _ticker: AbortOnDropHandle<()>,
}

/// The parts of a running host.
struct Core {
    current: Mutex<Current>,
    board: Board,
    switch: Switch,
    lifecycle: Lifecycle,
    scrubber: Scrubber,
    journal: Journal,
    routes: Routes,
    flood: Arc<Flood>,
    observations: Observations,
    operators: http::Operators,
    libraries: IntGauge,
    draining: watch::Sender<bool>,
}

/// The configuration that is in force.
struct Current {
    config: Config,
    prepared: Prepared,
}

impl Host {
    /// Loads the libraries and starts the plugins; returns as soon as they are on their way.
    ///
    /// # Errors
    /// The configuration is refused, or the folder for data cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let data_dir = DataDir::lock(&config.host.data_dir)?;
        Self::start_in(data_dir, config, Scrubber::default()).await
    }

    async fn start_in(data_dir: DataDir, config: Config, scrubber: Scrubber) -> Result<Self, StartError> {
        // Libraries and files may take their time, in which the host can still be told to stop.
        let judged = config.clone();
        let prepared = tokio::task::spawn_blocking(move || prepare(&judged)).await;
        let prepared = prepared.expect("judging does not panic, and the runtime is alive")?;
        warn(&prepared);
        scrubber.add(prepared.secrets());
        scrubber.add(config.host.token.iter().map(|token| token.expose().to_owned()));

        tell_access(&config.host, false);
        let now = clock::now();
        let board = Board::new(BoardConfig {
            boot_id: boot_id(),
            version: VERSION.to_owned(),
            plugins: prepared.specs(),
            now,
        });
        let registry = prometheus::Registry::new();
        let metrics = CallMetrics::register(&registry).expect("the registry is new, and the names differ");
        registry.register(Box::new(output::lost())).expect("the registry is new, and the names differ");
        let flood = Arc::new(Flood::register(&registry));
        let log = log::plugin_sink(flood.clone(), &scrubber);
        let switch = Switch::new(&board, causes(&board), scrubber.clone(), metrics, log);
        switch.tell_failing(failing(&board));
        switch.add(prepared.slots());
        let plan = Arc::new(prepared.plan.clone());
        let units = prepared.units(&config, &HashMap::new());
        let lifecycle = Lifecycle::start(units, plan, &board, &switch, &scrubber);
        let sealer =
            seal::Sealer::new(config.host.secret_key.clone(), &config.host.data_dir, scrubber.clone());
        let approvals = approvals::Approvals::new(sealer.clone(), &config.host.data_dir);
        let asked = lifecycle.clone();
        // A plugin is gone if a reload has just removed it.
        let ticker = ticker::keep(&board, &switch, move |name| drop(asked.verify_soon(name)));
        let draining = watch::Sender::new(false);
        let journal = Journal::keep(board.clone(), switch.clone(), data_dir.host_id()?, draining.subscribe());

        let routes = Routes::default();
        routes.replace(prepared.routes.clone());
        let access = http::AccessSettings::from(&config.host);
        let door = http::Door::new(&registry, board.clone(), &config.host.trusted_proxies);
        let operators = operators(&config);
        let core = Arc::new(Core {
            current: Mutex::new(Current { config, prepared }),
            board,
            switch,
            lifecycle,
            scrubber,
            journal,
            routes,
            flood,
            observations: Observations::new(registry.clone()),
            operators,
            libraries: open_libraries(&registry),
            draining,
        });
        core.switch.serve_host(host_operations::table(&core, sealer, approvals));
        let router = http::router(HttpState {
            board: core.board.clone(),
            operations: Arc::new(Operator(core.switch.clone())),
            routes: core.routes.clone(),
            registry,
            draining: core.draining.subscribe(),
            access,
            operators: core.operators.clone(),
            clock: clock::now,
        });
        Ok(Self { core, router, door, data_dir, _ticker: ticker })
    }

    /// Answers health, operations and metrics; to be served by any axum server. One that does not tell who is at the
    /// other end, by `into_make_service_with_connect_info::<SocketAddr>()`, serves no operator without the token.
    ///
    /// A server that waits for its connections when it stops calls [`Host::drain`] first: streams of events end by it,
    /// and else by the hour.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// What is known of the plugins now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.core.board.snapshot()
    }

    /// Whether the loop turns that keeps health: what `/livez` answers by.
    pub fn is_alive(&self) -> bool {
        !self.snapshot().checker_is_stale(clock::now())
    }

    /// Waits until every plugin has settled, or for `limit`.
    pub async fn settled(&self, limit: Duration) -> Arc<Snapshot> {
        self.until(limit, |snapshot| snapshot.settled).await
    }

    /// Waits until every plugin has come up or has used up its attempts, or for `limit`.
    pub async fn decided(&self, limit: Duration) -> Arc<Snapshot> {
        self.until(limit, |snapshot| snapshot.settled && snapshot.counts.initializing == 0).await
    }

    async fn until(&self, limit: Duration, condition: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut changes = self.core.board.subscribe();
        let wait = async {
            while !condition(&self.snapshot()) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        // After the limit the snapshot says how far it has got.
        let _ = tokio::time::timeout(limit, wait).await;
        self.snapshot()
    }

    /// Reads plugins.toml again: restarts what changed and what requires it, and nothing else.
    ///
    /// # Errors
    /// The configuration is refused: then nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.core.clone().reload().await
    }

    /// Runs a task about this host until it ends by itself. If it panics, that is logged, shown in health, and `make`
    /// makes it anew.
    pub async fn keep<F: Future>(&self, task: tasks::Name, make: impl FnMut() -> F) -> F::Output {
        tasks::keep(&self.core.board, task, make).await
    }

    /// Takes the host out of readiness and ends the streams of events, once and for all. Plugins go on until
    /// [`Host::stop`], so that requests in progress can end.
    pub fn drain(&self) {
        self.core.draining.send_replace(true);
    }

    /// Takes the host out of readiness and stops its plugins, dependents first.
    pub async fn stop(&self) {
        self.drain();
        // A reload in progress ends first: it holds the lock.
        let grace = self.core.current.lock().await.config.host.shutdown_grace;
        self.stop_within(grace).await;
    }

    async fn stop_within(&self, grace: Duration) {
        let begun = Instant::now();
        self.core.journal.settle(grace / 2).await;
        self.core.lifecycle.stop(grace.saturating_sub(begun.elapsed())).await;
    }
}

/// Runs a host until `shutdown`: serves, then turns readiness off, lets requests end within the grace period, and stops
/// the plugins. `started` is told the address and the host once it serves.
///
/// # Errors
/// What kept it from starting, or from serving.
pub async fn run<S, F>(config: Config, scrubber: Scrubber, shutdown: S, started: F) -> Result<(), StartError>
where
    S: Future<Output = ()> + Send + 'static,
    F: AsyncFnOnce(SocketAddr, &Host),
{
    let address = config.host.listen;
    let grace = config.host.shutdown_grace;
    let unavailable = |reason| StartError::Listen { address, reason };
    // Locked first: of a second host the folder tells more than the address.
    let data_dir = DataDir::lock(&config.host.data_dir)?;
    let listener = TcpListener::bind(address).await.map_err(unavailable)?;
    let address = listener.local_addr().map_err(unavailable)?;
    tokio::pin!(shutdown);
    let host = tokio::select! {
        host = Host::start_in(data_dir, config, scrubber) => host?,
        () = &mut shutdown => return Ok(()),
    };
    host.data_dir.announce(address)?;

    let (stopping, stopped) = watch::channel(());
    let stop = move || {
        let mut stopped = stopped.clone();
        // Until `stopping` is gone.
        async move { while stopped.changed().await.is_ok() {} }
    };
    let listener = listener.into_std().map_err(unavailable)?;
    let mut server = server::serve(&host.core.board, listener, host.router(), host.door.clone(), stop);
    tokio::select! {
        () = &mut shutdown => {}
        () = async {
            started(address, &host).await;
            std::future::pending().await
        } => {}
    }

    tracing::info!("stopping: requests in progress, and then plugins, may end within {grace:?}");
    let begun = Instant::now();
    host.drain();
    drop(stopping);
    let outlasted = tokio::time::timeout(grace, &mut server).await.is_err();
    if outlasted {
        tracing::warn!("some requests or WebSockets did not end within {grace:?}, and are cut");
    }
    // A reload in progress ends first: it holds the lock.
    drop(host.core.current.lock().await);
    host.stop_within(grace.saturating_sub(begun.elapsed()).max(LEAST_FOR_PLUGINS)).await;
    if outlasted {
        // What was cut tells its clients why; one that does not listen is not waited for.
        let _ = tokio::time::timeout(FAREWELL, server).await;
    }
    host.data_dir.retract();
    Ok(())
}

/// Says what can be used, and was probably meant otherwise.
fn warn(prepared: &Prepared) {
    // A record of the log is one line.
    let line = |warning: &Problems| warning.to_string().replace("\n  hint: ", "; ");
    prepared.warnings.each().for_each(|warning| tracing::warn!("{}", line(&warning)));
}

/// Says who is an operator from now on, where that is not obvious.
fn tell_access(host: &HostConfig, had_token: bool) {
    if host.token.is_some() {
        tracing::info!(
            "the operator's token is required, on loopback too: `Authorization: Bearer` for programs and for \
             `/metrics`, `/login` for browsers; only `/livez`, `/readyz` and health without details are open"
        );
    } else if host.public_base_url.is_some() {
        tracing::warn!(
            "`public_base_url` is set and there is no operator's token: nobody can act as operator; set \
             `SWITCHBOARD_TOKEN` or `token_file`"
        );
    } else if had_token {
        tracing::warn!(
            "the operator's token is no longer required: anyone who can connect to this machine's loopback address is an \
             operator; to require it again, set `SWITCHBOARD_TOKEN` or `token_file` and reload"
        );
    }
}

/// Operators, with the way to the token that a reload of this configuration would bring.
fn operators(config: &Config) -> http::Operators {
    let (path, environment) = (config.path.clone(), config.environment.clone());
    let operators = http::Operators::default();
    operators.read_next_by(move || {
        let (path, environment) = (path.clone(), environment.clone());
        let read = move || config::load(&path, &environment).ok()?.host.token;
        tokio::task::spawn_blocking(read).map(|read| read.ok().flatten()).boxed()
    });
    operators
}

/// How many libraries the process has opened: each stays until it ends.
fn open_libraries(registry: &prometheus::Registry) -> IntGauge {
    let gauge =
        IntGauge::new("switchboard_libraries_open", "Libraries that were opened; none is ever closed.");
    let gauge = gauge.expect("the name and the text are well-formed");
    registry.register(Box::new(gauge.clone())).expect("the registry is new, and the names differ");
    gauge.set(loader::open_count());
    gauge
}

/// What HTTP may cause: the operations of the switch, called by an operator; guards, by nobody.
struct Operator(Switch);

impl http::Operations for Operator {
    fn call(&self, header: CallHeader, payload: Bytes) -> BoxFuture<'_, Result<Vec<u8>, OperationError>> {
        async move { self.0.call(&Caller::Operator, header, payload.into()).await }.boxed()
    }

    fn ask_guard(
        &self,
        header: CallHeader,
        payload: Bytes,
    ) -> BoxFuture<'_, Result<Vec<u8>, OperationError>> {
        async move { self.0.call(&Caller::Nobody, header, payload.into()).await }.boxed()
    }

    fn open(&self, header: CallHeader, payload: Bytes) -> BoxFuture<'_, Result<PipeEnd, OperationError>> {
        async move { self.0.open(&Caller::Operator, header, payload.into()).await }.boxed()
    }
}

/// Shows on the board what fails in use.
fn failing(board: &Board) -> FailingSink {
    let board = board.clone();
    Arc::new(move |name, findings| {
        board.apply(name, Event::Failing { findings }, clock::now());
    })
}

/// Finds root causes on the board, with what a caller may want to know of them.
fn causes(board: &Board) -> Causes {
    let board = board.clone();
    Arc::new(move |name| {
        let snapshot = board.snapshot();
        let Some(plugin) = snapshot.plugin(name) else { return Vec::new() };
        let causes = plugin.root_causes.iter().filter_map(|cause| snapshot.plugin(cause));
        causes
            .map(|cause| RootCause {
                name: cause.name.clone(),
                status: cause.status.as_str().to_owned(),
                code: cause.reason.as_ref().map(|reason| reason.code),
                message: cause.reason.as_ref().map(|reason| reason.message.clone()),
            })
            .collect()
    })
}

/// Tells this run of the host from any other: eight letters and digits.
fn boot_id() -> String {
    letters().take(8).collect()
}

/// Letters and digits by chance, none that is easily taken for another.
fn letters() -> impl Iterator<Item = char> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    std::iter::repeat_with(|| char::from(LETTERS[rand::random_range(0..LETTERS.len())]))
}
