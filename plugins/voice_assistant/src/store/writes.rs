//! What is written while a call goes on: each as a statement that changes nothing when it is repeated.

use plugin_api::{
    level::Level,
    requests::{
        memory::Speaker,
        sql::Statement,
        voice::{CallWay, MediaReport},
    },
};

use super::{
    Outcome, Store,
    outcomes::{self, of_call},
};
use crate::call::{CallBrief, Entry, Next};

/// A call that begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewCall {
    pub call: String,
    pub is_outbound: bool,
    pub number: Option<String>,
    pub person: Option<String>,
    pub objective: Option<String>,
    /// How certain it is who the other side is.
    pub level: Option<Level>,
    pub started_ms: i64,
}

impl NewCall {
    /// As a conversation needs it.
    pub fn brief(&self) -> CallBrief {
        let Self { call, number, person, objective, started_ms, .. } = self.clone();
        CallBrief { call, number, person, objective, opening: None, started_ms }
    }
}

/// Something that is written down of a call. `seq` is the moment in microseconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    Begun(NewCall),
    Way {
        call: String,
        way: CallWay,
        at_ms: i64,
    },
    Happened {
        call: String,
        seq: i64,
        entry: Entry,
        took_ms: Option<u64>,
        is_remembered: bool,
    },
    Noted {
        call: String,
        seq: i64,
        text: String,
    },
    Decided {
        call: String,
        next: Next,
    },
    /// How it went; which counts, `outcomes` says.
    Outcome {
        call: String,
        outcome: String,
    },
    AnsweredBy {
        call: String,
        who: String,
    },
    /// Its audio did not arrive, by Twilio's words.
    Unreached {
        call: String,
        why: String,
    },
    Ended {
        call: String,
        outcome: String,
        at_ms: i64,
    },
    Recorded {
        call: String,
        recording: String,
        is_voicemail: bool,
        url: String,
        number: Option<String>,
        seconds: i64,
        is_announced: bool,
        at_ms: i64,
    },
}

/// A row of the entries.
struct EntryRow<'e> {
    kind: &'static str,
    subject: &'e str,
    body: String,
    result: &'e str,
    flag: bool,
    took_ms: i64,
}

impl Store {
    /// Writes all of it, or nothing.
    pub async fn write(&self, written: &[Written]) -> Outcome<()> {
        self.check()?;
        let statements = written.iter().flat_map(statements).collect();
        self.commit(statements).await.map(drop)
    }
}

fn statements(written: &Written) -> Vec<Statement> {
    match written {
        Written::Begun(new) => vec![begin(new)],
        Written::Way { call, way, at_ms } => {
            vec![of_call("way = $2, heard_ms = $3", call).bind(way_name(*way)).bind(*at_ms)]
        }
        Written::Happened { call, seq, entry, took_ms, is_remembered } => {
            let row = row_of(entry);
            let row = EntryRow { took_ms: took_ms.map_or(row.took_ms, signed), ..row };
            vec![insert(call, *seq, &row, *is_remembered), heard(call, *seq / 1000)]
        }
        Written::Noted { call, seq, text } => vec![insert(call, *seq, &note(text.clone()), true)],
        Written::Decided { call, next } => {
            let (name, detail) = next_name(next);
            vec![of_call("next = $2, next_detail = $3", call).bind(name).bind(detail)]
        }
        Written::Outcome { call, outcome } => vec![outcomes::first(call, outcome)],
        Written::AnsweredBy { call, who } => vec![of_call("answered_by = $2", call).bind(who)],
        Written::Unreached { call, why } => {
            vec![of_call("unreached = $2, unreached_ms = now_ms()", call).bind(why)]
        }
        Written::Ended { call, outcome, at_ms } => vec![end(call, outcome, *at_ms)],
        Written::Recorded { .. } => recorded(written).into_iter().collect(),
    }
}

pub(super) fn begin(new: &NewCall) -> Statement {
    Statement::new(
        "insert into voice_assistant_calls
            (call, is_outbound, number, person, objective, way, state, outcome, answered_by, token_hash, token_ms,
             redeemed_ms, next, next_detail, started_ms, heard_ms, ended_ms, level)
        values ($1, $2, $3, $4, $5, 'none', 'live', '', '', '', 0, 0, '', '', $6, $6, 0, $7)
        on conflict (call) do nothing",
    )
    .bind(&new.call)
    .bind(i64::from(new.is_outbound))
    .bind(new.number.as_deref().unwrap_or_default())
    .bind(new.person.as_deref().unwrap_or_default())
    .bind(new.objective.as_deref().unwrap_or_default())
    .bind(new.started_ms)
    .bind(new.level.map_or("", Level::as_str))
}

