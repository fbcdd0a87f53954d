//! Streams through the switch: opened like a call, then two queues between the ends until one of them closes.

use std::time::Duration;

use plugin_api::{
    error::OperationError,
    manifest::OperationMode,
    pipe::{self, PipeEnd, PipeWatch},
    protocol::{CallHeader, CloseReason},
};

use super::{Caller, Switch, attachment::Visit, late, metrics::OpenStream, new_trace, slot::Slot};

/// How long who serves a stream may go on after it was closed, to put things in order.
const AFTERCARE: Duration = Duration::from_secs(5);

impl Switch {
    /// Opens a stream, and comes back when the other side has taken it by its first send or receive.
    ///
    /// # Errors
    /// As [`Switch::call`]; and the error with which the other side refused the stream.
    pub async fn open(
        &self,
        caller: &Caller,
        mut header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<PipeEnd, OperationError> {
        header.caller = caller.name().map(str::to_owned);
        header.trace.get_or_insert_with(new_trace);
        let slot = self.find(caller, &header.plugin)?;
        let opened = self.open_on(&slot, header, payload).await;
        opened.map_err(|error| self.scrubbed(self.with_causes(slot.name(), error, false)))
    }

    async fn open_on(
        &self,
        slot: &Slot,
        mut header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<PipeEnd, OperationError> {
        let name = slot.name();
        let (mode, metrics) = slot.operation(&header.operation)?;
        if mode != OperationMode::Stream {
            return Err(OperationError::invalid(format!(
                "`{name}.{}` is a call, not a stream",
                header.operation
            )));
        }
        let visit = slot.visit().ok_or_else(|| self.no_instance(name))?;
        let metrics = metrics.open_stream();
        // A deadline bounds the opening. The stream itself lasts as long as both sides want.
        let limit = slot.limits().deadline(header.deadline_ms.take());
        let (opener, server, watch) = pipe::pair_with(self.cleaner());
        let operation = header.operation.clone();
        let serving =
            Serving { switch: self.clone(), plugin: name.to_owned(), visit, watch: watch.clone(), metrics };
        tokio::spawn(serving.run(header, payload, server));
        match tokio::time::timeout(limit, watch.taken()).await {
            Ok(true) => Ok(opener),
            Ok(false) => Err(refusal(watch.closed().await.as_ref())),
            Err(_) => Err(late(name, &operation, limit)),
        }
    }

    /// Makes what one end says of a stream's end fit for the other one.
    fn cleaner(&self) -> pipe::Polish {
        let scrubber = self.inner.scrubber.clone();
        Box::new(move |reason| scrubber.clean_reason(reason))
    }
}

/// A stream on its way from its opening to its end.
struct Serving {
    switch: Switch,
    plugin: String,
    visit: Visit,
    watch: PipeWatch,
    metrics: OpenStream,
}

impl Serving {
    /// Lasts as long as the stream is served; what it ends with is the close reason.
    async fn run(self, header: CallHeader, payload: Vec<u8>, server: PipeEnd) {
        let Self { switch, plugin, visit, watch, metrics } = self;
        let work = visit.run(&plugin, visit.instance().open(&header, payload, server));
        let closed = async {
            watch.closed().await;
            tokio::time::sleep(AFTERCARE).await;
        };
        tokio::select! {
            outcome = work => watch.close(match outcome {
                Ok(()) => CloseReason::done("the stream was served to its end"),
                Err(error) => CloseReason::failed(switch.scrubbed(error)),
            }),
            // Dropping the work ends the task behind it.
            () = closed => {}
        }
        metrics.close(watch.frames());
    }
}

/// Why a stream was not taken.
fn refusal(reason: &CloseReason) -> OperationError {
    reason.error.clone().unwrap_or_else(|| {
        OperationError::unavailable(format!("the stream ended before it was taken: {}", reason.message))
    })
}
