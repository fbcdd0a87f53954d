//! Instances of the plugin in one world: a database, a Twilio, a memory, an assistant and a model, each of which may be
//! away; and a telephone that does with TwiML what Twilio would.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard},
};

use plugin_api::{
    level::Level,
    prelude::*,
    protocol::CallHeader,
    requests::{
        host::{Status, StatusOf},
        http::Body,
        memory::{AddTurn, AddedTurn, Summarise, ThreadSummary, Turn},
        openai::{Chat, ChatAnswer, FinishReason},
        orchestrator::{
            CancelRun, Run, RunRecord, RunReport, RunState, RunUsage, ShowRun, ToolRecord, ToolState,
        },
        sql::Transaction,
        twilio::FetchMedia,
        twilio_service::{
            CallRecord, ClaimWebhook, Delivery, FetchCall, LedgerKind, ListUndelivered, NotDelivered,
            PlaceCall, PlacedCall, ReadDelivery, SendMessage, SentMessage, SettleWebhook, Undelivered,
            UpdateCall, WebhookClaim, WebhookState,
        },
        voice::{CallRecord as Shown, ShowCall, VOICE_PATH},
    },
    serde::Serialize,
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin, database::Database, until},
    tokio,
};

use crate::VoiceAssistant;

pub const ADA: &str = "+15550000001";
pub const BOB: &str = "+15550000002";
pub const OWNER: &str = "+15550000009";
pub const PUBLIC: &str = "https://example.com";
pub const CALL: &str = "CA00000000000000000000000000000001";
/// A message that was left.
pub const LEFT: [(&str, &str); 3] =
    [("RecordingSid", "RE1"), ("RecordingUrl", "https://api.twilio.com/RE1"), ("RecordingDuration", "12")];

pub type Instance = TestInstance<VoiceAssistant>;

/// What is around the plugin.
#[derive(Clone, Default)]
pub struct World {
    pub database: Database,
    /// While somebody holds it, nothing is written.
    pub pen: Arc<Mutex<()>>,
    state: Arc<Mutex<State>>,
}

/// What the stand-ins know, and how they behave.
pub struct State {
    /// Plugins that the host says are connected.
    pub connected: BTreeSet<&'static str>,
    pub sent: BTreeMap<String, SendMessage>,
    /// What Twilio reports as not delivered.
    pub undelivered: Vec<NotDelivered>,
    pub placed: Vec<(String, PlaceCall)>,
    pub updated: Vec<UpdateCall>,
    pub claimed: BTreeSet<String>,
    /// What Twilio reported, or knows, of a call.
    pub reported: BTreeMap<String, String>,
    pub turns: Vec<(String, AddTurn)>,
    pub runs: Vec<(CallHeader, Run)>,
    pub reports: BTreeMap<String, RunReport>,
    pub cancelled: Vec<String>,
    pub chats: Vec<Chat>,
    pub twilio: Option<OperationError>,
    /// More than this a database that is far away does not do in one step in time.
    pub statements_in_time: usize,
    pub memory: Option<OperationError>,
    /// Of whom the memory can keep nothing.
    pub unmemorable: BTreeSet<&'static str>,
    pub assistant: Option<OperationError>,
    pub model: Option<OperationError>,
    /// How the model's answers end.
    pub ends: FinishReason,
    /// How a run goes.
    pub answer: fn(&Run) -> RunReport,
}

