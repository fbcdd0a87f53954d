//! A lane of outbound messages, one part after the other: handed to Twilio once, remembered, done. A part that has no
//! outcome yet holds up those behind it, so that the order holds. Nothing is given up before `twilio_service` was asked
//! whether it went: it knows what this plugin did not live to write down.

use plugin_api::{
    error::{ErrorKind, OperationError},
    lease::has_come,
    prelude::{Arc, Duration},
    requests::{
        memory::{AddTurn, Attachment, Medium, Speaker},
        twilio_service::{Channel, FindMessage, FoundMessage, ListOptOuts, SendMessage, SentMessage},
    },
    tokio::time::timeout,
    tracing,
};

use crate::{
    MEMORY, TWILIO_SERVICE, assistant, backoff,
    pump::{LONGEST_STEP, Pump},
    store::{Direction, LONGEST_WAIT, Lane, Part, PartState},
    window::Ways,
};

/// How long Twilio may take: less than a lane's lease.
const SENDING: Duration = Duration::from_secs(20);
const CALL: Duration = Duration::from_secs(15);
/// How long an outcome is looked for at least. `twilio_service` is sure of it after two minutes, if it can be.
const LOOKING_MS: i64 = 5 * 60_000;
/// How often.
const LOOK_MS: i64 = 5_000;
/// After fewer attempts it is looked for however much time has passed: the clock may have been put ahead, or no host ran.
const LEAST_ATTEMPTS: u32 = 10;
/// Why a part failed whose attempts had no answer.
const UNANSWERED: &str = "not sent: no attempt within `give_up_after` succeeded, and Twilio has none of them";
/// After each part that is not in the memory yet.
const REMEMBER_MS: i64 = 2_000;

type Outcome<T> = Result<T, OperationError>;

/// Works on the outbound messages of a person until none is due; answers when the next one is.
pub async fn work(pump: &Arc<Pump>, lane: &Lane) -> Outcome<Option<i64>> {
    loop {
        let parts = pump.store.open_parts(&lane.person).await?;
        let now = pump.store.now_ms();
        let head = parts.iter().find(|part| part.state.is_open());
        let forgotten = parts.iter().filter(|part| part.state == PartState::Sent);
        let next = head.into_iter().chain(forgotten.clone()).map(|part| part.next_ms).min();
        let due = head.into_iter().chain(forgotten).find(|part| has_come(part.next_ms, now, LONGEST_WAIT));
        let Some(part) = due else { return Ok(next) };
        step(pump, lane, part.clone()).await?;
    }
}

/// Sends what is to go to a person now, if nobody else is at it.
pub async fn send_to(pump: &Arc<Pump>, person: &str) -> Outcome<()> {
    if let Some(lane) = pump.store.claim_of(Direction::Out, person).await? {
        let worked = work(pump, &lane).await;
        pump.let_go(&lane, worked).await;
    }
    Ok(())
}

async fn step(pump: &Arc<Pump>, lane: &Lane, mut part: Part) -> Outcome<()> {
    // The clock may have been put back since.
    let now = pump.store.now_ms();
    (part.since_ms, part.looking_ms) = (part.since_ms.min(now), part.looking_ms.min(now));
    if part.state.is_open() {
        let ways = pump.store.ways(&part.person).await?;
        match timeout(LONGEST_STEP, send(pump, lane, &mut part, &ways)).await {
            Ok(sent) => sent?,
            Err(_) => {
                let hung = format!("it was given up after {LONGEST_STEP:?} without an outcome");
                trouble(pump, lane, &mut part, OperationError::unknown_outcome(hung)).await?;
            }
        }
    }
    if part.state == PartState::Sent {
        pump.store.hold(lane).await?;
        remember(pump, &mut part).await;
    }
    pump.store.save_part(lane, &part).await?;
    pump.changed();
    pump.stepped();
    Ok(())
}

