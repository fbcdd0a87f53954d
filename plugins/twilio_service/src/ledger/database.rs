//! The ledger in the database: across restarts, and across all hosts that share it. Every step is one statement, so that
//! two hosts cannot both take it.

use std::time::Duration;

use plugin_api::{
    context::Context,
    error::OperationError,
    lease,
    process::Leases,
    requests::{
        sql::{Execute, Migrate, Query, Row, Rows},
        twilio_service::{Delivery, OptOuts, Undelivered, WebhookState},
    },
    tables::Tables,
};

use super::{Claim, Entry, LONGEST_WEBHOOK_LEASE_SECONDS, State};
use crate::{
    draft::{Kind, Mark},
    outcome,
    status::{ENDED, SMS, StatusReport, WHATSAPP},
};

/// No entry is longer its owner's without another step.
const LONGEST_LEASE: Duration = Duration::from_secs(20);
/// The mark of a message whose text is sealed.
const SEALED: &str = "sealed";
/// Entries looked into at once.
const OPEN_ENTRIES: u32 = 100;

const TABLES: &str = "
    create table twilio_service_outbox (
        id text primary key,
        kind text not null,
        fingerprint text not null,
        state text not null,
        owner text not null,
        lease_ms bigint not null,
        recipient text not null,
        sender text not null,
        mark text not null,
        body text not null,
        media bigint not null,
        sid text,
        status text not null,
        sending_ms bigint not null,
        created_ms bigint not null
    );
    create unique index twilio_service_outbox_sid on twilio_service_outbox (sid);
    create index twilio_service_outbox_state on twilio_service_outbox (state, created_ms);
    create table twilio_service_statuses (
        sid text primary key,
        status text not null,
        step bigint not null,
        error_code bigint not null,
        at_ms bigint not null
    );
    create table twilio_service_opt_outs (
        address text primary key,
        at_ms bigint not null
    );
    create table twilio_service_webhooks (
        caller text not null,
        event text not null,
        state text not null,
        claim text not null,
        lease_ms bigint not null,
        primary key (caller, event)
    )";

/// What became of the newest messages is looked at often.
const CHANNELS: &str = "
    alter table twilio_service_statuses add column channel text not null default '';
    create index twilio_service_statuses_ended on twilio_service_statuses (channel, step, at_ms)";

