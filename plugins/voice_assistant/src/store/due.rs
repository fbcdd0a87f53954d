//! What is still to be done for calls, by whichever host: what was said is to be remembered, messages are to be announced,
//! and calls of which nobody hears any more are to be closed.

use plugin_api::{
    lease,
    prelude::Duration,
    requests::{
        memory::Speaker,
        sql::{Execute, Query},
    },
};

use super::{Outcome, Store};

const AT_ONCE: u32 = 100;
/// What is read of a recording.
const VOICEMAIL: &str = "recording, nullif(number, '') as number, seconds, at_ms, retry_ms, refused, told_by";
/// The longest that a message may wait to be announced again; a later moment was written by a wrong clock.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Something said that is not in the memory yet.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct DueTurn {
    pub call: String,
    pub seq: i64,
    pub person: String,
    pub speaker: Speaker,
    pub text: String,
}

/// A message that was left.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct Voicemail {
    pub recording: String,
    pub number: Option<String>,
    pub seconds: i64,
    /// When it was left.
    pub at_ms: i64,
    /// Not before this moment; 0 if it was not tried yet, and [`lease::NEVER`] if it was given up.
    pub retry_ms: i64,
    /// Why nobody could be told of it; empty if nothing is known.
    pub refused: String,
    /// The SMS that told of it last; empty if there is none.
    pub told_by: String,
}

impl Voicemail {
    /// Whether its owner knows of it, as far as anybody knows.
    pub fn is_told(&self) -> bool {
        !self.told_by.is_empty() && self.refused.is_empty()
    }
}

/// A call in progress of which nothing was heard for a while.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct QuietCall {
    pub call: String,
    pub started_ms: i64,
    pub heard_ms: i64,
}

impl Store {
    /// What was said with known people and is not in the memory yet, in order, behind a moment and a call.
    pub async fn due_turns(&self, (seq, call): &(i64, String)) -> Outcome<Vec<DueTurn>> {
        let query = "
            select e.call, e.seq, c.person, e.subject as speaker, e.body as text
            from voice_assistant_entries e join voice_assistant_calls c on c.call = e.call
            where e.is_remembered = 0 and c.person <> '' and (e.seq > $1 or (e.seq = $1 and e.call > $2))
            order by e.seq, e.call";
        self.query(Query::new(query).bind(*seq).bind(call).row_limit(AT_ONCE)).await?.read()
    }

    pub async fn set_remembered(&self, turn: &DueTurn) -> Outcome<()> {
        let set = "update voice_assistant_entries set is_remembered = 1 where call = $1 and seq = $2";
        self.execute(Execute::new(set).bind(&turn.call).bind(turn.seq)).await.map(drop)
    }

    /// Whether the audio of the newest calls that had any arrived, the newest first: `None` if it did, else why not.
    pub async fn media_ends(&self, most: u32) -> Outcome<Vec<Option<String>>> {
        let query = "
            select case when unreached_ms > redeemed_ms then nullif(unreached, '') end as unreached
            from voice_assistant_calls where redeemed_ms > 0 or unreached_ms > 0 order by started_ms desc limit $1";
        self.query(Query::new(query).bind(i64::from(most))).await?.read()
    }

    /// Messages that nobody was told of yet, and whose turn it is.
    pub async fn due_voicemails(&self) -> Outcome<Vec<Voicemail>> {
        let query = format!(
            "select {VOICEMAIL} from voice_assistant_recordings
            where is_announced = 0 and is_voicemail = 1 and {} order by at_ms",
            lease::is_over("retry_ms", LONGEST_PAUSE)
        );
        self.query(Query::new(query).row_limit(AT_ONCE)).await?.read()
    }

    /// The messages that these SMS told their owner of, as far as anybody knows.
    pub async fn told_by(&self, sids: &[&str]) -> Outcome<Vec<Voicemail>> {
        let places: Vec<_> = (1..=sids.len()).map(|place| format!("${place}")).collect();
        let query = format!(
            "select {VOICEMAIL} from voice_assistant_recordings where is_announced = 1 and told_by in ({})",
            places.join(", ")
        );
        let query = sids.iter().fold(Query::new(query), |query, sid| query.bind(*sid));
        self.query(query).await?.read()
    }

