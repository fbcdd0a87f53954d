//! Streams through the switch: opened like a call, then two queues between the ends until one of them closes.

use std::{
    sync::Arc,
    time::{Duration, Instant as Clock},
};

use plugin_api::{
    error::OperationError,
    manifest::OperationMode,
    pipe::{self, Closing, PipeEnd, PipeWatch},
    protocol::{CallHeader, CloseReason},
};

use crate::tasks;

use super::{Caller, Switch, attachment::Visit, blame::Terms, late, metrics::OpenStream, slot::Slot};

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
        caller.complete(&mut header);
        let found = self.find(caller, &header.plugin);
        let slot = found.inspect_err(|error| self.unreachable(&header, error))?;
        slot.admit(caller, &header.operation)?;
        slot.admit_person(&header)?;
        let opened = self.open_on(slot, header, payload).await;
        opened.map_err(|error| self.scrubbed(error))
    }

    async fn open_on(
        &self,
        slot: Arc<Slot>,
        mut header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<PipeEnd, OperationError> {
        let operation = slot.operation(&header.operation)?;
        if operation.mode != OperationMode::Stream {
            return Err(OperationError::invalid(format!(
                "`{}.{}` is a call, not a stream",
                slot.name(),
                header.operation
            )));
        }
        let metrics = operation.metrics.open_stream();
        // A deadline bounds the opening. The stream itself lasts as long as both sides want.
        let asked = header.deadline_ms.take();
        let limit = slot.limits().deadline(asked);
        let asked = asked.map(Duration::from_millis);
        let visit = slot.visit();
        let course = Arc::new(Course { switch: self.clone(), slot, header, began: Clock::now(), asked });
        let Some(visit) = visit else {
            return Err(course.failed(self.not_in_service(course.slot.name()), None, false));
        };
        let (opener, server, watch) = pipe::pair_with(Course::judge(course.clone()));
        let serving = Serving { course: course.clone(), visit, watch: watch.clone(), metrics };
        tasks::once(&self.inner.board, "stream", Some(course.slot.name()), serving.run(payload, server));
        match tokio::time::timeout(limit, watch.taken()).await {
            Ok(true) => Ok(opener),
            Ok(false) => Err(refusal(watch.closed().await.as_ref())),
            Err(_) => {
                let error = late(course.slot.name(), &course.header.operation, limit);
                Err(course.failed(error, Some(course.terms()), false))
            }
        }
    }
}

/// The basis for judging a stream.
struct Course {
    switch: Switch,
    slot: Arc<Slot>,
    header: CallHeader,
    began: Clock,
    /// How long the opener waited for it to be taken, at most.
    asked: Option<Duration>,
}

impl Course {
    /// The close is the outcome, weighed before either end hears of it: whoever fails by it is not asked why before that
    /// is known.
    fn judge(course: Arc<Self>) -> pipe::Polish {
        Box::new(move |closing: Closing<'_>| {
            course.weigh(&mut closing.reason.error, closing.by_opener, closing.taken);
            course.switch.inner.scrubber.clean_reason(closing.reason);
        })
    }

    /// A close by the opener's error, or because it went away, tells nothing of who served it.
    fn weigh(&self, error: &mut Option<OperationError>, by_opener: bool, taken: bool) {
        match error.take() {
            None => {
                if let Ok(operation) = self.slot.operation(&self.header.operation) {
                    self.switch.went_well(&self.slot, operation, &self.header);
                }
            }
            Some(given) if by_opener => *error = Some(given),
            Some(given) => {
                // Nothing but the opening is limited: once it is taken, nobody is in a hurry, and no limit of calls is over.
                let terms = if taken { Terms { own_limit: false, hurried: false } } else { self.terms() };
                *error = Some(self.failed(given, Some(terms), true));
            }
        }
    }

    fn terms(&self) -> Terms {
        Terms::of(self.asked, self.slot.limits().timeout(), self.began.elapsed())
    }

    /// It counts, and the error names who is behind it.
    fn failed(&self, error: OperationError, terms: Option<Terms>, by_itself: bool) -> OperationError {
        let Self { switch, slot, header, .. } = self;
        switch.went_wrong(slot, &header.operation, header, &error, terms);
        switch.with_causes(slot.name(), header, error, by_itself)
    }
}

/// A stream on its way from its opening to its end.
struct Serving {
    course: Arc<Course>,
    visit: Visit,
    watch: PipeWatch,
    metrics: OpenStream,
}

impl Serving {
    /// Lasts as long as the stream is served; what it ends with is the close reason.
    async fn run(self, payload: Vec<u8>, server: PipeEnd) {
        let Self { course, visit, watch, metrics } = self;
        let _end = End(&watch);
        let work = visit.run(course.slot.name(), visit.instance().open(&course.header, payload, server));
        let closed = async {
            watch.closed().await;
            tokio::time::sleep(AFTERCARE).await;
        };
        tokio::select! {
            outcome = work => watch.close(match outcome {
                Ok(()) => CloseReason::done("the stream was served to its end"),
                Err(error) => CloseReason::failed(error),
            }),
            // Dropping the work ends the task behind it.
            () = closed => {}
        }
        metrics.close(watch.frames());
    }
}

/// A stream whose task panics in the host ends, too. The plugin that served it is not blamed, and nothing that may have
/// panicked runs again.
struct End<'a>(&'a PipeWatch);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let error = OperationError::internal("the host itself panicked while it served the stream");
        self.0.abandon(CloseReason::failed(error));
    }
}

/// Why a stream was not taken.
fn refusal(reason: &CloseReason) -> OperationError {
    reason.error.clone().unwrap_or_else(|| {
        OperationError::unavailable(format!("the stream ended before it was accepted: {}", reason.message))
    })
}
