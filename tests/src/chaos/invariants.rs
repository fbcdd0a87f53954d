//! What must be true once everything works again: `tests/examples/chaos/README.md` lists it for people, in this order. A
//! host may take its time, but not for ever.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    carrier::Taken,
    history::History,
    plan::Keyword,
    workload::{Decided, Done, Said},
    world::World,
};
use crate::wait::poll;

/// How long until everything is connected, after all was healed.
const GREEN: Duration = Duration::from_secs(90);
/// How long until nothing is left to be done: an outcome that is unknown is looked for for two minutes and more.
const SETTLED: Duration = Duration::from_secs(330);
/// What may be on its way when a STOP is acknowledged: a host looks for opt-outs, and then writes to the wire. On a busy
/// machine its thread may wait in between.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Waits until all is well and nothing is left to be done; false if that does not come.
pub fn settle(world: &World, done: &Done, history: &History) -> bool {
    for (number, host) in world.hosts.iter().enumerate() {
        host.is_alive(history, number);
    }
    let from = history.now();
    let is_green = poll(GREEN, || ailing(world), Vec::is_empty);
    if let Err(ailing) = &is_green {
        history.violation(format!("health: {GREEN:?} after all was healed it is not green: {ailing:#?}"));
    }
    history.note(format!("green {:?} after it was healed", history.now() - from));
    let rest = poll(SETTLED, || left(world, done, history), Vec::is_empty);
    if let Err(rest) = &rest {
        history.violation(format!("settling: {SETTLED:?} after all is green something is left: {rest:#?}"));
    }
    history.note(format!("settled {:?} after it was healed", history.now() - from));
    let ailing = ailing(world);
    if is_green.is_ok() && !ailing.is_empty() {
        history.violation(format!("health: it is not green in the end: {ailing:#?}"));
    }
    rest.is_ok()
}

/// Plugins that are not connected, or fail. That one was unsteady may show for a while: it was.
fn ailing(world: &World) -> Vec<String> {
    let mut ailing = Vec::new();
    for (number, host) in world.hosts.iter().enumerate() {
        for kind in ["integrations", "services"] {
            let answer = host.ask("GET", &format!("/api/health/{kind}"), &[], None);
            let all = answer.map_or(Value::Null, |answer| answer.json()[kind].clone());
            let Some(all) = all.as_object().filter(|all| !all.is_empty()) else {
                ailing.push(format!("host {number} does not tell its {kind}"));
                continue;
            };
            let is_ill = |plugin: &Value| {
                plugin["status"] != "connected"
                    || plugin["healthy"] != true
                    || plugin["failing"].as_array().is_some_and(|failing| !failing.is_empty())
                    || plugin["pending"].is_object()
            };
            let ill = all.iter().filter(|(_, plugin)| is_ill(plugin));
            ailing.extend(ill.map(|(name, plugin)| {
                let [status, reason, failing, pending, retry, blocked] =
                    ["status", "reason", "failing", "pending", "retry", "blocked_by"].map(|key| &plugin[key]);
                format!("host {number}: {name} is {status}, {reason}, failing {failing}, pending {pending}, retry {retry}, blocked by {blocked}")
            }));
        }
    }
    ailing
}

/// What is left to be done. A question what nobody knows is answered by whoever can look.
fn left(world: &World, done: &Done, history: &History) -> Vec<String> {
    let mut left = Vec::new();
    let headers = [("content-type", "application/json")];
    match world.hosts[0].ask("GET", "/api/messages/unprocessed", &headers, None).map(|answer| answer.json()) {
        Ok(messages) if messages["open"] == 0 => {}
        Ok(messages) => left.push(format!("messages {messages}")),
        Err(error) => left.push(error),
    }
    for sql in [
        "select id, state, due_ms, attempts, last_error from scheduler_service_jobs where ended_ms is null",
        "select id, state, sending_ms from twilio_service_outbox where state not in ('sent', 'failed')",
    ] {
        match world.rows(sql) {
            Ok(rows) => left.extend(rows.iter().map(|row| json!(row).to_string())),
            Err(error) => left.push(error),
        }
    }
    for act in &done.acts {
        let Ok(run) = &act.run else { continue };
        match world.hosts[0].call("orchestrator_service", "fetch_run", &json!({ "run": run })) {
            Ok(report) if ["done", "failed", "cancelled"].iter().any(|over| report["state"] == **over) => {}
            Ok(report) => {
                left.push(report.to_string());
                look(world, act, &report, history);
            }
            Err(error) => left.push(error),
        }
    }
    left
}

/// An operator looks whether a mail arrived that nobody knows of, and has it sent if it did not.
fn look(world: &World, act: &Decided, report: &Value, history: &History) {
    let asked = &report["waiting_for"][0];
    if asked["question"] != "unknown_outcome" {
        return;
    }
    let request = json!({ "run": report["run"], "decision": asked["id"], "approve": times(world, act) == 0 });
    let answer = world.hosts[0].call("orchestrator_service", "decide", &request);
    history.note(format!("{} is in doubt: {request} {answer:?}", act.text));
}

