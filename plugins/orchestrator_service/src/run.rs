//! A run and its steps, as they lie in the database and in memory. No I/O.

use plugin_api::requests::orchestrator::{Question, RunState, RunUsage, ToolState, Utterance};

/// A run.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: String,
    pub person: Option<String>,
    pub goal: String,
    pub history: Vec<Utterance>,
    pub instructions: Option<String>,
    /// Of the call that started it.
    pub trace: String,
    /// Between these letters stands what is data, in the words for the model.
    pub mark: String,
    pub state: RunState,
    pub answer: Option<String>,
    pub error: Option<String>,
    pub limits: Limits,
    pub usage: RunUsage,
    /// How long it was worked on before it was loaded.
    pub worked_ms: i64,
    pub created_ms: i64,
    pub changed_ms: i64,
}

/// Where it ends, finished or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub steps: u32,
    pub tokens: u64,
    pub ms: i64,
}

/// A turn of the model.
#[derive(Debug, Clone)]
pub struct Step {
    /// From 1.
    pub number: i64,
    pub content: Option<String>,
    pub calls: Vec<ToolRun>,
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
    /// Begun by whoever holds it in memory, and not by somebody who is gone.
    pub is_ours: bool,
}

impl Run {
    /// Tokens, asked and answered.
    pub fn tokens(&self) -> u64 {
        self.usage.prompt_tokens.saturating_add(self.usage.completion_tokens)
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

impl ToolRun {
    /// By which the model's server knows it.
    pub fn id_for_model(&self) -> String {
        format!("call_{}_{}", self.step, self.position)
    }

    /// The same for every attempt, and for nothing else.
    pub fn idempotency_key(&self, run: &str) -> String {
        format!("{run}.{}.{}", self.step, self.position)
    }

    /// Names what is to be decided. Decided and begun, it is another decision.
    pub fn decision(&self) -> String {
        format!("{}.{}.{}", self.step, self.position, self.attempts)
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
