//! An instance of the plugin, as the tests want it: a scripted model, and tools that remember what they were called with.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::{
        email::{SendEmail, Sent},
        host::{CallTool, FetchToolset, Status, StatusOf, Tool, Toolset},
        openai::{Chat, ChatAnswer, FinishReason, Message, ToolCall, Usage},
        orchestrator::{Decide, FetchRun, Run, RunReport, RunState, RunUsage},
        twilio_service::{LedgerKind, ListUndelivered, NotDelivered, SendMessage, SentMessage, Undelivered},
    },
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin, database::Database},
    tokio::time::{Instant, sleep},
};

use crate::{
    Orchestrator,
    run::{self, Beside, Limits},
};

pub type Instance = TestInstance<Orchestrator>;

/// Longer than anything takes here.
const LIMIT: Duration = Duration::from_secs(60);

/// What the tools and the approver were asked.
#[derive(Clone, Default)]
pub struct Seen {
    pub calls: Arc<Mutex<Vec<(CallHeader, CallTool)>>>,
    pub mails: Arc<Mutex<Vec<SendEmail>>>,
    pub texts: Arc<Mutex<Vec<SendMessage>>>,
    /// The keys of the texts.
    pub text_keys: Arc<Mutex<Vec<String>>>,
    pub chats: Arc<Mutex<Vec<Chat>>>,
}

/// What tools answer.
type Tools = dyn Fn(&CallHeader, &CallTool) -> Result<Value, OperationError> + Send + Sync;

/// What an instance is made of.
pub struct World {
    pub database: Database,
    pub seen: Seen,
    /// What Twilio answers.
    pub refusal: Arc<Mutex<Option<OperationError>>>,
    /// What it reports as not delivered.
    pub undelivered: Arc<Mutex<Vec<NotDelivered>>>,
    /// How the host says that a plugin is; `None`: connected.
    pub status: Arc<Mutex<Option<String>>>,
    /// What the host lists.
    pub toolset: Arc<Mutex<Toolset>>,
    settings: Value,
    tool: Arc<Tools>,
}

impl World {
    pub fn new() -> Self {
        Self {
            database: Database::new(),
            seen: Seen::default(),
            undelivered: Arc::default(),
            refusal: Arc::new(Mutex::new(Some(OperationError::unavailable("nobody answers")))),
            status: Arc::default(),
            toolset: Arc::new(Mutex::new(Toolset { tools: tools(), away: Vec::new() })),
            settings: json!({ "lease": "1s" }),
            tool: Arc::new(|_, call| Ok(json!({ "did": call.name }))),
        }
    }

    /// With further settings.
    pub fn settings(mut self, more: Value) -> Self {
        let all = self.settings.as_object_mut().expect("it is an object");
        all.extend(more.as_object().expect("settings are an object").clone());
        self
    }

    /// With tools that answer so.
    pub fn tool(
        mut self,
        tool: impl Fn(&CallHeader, &CallTool) -> Result<Value, OperationError> + Send + Sync + 'static,
    ) -> Self {
        self.tool = Arc::new(tool);
        self
    }

    /// A host whose model answers so.
    pub async fn host(
        &self,
        model: impl Fn(&Chat) -> Result<ChatAnswer, OperationError> + Send + Sync + 'static,
    ) -> Instance {
        self.host_on(self.database.clone(), model).await
    }

    /// A host that sees the database so.
    pub async fn host_on(
        &self,
        database: Database,
        model: impl Fn(&Chat) -> Result<ChatAnswer, OperationError> + Send + Sync + 'static,
    ) -> Instance {
        let (calls, mails, chats) =
            (self.seen.calls.clone(), self.seen.mails.clone(), self.seen.chats.clone());
        let (tool, texts, refusal) = (self.tool.clone(), self.seen.texts.clone(), self.refusal.clone());
        let (toolset, status) = (self.toolset.clone(), self.status.clone());
        let (undelivered, text_keys) = (self.undelivered.clone(), self.seen.text_keys.clone());
        let plugin = database
            .serve(TestPlugin::new(self.settings.clone()))
            .fake("openai", move |chat: Chat| {
                chats.lock().expect("no test panics here").push(chat.clone());
                model(&chat)
            })
            .fake("smtp", move |mail: SendEmail| {
                mails.lock().expect("no test panics here").push(mail);
                Ok(Sent { message_id: "<1@here>".to_owned(), accepted: Vec::new(), repeated: false })
            })
            .fake_json("twilio_service", SendMessage::OPERATION, move |header, message| {
                let message = serde_json::from_value(message).expect("it is a message");
                let mut texts = texts.lock().expect("no test panics here");
                texts.push(message);
                let key = header.idempotency_key.expect("every message has a key");
                text_keys.lock().expect("no test panics here").push(key);
                let refusal = refusal.lock().expect("no test panics here").clone();
                refusal.map_or_else(|| Ok(sent(texts.len())), Err)
            })
            .fake("twilio_service", move |_: ListUndelivered| {
                let messages = undelivered.lock().expect("no test panics here").clone();
                Ok(Undelivered { messages, truncated: false })
            })
            .fake("host", move |_: FetchToolset| Ok(toolset.lock().expect("no test panics here").clone()))
            .fake("host", move |asked: Status| {
                let status = status.lock().expect("no test panics here").clone();
                let status = status.unwrap_or_else(|| "connected".to_owned());
                Ok(StatusOf { name: asked.plugin, status, healthy: true, code: None, message: None })
            })
            .fake_json("host", "call_tool", move |header, request| {
                let call: CallTool = serde_json::from_value(request).expect("it is a call of a tool");
                calls.lock().expect("no test panics here").push((header.clone(), call.clone()));
                tool(&header, &call)
            })
            .create()
            .expect("the settings are good");
        plugin.init().await.expect("it comes up");
        plugin
    }