/// How often the action of a run was done.
fn times(world: &World, act: &Decided) -> usize {
    match act.is_mail {
        true => world.mails.mails().iter().filter(|mail| mail["to"] == json!([act.to])).count(),
        false => world.carrier.taken().iter().filter(|taken| taken.to == act.to).count(),
    }
}

/// Checks all of it; gives what was counted, for people.
pub fn check(world: &World, done: &Done, history: &History) -> String {
    let taken = world.carrier.taken();
    texts_are_answered_once(world, done, &taken, history);
    texts_are_remembered_once(world, done, history);
    answers_are_in_order(done, &taken, history);
    stop_is_obeyed(world, done, &taken, history);
    jobs_are_done_once(world, done, &taken, history);
    decisions_have_one_winner(world, done, history);
    the_ledger_agrees(world, &taken, history);
    format!("{} SMS, {} mails", taken.len(), world.mails.mails().len())
}

fn answers_to<'t>(said: &'t Said, taken: &'t [Taken]) -> impl Iterator<Item = &'t Taken> {
    taken.iter().filter(|taken| taken.to == said.person && taken.body.contains(&said.body))
}

fn texts_are_answered_once(world: &World, done: &Done, taken: &[Taken], history: &History) {
    for said in done.texts.iter().filter(|said| said.keyword.is_none()) {
        let [sid, body] = [&said.sid, &said.body];
        if said.taken.is_none() {
            history.violation(format!("texts: nobody takes {sid} {body}\n{}", history.of(&[sid])));
            continue;
        }
        let answers = answers_to(said, taken).count();
        let shown = || {
            let sql = format!(
                "select i.state, i.error, o.state, o.error from messaging_service_inbox i left join messaging_service_outbox o
                    on o.message like i.sid || ':%' where i.sid = '{sid}'"
            );
            json!(world.rows(&sql)).to_string()
        };
        let is_shown = || ["\"dropped\"", "\"noted\""].iter().any(|state| shown().contains(state));
        if answers > 1 || (answers == 0 && !(may_be_dropped(done, said) && is_shown())) {
            history.violation(format!(
                "texts: {sid} {body} has {answers} answers; it is {}\n{}",
                shown(),
                history.of(&[&format!("{sid} ")])
            ));
        }
    }
}

/// Whether the person of a text had sent STOP before, or sent it later, when the answer may have been on its way.
fn may_be_dropped(done: &Done, text: &Said) -> bool {
    let mut keywords = done.texts.iter().filter(|said| said.person == text.person && said.keyword.is_some());
    let before = keywords.clone().rfind(|said| said.begun < text.begun);
    before.is_some_and(|said| said.keyword == Some(Keyword::Stop))
        || keywords.any(|said| said.begun > text.begun && said.keyword == Some(Keyword::Stop))
}

fn texts_are_remembered_once(world: &World, done: &Done, history: &History) {
    let mut people: Vec<_> = done.texts.iter().map(|said| said.person.as_str()).collect();
    people.sort_unstable();
    people.dedup();
    for person in people {
        let path = format!("/api/messages/threads/{}?limit=500", person.replace('+', "%2B"));
        let thread = match world.hosts[0].ask("GET", &path, &[], None) {
            Ok(answer) if answer.status == 200 => answer.json(),
            other => {
                history.violation(format!("memory: the thread of {person} cannot be read: {other:?}"));
                continue;
            }
        };
        let turns = thread["messages"].as_array().cloned().unwrap_or_default();
        let inbound: Vec<_> =
            turns.iter().filter(|turn| turn["inbound"] == true).map(|turn| &turn["sid"]).collect();
        let of_person = done.texts.iter().filter(|said| said.person == person && said.taken.is_some());
        let expected: Vec<_> = of_person.map(|said| json!(said.sid)).collect();
        if !inbound.iter().copied().eq(&expected) {
            history.violation(format!(
                "memory: {person} wrote {}, and remembered is {}",
                json!(expected),
                json!(inbound)
            ));
        }
        let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
        for turn in turns.iter().filter(|turn| turn["inbound"] != true) {
            *answers.entry(turn["text"].as_str().unwrap_or_default()).or_default() += 1;
        }
        for (text, times) in answers.iter().filter(|(_, times)| **times > 1) {
            history.violation(format!("memory: an answer to {person} is remembered {times} times: {text}"));
        }
    }
}

fn answers_are_in_order(done: &Done, taken: &[Taken], history: &History) {
    let mut people: BTreeMap<&str, Vec<&Said>> = BTreeMap::new();
    for said in done.texts.iter().filter(|said| said.keyword.is_none()) {
        people.entry(&said.person).or_default().push(said);
    }
    for (person, texts) in people {
        let place = |taken: &Taken| texts.iter().position(|said| taken.body.contains(&said.body));
        let places: Vec<_> = taken.iter().filter(|taken| taken.to == person).filter_map(place).collect();
        if !places.is_sorted() {
            let bodies: Vec<_> = taken
                .iter()
                .filter(|taken| taken.to == person)
                .map(|taken| (&taken.body, taken.asked_at))
                .collect();
            history.violation(format!("order: the answers to {person} came as {bodies:#?}"));
        }
    }
}

