//! What came: stored once, however often it is delivered; then a step at a time.

use plugin_api::{
    origin::Origin,
    requests::{
        memory::Attachment,
        sql::{Query, Row, Statement, Value},
        twilio_service::Channel,
    },
    serde_json,
};

use super::{Direction, Lane, Outcome, Outgoing, Store, lanes::put_into};
use crate::{inbound::Inbound, keyword::Keyword, window::Ways};

/// Messages of a person that are looked at together.
const LOOKED_AT: u32 = 50;
/// What is read of a thread `t`.
pub(super) const WAYS: &str =
    "nullif(t.last_channel, '') as last, t.whatsapp_ms, t.sms_stopped, t.whatsapp_stopped,
    nullif(t.rcs_sender, '') as rcs_sender";

/// How far a message is.
#[plugin_api::row]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum InState {
    /// It is stored.
    Received,
    /// It is in the memory.
    Remembered,
    /// It is being answered, and those behind it wait.
    Running,
    /// It is being answered, and those behind it go on.
    Following,
    /// It is answered, or its answer is on its way.
    Answered,
    /// There is nobody to answer it, or nothing to answer.
    Noted,
    /// It came from where nobody can be answered: it is kept to be read, and nothing more.
    Unanswerable,
    /// It could not be processed.
    #[serde(other)]
    Failed,
}

impl InState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Remembered => "remembered",
            Self::Running => "running",
            Self::Following => "following",
            Self::Answered => "answered",
            Self::Noted => "noted",
            Self::Unanswerable => "unanswerable",
            Self::Failed => "failed",
        }
    }

    /// Nothing more happens by itself, and nothing is to be seen to.
    fn is_processed(self) -> bool {
        matches!(self, Self::Answered | Self::Noted)
    }
}

/// A message that came, with how far it is.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct Received {
    pub sid: String,
    pub person: String,
    pub is_person: bool,
    pub channel: Channel,
    pub keyword: Option<Keyword>,
    pub is_answered: bool,
    pub body: String,
    pub attachments: Vec<Attachment>,
    pub display_name: Option<String>,
    /// Who wrote it, if not the person.
    pub origin: Option<Origin>,
    pub state: InState,
    /// How many attempts failed since it came, or since somebody asked for another try.
    pub attempts: u32,
    /// How often somebody asked for another try.
    pub round: u32,
    pub run: Option<String>,
    pub error: String,
    /// It failed for good, by no outage.
    pub is_refused: bool,
    pub at_ms: i64,
    pub since_ms: i64,
    pub next_ms: i64,
    /// How the person may be written to now.
    #[serde(skip)]
    pub ways: Ways,
}

/// How a message ended: answered, or failed for good, and why. One that failed by an outage counts neither way: whatever
/// is away is told by the plugin that is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Answered,
    Refused(String),
}

impl Store {
    /// Stores a message; false if it is there already, whoever stored it. A keyword has its effect with it.
    pub async fn receive(&self, message: &Inbound) -> Outcome<bool> {
        let lane = put_into(Direction::In, &message.person, &is_new(4)).bind(&message.sid);
        let committed = self.commit(vec![touch(message), lane, insert(message)]).await?;
        Ok(committed.last().is_some_and(|inserted| inserted.rows_affected == 1))
    }

    /// The messages of a person that are not processed: the one whose turn it is first, those that are followed last.
    pub async fn open_messages(&self, person: &str) -> Outcome<Vec<Received>> {
        let query = format!(
            "select m.sid, m.person, m.is_person, m.channel, nullif(m.keyword, '') as keyword, m.is_answered, m.body,
                m.attachments, nullif(m.display_name, '') as display_name, nullif(m.origin, '') as origin, m.state, m.attempts, m.round,
                nullif(m.run, '') as run, m.error, m.is_refused, m.at_ms, m.since_ms, m.next_ms, {WAYS}
            from messaging_service_inbox m join messaging_service_threads t on t.person = m.person
            where m.person = $1 and m.state in ('received', 'remembered', 'running', 'following')
            order by case m.state when 'following' then 1 else 0 end, m.seq"
        );
        let rows = self.query(Query::new(query).bind(person).row_limit(LOOKED_AT)).await?;
        rows.iter().map(received).collect()
    }

