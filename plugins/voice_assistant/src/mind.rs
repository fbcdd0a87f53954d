//! What somebody says -> a run of `orchestrator_service`, with what was said before, and how it goes. Nobody here decides
//! what is answered.

use plugin_api::{
    context::{Context, Dependency},
    error::OperationError,
    origin::{self, Origin},
    phone::is_number,
    prelude::Duration,
    requests::{
        memory::{Speaker, Summarise, ThreadSummary},
        openai::{Chat, Message},
        orchestrator::{
            CancelRun, Quote, Run, RunLimits, RunReport, ShowRun, ToolRecord, ToolState, Utterance,
        },
    },
    tracing,
};

use crate::{
    MEMORY, OPENAI, ORCHESTRATOR, TOOLS_WAIT,
    call::{CallBrief, Entry, PROOF, PURSUE},
    settings::Config,
};

/// Twilio waits for the sum of these.
const MEMORY_CALL: Duration = Duration::from_secs(2);
const SHOWING: Duration = Duration::from_secs(2);
const CHAT: Duration = Duration::from_secs(6);
/// Beyond the time that a run is waited for.
const GRACE: Duration = Duration::from_secs(2);
/// The most that a run can be waited for, in seconds.
const LONGEST_WAIT: u32 = 300;
/// What is shown of a tool call.
const LONGEST_TOOL_TEXT: usize = 4000;
const WITHOUT_TOOLS: &str =
    "At the moment you can only talk: you can look nothing up and do nothing. Say so where it matters.";

/// Something said in this call.
pub type Said = (i64, Speaker, String);

/// A turn that is to be answered, with all that the model is told of it.
pub struct Question {
    brief: CallBrief,
    n: i64,
    text: String,
    history: Vec<Utterance>,
    known: Vec<Quote>,
    instructions: String,
}

/// Gathers what the model is to know; what was said before only where it can be known.
pub async fn question(
    context: &Context,
    config: &Config,
    brief: &CallBrief,
    (n, text): (i64, &str),
    said: &[Said],
    can_know: bool,
) -> Question {
    let earlier = earlier(context, config, brief, can_know).await;
    Question {
        brief: brief.clone(),
        n,
        text: text.to_owned(),
        history: history(brief, n, &earlier, said),
        known: known(brief, &earlier.summary),
        instructions: instructions(config, brief),
    }
}

/// Has it answered by the assistant. A repeat with the same number is the same run, and learns how it goes.
///
/// # Errors
/// Those of `orchestrator_service`.
pub async fn run(
    context: &Context,
    question: &Question,
    wait: Duration,
) -> Result<RunReport, OperationError> {
    let run = Run {
        goal: question.text.clone(),
        origin: None,
        history: question.history.clone(),
        known: question.known.clone(),
        instructions: Some(question.instructions.clone()),
        wait_seconds: Some(wait.as_secs().try_into().unwrap_or(LONGEST_WAIT)),
        limits: Some(RunLimits {
            tools_seconds: TOOLS_WAIT.as_secs().try_into().ok(),
            ..RunLimits::default()
        }),
    };
    let key = format!("{}:{}", question.brief.call, question.n);
    orchestrator(context, &question.brief)?.deadline(wait + GRACE).idempotency_key(key).call(run).await
}

/// Has it answered by the model alone, without tools: for when the assistant cannot keep a run.
///
/// # Errors
/// Those of `openai`, and `internal` where the answer is cut off or says nothing.
pub async fn chat(context: &Context, question: &Question) -> Result<String, OperationError> {
    let mark = format!("{:016x}", rand::random::<u64>());
    let rules = origin::briefing(&mark, question.brief.person.is_some());
    let system = format!("{}\n\nThese rules always hold:\n{rules}\n\n{WITHOUT_TOOLS}", question.instructions);
    let known = Quote::told(&question.known, &mark);
    let said = question.history.iter().map(|said| said.told(&mark));
    let begin = [Message::system(system)].into_iter().chain(known);
    let chat = Chat::new(begin.chain(said).chain([Message::user(&question.text)]));
    let answer = context.dependency(OPENAI)?.deadline(CHAT).call(chat).await?;
    Ok(answer.words()?.to_owned())
}

/// Gives a run up: nobody waits for it any more.
pub async fn cancel(context: &Context, brief: &CallBrief, run: &str) {
    let cancelled = async {
        let cancel = CancelRun { run: run.to_owned() };
        orchestrator(context, brief)?.deadline(SHOWING).call(cancel).await
    };
    if let Err(error) = cancelled.await {
        tracing::debug!(run, %error, "a run goes on, but nobody waits for it");
    }
}

