//! Foreign code is entered here, and nowhere else: panic, deadline and error become one value, and ABI types become
//! the host's own.

use std::{
    future::{Future, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RVec},
};
use async_ffi::{FfiFuture, FutureExt as _};
use futures_util::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use pin_project_lite::pin_project;
use plugin_abi::boundary::{HostApi, HostApi_TO, PluginInstanceBox, PluginModuleRef, Reply, StreamEndBox};
use plugin_api::{
    error::{ErrorKind, Failure, OperationError, ReasonCode},
    manifest::Manifest,
    pipe::PipeEnd,
    protocol::{CallHeader, CreateRequest, to_json},
};
use serde::de::DeserializeOwned;
use tokio::{runtime::Handle, sync::oneshot};

use super::{Instance, Library, Origin, PluginHost};
use crate::scrub::one_line;

/// A library behind the boundary.
pub(super) struct ForeignLibrary {
    manifest: Manifest,
    origin: Origin,
    module: PluginModuleRef,
}

impl ForeignLibrary {
    pub(super) fn new(manifest: Manifest, origin: Origin, module: PluginModuleRef) -> Self {
        Self { manifest, origin, module }
    }
}

impl Library for ForeignLibrary {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn create(
        &self,
        host: Arc<dyn PluginHost>,
        request: CreateRequest,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Arc<dyn Instance>, Failure>> {
        let create = self.module.create();
        let host = HostApi_TO::from_value(HostEnd { host, runtime: Handle::current() }, TD_Opaque);
        let name = request.instance.clone();
        async move {
            let request =
                serde_json::to_vec(&request).map_err(|error| Failure::internal(error.to_string()))?;
            let (done, created) = oneshot::channel();
            // A `create` that blocks keeps this thread, not one of the host's.
            let thread = std::thread::Builder::new().name(format!("{name}-create"));
            let spawned = thread.spawn(move || {
                // An instance that comes too late is dropped with the channel.
                let _ = done.send(create(host, request.into()));
            });
            spawned.map_err(|error| Failure::internal(format!("no thread can be started: {error}")))?;
            match tokio::time::timeout(limit, created).await {
                Ok(Ok(RResult::ROk(instance))) => {
                    Ok(Arc::new(ForeignInstance { instance }) as Arc<dyn Instance>)
                }
                Ok(Ok(RResult::RErr(failure))) => Err(read(&failure, Failure::internal)),
                Ok(Err(_)) => {
                    Err(Failure::new(ReasonCode::Crashed, "the thread that creates the instance is gone"))
                }
                Err(_) => Err(Failure::timeout(format!("`create` did not end within {limit:?}"))),
            }
        }
        .boxed()
    }
}

/// An instance behind the boundary.
struct ForeignInstance {
    instance: PluginInstanceBox,
}

impl Instance for ForeignInstance {
    fn init(&self) -> BoxFuture<'static, Result<(), Failure>> {
        lifecycle(self.instance.init(RVec::new()))
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), Failure>> {
        lifecycle(self.instance.probe(RVec::new()))
    }

    fn stop(&self) -> BoxFuture<'static, Result<(), Failure>> {
        lifecycle(self.instance.stop(RVec::new()))
    }

    fn call(
        &self,
        header: &CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        let header = match to_json(header) {
            Ok(header) => header,
            Err(error) => return ready(Err(OperationError::internal(error.to_string()))).boxed(),
        };
        operation(self.instance.call(header.into(), payload.into())).boxed()
    }

    fn open(
        &self,
        header: &CallHeader,
        payload: Vec<u8>,
        end: PipeEnd,
    ) -> BoxFuture<'static, Result<(), OperationError>> {
        let header = match to_json(header) {
            Ok(header) => header,
            Err(error) => return ready(Err(OperationError::internal(error.to_string()))).boxed(),
        };
        operation(self.instance.open(header.into(), payload.into(), end.into_boundary())).map_ok(drop).boxed()
    }
}

