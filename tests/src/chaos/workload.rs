//! What people and operators do while everything fails: each person texts, and Twilio delivers each text again until it is
//! taken; jobs are scheduled; runs are started whose tool call two people decide at once, one for and one against it.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use plugin_api::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    carrier::ACCOUNT,
    history::History,
    plan::{Act, Keyword, Plan, Text},
    world::{NUMBER, PUBLIC, TOKEN, World},
};
use crate::partners::{Missing, twilio::sign_all};

const INBOUND: &str = "/webhooks/twilio/inbound-message";
const FORM: &str = "application/x-www-form-urlencoded";
/// How long anybody tries: far longer than everything fails.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(150);

/// The work of a plan, with the signatures of all texts.
pub struct Work {
    /// By person and number.
    signed: BTreeMap<(usize, usize), (Value, String)>,
}

/// What was done, and what was acknowledged.
pub struct Done {
    pub texts: Vec<Said>,
    pub jobs: Vec<Job>,
    pub acts: Vec<Decided>,
}

/// A text of a person.
#[derive(Debug)]
pub struct Said {
    pub person: String,
    pub sid: String,
    pub body: String,
    pub keyword: Option<Keyword>,
    /// When it was first delivered.
    pub begun: Duration,
    /// When a host answered 200 for the first time.
    pub taken: Option<Duration>,
}

/// A job.
#[derive(Debug)]
pub struct Job {
    pub text: String,
    pub to: String,
    /// Its name, if it was accepted; else the answer.
    pub accepted: Result<String, String>,
}

/// A run whose tool call was decided.
#[derive(Debug)]
pub struct Decided {
    pub text: String,
    pub to: String,
    pub is_mail: bool,
    /// The run; or why there is none.
    pub run: Result<String, String>,
    /// The answers to those who decided, for and against it; none if nobody was asked.
    pub answers: Option<[Result<u16, String>; 2]>,
}

impl Done {
    /// How much it was, for people.
    pub fn counts(&self) -> String {
        let taken = self.texts.iter().filter(|said| said.taken.is_some()).count();
        let jobs = self.jobs.iter().filter(|job| job.accepted.is_ok()).count();
        let acts = self.acts.iter().filter(|act| act.answers.is_some()).count();
        format!("{taken} texts, {jobs} jobs, {acts} decisions")
    }
}

impl Work {
    /// Signs all texts, by Twilio's own library.
    ///
    /// # Errors
    /// If it is not installed.
    pub fn prepare(plan: &Plan) -> Result<Self, Missing> {
        let texts = plan.people.iter().enumerate().flat_map(|(person, texts)| {
            texts.iter().enumerate().map(move |(number, text)| ((person, number), text))
        });
        let forms: Vec<_> =
            texts.map(|((person, number), text)| ((person, number), form(person, number, text))).collect();
        let values: Vec<_> = forms.iter().map(|(_, form)| form.clone()).collect();
        let signatures = sign_all(TOKEN, &format!("{PUBLIC}{INBOUND}"), &values)?;
        let signed = forms.into_iter().zip(signatures);
        Ok(Self { signed: signed.map(|((at, form), signature)| (at, (form, signature))).collect() })
    }

