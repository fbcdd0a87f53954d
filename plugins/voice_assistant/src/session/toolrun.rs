//! A call that the model wants -> what it is told came of it: on behalf of the caller, with a key of its own, within a time.
//! A call that needs somebody's approval becomes a run of the orchestrator, which waits for it; the conversation does not.

use std::time::Instant;

use plugin_api::{
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
    core::tools::{ToolDone, Wanted},
    material::{Material, TOOLS_LOOK},
    settings::{Config, millis},
};
use crate::TOOLS_WAIT;

/// Runs the tools of one conversation.
pub struct Tools {
    pub context: Context,
    pub config: Arc<Config>,
    pub material: Arc<Material>,
    pub trace: Option<String>,
}

impl Tools {
    /// Runs one.
    pub async fn run(self: Arc<Self>, wanted: Wanted) -> ToolDone {
        let begun = Instant::now();
        let Wanted { call, position } = wanted;
        let key = format!("{}:{}", self.material.brief.call, call.call_id);
        let call =
            ToolCall { id: call.call_id, name: call.name, arguments: call.arguments, ..ToolCall::default() };
        let tool = self.material.toolbox.tool_of(&call.name);
        let (output, is_ok) = match self.material.toolbox.judge(&call, position) {
            Verdict::Refuse(why) => (why, false),
            Verdict::Ask => self.ask(&tool, &call, key).await,
            Verdict::Call => self.call(&tool, &call, key).await,
        };
        let took_ms = millis(begun.elapsed());
        ToolDone { call_id: call.id, tool, output, is_ok, took_ms }
    }

    async fn call(&self, tool: &str, call: &ToolCall, key: String) -> (String, bool) {
        let arguments = match toolbox::arguments(&call.arguments) {
            Ok(arguments) => arguments,
            Err(why) => return (format!("not called: {why}"), false),
        };
        let person = self.material.brief.on_behalf();
        let mut host =
            self.context.host().deadline(self.config.tool_timeout).idempotency_key(key).person(person);
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
        let (told, is_ok) = match called {
            Ok(value) => (data::result(&value, most), true),
            Err(error) => {
                tracing::info!(tool, %error, "a tool failed in a call");
                (data::failure(&error, most), false)
            }
        };
        (data::marked(&self.material.mark, &told), is_ok)
    }

    /// Has it done as a run, which waits for the person who may allow it.
    async fn ask(&self, tool: &str, call: &ToolCall, key: String) -> (String, bool) {
        let goal = format!(
            "Call the tool `{tool}` once, with exactly these arguments, and nothing else; then say what came of it: {}",
            call.arguments
        );
        let run = Run { goal, wait_seconds: Some(0), ..Run::default() };
        match self.start(run, key).await {
            Ok(report) if report.state.is_over() => {
                let is_ok = report.state == RunState::Done;
                let answer = report.answer.or(report.error).unwrap_or_default();
                (data::marked(&self.material.mark, &answer), is_ok)
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
