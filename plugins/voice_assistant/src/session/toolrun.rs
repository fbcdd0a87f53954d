//! A call that the model wants -> what it is told came of it: on behalf of the caller, with a key of its own, within a time.
//! A call that needs somebody's approval becomes a run of the orchestrator, which waits for it; the conversation does not.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use plugin_api::{
    origin::{Origin, marked},
    prelude::*,
    requests::{
        host::NotInService,
        openai::ToolCall,
        orchestrator::{Run, RunReport, RunState},
    },
    tokio::time::sleep,
    tools::{Verdict, data, toolbox},
    tracing,
};

use super::{
    ORCHESTRATOR,
    core::{
        calling::{CHECK_CODE, SEND_CODE},
        tools::{ToolDone, Wanted},
    },
    material::{Material, TOOLS_LOOK},
    settings::{Config, millis},
};
use crate::{
    TOOLS_WAIT,
    call::{Ledger, Proof},
};

const CODE_SENT: &str = "the code is on its way by SMS; ask the caller to say or press its digits";
const PROVEN: &str = "the code is right: it is certain now that the caller is who their number says. At the next pause you are \
                       told what is known of them, and have their tools";

/// Runs the tools of one conversation.
pub struct Tools<L> {
    pub ledger: Arc<L>,
    /// What a caller who has just proven who they are is served with from now on.
    pub proven: Arc<Mutex<Option<Material>>>,
    pub context: Context,
    pub config: Arc<Config>,
    pub material: Arc<Material>,
    pub trace: Option<String>,
}

impl<L: Ledger> Tools<L> {
    /// Runs one.
    pub async fn run(self: Arc<Self>, wanted: Wanted) -> ToolDone {
        let begun = Instant::now();
        let Wanted { call, position } = wanted;
        let key = format!("{}:{}", self.material.brief.call, call.call_id);
        let call =
            ToolCall { id: call.call_id, name: call.name, arguments: call.arguments, ..ToolCall::default() };
        let tool = self.material.toolbox.tool_of(&call.name);
        let (output, is_ok) = match call.name.as_str() {
            SEND_CODE => self.send_code().await,
            CHECK_CODE => self.check_code(&call).await,
            _ => match self.material.toolbox.judge(&call, position) {
                Verdict::Refuse(why) => (why, false),
                Verdict::Ask => self.ask(&tool, &call, key).await,
                Verdict::Call => self.call(&tool, &call, key).await,
            },
        };
        let output = marked(&self.material.mark, Origin::Tool, &output);
        let took_ms = millis(begun.elapsed());
        ToolDone { call_id: call.id, tool, output, is_ok, took_ms }
    }

    async fn send_code(&self) -> (String, bool) {
        match self.ledger.send_code(&self.material.brief.call).await {
            Ok(()) => (CODE_SENT.to_owned(), true),
            Err(error) => (data::failure(&error, self.config.tool_result_bytes), false),
        }
    }

    async fn check_code(&self, call: &ToolCall) -> (String, bool) {
        let arguments = toolbox::arguments(&call.arguments).unwrap_or_default();
        let code = arguments["code"].as_str().unwrap_or_default();
        match self.ledger.check_code(&self.material.brief.call, code).await {
            Ok(Proof::Proven(person)) => {
                let material = self.material.proven(&self.context, &self.config, person).await;
                *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(material);
                (PROVEN.to_owned(), true)
            }
            Ok(Proof::Wrong { left }) => {
                (format!("the code is wrong; it may be tried {left} more times"), false)
            }
            Err(error) => (data::failure(&error, self.config.tool_result_bytes), false),
        }
    }

    async fn call(&self, tool: &str, call: &ToolCall, key: String) -> (String, bool) {
        let arguments = match toolbox::arguments(&call.arguments) {
            Ok(arguments) => arguments,
            Err(why) => return (format!("not called: {why}"), false),
        };
        let person = self.material.brief.on_behalf();
        let mut host =
            self.context.host().deadline(self.config.tool_timeout).idempotency_key(key).person(person);
        host = host.level(self.material.brief.level());
        if let Some(trace) = &self.trace {
            host = host.trace(trace);
        }
        let most = self.config.tool_result_bytes;
        let begun = Instant::now();
        let called = loop {
            let called = host.clone().call_tool(tool, arguments.clone()).await;
            if !called.as_ref().is_err_and(is_away) || begun.elapsed() >= TOOLS_WAIT {
                break called;
            }
            sleep(TOOLS_LOOK).await;
        };
        match called {
            Ok(value) => (data::result(&value, most), true),
            Err(error) => {
                tracing::info!(tool, %error, "a tool failed in a call");
                (data::failure(&error, most), false)
            }
        }
    }

    /// Has it done as a run, which waits for the person who may allow it.
    async fn ask(&self, tool: &str, call: &ToolCall, key: String) -> (String, bool) {
        let goal = format!(
            "Call the tool `{tool}` once, with exactly these arguments, and nothing else; then say what came of it: {}",
            call.arguments
        );
        // A model wrote the arguments.
        let run = Run { goal, origin: Some(Origin::Task), wait_seconds: Some(0), ..Run::default() };
        match self.start(run, key).await {
            Ok(report) if report.state.is_over() => {
                let is_ok = report.state == RunState::Done;
                (report.answer.or(report.error).unwrap_or_default(), is_ok)
            }
            Ok(report) => (
                format!(
                    "not done yet: somebody must allow it first, and was asked (run {}). It is done as soon as they do; \
                     the caller need not wait on the phone",
                    report.run
                ),
                false,
            ),
            Err(error) => (data::failure(&error, self.config.tool_result_bytes), false),
        }
    }

    async fn start(&self, run: Run, key: String) -> Result<RunReport, OperationError> {
        let mut orchestrator = self.context.dependency(ORCHESTRATOR)?;
        let person = self.material.brief.on_behalf();
        orchestrator = orchestrator.deadline(self.config.tool_timeout).idempotency_key(key).person(person);
        orchestrator = orchestrator.level(self.material.brief.level());
        if let Some(trace) = &self.trace {
            orchestrator = orchestrator.trace(trace);
        }
        orchestrator.call(run).await
    }
}

/// Nobody was reached: the same call may succeed in a moment.
fn is_away(error: &OperationError) -> bool {
    NotInService::of(error).is_some()
}