const CLAIM: &str = "
    insert into twilio_service_outbox
        (id, kind, fingerprint, state, owner, lease_ms, recipient, sender, mark, body, media, status, sending_ms,
         created_ms)
    values ($1, $2, $3, 'claimed', $4, now_ms() + $5, $6, $7, $8, $9, $10, '', 0, now_ms())
    on conflict (id) do update set
        fingerprint = excluded.fingerprint, state = 'claimed', owner = excluded.owner, lease_ms = excluded.lease_ms,
        recipient = excluded.recipient, sender = excluded.sender, mark = excluded.mark, body = excluded.body,
        media = excluded.media, sending_ms = 0, created_ms = excluded.created_ms
    where twilio_service_outbox.state = 'failed' or (twilio_service_outbox.state = 'claimed' and ";

const ENTRY: &str = "
    select id, kind, fingerprint, state, owner, recipient, sender, mark, body, media, coalesce(sid, '') as sid, status,
        sending_ms, created_ms";

const RECORD: &str = "
    insert into twilio_service_statuses (sid, status, step, error_code, at_ms, channel)
    values ($1, $2, $3, $4, now_ms(), $5)
    on conflict (sid) do update set
        status = excluded.status, step = excluded.step, error_code = excluded.error_code, at_ms = excluded.at_ms
    where twilio_service_statuses.step < excluded.step";

const CLAIM_WEBHOOK: &str = "
    insert into twilio_service_webhooks (caller, event, state, claim, lease_ms)
    values ($1, $2, 'claimed', $3, now_ms() + $4)
    on conflict (caller, event) do update set claim = excluded.claim, lease_ms = excluded.lease_ms
    where twilio_service_webhooks.state = 'claimed' and ";

/// Remembers in the database.
pub struct Database {
    context: Context,
    tables: Tables,
}

type Outcome<T> = Result<T, OperationError>;

impl Database {
    pub fn new(context: Context) -> Self {
        let versions = Migrate::new("twilio_service")
            .version("outbox, statuses, opt-outs, webhooks", TABLES)
            .version("the channel of a status", CHANNELS);
        let entries = Leases { table: "twilio_service_outbox", owner: "owner", until: "lease_ms" };
        let webhooks = Leases { table: "twilio_service_webhooks", owner: "claim", until: "lease_ms" };
        let tables = Tables::new(context.clone(), versions, "the ledger cannot be used")
            .leases(entries, "state in ('claimed', 'sending')")
            .leases(webhooks, "state = 'claimed'")
            // That a step of the ledger may have been taken does not mean that anything was sent.
            .repeatable();
        Self { context, tables }
    }

    pub async fn claim(&self, entry: &Entry) -> Outcome<Claim> {
        let (mark, body) = self.written(entry).await?;
        let is_over = lease::is_over("twilio_service_outbox.lease_ms", LONGEST_LEASE);
        let claim = Execute::new(format!("{CLAIM}{is_over})"))
            .bind(&entry.id)
            .bind(entry.kind.as_str())
            .bind(&entry.fingerprint)
            .bind(&entry.owner)
            .bind(entry.lease_ms)
            .bind(&entry.to)
            .bind(&entry.from)
            .bind(mark)
            .bind(body)
            .bind(entry.media);
        if self.execute(claim).await? {
            return Ok(Claim::Fresh);
        }
        // It can be gone only if it was forgotten just now, after months.
        let known = self.entry(&entry.id).await?;
        known
            .map(|known| Claim::Taken(Box::new(known)))
            .ok_or_else(|| OperationError::unavailable("the ledger is being tidied: try again"))
    }

    pub async fn begin(&self, entry: &Entry, lease_ms: i64) -> Outcome<bool> {
        let begin = "
            update twilio_service_outbox set state = 'sending', sending_ms = $3, lease_ms = now_ms() + $4
            where id = $1 and owner = $2 and state = 'claimed'";
        let begin = Execute::new(begin).bind(&entry.id).bind(&entry.owner);
        self.execute(begin.bind(entry.sending_ms).bind(lease_ms)).await
    }

    pub async fn sent(&self, id: &str, sid: &str, status: &str) -> Outcome<bool> {
        let sent = "
            update twilio_service_outbox set state = 'sent', sid = $2, status = $3, body = ''
            where id = $1 and state in ('sending', 'unknown')";
        self.execute(Execute::new(sent).bind(id).bind(sid).bind(status)).await
    }

    pub async fn not_sent(&self, entry: &Entry, state: State) -> Outcome<()> {
        let not_sent = "
            update twilio_service_outbox
            set state = $3, body = case when $3 = 'unknown' then body else '' end
            where id = $1 and owner = $2 and state <> 'sent'";
        let not_sent = Execute::new(not_sent).bind(&entry.id).bind(&entry.owner).bind(state.as_str());
        self.execute(not_sent).await.map(drop)
    }

    pub async fn entry(&self, id: &str) -> Outcome<Option<Entry>> {
        let entries = self.entries(Query::new(entries_where("id = $1")).bind(id)).await?;
        Ok(entries.into_iter().next())
    }

    pub async fn has_sid(&self, sid: &str) -> Outcome<bool> {
        let query = Query::new("select 1 as one from twilio_service_outbox where sid = $1").bind(sid);
        Ok(!self.query(query).await?.is_empty())
    }

    /// What is young by either clock: that of the database may have been put ahead since.
    pub async fn open_entries(&self, age_ms: i64, twilio_ms: i64) -> Outcome<Vec<Entry>> {
        let is_over = lease::is_over("lease_ms", LONGEST_LEASE);
        let open = format!(
            "(created_ms > now_ms() - $1 or sending_ms > $2 - $1)
                and (state = 'unknown' or (state = 'sending' and {is_over}))
            order by created_ms"
        );
        let query = Query::new(entries_where(&open)).bind(age_ms).bind(twilio_ms);
        self.entries(query.row_limit(OPEN_ENTRIES)).await
    }

    pub async fn record(&self, report: &StatusReport) -> Outcome<()> {
        let record = Execute::new(RECORD)
            .bind(&report.sid)
            .bind(&report.status)
            .bind(report.step)
            .bind(report.error_code.unwrap_or_default())
            .bind(report.channel().unwrap_or_default());
        self.execute(record).await.map(drop)
    }

    pub async fn outcomes(&self, most: u32) -> Outcome<Vec<outcome::Outcome>> {
        let mut outcomes = Vec::new();
        for channel in [SMS, WHATSAPP] {
            let query = "
                select status, error_code from twilio_service_statuses where channel = $1 and step >= $2
                order by at_ms desc, case when status in ('failed', 'undelivered') then 0 else 1 end";
            let rows = self.query(Query::new(query).bind(channel).bind(ENDED).row_limit(most)).await?;
            for row in rows.iter() {
                let code = Some(row.get("error_code")?).filter(|code| *code != 0);
                outcomes.push(outcome::Outcome::of(&row.get::<String>("status")?, code, channel));
            }
        }
        Ok(outcomes)
    }

    pub async fn delivery(&self, sid: &str) -> Outcome<Option<Delivery>> {
        let query = "select status, error_code, at_ms from twilio_service_statuses where sid = $1";
        let rows = self.query(Query::new(query).bind(sid)).await?;
        rows.first()
            .map(|row| {
                Ok(Delivery {
                    sid: sid.to_owned(),
                    status: row.get("status")?,
                    error_code: Some(row.get("error_code")?).filter(|code| *code != 0),
                    at_ms: row.get("at_ms")?,
                })
            })
            .transpose()
    }

    pub async fn undelivered(&self, after_ms: i64, after_sid: &str, most: u32) -> Outcome<Undelivered> {
        let query = "
            select sid, channel, error_code, at_ms from twilio_service_statuses
            where channel in ('sms', 'whatsapp', 'rcs') and step = $1
                and (at_ms > $2 or (at_ms = $2 and sid > $3)) and status in ('failed', 'undelivered')
            order by at_ms, sid";
        let query = Query::new(query).bind(ENDED).bind(after_ms).bind(after_sid).row_limit(most);
        let rows = self.query(query).await?;
        let message = |row: Row<'_>| {
            let code = Some(row.get("error_code")?).filter(|code| *code != 0);
            Ok(super::not_delivered(row.get("sid")?, &row.get::<String>("channel")?, code, row.get("at_ms")?))
        };
        Ok(Undelivered {
            messages: rows.iter().map(message).collect::<Outcome<_>>()?,
            truncated: rows.truncated,
        })
    }

    pub async fn record_opt_out(&self, address: &str, opted_out: bool) -> Outcome<()> {
        let change = match opted_out {
            true => Execute::new(
                "insert into twilio_service_opt_outs (address, at_ms) values ($1, now_ms())
                on conflict (address) do nothing",
            )
            .bind(address),
            false => Execute::new("delete from twilio_service_opt_outs where address = $1").bind(address),
        };
        self.execute(change).await.map(drop)
    }

    pub async fn opt_outs(&self, address: Option<&str>, most: u32) -> Outcome<OptOuts> {
        let query = match address {
            Some(address) => {
                Query::new("select address from twilio_service_opt_outs where address = $1").bind(address)
            }
            None => Query::new("select address from twilio_service_opt_outs order by address"),
        };
        let rows = self.query(query.row_limit(most)).await?;
        Ok(OptOuts { addresses: rows.read()?, truncated: rows.truncated })
    }

    pub async fn claim_webhook(
        &self,
        caller: &str,
        key: &str,
        claim: &str,
        lease_ms: i64,
    ) -> Outcome<WebhookState> {
        let longest = Duration::from_secs(LONGEST_WEBHOOK_LEASE_SECONDS.into());
        let is_over = lease::is_over("twilio_service_webhooks.lease_ms", longest);
        let statement = Execute::new(format!("{CLAIM_WEBHOOK}{is_over}"));
        let statement = statement.bind(caller).bind(key).bind(claim).bind(lease_ms);
        if self.execute(statement).await? {
            return Ok(WebhookState::Claimed);
        }
        let query = "select state from twilio_service_webhooks where caller = $1 and event = $2";
        let rows = self.query(Query::new(query).bind(caller).bind(key)).await?;
        let state: Option<String> = rows.read_first()?;
        // Released in between, it is free for the next try.
        Ok(if state.as_deref() == Some("done") { WebhookState::Done } else { WebhookState::InProgress })
    }

    /// The time of a webhook that was handled is kept in place of its lease.
    pub async fn settle_webhook(&self, caller: &str, key: &str, claim: &str, done: bool) -> Outcome<bool> {
        let is_ours = "where caller = $1 and event = $2 and claim = $3 and state = 'claimed'";
        let settle = match done {
            true => Execute::new(format!(
                "update twilio_service_webhooks set state = 'done', lease_ms = now_ms() {is_ours}"
            )),
            false => Execute::new(format!("delete from twilio_service_webhooks {is_ours}")),
        };
        let settle = settle.bind(caller).bind(key).bind(claim);
        self.execute(settle).await
    }

    pub async fn forget_old(&self, webhooks_ms: i64, entries_ms: i64) -> Outcome<()> {
        // Whoever claimed them is gone, and may have been asked by a call that nobody repeats.
        let void = format!(
            "update twilio_service_outbox set state = 'failed', body = '' where state = 'claimed' and {}",
            lease::is_over("lease_ms", LONGEST_LEASE)
        );
        self.execute(Execute::new(void)).await?;
        for (delete, age_ms) in [
            ("delete from twilio_service_webhooks where lease_ms < now_ms() - $1", webhooks_ms),
            ("delete from twilio_service_outbox where created_ms < now_ms() - $1", entries_ms),
            ("delete from twilio_service_statuses where at_ms < now_ms() - $1", entries_ms),
        ] {
            self.execute(Execute::new(delete).bind(age_ms)).await?;
        }
        Ok(())
    }

    /// Whether the statement did something.
    async fn execute(&self, statement: Execute) -> Outcome<bool> {
        Ok(self.tables.execute(statement).await?.rows_affected > 0)
    }

    async fn query(&self, query: Query) -> Outcome<Rows> {
        self.tables.query(query).await
    }

    async fn entries(&self, query: Query) -> Outcome<Vec<Entry>> {
        let mut entries: Vec<Entry> = self.query(query).await?.iter().map(entry).collect::<Outcome<_>>()?;
        for entry in &mut entries {
            self.open(entry).await?;
        }
        Ok(entries)
    }

    /// What a message can be recognised by, as it lies in the table.
    async fn written(&self, entry: &Entry) -> Outcome<(&'static str, String)> {
        Ok(match &entry.mark {
            Mark::Body(body) if entry.sensitive => (SEALED, self.context.host().seal(body).await?.sealed),
            Mark::Body(body) => ("body", body.clone()),
            Mark::Template => ("template", String::new()),
            Mark::Call => ("call", String::new()),
        })
    }

    /// Reads a text that was sealed. If it cannot be read any more, the message is one whose text is not known.
    async fn open(&self, entry: &mut Entry) -> Outcome<()> {
        let Mark::Body(sealed) = &entry.mark else { return Ok(()) };
        if !entry.sensitive || sealed.is_empty() {
            return Ok(());
        }
        entry.mark = match self.context.host().open(sealed).await {
            Ok(body) => Mark::Body(body),
            Err(error) if error.kind.may_retry(true) => return Err(error),
            Err(_) => Mark::Template,
        };
        Ok(())
    }
}

fn entries_where(condition: &str) -> String {
    let is_over = lease::is_over("lease_ms", LONGEST_LEASE);
    format!(
        "{ENTRY}, case when {is_over} then 0 else lease_ms - now_ms() end as lease_ms
        from twilio_service_outbox where {condition}"
    )
}

fn entry(row: Row<'_>) -> Outcome<Entry> {
    let text = |column: &str| row.get::<String>(column);
    let kind = text("mark")?;
    let mark = match kind.as_str() {
        "body" | SEALED => Mark::Body(text("body")?),
        "call" => Mark::Call,
        _ => Mark::Template,
    };
    Ok(Entry {
        id: text("id")?,
        kind: Kind::named(&text("kind")?),
        fingerprint: text("fingerprint")?,
        state: State::named(&text("state")?),
        owner: text("owner")?,
        lease_ms: row.get("lease_ms")?,
        to: text("recipient")?,
        from: text("sender")?,
        mark,
        sensitive: kind == SEALED,
        media: row.get("media")?,
        sid: text("sid")?,
        status: text("status")?,
        sending_ms: row.get("sending_ms")?,
        created_ms: row.get("created_ms")?,
    })
}
