//! Stands in for the host: remembers what an instance logs, answers what concerns the instance itself, and has no other
//! plugin.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{FutureExt, future::BoxFuture};
use plugin_api::{
    error::OperationError,
    pipe::PipeEnd,
    protocol::{CallHeader, HOST, LogRecord},
};
use switchboard::loader::PluginHost;

/// The host as one instance sees it. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Witness {
    records: Arc<Mutex<Vec<LogRecord>>>,
}

impl Witness {
    /// Everything that was logged so far.
    pub(super) fn records(&self) -> Vec<LogRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PluginHost for Witness {
    fn call(&self, header: CallHeader, _: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        let answer = match (header.plugin.as_str(), header.operation.as_str()) {
            (HOST, "report" | "verify" | "secret" | "observe") => Ok(b"null".to_vec()),
            (HOST, "tools") => Ok(b"[]".to_vec()),
            (plugin, _) => Err(absent(plugin)),
        };
        async move { answer }.boxed()
    }

    fn open(&self, header: CallHeader, _: Vec<u8>) -> BoxFuture<'static, Result<PipeEnd, OperationError>> {
        async move { Err(absent(&header.plugin)) }.boxed()
    }

    fn log(&self, record: LogRecord) {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}

fn absent(plugin: &str) -> OperationError {
    OperationError::unavailable(format!("`{plugin}` has no instance: this is a test of one plugin alone"))
}
