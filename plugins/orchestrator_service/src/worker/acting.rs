//! The calls of a turn: all at once, each under the person of the run and an idempotency key of its own. A call begun
//! by a worker that is gone is repeated only where that does no harm; otherwise a person is asked.

use std::{collections::BTreeSet, sync::Arc};

use plugin_api::{
    error::Policy,
    lease::millis,
    prelude::*,
    requests::{
        host::{NotInService, Tool},
        orchestrator::{Question, ToolState},
    },
    tokio::{
        task::JoinSet,
        time::{Instant, sleep},
    },
    tools::{Toolbox, data, toolbox},
    tracing,
};

use super::{Halt, Worker, held};
use crate::{
    messages,
    run::{Run, Sent, ToolRun},
    seals,
    shared::Shared,
};

/// Why a call is not made that waited for a person.
const UNSIGNED: &str = "no person's approval is with it";
/// How often a call that may be repeated is begun by itself, over all hosts.
const ATTEMPTS: i64 = 5;
/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(1);
/// How often one host repeats a call whose outcome is unknown.
const REPEATS: u32 = 2;
/// How long what a person allowed is tried again where nothing was done: a full disk, a connection that is refused, too
/// much at once pass mostly. A call that nobody allowed the model may make again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before it is tried again for the first time; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What came of a call.
enum Outcome {
    Settled {
        is_ok: bool,
        result: String,
        sent: Vec<Sent>,
    },
    /// It may have taken effect.
    Unknown,
    /// It took no effect: this plugin is not in service.
    Away(String),
}

impl Outcome {
    fn failed(result: String) -> Self {
        Self::Settled { is_ok: false, result, sent: Vec::new() }
    }
}

/// What to do about a call now.
enum Next {
    /// It was written down as begun.
    Make(ToolRun, Marks),
    Nothing,
    /// Its plugin is not in service.
    Wait(Wait),
}

