//! Turns a library on disk into a `Library` that gives `Instance`s. ABI types, and `unsafe`, end here: beyond this
//! module a plugin is plain futures over JSON. A library that was opened is never closed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use plugin_api::{
    error::{Failure, OperationError},
    manifest::Manifest,
    pipe::PipeEnd,
    protocol::{CallHeader, CreateRequest, LogRecord},
};

mod elf;
mod obstacle;
mod error;
pub(crate) mod foreign;
pub(crate) mod manifest;
mod open;

pub use error::LoadError;
pub use obstacle::Obstacle;
pub use open::{open, open_count, path_of};

/// A library that passed every check, ready to make instances.
pub trait Library: Send + Sync {
    /// What the plugin says of itself.
    fn manifest(&self) -> &Manifest;

    /// Where it was loaded from and what built it.
    fn origin(&self) -> &Origin;

    /// Makes an instance, which may ask `host` from then on. An attempt that outlasts `limit` is abandoned with its
    /// thread.
    fn create(
        &self,
        host: Arc<dyn PluginHost>,
        request: CreateRequest,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Arc<dyn Instance>, Failure>>;
}

/// Where a library comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// The compiler that built it.
    pub rustc: String,
    /// The target triple that it was built for.
    pub target: String,
    /// The version of the boundary that it speaks.
    pub abi_version: u32,
}

/// A live instance of a plugin. Dropping a future ends the work behind it; dropping the instance ends all of it.
pub trait Instance: Send + Sync {
    /// Brings it up; may be called again after a failure.
    fn init(&self) -> BoxFuture<'static, Result<(), Failure>>;

    /// Asks whether its outside system answers.
    fn probe(&self) -> BoxFuture<'static, Result<(), Failure>>;

    /// Lets it end what it began.
    fn stop(&self) -> BoxFuture<'static, Result<(), Failure>>;

    /// Runs an operation.
    fn call(
        &self,
        header: &CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, OperationError>>;

    /// Serves a stream. The future lasts as long as the stream is served.
    fn open(
        &self,
        header: &CallHeader,
        payload: Vec<u8>,
        end: PipeEnd,
    ) -> BoxFuture<'static, Result<(), OperationError>>;
}

/// What an instance may ask of the host. Called on the instance's own threads.
pub trait PluginHost: Send + Sync + 'static {
    /// Calls an operation of another plugin or of the host. The future is polled on the caller's threads, within the
    /// host's runtime.
    fn call(
        &self,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, OperationError>>;

    /// Opens a stream to another plugin, as [`PluginHost::call`] calls.
    fn open(
        &self,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<PipeEnd, OperationError>>;

    /// Takes a log record; returns at once.
    fn log(&self, record: LogRecord);
}
