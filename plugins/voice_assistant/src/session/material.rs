//! What a model is told at the beginning of a conversation, gathered: what is known of the caller, and the tools that
//! plugins.toml allows. Whatever cannot be had in time is left out, and said to be.

use plugin_api::{
    jiff::Timestamp,
    level::Level,
    phone::is_number,
    prelude::*,
    requests::{
        host::Toolset,
        memory::{MemoryKind, ReadThread, Recall},
        openai::ToolDefinition,
    },
    serde_json::json,
    tokio::{
        join,
        time::{Instant, sleep, timeout},
    },
    tools::Toolbox,
    tracing,
};

use super::{
    MEMORY,
    core::calling::{CHECK_CODE, HANG_UP, SEND_CODE, TRANSFER_CALL},
    model::Setup,
    prompt::{self, Known},
    settings::Config,
};
use crate::{TOOLS_WAIT, call::CallBrief};

/// How often it is looked whether they are in service again.
pub const TOOLS_LOOK: Duration = Duration::from_millis(200);
/// Most turns that are read; what fits is told.
const TURNS: u32 = 40;
const FACTS: u32 = 20;
const WORTH_KNOWING: &str =
    "who this person is, what they like and need, what they have planned, what was promised to them";

/// What a conversation is begun with, as often as it must.
pub struct Material {
    pub brief: CallBrief,
    pub toolbox: Toolbox,
    /// Stands around data.
    pub mark: String,
    known: Known,
}

impl Material {
    /// Gathers it.
    pub async fn gather(context: &Context, config: &Config, brief: CallBrief) -> Self {
        let (known, tools) = join!(known(context, config, &brief), tools(context, config, brief.level()));
        let mark = format!("{:016x}", rand::random::<u64>());
        Self { brief, toolbox: tools, mark, known }
    }

    /// The same for a caller who has proven who they are. The marks stay the same.
    pub async fn proven(&self, context: &Context, config: &Config, person: String) -> Self {
        let brief = CallBrief { person: Some(person), ..self.brief.clone() };
        Self { mark: self.mark.clone(), ..Self::gather(context, config, brief).await }
    }

    /// Whether the caller may prove who they are.
    fn may_prove(&self) -> bool {
        self.brief.person.is_none() && self.brief.number.as_deref().is_some_and(is_number)
    }

    /// What a connection begins with now.
    pub fn setup(&self, config: &Config) -> Setup {
        let mut instructions =
            prompt::instructions(config, &self.brief, &self.known, &self.mark, Timestamp::now());
        let notice = self.toolbox.notice();
        if !notice.is_empty() {
            instructions = format!("{instructions}\n\n{notice}");
        }
        let mut tools = self.toolbox.definitions();
        tools.extend(own_tools(config));
        if self.may_prove() {
            tools.extend(proof_tools());
        }
        Setup { instructions, tools }
    }
}

/// Plugins that are about to be in service are waited for, as long as a caller may be kept waiting.
async fn tools(context: &Context, config: &Config, level: Level) -> Toolbox {
    let begun = Instant::now();
    let mut toolbox = Toolbox::new(Toolset::default());
    loop {
        let looked = context.host().deadline(config.memory_timeout).level(level).toolset().await;
        let looked = looked.map(|toolset| toolbox = Toolbox::new(toolset));
        if toolbox.awaited(TOOLS_WAIT).next().is_none() || begun.elapsed() >= TOOLS_WAIT {
            if let Err(error) = looked {
                tracing::warn!(%error, "a call begins with the tools of the last look, or none: the host does not tell them");
            }
            return toolbox;
        }
        sleep(TOOLS_LOOK).await;
    }
}

async fn known(context: &Context, config: &Config, brief: &CallBrief) -> Known {
    let Some(person) = &brief.person else { return Known::Nobody };
    if config.common.memory_tokens == 0 || !context.has(MEMORY) {
        return Known::Words(String::new());
    }
    let read = read(context, config, (person, brief.level()), brief.objective.as_deref());
    match timeout(config.memory_timeout, read).await {
        Ok(Ok(words)) => Known::Words(words),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a call begins without what is known of the caller");
            Known::Unreadable
        }
        Err(_) => {
            tracing::warn!(within = ?config.memory_timeout, "a call begins without what is known of the caller");
            Known::Unreadable
        }
    }
}

async fn read(
    context: &Context,
    config: &Config,
    (person, level): (&str, Level),
    objective: Option<&str>,
) -> Result<String, OperationError> {
    let memory = context.dependency(MEMORY)?.person(person).level(level);
    let query = objective
        .map_or_else(|| WORTH_KNOWING.to_owned(), |objective| format!("{WORTH_KNOWING}; {objective}"));
    let recall = Recall { query, limit: Some(FACTS), kinds: vec![MemoryKind::Fact], ..Recall::default() };
    let thread = memory.call(ReadThread { limit: Some(TURNS), before: None });
    let (thread, facts) = join!(thread, memory.call(recall));
    // Half of it is better than nothing.
    match (thread, facts) {
        (Err(error), Err(_)) => Err(error),
        (thread, facts) => {
            let facts = facts.map(|recalled| recalled.memories).unwrap_or_default();
            Ok(prompt::words(thread.ok().as_ref(), &facts, config.common.memory_tokens))
        }
    }
}

fn proof_tools() -> [ToolDefinition; 2] {
    let tool = |name: &str, description: &str, parameters| ToolDefinition {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        parameters: Some(parameters),
        strict: None,
    };
    [
        tool(
            SEND_CODE,
            "Sends a code by SMS to the number that the caller calls from, so that they can prove who they are. Only if they \
             agree.",
            json!({ "type": "object", "properties": {}, "additionalProperties": false }),
        ),
        tool(
            CHECK_CODE,
            "Checks the code that the caller says or presses.",
            json!({ "type": "object", "additionalProperties": false, "required": ["code"],
                "properties": { "code": { "type": "string", "description": "The digits." } } }),
        ),
    ]
}

fn own_tools(config: &Config) -> Vec<ToolDefinition> {
    let hang_up = ToolDefinition {
        name: HANG_UP.to_owned(),
        description: Some(
            "Ends the call. Say goodbye first, in the same answer; call it only when the caller wants to end, or \
             everything is done."
                .to_owned(),
        ),
        parameters: Some(json!({ "type": "object", "properties": {}, "additionalProperties": false })),
        strict: None,
    };
    let names: Vec<&String> = config.common.transfer.keys().collect();
    let transfer = (!names.is_empty()).then(|| ToolDefinition {
        name: TRANSFER_CALL.to_owned(),
        description: Some(
            "Connects the caller with somebody else; this conversation ends. Tell them first, in the same answer; call \
             it only when the caller wants that, or you cannot help."
                .to_owned(),
        ),
        parameters: Some(json!({ "type": "object", "additionalProperties": false, "required": ["to"],
            "properties": { "to": { "type": "string", "enum": names, "description": "Whom." } } })),
        strict: None,
    });
    [hang_up].into_iter().chain(transfer).collect()
}
