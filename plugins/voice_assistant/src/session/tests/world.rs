//! What a conversation meets: a plugin that offers it, a ledger, memory, tools, and a scripted model over the stream
//! `openai.realtime`; and the bridge, with a caller behind it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use plugin_api::{
    jiff::Timestamp,
    prelude::*,
    protocol::{CallHeader, CloseReason},
    requests::{
        host::{Away, FetchToolset, Tool, Toolset},
        memory::Speaker,
        openai::{Chat, ChatAnswer, FinishReason, REALTIME, RealtimeClose},
        voice::{BridgeEvent, Heard, MediaReport, SESSION, Session, SessionEvent, read_spoken},
    },
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin},
    tokio::{self, time::sleep},
};
use switchboard_tests::partners::realtime::{Progress, Script, conversation::Conversation};

use super::machine::common;
use crate::{
    call::{CallBrief, Entry, Ledger, Next, Proof},
    session::{
        Sessions,
        settings::{Config, Settings},
    },
};

/// Far beyond what anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Who calls.
pub const ADA: &str = "+15550001111";
/// The code that they are sent.
pub const CODE: &str = "123456";

/// A ledger that remembers.
#[derive(Default)]
struct Book {
    entries: Mutex<Vec<Entry>>,
    decisions: Mutex<Vec<Next>>,
}

impl Ledger for Book {
    fn now_ms(&self) -> i64 {
        Timestamp::now().as_millisecond()
    }

    async fn redeem(&self, call: &str, _: &str, token: &str) -> Result<CallBrief, OperationError> {
        match token {
            "token" => Ok(brief(call)),
            "shown" => Ok(CallBrief { person: None, ..brief(call) }),
            _ => Err(OperationError::denied("the token is of another call")),
        }
    }

    async fn record(&self, _: &str, entry: Entry) {
        lock(&self.entries).push(entry);
    }

    async fn send_code(&self, _: &str) -> Result<(), OperationError> {
        Ok(())
    }

    async fn check_code(&self, _: &str, code: &str) -> Result<Proof, OperationError> {
        match code {
            CODE => Ok(Proof::Proven(ADA.to_owned())),
            _ => Ok(Proof::Wrong { left: 2 }),
        }
    }

    async fn decide(&self, _: &str, next: Next) {
        lock(&self.decisions).push(next);
    }
}

fn brief(call: &str) -> CallBrief {
    let number = Some(ADA.to_owned());
    let (call, person) = (call.to_owned(), number.clone());
    CallBrief {
        call,
        number,
        person,
        objective: None,
        opening: None,
        started_ms: Timestamp::now().as_millisecond(),
    }
}

/// Every test has a ledger of its own, which the plugin finds by the name in its settings.
static BOOKS: Mutex<BTreeMap<String, Arc<Book>>> = Mutex::new(BTreeMap::new());

/// The plugin, as far as it holds conversations.
pub struct Held(Sessions<Book>);

#[plugin_api::settings]
pub struct HeldSettings {
    book: String,
    realtime: Settings,
}

impl Plugin for Held {
    type Settings = HeldSettings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::service("voice_assistant")
            .requires("openai")
            .requires("orchestrator_service")
            .wants("memory_service")
            .operation(Operation::stream(SESSION, Self::session))
            .operation(Operation::new("prepare", Self::prepare))
            .operation(Operation::new("discard", Self::discard))
    }

    fn create(settings: HeldSettings, context: Context) -> Result<Self, Failure> {
        let config = Arc::new(Config::check(settings.realtime, common())?);
        let book = lock(&BOOKS).get(&settings.book).cloned();
        Ok(Self(Sessions::new(context, config, book.expect("the test has one"))))
    }
}

impl Held {
    async fn session(
        self: Arc<Self>,
        request: Session,
        stream: Stream,
        call: Call,
    ) -> Result<(), OperationError> {
        self.0.serve(request, stream, call).await
    }