    /// How many messages of a person that came since then were answered, or are being answered; counted as far as `most`.
    pub async fn answered_since(&self, person: &str, since_ms: i64, most: u32) -> Outcome<u32> {
        let query = "select count(*) as answered from (
                select 1 from messaging_service_inbox
                where person = $1 and state in ('answered', 'running', 'following') and at_ms > $2 limit $3
            ) recent";
        let query = Query::new(query).bind(person).bind(since_ms).bind(i64::from(most));
        self.query(query).await?.read_one()
    }

    /// How the newest messages ended, the newest first.
    pub async fn newest_ends(&self, most: u32) -> Outcome<Vec<End>> {
        let query = "select is_refused, error from messaging_service_inbox where ended_ms > 0
            order by ended_ms desc limit $1";
        let ends: Vec<(bool, String)> = self.query(Query::new(query).bind(i64::from(most))).await?.read()?;
        let end = |(is_refused, error)| if is_refused { End::Refused(error) } else { End::Answered };
        Ok(ends.into_iter().map(end).collect())
    }

    /// Notes how far a message is, and with it puts a text on its way.
    pub async fn save(&self, lane: &Lane, message: &Received, outgoing: Option<&Outgoing>) -> Outcome<()> {
        let mut statements: Vec<_> = outgoing.iter().map(|outgoing| thread_of(&outgoing.person)).collect();
        statements.push(self.renewal(lane));
        statements
            .extend(outgoing.iter().map(|outgoing| put_into(Direction::Out, &outgoing.person, "1 = 1")));
        statements.push(update(message));
        statements.extend(outgoing.iter().flat_map(|outgoing| outgoing.inserts()));
        self.commit(statements).await.map(drop)
    }

    /// Notes that the person wants messages again, or none.
    pub async fn set_stopped(&self, person: &str, channel: Channel, is_stopped: bool) -> Outcome<()> {
        let column = stopped_column(channel);
        let set =
            Statement::new(format!("update messaging_service_threads set {column} = $2 where person = $1"));
        self.commit(vec![set.bind(person).bind(i64::from(is_stopped))]).await.map(drop)
    }

    /// How a person may be written to.
    pub async fn ways(&self, person: &str) -> Outcome<Ways> {
        let query = format!("select {WAYS} from messaging_service_threads t where t.person = $1");
        Ok(self.query(Query::new(query).bind(person)).await?.read_first()?.unwrap_or_default())
    }
}

/// A message with the SID in this parameter is not there.
fn is_new(parameter: u8) -> String {
    format!("not exists (select 1 from messaging_service_inbox where sid = ${parameter})")
}

