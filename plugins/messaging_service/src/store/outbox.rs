//! What is to go: a text as the messages that it goes as, each a row, stored before anything is sent.

use std::collections::BTreeMap;

use plugin_api::{
    origin::Origin,
    requests::{
        messaging::{SendState, SentPart, SentText},
        sql::{Execute, Query, Statement, Value},
        twilio_service::{Channel, NotDelivered},
    },
    serde_json::{self, json},
};

use super::{Direction, Lane, Outcome, Store, inbox::thread_of, lanes::put_into};

/// Parts of a person's texts that are looked at together.
const LOOKED_AT: u32 = 50;
const PART: &str = "message, part, person, channel, body, media, nullif(origin, '') as origin, state, attempts, nullif(sid, '') as sid, error, kind,
    remembered as is_remembered, round, at_ms, since_ms, looking_ms, next_ms";

/// A text that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Two texts with the same name are one, and go once.
    pub message: String,
    pub person: String,
    pub channel: Channel,
    /// Its messages, in order.
    pub parts: Vec<String>,
    /// What goes with the first.
    pub media: Vec<String>,
    /// Who wrote it, if not the assistant.
    pub origin: Option<Origin>,
    /// A digest of the request: one name must not stand for two texts.
    pub fingerprint: String,
}

/// What became of a part.
#[plugin_api::row]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// It is to be sent.
    Pending,
    /// It was handed over without an answer, and its outcome is looked for.
    Looking,
    /// Twilio has it.
    Sent,
    /// The person wants no messages.
    Dropped,
    /// It was not sent.
    Failed,
    /// Twilio had it, and reported that it did not arrive.
    Undelivered,
    /// Its outcome was looked for in vain.
    #[serde(other)]
    Unknown,
}

impl PartState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Looking => "looking",
            Self::Sent => "sent",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Undelivered => "undelivered",
            Self::Unknown => "unknown",
        }
    }

    /// It waits for its turn, or for an answer: those behind it wait for it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Looking)
    }

    pub fn shown(self) -> SendState {
        match self {
            Self::Pending => SendState::Pending,
            Self::Sent => SendState::Sent,
            Self::Dropped => SendState::Dropped,
            Self::Failed => SendState::Failed,
            Self::Undelivered => SendState::Undelivered,
            Self::Looking | Self::Unknown => SendState::UnknownOutcome,
        }
    }
}

/// A message that is to go, with what became of it.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct Part {
    pub message: String,
    /// From 1 up.
    pub part: u32,
    pub person: String,
    pub channel: Channel,
    pub body: String,
    pub media: Vec<String>,
    /// Who wrote it, if not the assistant.
    pub origin: Option<Origin>,
    pub state: PartState,
    pub attempts: u32,
    pub sid: Option<String>,
    pub error: String,
    /// The kind of the last error.
    pub kind: String,
    /// It is in the memory.
    pub is_remembered: bool,
    /// How often it is sent again after it was not delivered.
    pub round: u32,
    pub at_ms: i64,
    /// When the first attempt failed.
    pub since_ms: i64,
    /// Since when its outcome is looked for.
    pub looking_ms: i64,
    pub next_ms: i64,
}

impl Outgoing {
    /// A row for each of its messages, unless they are there.
    pub(super) fn inserts(&self) -> Vec<Statement> {
        let parts =
            if self.parts.is_empty() { vec![""] } else { self.parts.iter().map(|part| &**part).collect() };
        (1..).zip(parts).map(|(number, body)| self.insert(number, body)).collect()
    }

    fn insert(&self, part: i64, body: &str) -> Statement {
        let media: &[String] = if part == 1 { &self.media } else { &[] };
        Statement::new(
            "insert into messaging_service_outbox
                (message, part, person, seq, channel, fingerprint, body, media, state, attempts, sid, error, kind,
                 remembered, at_ms, since_ms, next_ms, origin)
            select $1, $2, $3, wanted, $4, $5, $6, $7, 'pending', 0, '', '', '', 0, now_ms(), now_ms(), 0, $9
            from messaging_service_lanes where lane = $8
            on conflict (message, part) do nothing",
        )
        .bind(&self.message)
        .bind(part)
        .bind(&self.person)
        .bind(self.channel.as_str())
        .bind(&self.fingerprint)
        .bind(body)
        .bind(Value::Text(serde_json::to_string(media).expect("text is always JSON")))
        .bind(Direction::Out.of(&self.person))
        .bind(self.origin.map_or("", Origin::as_str))
    }
}

impl Store {
    /// Puts a text on its way, unless one of its name is there.
    pub async fn put(&self, outgoing: &Outgoing) -> Outcome<()> {
        let mut statements =
            vec![thread_of(&outgoing.person), put_into(Direction::Out, &outgoing.person, "1 = 1")];
        statements.extend(outgoing.inserts());
        self.commit(statements).await.map(drop)
    }

    /// A text by its name: the digest of its request, its recipient, what became of it; `None` if there is none.
    pub async fn text(&self, message: &str) -> Outcome<Option<(String, SentText, Vec<Part>)>> {
        let query = format!(
            "select {PART}, fingerprint from messaging_service_outbox where message = $1 order by part"
        );
        let rows = self.query(Query::new(query).bind(message)).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let (fingerprint, parts): (_, Vec<Part>) = (first.get("fingerprint")?, rows.read()?);
        Ok(report(&parts).map(|report| (fingerprint, report, parts)))
    }

