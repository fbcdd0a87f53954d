//! A request -> a run that may be kept: checked, with every limit decided, under a key that makes it one. No I/O.

use plugin_api::{
    error::OperationError,
    lease::millis,
    level::Level,
    requests::orchestrator::{Run as Request, RunLimits, RunState, RunUsage},
};

use crate::{
    random::{self, hash_of},
    run::{Beside, Limits, Run},
    settings::Config,
};

const LONGEST_GOAL: usize = 64 * 1024;
const LONGEST_INSTRUCTIONS: usize = 32 * 1024;
const LONGEST_HISTORY: usize = 512 * 1024;
pub const LONGEST_WAIT: u32 = 300;

/// Who wants a run.
#[derive(Debug, Default)]
pub struct Asker {
    pub caller: String,
    pub person: Option<String>,
    pub level: Option<Level>,
    pub key: Option<String>,
    pub trace: Option<String>,
}

/// A run, the key under which there is one of it, and what tells its goal from others.
pub struct Start {
    pub run: Run,
    pub key: String,
    pub fingerprint: String,
}

/// Checks a request, which comes now.
pub fn start(request: Request, asker: &Asker, config: &Config, now: i64) -> Result<Start, OperationError> {
    check(&request)?;
    let person = asker.person.as_deref().unwrap_or_default();
    let run = Run {
        id: random::run_id(now),
        person: asker.person.clone(),
        limits: limits(request.limits.as_ref(), config)?,
        goal: request.goal,
        history: request.history,
        beside: Beside { origin: request.origin, level: asker.level, known: request.known },
        instructions: request.instructions,
        trace: asker.trace.clone().unwrap_or_else(random::id),
        mark: random::mark(),
        state: RunState::Running,
        answer: None,
        error: None,
        detail: None,
        usage: RunUsage::default(),
        held: None,
        worked_ms: 0,
        created_ms: now,
        changed_ms: now,
    };
    // Keys of different callers and persons never meet.
    let key = match &asker.key {
        Some(key) => hash_of(&["key", &asker.caller, person, key]),
        None => hash_of(&["run", &run.id]),
    };
    Ok(Start { key, fingerprint: hash_of(&[&run.goal, person]), run })
}

/// How long a caller may wait.
pub fn wait_seconds(asked: Option<u32>) -> Result<u32, OperationError> {
    match asked {
        Some(seconds) if seconds > LONGEST_WAIT => {
            Err(OperationError::invalid(format!("`wait_seconds` is {seconds}: expected 0 to {LONGEST_WAIT}")))
        }
        asked => Ok(asked.unwrap_or(0)),
    }
}

fn check(request: &Request) -> Result<(), OperationError> {
    if request.goal.trim().is_empty() {
        return Err(OperationError::invalid("`goal` is empty: say what is to be reached"));
    }
    let known = request.known.iter().map(|quote| quote.text.len());
    let history: usize = request.history.iter().map(|said| said.text.len()).chain(known).sum();
    let instructions = request.instructions.as_deref().unwrap_or_default().len();
    for (what, length, longest) in [
        ("goal", request.goal.len(), LONGEST_GOAL),
        ("instructions", instructions, LONGEST_INSTRUCTIONS),
        ("history", history, LONGEST_HISTORY),
    ] {
        if length > longest {
            return Err(OperationError::invalid(format!(
                "`{what}` has {length} bytes: expected at most {longest}"
            )));
        }
    }
    wait_seconds(request.wait_seconds).map(drop)
}

/// Those of the settings, or narrower ones.
fn limits(asked: Option<&RunLimits>, config: &Config) -> Result<Limits, OperationError> {
    let asked = asked.cloned().unwrap_or_default();
    if [asked.steps.map(u64::from), asked.tokens, asked.seconds.map(u64::from)].contains(&Some(0)) {
        return Err(OperationError::invalid("a limit is 0: expected more than 0"));
    }
    let (most_ms, tools_ms) = (millis(config.max_time), millis(config.tools_wait));
    let within =
        |asked: Option<u32>, most: i64| asked.map_or(most, |seconds| (i64::from(seconds) * 1000).min(most));
    Ok(Limits {
        steps: asked.steps.map_or(config.max_steps, |steps| steps.min(config.max_steps)),
        tokens: asked.tokens.map_or(config.max_tokens, |tokens| tokens.min(config.max_tokens)),
        ms: within(asked.seconds, most_ms),
        tools_ms: within(asked.tools_seconds, tools_ms),
    })
}