/// The thread, and what a keyword changes. A message that is delivered again changes nothing.
fn touch(message: &Inbound) -> Statement {
    let is_whatsapp = message.channel == Channel::Whatsapp;
    let stop = match message.keyword {
        Some(Keyword::Stop) => Some(1),
        Some(Keyword::Start) => Some(0),
        _ => None,
    };
    let kept = |column: &str| format!("messaging_service_threads.{column}");
    let (sms, whatsapp) = match (stop, is_whatsapp) {
        (Some(stop), false) => (stop.to_string(), kept("whatsapp_stopped")),
        (Some(stop), true) => (kept("sms_stopped"), stop.to_string()),
        (None, _) => (kept("sms_stopped"), kept("whatsapp_stopped")),
    };
    let is_stop = |whatsapp: bool| i64::from(stop == Some(1) && is_whatsapp == whatsapp);
    Statement::new(format!(
        "insert into messaging_service_threads
            (person, first_ms, last_ms, last_channel, whatsapp_ms, sms_stopped, whatsapp_stopped, rcs_sender)
        select $1, $2, $2, $3, $4, $5, $6, $8 where {new}
        on conflict (person) do update set
            last_ms = excluded.last_ms, last_channel = excluded.last_channel,
            whatsapp_ms = case when excluded.whatsapp_ms > messaging_service_threads.whatsapp_ms
                then excluded.whatsapp_ms else messaging_service_threads.whatsapp_ms end,
            rcs_sender = case when excluded.rcs_sender <> '' then excluded.rcs_sender
                else messaging_service_threads.rcs_sender end,
            sms_stopped = {sms}, whatsapp_stopped = {whatsapp}",
        new = is_new(7)
    ))
    .bind(&message.person)
    .bind(message.at_ms)
    .bind(message.channel.as_str())
    .bind(if is_whatsapp { message.at_ms } else { 0 })
    .bind(is_stop(false))
    .bind(is_stop(true))
    .bind(&message.sid)
    .bind(message.rcs_sender.as_deref().unwrap_or_default())
}

fn insert(message: &Inbound) -> Statement {
    Statement::new(
        "insert into messaging_service_inbox
            (sid, person, seq, is_person, channel, keyword, is_answered, body, attachments, display_name, state,
             attempts, round, run, error, at_ms, since_ms, next_ms, origin)
        select $1, $2, wanted, $3, $4, $5, $6, $7, $8, $9, 'received', 0, 0, '', '', $10, $10, 0, $12
        from messaging_service_lanes where lane = $11
        on conflict (sid) do nothing",
    )
    .bind(&message.sid)
    .bind(&message.person)
    .bind(i64::from(message.is_person))
    .bind(message.channel.as_str())
    .bind(message.keyword.map_or("", Keyword::as_str))
    .bind(i64::from(message.is_answered))
    .bind(&message.body)
    .bind(json(&message.attachments))
    .bind(message.display_name.as_deref().unwrap_or_default().replace('\0', ""))
    .bind(message.at_ms)
    .bind(Direction::In.of(&message.person))
    .bind(message.origin.map_or("", Origin::as_str))
}

/// What is processed is kept without its text: that it came, so that it is never processed twice.
fn update(message: &Received) -> Statement {
    let text =
        if message.state.is_processed() { "body = '', attachments = '[]', display_name = ''," } else { "" };
    Statement::new(format!(
        "update messaging_service_inbox set {text}
            state = $2, attempts = $3, run = $4, error = $5, since_ms = $6, next_ms = $7, is_refused = $8,
            ended_ms = case when $9 = 1 then now_ms() else 0 end
        where sid = $1"
    ))
    .bind(&message.sid)
    .bind(message.state.as_str())
    .bind(i64::from(message.attempts))
    .bind(message.run.as_deref().unwrap_or_default())
    .bind(&message.error)
    .bind(message.since_ms)
    .bind(message.next_ms)
    .bind(i64::from(message.is_refused))
    .bind(i64::from(message.state == InState::Answered || message.is_refused))
}

pub(super) fn stopped_column(channel: Channel) -> &'static str {
    match channel {
        Channel::Whatsapp => "whatsapp_stopped",
        _ => "sms_stopped",
    }
}

fn json(attachments: &[Attachment]) -> Value {
    Value::Text(serde_json::to_string(attachments).expect("text is always JSON"))
}

fn received(row: Row<'_>) -> Outcome<Received> {
    Ok(Received { ways: row.read()?, ..row.read()? })
}

/// The thread of a person who is written to first.
pub(super) fn thread_of(person: &str) -> Statement {
    Statement::new(
        "insert into messaging_service_threads
            (person, first_ms, last_ms, last_channel, whatsapp_ms, sms_stopped, whatsapp_stopped)
        values ($1, now_ms(), now_ms(), '', 0, 0, 0)
        on conflict (person) do update set last_ms = excluded.last_ms",
    )
    .bind(person)
}
