//! The tools that the host allows -> what the model is told of them, and what becomes of a call that it wants. Nothing
//! that was not offered is ever called, and nothing whose arguments do not fit. Pure.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use super::{approval, data::cut_off, names};
use crate::requests::{
    host::{Away, Tool, Toolset},
    openai::{ToolCall, ToolDefinition},
};

/// Most calls of one answer; a model that wants more is told so.
pub const CALLS_AT_ONCE: usize = 16;
/// Longer arguments are no arguments.
const LONGEST_ARGUMENTS: usize = 256 * 1024;
/// Faults of arguments that the model is told at once.
const FAULTS: usize = 5;
const LONGEST_FAULT: usize = 300;

/// The tools of a turn, by the names that the model knows.
pub struct Toolbox {
    tools: BTreeMap<String, Tool>,
    away: Vec<Away>,
}

/// What becomes of a call.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// It may be made.
    Call,
    /// A person must allow it first.
    Ask,
    /// It is not made; this is what the model is told.
    Refuse(String),
}

impl Toolbox {
    /// Of these tools.
    pub fn new(Toolset { tools, away }: Toolset) -> Self {
        let tools = tools.into_iter().map(|tool| (names::for_model(&tool.name), tool)).collect();
        Self { tools, away }
    }

    /// The plugins that may come back by themselves, and have not been away for so long: before a model is told what it
    /// can do, they are worth waiting for.
    pub fn awaited(&self, patience: Duration) -> impl Iterator<Item = &Away> {
        let is_new = move |away: &&Away| u128::from(away.away_ms) < patience.as_millis();
        self.away.iter().filter(|away| away.returns).filter(is_new)
    }

    /// The plugin of this tool, if it is configured and not in service.
    pub fn away(&self, tool: &str) -> Option<&Away> {
        self.away.iter().find(|away| away.owns(tool))
    }

    /// Which tools are not in service now, for the instructions of a model; empty if all are.
    pub fn notice(&self) -> String {
        let of_plugin = |away: &Away| match away.tools.as_slice() {
            [] => format!("those of `{}`", away.plugin),
            tools => tools
                .iter()
                .map(|tool| format!("`{}`", names::for_model(&tool.name)))
                .collect::<Vec<_>>()
                .join(", "),
        };
        let away: Vec<_> = self.away.iter().map(of_plugin).collect();
        if away.is_empty() {
            return String::new();
        }
        format!(
            "These tools are out of service at the moment and cannot be called: {}. If one of them is needed, say that it \
             cannot be done now and that it may be possible later.",
            away.join(", ")
        )
    }

    /// What the model is told.
    pub fn definitions(&self) -> Vec<ToolDefinition> {
        let define = |(name, tool): (&String, &Tool)| ToolDefinition {
            name: name.clone(),
            description: Some(tool.about.clone()),
            parameters: Some(tool.parameters.clone()),
            strict: None,
        };
        self.tools.iter().map(define).collect()
    }

    /// The tool behind `plugin.operation`, if it is still there and allowed, in service or not.
    pub fn named(&self, tool: &str) -> Option<&Tool> {
        let in_service = self.tools.get(&names::for_model(tool)).filter(|known| known.name == tool);
        in_service.or_else(|| self.away.iter().flat_map(|away| &away.tools).find(|known| known.name == tool))
    }

    /// `plugin.operation` of a name that the model used.
    pub fn tool_of(&self, name: &str) -> String {
        let away = self.away.iter().flat_map(|away| &away.tools);
        let known = self
            .tools
            .get(name)
            .or_else(|| away.into_iter().find(|tool| names::for_model(&tool.name) == name));
        known.map_or_else(|| names::for_people(name), |tool| tool.name.clone())
    }

    /// What becomes of a call that the model wants.
    pub fn judge(&self, call: &ToolCall, position: usize) -> Verdict {
        if position >= CALLS_AT_ONCE {
            return Verdict::Refuse(format!("not called: at most {CALLS_AT_ONCE} tools are called at once"));
        }
        let Some(tool) = self.tools.get(&call.name) else {
            if let Some(away) = self.away(&self.tool_of(&call.name)) {
                return Verdict::Refuse(format!(
                    "not called: its plugin `{}` is not in service now",
                    away.plugin
                ));
            }
            return Verdict::Refuse(format!("not called: you have no tool `{}`", cut_off(&call.name, 64)));
        };
        if let Err(fault) = arguments(&call.arguments).and_then(|arguments| check(tool, &arguments)) {
            return Verdict::Refuse(format!("not called: {fault}"));
        }
        if !tool.needs_approval {
            return Verdict::Call;
        }
        match arguments(&call.arguments).and_then(|arguments| approval::check(&tool.decisive, &arguments)) {
            Ok(()) => Verdict::Ask,
            Err(fault) => Verdict::Refuse(format!("not called: {fault}")),
        }
    }
}

/// The arguments as the model wrote them; none are an empty object.
///
/// # Errors
/// What they are instead of a JSON object, in words.
pub fn arguments(text: &str) -> Result<Value, String> {
    if text.len() > LONGEST_ARGUMENTS {
        return Err(format!("the arguments are longer than {LONGEST_ARGUMENTS} bytes"));
    }
    if text.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match serde_json::from_str(text) {
        Ok(arguments @ Value::Object(_)) => Ok(arguments),
        Ok(_) => Err("the arguments are no JSON object".to_owned()),
        Err(error) => Err(format!("the arguments are no JSON: {error}")),
    }
}

fn check(tool: &Tool, arguments: &Value) -> Result<(), String> {
    let validator = jsonschema::validator_for(&tool.parameters)
        .map_err(|_| format!("the schema of `{}` cannot be read", tool.name))?;
    let told = |error: jsonschema::ValidationError<'_>| {
        let place = error.instance_path().as_str().to_owned();
        let place = if place.is_empty() { "the arguments".to_owned() } else { format!("`{place}`") };
        format!("{place}: {}", cut_off(&error.to_string(), LONGEST_FAULT))
    };
    let faults: Vec<String> = validator.iter_errors(arguments).take(FAULTS).map(told).collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!("the arguments do not fit the schema: {}", faults.join("; ")))
}
