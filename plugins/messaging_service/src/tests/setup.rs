//! Instances of the plugin in one world: a database, a Twilio, a memory, and perhaps an assistant, each of which may be
//! away for a while.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, mpsc},
};

use plugin_api::{
    message,
    prelude::*,
    protocol::CallHeader,
    requests::{
        http::Body,
        memory::{
            AddTurn, AddedTurn, MemoryKind, ReadThread, Speaker, Summarise, Thread, ThreadSummary, Turn,
        },
        messaging::{ListUnprocessed, UnprocessedMessage},
        orchestrator::{FetchRun, Run, RunReport, RunState, RunUsage},
        twilio::{FetchMedia, Media},
        twilio_service::{
            FindMessage, FoundMessage, LedgerKind, ListOptOuts, ListUndelivered, NotDelivered, OptOuts,
            RecordOptOut, SendMessage, SentMessage, Undelivered,
        },
    },
    serde::{Serialize, de::DeserializeOwned},
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin, database::Database, until},
    tokio,
};

use crate::MessagingService;

pub const ADA: &str = "+15550000001";
pub const BOB: &str = "+15550000002";

pub type Instance = TestInstance<MessagingService>;

/// What is around the plugin.
#[derive(Clone, Default)]
pub struct World {
    pub database: Database,
    state: Arc<Mutex<State>>,
    held: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

/// What the stand-ins know, and how they behave.
pub struct State {
    pub sent: Vec<(String, SendMessage)>,
    /// What Twilio reported as not delivered.
    pub undelivered: Vec<NotDelivered>,
    /// How often somebody asked for all of it.
    pub looks: usize,
    pub opt_outs: BTreeSet<String>,
    pub turns: Vec<(String, AddTurn)>,
    pub runs: Vec<(String, Run)>,
    pub reports: BTreeMap<String, RunReport>,
    /// What Twilio says to what it is sent, if it does not take it; `true`: it takes it all the same.
    pub twilio: Option<(OperationError, bool)>,
    /// What `twilio_service` says of what it sent, in place of what it knows.
    pub find: Option<Find>,
    pub memory: Option<OperationError>,
    pub assistant: Option<OperationError>,
    /// How a run goes.
    pub answer: fn(&Run) -> RunReport,
}

/// An answer to whether a message went.
type Find = Arc<dyn Fn() -> Result<FoundMessage, OperationError> + Send + Sync>;

impl Default for State {
    fn default() -> Self {
        Self {
            sent: Vec::new(),
            undelivered: Vec::new(),
            looks: 0,
            opt_outs: BTreeSet::new(),
            turns: Vec::new(),
            runs: Vec::new(),
            reports: BTreeMap::new(),
            twilio: None,
            find: None,
            memory: None,
            assistant: None,
            answer: |run| done(&format!("re: {}", run.goal)),
        }
    }
}

/// A run that is done.
pub fn done(answer: &str) -> RunReport {
    RunReport { answer: Some(answer.to_owned()), ..report(RunState::Done) }
}

/// A run that is this far.
pub fn report(state: RunState) -> RunReport {
    RunReport {
        run: String::new(),
        state,
        answer: None,
        error: None,
        waiting_for: Vec::new(),
        held_by: Vec::new(),
        undelivered: Vec::new(),
        repeated: false,
        usage: RunUsage::default(),
    }
}

pub fn away() -> OperationError {
    OperationError::unavailable("it is away")
}

/// A message as the route takes it.
#[message]
#[serde(transparent)]
pub struct Receive(HttpRequest);

impl Request for Receive {
    const OPERATION: &'static str = "receive";
    type Response = HttpResponse;
}

impl World {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A host with an assistant, at work.
    pub async fn host(&self) -> Instance {
        self.host_with(json!({})).await
    }

    pub async fn host_with(&self, settings: Value) -> Instance {
        let [one, two] = [self.clone(), self.clone()];
        let plugin = self.plugin(settings);
        let plugin = plugin
            .fake_json("orchestrator_service", Run::OPERATION, move |header, run| {
                one.run(&header, serde_json::from_value(run).unwrap()).map(to_json)
            })
            .fake("orchestrator_service", move |fetch: FetchRun| two.fetch(&fetch));
        start(plugin).await
    }

    /// Whether the next run that was to be held is.
    pub fn is_holding(&self) -> bool {
        self.held.lock().unwrap().is_none()
    }