    async fn prepare(self: Arc<Self>, call: String, _: Call) -> Result<usize, OperationError> {
        self.0.prepare(&brief(&call));
        Ok(self.0.prepared())
    }

    async fn discard(self: Arc<Self>, call: String, _: Call) -> Result<(), OperationError> {
        self.0.discard(&call);
        Ok(())
    }
}

type Run = Arc<dyn Fn(&Value) -> Result<Value, OperationError> + Send + Sync>;

/// The plugins that are away at a look, or why the host does not tell it.
type Look = Result<Vec<Away>, OperationError>;

/// Everything around a conversation.
#[derive(Clone)]
pub struct World {
    model: Arc<Model>,
    book: Arc<Book>,
    tools: Arc<Mutex<Vec<(Tool, Run)>>>,
    /// The plugins that are not in service, as the host tells at each look; the last of them at all further looks.
    away: Arc<Mutex<VecDeque<Look>>>,
    calls: Asked,
    runs: Asked,
}

type Asked = Arc<Mutex<Vec<(CallHeader, Value)>>>;

/// The scripted model.
struct Model {
    script: Arc<Script>,
    progress: Arc<Mutex<Progress>>,
    heard: Mutex<Vec<Value>>,
    faults: Mutex<Vec<Value>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    cuts: AtomicUsize,
    is_away: AtomicBool,
}

impl World {
    pub fn new(script: Script) -> Self {
        let model = Model {
            script: Arc::new(script),
            progress: Arc::default(),
            heard: Mutex::default(),
            faults: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
            is_away: AtomicBool::new(false),
        };
        Self {
            model: Arc::new(model),
            book: Arc::default(),
            tools: Arc::default(),
            away: Arc::default(),
            calls: Arc::default(),
            runs: Arc::default(),
        }
    }

    /// The host tells at its looks that these plugins are not in service.
    pub fn looks(self, looks: impl IntoIterator<Item = Result<Vec<Away>, OperationError>>) -> Self {
        lock(&self.away).extend(looks);
        self
    }

    /// With a tool that does this.
    pub fn tool(
        self,
        tool: Tool,
        run: impl Fn(&Value) -> Result<Value, OperationError> + Send + Sync + 'static,
    ) -> Self {
        lock(&self.tools).push((tool, Arc::new(run)));
        self
    }

    pub fn start(&self, realtime: Value) -> TestInstance<Held> {
        let book = format!("{:p}", Arc::as_ptr(&self.book));
        lock(&BOOKS).insert(book.clone(), self.book.clone());
        let (model, tools, listed) = (self.model.clone(), self.tools.clone(), self.tools.clone());
        let away = self.away.clone();
        let (calls, runs) = (self.calls.clone(), self.runs.clone());
        TestPlugin::<Held>::new(json!({ "book": book, "realtime": realtime }))
            .fake_stream("openai", REALTIME, move |_, _, stream| serve(model.clone(), stream))
            .fake("openai", |_: Chat| {
                let content = Some("They like".to_owned());
                Ok(ChatAnswer { content, finish_reason: FinishReason::Length, ..ChatAnswer::default() })
            })
            .fake("host", move |_: FetchToolset| {
                let mut looks = lock(&away);
                let next = if looks.len() > 1 { looks.pop_front() } else { looks.front().cloned() };
                let (away, known) = (next.unwrap_or_else(|| Ok(Vec::new()))?, lock(&listed));
                let known = known.iter().map(|(tool, _)| tool);
                let there = known.filter(|tool| !away.iter().any(|away| away.owns(&tool.name)));
                let tools = there.cloned().collect();
                Ok(Toolset { tools, away })
            })
            .fake_json("host", "call_tool", move |header, request| {
                lock(&calls).push((header, request.clone()));
                let run = lock(&tools)
                    .iter()
                    .find(|(tool, _)| request["name"] == tool.name.as_str())
                    .map(|(_, run)| run.clone());
                run.expect("the tool was offered")(&request["arguments"])
            })
            .fake_json("orchestrator_service", "run", move |header, request| {
                lock(&runs).push((header, request));
                Ok(json!({ "run": "run-1", "state": "waiting",
                    "usage": { "steps": 1, "tool_calls": 0, "prompt_tokens": 0, "completion_tokens": 0 } }))
            })
            .fake_json("memory_service", "thread", |header, _| {
                Ok(json!({ "person": header.person, "turns": [] }))
            })
            .fake_json("memory_service", "recall", |_, _| {
                let fact = json!({ "id": "m", "kind": "fact", "text": "Ada is a pilot.", "source": "s",
                    "at_ms": 0, "score": 1.0 });
                Ok(json!({ "memories": [fact], "semantic": true }))
            })
            .create()
            .expect("good settings")
    }

