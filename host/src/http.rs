//! The router: health, verify, operations, metrics. Every health answer is read from a snapshot and rendered once for
//! all who ask: no request causes a probe, waits for a plugin or touches the database. Effects of a request go through
//! `Operations`.

mod problem;
mod shares;
mod access;
mod stamp;
mod etag;
mod render;
mod view;
mod outline;
mod views;
mod events;
mod routes;
mod bodies;
mod site;
mod paths;
mod health;
mod write;
mod verify;
mod operations;
mod liveness;
mod metrics;
mod assets;
mod page;
mod login;
mod plugins;
mod websocket;
mod openapi;
mod router;
mod serve;

use std::sync::Arc;

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use plugin_api::{error::OperationError, pipe::PipeEnd, protocol::CallHeader};
use tokio::sync::watch;

use crate::status::Board;

pub use access::{AccessSettings, NO_TOKEN, Operators};
pub use axum::Router;
pub use router::router;
pub use routes::{Guard, PluginRoute, RouteTable, Routes};
pub use serve::{Door, serve};

/// What the routes work with.
#[derive(Clone)]
pub struct HttpState {
    /// Read only.
    pub board: Board,
    /// Everything that a request may cause.
    pub operations: Arc<dyn Operations>,
    /// Where plugins are reached.
    pub routes: Routes,
    /// What others measure; health is added from the board.
    pub registry: prometheus::Registry,
    /// Whether the host is about to stop: then it is not ready.
    pub draining: watch::Receiver<bool>,
    /// Who may ask for what.
    pub access: AccessSettings,
    /// The token by which operators are known: a reload may replace it.
    pub operators: Operators,
    /// [`Timestamp::now`], but for tests.
    pub clock: fn() -> Timestamp,
}

/// Calls operations of plugins, and of `host`, on behalf of HTTP. Deadlines and limits are the callee's.
pub trait Operations: Send + Sync + 'static {
    /// Calls with a JSON payload and answers with JSON.
    ///
    /// `host.verify` with `{"plugin": name}` is expected: it probes now, together with whoever else asks, and
    /// answers when the board knows the outcome.
    fn call(&self, header: CallHeader, payload: Bytes) -> BoxFuture<'_, Result<Vec<u8>, OperationError>>;

    /// Asks a guard about a request, on nobody's behalf: only an operation that is declared as a guard is run.
    fn ask_guard(&self, header: CallHeader, payload: Bytes)
    -> BoxFuture<'_, Result<Vec<u8>, OperationError>>;

    /// Opens a stream, and answers when the other side has taken it.
    fn open(&self, header: CallHeader, payload: Bytes) -> BoxFuture<'_, Result<PipeEnd, OperationError>>;
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod hostile;

#[cfg(test)]
mod tests;
