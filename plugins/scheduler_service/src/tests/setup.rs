//! An instance of the plugin among stand-ins for everything that it wants, as the tests want it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use plugin_api::{
    level::Level,
    prelude::*,
    protocol::CallHeader,
    requests::{
        host::Note,
        messaging::{ListUnprocessed, Unprocessed, UnprocessedMessage},
        scheduler::{FetchJob, Job, JobState, Schedule, Scheduled},
    },
    serde_json::{Value, json},
    testing::{TestInstance, TestPlugin, database::Database},
    tokio,
};

use crate::Scheduler;

pub const ADA: &str = "+15550000001";
const LIMIT: Duration = Duration::from_secs(60);

pub type Instance = TestInstance<Scheduler>;
type Answer = Result<Value, OperationError>;
type Script = Arc<dyn Fn(u32) -> Answer + Send + Sync>;

/// What is around the plugin: it outlives instances, as databases and other plugins do.
#[derive(Clone)]
pub struct World {
    pub database: Database,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<(CallHeader, Value)>,
    statuses: HashMap<String, String>,
    scripts: HashMap<String, Script>,
    event: Option<Value>,
    notes: Vec<Vec<String>>,
    failed: Vec<UnprocessedMessage>,
    looked_for: Vec<Vec<String>>,
}

impl World {
    pub fn new() -> Self {
        Self { database: Database::new(), state: Arc::default() }
    }

    /// A plugin has this status from now on.
    pub fn status(&self, plugin: &str, status: &str) {
        self.lock().statuses.insert(plugin.to_owned(), status.to_owned());
    }

    /// A plugin answers its calls so, the first of which has the number 1.
    pub fn answers(&self, plugin: &str, script: impl Fn(u32) -> Answer + Send + Sync + 'static) {
        self.lock().scripts.insert(plugin.to_owned(), Arc::new(script));
    }

    /// The one event of the calendar.
    pub fn event(&self, event: Option<Value>) {
        self.lock().event = event;
    }

    /// When the event begins.
    pub fn event_start(&self) -> Value {
        self.lock().event.as_ref().expect("there is one")["start"].clone()
    }

    /// `messaging_service` has this one as undelivered from now on.
    pub fn undelivered(&self, message: &str) {
        self.lost(message, "undelivered", "not delivered: carriers did not say why");
    }

    /// The same in another state, and for this reason.
    pub fn lost(&self, message: &str, state: &str, why: &str) {
        let failed = json!({
            "id": message, "inbound": false, "may_retry": true, "person": ADA, "channel": "sms", "state": state,
            "text": "hello", "attempts": 0, "error": why, "since_ms": 1,
        });
        let failed = plugin_api::serde_json::from_value(failed).expect("it is a message");
        self.lock().failed.push(failed);
    }

    /// The messages that were looked for so far, look by look.
    pub fn looked_for(&self) -> Vec<Vec<String>> {
        self.lock().looked_for.clone()
    }

    /// What a plugin was asked so far.
    pub fn calls(&self, plugin: &str) -> Vec<(CallHeader, Value)> {
        self.lock().calls.iter().filter(|(header, _)| header.plugin == plugin).cloned().collect()
    }

    /// What the plugin noted last.
    pub fn notes(&self) -> Vec<String> {
        self.lock().notes.last().cloned().unwrap_or_default()
    }

    /// An instance that has come up.
    pub async fn start(&self, settings: Value) -> Instance {
        self.start_without(&[], settings).await
    }

    /// One whose plugins.toml does not name these.
    pub async fn start_without(&self, absent: &[&str], settings: Value) -> Instance {
        let mut all = json!({
            "poll": "20ms", "backoff": "10ms", "longest_backoff": "20ms", "lease": "30s", "event_check": "50ms",
        });
        let more = settings.as_object().expect("settings are an object").clone();
        all.as_object_mut().expect("it is an object").extend(more);
        let mut plugin = self.database.serve(TestPlugin::new(all));
        for (name, operation, answer) in [
            ("messaging_service", "send", sent()),
            (
                "smtp",
                "send_email",
                json!({"message_id": "<1@x>", "accepted": ["ada@example.com"], "repeated": false}),
            ),
            ("orchestrator_service", "run", run()),
        ] {
            let world = self.clone();
            if !absent.contains(&name) {
                plugin = plugin.fake_json(name, operation, move |header, request| {
                    world.called(header, request, answer.clone())
                });
            }
        }
        let (calendar, statuses, notes) = (self.clone(), self.clone(), self.clone());
        if !absent.contains(&"messaging_service") {
            let world = self.clone();
            plugin = plugin.fake("messaging_service", move |list: ListUnprocessed| Ok(world.listed(list)));
        }
        if !absent.contains(&"google_calendar") {
            plugin = plugin.fake_json("google_calendar", "get_event", move |header, request| {
                calendar.get_event(header, request)
            });
        }
        let instance = plugin
            .fake_json("host", "status", move |_, request| Ok(statuses.status_of(&request)))
            .fake("host", move |note: Note| {
                notes.lock().notes.push(note.notes);
                Ok(())
            })
            .create()
            .unwrap_or_else(|failure| panic!("the settings are refused: {failure}"));
        instance.init().await.expect("it comes up");
        instance
    }

