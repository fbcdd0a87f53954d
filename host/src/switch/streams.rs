//! Streams through the switch: opened like a call, then two queues between the ends until one of them closes.

use std::{
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use plugin_api::{
    error::OperationError,
    manifest::OperationMode,
    pipe::{self, PipeEnd, PipeWatch},
    protocol::{CallHeader, CloseReason},
};

use super::{
    Caller, Switch,
    attachment::Visit,
    blame::Terms,
    late,
    metrics::OpenStream,
    new_trace,
    slot::{Operation, Slot},
};

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
        let found = self.find(caller, &header.plugin);
        let slot = found.inspect_err(|error| self.unreachable(&header, error))?;
        let opened = self.open_on(&slot, header, payload).await;
        opened.map_err(|error| self.scrubbed(self.with_causes(slot.name(), error, false)))
    }

    async fn open_on(
        &self,
        slot: &Arc<Slot>,
        mut header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<PipeEnd, OperationError> {
        let name = slot.name();
        let operation = slot.operation(&header.operation)?;
        if operation.mode != OperationMode::Stream {
            return Err(OperationError::invalid(format!(
                "`{name}.{}` is a call, not a stream",
                header.operation
            )));
        }
        let visit = slot.visit().ok_or_else(|| self.no_instance(name));
        let visit =
            visit.inspect_err(|error| self.went_wrong(slot, &operation.name, &header, error, None))?;
        let metrics = operation.metrics.open_stream();
        // A deadline bounds the opening. The stream itself lasts as long as both sides want.
        let began = Clock::now();
        let asked = header.deadline_ms.take();
        let limit = slot.limits().deadline(asked);
        let asked = asked.map(Duration::from_millis);
        let (opener, server, watch) = pipe::pair_with(self.cleaner());
        let serving = Serving {
            switch: self.clone(),
            slot: slot.clone(),
            header: header.clone(),
            began,
            asked,
            visit,
            watch: watch.clone(),
            metrics,
        };
        tokio::spawn(serving.run(payload, server));
        match tokio::time::timeout(limit, watch.taken()).await {
            Ok(true) => Ok(opener),
            Ok(false) => Err(refusal(watch.closed().await.as_ref())),
            Err(_) => {
                let error = late(name, &operation.name, limit);
                let terms = Terms::of(asked, slot.limits().timeout(), began.elapsed());
                self.went_wrong(slot, &operation.name, &header, &error, Some(terms));
                Err(error)
            }
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
    slot: Arc<Slot>,
    header: CallHeader,
    began: Clock,
    /// How long the opener waited for it to be taken, at most.
    asked: Option<Duration>,
    visit: Visit,
    watch: PipeWatch,
    metrics: OpenStream,
}

impl Serving {
    /// Lasts as long as the stream is served; what it ends with is the close reason.
    async fn run(self, payload: Vec<u8>, server: PipeEnd) {
        let Self { switch, slot, header, visit, watch, .. } = &self;
        let work = visit.run(slot.name(), visit.instance().open(header, payload, server));
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
        self.weigh().await;
        self.metrics.close(self.watch.frames());
    }

    /// The close is the outcome. One by the opener's error, or because it went away, tells nothing of who served it.
    async fn weigh(&self) {
        let Ok(operation) = self.slot.operation(&self.header.operation) else { return };
        let reason = self.watch.closed().await;
        match &reason.error {
            None => self.switch.went_well(&self.slot, operation, &self.header),
            Some(_) if self.watch.closed_by_opener() => {}
            Some(error) => self.went_wrong(operation, error),
        }
    }

    fn went_wrong(&self, operation: &Operation, error: &OperationError) {
        let timeout = self.slot.limits().timeout();
        // Nothing but the opening is limited: once it is taken, nobody is in a hurry, and no limit of calls is over.
        let terms = if self.watch.is_taken() {
            Terms { own_limit: false, hurried: false }
        } else {
            Terms::of(self.asked, timeout, self.began.elapsed())
        };
        self.switch.went_wrong(&self.slot, &operation.name, &self.header, error, Some(terms));
    }
}

/// Why a stream was not taken.
fn refusal(reason: &CloseReason) -> OperationError {
    reason.error.clone().unwrap_or_else(|| {
        OperationError::unavailable(format!("the stream ended before it was taken: {}", reason.message))
    })
}