impl Default for State {
    fn default() -> Self {
        Self {
            connected: BTreeSet::from(["database", "openai", "orchestrator_service"]),
            sent: BTreeMap::new(),
            undelivered: Vec::new(),
            placed: Vec::new(),
            updated: Vec::new(),
            claimed: BTreeSet::new(),
            reported: BTreeMap::new(),
            turns: Vec::new(),
            runs: Vec::new(),
            reports: BTreeMap::new(),
            cancelled: Vec::new(),
            chats: Vec::new(),
            twilio: None,
            statements_in_time: usize::MAX,
            memory: None,
            unmemorable: BTreeSet::new(),
            assistant: None,
            model: None,
            ends: FinishReason::Stop,
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

type Plugin = TestPlugin<VoiceAssistant>;

impl World {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A host at work.
    pub async fn host(&self) -> Instance {
        self.host_with(json!({})).await
    }

    /// A host with these settings beside the public address.
    pub async fn host_with(&self, settings: Value) -> Instance {
        self.host_of(settings, |plugin| plugin).await
    }

    /// The same in a world that differs in something.
    pub async fn host_of(&self, mut settings: Value, differs: impl FnOnce(Plugin) -> Plugin) -> Instance {
        settings["public_base_url"] = json!(PUBLIC);
        start(differs(self.with_database(self.without_database(settings)))).await
    }

    /// The database, as far away as it is.
    pub fn with_database<P: crate::Plugin>(&self, plugin: TestPlugin<P>) -> TestPlugin<P> {
        let world = self.clone();
        self.database.serve(plugin).fake("database", move |transaction: Transaction| {
            if world.pen.try_lock().is_err() {
                tokio::task::block_in_place(|| drop(world.pen.lock()));
            }
            match transaction.statements.len() > world.state().statements_in_time {
                true => Err(OperationError::deadline("it is far away")),
                false => world.database.transaction(transaction),
            }
        })
    }

    /// The same without a database.
    pub async fn host_without_database(&self, settings: Value) -> Instance {
        start(self.without_database(settings)).await
    }

    fn without_database(&self, settings: Value) -> Plugin {
        let world = self.clone();
        let plugin = Plugin::new(settings).fake("host", move |asked: Status| {
            let status = match world.state().connected.contains(asked.plugin.as_str()) {
                true => "connected",
                false if asked.plugin == "realtime_call_bridge" => {
                    return Err(OperationError::not_found("there is no plugin of this name"));
                }
                false => "error",
            };
            Ok(StatusOf {
                name: asked.plugin,
                status: status.to_owned(),
                healthy: status == "connected",
                code: None,
                message: None,
            })
        });
        self.with_twilio(self.with_memory(self.with_assistant(plugin)))
    }

    fn with_twilio(&self, plugin: Plugin) -> Plugin {
        let [one, two, three, four, five, six, seven] = [0; 7].map(|_| self.clone());
        let plugin = plugin
            .fake("twilio_service", move |_: ListUndelivered| {
                let messages = seven.state().undelivered.clone();
                Ok(Undelivered { messages, truncated: false })
            })
            .fake("twilio_service", move |claim: ClaimWebhook| {
                let mut state = one.state();
                state.twilio_works()?;
                let (state, claim) = match state.claimed.insert(claim.key) {
                    true => (WebhookState::Claimed, Some("claim".to_owned())),
                    false => (WebhookState::Done, None),
                };
                Ok(WebhookClaim { state, claim, ledger: LedgerKind::Memory })
            })
            .fake("twilio_service", |_: SettleWebhook| Ok(()))
            .fake("twilio_service", |fetch: FetchMedia| Ok(super::voicemail::media(&fetch)))
            .fake_json("twilio_service", SendMessage::OPERATION, move |header, message| {
                let mut state = two.state();
                state.twilio_works()?;
                let key = header.idempotency_key.expect("every message has a key");
                state.sent.insert(key, serde_json::from_value(message).unwrap());
                Ok(to_json(SentMessage {
                    sid: format!("SM{}", state.sent.len()),
                    status: "queued".to_owned(),
                    to: OWNER.to_owned(),
                    repeated: false,
                    ledger: LedgerKind::Memory,
                }))
            });
        plugin
            .fake_json("twilio_service", PlaceCall::OPERATION, move |header, place| {
                three.place(&header, serde_json::from_value(place).unwrap()).map(to_json)
            })
            .fake("twilio_service", move |update: UpdateCall| {
                let mut state = four.state();
                state.twilio_works()?;
                let record = call_record(&update.sid, "completed");
                state.updated.push(update);
                Ok(record)
            })
            .fake("twilio_service", move |read: ReadDelivery| {
                let state = five.state();
                let status = state.reported.get(&read.sid).cloned();
                let status = status.ok_or_else(|| OperationError::not_found("nothing was reported"))?;
                Ok(Delivery { sid: read.sid, status, error_code: None, at_ms: 1 })
            })
            .fake("twilio_service", move |fetch: FetchCall| {
                let state = six.state();
                state.twilio_works()?;
                let status = state.reported.get(&fetch.sid);
                let status = status.ok_or_else(|| OperationError::not_found("there is no such call"))?;
                Ok(call_record(&fetch.sid, status))
            })
    }

    fn with_memory(&self, plugin: Plugin) -> Plugin {
        let [one, two] = [0; 2].map(|_| self.clone());
        plugin
            .fake_json("memory_service", AddTurn::OPERATION, move |header, turn| {
                one.remember(&person(&header), serde_json::from_value(turn).unwrap()).map(to_json)
            })
            .fake_json("memory_service", Summarise::OPERATION, move |header, _| {
                let turns = two.thread(&person(&header))?;
                let summary = "they met".to_owned();
                Ok(to_json(ThreadSummary {
                    summary,
                    turns,
                    tokens: 1,
                    summarised_turns: 0,
                    missing_turns: 0,
                }))
            })
    }

    fn with_assistant(&self, plugin: Plugin) -> Plugin {
        let [one, two, three, four] = [0; 4].map(|_| self.clone());
        plugin
            .fake_json("orchestrator_service", Run::OPERATION, move |header, run| {
                one.run(header, serde_json::from_value(run).unwrap()).map(to_json)
            })
            .fake("orchestrator_service", move |show: ShowRun| {
                let report = two.state().reports.get(&show.run).cloned();
                let report = report.ok_or_else(|| OperationError::not_found("there is no such run"))?;
                Ok(RunRecord {
                    report,
                    person: None,
                    goal: "a goal".to_owned(),
                    started_ms: 1,
                    changed_ms: 1,
                    detail: None,
                    calls: vec![tool_record()],
                })
            })
            .fake("orchestrator_service", move |cancel: CancelRun| {
                three.state().cancelled.push(cancel.run);
                Ok(report(RunState::Cancelled))
            })
            .fake("openai", move |chat: Chat| {
                let mut state = four.state();
                if let Some(error) = &state.model {
                    return Err(error.clone());
                }
                state.chats.push(chat);
                Ok(ChatAnswer {
                    content: Some("I can only talk.".to_owned()),
                    finish_reason: state.ends,
                    model: "test".to_owned(),
                    ..ChatAnswer::default()
                })
            })
    }

    fn place(&self, header: &CallHeader, place: PlaceCall) -> Result<PlacedCall, OperationError> {
        let mut state = self.state();
        state.twilio_works()?;
        let key = header.idempotency_key.clone().expect("every call has a key");
        let repeated = state.placed.iter().any(|(known, _)| *known == key);
        let to = place.to.clone().expect("somebody is called");
        if !repeated {
            state.placed.push((key, place));
        }
        let (sid, status) = (CALL.to_owned(), "queued".to_owned());
        Ok(PlacedCall { sid, status, to, repeated, ledger: LedgerKind::Memory })
    }

    fn remember(&self, person: &str, turn: AddTurn) -> Result<AddedTurn, OperationError> {
        let mut state = self.state();
        if let Some(error) = &state.memory {
            return Err(error.clone());
        }
        if state.unmemorable.contains(person) {
            return Err(OperationError::internal("their memory is broken"));
        }
        let repeated = state.turns.iter().any(|(of, known)| of == person && known.source == turn.source);
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

    fn run(&self, header: CallHeader, run: Run) -> Result<RunReport, OperationError> {
        let mut state = self.state();
        if let Some(error) = &state.assistant {
            return Err(error.clone());
        }
        let name = format!("run-{}", header.idempotency_key.clone().expect("every run has a key"));
        if let Some(known) = state.reports.get(&name) {
            return Ok(known.clone());
        }
        let report = RunReport { run: name.clone(), ..(state.answer)(&run) };
        state.reports.insert(name, report.clone());
        state.runs.push((header, run));
        Ok(report)
    }

    /// From now on the newest run is so.
    pub fn set_run(&self, report: RunReport) {
        let mut state = self.state();
        let name = state.reports.keys().next_back().expect("there is a run").clone();
        state.reports.insert(name.clone(), RunReport { run: name, ..report });
    }

    /// What the memory has of somebody, as `person: text`.
    pub fn said(&self, of: &str) -> Vec<String> {
        let state = self.state();
        let theirs = state.turns.iter().filter(|(person, _)| person == of);
        let line =
            |turn: &AddTurn| format!("{:?} {:?}: {}", turn.medium, turn.speaker, turn.text).to_lowercase();
        theirs.map(|(_, turn)| line(turn)).collect()
    }
}

impl State {
    fn twilio_works(&self) -> Result<(), OperationError> {
        self.twilio.clone().map_or(Ok(()), Err)
    }
}

fn call_record(sid: &str, status: &str) -> CallRecord {
    CallRecord {
        sid: sid.to_owned(),
        status: status.to_owned(),
        direction: "inbound".to_owned(),
        from: ADA.to_owned(),
        to: "+15551234567".to_owned(),
        duration_seconds: None,
        answered_by: None,
        reported: None,
    }
}

fn tool_record() -> ToolRecord {
    ToolRecord {
        step: 1,
        tool: "clock.now".to_owned(),
        arguments: "{}".to_owned(),
        state: ToolState::Answered,
        attempts: 1,
        result: Some("noon".to_owned()),
    }
}

fn as_turn(turn: AddTurn) -> Turn {
    Turn {
        id: "t".to_owned(),
        speaker: turn.speaker,
        medium: turn.medium,
        text: turn.text,
        attachments: turn.attachments,
        source: turn.source,
        at_ms: turn.at_ms.unwrap_or_default(),
        origin: turn.origin,
    }
}

async fn start(plugin: Plugin) -> Instance {
    let plugin = plugin.create().unwrap_or_else(|failure| panic!("the settings are refused: {failure}"));
    plugin.init().await.expect("it comes up");
    plugin
}

/// A caller and their telephone.
#[derive(Clone)]
pub struct Phone {
    pub call: String,
    pub from: String,
    /// Whom the guard names.
    pub person: Option<String>,
    /// How certain it is that it is they.
    pub level: Level,
}

impl Phone {
    /// Ada, whose number is verified.
    pub fn ada() -> Self {
        Self {
            call: CALL.to_owned(),
            from: ADA.to_owned(),
            person: Some(ADA.to_owned()),
            level: Level::Attested,
        }
    }

    /// Bob, who is known, too.
    pub fn bob() -> Self {
        let call = "CA00000000000000000000000000000002".to_owned();
        Self { call, from: BOB.to_owned(), person: Some(BOB.to_owned()), level: Level::Attested }
    }

    /// Delivers a webhook as the host does behind the guard; the TwiML of the answer.
    #[track_caller]
    pub fn post(&self, host: &Instance, path: &str, more: &[(&str, &str)]) -> impl Future<Output = String> {
        let place = std::panic::Location::caller();
        let mut form = vec![("CallSid", self.call.as_str()), ("From", self.from.as_str())];
        if !more.iter().any(|(name, _)| *name == "CallStatus") {
            form.push(("CallStatus", "in-progress"));
        }
        form.extend(more);
        let request = request(path, &form);
        let level = Some(self.level);
        let header = CallHeader { person: self.person.clone(), level, ..CallHeader::default() };
        let header = CallHeader { operation: operation_of(path), ..header };
        async move {
            let answer = host.call_json_with(header, to_json(request)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{place}: {error}"));
            let answer: HttpResponse = serde_json::from_value(answer).unwrap();
            assert_eq!(answer.status, 200, "{place}");
            let Body::Text(twiml) = answer.body else { panic!("{place}: it answers no text") };
            twiml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("it is XML").to_owned()
        }
    }

    /// Rings up.
    pub async fn ring(&self, host: &Instance) -> String {
        self.post(host, "", &[("CallStatus", "ringing"), ("Direction", "inbound")]).await
    }

    /// Says something where the TwiML listens, and goes where it leads until something is said or asked.
    pub async fn say(&self, host: &Instance, twiml: &str, words: &str) -> String {
        self.post(host, &action(twiml), &[("SpeechResult", words), ("Confidence", "0.9")]).await
    }
}

/// The path below the voice webhook that a verb leads to.
#[track_caller]
pub fn action(twiml: &str) -> String {
    let found = attribute(twiml, "action").unwrap_or_else(|| panic!("it leads nowhere: {twiml}"));
    below(&found)
}

/// Where `<Redirect>` leads.
#[track_caller]
pub fn redirect(twiml: &str) -> String {
    let rest = twiml.split("<Redirect method=\"POST\">").nth(1);
    let found = rest.and_then(|rest| rest.split('<').next());
    below(&found.unwrap_or_else(|| panic!("it does not redirect: {twiml}")).replace("&amp;", "&"))
}

fn below(address: &str) -> String {
    let path = address.strip_prefix(PUBLIC).unwrap_or(address);
    path.strip_prefix(VOICE_PATH).expect("it is one of ours").to_owned()
}

/// The first attribute of this name.
pub fn attribute(twiml: &str, name: &str) -> Option<String> {
    let rest = twiml.split(&format!(" {name}=\"")).nth(1)?;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}

/// What is spoken, in order.
pub fn spoken(twiml: &str) -> Vec<String> {
    let says = twiml.split("<Say ").skip(1);
    says.filter_map(|say| Some(say.split_once('>')?.1.split("</Say>").next()?.to_owned())).collect()
}

fn operation_of(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let known = crate::WEBHOOKS.iter().find(|(known, _)| *known == path);
    known.unwrap_or_else(|| panic!("nothing takes `{path}`")).1.to_owned()
}

/// A form as a route receives it.
pub fn request(path: &str, pairs: &[(&str, &str)]) -> HttpRequest {
    let encoded: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    HttpRequest {
        method: "POST".to_owned(),
        url: format!("{PUBLIC}{VOICE_PATH}{path}"),
        query: path.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
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

fn to_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

/// A call as it is shown.
pub async fn shown(host: &Instance) -> Shown {
    host.call(ShowCall { call: CALL.to_owned() }).await.expect("it is kept")
}

/// What was said and done in a call, a line each.
pub async fn lines(host: &Instance) -> Vec<String> {
    use plugin_api::requests::voice::CallEvent::{FirstAudio, Interruption, Note, Said, Tool};
    let line = |event: plugin_api::requests::voice::CallEvent| match event {
        Said { speaker, text, .. } => format!("{speaker:?}: {text}").to_lowercase(),
        Tool { tool, result, .. } => format!("{tool}: {result}"),
        FirstAudio { after_ms } => format!("first audio {after_ms}"),
        Interruption { after_ms } => format!("interruption {after_ms}"),
        Note { text } => format!("({text})"),
    };
    shown(host).await.entries.into_iter().map(|entry| line(entry.what)).collect()
}

/// Waits until an answer satisfies.
#[track_caller]
pub fn wait<T: Debug, F: Future<Output = T>>(
    mut ask: impl FnMut() -> F,
    satisfies: impl Fn(&T) -> bool,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move { until(&format!("what is asked for at {place}"), async || ask().await, satisfies).await }
}