    fn called(&self, header: CallHeader, request: Value, answer: Value) -> Answer {
        let mut state = self.lock();
        let plugin = header.plugin.clone();
        state.calls.push((header, request));
        let number = state.calls.iter().filter(|(header, _)| header.plugin == plugin).count();
        let number = u32::try_from(number).expect("a test makes few calls");
        let script = state.scripts.get(&plugin).cloned();
        // What it does may change the world.
        drop(state);
        script.map_or(Ok(answer), |script| script(number))
    }

    fn listed(&self, list: ListUnprocessed) -> Unprocessed {
        let mut state = self.lock();
        let is_meant = |message: &&UnprocessedMessage| list.ids.is_empty() || list.ids.contains(&message.id);
        let most = list.limit.unwrap_or(100) as usize;
        let messages = state.failed.iter().filter(is_meant).take(most).cloned().collect();
        state.looked_for.push(list.ids);
        Unprocessed { open: 0, failed: state.failed.len() as u64, messages }
    }

    fn get_event(&self, header: CallHeader, request: Value) -> Answer {
        let mut state = self.lock();
        state.calls.push((header, request));
        state.event.clone().ok_or_else(|| OperationError::not_found("there is no such event"))
    }

    fn status_of(&self, request: &Value) -> Value {
        let plugin = request["plugin"].as_str().expect("it names one");
        let status = self.lock().statuses.get(plugin).cloned().unwrap_or_else(|| "connected".to_owned());
        json!({ "name": plugin, "status": status, "healthy": status == "connected" })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test panics here")
    }
}

/// What `messaging_service` answers when it has sent a message.
pub fn sent() -> Value {
    json!({
        "id": "m1", "state": "sent", "to": ADA, "channel": "sms", "parts": [{"state": "sent", "sid": "SM1"}],
        "repeated": false,
    })
}

fn run() -> Value {
    let usage = json!({"steps": 0, "tool_calls": 0, "prompt_tokens": 0, "completion_tokens": 0});
    json!({ "run": "r1", "state": "running", "usage": usage })
}

/// A message to Ada, now.
pub fn message(text: &str) -> Value {
    json!({ "message": { "to": ADA, "text": text }, "in_minutes": 0 })
}

/// An email, now.
pub fn email() -> Value {
    json!({ "email": { "to": ["ada@example.com"], "subject": "Hello", "text": "Hello" }, "in_minutes": 0 })
}

pub async fn schedule(plugin: &Instance, request: Value) -> Job {
    try_schedule(plugin, CallHeader::default(), request).await.expect("it is scheduled").job
}

pub async fn try_schedule(
    plugin: &Instance,
    header: CallHeader,
    request: Value,
) -> Result<Scheduled, OperationError> {
    let request: Schedule = plugin_api::serde_json::from_value(request).expect("it is a request");
    plugin.call_with(header, request).await
}

pub async fn fetch(plugin: &Instance, id: &str) -> Job {
    plugin.call(FetchJob { id: id.to_owned() }).await.expect("it is there")
}

/// Waits until the job has this state.
pub async fn wait_for(plugin: &Instance, id: &str, state: JobState) -> Job {
    let begun = Instant::now();
    loop {
        let job = fetch(plugin, id).await;
        if job.state == state {
            return job;
        }
        assert!(begun.elapsed() < LIMIT, "waited for {state:?}: {job:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until it is so.
pub async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A call on behalf of somebody.
pub fn of(person: &str) -> CallHeader {
    let level = Some(Level::Signed);
    CallHeader { person: Some(person.to_owned()), level, ..CallHeader::default() }
}