    /// Breaks every open connection.
    pub fn cut(&self) {
        self.model.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// No further connection is taken.
    pub fn refuse(&self, is_away: bool) {
        self.model.is_away.store(is_away, Ordering::SeqCst);
    }

    pub fn connections(&self) -> usize {
        self.model.connections.load(Ordering::SeqCst)
    }

    pub fn open(&self) -> usize {
        self.model.open.load(Ordering::SeqCst)
    }

    /// The events of a type that the model was sent, on all connections.
    pub fn heard(&self, kind: &str) -> Vec<Value> {
        lock(&self.model.heard).iter().filter(|event| event["type"] == kind).cloned().collect()
    }

    /// What the model found wrong.
    pub fn faults(&self) -> Vec<Value> {
        lock(&self.model.faults).clone()
    }

    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.book.entries).clone()
    }

    pub fn said(&self) -> Vec<(Speaker, String, bool)> {
        let said = |entry| match entry {
            Entry::Said { speaker, text, interrupted } => Some((speaker, text, interrupted)),
            _ => None,
        };
        self.entries().into_iter().filter_map(said).collect()
    }

    pub fn decisions(&self) -> Vec<Next> {
        lock(&self.book.decisions).clone()
    }

    pub fn calls(&self) -> Vec<(CallHeader, Value)> {
        lock(&self.calls).clone()
    }

    pub fn runs(&self) -> Vec<(CallHeader, Value)> {
        lock(&self.runs).clone()
    }

    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < LIMIT, "waited for {what}; {:?}", self.entries());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A tool that takes anything.
pub fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        about: "Does it.".to_owned(),
        parameters: json!({ "type": "object" }),
        idempotent: false,
        keyed: false,
        decisive: Vec::new(),
        needs_approval: false,
    }
}

/// One connection with the scripted model.
async fn serve(model: Arc<Model>, stream: Stream) -> Result<(), OperationError> {
    if model.is_away.load(Ordering::SeqCst) {
        return Err(OperationError::unavailable("the model is away"));
    }
    model.connections.fetch_add(1, Ordering::SeqCst);
    model.open.fetch_add(1, Ordering::SeqCst);
    let ended = converse(&model, &stream).await;
    model.open.fetch_sub(1, Ordering::SeqCst);
    ended
}

async fn converse(model: &Model, stream: &Stream) -> Result<(), OperationError> {
    let mut conversation = Conversation::new(model.script.clone(), model.progress.clone(), "gpt-realtime");
    let (begun, cuts) = (Instant::now(), model.cuts.load(Ordering::SeqCst));
    loop {
        conversation.tick(begun.elapsed());
        for event in conversation.take() {
            if event["type"] == "error" {
                lock(&model.faults).push(event.clone());
            }
            if stream.send(Frame::Text(event.to_string())).await.is_err() {
                return Ok(());
            }
        }
        if model.cuts.load(Ordering::SeqCst) > cuts {
            let broken = RealtimeClose { close_code: RealtimeClose::BROKEN, close_reason: String::new() };
            stream.close(broken.into_reason("the connection broke"));
            return Ok(());
        }
        let frame = tokio::time::timeout(Duration::from_millis(4), stream.recv()).await;
        match frame {
            Ok(Ok(Frame::Text(text))) => {
                let event: Value = serde_json::from_str(&text).expect("events are JSON");
                if event["type"] != "input_audio_buffer.append" {
                    lock(&model.heard).push(event.clone());
                }
                conversation.client(&event, begun.elapsed());
            }
            Ok(Ok(Frame::Binary(_))) => panic!("the Realtime API speaks text"),
            Ok(Err(_)) => return Ok(()),
            Err(_) => {}
        }
    }
}