    /// A host without an assistant, at work.
    pub async fn host_alone(&self, settings: Value) -> Instance {
        start(self.plugin(settings)).await
    }

    fn plugin(&self, settings: Value) -> TestPlugin<MessagingService> {
        self.with_memory(self.with_twilio(self.database.serve(TestPlugin::new(settings))))
    }

    fn with_twilio(&self, plugin: TestPlugin<MessagingService>) -> TestPlugin<MessagingService> {
        let [one, two, three, four, five] = [0; 5].map(|_| self.clone());
        plugin
            .fake("twilio_service", move |list: ListUndelivered| Ok(four.reported(&list)))
            .fake_json("twilio_service", SendMessage::OPERATION, move |header, message| {
                one.send(&header, serde_json::from_value(message).unwrap()).map(to_json)
            })
            .fake("twilio_service", move |find: FindMessage| five.find(&find.key))
            .fake("twilio_service", move |record: RecordOptOut| {
                let mut state = two.state();
                match record.opted_out {
                    true => state.opt_outs.insert(record.address),
                    false => state.opt_outs.remove(&record.address),
                };
                Ok(())
            })
            .fake("twilio_service", move |list: ListOptOuts| {
                let of = list.address.expect("one is asked for");
                let addresses =
                    three.state().opt_outs.iter().filter(|known| **known == of).cloned().collect();
                Ok(OptOuts { addresses, truncated: false })
            })
            .fake("twilio_service", |fetch: FetchMedia| {
                assert_eq!(fetch.max_bytes, Some(5 * 1024 * 1024));
                Ok(Media { content_type: Some("image/png".to_owned()), content: "AQID".to_owned() })
            })
    }

    fn with_memory(&self, plugin: TestPlugin<MessagingService>) -> TestPlugin<MessagingService> {
        let [one, two, three] = [0; 3].map(|_| self.clone());
        plugin
            .fake_json("memory_service", AddTurn::OPERATION, move |header, turn| {
                one.remember(&person(&header), serde_json::from_value(turn).unwrap()).map(to_json)
            })
            .fake_json("memory_service", Summarise::OPERATION, move |header, _| {
                let turns = two.thread(&person(&header))?;
                Ok(to_json(ThreadSummary {
                    summary: "they met".to_owned(),
                    turns,
                    tokens: 1,
                    summarised_turns: 0,
                    missing_turns: 0,
                }))
            })
            .fake_json("memory_service", ReadThread::OPERATION, move |header, _| {
                let person = person(&header);
                let turns = three.thread(&person)?;
                Ok(to_json(Thread { person, display_name: None, turns, summary: None, earlier: None }))
            })
    }

    fn send(&self, header: &CallHeader, message: SendMessage) -> Result<SentMessage, OperationError> {
        let mut state = self.state();
        let key = header.idempotency_key.clone().expect("every message has a key");
        let sent = |index: usize, repeated| SentMessage {
            sid: sid_of(index),
            status: "queued".to_owned(),
            to: String::new(),
            repeated,
            ledger: LedgerKind::Database,
        };
        let opted_out =
            state.opt_outs.contains(&message.channel.address(message.to.as_deref().unwrap_or_default()));
        let trouble = state.twilio.clone();
        if trouble.is_none()
            && let Some(index) = state.sent.iter().position(|(known, _)| *known == key)
        {
            return Ok(sent(index, true));
        }
        if trouble.is_none() && opted_out {
            return Err(OperationError::denied("not sent: they opted out"));
        }
        if trouble.as_ref().is_none_or(|(_, takes)| *takes)
            && !state.sent.iter().any(|(known, _)| *known == key)
        {
            state.sent.push((key, message));
        }
        trouble.map_or_else(|| Ok(sent(state.sent.len() - 1, false)), |(error, _)| Err(error))
    }

    /// What the ledger knows: Twilio need not be there for it.
    fn find(&self, key: &str) -> Result<FoundMessage, OperationError> {
        let find = self.state().find.clone();
        if let Some(find) = find {
            return find();
        }
        let state = self.state();
        if let Some((error, _)) =
            state.twilio.as_ref().filter(|(error, _)| error.kind == ErrorKind::UnknownOutcome)
        {
            return Ok(FoundMessage::Open { why: error.message.clone() });
        }
        let found = state.sent.iter().position(|(known, _)| known == key);
        let sent = |index| FoundMessage::Sent { sid: sid_of(index), status: "queued".to_owned() };
        Ok(found.map_or(FoundMessage::NotSent, sent))
    }

