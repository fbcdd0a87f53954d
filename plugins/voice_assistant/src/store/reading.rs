//! What is shown of calls, and what the next turn of one needs to know.

use plugin_api::{
    error::OperationError,
    requests::{
        memory::Speaker,
        sql::{Query, Row},
        voice::{CallEntry, CallEvent, CallList, CallRecord, CallRecording, CallSummary},
    },
};

use super::{Outcome, Store, writes::next_named};
use crate::call::Next;

/// More is said in no call.
const ENTRIES: u32 = 2000;
/// What a turn is told of its own call.
const SAID: u32 = 200;

const SUMMARY: &str = "call, is_outbound as outbound, nullif(number, '') as number, nullif(person, '') as person,
    nullif(objective, '') as objective, way, case state when 'live' then 1 else 0 end as live,
    nullif(outcome, '') as outcome, nullif(answered_by, '') as answered_by, started_ms, nullif(ended_ms, 0) as ended_ms";
const KNOWN: &str = "call, nullif(number, '') as number, nullif(person, '') as person,
    nullif(objective, '') as objective, next, next_detail, case state when 'live' then 1 else 0 end as is_live, started_ms";

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
        let query = format!("select {KNOWN} from voice_assistant_calls where call = $1");
        self.query(Query::new(query).bind(call)).await?.first().map(known).transpose()
    }

    /// The call that a person is in.
    pub async fn live_call_of(&self, person: &str) -> Outcome<Option<Known>> {
        let query = format!(
            "select {KNOWN} from voice_assistant_calls where person = $1 and state = 'live' order by started_ms desc"
        );
        self.query(Query::new(query).bind(person).row_limit(1)).await?.first().map(known).transpose()
    }

    /// What was said in a call, with its place in it; the newest, oldest first.
    pub async fn said(&self, call: &str) -> Outcome<Vec<(i64, Speaker, String)>> {
        let query = "select seq, subject, body from voice_assistant_entries
            where call = $1 and kind = 'said' order by seq desc";
        let mut said: Vec<_> = self.query(Query::new(query).bind(call).row_limit(SAID)).await?.read()?;
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
            "select {SUMMARY} from voice_assistant_calls
            where (started_ms < $1 or (started_ms = $1 and call > $2)) and ($3 = '' or person = $3) and {state}
            order by started_ms desc, call"
        );
        let query = Query::new(query).bind(moment).bind(call).bind(person.unwrap_or_default());
        let rows = self.query(query.row_limit(limit)).await?;
        let calls: Vec<CallSummary> = rows.read()?;
        let last = calls.last().filter(|_| rows.truncated);
        let next = last.map(|call| format!("{}:{}", call.started_ms, call.call));
        Ok(CallList { calls, next })
    }

    /// A call with all that happened in it.
    pub async fn record_of(&self, call: &str) -> Outcome<Option<CallRecord>> {
        let query = format!("select {SUMMARY} from voice_assistant_calls where call = $1");
        let Some(summary) = self.query(Query::new(query).bind(call)).await?.read_first()? else {
            return Ok(None);
        };
        let query = "select * from voice_assistant_entries where call = $1 order by seq";
        let rows = self.query(Query::new(query).bind(call).row_limit(ENTRIES)).await?;
        let entries = rows.iter().map(entry).collect::<Outcome<_>>()?;
        let recordings = self.recordings_of(call).await?;
        Ok(Some(CallRecord { call: summary, entries, truncated: rows.truncated, recordings }))
    }

    async fn recordings_of(&self, call: &str) -> Outcome<Vec<CallRecording>> {
        let query = "select nullif(refused, '') as not_announced, recording, is_voicemail as voicemail, seconds, at_ms
            from voice_assistant_recordings where call = $1 order by at_ms, recording";
        self.query(Query::new(query).bind(call)).await?.read()
    }

    /// Where Twilio has a recording.
    pub async fn recording_url(&self, recording: &str) -> Outcome<Option<String>> {
        let query = "select url from voice_assistant_recordings where recording = $1";
        self.query(Query::new(query).bind(recording)).await?.read_first()
    }
}

fn known(row: Row<'_>) -> Outcome<Known> {
    Ok(Known {
        call: row.get("call")?,
        number: row.get("number")?,
        person: row.get("person")?,
        objective: row.get("objective")?,
        next: next_named(&row.get::<String>("next")?, row.get("next_detail")?),
        is_live: row.get("is_live")?,
        started_ms: row.get("started_ms")?,
    })
}

fn entry(row: Row<'_>) -> Outcome<CallEntry> {
    let text = |column: &str| row.get::<String>(column);
    let flag: bool = row.get("flag")?;
    let took_ms = u64::try_from(row.get::<i64>("took_ms")?).ok();
    let after_ms =
        || text("body")?.parse().map_err(|_| OperationError::internal("a measurement is no number"));
    let what = match text("kind")?.as_str() {
        "said" => {
            CallEvent::Said { speaker: row.get("subject")?, text: text("body")?, interrupted: flag, took_ms }
        }
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