    /// What is to go to a person, in order, and what went and is not in the memory yet.
    pub async fn open_parts(&self, person: &str) -> Outcome<Vec<Part>> {
        let query = format!(
            "select {PART} from messaging_service_outbox
            where person = $1 and (state in ('pending', 'looking') or (state = 'sent' and remembered = 0))
            order by case state when 'sent' then 1 else 0 end, seq, part"
        );
        self.query(Query::new(query).bind(person).row_limit(LOOKED_AT)).await?.read()
    }

    /// The parts that Twilio has under these SIDs, by them, unless it is known that they did not arrive.
    pub async fn sent_as(&self, sids: &[&str]) -> Outcome<BTreeMap<String, Part>> {
        let sids_in = self.tables.dialect().await?.texts(1);
        let query =
            format!("select {PART} from messaging_service_outbox where state = 'sent' and sid in {sids_in}");
        let rows = self.query(Query::new(query).bind(Value::Json(json!(sids)))).await?;
        rows.iter().map(|row| Ok((row.get("sid")?, row.read()?))).collect()
    }

    /// Notes that a part did not arrive; false if that is noted already.
    pub async fn not_delivered(&self, part: &Part, report: &NotDelivered) -> Outcome<bool> {
        let set = "
            update messaging_service_outbox
            set state = 'undelivered', error = $3, kind = 'denied', advice = $4, next_ms = 0
            where message = $1 and part = $2 and state = 'sent'";
        let set = Execute::new(set).bind(&part.message).bind(i64::from(part.part));
        let set = set.bind(format!("not delivered: {}", report.why)).bind(&report.advice);
        Ok(self.execute(set).await?.rows_affected == 1)
    }

    /// Why messages to a person did not arrive, by their SIDs.
    pub async fn undelivered_to(&self, person: &str) -> Outcome<BTreeMap<String, String>> {
        let query =
            "select sid, error from messaging_service_outbox where person = $1 and state = 'undelivered'
            order by at_ms desc limit 500";
        Ok(self.query(Query::new(query).bind(person)).await?.read()?.into_iter().collect())
    }

    /// Whether something is still to go to a person.
    pub async fn has_open_parts(&self, person: &str) -> Outcome<bool> {
        let query = "select 1 as one from messaging_service_outbox
            where person = $1 and state in ('pending', 'looking')";
        Ok(!self.query(Query::new(query).bind(person).row_limit(1)).await?.is_empty())
    }

    /// Notes what became of a part. One that is not sent for good takes those behind it along.
    pub async fn save_part(&self, lane: &Lane, part: &Part) -> Outcome<()> {
        let mut statements = vec![self.renewal(lane), update(part)];
        if matches!(part.state, PartState::Failed | PartState::Dropped) {
            statements.push(give_up_behind(part));
        }
        self.commit(statements).await.map(drop)
    }

    /// Drops what is to go this way to a person who wants no messages.
    pub async fn drop_all(&self, lane: &Lane, channel: Channel) -> Outcome<()> {
        let dropped = Statement::new(
            "update messaging_service_outbox
            set state = 'dropped', body = '', error = 'the person opted out', kind = 'denied'
            where person = $1 and channel = $2 and state = 'pending'",
        );
        let dropped = dropped.bind(&lane.person).bind(channel.as_str());
        self.commit(vec![self.renewal(lane), dropped]).await.map(drop)
    }
}

/// The text is kept until it is dropped, or forgotten: what was sent may have to be sent again.
fn update(part: &Part) -> Statement {
    let text = if part.state == PartState::Dropped { "body = ''," } else { "" };
    // A report that it did not arrive may have come meanwhile.
    Statement::new(format!(
        "update messaging_service_outbox set {text}
            state = $3, attempts = $4, sid = $5, error = $6, kind = $7, remembered = $8, since_ms = $9,
            next_ms = $10, looking_ms = $11
        where message = $1 and part = $2 and state <> 'undelivered'"
    ))
    .bind(&part.message)
    .bind(i64::from(part.part))
    .bind(part.state.as_str())
    .bind(i64::from(part.attempts))
    .bind(part.sid.as_deref().unwrap_or_default())
    .bind(&part.error)
    .bind(&part.kind)
    .bind(i64::from(part.is_remembered))
    .bind(part.since_ms)
    .bind(part.next_ms)
    .bind(part.looking_ms)
}

fn give_up_behind(part: &Part) -> Statement {
    let error = match part.state {
        PartState::Dropped => part.error.clone(),
        _ => format!("part {} was not sent", part.part),
    };
    Statement::new(
        "update messaging_service_outbox set state = $3, error = $4, kind = $5
        where message = $1 and part > $2 and state = 'pending'",
    )
    .bind(&part.message)
    .bind(i64::from(part.part))
    .bind(part.state.as_str())
    .bind(error)
    .bind(&part.kind)
}

/// A text out of its parts: in doubt the worst of them counts.
pub(super) fn report(parts: &[Part]) -> Option<SentText> {
    let first = parts.first()?;
    let worst = [
        SendState::UnknownOutcome,
        SendState::Pending,
        SendState::Failed,
        SendState::Undelivered,
        SendState::Dropped,
    ];
    let is = |state: &SendState| parts.iter().any(|part| part.state.shown() == *state);
    Some(SentText {
        id: first.message.clone(),
        state: worst.into_iter().find(is).unwrap_or(SendState::Sent),
        to: first.person.clone(),
        channel: first.channel,
        parts: parts.iter().map(sent_part).collect(),
        repeated: false,
    })
}

fn sent_part(part: &Part) -> SentPart {
    SentPart {
        state: part.state.shown(),
        sid: part.sid.clone(),
        error: Some(part.error.clone()).filter(|error| !error.is_empty()),
    }
}