async fn send(pump: &Pump, lane: &Lane, part: &mut Part, ways: &Ways) -> Outcome<()> {
    let is_stopped = ways.is_stopped(part.channel);
    if is_stopped || part.state == PartState::Looking {
        pump.store.hold(lane).await?;
        match find(pump, part).await {
            Ok(Some(sid)) => {
                sent(pump, part, sid).await;
                return Ok(());
            }
            Ok(None) if is_stopped => {
                (part.error, part.kind) =
                    ("the person opted out".to_owned(), ErrorKind::Denied.as_str().to_owned());
                return drop_out(pump, lane, part).await;
            }
            // Attempts without an answer are given up like any others.
            Ok(None) if pump.store.now_ms() - part.since_ms >= pump.config.give_up_ms => {
                // Of a refusal that was known before the search, the reason says more.
                if part.kind == ErrorKind::UnknownOutcome.as_str() {
                    note(part, &OperationError::unavailable(UNANSWERED));
                }
                fail(pump, part).await;
                return Ok(());
            }
            Ok(None) => part.state = PartState::Pending,
            Err(error) => return trouble(pump, lane, part, error).await,
        }
    }
    let request = match request(pump, part, ways) {
        Ok(request) => request,
        Err(error) => {
            note(part, &error);
            return give_up(pump, lane, part).await;
        }
    };
    pump.store.hold(lane).await?;
    let twilio = pump.context.dependency(TWILIO_SERVICE)?.person(&part.person).deadline(SENDING);
    match twilio.idempotency_key(key(part)).call(request).await {
        Ok(SentMessage { sid, .. }) => sent(pump, part, sid).await,
        Err(error) => trouble(pump, lane, part, error).await?,
    }
    Ok(())
}

fn key(part: &Part) -> String {
    match part.round {
        0 => format!("{}:{}", part.message, part.part),
        round => format!("{}:{}:{round}", part.message, part.part),
    }
}

/// The SID under which Twilio took it, on this host or another one, before a crash or after; `None` if it surely did not.
async fn find(pump: &Pump, part: &Part) -> Outcome<Option<String>> {
    let twilio = pump.context.dependency(TWILIO_SERVICE)?.deadline(CALL);
    match twilio.call(FindMessage { key: key(part) }).await? {
        FoundMessage::Sent { sid, .. } => Ok(Some(sid)),
        FoundMessage::NotSent => Ok(None),
        FoundMessage::Open { why } => Err(OperationError::unknown_outcome(why)),
    }
}

async fn sent(pump: &Pump, part: &mut Part, sid: String) {
    (part.state, part.sid) = (PartState::Sent, Some(sid));
    (part.error, part.kind, part.attempts) = (String::new(), String::new(), 0);
    pump.count("sent").await;
}

/// With all that is still to go this way.
async fn drop_out(pump: &Pump, lane: &Lane, part: &mut Part) -> Outcome<()> {
    pump.count("dropped").await;
    part.state = PartState::Dropped;
    pump.store.drop_all(lane, part.channel).await
}

/// The message as Twilio is to have it. It goes by the template if WhatsApp does not let it pass as it is.
fn request(pump: &Pump, part: &Part, ways: &Ways) -> Outcome<SendMessage> {
    let plain = SendMessage {
        to: Some(part.person.clone()),
        channel: part.channel,
        from: ways.rcs_sender.clone().filter(|_| part.channel == Channel::Rcs),
        body: Some(part.body.clone()).filter(|body| !body.is_empty()),
        media_urls: part.media.clone(),
        ..SendMessage::default()
    };
    if ways.is_open(part.channel, pump.store.now_ms()) {
        return Ok(plain);
    }
    let template = pump.config.whatsapp_template.clone().filter(|_| !part.body.is_empty());
    let Some(template) = template else { return Err(closed(&part.person)) };
    Ok(SendMessage {
        body: None,
        media_urls: Vec::new(),
        content_sid: Some(template),
        content_variables: [("1".to_owned(), one_line(&part.body))].into(),
        ..plain
    })
}

/// Nothing may be sent by WhatsApp now.
pub fn closed(person: &str) -> OperationError {
    OperationError::denied(format!(
        "not sent: `{person}` has not written by WhatsApp within 24 hours, so WhatsApp demands a template: set \
         `whatsapp_template`, or send an SMS"
    ))
}

/// A variable of a template holds no line breaks, and no blanks in a row.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn trouble(pump: &Pump, lane: &Lane, part: &mut Part, error: OperationError) -> Outcome<()> {
    let now = pump.store.now_ms();
    // An outage counts from when it was noticed: the host may have been away itself.
    if part.attempts == 0 {
        part.since_ms = now;
    }
    part.attempts += 1;
    // While it is looked for, the reason to look for it stays.
    if part.state != PartState::Looking {
        note(part, &error);
    }
    if error.kind == ErrorKind::UnknownOutcome {
        look_again(pump, part, now).await;
        return Ok(());
    }
    if error.kind == ErrorKind::Denied && is_opted_out(pump, lane, part).await? {
        pump.store.set_stopped(&part.person, part.channel, true).await?;
        return drop_out(pump, lane, part).await;
    }
    match backoff::next(&error, part.attempts, now - part.since_ms, pump.config.give_up_ms) {
        Some(wait) => {
            part.next_ms = now + wait;
            Ok(())
        }
        None => give_up(pump, lane, part).await,
    }
}

