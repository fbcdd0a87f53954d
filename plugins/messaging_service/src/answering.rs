//! A lane of inbound messages, one step after the other: remembered, answered, done. A failed step is retried later,
//! and those behind it wait, so that the order holds; a run that takes long, or waits for somebody, is followed aside.

use plugin_api::{
    error::{ErrorKind, OperationError},
    lease::has_come,
    prelude::{Arc, Duration},
    requests::{
        memory::{AddTurn, Speaker},
        twilio_service::{Channel, RecordOptOut},
    },
    tokio::time::timeout,
    tracing,
};

use crate::{
    MEMORY, ORCHESTRATOR, TWILIO_SERVICE,
    assistant::{self, Progress},
    backoff::{self, Policy},
    keyword::{self, Keyword},
    pump::{LONGEST_STEP, Pump},
    rate,
    sending::{self, medium},
    split,
    store::{InState, LONGEST_WAIT, Lane, Outgoing, Received},
};

/// How long a call may take: less than a lane's lease.
const CALL: Duration = Duration::from_secs(15);
/// A run that takes longer than this no longer holds up what was written after.
const PATIENCE_MS: i64 = 60_000;
/// An assistant that does not answer for so long is not waited for in silence.
const SILENCE_MS: i64 = 30_000;
/// While the last answer is on its way.
const ANSWER_ON_ITS_WAY_MS: i64 = 200;
/// Between two looks at a run; each look waits for its end by itself.
const BREATH_MS: i64 = 100;
const LEAST_FOLLOW_MS: i64 = 2_000;
const MOST_FOLLOW_MS: i64 = 60_000;

type Outcome<T> = Result<T, OperationError>;

/// Works on the inbound messages of a person until none is due; answers when the next one is.
pub async fn work(pump: &Arc<Pump>, lane: &Lane) -> Outcome<Option<i64>> {
    loop {
        let messages = pump.store.open_messages(&lane.person).await?;
        let now = pump.store.now_ms();
        let follows = |message: &&Received| message.state == InState::Following;
        let head = messages.iter().find(|message| !follows(message));
        let followed = messages.iter().filter(follows);
        let next = head.into_iter().chain(followed.clone()).map(|message| message.next_ms).min();
        let due =
            head.into_iter().chain(followed).find(|message| has_come(message.next_ms, now, LONGEST_WAIT));
        let Some(message) = due else { return Ok(next) };
        step(pump, lane, message.clone()).await?;
    }
}

/// What a step leads to.
enum Step {
    /// Nothing more is to be done, but for this text.
    Done(InState, Option<Outgoing>),
    /// It is looked at again in so many milliseconds.
    Later(i64),
    /// A run answers it; perhaps the person is told something meanwhile.
    Follow(InState, String, Option<Outgoing>),
    /// Nobody can be answered there.
    Unanswerable(String),
    /// It cannot be processed.
    Failed(String),
    /// It is to have no answer by itself, nor a word about that.
    Held(String),
}

async fn step(pump: &Arc<Pump>, lane: &Lane, mut message: Received) -> Outcome<()> {
    // The clock may have been put back since.
    message.since_ms = message.since_ms.min(pump.store.now_ms());
    let step = timeout(LONGEST_STEP, process(pump, lane, &mut message)).await.unwrap_or_else(|_| Err(hung()));
    let mut outgoing = None;
    match step {
        Ok(Step::Done(state, text)) => {
            (message.state, message.error) = (state, String::new());
            outgoing = text;
        }
        Ok(Step::Later(wait)) => message.next_ms = pump.store.now_ms() + wait,
        Ok(Step::Follow(state, run, text)) => {
            // Its time counts from when it began, not from when the message came.
            if message.run.is_none() {
                message.since_ms = pump.store.now_ms();
            }
            let aside = state == InState::Following;
            let now = pump.store.now_ms();
            message.next_ms = now + if aside { pace(now - message.since_ms) } else { BREATH_MS };
            (message.state, message.run, message.attempts) = (state, Some(run), 0);
            message.error.clear();
            outgoing = text;
        }
        Ok(Step::Unanswerable(why)) => {
            tracing::info!(sid = message.sid, "a message is kept and not answered: {why}");
            (message.state, message.error) = (InState::Unanswerable, why);
        }
        Ok(Step::Failed(why)) => outgoing = fail(pump, &mut message, why),
        Ok(Step::Held(why)) => give_up(&mut message, why),
        Err(error) if crate::store::is_lost(&error) => return Err(error),
        Err(error) => {
            let is_refusal = backoff::policy(error.kind) != Policy::Retry;
            outgoing = trouble(pump, &mut message, error);
            message.is_refused = is_refusal && message.state == InState::Failed;
        }
    }
    pump.store.save(lane, &message, outgoing.as_ref()).await?;
    if message.is_refused || message.state == InState::Answered {
        pump.unanswered.look(&pump.context, &pump.store).await;
    }
    if outgoing.is_some() {
        pump.wake();
    }
    count(pump, &message).await;
    pump.stepped();
    Ok(())
}