    /// Does all of it, and comes back when everything was acknowledged or given up.
    pub fn run(&self, plan: &Plan, world: &World, history: &History) -> Done {
        let (texts, jobs, acts) = (Mutex::default(), Mutex::default(), Mutex::default());
        let push = |list: &Mutex<Vec<Said>>, said| list.lock().expect("no client panics").push(said);
        thread::scope(|scope| {
            for (person, lane) in plan.people.iter().enumerate() {
                let texts = &texts;
                scope.spawn(move || {
                    let mut rng = Rng::with_seed(plan.seed ^ (person as u64 + 1));
                    for (number, text) in lane.iter().enumerate() {
                        thread::sleep(text.after);
                        let signed = &self.signed[&(person, number)];
                        push(texts, say(person, number, text, signed, world, history, &mut rng));
                    }
                });
            }
            for (number, (at, due)) in plan.jobs.iter().enumerate() {
                let jobs: &Mutex<Vec<Job>> = &jobs;
                scope.spawn(move || {
                    thread::sleep(*at);
                    let job = schedule(number, *due, world, history);
                    jobs.lock().expect("no client panics").push(job);
                });
            }
            for (number, act) in plan.acts.iter().enumerate() {
                let acts: &Mutex<Vec<Decided>> = &acts;
                scope.spawn(move || {
                    thread::sleep(act.at);
                    let decided = decide(number, act, world, history);
                    acts.lock().expect("no client panics").push(decided);
                });
            }
        });
        Done { texts: all(texts), jobs: all(jobs), acts: all(acts) }
    }
}

fn all<T>(list: Mutex<Vec<T>>) -> Vec<T> {
    list.into_inner().expect("no client panics")
}

/// Where a person is.
pub fn address(person: usize) -> String {
    format!("+1555000{person:04}")
}

fn sid(person: usize, number: usize) -> String {
    format!("SM{person}x{number}")
}

fn form(person: usize, number: usize, text: &Text) -> Value {
    let sid = sid(person, number);
    let mut form = json!({
        "MessageSid": sid, "SmsSid": sid, "SmsStatus": "received", "AccountSid": ACCOUNT, "From": address(person),
        "To": NUMBER, "Body": text.body, "NumMedia": "0", "NumSegments": "1", "ApiVersion": "2010-04-01",
    });
    if text.keyword.is_some() {
        form["OptOutType"] = json!(text.body);
    }
    form
}

fn encoded(form: &Value) -> String {
    let fields = form.as_object().expect("a form has fields").iter();
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let fields = fields.map(|(name, value)| format!("{name}={}", encode(value.as_str().unwrap_or_default())));
    fields.collect::<Vec<_>>().join("&")
}

/// Delivers a text until it is taken, and as often after that as the plan says.
fn say(
    person: usize,
    number: usize,
    text: &Text,
    (form, signature): &(Value, String),
    world: &World,
    history: &History,
    rng: &mut Rng,
) -> Said {
    let sid = sid(person, number);
    let body = encoded(form);
    let deliver = |host: usize| {
        let headers = [("x-twilio-signature", signature.as_str()), ("content-type", FORM)];
        let answer = world.hosts[host].ask("POST", INBOUND, &headers, Some(&body));
        let status = answer.map_or_else(|error| error, |answer| answer.status.to_string());
        history.note(format!("{sid} {} to host {host}: {status}", text.body));
        status == "200"
    };
    let begun = history.now();
    let until = Instant::now() + PATIENCE;
    let mut taken = None;
    while taken.is_none() && Instant::now() < until {
        let hosts = [rng.usize(..world.hosts.len()), rng.usize(..world.hosts.len())];
        let is_taken = if text.is_doubled {
            thread::scope(|scope| {
                let other = scope.spawn(|| deliver(hosts[1]));
                let one = deliver(hosts[0]);
                other.join().expect("no client panics") || one
            })
        } else {
            deliver(hosts[0])
        };
        match is_taken {
            true => taken = Some(history.now()),
            false => thread::sleep(PAUSE),
        }
    }
    for _ in 0..text.repeats {
        deliver(rng.usize(..world.hosts.len()));
    }
    Said { person: address(person), sid, body: text.body.clone(), keyword: text.keyword, begun, taken }
}

