//! What the `orchestrator_service` plugin offers: runs. A run pursues a goal on behalf of a person, by a model and by
//! the tools that plugins.toml allows, until it is done, fails, or waits for somebody's decision. It outlives the call
//! that started it, and the host.
//!
//! # Errors
//! | kind | when |
//! |---|---|
//! | `invalid` | the request |
//! | `not_found` | there is no such run, or it is not this person's |
//! | `conflict` | the idempotency key was used for another goal; the run is over; the decision was made before |
//! | `unavailable`, `overloaded`, `deadline` | the database, as it says; nothing was begun |

use serde_json::Value;

use super::openai::Message;
use crate::{
    message,
    origin::{Origin, marked},
    requests::Request,
};

/// The stream operation that takes a [`Run`] and tells how it goes by [`RunEvent`]s, each a text frame of JSON. Dropping
/// the stream leaves the run to go on.
pub const RUN_STREAM: &str = "run_stream";

/// Starts a run, on behalf of the person of the call. With an idempotency key it is started once; a repeat learns how
/// that one goes.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The goal, or what the person said.
    pub goal: String,
    /// Who wrote the goal, if those are not the own words of the person who speaks now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What was said before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Utterance>,
    /// What the model is told beside what was said: a summary, the task of a call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<Quote>,
    /// Instructions for this run, in addition to those of the settings: where the answer goes, how long it may be. They
    /// are obeyed, so they hold no text that anyone else wrote: that belongs into `known`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Waits so many seconds for the run to end, 0 to 300, and answers how it goes by then; 0 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 300))]
    pub wait_seconds: Option<u32>,
    /// Narrower limits than those of the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<RunLimits>,
}

impl Request for Run {
    const OPERATION: &'static str = "run";
    type Response = RunReport;
}

/// Something that was said before a run.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Utterance {
    /// True: the assistant said it; false: the person.
    pub by_assistant: bool,
    /// In words.
    pub text: String,
    /// Who wrote it, if those are not the own words of whoever said it: a title of a calendar, a message passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Utterance {
    /// As a model is told it. Words that others wrote are nobody's turn: they are marked as data.
    pub fn told(&self, mark: &str) -> Message {
        match (self.origin, self.by_assistant) {
            (None, true) => Message::assistant(&self.text),
            (None, false) => Message::user(&self.text),
            (Some(origin), true) => {
                let text = marked(mark, origin, &self.text);
                Message::user(format!("(You passed this on to the person, in the words of others.)\n{text}"))
            }
            (Some(origin), false) => Message::user(marked(mark, origin, &self.text)),
        }
    }
}

/// A text, and who wrote it.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Quote {
    /// Who wrote it.
    pub origin: Origin,
    /// In words.
    pub text: String,
}

impl Quote {
    /// As a model is told all of them: data, ahead of what was said.
    pub fn told(quotes: &[Self], mark: &str) -> Option<Message> {
        let texts: Vec<String> =
            quotes.iter().map(|Self { origin, text }| marked(mark, *origin, text)).collect();
        (!texts.is_empty()).then(|| Message::user(texts.join("\n")))
    }
}

/// Where a run ends, finished or not.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RunLimits {
    /// Turns of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Tokens, input and output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Seconds of work; waiting for a person or a plugin does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// Seconds that it waits for plugins that are being started or restarted, before the model goes on without their tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools_seconds: Option<u32>,
}

/// How far a run is.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Under way, or about to be resumed by some host.
    Running,
    /// A person must decide: see [`RunReport::waiting_for`].
    Waiting,
    /// It has its answer.
    Done,
    /// It ended without one: see [`RunReport::error`].
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl RunState {
    /// Nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// How a run goes.
#[message]
#[derive(PartialEq, Eq)]
pub struct RunReport {
    /// The run.
    pub run: String,
    /// How far it is.
    pub state: RunState,
    /// What it answers, once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why it failed, or was cancelled, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person must decide, while it waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<Decision>,
    /// The plugins that it waits for while it is `running`: they are configured, their tools are needed, and they are not in
    /// service. It goes on by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<String>,
    /// Messages that its tools sent and that did not arrive, as far as that is known by now: also after its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undelivered: Vec<LostMessage>,
    /// An earlier call with the same idempotency key started it.
    #[serde(default)]
    pub repeated: bool,
    /// What it has taken so far.
    pub usage: RunUsage,
}

/// A message that a tool of a run sent, and that Twilio reported as not delivered.
#[message]
#[derive(PartialEq, Eq)]
pub struct LostMessage {
    /// `plugin.operation`.
    pub tool: String,
    /// Who it was for, as the tool answered.
    pub to: String,
    /// The SID of the message.
    pub sid: String,
    /// Twilio's error code (<https://www.twilio.com/docs/api/errors>), if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// Its meaning, for a person: lower case, no period.
    pub why: String,
    /// What to do, for a person.
    pub advice: String,
    /// When it was reported, in milliseconds since 1970.
    pub at_ms: i64,
}

/// A tool call that waits for a person.
#[message]
#[derive(PartialEq, Eq)]
pub struct Decision {
    /// Names it in [`Decide`].
    pub id: String,
    /// Why it waits.
    pub question: Question,
    /// `plugin.operation`.
    pub tool: String,
    /// The arguments that it would be, or was, called with.
    pub arguments: Value,
    /// Where a person decides, once; there if the public address of the host is known. Anyone with it may decide, so it
    /// is for the approver alone: left out where the call is on behalf of a person, or a plugin's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Until when it waits, in milliseconds since 1970; then it counts as denied.
    pub expires_ms: i64,
}

/// Why a tool call waits for a person.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// May it be called?
    Approval,
    /// It was begun, and nobody knows whether it took effect. Approved: call it again; denied: leave it.
    UnknownOutcome,
}