    /// The names of the tools that were called, in order.
    pub fn called(&self) -> Vec<String> {
        let calls = self.seen.calls.lock().expect("no test panics here");
        calls.iter().map(|(_, call)| call.name.clone()).collect()
    }
}

fn sent(number: usize) -> Value {
    let sent = SentMessage {
        sid: format!("SM{number}"),
        status: "queued".to_owned(),
        to: String::new(),
        repeated: false,
        ledger: LedgerKind::Memory,
    };
    serde_json::to_value(sent).expect("it is JSON")
}

/// What plugins.toml allows in the tests.
pub fn tools() -> Vec<Tool> {
    let tool = |name: &str, idempotent: bool, keyed: bool, needs_approval: bool| Tool {
        name: format!("toolbox.{name}"),
        about: format!("Does {name}."),
        parameters: json!({
            "type": "object", "required": ["what"], "additionalProperties": false,
            "properties": { "what": { "type": "string", "maxLength": 20 } },
        }),
        idempotent,
        keyed,
        needs_approval,
        decisive: Vec::new(),
    };
    let write = Tool {
        parameters: json!({
            "type": "object", "properties": { "to": { "type": "string" }, "text": { "type": "string" } },
        }),
        decisive: vec!["to".to_owned()],
        ..tool("write", false, true, true)
    };
    vec![
        tool("look", true, false, false),
        tool("note", false, true, false),
        tool("push", false, false, false),
        tool("spend", false, false, true),
        write,
    ]
}

/// The model wants these called.
pub fn wants(calls: &[(&str, &str)]) -> Result<ChatAnswer, OperationError> {
    let call = |(index, (name, arguments)): (usize, &(&str, &str))| ToolCall {
        id: format!("whatever-{index}"),
        name: (*name).to_owned(),
        arguments: (*arguments).to_owned(),
        ..ToolCall::default()
    };
    Ok(ChatAnswer { tool_calls: calls.iter().enumerate().map(call).collect(), ..said(None) })
}

/// The model says this.
pub fn says(text: &str) -> Result<ChatAnswer, OperationError> {
    Ok(said(Some(text.to_owned())))
}

fn said(content: Option<String>) -> ChatAnswer {
    ChatAnswer {
        content,
        finish_reason: FinishReason::Stop,
        model: "scripted".to_owned(),
        usage: Some(Usage { input_tokens: 10, output_tokens: 5, total_tokens: 15, ..Usage::default() }),
        ..ChatAnswer::default()
    }
}

/// How many turns the model has had in this chat.
pub fn turn(chat: &Chat) -> usize {
    chat.messages.iter().filter(|message| matches!(message, Message::Assistant { .. })).count()
}

/// A model that wants these called, and then is done.
pub fn once(
    calls: &'static [(&'static str, &'static str)],
) -> impl Fn(&Chat) -> Result<ChatAnswer, OperationError> {
    move |chat| if turn(chat) == 0 { wants(calls) } else { says("done") }
}

/// What the model was told of its calls.
pub fn told(chat: &Chat) -> Vec<String> {
    let results = chat.messages.iter().filter_map(|message| match message {
        Message::Tool { content, .. } => Some(content.lines().nth(1).unwrap_or_default().to_owned()),
        _ => None,
    });
    results.collect()
}

pub fn goal(goal: &str) -> Run {
    Run { goal: goal.to_owned(), wait_seconds: Some(60), ..Run::default() }
}

pub fn on_behalf_of(person: &str) -> CallHeader {
    CallHeader { person: Some(person.to_owned()), ..CallHeader::default() }
}

/// Waits until a run is so far.
pub async fn wait_for(host: &Instance, run: &str, state: RunState) -> RunReport {
    let began = Instant::now();
    loop {
        let report = host.call(FetchRun { run: run.to_owned(), wait_seconds: None }).await;
        match report {
            Ok(report) if report.state == state => return report,
            other => assert!(began.elapsed() < LIMIT, "not {state:?}: {other:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until something holds.
pub async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LIMIT, "it does not come to be: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Decides the first thing that a run waits for.
pub async fn decide(host: &Instance, report: &RunReport, approve: bool) -> Result<RunReport, OperationError> {
    let decision = report.waiting_for.first().expect("it waits for something").id.clone();
    host.call(Decide { run: report.run.clone(), decision, approve, note: None }).await
}

/// The keys that were used, without repeats.
pub fn keys(seen: &Seen, tool: &str) -> BTreeSet<String> {
    let calls = seen.calls.lock().expect("no test panics here");
    let of_tool = calls.iter().filter(|(_, call)| call.name == tool);
    of_tool.map(|(header, _)| header.idempotency_key.clone().expect("every call has a key")).collect()
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    plugin_api::jiff::Timestamp::now().as_millisecond()
}

/// A run that nothing is special about.
pub fn any_run() -> run::Run {
    run::Run {
        id: "r1".into(),
        person: None,
        goal: String::new(),
        history: Vec::new(),
        beside: Beside::default(),
        instructions: None,
        trace: String::new(),
        mark: String::new(),
        state: RunState::Running,
        answer: None,
        error: None,
        detail: None,
        limits: Limits { steps: 1, tokens: 1, ms: 1, tools_ms: 1 },
        usage: RunUsage::default(),
        held: None,
        worked_ms: 0,
        created_ms: 0,
        changed_ms: 0,
    }
}
