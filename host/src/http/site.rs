//! What the handlers share.

use std::sync::Arc;

use axum::{body::Bytes, extract::Request};
use plugin_api::{error::OperationError, protocol::CallHeader};
use tokio::sync::watch;

use super::{
    Operations, access::Access, bodies::Bodies, events::seats::Events, problem::Problem, routes::Routes,
    view::Reader, views::Views,
};
use crate::status::Board;

/// What a request is served from.
pub(super) struct Site {
    pub(super) board: Board,
    pub(super) views: Views,
    pub(super) events: Events,
    pub(super) access: Access,
    pub(super) bodies: Bodies,
    pub(super) operations: Arc<dyn Operations>,
    pub(super) routes: Routes,
    pub(super) registry: prometheus::Registry,
    pub(super) draining: watch::Receiver<bool>,
}

impl Site {
    /// Calls an operation with nothing but a payload.
    pub(super) async fn call(
        &self,
        plugin: impl Into<String>,
        operation: impl Into<String>,
        payload: Bytes,
    ) -> Result<Vec<u8>, OperationError> {
        let header =
            CallHeader { plugin: plugin.into(), operation: operation.into(), ..CallHeader::default() };
        self.operations.call(header, payload).await
    }

    /// How much the sender may see; a wrong token is refused.
    pub(super) fn reader(&self, request: &Request) -> Result<Reader, Problem> {
        Ok(if self.access.is_operator(request)? { Reader::Operator } else { Reader::Anybody })
    }
}
