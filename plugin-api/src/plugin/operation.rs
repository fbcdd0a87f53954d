//! Operations: what an author writes of them, and the code behind them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::Plugin;
use crate::{
    context::Call,
    error::OperationError,
    level::Level,
    manifest::{OperationManifest, OperationMode, schema},
    protocol::to_json,
    requests::Request,
    stream::Stream,
};

/// The code behind an operation.
pub(crate) enum Handler<P> {
    Call(CallHandler<P>),
    Stream(StreamHandler<P>),
}

pub(crate) type CallHandler<P> =
    Box<dyn Fn(Arc<P>, Vec<u8>, Call) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> + Send + Sync>;
pub(crate) type StreamHandler<P> = Box<
    dyn Fn(Arc<P>, Vec<u8>, Stream, Call) -> BoxFuture<'static, Result<(), OperationError>> + Send + Sync,
>;

/// An operation: its name, its types and marks, and the function behind it.
///
/// The function takes the plugin as `Arc<Self>`, the request and the [`Call`]; it runs on the plugin's runtime. When
/// the caller gives up or its deadline passes, it is dropped at its next `.await`.
pub struct Operation<P> {
    manifest: OperationManifest,
    handler: Handler<P>,
}

impl<P: Plugin> Operation<P> {
    /// An operation under this name.
    pub fn new<T, R, F, Fut>(name: &str, function: F) -> Self
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Arc<P>, T, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, OperationError>> + Send + 'static,
    {
        let handler: CallHandler<P> = Box::new(move |plugin, payload, call| match decode::<T>(&payload) {
            Ok(request) => {
                let response = function(plugin, request, call);
                Box::pin(async move { encode(&response.await?) })
            }
            Err(error) => Box::pin(async move { Err(error) }),
        });
        let response = schema::<R>();
        Self::with::<T>(name, OperationMode::Call, response, Handler::Call(handler))
    }

    /// An operation that serves a typed request of [`crate::requests`], under that request's name.
    pub fn of<T, F, Fut>(function: F) -> Self
    where
        T: Request,
        F: Fn(Arc<P>, T, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T::Response, OperationError>> + Send + 'static,
    {
        Self::new(T::OPERATION, function)
    }

    /// An operation that is a stream. The function lasts as long as it serves the stream, and its outcome is the close
    /// reason; an error before the first frame refuses the stream.
    pub fn stream<T, F, Fut>(name: &str, function: F) -> Self
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
        F: Fn(Arc<P>, T, Stream, Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), OperationError>> + Send + 'static,
    {
        let handler: StreamHandler<P> =
            Box::new(move |plugin, payload, stream, call| match decode::<T>(&payload) {
                Ok(request) => Box::pin(function(plugin, request, stream, call)),
                Err(error) => Box::pin(async move { Err(error) }),
            });
        Self::with::<T>(name, OperationMode::Stream, Value::Null, Handler::Stream(handler))
    }

    fn with<T: JsonSchema>(name: &str, mode: OperationMode, response: Value, handler: Handler<P>) -> Self {
        let manifest = OperationManifest::new(name, mode, schema::<T>(), response);
        Self { manifest, handler }
    }

    pub(super) fn into_parts(self) -> (OperationManifest, Handler<P>) {
        (self.manifest, self.handler)
    }

    /// What it does, for people; for a tool also what the language model is told.
    pub fn about(mut self, about: &str) -> Self {
        about.clone_into(&mut self.manifest.about);
        self
    }

    /// A language model may be offered it, where plugins.toml allows it.
    pub fn tool(mut self) -> Self {
        self.manifest.tool = true;
        self
    }

    /// Repeating it has the effect of doing it once: it may be retried after a deadline.
    pub fn idempotent(mut self) -> Self {
        self.manifest.idempotent = true;
        self
    }

    /// Repeating it with the same idempotency key has the effect of doing it once, also after the host was killed in the
    /// middle: it may be repeated with the key of the first call, and with no other. A key that is remembered only as
    /// long as the host runs is not enough.
    pub fn keyed(mut self) -> Self {
        self.manifest.keyed = true;
        self
    }

    /// A person must agree before a language model's call of it goes through.
    pub fn needs_approval(mut self) -> Self {
        self.manifest.needs_approval = true;
        self
    }

    /// The members of the request that decide what it does to the outside: recipient, amount, time, number. A person who
    /// must agree to a call reads them first and whole; a call in which they are too long for that is refused. Long text,
    /// which is not read to its end, does not belong here.
    pub fn decisive<const N: usize>(mut self, members: [&str; N]) -> Self {
        self.manifest.decisive = members.map(str::to_owned).to_vec();
        self
    }

    /// `switchboard doctor` runs it, to prove that what the plugin connects to works end to end. It takes an
    /// [`Examine`](crate::requests::doctor::Examine) and answers an
    /// [`Examination`](crate::requests::doctor::Examination).
    pub fn doctor(mut self) -> Self {
        self.manifest.doctor = true;
        self
    }

    /// Of the other plugins, only these may call it, by the names of their sections in plugins.toml; `callers` in the
    /// section of this plugin names others instead. For operations about people whom the caller chooses. Operators may
    /// call it, and so may a language model through `tools`, if it is one.
    pub fn callers<const N: usize>(mut self, callers: [&str; N]) -> Self {
        self.manifest.callers = Some(callers.map(str::to_owned).to_vec());
        self
    }

    /// It must be so certain who the person of a call is: whoever is less certain is refused, unless `needs` in the
    /// section of this plugin names another level. A call on behalf of nobody, by an operator or by a plugin for itself,
    /// is not limited by it. For operations that act in the name of a person, or tell of them.
    pub fn needs(mut self, level: Level) -> Self {
        self.manifest.needs = Some(level);
        self
    }

    /// Routes may name it in [`Route::guard`](crate::manifest::Route::guard). It takes an
    /// [`HttpRequest`](crate::requests::http::HttpRequest) that nobody has checked yet, and answers an
    /// [`Admission`](crate::requests::http::Admission) or an error. The host runs it on nobody's behalf: anyone on the
    /// network can cause that, so it must have no effect.
    pub fn guard(mut self) -> Self {
        self.manifest.guard = true;
        self
    }
}

/// A request out of a payload; an empty payload is an empty object.
fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, OperationError> {
    let payload = if payload.is_empty() { b"{}" } else { payload };
    serde_json::from_slice(payload)
        .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))
}

/// A response as a payload.
fn encode<T: Serialize>(response: &T) -> Result<Vec<u8>, OperationError> {
    to_json(response)
        .map_err(|error| OperationError::internal(format!("the response cannot be written as JSON: {error}")))
}
