//! A message -> a run of `orchestrator_service`, with what was said before -> what to do next. Nobody here decides what is
//! answered.

use std::collections::BTreeMap;

use plugin_api::{
    context::{Context, Dependency},
    error::OperationError,
    level::Level,
    origin::Origin,
    prelude::Duration,
    requests::{
        memory::{Speaker, Summarise, ThreadSummary, Turn},
        orchestrator::{FetchRun, Quote, Run, RunReport, RunState, Utterance},
        twilio_service::Channel,
    },
};

use crate::{MEMORY, ORCHESTRATOR, settings::Config, store::Received, text};

/// How long a call waits for a run to end: less than a lane's lease.
const WAIT_SECONDS: u32 = 10;
/// Before what the person never got.
const NOT_DELIVERED: &str = "[this message did not reach the person]";
const CALL: Duration = Duration::from_secs(20);
const MEMORY_CALL: Duration = Duration::from_secs(15);

/// How an answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is there; empty if there is nothing to say.
    Answered(String),
    /// It is being worked on.
    Running(String),
    /// Somebody must decide something first.
    Waiting(String),
    /// There will be none.
    Failed(String),
}

/// Whether it is certain enough who writes by this channel, for the assistant to know them and act in their name.
pub fn knows(config: &Config, channel: Channel) -> bool {
    channel.level() >= config.known_from
}

/// Starts the run that answers a message, or learns how it goes.
///
/// # Errors
/// Those of `orchestrator_service`.
pub async fn run(
    context: &Context,
    config: &Config,
    message: &Received,
    said: ThreadSummary,
    undelivered: &BTreeMap<String, String>,
) -> Result<Progress, OperationError> {
    let run = Run {
        goal: text::of(message),
        origin: message.origin,
        history: history(message, &said.turns, undelivered),
        known: known(said.summary),
        instructions: Some(instructions(message.channel)),
        wait_seconds: Some(WAIT_SECONDS),
        limits: None,
    };
    let key = format!("{}:{}", message.sid, message.round);
    let report = orchestrator(context, config, message)?.idempotency_key(key).call(run).await?;
    Ok(progress(report))
}

/// Learns how a run goes; waits a little for its end if asked to.
///
/// # Errors
/// Those of `orchestrator_service`.
pub async fn follow(
    context: &Context,
    config: &Config,
    message: &Received,
    run: &str,
    waits: bool,
) -> Result<Progress, OperationError> {
    let fetch = FetchRun { run: run.to_owned(), wait_seconds: waits.then_some(WAIT_SECONDS) };
    Ok(progress(orchestrator(context, config, message)?.call(fetch).await?))
}

/// In the name of whoever writes; of somebody of this message alone, where it is not certain enough who that is.
fn orchestrator(
    context: &Context,
    config: &Config,
    message: &Received,
) -> Result<Dependency, OperationError> {
    let orchestrator = context.dependency(ORCHESTRATOR)?.deadline(CALL);
    Ok(match knows(config, message.channel) {
        true => orchestrator.person(&message.person).level(message.channel.level()),
        false => orchestrator.person(format!("unverified:{}", message.sid)).level(Level::Withheld),
    })
}

/// What was said with the person, as much as the assistant is to know.
///
/// # Errors
/// Those of `memory_service`.
pub async fn thread(
    context: &Context,
    config: &Config,
    message: &Received,
) -> Result<ThreadSummary, OperationError> {
    if !knows(config, message.channel) {
        return Ok(ThreadSummary {
            summary: String::new(),
            turns: Vec::new(),
            tokens: 0,
            summarised_turns: 0,
            missing_turns: 0,
        });
    }
    let memory = context.dependency(MEMORY)?.person(&message.person).level(message.channel.level());
    let memory = memory.deadline(MEMORY_CALL);
    memory.call(Summarise { token_budget: Some(config.history_tokens) }).await
}

fn progress(report: RunReport) -> Progress {
    match report.state {
        RunState::Done => Progress::Answered(report.answer.unwrap_or_default()),
        RunState::Running => Progress::Running(report.run),
        RunState::Waiting => Progress::Waiting(report.run),
        RunState::Failed => Progress::Failed(report.error.unwrap_or_else(|| "the run failed".to_owned())),
        RunState::Cancelled => {
            Progress::Failed(report.error.unwrap_or_else(|| "the run was cancelled".to_owned()))
        }
    }
}

/// The conversation before this message, without it. Turns that the person never got are marked.
pub fn history(message: &Received, turns: &[Turn], undelivered: &BTreeMap<String, String>) -> Vec<Utterance> {
    let is_lost = |turn: &Turn| turn.source.as_ref().is_some_and(|sid| undelivered.contains_key(sid));
    let before = turns.iter().filter(|turn| turn.source.as_deref() != Some(&message.sid));
    let said = before.map(|turn| Utterance {
        by_assistant: turn.speaker == Speaker::Assistant,
        text: match text::with_attachments(&turn.text, &turn.attachments) {
            text if is_lost(turn) => format!("{NOT_DELIVERED} {text}"),
            text => text,
        },
        origin: turn.origin,
    });
    said.filter(|utterance| !utterance.text.is_empty()).collect()
}

/// A summary is made of what anybody said.
fn known(summary: String) -> Vec<Quote> {
    Some(summary)
        .filter(|summary| !summary.is_empty())
        .map(|text| Quote { origin: Origin::Memory, text })
        .into_iter()
        .collect()
}

fn instructions(channel: Channel) -> String {
    let way = channel.title();
    format!(
        "The person writes by {way}, and reads your answer there. Write plain text without Markdown, in the language \
         that they write in, and be brief."
    )
}