/// The tools of a run that is over; that nothing is known of them is no trouble to who waits for the answer.
pub async fn tools(context: &Context, brief: &CallBrief, run: &str) -> Vec<Entry> {
    let shown = async {
        let show = ShowRun { run: run.to_owned() };
        orchestrator(context, brief)?.deadline(SHOWING).call(show).await
    };
    match shown.await {
        Ok(record) => record.calls.iter().map(tool).collect(),
        Err(error) => {
            tracing::debug!(%error, "the tools of a turn are not known");
            Vec::new()
        }
    }
}

fn orchestrator(context: &Context, brief: &CallBrief) -> Result<Dependency, OperationError> {
    Ok(context.dependency(ORCHESTRATOR)?.person(brief.on_behalf()).level(brief.level()))
}

/// What was said with the person before. Without it, the assistant is a stranger who answers all the same.
async fn earlier(context: &Context, config: &Config, brief: &CallBrief, can_know: bool) -> ThreadSummary {
    let nothing = ThreadSummary {
        summary: String::new(),
        turns: Vec::new(),
        tokens: 0,
        summarised_turns: 0,
        missing_turns: 0,
    };
    let Some(person) = brief.person.as_ref().filter(|_| can_know && context.has(MEMORY)) else {
        return nothing;
    };
    let summarised = async {
        let memory = context.dependency(MEMORY)?.person(person).level(brief.level()).deadline(MEMORY_CALL);
        memory.call(Summarise { token_budget: Some(config.history_tokens) }).await
    };
    summarised.await.unwrap_or_else(|error| {
        tracing::warn!(call = brief.call, %error, "the assistant does not know what was said before");
        nothing
    })
}

/// What was said before this turn: earlier by the memory, in this call by its own record.
pub fn history(brief: &CallBrief, n: i64, earlier: &ThreadSummary, said: &[Said]) -> Vec<Utterance> {
    let own = format!("{}:", brief.call);
    let is_earlier = |source: Option<&str>| !source.is_some_and(|source| source.starts_with(&own));
    let before = earlier.turns.iter().filter(|turn| is_earlier(turn.source.as_deref()));
    let before = before.map(|turn| (turn.speaker, turn.text.as_str(), turn.origin));
    let here = said.iter().filter(|(seq, ..)| *seq < n);
    let here = here.map(|(_, speaker, text)| (*speaker, text.as_str(), None));
    let spoken = before.chain(here).filter(|(_, text, _)| !text.is_empty());
    spoken
        .map(|(speaker, text, origin)| Utterance {
            by_assistant: speaker == Speaker::Assistant,
            text: text.to_owned(),
            origin,
        })
        .collect()
}

/// What others wrote: the task of a call of ours, and the summary of what was said before.
fn known(brief: &CallBrief, summary: &str) -> Vec<Quote> {
    let task = brief.objective.iter().map(|task| Quote { origin: Origin::Task, text: task.clone() });
    let summary = (!summary.is_empty()).then(|| Quote { origin: Origin::Memory, text: summary.to_owned() });
    task.chain(summary).collect()
}

/// Who the assistant is in this call.
pub fn instructions(config: &Config, brief: &CallBrief) -> String {
    let mut lines = vec![
        config.persona.clone(),
        format!(
            "You are on the telephone: what you write is read out. Answer in one to three short sentences, in plain \
             words without Markdown, lists or addresses, in the language `{}` unless the caller speaks another one.",
            config.language
        ),
    ];
    if brief.objective.is_some() {
        lines.push(format!("You called them. {PURSUE}"));
    }
    if brief.person.is_none() {
        lines.push("Nobody knows who is calling: their number is not verified.".to_owned());
        if brief.number.as_deref().is_some_and(is_number) {
            lines.push(PROOF.to_owned());
        }
    }
    if !config.transfer.is_empty() {
        let names: Vec<_> = config.transfer.keys().map(String::as_str).collect();
        lines.push(format!("A call can be transferred to: {}.", names.join(", ")));
    }
    lines.join("\n")
}

fn tool(record: &ToolRecord) -> Entry {
    let cut = |text: &str| text.chars().take(LONGEST_TOOL_TEXT).collect();
    Entry::Tool {
        tool: record.tool.clone(),
        arguments: cut(&record.arguments),
        result: cut(record.result.as_deref().unwrap_or_default()),
        ok: record.state == ToolState::Answered,
        took_ms: 0,
    }
}
