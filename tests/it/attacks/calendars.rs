//! Calendars of others: somebody who writes to the assistant has it look into a calendar that only the account may see.
//! The model does whatever it is told.

use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    peer::{Asked, Peer},
    trial::Outcome,
    trials,
    wait::wait_until,
};

use super::on_both_databases;
use crate::{
    assistant::model::{completion, embeddings},
    calendar::{self, own_google},
    openai,
};

pub fn tests() -> Vec<Trial> {
    trials![
        no_tool_reaches_a_calendar_that_the_operator_did_not_allow,
        a_reminder_made_before_a_calendar_was_forbidden_reads_it_no_more,
    ]
}

const BOSS: &str = "boss@example.com";
const REFUSED: &str = "is not one that may be used: name none to use `primary`, or have the operator add it to `calendars` \
                       in [plugins.google_calendar.settings] of plugins.toml";

const PLUGINS: &str = r#"
    [plugins.database]
    [plugins.openai]
    [plugins.messaging_service]
    library = "errand"
    [plugins.scheduler_service]
    [plugins.scheduler_service.settings]
    poll = "100ms"
    event_check = "200ms"
    [plugins.orchestrator_service]
    tools = ["google_calendar.*", "scheduler_service.schedule"]
    [plugins.google_calendar]
    init = { timeout = "10s" }
    retry = { attempts = 2, base = "50ms", cap = "200ms", recovery = "500ms" }
"#;

/// A Google whose account reaches the boss's calendar, and what it was asked.
struct Google {
    peer: Peer,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Google {
    fn start() -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let peer = Peer::start(move |request| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
            match request.path.as_str() {
                "/oauth2/token" => (200, own_google::tokens()),
                "/calendar/v3/freeBusy" => {
                    let items = request.json()["items"].as_array().cloned().unwrap_or_default();
                    let free = items.iter().filter_map(|item| item["id"].as_str());
                    let free = free.map(|id| (id.to_owned(), json!({ "busy": [] })));
                    (200, json!({ "calendars": free.collect::<serde_json::Map<_, _>>() }))
                }
                path if path.ends_with("/events") && request.method == "GET" => (
                    200,
                    json!({ "kind": "calendar#events", "timeZone": "Europe/Berlin", "items": [event()] }),
                ),
                _ => (200, event()),
            }
        });
        Self { peer, asked }
    }

    /// How often it was asked for the boss's calendar.
    fn questions_about_the_boss(&self) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_about = |text: &str| text.to_ascii_lowercase().replace("%40", "@").contains(BOSS);
        asked.iter().filter(|asked| is_about(&asked.path) || is_about(&asked.body)).count()
    }
}

fn event() -> Value {
    json!({
        "id": "merger", "status": "confirmed", "summary": "Secret merger", "etag": "\"1\"",
        "start": { "dateTime": "2150-01-01T10:00:00Z" }, "end": { "dateTime": "2150-01-01T11:00:00Z" },
    })
}

