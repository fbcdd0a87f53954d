//! An entry whose outcome is unknown, and what Twilio has -> what is certain. An outcome that cannot be decided stays
//! unknown: a message too many is worse than one too few.

use plugin_api::{jiff::fmt::rfc2822, requests::twilio::RestRequest, serde_json::Value};

use crate::{
    draft::{Kind, Mark},
    ledger::Entry,
};

/// How sure Twilio's clock is known: its answers tell whole seconds, and may have been on their way for a while.
const SKEW_MS: i64 = 60_000;
/// What Twilio does not have after this long by its own clock, it never took: far more than a request takes.
const SETTLED_MS: i64 = 120_000;
/// What Twilio writes in front of the text of a trial account.
const TRIAL: &str = "Sent from your Twilio trial account - ";
const PAGE: &str = "100";

/// What Twilio has since the entry was handed over, for the same recipient from the same sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub sid: String,
    pub status: String,
    pub created_ms: i64,
    pub body: String,
    pub media: i64,
}

/// What is certain.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken over as this one.
    Sent { sid: String, status: String },
    /// Twilio never took it.
    NotSent,
    /// Nobody can tell; these may be it.
    Undecided(Vec<String>),
}

/// What to ask Twilio: the newest to the same recipient. Not by `DateSent`, which a message that waits in Twilio's queue
/// does not have.
pub fn question(entry: &Entry) -> RestRequest {
    let request = RestRequest::get(entry.kind.path()).query("To", &*entry.to).query("PageSize", PAGE);
    if is_service(entry) { request } else { request.query("From", &*entry.from) }
}

/// The candidates in Twilio's answer, and whether these are all. `None`: it is no such answer.
pub fn candidates(entry: &Entry, answer: &Value) -> Option<(Vec<Candidate>, bool)> {
    let list = match entry.kind {
        Kind::Message => "messages",
        Kind::Call => "calls",
    };
    let listed = answer.get(list)?.as_array()?;
    let is_last = answer.get("next_page_uri").is_none_or(Value::is_null);
    let mut reached_earlier = false;
    let mut found = Vec::new();
    for item in listed {
        let candidate = candidate(item)?;
        if candidate.created_ms < entry.since_ms() - SKEW_MS {
            reached_earlier = true;
        } else if is_of(entry, item) {
            found.push(candidate);
        }
    }
    // The oldest first: what was sent first was taken first.
    found.sort_by_key(|candidate| candidate.created_ms);
    Some((found, is_last || reached_earlier))
}

/// What is certain, by the candidates that no other entry has. `asked_ms` is when Twilio was asked for them, by its clock:
/// that of this machine may have been set meanwhile, and those of other hosts differ. Where Twilio's time of the one or
/// the other moment is not known, nothing is taken for not sent.
pub fn decide(entry: &Entry, candidates: &[Candidate], are_all: bool, asked_ms: Option<i64>) -> Verdict {
    let is_it = |candidate: &&Candidate| match &entry.mark {
        Mark::Body(body) => {
            let text = candidate.body.strip_prefix(TRIAL).unwrap_or(&candidate.body);
            (text == body || candidate.body == *body) && candidate.media == entry.media
        }
        Mark::Template | Mark::Call => true,
    };
    let matching: Vec<&Candidate> = candidates.iter().filter(is_it).collect();
    let is_certain = match entry.mark {
        Mark::Body(_) => !matching.is_empty(),
        // Two calls within seconds look the same.
        Mark::Call => matching.len() == 1,
        Mark::Template => false,
    };
    let is_settled =
        entry.sending_ms > 0 && asked_ms.is_some_and(|asked_ms| asked_ms - entry.sending_ms > SETTLED_MS);
    match matching.first() {
        Some(first) if is_certain => Verdict::Sent { sid: first.sid.clone(), status: first.status.clone() },
        None if are_all && is_settled => Verdict::NotSent,
        _ => Verdict::Undecided(matching.iter().map(|candidate| candidate.sid.clone()).collect()),
    }
}

fn candidate(item: &Value) -> Option<Candidate> {
    let text = |name: &str| item.get(name).and_then(Value::as_str);
    let created = rfc2822::parse(text("date_created")?).ok()?;
    let media = match item.get("num_media") {
        Some(Value::String(count)) => count.parse().ok()?,
        Some(Value::Number(count)) => count.as_i64()?,
        _ => 0,
    };
    Some(Candidate {
        sid: text("sid")?.to_owned(),
        status: text("status")?.to_owned(),
        created_ms: created.timestamp().as_millisecond(),
        body: text("body").unwrap_or_default().to_owned(),
        media,
    })
}

/// Ours went out, and by the same way.
fn is_of(entry: &Entry, item: &Value) -> bool {
    let is_outbound = item["direction"].as_str().is_some_and(|direction| direction.starts_with("outbound"));
    let sender = if is_service(entry) { "messaging_service_sid" } else { "from" };
    is_outbound && item["to"] == entry.to.as_str() && item[sender] == entry.from.as_str()
}

fn is_service(entry: &Entry) -> bool {
    entry.from.starts_with("MG")
}
