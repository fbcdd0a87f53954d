//! The whole story, with every plugin that ships and partners for the world: somebody texts, the assistant looks for time,
//! makes an event and writes a mail once a person has agreed, schedules a reminder and sends it, and answers. The host is
//! killed after each step, and nothing is done twice.

pub mod model;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    partners::{Missing, free_port, node::NodeServer, postgres::Postgres, smtp::SmtpServer},
    trial::Outcome,
    trials,
    wait::wait_until,
};

use crate::{calendar, openai, shipped, twilio};
use model::{ANSWER, GUEST, Model, REMINDER, THOUGHT, TITLE};

pub fn tests() -> Vec<Trial> {
    trials![
        a_text_becomes_an_event_a_mail_a_reminder_and_an_answer_on_sqlite,
        a_text_becomes_an_event_a_mail_a_reminder_and_an_answer_on_postgresql,
    ]
}

const PERSON: &str = "+15550000001";
const APPROVER: &str = "boss@example.com";
const FORM: &str = "application/x-www-form-urlencoded";

fn a_text_becomes_an_event_a_mail_a_reminder_and_an_answer_on_sqlite() -> Outcome {
    story(|setup| setup)
}

fn a_text_becomes_an_event_a_mail_a_reminder_and_an_answer_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    story(|setup| setup.env("DATABASE_URL", &postgres.url()))
}

/// The world around the host.
struct World {
    model: Model,
    twilio: NodeServer,
    google: NodeServer,
    mails: SmtpServer,
    public: String,
}

impl World {
    fn start() -> Result<(Self, u16), Missing> {
        let port = free_port();
        let public = format!("http://127.0.0.1:{port}");
        let twilio = twilio::server_for(&format!("{public}/webhooks/twilio/inbound-message"))?;
        let (google, mails) = (calendar::google()?, SmtpServer::start(&[])?);
        Ok((Self { model: Model::start(), twilio, google, mails, public }, port))
    }

    /// The configuration that ships; a host that was killed is given up sooner than it says.
    fn setup(&self, port: u16) -> Setup {
        let mut text = shipped::text();
        for service in ["orchestrator_service", "scheduler_service"] {
            let section = format!("[plugins.{service}.settings]\n");
            assert!(text.contains(&section), "plugins.toml has {section}");
            text = text.replace(&section, &format!("{section}lease = \"2s\"\n"));
        }
        // As a setting of plugins: the host itself would ask for its operator's token.
        let text = text.replace("${PUBLIC_BASE_URL}", &self.public);
        let setup = calendar::variables(Setup::new(&text), self.google.address());
        let setup = twilio::variables(setup, self.twilio.address());
        openai::variables(setup, self.model.address(), openai::KEY)
            .env("SMTP_SERVER", "127.0.0.1")
            .env("SMTP_PORT", &self.mails.port().to_string())
            .env("SMTP_TLS", "none")
            .env("SMTP_FROM_EMAIL", "switchboard@example.com")
            .env("ORCHESTRATOR_APPROVER", APPROVER)
            .env("SWITCHBOARD_LISTEN", &format!("127.0.0.1:{port}"))
    }

    /// The mails to somebody.
    fn mails_to(&self, address: &str) -> Vec<Value> {
        let mails = self.mails.mails().into_iter();
        mails.filter(|mail| mail["to"] == json!([address])).collect()
    }

    /// What the person was sent.
    fn texts(&self) -> Vec<String> {
        let messages = twilio::taken(&self.twilio, "Messages");
        let to_person = messages.iter().filter(|message| message["to"] == PERSON);
        to_person.filter_map(|message| message["body"].as_str()).map(str::to_owned).collect()
    }

    /// Whether the person was sent this. The stand-in of Twilio wants to be asked seldom.
    #[track_caller]
    fn wait_for_text(&self, text: &str) {
        wait_until("a text to the person", || self.texts(), |texts| texts.iter().any(|sent| sent == text));
    }
}

#[track_caller]
fn start(setup: Setup) -> TestHost {
    let host = setup.start();
    for name in
        ["database", "twilio", "openai", "smtp", "google_calendar", "messaging_service", "scheduler_service"]
    {
        host.wait_for_status(name, "connected");
    }
    host
}

fn story(database: impl Fn(Setup) -> Setup) -> Outcome {
    let (world, port) = World::start()?;
    let host = database(world.setup(port)).start();
    calendar::connect(&host, &world.google);
    let host = start(host.kill());

    let text = "Find%20time%20for%20a%20call%20with%20Bob%2C%20and%20remind%20me";
    twilio::simulate(
        &world.twilio,
        "inbound-message",
        &format!("To=%2B15551234567&From=%2B15550000001&Body={text}"),
    );
    let host = start(host.kill());

    let waiting = wait_for_question(&host, "google_calendar.create_event");
    let host = start(host.kill());
    assert_eq!(wait_for_question(&host, "google_calendar.create_event")["run"], waiting["run"]);
    approve_by_link(&world, &host);
    let host = start(host.kill());

    let waiting = wait_for_question(&host, "smtp.send_email");
    assert_eq!(world.mails_to(GUEST).len(), 0, "it is not sent before somebody agrees");
    let host = start(host.kill());
    approve_by_command(&host, &waiting);
    let host = start(host.kill());
    settle_doubts(&world, &host, waiting["run"].as_str().expect("it has a name"));

    let host = start(host.kill());
    world.wait_for_text(ANSWER);
    let host = start(host.kill());
    world.wait_for_text(REMINDER);
    let host = start(host.kill());
    it_was_all_done_once(&world, &host);
    Ok(())
}