/// Posts to one host after the other until one answers, other than that it cannot at the moment.
fn post(
    what: &str,
    path: &str,
    key: Option<&str>,
    body: &Value,
    world: &World,
    history: &History,
) -> Result<(u16, Value), String> {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let until = Instant::now() + PATIENCE;
    let mut last = String::new();
    while Instant::now() < until {
        for (number, host) in world.hosts.iter().enumerate() {
            match host.ask("POST", path, &headers, Some(&body.to_string())) {
                // 499: the instance was stopped under it. Each request has a key, so it may be repeated.
                Ok(answer) if answer.status < 500 && ![429, 499].contains(&answer.status) => {
                    history.note(format!("{what}, host {number}: {} {}", answer.status, answer.body));
                    let body = serde_json::from_str(&answer.body).unwrap_or_default();
                    return Ok((answer.status, body));
                }
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(error) => last = error,
            }
            history.note(format!("{what}, host {number}: {last}"));
            thread::sleep(PAUSE);
        }
    }
    Err(last)
}

fn schedule(number: usize, due: Duration, world: &World, history: &History) -> Job {
    let (text, to) = (format!("job-{number}."), format!("+1555100{number:04}"));
    let due = SignedDuration::try_from(due).expect("it is short");
    let at = (Timestamp::now() + due).to_string();
    let request = json!({ "message": { "to": to, "text": text }, "at": at });
    let answer = post(&text, "/api/schedule/jobs", Some(&text), &request, world, history);
    let accepted = match answer {
        Ok((200 | 201, answer)) => Ok(answer["job"]["id"].as_str().unwrap_or_default().to_owned()),
        Ok((status, answer)) => Err(format!("{status} {answer}")),
        Err(error) => Err(error),
    };
    Job { text, to, accepted }
}

fn decide(number: usize, act: &Act, world: &World, history: &History) -> Decided {
    let text = format!("act-{number}.");
    let to = if act.is_mail { format!("act-{number}@example.com") } else { format!("+1555200{number:04}") };
    let goal = match act.is_mail {
        true => {
            json!({ "tool": "smtp-send_email", "arguments": { "to": [to], "subject": text, "text": text } })
        }
        false => json!({ "tool": "messaging_service-send", "arguments": { "to": to, "text": text } }),
    };
    let request = json!({ "goal": goal.to_string() });
    let started = post(&text, "/api/runs", Some(&text), &request, world, history);
    let run = started.and_then(|(status, answer)| match answer["run"].as_str() {
        Some(run) => Ok(run.to_owned()),
        None => Err(format!("{status} {answer}")),
    });
    let asked = run.as_ref().ok().and_then(|run| wait_for_question(run, world, history));
    let answers = asked.zip(run.as_ref().ok()).map(|(decision, run)| {
        let path = format!("/api/runs/{run}/decisions/{decision}");
        let say = |approve: bool, wait: i64| {
            thread::sleep(Duration::from_millis(u64::try_from(wait).unwrap_or(0)));
            let what = format!("{text} approve {approve}");
            post(&what, &path, None, &json!({ "approve": approve }), world, history).map(|(status, _)| status)
        };
        thread::scope(|scope| {
            let against = scope.spawn(|| say(false, act.lead_ms));
            let is_for = say(true, -act.lead_ms);
            [is_for, against.join().expect("no client panics")]
        })
    });
    Decided { text, to, is_mail: act.is_mail, run, answers }
}

/// The decision that a run waits for; none if it ends without asking.
fn wait_for_question(run: &str, world: &World, history: &History) -> Option<String> {
    let until = Instant::now() + PATIENCE;
    let mut last = String::new();
    while Instant::now() < until {
        for host in &world.hosts {
            match host.call("orchestrator_service", "fetch_run", &json!({ "run": run })) {
                Ok(report) if report["state"] == "waiting" => {
                    return report["waiting_for"][0]["id"].as_str().map(str::to_owned);
                }
                Ok(report) if report["state"] != "running" => {
                    history.note(format!("run {run} ends without a question: {report}"));
                    return None;
                }
                Ok(report) => last = report.to_string(),
                Err(error) => last = error,
            }
            thread::sleep(PAUSE);
        }
    }
    history.note(format!("run {run} asks nothing: {last}"));
    None
}
