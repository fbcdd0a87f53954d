//! What is shown of messages, tried again by a person, and forgotten.

use plugin_api::{
    lease,
    requests::{
        messaging::{ThreadState, Threads, Unprocessed, UnprocessedMessage},
        sql::{Execute, Query, Row, Statement, Value},
    },
    serde_json::json,
};

use super::{Direction, Outcome, Store, inbox::WAYS, lanes::put_into};
use crate::{undelivered::TEXTS_KEPT, window::Ways};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Twilio does not deliver a message again after this long, and nobody repeats a request.
const KEPT_MS: i64 = 90 * DAY_MS;

const OPEN_IN: &str = "('received', 'remembered', 'running', 'following')";
const KEPT_IN: &str = "('unanswerable')";
const OPEN_OUT: &str = "('pending', 'looking')";
const FAILED_OUT: &str = "('failed', 'undelivered', 'unknown')";

impl Store {
    /// Threads, the newest first; `before` is the moment and the person that the last answer ended with.
    pub async fn threads(&self, before: Option<(i64, String)>, limit: u32) -> Outcome<Threads> {
        let (moment, person) = before.unwrap_or((i64::MAX, String::new()));
        let query = format!(
            "{} where t.last_ms < $1 or (t.last_ms = $1 and t.person > $2) order by t.last_ms desc, t.person",
            thread_states()
        );
        let rows = self.query(Query::new(query).bind(moment).bind(person).row_limit(limit)).await?;
        let threads: Vec<_> = rows.iter().map(|row| self.thread_state(row)).collect::<Outcome<_>>()?;
        let last = threads.last().filter(|_| rows.truncated);
        let next = last.map(|thread: &ThreadState| format!("{}:{}", thread.last_ms, thread.person));
        Ok(Threads { threads, next })
    }

    /// One thread; `None` if there is none.
    pub async fn thread(&self, person: &str) -> Outcome<Option<ThreadState>> {
        let query = format!("{} where t.person = $1", thread_states());
        self.query(Query::new(query).bind(person))
            .await?
            .first()
            .map(|row| self.thread_state(row))
            .transpose()
    }

    /// What is not processed: of everybody, or of one person; all, or those of these names.
    pub async fn unprocessed(
        &self,
        person: Option<&str>,
        failed_only: bool,
        ids: &[String],
        limit: u32,
    ) -> Outcome<Unprocessed> {
        let dialect = self.tables.dialect().await?;
        let is_named = |column: &str| match ids {
            [] => "1 = 1".to_owned(),
            _ => format!("{column} in {}", dialect.texts(2)),
        };
        let (in_named, out_named) = (is_named("sid"), is_named("message"));
        let is_theirs = if person.is_some() { "person = $1" } else { "person <> $1" };
        let (open_in, kept_in, open_out) = match failed_only {
            true => ("('')", "('')", "('')"),
            false => (OPEN_IN, KEPT_IN, OPEN_OUT),
        };
        let query = format!(
            "select sid as id, 1 as inbound, person, channel, state, body, attempts, nullif(error, '') as error,
                cast(null as text) as advice, nullif(run, '') as run, at_ms, next_ms, seq, 0 as part
            from messaging_service_inbox where {is_theirs} and {in_named} and (state in {open_in} or state in {kept_in} or state = 'failed')
            union all
            select message, 0, person, channel, state, body, attempts, nullif(error, ''), nullif(advice, ''), null, at_ms,
                next_ms, seq, part
            from messaging_service_outbox where {is_theirs} and {out_named} and (state in {open_out} or state in {FAILED_OUT})
            order by at_ms, seq, part"
        );
        let query = Query::new(query).bind(person.unwrap_or_default()).row_limit(limit);
        let query = if ids.is_empty() { query } else { query.bind(Value::Json(json!(ids))) };
        let rows = self.query(query).await?;
        let messages = rows.iter().map(unprocessed).collect::<Outcome<_>>()?;
        let (open, failed) = self.counts(is_theirs, person.unwrap_or_default()).await?;
        Ok(Unprocessed { open, failed, messages })
    }

    async fn counts(&self, is_theirs: &str, person: &str) -> Outcome<(u64, u64)> {
        let query = format!(
            "select
                (select count(*) from messaging_service_inbox where {is_theirs} and state in {OPEN_IN})
                + (select count(*) from messaging_service_outbox where {is_theirs} and state in {OPEN_OUT}) as open,
                (select count(*) from messaging_service_inbox where {is_theirs} and state = 'failed')
                + (select count(*) from messaging_service_outbox where {is_theirs} and state in {FAILED_OUT})
                    as failed"
        );
        self.query(Query::new(query).bind(person)).await?.read_one()
    }

    /// Has another try at what failed under this name; the person it is about, or `None` if nothing did.
    pub async fn retry(&self, id: &str) -> Outcome<Option<String>> {
        for (direction, table, key, failed) in [
            (Direction::In, "messaging_service_inbox", "sid", "('failed')"),
            (Direction::Out, "messaging_service_outbox", "message", FAILED_OUT),
        ] {
            let find = format!("select person from {table} where {key} = $1 and state in {failed}");
            let found = self.query(Query::new(find).bind(id).row_limit(1)).await?.read_first::<String>()?;
            let Some(person) = found else { continue };
            let reset = match direction {
                Direction::In => again_in(id),
                Direction::Out => again_out(id),
            };
            self.commit(vec![put_into(direction, &person, "1 = 1"), reset]).await?;
            return Ok(Some(person));
        }
        Ok(None)
    }

