//! A run and its steps -> the chat that a model goes on with. Everything but the words of the person stands between marks
//! that nobody outside knows, and the model is told that it is data. Pure.

use plugin_api::{
    jiff::Timestamp,
    level::Level,
    origin::{self, Origin, marked},
    requests::{
        openai::{Chat, Message, ToolCall},
        orchestrator::{LostMessage, Quote},
    },
    tools::{Toolbox, toolbox},
};

use crate::{
    run::{Run, Step, ToolRun, ids_for_model},
    settings::Config,
    store::Lost,
};

const DEFAULT_INSTRUCTIONS: &str =
    "You are the assistant of one person, and get done what they want by the tools that you have.";

const TASK: &str = "The person does not speak with you now. The conversation ends with a task that was written down for them \
                    earlier: pursue it.";

const EMPTY: &str = "Your last answer was empty. Call a tool, or answer in words.";
const CUT_OFF: &str =
    "Your last answer was cut off, because it was too long. Say all of it again, in fewer words.";
/// Stands for an answer that was none: templates want the model's turn between two of the person.
const NOTHING: &str = "(no answer)";

/// What the model is asked.
pub fn chat(
    run: &Run,
    steps: &[Step],
    lost: &[Lost],
    tools: &Toolbox,
    config: &Config,
    now: Timestamp,
) -> Chat {
    let mut messages = vec![Message::system(system(run, config, &tools.notice(), now))];
    messages.extend(Quote::told(&run.beside.known, &run.mark));
    messages.extend(run.history.iter().map(|said| said.told(&run.mark)));
    messages.push(match run.beside.origin {
        None => Message::user(&run.goal),
        Some(origin) => Message::user(marked(&run.mark, origin, &run.goal)),
    });
    let mut ids = ids_for_model(steps).into_iter();
    for step in steps {
        add_step(&mut messages, run, step, lost, &mut ids);
    }
    Chat { model: config.model.clone(), ..Chat::new(messages).tools(tools.definitions()) }
}

fn system(run: &Run, config: &Config, notice: &str, now: Timestamp) -> String {
    let instructions = config.instructions.as_deref().unwrap_or(DEFAULT_INSTRUCTIONS);
    let of_run = run.instructions.as_deref().map(|text| format!("\n\n{text}")).unwrap_or_default();
    let task = if run.beside.origin == Some(Origin::Task) { format!("\n\n{TASK}") } else { String::new() };
    let is_known = run.beside.level.is_none_or(|level| level >= Level::Shown);
    let briefing = origin::briefing(&run.mark, is_known);
    let notice = if notice.is_empty() { String::new() } else { format!("- {notice}\n") };
    format!(
        "{instructions}{of_run}{task}\n\n\
         It is {now:.0} (UTC).\n\n\
         These rules always hold:\n\
         {briefing}\n\
         {notice}\
         - When you are done, answer in words, without calling a tool."
    )
}

fn add_step(
    messages: &mut Vec<Message>,
    run: &Run,
    step: &Step,
    lost: &[Lost],
    ids: &mut impl Iterator<Item = String>,
) {
    if step.calls.is_empty() {
        // What was no answer, or a part of one.
        let (said, wish) = match &step.content {
            Some(content) => (content.as_str(), CUT_OFF),
            None => (NOTHING, EMPTY),
        };
        messages.extend([Message::assistant(said), Message::user(wish)]);
        return;
    }
    let calls: Vec<(&ToolRun, String)> = step.calls.iter().zip(ids).collect();
    let extra_of =
        |place: usize| step.wire.calls.get(place).map(|call| call.extra.clone()).unwrap_or_default();
    let as_wanted = |(place, (call, id)): (usize, &(&ToolRun, String))| ToolCall {
        id: id.clone(),
        name: call.name.clone(),
        arguments: as_taken_back(&call.arguments),
        extra: extra_of(place),
    };
    let tool_calls = calls.iter().enumerate().map(as_wanted).collect();
    let (content, extra) = (step.content.clone(), step.wire.extra.clone());
    messages.push(Message::Assistant { content, tool_calls, extra });
    messages.extend(
        calls
            .into_iter()
            .map(|(call, id)| Message::tool(id, marked(&run.mark, Origin::Tool, &result(call, lost)))),
    );
}

/// What a call returned, and what was reported of it since. It stands with the call, so that what the model did about it
/// comes after it.
fn result(call: &ToolRun, lost: &[Lost]) -> String {
    let mut told = call.result.clone().unwrap_or_default();
    for Lost { message, .. } in
        lost.iter().filter(|lost| (lost.step, lost.position) == (call.step, call.position))
    {
        let LostMessage { sid, to, why, advice, .. } = message;
        told +=
            &format!("\n[reported since then: the message {sid} to {to} was not delivered: {why}. {advice}]");
    }
    told
}

/// Servers read the arguments of earlier calls, and not all of them forgive what is no JSON, or nothing.
fn as_taken_back(arguments: &str) -> String {
    let is_object = !arguments.trim().is_empty() && toolbox::arguments(arguments).is_ok();
    if is_object { arguments.to_owned() } else { "{}".to_owned() }
}
