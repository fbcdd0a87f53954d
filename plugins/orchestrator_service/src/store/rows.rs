//! Rows <-> runs, steps and calls. An empty text stands for what is not there. No I/O.

use plugin_api::{
    error::OperationError,
    lease::millis,
    requests::{
        orchestrator::{Question, RunState, RunUsage, ToolState},
        sql::{Execute, Row, Statement},
    },
    serde_json,
};

use super::{Claim, tables};
use crate::run::{Held, Limits, Run, Step, ToolRun};

type Outcome<T> = Result<T, OperationError>;

/// A state that no version of this plugin has written counts as over, so that nobody acts on it.
pub fn state_named(name: &str) -> RunState {
    match name {
        "running" => RunState::Running,
        "waiting" => RunState::Waiting,
        "done" => RunState::Done,
        "cancelled" => RunState::Cancelled,
        _ => RunState::Failed,
    }
}

pub fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Waiting => "waiting",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Cancelled => "cancelled",
    }
}

pub fn call_state_name(state: ToolState) -> &'static str {
    match state {
        ToolState::Waiting => "waiting",
        ToolState::Approved => "approved",
        ToolState::Begun => "begun",
        ToolState::Answered => "answered",
        ToolState::Failed => "failed",
    }
}

pub fn question_name(question: Option<Question>) -> &'static str {
    match question {
        Some(Question::Approval) => "approval",
        Some(Question::UnknownOutcome) => "unknown_outcome",
        None => "",
    }
}

pub fn insert(run: &Run, key: &str, fingerprint: &str, claim: Option<&Claim>) -> Execute {
    let history = serde_json::to_string(&run.history).expect("words are always JSON");
    let beside = serde_json::to_string(&run.beside).expect("words are always JSON");
    Execute::new(tables::INSERT_RUN)
        .bind(&run.id)
        .bind(key)
        .bind(fingerprint)
        .bind(run.person.as_deref().unwrap_or_default())
        .bind(&run.goal)
        .bind(history)
        .bind(run.instructions.as_deref().unwrap_or_default())
        .bind(&run.trace)
        .bind(&run.mark)
        .bind(i64::from(run.limits.steps))
        .bind(signed(run.limits.tokens))
        .bind(run.limits.ms)
        .bind(claim.map_or("", |claim| claim.owner.as_str()))
        .bind(claim.map_or(0, |claim| millis(claim.lease)))
        .bind(run.created_ms)
        .bind(run.limits.tools_ms)
        .bind(beside)
}

pub fn insert_call(run: &str, call: &ToolRun) -> Statement {
    Statement::new(tables::INSERT_CALL)
        .bind(run)
        .bind(call.step)
        .bind(call.position)
        .bind(&call.name)
        .bind(&call.tool)
        .bind(&call.arguments)
        .bind(call_state_name(call.state))
        .bind(call.attempts)
        .bind(call.result.as_deref().unwrap_or_default())
        .bind(question_name(call.question))
        .bind(call.expires_ms)
        .bind(serde_json::to_string(&call.decisive).expect("names are always JSON"))
        .bind(&call.seal)
}

pub fn run(row: Row<'_>) -> Outcome<Run> {
    let text = |column: &str| row.get::<String>(column);
    let present = |column: &str| text(column).map(|text| Some(text).filter(|text| !text.is_empty()));
    let count = |column: &str| row.get::<i64>(column).map(unsigned);
    let history = serde_json::from_str(&text("history")?)
        .map_err(|error| OperationError::internal(format!("the history of a run cannot be read: {error}")))?;
    let beside = serde_json::from_str(&text("beside")?).map_err(|error| {
        OperationError::internal(format!("what is known beside a run cannot be read: {error}"))
    })?;
    Ok(Run {
        id: text("id")?,
        person: present("person")?,
        goal: text("goal")?,
        history,
        beside,
        instructions: present("instructions")?,
        trace: text("trace")?,
        mark: text("mark")?,
        state: state_named(&text("state")?),
        answer: present("answer")?,
        error: present("error")?,
        detail: present("detail")?,
        limits: Limits {
            steps: small(count("max_steps")?),
            tokens: count("max_tokens")?,
            ms: row.get("max_ms")?,
            tools_ms: row.get("tools_ms")?,
        },
        usage: RunUsage {
            steps: small(count("steps")?),
            tool_calls: small(count("tool_calls")?),
            prompt_tokens: count("prompt_tokens")?,
            completion_tokens: count("completion_tokens")?,
        },
        held: present("held_by")?
            .map(|by| -> Outcome<Held> {
                let by = by.split(',').map(str::to_owned).collect();
                Ok(Held { by, since_ms: row.get("held_ms")? })
            })
            .transpose()?,
        worked_ms: row.get("worked_ms")?,
        created_ms: row.get("created_ms")?,
        changed_ms: row.get("changed_ms")?,
    })
}

pub fn step(row: Row<'_>) -> Outcome<Step> {
    let content = row.get::<String>("content")?;
    let content = Some(content).filter(|content| !content.is_empty());
    // What cannot be read is missing, as it is of turns that an earlier version kept.
    let wire = serde_json::from_str(&row.get::<String>("wire")?).unwrap_or_default();
    Ok(Step { number: row.get("step")?, content, wire, calls: Vec::new() })
}

pub fn call(row: Row<'_>) -> Outcome<ToolRun> {
    let text = |column: &str| row.get::<String>(column);
    let question = match text("question")?.as_str() {
        "approval" => Some(Question::Approval),
        "unknown_outcome" => Some(Question::UnknownOutcome),
        _ => None,
    };
    // What is not known is treated as what may have been done.
    let state = match text("state")?.as_str() {
        "waiting" => ToolState::Waiting,
        "approved" => ToolState::Approved,
        "answered" => ToolState::Answered,
        "failed" => ToolState::Failed,
        _ => ToolState::Begun,
    };
    let result =
        matches!(state, ToolState::Answered | ToolState::Failed).then(|| text("result")).transpose()?;
    Ok(ToolRun {
        step: row.get("step")?,
        position: row.get("position")?,
        name: text("name")?,
        tool: text("tool")?,
        arguments: text("arguments")?,
        state,
        attempts: row.get("attempts")?,
        result,
        question,
        expires_ms: row.get("expires_ms")?,
        // What cannot be read does not fit the seal either.
        decisive: serde_json::from_str(&text("decisive")?).unwrap_or_default(),
        seal: text("seal")?,
        approval: text("approval")?,
        is_ours: false,
    })
}

pub fn signed(number: u64) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    number.try_into().unwrap_or(0)
}

fn small(number: u64) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}
