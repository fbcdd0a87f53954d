//! A run and its steps, as they lie in the database and in memory. No I/O.

use std::collections::BTreeSet;

use plugin_api::{
    level::Level,
    origin::Origin,
    requests::orchestrator::{Question, Quote, RunState, RunUsage, ToolState, Utterance},
    serde::{Deserialize, Serialize},
    serde_json::{Map, Value},
};

use crate::random;

/// A run.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: String,
    pub person: Option<String>,
    pub goal: String,
    pub history: Vec<Utterance>,
    pub beside: Beside,
    pub instructions: Option<String>,
    /// Of the call that started it.
    pub trace: String,
    /// Between these letters stands what is data, in the words for the model.
    pub mark: String,
    pub state: RunState,
    pub answer: Option<String>,
    pub error: Option<String>,
    /// What the model's server said of it, for operators.
    pub detail: Option<String>,
    pub limits: Limits,
    pub usage: RunUsage,
    /// What it waits for, beside people.
    pub held: Option<Held>,
    /// How long it was worked on before it was loaded.
    pub worked_ms: i64,
    pub created_ms: i64,
    pub changed_ms: i64,
}

/// What is known of who speaks, and beside what they say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "plugin_api::serde", default)]
pub struct Beside {
    /// Who wrote the goal, if not the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// How certain it is who the person is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<Quote>,
}

/// A wait for plugins that are not in service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub by: Vec<String>,
    pub since_ms: i64,
}

/// Where it ends, finished or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub steps: u32,
    pub tokens: u64,
    pub ms: i64,
    /// How long the model is not asked because a plugin is about to be in service.
    pub tools_ms: i64,
}

/// A turn of the model.
#[derive(Debug, Clone)]
pub struct Step {
    /// From 1.
    pub number: i64,
    pub content: Option<String>,
    pub wire: Wire,
    pub calls: Vec<ToolRun>,
}

/// What the model's server wrote of a turn beside what is acted on: it goes back as it came, and nobody is shown it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "plugin_api::serde", default)]
pub struct Wire {
    /// Of the message.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
    /// Of each call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<WireCall>,
}

/// What the server wrote of a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "plugin_api::serde", default)]
pub struct WireCall {
    pub id: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// A tool call that the model wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolRun {
    pub step: i64,
    pub position: i64,
    /// The name that the model was given, or made up.
    pub name: String,
    /// `plugin.operation`.
    pub tool: String,
    /// As the model wrote them.
    pub arguments: String,
    pub state: ToolState,
    /// How often it was begun.
    pub attempts: i64,
    pub result: Option<String>,
    pub question: Option<Question>,
    pub expires_ms: i64,
    /// The arguments that a person who decides reads first.
    pub decisive: Vec<String>,
    /// By what it is known that the database still holds what was wanted.
    pub seal: String,
    /// What the host signed when a person agreed; empty if none did.
    pub approval: String,
    /// Begun by whoever holds it in memory, and not by somebody who is gone.
    pub is_ours: bool,
}

/// A message that a call sent, and Twilio took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub sid: String,
    pub to: String,
}

impl Run {
    /// Tokens, input and output.
    pub fn tokens(&self) -> u64 {
        self.usage.prompt_tokens.saturating_add(self.usage.completion_tokens)
    }

    /// The plugins that it waits for.
    pub fn held_by(&self) -> Vec<String> {
        let held = self.held.as_ref().filter(|_| self.state == RunState::Running);
        held.map(|held| held.by.clone()).unwrap_or_default()
    }

    /// Nobody but the person themselves, and who asks for nobody, may see it.
    pub fn is_visible_to(&self, person: Option<&str>) -> bool {
        person.is_none() || person == self.person.as_deref()
    }
}

impl Step {
    /// Some of its calls have no result yet.
    pub fn is_open(&self) -> bool {
        self.calls.iter().any(|call| !call.is_settled())
    }
}

/// By which ids the model's server knows the calls of a run, in their order: its own, wherever there is one and it is not
/// used twice.
pub fn ids_for_model(steps: &[Step]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let id = |(step, call, place): (&Step, &ToolRun, usize)| {
        let given = step.wire.calls.get(place).map(|call| call.id.clone()).filter(|id| !id.is_empty());
        let id = given.filter(|id| !known.contains(id)).unwrap_or_else(|| call.own_id());
        known.insert(id.clone());
        id
    };
    let calls = steps
        .iter()
        .flat_map(|step| step.calls.iter().enumerate().map(move |(place, call)| (step, call, place)));
    calls.map(id).collect()
}

fn base36<const LENGTH: usize>(number: i64) -> String {
    let mut left = number.unsigned_abs();
    let mut digits = [b'0'; LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(left % 36) as usize];
        left /= 36;
    }
    digits.map(char::from).into_iter().collect()
}

impl ToolRun {
    /// An id of our own, in the form that every server takes: nine letters and digits.
    fn own_id(&self) -> String {
        format!("s{}p{}", base36::<4>(self.step), base36::<3>(self.position))
    }

    /// The same for every attempt, and for nothing else.
    pub fn idempotency_key(&self, run: &str) -> String {
        format!("{run}.{}.{}", self.step, self.position)
    }

    /// Names what is to be decided. Decided and begun, it is another decision.
    pub fn decision(&self) -> String {
        format!("{}.{}.{}", self.step, self.position, self.attempts)
    }

    /// What a person may be asked to agree to: the call, and what it was wanted for.
    pub fn digest(&self, run: &Run) -> String {
        let question = match self.question {
            Some(Question::Approval) => "approval",
            Some(Question::UnknownOutcome) => "unknown_outcome",
            None => "",
        };
        let mut parts = vec![
            run.id.as_str(),
            run.person.as_deref().unwrap_or_default(),
            &run.goal,
            &self.tool,
            &self.arguments,
            question,
        ];
        let place = format!("{}.{}", self.step, self.position);
        parts.push(&place);
        parts.extend(self.decisive.iter().map(String::as_str));
        random::hash_of(&parts)
    }

    pub fn is_settled(&self) -> bool {
        matches!(self.state, ToolState::Answered | ToolState::Failed)
    }

    /// With its result.
    pub fn settled(mut self, is_ok: bool, result: impl Into<String>) -> Self {
        self.state = if is_ok { ToolState::Answered } else { ToolState::Failed };
        self.result = Some(result.into());
        self.is_ours = false;
        self
    }
}