    fn reported(&self, list: &ListUndelivered) -> Undelivered {
        let mut state = self.state();
        let is_after = |report: &&NotDelivered| {
            (report.at_ms, report.sid.as_str()) > (list.after_ms, list.after_sid.as_str())
        };
        let mut messages: Vec<_> = state.undelivered.iter().filter(is_after).cloned().collect();
        messages.sort_by(|one, other| (one.at_ms, &one.sid).cmp(&(other.at_ms, &other.sid)));
        let most = list.limit.unwrap_or(100) as usize;
        let truncated = messages.len() > most;
        messages.truncate(most);
        state.looks += usize::from(!truncated);
        Undelivered { messages, truncated }
    }

    fn remember(&self, person: &str, turn: AddTurn) -> Result<AddedTurn, OperationError> {
        let mut state = self.state();
        if let Some(error) = &state.memory {
            return Err(error.clone());
        }
        let is_known = |(of, known): &(String, AddTurn)| of == person && known.source == turn.source;
        let repeated = state.turns.iter().any(is_known);
        if !repeated {
            state.turns.push((person.to_owned(), turn));
        }
        Ok(AddedTurn { id: "t".to_owned(), repeated })
    }

    fn thread(&self, person: &str) -> Result<Vec<Turn>, OperationError> {
        let state = self.state();
        if let Some(error) = &state.memory {
            return Err(error.clone());
        }
        let theirs = state.turns.iter().filter(|(of, _)| of == person);
        Ok(theirs.map(|(_, turn)| as_turn(turn.clone())).collect())
    }

    /// The next run is held until the sender is used, or gone.
    pub fn holds_a_run(&self) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel();
        *self.held.lock().unwrap() = Some(held);
        release
    }

    fn run(&self, header: &CallHeader, run: Run) -> Result<RunReport, OperationError> {
        let held = self.held.lock().unwrap().take();
        if let Some(held) = held {
            // Released or gone, it goes on.
            let _ = tokio::task::block_in_place(|| held.recv());
        }
        let mut state = self.state();
        if let Some(error) = &state.assistant {
            return Err(error.clone());
        }
        let key = header.idempotency_key.clone().expect("every run has a key");
        let name = format!("run-{key}");
        if let Some(known) = state.reports.get(&name) {
            return Ok(known.clone());
        }
        let report = RunReport { run: name.clone(), ..(state.answer)(&run) };
        state.reports.insert(name, report.clone());
        state.runs.push((person(header), run));
        Ok(report)
    }

    fn fetch(&self, fetch: &FetchRun) -> Result<RunReport, OperationError> {
        let known = self.state().reports.get(&fetch.run).cloned();
        known.ok_or_else(|| OperationError::not_found("there is no such run"))
    }

    /// From now on this run is so.
    pub fn set_run(&self, run: &str, report: RunReport) {
        self.state().reports.insert(run.to_owned(), RunReport { run: run.to_owned(), ..report });
    }

    /// The texts that Twilio was given, in order.
    pub fn texts(&self) -> Vec<String> {
        let sent = &self.state().sent;
        sent.iter().map(|(_, message)| message.body.clone().unwrap_or_default()).collect()
    }

    /// Waits until Twilio was given these texts, and no others, and nothing is under way.
    #[track_caller]
    pub fn wait_for_texts(&self, host: &Instance, expected: &[&str]) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let texts = wait(place, || async { self.texts() }, |texts| texts.len() >= expected.len()).await;
            assert_eq!(texts, expected, "{place}");
            self.settles(host).await;
            assert_eq!(self.texts(), expected, "{place}");
        }
    }

    /// Waits until nothing is under way.
    #[track_caller]
    pub fn settles(&self, host: &Instance) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            wait(place, || open(host), |open| open.is_empty()).await;
        }
    }

    /// Waits until this many are shown as failed.
    #[track_caller]
    pub fn wait_for_failed(&self, host: &Instance, expected: u64) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        let failed = async || host.call(ListUnprocessed::default()).await.map_or(0, |open| open.failed);
        async move {
            wait(place, failed, |failed| *failed == expected).await;
        }
    }

    /// Waits until it was asked twice more for what did not arrive: the first time may have begun before.
    #[track_caller]
    pub fn wait_for_looks(&self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        let before = self.state().looks;
        async move {
            wait(place, || async { self.state().looks }, |looks| *looks >= before + 2).await;
        }
    }

    /// What was said, as `sms person: text`.
    pub fn said(&self, of: &str) -> Vec<String> {
        let state = self.state();
        let theirs = state.turns.iter().filter(|(person, _)| person == of);
        let line =
            |turn: &AddTurn| format!("{:?} {:?}: {}", turn.medium, turn.speaker, turn.text).to_lowercase();
        theirs.map(|(_, turn)| line(turn)).collect()
    }
}