/// From the moment that a STOP is acknowledged until the next START is first delivered.
fn stop_is_obeyed(world: &World, done: &Done, taken: &[Taken], history: &History) {
    for stop in done.texts.iter().filter(|said| said.keyword == Some(Keyword::Stop)) {
        let Some(from) = stop.taken else { continue };
        let starts = done.texts.iter().filter(|said| {
            said.person == stop.person && said.keyword == Some(Keyword::Start) && said.begun >= from
        });
        let until = starts.map(|start| start.begun).min().unwrap_or(Duration::MAX);
        for sent in taken.iter().filter(|sent| sent.to == stop.person) {
            // A host that was paused between the look for opt-outs and the wire goes on where it was.
            let was_paused = || world.hosts.iter().any(|host| host.was_paused(sent.asked_at, ON_ITS_WAY));
            if sent.asked_at > from + ON_ITS_WAY && sent.asked_at < until && !was_paused() {
                history.violation(format!(
                    "STOP: {} said STOP at {from:?} ({}) and was sent {:?} at {:?}\n{}",
                    stop.person,
                    stop.sid,
                    sent.body,
                    sent.asked_at,
                    history.of(&[&stop.sid[..4]])
                ));
            }
        }
    }
}

fn jobs_are_done_once(world: &World, done: &Done, taken: &[Taken], history: &History) {
    for job in &done.jobs {
        let times = taken.iter().filter(|taken| taken.to == job.to).count();
        let state = match &job.accepted {
            Ok(id) => {
                let sql = format!(
                    "select state, last_outcome, last_error from scheduler_service_jobs where id = '{id}'"
                );
                json!(world.rows(&sql)).to_string()
            }
            Err(error) => format!("refused: {error}"),
        };
        let is_shown = state.contains("missed") || job.accepted.is_err();
        if times > 1 || (times == 0) != is_shown {
            history.violation(format!(
                "jobs: {} was done {times} times, and is {state}\n{}",
                job.text,
                history.of(&[&job.text])
            ));
        }
    }
}

fn decisions_have_one_winner(world: &World, done: &Done, history: &History) {
    for act in &done.acts {
        let times = times(world, act);
        let (Ok(run), Some([is_for, against])) = (&act.run, &act.answers) else {
            history.violation(format!(
                "decisions: {} was never asked about, and done {times} times: {:?}\n{}",
                act.text,
                act.run,
                history.of(&[&act.text])
            ));
            continue;
        };
        let sql =
            format!("select state, attempts, result from orchestrator_service_calls where run = '{run}'");
        let call = world.rows(&sql).unwrap_or_default();
        let attempts = call.first().and_then(|call| call[1].as_u64()).unwrap_or_default();
        let (for_won, against_won) = (*is_for == Ok(200), *against == Ok(200));
        // Whoever heard nothing asked again, and may have heard of their own decision that it was made before.
        let is_approved = for_won || (!against_won && attempts > 0);
        // A partner that certainly did not do it: the model is told, and the run shows it.
        let is_refused = || {
            let result = call.first().map(|call| json!(call).to_string()).unwrap_or_default();
            result.contains("\"failed\"") && result.contains("not sent: `127.0.0.1")
        };
        let is_as_decided = times == usize::from(is_approved) || (times == 0 && is_refused());
        let is_consistent = !(for_won && against_won) && is_as_decided;
        if !is_consistent {
            history.violation(format!(
                "decisions: {} was answered {is_for:?} for it, {against:?} against it, and done {times} times; it is {}\n{}",
                act.text,
                json!(call),
                history.of(&[&act.text, run])
            ));
        }
    }
}

fn the_ledger_agrees(world: &World, taken: &[Taken], history: &History) {
    let rows = match world.rows("select id, state, sid, recipient from twilio_service_outbox") {
        Ok(rows) => rows,
        Err(error) => return history.violation(format!("ledger: it cannot be read: {error}")),
    };
    for message in taken {
        let entries = rows.iter().filter(|row| row[2] == message.sid.as_str() && row[1] == "sent").count();
        if entries != 1 {
            history.violation(format!("ledger: {entries} entries are sent as {message:?}"));
        }
    }
    for row in rows.iter().filter(|row| row[1] == "sent") {
        if !taken.iter().any(|message| row[2] == message.sid.as_str() && row[3] == message.to.as_str()) {
            history.violation(format!("ledger: Twilio never took {}", json!(row)));
        }
    }
    let mut entries: BTreeMap<&str, Vec<&Taken>> = BTreeMap::new();
    for message in taken.iter().filter(|message| !message.callback.is_empty()) {
        entries.entry(&message.callback).or_default().push(message);
    }
    for (entry, messages) in entries.iter().filter(|(_, messages)| messages.len() > 1) {
        history.violation(format!("ledger: {entry} was taken {} times: {messages:#?}", messages.len()));
    }
}