/// Each call within a step has a deadline: nothing should take as long.
fn hung() -> OperationError {
    OperationError::deadline(format!("it was given up after {LONGEST_STEP:?} without an outcome"))
}

async fn process(pump: &Arc<Pump>, lane: &Lane, message: &mut Received) -> Outcome<Step> {
    if !message.is_person {
        return Ok(Step::Unanswerable(unanswerable(message)));
    }
    if message.state == InState::Received {
        tell_keyword(pump, message).await?;
        pump.store.hold(lane).await?;
        if assistant::knows(&pump.config, message.channel) {
            remember(pump, message).await?;
        }
        pump.store.hold(lane).await?;
        message.state = InState::Remembered;
    }
    let step = without_assistant(pump, message);
    let is_silent = matches!(step, Some(Step::Done(InState::Noted, _)));
    if !is_silent && let Some(why) = rate::excess(pump, message).await? {
        return Ok(Step::Held(why));
    }
    if let Some(step) = step {
        return Ok(step);
    }
    match message.run.clone() {
        Some(run) => follow(pump, message, &run).await,
        None => begin(pump, lane, message).await,
    }
}

fn unanswerable(message: &Received) -> String {
    let who = &message.person;
    match message.channel {
        Channel::Sms => format!("`{who}` is a name or a short code, and no number that takes answers"),
        Channel::Other => format!("`{who}` wrote by a channel that takes no answers from here"),
        channel => format!("`{who}` has no address on {} that takes answers", channel.title()),
    }
}

/// `twilio_service` learns what the person wants now: what it says may be older than what is known by now.
async fn tell_keyword(pump: &Pump, message: &mut Received) -> Outcome<()> {
    let takes_back = message.ways.is_stopped(message.channel) && keyword::is_yes(&message.body);
    if message.keyword.is_none() && takes_back {
        pump.store.set_stopped(&message.person, message.channel, false).await?;
        message.keyword = Some(Keyword::Start);
        set_stopped(message, false);
    }
    match message.keyword {
        Some(Keyword::Stop | Keyword::Start) => tell_opt_out(pump, message).await,
        _ => Ok(()),
    }
}

fn set_stopped(message: &mut Received, is_stopped: bool) {
    match message.channel {
        Channel::Whatsapp => message.ways.whatsapp_stopped = is_stopped,
        _ => message.ways.sms_stopped = is_stopped,
    }
}

async fn tell_opt_out(pump: &Pump, message: &Received) -> Outcome<()> {
    let address = message.channel.address(&message.person);
    let opted_out = message.ways.is_stopped(message.channel);
    let twilio = pump.context.dependency(TWILIO_SERVICE)?.deadline(CALL);
    twilio.call(RecordOptOut { address, opted_out }).await
}

async fn remember(pump: &Pump, message: &Received) -> Outcome<()> {
    if is_empty(message) {
        return Ok(());
    }
    let memory = pump.context.dependency(MEMORY)?.person(&message.person).level(message.channel.level());
    let memory = memory.deadline(CALL);
    let turn = AddTurn {
        speaker: Speaker::Person,
        medium: medium(message.channel),
        text: message.body.clone(),
        attachments: message.attachments.clone(),
        source: Some(message.sid.clone()),
        at_ms: Some(message.at_ms),
        display_name: message.display_name.clone(),
        origin: message.origin,
    };
    memory.call(turn).await.map(drop)
}

/// What is answered by a text of the settings, or not at all.
fn without_assistant(pump: &Pump, message: &Received) -> Option<Step> {
    let config = &pump.config;
    let text = match message.keyword {
        Some(Keyword::Stop | Keyword::Start) => None,
        Some(Keyword::Help) => config.help_text.as_deref().filter(|_| !message.is_answered),
        // What was begun is ended: its answer is dropped when it is to go.
        None if message.run.is_some() => return None,
        None if is_empty(message) || message.ways.is_stopped(message.channel) => None,
        None if pump.context.has(ORCHESTRATOR) => return None,
        None => config.acknowledgement.as_deref(),
    };
    let state = if text.is_some() { InState::Answered } else { InState::Noted };
    Some(Step::Done(state, text.and_then(|text| reply(message, "answer", text))))
}