fn sid_of(index: usize) -> String {
    format!("SMout{index}")
}

async fn open(host: &Instance) -> Vec<UnprocessedMessage> {
    let listed = host.call(ListUnprocessed::default()).await.expect("the database is there");
    let over = ["failed", "undelivered", "unanswerable", "unknown_outcome"];
    let is_open = |message: &UnprocessedMessage| !over.contains(&message.state.as_str());
    listed.messages.into_iter().filter(is_open).collect()
}

/// Waits until an answer satisfies.
pub async fn wait<T: Debug, F: Future<Output = T>>(
    place: &std::panic::Location<'_>,
    mut ask: impl FnMut() -> F,
    satisfies: impl Fn(&T) -> bool,
) -> T {
    until(&format!("what is asked for at {place}"), async || ask().await, satisfies).await
}

async fn start(plugin: TestPlugin<MessagingService>) -> Instance {
    let plugin = plugin.create().unwrap_or_else(|failure| panic!("the settings are refused: {failure}"));
    plugin.init().await.expect("it comes up");
    plugin
}

/// Delivers a message of a person, as the host does behind the guard.
pub async fn deliver(host: &Instance, person: &str, form: &[(&str, &str)]) -> Result<u16, OperationError> {
    let is_person = person.starts_with('+');
    let from = form.iter().any(|(name, _)| *name == "From");
    let mut pairs: Vec<_> = form.to_vec();
    if !from {
        pairs.push(("From", person));
    }
    let header = CallHeader { person: is_person.then(|| person.to_owned()), ..CallHeader::default() };
    let answer = host.call_with(header, Receive(request(&pairs))).await?;
    assert_eq!(answer.body, Body::Text("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>".to_owned()));
    Ok(answer.status)
}

/// Delivers an SMS.
pub async fn text(host: &Instance, person: &str, sid: &str, body: &str) {
    let taken = deliver(host, person, &[("MessageSid", sid), ("Body", body)]).await;
    assert_eq!(taken, Ok(200), "{body}");
}

/// Delivers a message by WhatsApp.
pub async fn whatsapp(host: &Instance, person: &str, sid: &str, body: &str) {
    let from = format!("whatsapp:{person}");
    let form = [("MessageSid", sid), ("Body", body), ("From", &from), ("ProfileName", "Ada L.")];
    assert_eq!(deliver(host, person, &form).await, Ok(200), "{body}");
}

/// A form as a route receives it.
pub fn request(pairs: &[(&str, &str)]) -> HttpRequest {
    let encoded: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    HttpRequest {
        method: "POST".to_owned(),
        url: "https://a/webhooks/twilio/inbound-message".to_owned(),
        body: Body::Text(encoded.join("&")),
        ..HttpRequest::default()
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn person(header: &CallHeader) -> String {
    header.person.clone().expect("it is on behalf of a person")
}

fn as_turn(turn: AddTurn) -> Turn {
    Turn {
        id: format!("{:?}", MemoryKind::Turn),
        speaker: turn.speaker,
        medium: turn.medium,
        text: turn.text,
        attachments: turn.attachments,
        source: turn.source,
        at_ms: turn.at_ms.unwrap_or_default(),
        origin: turn.origin,
    }
}

/// Whether the assistant said it.
pub fn is_assistant(turn: &AddTurn) -> bool {
    turn.speaker == Speaker::Assistant
}

fn to_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// The response of a route as what its operation answers.
pub async fn route<T: DeserializeOwned>(
    host: &Instance,
    operation: &str,
    request: HttpRequest,
) -> Result<T, OperationError> {
    let answer = host.call_json(operation, to_json(request)).await?;
    let answer: HttpResponse = serde_json::from_value(answer).unwrap();
    Ok(serde_json::from_slice(&answer.body.bytes()?).unwrap())
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    plugin_api::jiff::Timestamp::now().as_millisecond()
}