/// It fails, unless it went or may have gone.
async fn give_up(pump: &Pump, lane: &Lane, part: &mut Part) -> Outcome<()> {
    pump.store.hold(lane).await?;
    match find(pump, part).await {
        Ok(Some(sid)) => sent(pump, part, sid).await,
        Ok(None) => fail(pump, part).await,
        // Whatever keeps the answer away: only an answer says that it did not go.
        Err(_) => look_again(pump, part, pump.store.now_ms()).await,
    }
    Ok(())
}

async fn look_again(pump: &Pump, part: &mut Part, now: i64) {
    if part.state == PartState::Pending {
        (part.state, part.looking_ms) = (PartState::Looking, now);
        tracing::warn!(
            text = part.message,
            part = part.part,
            "nobody knows whether it was sent: {}",
            part.error
        );
    }
    part.next_ms = now + LOOK_MS;
    if now - part.looking_ms > LOOKING_MS && part.attempts >= LEAST_ATTEMPTS {
        part.state = PartState::Unknown;
        pump.count("failed").await;
    }
}

/// Twilio refuses those who opted out at the carrier, whom nobody here heard of.
async fn is_opted_out(pump: &Pump, lane: &Lane, part: &Part) -> Outcome<bool> {
    pump.store.hold(lane).await?;
    let address = part.channel.address(&part.person);
    let Ok(twilio) = pump.context.dependency(TWILIO_SERVICE) else { return Ok(false) };
    let listed = twilio.deadline(CALL).call(ListOptOuts { address: Some(address) }).await;
    Ok(listed.is_ok_and(|listed| !listed.addresses.is_empty()))
}

fn note(part: &mut Part, error: &OperationError) {
    (part.error, part.kind) = (error.message.clone(), error.kind.as_str().to_owned());
}

async fn fail(pump: &Pump, part: &mut Part) {
    tracing::warn!(text = part.message, part = part.part, "a message could not be sent: {}", part.error);
    part.state = PartState::Failed;
    pump.count("failed").await;
}

/// What cannot be remembered now is remembered later, and holds nothing up; what never can be is let be.
async fn remember(pump: &Pump, part: &mut Part) {
    match add_turn(pump, part).await {
        Ok(()) => (part.is_remembered, part.error) = (true, String::new()),
        Err(error) if backoff::policy(error.kind) == backoff::Policy::GiveUp => {
            tracing::warn!(
                text = part.message,
                "what was sent could not be added to the memory: {}",
                error.message
            );
            part.is_remembered = true;
        }
        Err(error) => {
            part.attempts += 1;
            tracing::debug!(text = part.message, %error, "what was sent is not in the memory yet");
            part.next_ms = pump.store.now_ms() + REMEMBER_MS * i64::from(part.attempts.min(30));
        }
    }
}

async fn add_turn(pump: &Pump, part: &Part) -> Outcome<()> {
    if !assistant::knows(&pump.config, part.channel) {
        return Ok(());
    }
    let memory = pump.context.dependency(MEMORY)?.person(&part.person).level(part.channel.level());
    let memory = memory.deadline(CALL);
    let attachment =
        |url: &String| Attachment { content_type: "application/octet-stream".to_owned(), url: url.clone() };
    let turn = AddTurn {
        speaker: Speaker::Assistant,
        medium: medium(part.channel),
        text: part.body.clone(),
        attachments: part.media.iter().map(attachment).collect(),
        source: part.sid.clone(),
        at_ms: Some(part.since_ms + i64::from(part.part)),
        display_name: None,
        origin: part.origin,
    };
    memory.call(turn).await.map(drop)
}

/// Whether a text would go this way now, as far as that is known beforehand.
pub fn check_way(pump: &Pump, person: &str, channel: Channel, ways: &Ways, has_text: bool) -> Outcome<()> {
    if ways.is_stopped(channel) {
        return Err(OperationError::denied(format!(
            "not sent: `{person}` opted out; only they can change that, by writing START"
        )));
    }
    let has_template = pump.config.whatsapp_template.is_some() && has_text;
    if ways.is_open(channel, pump.store.now_ms()) || has_template { Ok(()) } else { Err(closed(person)) }
}

/// The medium of a channel, as the memory calls it.
pub fn medium(channel: Channel) -> Medium {
    match channel {
        Channel::Sms => Medium::Sms,
        Channel::Whatsapp => Medium::Whatsapp,
        Channel::Rcs => Medium::Rcs,
        Channel::Other => Medium::Other,
    }
}