/// The bridge, and a caller behind it who hears everything at once.
pub struct Caller {
    stream: Stream,
    /// Milliseconds by utterance.
    audio: BTreeMap<u32, u64>,
}

impl Caller {
    pub fn session() -> Session {
        Session { call: "CA1".into(), stream: "MZ1".into(), token: "token".into() }
    }

    pub async fn connect(host: &TestInstance<Held>) -> Self {
        Self::connect_with(host, "token").await
    }

    pub async fn connect_with(host: &TestInstance<Held>, token: &str) -> Self {
        let session = Session { token: token.to_owned(), ..Self::session() };
        let stream = host.open(SESSION, &session).await.expect("it is taken");
        Self { stream, audio: BTreeMap::new() }
    }

    pub async fn speaks(&self, audio: &[u8]) {
        for frame in audio.chunks(160) {
            self.stream.send(Frame::Binary(frame.to_vec())).await.expect("it listens");
        }
    }

    pub async fn tells(&self, event: &BridgeEvent) {
        let text = serde_json::to_string(event).expect("it can be written");
        self.stream.send(Frame::Text(text)).await.expect("it listens");
    }

    /// Hears everything to the end of this utterance.
    pub async fn hears(&mut self, utterance: u32) {
        self.until("an utterance", |event| *event == SessionEvent::UtteranceDone { utterance }).await;
        self.tells(&BridgeEvent::Played { utterance }).await;
    }

    /// Has so much of this utterance, and has not played it.
    pub async fn until_audio(&mut self, utterance: u32, ms: u64) {
        while self.audio.get(&utterance).copied().unwrap_or(0) < ms {
            self.next().await;
        }
    }

    /// Answers an interrupt.
    pub async fn heard_only(&mut self, utterance: u32, heard_ms: u64) {
        let heard = vec![Heard { utterance, heard_ms, sent_ms: self.audio[&utterance] }];
        self.tells(&BridgeEvent::Interrupted { heard, after_ms: Some(40) }).await;
    }

    pub async fn until(&mut self, what: &str, is_it: impl Fn(&SessionEvent) -> bool) -> SessionEvent {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < LIMIT, "waited for {what}");
            if let Some(event) = self.next().await.filter(&is_it) {
                return event;
            }
        }
    }

    /// The caller hangs up; the conversation ends.
    pub async fn hangs_up(self) {
        let reason = "the caller hung up".to_owned();
        self.tells(&BridgeEvent::Ended(MediaReport { reason, ..MediaReport::default() })).await;
        let ended = async { while self.stream.recv().await.is_ok() {} };
        tokio::time::timeout(LIMIT, ended).await.expect("it ends");
    }

    async fn next(&mut self) -> Option<SessionEvent> {
        let frame = tokio::time::timeout(LIMIT, self.stream.recv()).await.expect("something comes");
        match frame.unwrap_or_else(|reason: CloseReason| panic!("it ended: {reason:?}")) {
            Frame::Binary(frame) => {
                let (utterance, audio) = read_spoken(&frame).expect("audio");
                *self.audio.entry(utterance).or_default() += audio.len() as u64 / 8;
                None
            }
            Frame::Text(text) => Some(serde_json::from_str(&text).expect("an event")),
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