/// The one run, once it asks whether this tool may be called.
#[track_caller]
fn wait_for_question(host: &TestHost, tool: &str) -> Value {
    let runs = || host.get("/api/runs").json()["runs"].as_array().cloned().unwrap_or_default();
    let begun = wait_until("the run", runs, |runs| !runs.is_empty());
    assert_eq!(begun.len(), 1, "one text, one run: {begun:?}");
    let run = begun[0]["run"].as_str().expect("it has a name");
    wait_until(
        &format!("a question about {tool}"),
        || report(host, run),
        |report| {
            let asked = &report["waiting_for"][0];
            asked["tool"] == tool && asked["question"] == "approval"
        },
    )
}

/// How a run goes.
#[track_caller]
fn report(host: &TestHost, run: &str) -> Value {
    host.call("orchestrator_service", "fetch_run", &json!({ "run": run })).json()
}

/// The approver follows the link of the mail; looking at the page decides nothing.
#[track_caller]
fn approve_by_link(world: &World, host: &TestHost) {
    let mails = wait_until("the approver to be told", || world.mails_to(APPROVER), |mails| !mails.is_empty());
    let text = mails.last().expect("there is one")["text"].as_str().expect("it is text").to_owned();
    let link = text.split_whitespace().find(|word| word.contains("/approve/")).expect("it has a link");
    let path = link.strip_prefix(&world.public).expect("it leads to this host");
    assert_eq!(host.get(path).status, 200);
    wait_for_question(host, "google_calendar.create_event");
    let decided = host.request("POST", path, &[("content-type", FORM)], Some("decision=approve"));
    assert_eq!(decided.status, 200, "{}", decided.body);
    assert!(!world.texts().iter().any(|text| text.contains("/approve/")), "the person gets no link");
}

#[track_caller]
fn approve_by_command(host: &TestHost, waiting: &Value) {
    let decision = &waiting["waiting_for"][0]["id"];
    let request = json!({ "run": waiting["run"], "decision": decision, "approve": true }).to_string();
    let decided = host.command(&["call", "orchestrator_service.decide", &request]);
    assert_eq!(decided.code, Some(0), "{decided:?}");
}

/// A mail that was begun when the host was killed is nobody's to repeat unasked: an operator looks whether it arrived.
#[track_caller]
fn settle_doubts(world: &World, host: &TestHost, run: &str) {
    let fetch = || report(host, run);
    let still = wait_until("the run to go on", fetch, |report| report["state"] != "running");
    if still["state"] == "waiting" {
        let asked = &still["waiting_for"][0];
        assert_eq!(
            (&asked["tool"], &asked["question"]),
            (&json!("smtp.send_email"), &json!("unknown_outcome"))
        );
        let arrived = !world.mails_to(GUEST).is_empty();
        let request = json!({ "run": run, "decision": asked["id"], "approve": !arrived });
        assert_eq!(host.call("orchestrator_service", "decide", &request).status, 200);
    }
    let over = wait_until("the run to be over", fetch, |report| report["state"] == "done");
    assert_eq!((&over["answer"], &over["usage"]["tool_calls"]), (&json!(ANSWER), &json!(4)), "{over}");
}

#[track_caller]
fn it_was_all_done_once(world: &World, host: &TestHost) {
    wait_until(
        "all messages to be processed",
        || host.get("/api/messages/unprocessed").json(),
        |left| left["open"] == 0,
    );
    let jobs = || host.get("/api/schedule/jobs?all=true").json();
    let jobs = wait_until("the job to be over", jobs, |jobs| jobs["jobs"][0]["state"] == "done");
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs}");
    assert_eq!(host.get("/api/schedule/dead-letters").json()["dead_letters"], json!([]));

    let events = host.call("google_calendar", "list_events", &json!({ "query": TITLE })).json();
    assert_eq!(events["events"].as_array().map(Vec::len), Some(1), "{events}");
    assert_eq!(world.mails_to(GUEST).len(), 1);
    let texts = world.texts();
    for text in [ANSWER, REMINDER] {
        assert_eq!(texts.iter().filter(|sent| *sent == text).count(), 1, "{text}: {texts:?}");
    }
    assert!(world.model.asked() >= 7, "two that were refused, a turn for each tool, and one for the answer");
    wait_until("the answer to be remembered", || world.model.remembers(ANSWER), |remembers| *remembers);
    assert!(!world.model.remembers(THOUGHT), "thoughts are not kept");
    assert!(!texts.iter().any(|text| text.contains(THOUGHT)), "nor sent: {texts:?}");
    // The reminder is soon due: it may come before the answer.
    let mut said = said(host);
    let mut rest = said.split_off(1);
    rest.sort();
    assert_eq!(said, ["person: Find time for a call with Bob, and remind me"]);
    assert_eq!(rest, [format!("assistant: {ANSWER}"), format!("assistant: {REMINDER}")]);
}

/// The thread, without what was said while a person's decision was waited for.
#[track_caller]
fn said(host: &TestHost) -> Vec<String> {
    let thread = host.get("/api/messages/threads/%2B15550000001").json();
    let messages = thread["messages"].as_array().expect("messages").iter();
    let line = |message: &Value| {
        let who = if message["inbound"] == true { "person" } else { "assistant" };
        format!("{who}: {}", message["text"].as_str().unwrap_or_default())
    };
    messages.map(line).filter(|line| !line.contains("approval")).collect()
}