async fn begin(pump: &Arc<Pump>, lane: &Lane, message: &Received) -> Outcome<Step> {
    // What was answered last is said, and remembered, before the assistant goes on.
    if pump.store.has_open_parts(&lane.person).await? {
        sending::send_to(pump, &lane.person).await?;
        if pump.store.has_open_parts(&lane.person).await? {
            return Ok(Step::Later(ANSWER_ON_ITS_WAY_MS));
        }
    }
    pump.store.hold(lane).await?;
    let said = assistant::thread(&pump.context, &pump.config, message).await?;
    pump.store.hold(lane).await?;
    let undelivered = pump.store.undelivered_to(&lane.person).await?;
    Ok(lead(pump, message, assistant::run(&pump.context, &pump.config, message, said, &undelivered).await?))
}

async fn follow(pump: &Arc<Pump>, message: &Received, run: &str) -> Outcome<Step> {
    let waits = message.state == InState::Running;
    Ok(lead(pump, message, assistant::follow(&pump.context, &pump.config, message, run, waits).await?))
}

/// What follows from how the run goes.
fn lead(pump: &Pump, message: &Received, progress: Progress) -> Step {
    match progress {
        Progress::Answered(text) => Step::Done(InState::Answered, reply(message, "answer", &text)),
        Progress::Running(run) => {
            let is_slow = message.run.is_some() && pump.store.now_ms() - message.since_ms > PATIENCE_MS;
            let aside = is_slow || message.state == InState::Following;
            Step::Follow(if aside { InState::Following } else { InState::Running }, run, None)
        }
        Progress::Waiting(run) => {
            let text = reply(message, "waiting", &pump.config.waiting_text);
            Step::Follow(InState::Following, run, text)
        }
        Progress::Failed(why) => Step::Failed(why),
    }
}

/// A text to who wrote; each kind of it goes once a message and round.
fn reply(message: &Received, kind: &str, text: &str) -> Option<Outgoing> {
    let parts = split::split(&text.replace('\0', ""), split::LIMIT);
    (!parts.is_empty()).then(|| Outgoing {
        message: match message.round {
            0 => format!("{}:{kind}", message.sid),
            round => format!("{}:{kind}:{round}", message.sid),
        },
        person: message.person.clone(),
        channel: message.channel,
        parts,
        media: Vec::new(),
        origin: None,
        fingerprint: String::new(),
    })
}

/// What an error leads to: another try, or the end.
fn trouble(pump: &Pump, message: &mut Received, error: OperationError) -> Option<Outgoing> {
    let now = pump.store.now_ms();
    // An outage counts from when it was noticed: the host may have been away itself.
    if message.attempts == 0 {
        message.since_ms = now;
    }
    message.attempts += 1;
    message.error.clone_from(&error.message);
    // Waiting for somebody's decision may take longer than any outage.
    let give_up = if message.state == InState::Following { i64::MAX } else { pump.config.give_up_ms };
    let error = gone_with_its_run(message, error);
    let Some(wait) = backoff::next(&error, message.attempts, now - message.since_ms, give_up) else {
        return fail(pump, message, error.message);
    };
    message.next_ms = now + wait;
    let is_silent = message.state == InState::Remembered && now - message.since_ms > SILENCE_MS;
    let text = pump.config.acknowledgement.as_deref().filter(|_| is_silent);
    text.and_then(|text| reply(message, "acknowledgement", text))
}

fn gone_with_its_run(message: &Received, error: OperationError) -> OperationError {
    match &message.run {
        Some(run) if error.kind == ErrorKind::NotFound => {
            OperationError::not_found(format!("the run `{run}` that was to answer it is gone"))
        }
        _ => error,
    }
}

fn fail(pump: &Pump, message: &mut Received, why: String) -> Option<Outgoing> {
    give_up(message, why);
    let may = message.is_person && !message.ways.is_stopped(message.channel);
    let text = pump.config.failure_text.as_deref().filter(|_| may);
    text.and_then(|text| reply(message, "failure", text))
}

fn give_up(message: &mut Received, why: String) {
    tracing::warn!(sid = message.sid, "a message could not be processed: {why}");
    (message.state, message.error) = (InState::Failed, why);
}

/// The longer it takes, the less often it is looked at.
fn pace(age_ms: i64) -> i64 {
    (age_ms / 20).clamp(LEAST_FOLLOW_MS, MOST_FOLLOW_MS)
}

/// WhatsApp delivers reactions and the like without a text.
fn is_empty(message: &Received) -> bool {
    message.body.trim().is_empty() && message.attachments.is_empty()
}

async fn count(pump: &Pump, message: &Received) {
    let name = match message.state {
        InState::Answered => "answered",
        InState::Noted => "noted",
        InState::Failed => "failed",
        InState::Unanswerable => "unanswerable",
        _ if message.attempts > 0 => "retries",
        _ => return,
    };
    pump.count(name).await;
}