    /// Nobody could be told of a message: it is kept, and tried again after this pause.
    pub async fn set_refused(&self, recording: &str, why: &str, pause_ms: i64) -> Outcome<()> {
        let set = "update voice_assistant_recordings set refused = $2, retry_ms = now_ms() + $3
            where recording = $1 and is_announced = 0";
        self.execute(Execute::new(set).bind(recording).bind(why).bind(pause_ms)).await.map(drop)
    }

    /// A setting may have been mended: what was refused is tried at once.
    pub async fn retry_refused(&self) -> Outcome<()> {
        let set =
            "update voice_assistant_recordings set retry_ms = 0 where is_announced = 0 and retry_ms > 0";
        self.execute(Execute::new(set)).await.map(drop)
    }

    /// Of how many messages nobody could be told, and why not of the newest.
    pub async fn refused(&self) -> Outcome<Option<(u64, String)>> {
        let query = "select count(*) over () as n, refused from voice_assistant_recordings
            where is_announced = 0 and is_voicemail = 1 and refused <> '' order by at_ms desc limit 1";
        self.query(Query::new(query)).await?.read_first()
    }

    /// Told by this SMS; empty if nobody is to be told.
    pub async fn set_announced(&self, recording: &str, sid: &str) -> Outcome<()> {
        let set = "update voice_assistant_recordings set is_announced = 1, refused = '', told_by = $2
            where recording = $1";
        self.execute(Execute::new(set).bind(recording).bind(sid)).await.map(drop)
    }

    /// The SMS that told of a message did not arrive: it is as if it had been refused. Without a pause it is not tried again.
    pub async fn not_delivered(&self, sid: &str, why: &str, pause_ms: Option<i64>) -> Outcome<()> {
        let (retry, ms) = pause_ms.map_or(("$3", lease::NEVER), |pause_ms| ("now_ms() + $3", pause_ms));
        let set = format!(
            "update voice_assistant_recordings set is_announced = 0, refused = $2, retry_ms = {retry}
            where told_by = $1 and is_announced = 1"
        );
        self.execute(Execute::new(set).bind(sid).bind(why).bind(ms)).await.map(drop)
    }

    /// Calls in progress of which nothing was heard for so long.
    pub async fn quiet_calls(&self, inbound: Duration, outbound: Duration) -> Outcome<Vec<QuietCall>> {
        let (inbound_ms, outbound_ms) = (lease::millis(inbound), lease::millis(outbound));
        let end = format!("(heard_ms + case is_outbound when 1 then {outbound_ms} else {inbound_ms} end)");
        let query = format!(
            "select call, started_ms, heard_ms from voice_assistant_calls
            where state = 'live' and {} order by heard_ms",
            lease::is_over(&end, inbound.max(outbound))
        );
        self.query(Query::new(query).row_limit(AT_ONCE)).await?.read()
    }

    /// Somebody has just said that the call goes on.
    pub async fn touch(&self, call: &str) -> Outcome<()> {
        let set = "update voice_assistant_calls set heard_ms = now_ms() where call = $1";
        self.execute(Execute::new(set).bind(call)).await.map(drop)
    }

    /// Forgets orders that nobody repeats any more, and that words of nobody known might be remembered.
    pub async fn forget_old(&self, kept: Duration) -> Outcome<()> {
        let nobodys = "update voice_assistant_entries set is_remembered = 1
            where is_remembered = 0 and call in (select call from voice_assistant_calls where person = '')";
        self.execute(Execute::new(nobodys)).await?;
        let delete = "delete from voice_assistant_orders where created_ms < now_ms() - $1";
        self.execute(Execute::new(delete).bind(lease::millis(kept))).await.map(drop)
    }
}
