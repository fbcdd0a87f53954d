//! Stands between the boundary and a plugin: runs every entry as a task on the instance's own runtime, turns a panic
//! into an error with its place, and ends what the host gives up.

use std::{
    any::Any,
    collections::HashMap,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context as TaskContext, Poll},
};

use abi_stable::std_types::{RResult, RVec};
use async_ffi::{FfiFuture, FutureExt as _};
use futures_util::FutureExt as _;
use plugin_abi::boundary::{PluginInstance, Reply, StreamEndBox};
use serde::Serialize;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use crate::{
    context::{Call, Context, HostHandle},
    error::{ErrorKind, Failure, OperationError, ReasonCode},
    logging::{self, InstanceLog},
    plugin::{Handler, Plugin},
    protocol::{CallHeader, CreateRequest, PING, SET_LOG_LEVEL, SetLogLevel},
    stream::Stream,
};

/// An instance of a plugin with its runtime and the code behind its operations.
pub(crate) struct Instance<P: Plugin> {
    plugin: Option<Arc<P>>,
    handlers: Arc<HashMap<String, Handler<P>>>,
    runtime: Option<Runtime>,
    log: Arc<InstanceLog>,
}

impl<P: Plugin> Instance<P> {
    /// Makes the plugin, on a thread of its own runtime, so that it can neither unwind into the host nor find the
    /// host's runtime instead of its own.
    pub(crate) fn create(host: HostHandle, request: &[u8]) -> Result<Self, Failure> {
        let request = read_request(request)?;
        let log = logging::attach(&request.instance, &request.log_level, host.clone());
        let runtime = runtime(&request.instance, &log)?;
        let settings = serde_json::from_value(request.settings.clone())
            .map_err(|error| Failure::config_invalid(format!("the settings do not fit: {error}")))?;

        let (done, created) = mpsc::channel();
        let handle = runtime.handle().clone();
        runtime.spawn_blocking(move || {
            let _entered = handle.enter();
            let made = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let (manifest, handlers) = P::manifest().finish("");
                let declared = [manifest.requires, manifest.wants].concat();
                let context = Context::new(&request, declared, host);
                logging::contained(|| P::create(settings, context)).map(|plugin| (plugin, handlers))
            }));
            // The other side waits in `recv` below, unless the host has given it up.
            let _ = done.send(made.unwrap_or_else(|panic| Err(panicked(panic))));
        });
        let created = created.recv();
        let (plugin, handlers) = match created {
            Ok(Ok(created)) => created,
            Ok(Err(failure)) => {
                runtime.shutdown_background();
                return Err(failure);
            }
            Err(_) => return Err(Failure::internal("the thread that creates the instance is gone")),
        };
        Ok(Self { plugin: Some(Arc::new(plugin)), handlers: Arc::new(handlers), runtime: Some(runtime), log })
    }

    /// Runs a lifecycle entry as a task of the instance.
    fn lifecycle<F, Fut>(&self, entry: F) -> FfiFuture<Reply>
    where
        F: FnOnce(Arc<P>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send,
    {
        let Some((plugin, runtime)) = self.plugin.clone().zip(self.runtime.as_ref()) else {
            return ready(Err(Failure::internal("the instance is stopped")));
        };
        let task = runtime.spawn(async move {
            let work = Call::new(CallHeader::default()).scope(async move { entry(plugin).await });
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            reply(outcome.unwrap_or_else(|panic| Err(panicked(panic))))
        });
        Task { task, gone: || reply::<(), _>(Err(Failure::internal("the instance's runtime ended"))) }
            .into_ffi()
    }

    /// Runs an operation as a task of the instance.
    fn operation<F, Fut>(&self, header: CallHeader, serve: F) -> FfiFuture<Reply>
    where
        F: FnOnce(Arc<P>, Arc<HashMap<String, Handler<P>>>, Call) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Vec<u8>, OperationError>> + Send,
    {
        let Some((plugin, runtime)) = self.plugin.clone().zip(self.runtime.as_ref()) else {
            return ready(Err(OperationError::unavailable("the instance is stopped")));
        };
        let handlers = self.handlers.clone();
        let call = Call::new(header);
        let task = runtime.spawn(async move {
            let work = call.clone().scope(async move { serve(plugin, handlers, call).await });
            match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(response)) => RResult::ROk(response.into()),
                Ok(Err(error)) => reply::<(), _>(Err(error)),
                Err(panic) => {
                    let Failure { message, .. } = panicked(panic);
                    reply::<(), _>(Err(OperationError::new(ErrorKind::Panicked, message)))
                }
            }
        });
        Task { task, gone: || reply::<(), _>(Err(OperationError::cancelled("the instance was stopped"))) }
            .into_ffi()
    }

    fn set_log_level(&self, payload: &[u8]) -> FfiFuture<Reply> {
        let outcome = serde_json::from_slice::<SetLogLevel>(payload)
            .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))
            .and_then(|request| self.log.set_level(&request.level).map_err(OperationError::invalid));
        ready(outcome)
    }
}

