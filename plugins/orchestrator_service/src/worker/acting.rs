//! The calls of a turn: all at once, each under the person of the run and an idempotency key of its own. A call begun
//! by a worker that is gone is repeated only where that does no harm; otherwise a person is asked.

use std::sync::Arc;

use plugin_api::{
    lease::millis,
    prelude::*,
    requests::{
        host::Tool,
        orchestrator::{Question, ToolState},
    },
    tokio::{task::JoinSet, time::sleep},
    tools::{Toolbox, data, toolbox},
};

use super::{Halt, Worker, held};
use crate::{
    messages::{self, Sent},
    pool::Shared,
    run::{Run, ToolRun},
};

/// How often a call that may be repeated is begun by itself, over all hosts.
const ATTEMPTS: i64 = 5;
/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(1);
/// How often one host repeats a call whose outcome is unknown.
const REPEATS: u32 = 2;

/// What came of a call.
enum Outcome {
    Settled {
        is_ok: bool,
        result: String,
        sent: Vec<Sent>,
    },
    /// It may have taken effect.
    Unknown,
}

impl Outcome {
    fn failed(result: String) -> Self {
        Self::Settled { is_ok: false, result, sent: Vec::new() }
    }
}

/// Whether a call may be repeated by itself.
#[derive(Clone, Copy)]
struct Marks {
    idempotent: bool,
    keyed: bool,
}

impl Worker {
    /// Brings every call of the last turn to a result, or to a person.
    pub(super) async fn act(&mut self) -> Result<(), Halt> {
        let toolbox = self.toolbox().await?;
        let open = self.steps.last().map(|step| step.calls.clone()).unwrap_or_default();
        let mut ready = Vec::new();
        for (index, call) in open.into_iter().enumerate() {
            ready
                .extend(self.prepare(index, call, &toolbox).await?.map(|(call, marks)| (index, call, marks)));
        }
        let mut under_way = JoinSet::new();
        for (index, call, marks) in ready {
            let (shared, run) = (self.shared.clone(), self.run.clone());
            under_way.spawn(async move { (index, make(&shared, &run, &call, marks).await, call) });
        }
        // Whatever happens to the run, what was begun is awaited and written down.
        let mut halt = Ok(());
        while let Some(made) = under_way.join_next().await {
            let noted = match made {
                Ok((index, outcome, call)) => self.note(index, call, outcome).await,
                Err(error) => {
                    Err(OperationError::internal(format!("a call did not complete: {error}")).into())
                }
            };
            halt = halt.and(noted);
        }
        halt?;
        if self.last_calls().any(|call| call.state == ToolState::Waiting) {
            self.park().await
        } else {
            Ok(())
        }
    }

    /// The call if it is to be made now, written down as begun.
    async fn prepare(
        &mut self,
        index: usize,
        call: ToolRun,
        toolbox: &Toolbox,
    ) -> Result<Option<(ToolRun, Marks)>, Halt> {
        let tool = toolbox.named(&call.tool);
        let marks = tool.map_or(Marks { idempotent: false, keyed: false }, Marks::of);
        match (call.state, tool) {
            (ToolState::Waiting | ToolState::Answered | ToolState::Failed, _) => Ok(None),
            (ToolState::Begun, Some(_)) if call.is_ours => Ok(Some((call, marks))),
            (ToolState::Approved, None) => {
                let gone = call.settled(false, "not called: the tool is not there any more");
                self.settle(index, gone).await.map(|()| None)
            }
            (ToolState::Begun, _) if !marks.may_repeat() || call.attempts >= ATTEMPTS => {
                self.leave_to_a_person(index, call).await.map(|()| None)
            }
            (ToolState::Begun | ToolState::Approved, _) => {
                let again =
                    ToolRun { state: ToolState::Begun, attempts: call.attempts + 1, is_ours: true, ..call };
                let begin = || async { self.shared.store.begin(&self.run.id, &self.claim, &again).await };
                held(self.write(begin).await?)?;
                self.keep(index, again.clone());
                Ok(Some((again, marks)))
            }
        }
    }