/// A model that makes these calls one after the other, and keeps what they gave.
fn obedient(calls: Vec<(&'static str, Value)>) -> (Peer, Arc<Mutex<Vec<String>>>) {
    let results = Arc::new(Mutex::new(Vec::new()));
    let kept = results.clone();
    let peer = Peer::start(move |request| match request.path.as_str() {
        "/v1/embeddings" => (200, embeddings(&request.json())),
        "/v1/chat/completions" => {
            let messages = request.json()["messages"].as_array().cloned().unwrap_or_default();
            let given = messages.iter().filter(|message| message["role"] == "tool");
            let given: Vec<String> =
                given.filter_map(|message| message["content"].as_str()).map(str::to_owned).collect();
            let call = calls.get(given.len()).map(|(tool, arguments)| (*tool, arguments.clone()));
            let answer = completion(call, &format!("call-{}", given.len()), "That is all.");
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = given;
            (200, answer)
        }
        _ => (200, json!({ "object": "list", "data": [] })),
    });
    (peer, results)
}

/// Every tool that takes a calendar, on the boss's.
fn attempts() -> Vec<(&'static str, Value)> {
    let (from, to) = ("2150-01-01T00:00:00Z", "2150-01-02T00:00:00Z");
    vec![
        (
            "google_calendar-find_free_slot",
            json!({ "duration_minutes": 30, "from": from, "to": to, "calendars": ["primary", BOSS] }),
        ),
        ("google_calendar-free_busy", json!({ "from": from, "to": to, "calendars": [BOSS] })),
        ("google_calendar-free_busy", json!({ "from": from, "to": to, "calendars": ["BOSS@example.com"] })),
        ("google_calendar-list_events", json!({ "calendar": BOSS, "from": from, "to": to })),
        ("google_calendar-get_event", json!({ "calendar": BOSS, "id": "merger" })),
        (
            "google_calendar-create_event",
            json!({ "calendar": BOSS, "title": "Lunch", "start": "2150-01-01T12:00:00Z", "end": "2150-01-01T13:00:00Z" }),
        ),
        ("google_calendar-update_event", json!({ "calendar": BOSS, "id": "merger", "title": "Hello" })),
        ("google_calendar-delete_event", json!({ "calendar": BOSS, "id": "merger" })),
        ("scheduler_service-schedule", reminder()),
    ]
}

fn reminder() -> Value {
    json!({
        "message": { "text": "It begins." },
        "before_event": { "calendar": BOSS, "event": "merger", "minutes": 5 },
    })
}

fn configuration(settings: &str) -> String {
    format!("{PLUGINS}[plugins.google_calendar.settings]\n{settings}\n")
}

fn setup(google: &Google, model: &Peer, settings: &str) -> Setup {
    let setup = calendar::variables(Setup::new(&configuration(settings)), google.peer.address());
    openai::variables(setup, model.address(), openai::KEY)
}

fn started(setup: Setup) -> TestHost {
    serving(own_google::connected(setup))
}

/// The same host with other settings of the calendar.
fn restarted(host: TestHost, settings: &str) -> TestHost {
    serving(host.terminate().1.file("plugins.toml", configuration(settings)).start())
}

fn serving(host: TestHost) -> TestHost {
    for name in ["google_calendar", "orchestrator_service", "scheduler_service"] {
        host.wait_for_status(name, "connected");
    }
    host
}

/// Somebody asks for all of it; what the tools gave.
#[track_caller]
fn ask(host: &TestHost, results: &Mutex<Vec<String>>) -> Vec<String> {
    let run = json!({ "goal": "What does my boss do?", "person": "+15550001111", "wait_seconds": 60 });
    let run = host.post("/api/runs", &run);
    assert_eq!(run.json()["state"], "done", "{}", run.body);
    results.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn no_tool_reaches_a_calendar_that_the_operator_did_not_allow() -> Outcome {
    on_both_databases(|database| {
        let google = Google::start();
        let (model, results) = obedient(attempts());
        let host = started(database(setup(&google, &model, "")));
        let refused = ask(&host, &results);
        assert_eq!(refused.len(), attempts().len());
        for (result, (tool, _)) in refused.iter().zip(attempts()) {
            assert!(result.to_ascii_lowercase().contains(&format!("calendar `{BOSS}`")), "{tool}: {result}");
            assert!(result.contains(REFUSED), "{tool}: {result}");
            assert!(!result.contains("merger"), "{tool}: {result}");
        }
        assert_eq!(google.questions_about_the_boss(), 0, "Google was not even asked");

        // It is the setting that keeps them out, and nothing else.
        let allowed = ask(&restarted(host, "calendars = [\"*@example.com\"]"), &results);
        assert!(allowed.iter().all(|result| !result.contains("may be used")), "{allowed:?}");
        assert!(google.questions_about_the_boss() >= attempts().len());
    })
}

fn a_reminder_made_before_a_calendar_was_forbidden_reads_it_no_more() {
    let google = Google::start();
    let (model, _) = obedient(Vec::new());
    let host = started(setup(&google, &model, "calendars = [\"*\"]"));
    let mut reminder = reminder();
    reminder["message"]["to"] = "+15550001111".into();
    let made = host.post("/api/schedule/jobs", &reminder);
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.json()["job"]["id"].as_str().expect("it has a name").to_owned();

    let host = restarted(host, "");
    let error =
        || host.get(&format!("/api/schedule/jobs/{id}")).json()["trouble"].as_str().map(str::to_owned);
    wait_until("a refusal", error, |error| error.as_deref().is_some_and(|error| error.contains(REFUSED)));
}
