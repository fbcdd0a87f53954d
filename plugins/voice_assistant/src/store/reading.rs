//! What is shown of calls, and what the next turn of one needs to know.

use plugin_api::{
    error::OperationError,
    requests::{
        memory::Speaker,
        sql::{Query, Row},
        voice::{CallEntry, CallEvent, CallList, CallRecord, CallRecording, CallSummary},
    },
};

use super::{
    Outcome, Store, some,
    writes::{next_named, speaker_named, way_named},
};
use crate::call::Next;

/// More is said in no call.
const ENTRIES: u32 = 2000;
/// What a turn is told of its own call.
const SAID: u32 = 200;

/// What is known of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub call: String,
    pub number: Option<String>,
    pub person: Option<String>,
    pub objective: Option<String>,
    pub next: Option<Next>,
    pub is_live: bool,
    pub started_ms: i64,
}

impl Store {
    pub async fn known(&self, call: &str) -> Outcome<Option<Known>> {
        let query = "select * from voice_assistant_calls where call = $1";
        self.query(Query::new(query).bind(call)).await?.first().map(known).transpose()
    }

    /// The call that a person is in.
    pub async fn live_call_of(&self, person: &str) -> Outcome<Option<Known>> {
        let query = "select * from voice_assistant_calls where person = $1 and state = 'live'
            order by started_ms desc";
        self.query(Query::new(query).bind(person).row_limit(1)).await?.first().map(known).transpose()
    }

    /// What was said in a call, with its place in it; the newest, oldest first.
    pub async fn said(&self, call: &str) -> Outcome<Vec<(i64, Speaker, String)>> {
        let query = "select seq, subject, body from voice_assistant_entries
            where call = $1 and kind = 'said' order by seq desc";
        let rows = self.query(Query::new(query).bind(call).row_limit(SAID)).await?;
        let said = |row: Row<'_>| {
            Ok((row.get("seq")?, speaker_named(&row.get::<String>("subject")?), row.get("body")?))
        };
        let mut said: Vec<_> = rows.iter().map(said).collect::<Outcome<_>>()?;
        said.reverse();
        Ok(said)
    }

    /// Calls, the newest first; `before` is the moment and the call that the last answer ended with.
    pub async fn calls(
        &self,
        person: Option<&str>,
        live: Option<bool>,
        before: Option<(i64, String)>,
        limit: u32,
    ) -> Outcome<CallList> {
        let (moment, call) = before.unwrap_or((i64::MAX, String::new()));
        let state = match live {
            Some(true) => "state = 'live'",
            Some(false) => "state = 'ended'",
            None => "1 = 1",
        };
        let query = format!(
            "select * from voice_assistant_calls
            where (started_ms < $1 or (started_ms = $1 and call > $2)) and ($3 = '' or person = $3) and {state}
            order by started_ms desc, call"
        );
        let query = Query::new(query).bind(moment).bind(call).bind(person.unwrap_or_default());
        let rows = self.query(query.row_limit(limit)).await?;
        let calls: Vec<CallSummary> = rows.iter().map(summary).collect::<Outcome<_>>()?;
        let last = calls.last().filter(|_| rows.truncated);
        let next = last.map(|call| format!("{}:{}", call.started_ms, call.call));
        Ok(CallList { calls, next })
    }

    /// A call with all that happened in it.
    pub async fn record_of(&self, call: &str) -> Outcome<Option<CallRecord>> {
        let query = "select * from voice_assistant_calls where call = $1";
        let rows = self.query(Query::new(query).bind(call)).await?;
        let Some(summary) = rows.first().map(summary).transpose()? else { return Ok(None) };
        let query = "select * from voice_assistant_entries where call = $1 order by seq";
        let rows = self.query(Query::new(query).bind(call).row_limit(ENTRIES)).await?;
        let entries = rows.iter().map(entry).collect::<Outcome<_>>()?;
        let recordings = self.recordings_of(call).await?;
        Ok(Some(CallRecord { call: summary, entries, truncated: rows.truncated, recordings }))
    }

    async fn recordings_of(&self, call: &str) -> Outcome<Vec<CallRecording>> {
        let query = "select * from voice_assistant_recordings where call = $1 order by at_ms, recording";
        let recording = |row: Row<'_>| {
            Ok(CallRecording {
                not_announced: some(row.get("refused")?),
                recording: row.get("recording")?,
                voicemail: row.get("is_voicemail")?,
                seconds: row.get("seconds")?,
                at_ms: row.get("at_ms")?,
            })
        };
        self.query(Query::new(query).bind(call)).await?.iter().map(recording).collect()
    }

    /// Where Twilio has a recording.
    pub async fn recording_url(&self, recording: &str) -> Outcome<Option<String>> {
        let query = "select url from voice_assistant_recordings where recording = $1";
        self.query(Query::new(query).bind(recording)).await?.first().map(|row| row.get("url")).transpose()
    }
}

fn known(row: Row<'_>) -> Outcome<Known> {
    Ok(Known {
        call: row.get("call")?,
        number: some(row.get("number")?),
        person: some(row.get("person")?),
        objective: some(row.get("objective")?),
        next: next_named(&row.get::<String>("next")?, row.get("next_detail")?),
        is_live: row.get::<String>("state")? == "live",
        started_ms: row.get("started_ms")?,
    })
}

fn summary(row: Row<'_>) -> Outcome<CallSummary> {
    Ok(CallSummary {
        call: row.get("call")?,
        outbound: row.get("is_outbound")?,
        number: some(row.get("number")?),
        person: some(row.get("person")?),
        objective: some(row.get("objective")?),
        way: way_named(&row.get::<String>("way")?),
        live: row.get::<String>("state")? == "live",
        outcome: some(row.get("outcome")?),
        answered_by: some(row.get("answered_by")?),
        started_ms: row.get("started_ms")?,
        ended_ms: Some(row.get("ended_ms")?).filter(|ended| *ended != 0),
    })
}

fn entry(row: Row<'_>) -> Outcome<CallEntry> {
    let text = |column: &str| row.get::<String>(column);
    let flag: bool = row.get("flag")?;
    let took_ms = u64::try_from(row.get::<i64>("took_ms")?).ok();
    let after_ms =
        || text("body")?.parse().map_err(|_| OperationError::internal("a measurement is no number"));
    let what = match text("kind")?.as_str() {
        "said" => CallEvent::Said {
            speaker: speaker_named(&text("subject")?),
            text: text("body")?,
            interrupted: flag,
            took_ms,
        },
        "tool" => CallEvent::Tool {
            tool: text("subject")?,
            arguments: text("body")?,
            result: text("result")?,
            ok: flag,
            took_ms,
        },
        "first_audio" => CallEvent::FirstAudio { after_ms: after_ms()? },
        "interruption" => CallEvent::Interruption { after_ms: after_ms()? },
        _ => CallEvent::Note { text: text("body")? },
    };
    Ok(CallEntry { at_ms: row.get("at_ms")?, what })
}