fn heard(call: &str, at_ms: i64) -> Statement {
    Statement::new("update voice_assistant_calls set heard_ms = $2 where call = $1 and heard_ms < $2")
        .bind(call)
        .bind(at_ms)
}

fn end(call: &str, outcome: &str, at_ms: i64) -> Statement {
    Statement::new(
        "update voice_assistant_calls set state = 'ended', ended_ms = $3,
            outcome = case when outcome = '' then $2 else outcome end
        where call = $1 and state = 'live'",
    )
    .bind(call)
    .bind(outcome)
    .bind(at_ms)
}

fn insert(call: &str, seq: i64, row: &EntryRow<'_>, is_remembered: bool) -> Statement {
    Statement::new(
        "insert into voice_assistant_entries
            (call, seq, kind, subject, body, result, flag, took_ms, at_ms, is_remembered)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (call, seq) do nothing",
    )
    .bind(call)
    .bind(seq)
    .bind(row.kind)
    .bind(row.subject)
    .bind(row.body.replace('\0', ""))
    .bind(row.result.replace('\0', ""))
    .bind(i64::from(row.flag))
    .bind(row.took_ms)
    .bind(seq / 1000)
    .bind(i64::from(is_remembered))
}

fn recorded(written: &Written) -> Option<Statement> {
    let Written::Recorded { call, recording, is_voicemail, url, number, seconds, is_announced, at_ms } =
        written
    else {
        return None;
    };
    let insert = Statement::new(
        "insert into voice_assistant_recordings
            (recording, call, is_voicemail, url, number, seconds, is_announced, at_ms)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (recording) do update set
            seconds = case when excluded.seconds > 0 then excluded.seconds
                else voice_assistant_recordings.seconds end",
    );
    let insert = insert.bind(recording).bind(call).bind(i64::from(*is_voicemail)).bind(url);
    let insert = insert.bind(number.as_deref().unwrap_or_default()).bind(*seconds);
    Some(insert.bind(i64::from(*is_announced)).bind(*at_ms))
}

fn row_of(entry: &Entry) -> EntryRow<'_> {
    let measured = |kind, after_ms: &u64| EntryRow {
        kind,
        subject: "",
        body: after_ms.to_string(),
        result: "",
        flag: false,
        took_ms: -1,
    };
    match entry {
        Entry::Said { speaker, text, interrupted } => EntryRow {
            kind: "said",
            subject: speaker_name(*speaker),
            body: text.clone(),
            result: "",
            flag: *interrupted,
            took_ms: -1,
        },
        Entry::Tool { tool, arguments, result, ok, took_ms } => EntryRow {
            kind: "tool",
            subject: tool,
            body: arguments.clone(),
            result,
            flag: *ok,
            // Of the tools of a run nobody measures it.
            took_ms: if *took_ms == 0 { -1 } else { signed(*took_ms) },
        },
        Entry::FirstAudio { after_ms } => measured("first_audio", after_ms),
        Entry::Interruption { after_ms } => measured("interruption", after_ms),
        Entry::Reconnected { reason } => note(format!("taken up again: {reason}")),
        Entry::Media(report) => note(media(report)),
    }
}

fn note(text: String) -> EntryRow<'static> {
    EntryRow { kind: "note", subject: "", body: text, result: "", flag: false, took_ms: -1 }
}

fn media(report: &MediaReport) -> String {
    let MediaReport { reason, received_ms, padded_ms, sent_ms, cleared_ms, discarded, ends_call: _ } = report;
    format!(
        "the audio ended: {reason}; {received_ms} ms received, {padded_ms} ms lost, {sent_ms} ms sent, \
         {cleared_ms} ms of it not heard, {discarded} pieces too late"
    )
}

fn signed(millis: u64) -> i64 {
    millis.try_into().unwrap_or(i64::MAX)
}

fn next_name(next: &Next) -> (&'static str, &str) {
    match next {
        Next::HangUp { why } => ("hang_up", why),
        Next::Transfer { to } => ("transfer", to),
        Next::Turns { reason } => ("turns", reason),
    }
}

pub(super) fn next_named(name: &str, detail: String) -> Option<Next> {
    match name {
        "hang_up" => Some(Next::HangUp { why: detail }),
        "transfer" => Some(Next::Transfer { to: detail }),
        "turns" => Some(Next::Turns { reason: detail }),
        _ => None,
    }
}

fn way_name(way: CallWay) -> &'static str {
    match way {
        CallWay::None => "none",
        CallWay::Realtime => "realtime",
        CallWay::Turns => "turns",
        CallWay::Voicemail => "voicemail",
    }
}

fn speaker_name(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Person => "person",
        Speaker::Assistant => "assistant",
    }
}