/// What a run has taken so far.
#[message]
#[derive(Copy, Default, PartialEq, Eq)]
pub struct RunUsage {
    /// Turns of the model.
    pub steps: u32,
    /// Tool calls.
    pub tool_calls: u32,
    /// Tokens that the model was asked with.
    pub prompt_tokens: u64,
    /// Tokens that it answered.
    pub completion_tokens: u64,
}

/// What happens in a run.
#[message]
#[derive(PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunEvent {
    /// It has begun, or was there already.
    Started {
        /// The run.
        run: String,
    },
    /// The model wants a tool called.
    ToolCalled {
        /// `plugin.operation`.
        tool: String,
    },
    /// The tool has answered, or failed.
    ToolAnswered {
        /// `plugin.operation`.
        tool: String,
        /// Whether it did what it was to do.
        ok: bool,
    },
    /// It waits for a person.
    Waiting {
        /// How it goes.
        report: RunReport,
    },
    /// It is over: the last frame.
    Ended {
        /// How it went.
        report: RunReport,
    },
}

/// Asks how a run goes. On behalf of a person, only of their own.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FetchRun {
    /// The run.
    pub run: String,
    /// Waits so many seconds for it to end or to wait for a person, 0 to 300; 0 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 300))]
    pub wait_seconds: Option<u32>,
}

impl Request for FetchRun {
    const OPERATION: &'static str = "fetch_run";
    type Response = RunReport;
}

/// Ends a run at its next step. A tool call in progress is not taken back.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CancelRun {
    /// The run.
    pub run: String,
}

impl Request for CancelRun {
    const OPERATION: &'static str = "cancel_run";
    type Response = RunReport;
}

/// Decides what a run waits for. For operators: `denied` on behalf of a person and to plugins, and no tool.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// The run.
    pub run: String,
    /// [`Decision::id`].
    pub decision: String,
    /// Whether the tool may be called.
    pub approve: bool,
    /// What the model is told with a denial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Request for Decide {
    const OPERATION: &'static str = "decide";
    type Response = RunReport;
}

/// Lists runs, the newest first. On behalf of a person, only their own.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListRuns {
    /// Only those on behalf of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Only those that are so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// At most so many, 1 to 200; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// [`RunList::next`] of an answer, to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Request for ListRuns {
    const OPERATION: &'static str = "list_runs";
    type Response = RunList;
}

/// Some of the runs.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct RunList {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// There are more: give it as `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A run in a list.
#[message]
#[derive(PartialEq, Eq)]
pub struct RunSummary {
    /// The run.
    pub run: String,
    /// How far it is.
    pub state: RunState,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// What is to be reached, cut after 200 characters.
    pub goal: String,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: i64,
    /// When something last happened in it.
    pub changed_ms: i64,
    /// As in [`RunReport::held_by`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<String>,
    /// What it has taken so far.
    pub usage: RunUsage,
}

/// Shows a run with all that was done in it. On behalf of a person, only of their own.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ShowRun {
    /// The run.
    pub run: String,
}

impl Request for ShowRun {
    const OPERATION: &'static str = "show_run";
    type Response = RunRecord;
}

/// A run with all that was done in it.
#[message]
#[derive(PartialEq, Eq)]
pub struct RunRecord {
    /// How it goes.
    #[serde(flatten)]
    pub report: RunReport,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// What is to be reached.
    pub goal: String,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: i64,
    /// When something last happened in it.
    pub changed_ms: i64,
    /// What the model's server said when it refused, bounded and without what may be a key; for operators alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Every tool call, in order.
    pub calls: Vec<ToolRecord>,
}

/// A tool call of a run.
#[message]
#[derive(PartialEq, Eq)]
pub struct ToolRecord {
    /// In which turn of the model it was wanted, from 1.
    pub step: u32,
    /// `plugin.operation`, or what the model made up.
    pub tool: String,
    /// The arguments, as the model wrote them.
    pub arguments: String,
    /// How far it is.
    pub state: ToolState,
    /// How often it was begun, each time with the same idempotency key.
    pub attempts: u32,
    /// What the model was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// How far a tool call is.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ToolState {
    /// A person must decide.
    Waiting,
    /// It may be called, because a person allowed it or nobody has to, and was not begun yet.
    Approved,
    /// It was begun, and its outcome is not known yet.
    Begun,
    /// It did what it was to do.
    Answered,
    /// It was refused, or failed.
    Failed,
}