    async fn note(&mut self, index: usize, call: ToolRun, outcome: Outcome) -> Result<(), Halt> {
        match outcome {
            Outcome::Settled { is_ok, result, sent } => {
                if !sent.is_empty() {
                    let add = || async { self.shared.store.add_sent(&self.run.id, &call, &sent).await };
                    self.write(add).await?;
                }
                self.settle(index, call.settled(is_ok, result)).await
            }
            Outcome::Unknown => self.leave_to_a_person(index, call).await,
        }
    }

    async fn settle(&mut self, index: usize, call: ToolRun) -> Result<(), Halt> {
        let settle = || async { self.shared.store.settle(&self.run.id, &self.claim, &call).await };
        held(self.write(settle).await?)?;
        self.keep(index, call);
        Ok(())
    }

    async fn leave_to_a_person(&mut self, index: usize, call: ToolRun) -> Result<(), Halt> {
        let expires_ms = self.shared.store.now_ms() + millis(self.shared.config.approval_time);
        let question = Some(Question::UnknownOutcome);
        let waiting = ToolRun { state: ToolState::Waiting, question, expires_ms, is_ours: false, ..call };
        let ask = || async { self.shared.store.ask(&self.run.id, &self.claim, &waiting).await };
        held(self.write(ask).await?)?;
        self.keep(index, waiting);
        Ok(())
    }

    /// Ends the work until people have decided, unless they have already.
    async fn park(&mut self) -> Result<(), Halt> {
        let park = || async { self.shared.store.park(&self.run.id, &self.claim, self.progress()).await };
        if self.write(park).await? {
            self.shared.wake.notify_one();
            return Err(Halt::Parked);
        }
        self.stop_if_told()?;
        let calls = self.shared.store.calls(&self.run.id).await?;
        let Some(step) = self.steps.last_mut() else { return Ok(()) };
        let decided: Vec<ToolRun> = calls.into_iter().filter(|call| call.step == step.number).collect();
        // Nothing was decided: then it is not ours any more.
        held(decided != step.calls)?;
        step.calls = decided;
        Ok(())
    }

    fn keep(&mut self, index: usize, call: ToolRun) {
        if let Some(kept) = self.steps.last_mut().and_then(|step| step.calls.get_mut(index)) {
            *kept = call;
        }
    }

    fn last_calls(&self) -> impl Iterator<Item = &ToolRun> {
        self.steps.last().into_iter().flat_map(|step| &step.calls)
    }
}

impl Marks {
    fn of(tool: &Tool) -> Self {
        Self { idempotent: tool.idempotent, keyed: tool.keyed }
    }

    fn may_repeat(self) -> bool {
        self.idempotent || self.keyed
    }
}

/// Makes a call. It is not known from where it was begun, so nothing is asked of the run itself.
async fn make(shared: &Arc<Shared>, run: &Run, call: &ToolRun, marks: Marks) -> Outcome {
    let most = shared.config.tool_result_bytes;
    let arguments = match toolbox::arguments(&call.arguments) {
        Ok(arguments) => arguments,
        Err(why) => return Outcome::failed(why),
    };
    let mut repeats = 0;
    loop {
        let host = shared.context.host().deadline(shared.config.tool_timeout).trace(&run.trace);
        let host = host.idempotency_key(call.idempotency_key(&run.id));
        let host = match &run.person {
            Some(person) => host.person(person),
            None => host,
        };
        let error = match host.call_tool(&call.tool, arguments.clone()).await {
            Ok(value) => {
                let (result, sent) = (data::result(&value, most), messages::sent_by(&value));
                return Outcome::Settled { is_ok: true, result, sent };
            }
            Err(error) => error,
        };
        if is_certain(error.kind) || marks.idempotent {
            return Outcome::failed(data::failure(&error, most));
        }
        if !marks.keyed || repeats == REPEATS {
            return Outcome::Unknown;
        }
        repeats += 1;
        sleep(AGAIN).await;
    }
}

/// Whether an error of this kind says that the tool is done with it, one way or the other.
fn is_certain(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Conflict => true,
        ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Internal => true,
        ErrorKind::Cancelled | ErrorKind::Panicked | ErrorKind::UnknownOutcome | ErrorKind::Deadline => false,
    }
}
