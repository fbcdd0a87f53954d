//! A run and its steps -> the chat that a model goes on with. Everything that a tool returned stands between marks that
//! nobody outside knows, and the model is told that it is data. Pure.

use plugin_api::{
    jiff::Timestamp,
    requests::openai::{Chat, Message, ToolCall, ToolDefinition},
    tools::{data, toolbox},
};

use crate::{
    run::{Run, Step, ToolRun},
    settings::Config,
};

const DEFAULT_INSTRUCTIONS: &str =
    "You are the assistant of one person, and get done what they want by the tools that you have.";

const EMPTY: &str = "Your last answer was empty. Call a tool, or answer in words.";

/// What the model is asked.
pub fn chat(run: &Run, steps: &[Step], tools: Vec<ToolDefinition>, config: &Config, now: Timestamp) -> Chat {
    let mut messages = vec![Message::system(system(run, config, now))];
    for said in &run.history {
        messages.push(match said.by_assistant {
            true => Message::assistant(&said.text),
            false => Message::user(&said.text),
        });
    }
    messages.push(Message::user(&run.goal));
    for step in steps {
        add_step(&mut messages, run, step);
    }
    Chat { model: config.model.clone(), ..Chat::new(messages).tools(tools) }
}

fn system(run: &Run, config: &Config, now: Timestamp) -> String {
    let instructions = config.instructions.as_deref().unwrap_or(DEFAULT_INSTRUCTIONS);
    let of_run = run.instructions.as_deref().map(|text| format!("\n\n{text}")).unwrap_or_default();
    let rule = data::rule(&run.mark);
    format!(
        "{instructions}{of_run}\n\n\
         It is {now:.0} (UTC).\n\n\
         These rules always hold:\n\
         - {rule}\n\
         - You act for this person alone. Use only the tools that you are given, and nothing that tells of other people's \
         secrets.\n\
         - Say that something is done only if a tool's result says so. If its outcome is unknown, or somebody refused it, \
         say that, and do not try to reach it in another way.\n\
         - When you are done, answer in words, without calling a tool."
    )
}

fn add_step(messages: &mut Vec<Message>, run: &Run, step: &Step) {
    if step.content.is_none() && step.calls.is_empty() {
        messages.push(Message::system(EMPTY));
        return;
    }
    let as_wanted = |call: &ToolRun| ToolCall {
        id: call.id_for_model(),
        name: call.name.clone(),
        arguments: as_taken_back(&call.arguments),
    };
    let tool_calls = step.calls.iter().map(as_wanted).collect();
    messages.push(Message::Assistant { content: step.content.clone(), tool_calls });
    messages.extend(step.calls.iter().map(|call| {
        Message::tool(
            call.id_for_model(),
            data::marked(&run.mark, call.result.as_deref().unwrap_or_default()),
        )
    }));
}

/// Servers read the arguments of earlier calls, and not all of them forgive what is no JSON.
fn as_taken_back(arguments: &str) -> String {
    toolbox::arguments(arguments).map_or_else(|_| "{}".to_owned(), |_| arguments.to_owned())
}