/// A call that cannot be made before this plugin is in service, and how long it may wait for that.
struct Wait {
    plugin: String,
    until_ms: i64,
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
        let (mut ready, mut waits) = (Vec::new(), Vec::new());
        for (index, call) in open.into_iter().enumerate() {
            match self.prepare(index, call, &toolbox).await? {
                Next::Make(call, marks) => ready.push((index, call, marks)),
                Next::Wait(wait) => waits.push(wait),
                Next::Nothing => {}
            }
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
            halt = noted.map(|wait| waits.extend(wait)).and(halt);
        }
        halt?;
        if let Some(until_ms) = waits.iter().map(|wait| wait.until_ms).min() {
            let plugins: BTreeSet<String> = waits.into_iter().map(|wait| wait.plugin).collect();
            return Err(self.hold(plugins.into_iter().collect(), until_ms).await?);
        }
        self.go_on().await?;
        if self.last_calls().any(|call| call.state == ToolState::Waiting) {
            self.park().await
        } else {
            Ok(())
        }
    }

    /// What to do about a call, which is written down.
    async fn prepare(&mut self, index: usize, call: ToolRun, toolbox: &Toolbox) -> Result<Next, Halt> {
        if let Some(why) = self.objection(&call).await? {
            tracing::error!(run = self.run.id, tool = call.tool, "a call is refused: {why}");
            return self
                .settle(index, call.settled(false, format!("not called: {why}")))
                .await
                .map(|()| Next::Nothing);
        }
        let tool = toolbox.named(&call.tool);
        let marks = tool.map_or(Marks { idempotent: false, keyed: false }, Marks::of);
        let now_ms = self.shared.store.now_ms();
        let wait = toolbox.away(&call.tool).map(|away| self.wait_of(&call, &away.plugin));
        match (call.state, tool) {
            (ToolState::Waiting | ToolState::Answered | ToolState::Failed, _) => Ok(Next::Nothing),
            (ToolState::Begun, Some(_)) if call.is_ours => Ok(Next::Make(call, marks)),
            (ToolState::Approved, _) if wait.is_some() => Ok(match self.put_off(index, call, wait).await? {
                Some(wait) => Next::Wait(wait),
                None => Next::Nothing,
            }),
            (ToolState::Approved, None) => {
                let gone =
                    call.settled(false, "not called: plugins.toml no longer names the tool or allows it");
                self.settle(index, gone).await.map(|()| Next::Nothing)
            }
            // Only its plugin's manifest tells whether it may be repeated, and a person would be asked too early.
            (ToolState::Begun, _) if wait.as_ref().is_some_and(|wait| wait.goes_on(now_ms)) => {
                Ok(wait.map_or(Next::Nothing, Next::Wait))
            }
            (ToolState::Begun, _) if wait.is_some() || !marks.may_repeat() || call.attempts >= ATTEMPTS => {
                self.leave_to_a_person(index, call).await.map(|()| Next::Nothing)
            }
            (ToolState::Begun | ToolState::Approved, _) => {
                let again =
                    ToolRun { state: ToolState::Begun, attempts: call.attempts + 1, is_ours: true, ..call };
                let begin = || async { self.shared.store.mark(&self.run.id, &self.claim, &again).await };
                held(self.write(begin).await?)?;
                self.keep(index, again.clone());
                Ok(Next::Make(again, marks))
            }
        }
    }

    /// Why a call out of the database is not made, whatever stands there.
    async fn objection(&self, call: &ToolRun) -> Result<Option<&'static str>, Halt> {
        if call.is_ours || !matches!(call.state, ToolState::Begun | ToolState::Approved) {
            return Ok(None);
        }
        if let Some(doubt) = seals::doubt(&self.shared.context, &self.run, call).await? {
            return Ok(Some(doubt));
        }
        Ok((call.question.is_some() && call.approval.is_empty()).then_some(UNSIGNED))
    }

    /// How long a call may wait for its plugin: what a person allowed, as long as they may take to decide.
    fn wait_of(&self, call: &ToolRun, plugin: &str) -> Wait {
        let allowed_ms = millis(self.shared.config.approval_time);
        let most_ms = if call.question.is_some() { allowed_ms } else { self.run.limits.tools_ms };
        Wait { plugin: plugin.to_owned(), until_ms: self.held_since().saturating_add(most_ms) }
    }

    /// Leaves a call that may be made for later, or gives it up: then the model is told that it was not done.
    async fn put_off(
        &mut self,
        index: usize,
        call: ToolRun,
        wait: Option<Wait>,
    ) -> Result<Option<Wait>, Halt> {
        let Some(wait) = wait else { return Ok(None) };
        if wait.goes_on(self.shared.store.now_ms()) {
            return Ok(Some(wait));
        }
        tracing::warn!(
            run = self.run.id,
            tool = call.tool,
            plugin = wait.plugin,
            "a call is given up: its plugin did not come into service in time"
        );
        let why = format!(
            "{}: `{}` was not in service, and did not come back in time",
            given_up(&call),
            wait.plugin
        );
        self.settle(index, call.settled(false, why)).await.map(|()| None)
    }

    async fn note(&mut self, index: usize, call: ToolRun, outcome: Outcome) -> Result<Option<Wait>, Halt> {
        match outcome {
            Outcome::Away(plugin) => {
                let wait = self.wait_of(&call, &plugin);
                let back = ToolRun {
                    state: ToolState::Approved,
                    attempts: call.attempts - 1,
                    is_ours: false,
                    ..call
                };
                let put_back = || async { self.shared.store.mark(&self.run.id, &self.claim, &back).await };
                if !self.write(put_back).await? {
                    // Cancelled meanwhile, nobody takes the run up again: what is left as begun stays so.
                    let why = format!("{}: the run was cancelled", given_up(&back));
                    self.settle(index, back.settled(false, why)).await?;
                    return Err(Halt::Lost);
                }
                self.keep(index, back.clone());
                self.put_off(index, back, Some(wait)).await
            }
            Outcome::Settled { is_ok, result, sent } => {
                self.settle_with(index, call.settled(is_ok, result), &sent).await.map(|()| None)
            }
            Outcome::Unknown => self.leave_to_a_person(index, call).await.map(|()| None),
        }
    }

    /// A call that sent nothing.
    async fn settle(&mut self, index: usize, call: ToolRun) -> Result<(), Halt> {
        self.settle_with(index, call, &[]).await
    }

    async fn settle_with(&mut self, index: usize, call: ToolRun, sent: &[Sent]) -> Result<(), Halt> {
        let settle = || async { self.shared.store.settle(&self.run.id, &self.claim, &call, sent).await };
        held(self.write(settle).await?)?;
        self.keep(index, call);
        Ok(())
    }

    async fn leave_to_a_person(&mut self, index: usize, call: ToolRun) -> Result<(), Halt> {
        let expires_ms = self.shared.store.now_ms() + millis(self.shared.config.approval_time);
        let question = Some(Question::UnknownOutcome);
        let waiting = ToolRun {
            state: ToolState::Waiting,
            question,
            expires_ms,
            approval: String::new(),
            is_ours: false,
            ..call
        };
        let waiting = seals::sealed(&self.shared.context, &self.run, waiting).await?;
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

impl Wait {
    fn goes_on(&self, now_ms: i64) -> bool {
        now_ms < self.until_ms
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

/// What came of a call that is not begun any more.
fn given_up(call: &ToolRun) -> &'static str {
    match call.attempts {
        0 => "not done",
        _ => "it was begun, nobody knows whether it took effect, and it could not be repeated",
    }
}

/// Makes a call. It is not known from where it was begun, so nothing is asked of the run itself.
async fn make(shared: &Arc<Shared>, run: &Run, call: &ToolRun, marks: Marks) -> Outcome {
    let most = shared.config.tool_result_bytes;
    let arguments = match toolbox::arguments(&call.arguments) {
        Ok(arguments) => arguments,
        Err(why) => return Outcome::failed(why),
    };
    let (begun, mut pause, mut repeats) = (Instant::now(), FIRST_PAUSE, 0);
    loop {
        let host = shared.context.host().deadline(shared.config.tool_timeout).trace(&run.trace);
        let host = host.idempotency_key(call.idempotency_key(&run.id));
        let host = match &run.person {
            Some(person) => host.person(person),
            None => host,
        };
        let host = match run.beside.level {
            Some(level) => host.level(level),
            None => host,
        };
        let called = match call.approval.as_str() {
            "" => host.call_tool(&call.tool, arguments.clone()).await,
            approval => host.call_approved_tool(&call.tool, arguments.clone(), approval).await,
        };
        let error = match called {
            Ok(value) => {
                let (result, sent) = (data::result(&value, most), messages::sent_by(&value));
                return Outcome::Settled { is_ok: true, result, sent };
            }
            Err(error) => error,
        };
        if repeats == 0
            && let Some(plugin) = away(shared, call, &error).await
        {
            return Outcome::Away(plugin);
        }
        let wait = error.retry_after_ms.map_or(pause, |ms| pause.max(Duration::from_millis(ms)));
        let is_allowed = repeats == 0 && call.question.is_some() && error.kind.may_retry(false);
        if is_allowed && begun.elapsed() + wait < PATIENCE {
            sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            continue;
        }
        // Nobody was reached: that says nothing of the attempt before.
        let says_nothing = repeats > 0 && error.kind.may_retry(false);
        if (is_certain(error.kind) && !says_nothing) || marks.idempotent {
            return Outcome::failed(data::failure(&error, most));
        }
        if !marks.keyed || repeats == REPEATS {
            return Outcome::Unknown;
        }
        repeats += 1;
        sleep(AGAIN).await;
    }
}

/// The plugin that a call did not reach and that it should wait for.
async fn away(shared: &Shared, call: &ToolRun, error: &OperationError) -> Option<String> {
    if let Some(NotInService { plugin, .. }) = NotInService::of(error) {
        return Some(plugin);
    }
    // What a person allowed is done, also if the plugin was reached and cannot do it yet.
    let (plugin, _) = call.tool.split_once('.').filter(|_| call.question.is_some())?;
    if error.kind != ErrorKind::Unavailable {
        return None;
    }
    let told = shared.context.host().status(plugin).await.ok()?;
    let is_starting = matches!(told.status.as_str(), "not_initialized" | "initializing");
    let passes = told.status == "error" && told.code.is_some_and(|code| code.policy() == Policy::NotReady);
    (is_starting || passes).then(|| plugin.to_owned())
}

/// Whether an error of this kind says that the tool is done with it, one way or the other.
fn is_certain(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Conflict => true,
        ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::Internal => true,
        ErrorKind::Cancelled | ErrorKind::Panicked | ErrorKind::UnknownOutcome | ErrorKind::Deadline => false,
    }
}
