//! The host that a plugin under test meets: it answers by the test's fakes, serves streams by them, and remembers what
//! it was told.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use abi_stable::std_types::{RResult, RVec};
use async_ffi::{FfiFuture, FutureExt as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_abi::boundary::{HostApi, Reply, StreamEndBox};
use serde_json::Value;

use crate::{
    error::OperationError,
    pipe::{self, PipeWatch},
    protocol::{CallHeader, CloseReason, HOST, LogRecord},
    requests::{
        Request,
        host::{Approve, KeyFingerprint, Open, Report, Seal, Sealed, Trouble},
    },
    stream::Stream,
};

/// What a fake operation answers.
pub(super) type Fake = Box<dyn Fn(CallHeader, Value) -> Result<Value, OperationError> + Send + Sync>;
/// What serves a fake stream.
pub(super) type FakeStream = Box<dyn Fn(CallHeader, Value, Stream) -> Serving + Send + Sync>;
/// A stream being served.
pub(super) type Serving = Pin<Box<dyn Future<Output = Result<(), OperationError>> + Send>>;
/// `(plugin, operation)`.
pub(super) type Address = (String, String);

/// What the fake host was told.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) logs: Mutex<Vec<LogRecord>>,
    pub(super) reports: Mutex<Vec<Report>>,
    pub(super) troubles: Mutex<Vec<Trouble>>,
}

/// A host that answers by fakes, and remembers.
#[derive(Default)]
pub(super) struct FakeHost {
    pub(super) fakes: HashMap<Address, Fake>,
    pub(super) streams: HashMap<Address, FakeStream>,
    pub(super) seen: Arc<Seen>,
}

impl FakeHost {
    fn answer(&self, header: &[u8], payload: &[u8]) -> Result<Value, OperationError> {
        let unreadable = |error: serde_json::Error| OperationError::internal(error.to_string());
        let header: CallHeader = serde_json::from_slice(header).map_err(unreadable)?;
        let request: Value = serde_json::from_slice(payload).map_err(unreadable)?;
        if let Some(fake) = self.fakes.get(&(header.plugin.clone(), header.operation.clone())) {
            return fake(header, request);
        }
        match (header.plugin.as_str(), header.operation.as_str()) {
            (HOST, Report::OPERATION) => {
                let report = serde_json::from_value(request).map_err(unreadable)?;
                self.seen.reports.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                Ok(Value::Null)
            }
            (HOST, Trouble::OPERATION) => {
                let trouble = serde_json::from_value(request).map_err(unreadable)?;
                self.seen.troubles.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
                Ok(Value::Null)
            }
            (HOST, Seal::OPERATION) => {
                let Seal { text } = serde_json::from_value(request).map_err(unreadable)?;
                let sealed = Sealed { sealed: seal(&text), fingerprint: FINGERPRINT.to_owned() };
                serde_json::to_value(sealed).map_err(unreadable)
            }
            (HOST, Open::OPERATION) => {
                let Open { sealed } = serde_json::from_value(request).map_err(unreadable)?;
                open(&sealed).map(Value::String)
            }
            (HOST, Approve::OPERATION) => {
                let approve: Approve = serde_json::from_value(request).map_err(unreadable)?;
                Ok(Value::from(format!("approval of {}", approve.decision)))
            }
            (HOST, KeyFingerprint::OPERATION) => Ok(Value::from(FINGERPRINT)),
            (HOST, "verify" | "secret" | "observe" | "note") => Ok(Value::Null),
            (plugin, operation) => {
                Err(OperationError::not_found(format!("the test has no fake for `{plugin}.{operation}`")))
            }
        }
    }
}

/// The fingerprint of the key that a test's host seals by.
const FINGERPRINT: &str = "test-key";

/// Not secret, but nothing that a test would find the text in.
fn seal(text: &str) -> String {
    format!("{FINGERPRINT}.{}", STANDARD.encode(text))
}

fn open(sealed: &str) -> Result<String, OperationError> {
    let bytes =
        sealed.strip_prefix(FINGERPRINT).and_then(|rest| STANDARD.decode(rest.strip_prefix('.')?).ok());
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| OperationError::invalid("this was not sealed by the test's host"))
}

impl FakeHost {
    /// Begins to serve a stream on the runtime of who opens it.
    fn serve(&self, header: &[u8], payload: &[u8]) -> Result<(pipe::PipeEnd, PipeWatch), OperationError> {
        let unreadable = |error: serde_json::Error| OperationError::internal(error.to_string());
        let header: CallHeader = serde_json::from_slice(header).map_err(unreadable)?;
        let request: Value = serde_json::from_slice(payload).map_err(unreadable)?;
        let address = (header.plugin.clone(), header.operation.clone());
        let Some(fake) = self.streams.get(&address) else {
            let (plugin, operation) = address;
            return Err(OperationError::not_found(format!(
                "the test has no fake for the stream `{plugin}.{operation}`"
            )));
        };
        let (opener, server, watch) = pipe::pair();
        let served = fake(header, request, Stream::new(server.into_boundary()));
        close_after(&watch, served);
        Ok((opener, watch))
    }
}

/// Closes a stream when who serves it has ended.
pub(super) fn close_after(
    watch: &PipeWatch,
    served: impl Future<Output = Result<(), OperationError>> + Send + 'static,
) {
    let watch = watch.clone();
    tokio::spawn(async move {
        watch.close(match served.await {
            Ok(()) => CloseReason::done("the stream was served to its end"),
            Err(error) => CloseReason::failed(error),
        });
    });
}

/// Waits until a stream is taken, or refused.
pub(super) async fn admitted(watch: &PipeWatch) -> Result<(), OperationError> {
    if watch.taken().await {
        return Ok(());
    }
    let reason = CloseReason::clone(&*watch.closed().await);
    Err(reason.error.unwrap_or_else(|| OperationError::unavailable(reason.message)))
}

impl HostApi for FakeHost {
    fn call(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<Reply> {
        let reply = match self.answer(&header, &payload) {
            Ok(value) => RResult::ROk(serde_json::to_vec(&value).unwrap_or_default().into()),
            Err(error) => RResult::RErr(serde_json::to_vec(&error).unwrap_or_default().into()),
        };
        async move { reply }.into_ffi()
    }

    fn open(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<RResult<StreamEndBox, RVec<u8>>> {
        let serving = self.serve(&header, &payload);
        async move {
            let opened = match serving {
                Ok((opener, watch)) => admitted(&watch).await.map(|()| opener),
                Err(error) => Err(error),
            };
            match opened {
                Ok(opener) => RResult::ROk(opener.into_boundary()),
                Err(error) => RResult::RErr(serde_json::to_vec(&error).unwrap_or_default().into()),
            }
        }
        .into_ffi()
    }

    fn log(&self, record: RVec<u8>) {
        if let Ok(record) = serde_json::from_slice(&record) {
            self.seen.logs.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        }
    }
}