impl<P: Plugin> PluginInstance for Instance<P> {
    fn init(&self, _request: RVec<u8>) -> FfiFuture<Reply> {
        self.lifecycle(|plugin| async move { plugin.init().await })
    }

    fn probe(&self, _request: RVec<u8>) -> FfiFuture<Reply> {
        self.lifecycle(|plugin| async move { plugin.probe().await })
    }

    fn stop(&self, _request: RVec<u8>) -> FfiFuture<Reply> {
        self.lifecycle(|plugin| async move {
            plugin.stop().await;
            Ok(())
        })
    }

    fn call(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<Reply> {
        let header = match read_header(&header) {
            Ok(header) => header,
            Err(error) => return ready(Err(error)),
        };
        // What every instance serves by itself.
        match header.operation.as_str() {
            PING => return self.operation(header, |_, _, _| async { Ok(b"null".to_vec()) }),
            SET_LOG_LEVEL => return self.set_log_level(&payload),
            _ => {}
        }
        self.operation(header, |plugin, handlers, call| async move {
            match handlers.get(call.operation()) {
                Some(Handler::Call(handler)) => handler(plugin, payload.into_vec(), call).await,
                Some(Handler::Stream(_)) => {
                    Err(OperationError::invalid(format!("`{}` is a stream: open it", call.operation())))
                }
                None => {
                    Err(OperationError::not_found(format!("there is no operation `{}`", call.operation())))
                }
            }
        })
    }

    fn open(&self, header: RVec<u8>, payload: RVec<u8>, stream: StreamEndBox) -> FfiFuture<Reply> {
        let header = match read_header(&header) {
            Ok(header) => header,
            Err(error) => return ready(Err(error)),
        };
        self.operation(header, |plugin, handlers, call| async move {
            match handlers.get(call.operation()) {
                Some(Handler::Stream(handler)) => {
                    handler(plugin, payload.into_vec(), Stream::new(stream), call).await?;
                    Ok(b"null".to_vec())
                }
                Some(Handler::Call(_)) => {
                    Err(OperationError::invalid(format!("`{}` is a call, not a stream", call.operation())))
                }
                None => {
                    Err(OperationError::not_found(format!("there is no operation `{}`", call.operation())))
                }
            }
        })
    }
}

/// The plugin's own `Drop` may block or panic, and a runtime must not be dropped on a thread of another one.
impl<P: Plugin> Drop for Instance<P> {
    fn drop(&mut self) {
        let plugin = self.plugin.take();
        let runtime = self.runtime.take();
        let log = self.log.clone();
        let ended = std::thread::Builder::new().name(format!("{}-drop", log.name())).spawn(move || {
            log.enter_thread();
            // A panic here is the plugin's own affair: it was asked to go, and it is gone.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(|| drop(plugin)));
            if let Some(runtime) = runtime {
                runtime.shutdown_background();
            }
        });
        drop(ended);
    }
}

/// A future that aborts its task when it is dropped.
struct Task<G> {
    task: JoinHandle<Reply>,
    gone: G,
}

impl<G: Fn() -> Reply + Unpin> Future for Task<G> {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Reply> {
        // A panic was caught inside the task; what is left is a runtime that ended.
        self.task.poll_unpin(context).map(|outcome| outcome.unwrap_or_else(|_| (self.gone)()))
    }
}

impl<G> Drop for Task<G> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A small runtime with named threads that know which instance they belong to.
fn runtime(instance: &str, log: &Arc<InstanceLog>) -> Result<Runtime, Failure> {
    let log = log.clone();
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(16)
        .thread_name(instance)
        .on_thread_start(move || log.enter_thread())
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("no runtime can be made for the instance: {error}")))
}

/// The failure that a panic becomes.
fn panicked(panic: Box<dyn Any + Send>) -> Failure {
    let message = logging::take_panic().unwrap_or_else(|| logging::panic_text(panic.as_ref()));
    // The payload is the plugin's own type; dropping it may panic again.
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| drop(panic)));
    Failure::new(ReasonCode::Panicked, format!("panicked: {message}"))
}

pub(crate) fn read_request(request: &[u8]) -> Result<CreateRequest, Failure> {
    serde_json::from_slice(request)
        .map_err(|error| Failure::internal(format!("the host's create request does not fit: {error}")))
}

pub(crate) fn read_header(header: &[u8]) -> Result<CallHeader, OperationError> {
    serde_json::from_slice(header)
        .map_err(|error| OperationError::internal(format!("unreadable call header: {error}")))
}

fn ready<E: Serialize>(outcome: Result<(), E>) -> FfiFuture<Reply> {
    let reply = reply(outcome);
    async move { reply }.into_ffi()
}

fn reply<T: Serialize, E: Serialize>(outcome: Result<T, E>) -> Reply {
    let json = |value: Result<Vec<u8>, serde_json::Error>| RVec::from(value.unwrap_or_default());
    match outcome {
        Ok(value) => RResult::ROk(json(serde_json::to_vec(&value))),
        Err(error) => RResult::RErr(json(serde_json::to_vec(&error))),
    }
}
