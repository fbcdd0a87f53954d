//! The router: health, verify, operations, metrics. Every health answer is read from a snapshot and rendered once for
//! all who ask: no request causes a probe, waits for a plugin or touches the database. What HTTP may cause goes
//! through `Operations`.

mod problem;
mod access;
mod etag;
mod render;
mod views;
mod health;
mod verify;
mod operations;
mod liveness;
mod metrics;
mod page;
mod router;

use std::sync::{Arc, atomic::AtomicBool};

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use plugin_api::{error::OperationError, protocol::CallHeader};

use crate::{
    status::Board,
    switch::{Caller, Switch},
};

pub use router::router;

/// What the routes work with.
pub struct HttpState {
    board: Board,
    operations: Arc<dyn Operations>,
    registry: prometheus::Registry,
    draining: Arc<AtomicBool>,
    clock: fn() -> Timestamp,
}

/// Calls operations of plugins, and of `host`, on behalf of HTTP: with JSON, for JSON. Deadlines and limits are the
/// callee's.
pub trait Operations: Send + Sync + 'static {
    /// Calls one. `host.verify` with `{"plugin": name}` is expected to probe now, together with whoever else asks, and
    /// to answer when the board knows the outcome.
    fn call<'a>(
        &'a self,
        plugin: &'a str,
        operation: &'a str,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, OperationError>>;
}

impl HttpState {
    /// Health is read from `board` and whatever else is measured from `registry`; everything that a request may cause
    /// goes through `operations`. While `draining` is set, the host is not ready.
    pub fn new(
        board: Board,
        operations: impl Operations,
        registry: prometheus::Registry,
        draining: Arc<AtomicBool>,
    ) -> Self {
        Self { board, operations: Arc::new(operations), registry, draining, clock: Timestamp::now }
    }
}

/// Whoever reaches the host by HTTP is its operator.
impl Operations for Switch {
    fn call<'a>(
        &'a self,
        plugin: &'a str,
        operation: &'a str,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, OperationError>> {
        let (plugin, operation) = (plugin.to_owned(), operation.to_owned());
        let header = CallHeader { plugin, operation, ..CallHeader::default() };
        Box::pin(Switch::call(self, &Caller::Operator, header, payload.into()))
    }
}

#[cfg(test)]
mod tests;