    /// Whether something of this name is or was here.
    pub async fn knows(&self, id: &str) -> Outcome<bool> {
        let query = "select 1 as one from messaging_service_inbox where sid = $1
            union all select 1 from messaging_service_outbox where message = $1";
        Ok(!self.query(Query::new(query).bind(id).row_limit(1)).await?.is_empty())
    }

    /// Who sent a message that came here.
    pub async fn sender_of(&self, sid: &str) -> Outcome<Option<String>> {
        let query = "select person from messaging_service_inbox where sid = $1";
        self.query(Query::new(query).bind(sid)).await?.read_first()
    }

    fn thread_state(&self, row: Row<'_>) -> Outcome<ThreadState> {
        let ways: Ways = row.read()?;
        Ok(ThreadState {
            person: row.get("person")?,
            first_ms: row.get("first_ms")?,
            last_ms: row.get("last_ms")?,
            last_channel: ways.last,
            whatsapp_until_ms: ways.open_until(self.now_ms()),
            opted_out: ways.stopped(),
            open: row.get("open")?,
            failed: row.get("failed")?,
        })
    }

    /// Forgets what was processed or given up long ago, and the texts of which no report is to be expected any more.
    pub async fn forget_old(&self) -> Outcome<()> {
        for (forget, age_ms) in [
            (
                "delete from messaging_service_inbox
                where state in ('answered', 'noted', 'unanswerable', 'failed') and at_ms < now_ms() - $1 and since_ms < now_ms() - $1",
                KEPT_MS,
            ),
            (
                "delete from messaging_service_outbox
                where (state in ('dropped', 'failed', 'undelivered', 'unknown') or (state = 'sent' and remembered = 1))
                    and at_ms < now_ms() - $1 and since_ms < now_ms() - $1",
                KEPT_MS,
            ),
            (
                "update messaging_service_outbox set body = ''
                where state = 'sent' and remembered = 1 and body <> '' and at_ms < now_ms() - $1 and since_ms < now_ms() - $1",
                lease::millis(TEXTS_KEPT),
            ),
        ] {
            self.execute(Execute::new(forget).bind(age_ms)).await?;
        }
        Ok(())
    }
}

/// A run that failed is not asked for again by the same key.
fn again_in(id: &str) -> Statement {
    Statement::new(
        "update messaging_service_inbox
        set state = 'received', attempts = 0, round = round + 1, run = '', error = '', since_ms = now_ms(), next_ms = 0,
            is_refused = 0, ended_ms = 0
        where sid = $1 and state = 'failed'",
    )
    .bind(id)
}

/// A part that may have been sent keeps its key: it is looked for, not sent again. An undelivered one is a new message.
fn again_out(id: &str) -> Statement {
    Statement::new(format!(
        "update messaging_service_outbox
        set remembered = 0, round = case state when 'undelivered' then round + 1 else round end,
            state = case state when 'unknown' then 'looking' else 'pending' end,
            attempts = 0, error = '', kind = '', advice = '', since_ms = now_ms(), looking_ms = now_ms(), next_ms = 0
        where message = $1 and state in {FAILED_OUT}"
    ))
    .bind(id)
}

fn thread_states() -> String {
    format!(
        "select t.person, t.first_ms, t.last_ms, {WAYS},
            (select count(*) from messaging_service_inbox m where m.person = t.person and m.state in {OPEN_IN})
            + (select count(*) from messaging_service_outbox m where m.person = t.person and m.state in {OPEN_OUT})
                as open,
            (select count(*) from messaging_service_inbox m where m.person = t.person and m.state = 'failed')
            + (select count(*) from messaging_service_outbox m where m.person = t.person and m.state in {FAILED_OUT})
                as failed
        from messaging_service_threads t"
    )
}

fn unprocessed(row: Row<'_>) -> Outcome<UnprocessedMessage> {
    let state: String = row.get("state")?;
    let is_over = matches!(state.as_str(), "failed" | "undelivered" | "unknown" | "unanswerable");
    let may_retry = matches!(state.as_str(), "failed" | "undelivered" | "unknown");
    let next_ms: i64 = row.get("next_ms")?;
    Ok(UnprocessedMessage {
        id: row.get("id")?,
        inbound: row.get("inbound")?,
        may_retry,
        person: row.get("person")?,
        channel: row.get("channel")?,
        state: if state == "unknown" { "unknown_outcome".to_owned() } else { state },
        text: row.get("body")?,
        attempts: row.get("attempts")?,
        error: row.get("error")?,
        advice: row.get("advice")?,
        run: row.get("run")?,
        since_ms: row.get("at_ms")?,
        next_ms: Some(next_ms).filter(|next| *next > 0 && !is_over),
    })
}