/// The outcome of an operation.
fn operation(reply: FfiFuture<Reply>) -> impl Future<Output = Result<Vec<u8>, OperationError>> + Send {
    contained(reply).map(|reply| match reply {
        Some(RResult::ROk(response)) => Ok(response.into_vec()),
        Some(RResult::RErr(error)) => Err(read(&error, OperationError::internal)),
        None => Err(OperationError::new(ErrorKind::Panicked, "panicked at the boundary")),
    })
}

fn lifecycle(reply: FfiFuture<Reply>) -> BoxFuture<'static, Result<(), Failure>> {
    let reply = contained(reply);
    async move {
        match reply.await {
            Some(RResult::ROk(_)) => Ok(()),
            Some(RResult::RErr(failure)) => Err(read(&failure, Failure::internal)),
            None => Err(Failure::new(ReasonCode::Panicked, "panicked at the boundary")),
        }
    }
    .boxed()
}

/// A future whose poll panicked in its library panics here once more, by async-ffi's choice; that ends here.
fn contained(reply: FfiFuture<Reply>) -> impl Future<Output = Option<Reply>> + Send {
    AssertUnwindSafe(reply).catch_unwind().map(Result::ok)
}

/// An error out of what passed the boundary; what cannot be read is an error of its own.
pub(crate) fn read<E: DeserializeOwned>(bytes: &[u8], internal: fn(String) -> E) -> E {
    serde_json::from_slice(bytes).unwrap_or_else(|error| {
        let why = one_line(&error.to_string());
        internal(format!("the plugin answered with an error that the host cannot read: {why}"))
    })
}

/// The host as a plugin sees it. Its methods run on the plugin's threads.
struct HostEnd {
    host: Arc<dyn PluginHost>,
    runtime: Handle,
}

impl HostApi for HostEnd {
    fn call(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<Reply> {
        let host = self.host.clone();
        self.serve(async move { Ok(host.call(read_header(&header)?, payload.into_vec()).await?.into()) })
    }

    fn open(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<RResult<StreamEndBox, RVec<u8>>> {
        let host = self.host.clone();
        self.serve(async move {
            let end = host.open(read_header(&header)?, payload.into_vec()).await?;
            Ok(end.into_boundary())
        })
    }

    fn log(&self, record: RVec<u8>) {
        // A record that cannot be read has no words that could be shown.
        if let Ok(record) = serde_json::from_slice(&record) {
            let host = &self.host;
            // Unwinding into the plugin would end the process.
            let _ = catch_unwind(AssertUnwindSafe(|| host.log(record)));
        }
    }
}

impl HostEnd {
    /// Makes work of the host a future that a plugin's runtime can poll.
    fn serve<T: 'static>(
        &self,
        work: impl Future<Output = Result<T, OperationError>> + Send + 'static,
    ) -> FfiFuture<RResult<T, RVec<u8>>> {
        let panicked = |_| Err(OperationError::internal("the host panicked while it served the call"));
        let work = AssertUnwindSafe(work).catch_unwind().map(move |outcome| {
            let outcome = outcome.unwrap_or_else(panicked);
            outcome.map_err(|error| RVec::from(serde_json::to_vec(&error).unwrap_or_default())).into()
        });
        Entered { runtime: self.runtime.clone(), work }.into_ffi()
    }
}

/// What does not fit is not repeated: it may be anything, and a secret as well.
pub(crate) fn read_header(header: &[u8]) -> Result<CallHeader, OperationError> {
    serde_json::from_slice(header).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        OperationError::invalid(format!(
            "unreadable call header: it does not fit at line {line}, column {column}"
        ))
    })
}

pin_project! {
    /// A future of the host that a plugin's runtime polls: each poll enters the host's runtime, for its timers.
    struct Entered<F> {
        runtime: Handle,
        #[pin]
        work: F,
    }
}

impl<F: Future> Future for Entered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.runtime.enter();
        this.work.poll(context)
    }
}
