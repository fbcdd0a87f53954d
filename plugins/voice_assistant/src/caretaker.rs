//! What is still to be done for calls, done in the background, on whichever host: what was said is remembered, messages are
//! announced, calls of which nobody hears any more are closed. Doing it twice does nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use plugin_api::{
    context::Context,
    deliveries::{RECALLED, Reports},
    error::{ErrorKind, OperationError},
    lease::{has_come, millis},
    prelude::{Arc, Duration},
    requests::{
        memory::Medium,
        twilio_service::{FetchCall, NotDelivered, ReadDelivery, SendMessage},
    },
    tracing,
    worker::{Pulse, Worker},
};

use crate::{
    MEMORY, TWILIO_SERVICE,
    desk::{Desk, turn},
    events::outcome_of,
    store::{DueTurn, LONGEST_PAUSE, QuietCall, Voicemail},
};

/// How often it looks for what other hosts left.
const LOOK: Duration = Duration::from_secs(2);
const CALL: Duration = Duration::from_secs(15);
/// A slow memory takes no more of a look than this, and one call: somebody waits to be told of a message.
const REMEMBERING: Duration = Duration::from_secs(10);
/// An inbound call is asked for when nothing was heard of it for so long.
const QUIET: Duration = Duration::from_secs(120);
/// Of our own calls Twilio reports the end to `twilio_service`, so that asking costs nothing.
const QUIET_OUTBOUND: Duration = Duration::from_secs(5);
/// Beyond its time limit, a call that nobody knows anything of is over.
const GRACE_MS: i64 = 60 * 60 * 1000;
/// A refusal costs nothing, and lasts as long as the setting behind it, which may be that of another plugin.
const LEAST_RETRY: Duration = Duration::from_secs(60);
const MOST_RETRY: Duration = Duration::from_secs(60 * 60);
/// An SMS that is not delivered is paid for, and what is in its way is seldom gone within minutes.
const LEAST_RESEND: Duration = Duration::from_secs(60 * 60);
/// Nobody pays for ever for what carriers do not deliver.
const RESENT: Duration = RECALLED;
/// Orders are kept as long as keys may be repeated.
const ORDERS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Between two calls or messages: a few questions to others.
const LONGEST_TURN: Duration = Duration::from_secs(180);
/// Looks between two tidyings.
const TIDYING: u32 = 1000;

type Outcome<T> = Result<T, OperationError>;

/// Begins to work.
pub fn start(desk: &Arc<Desk>) -> Worker {
    let working = desk.clone();
    Worker::start(&desk.context, "caretaking", LONGEST_TURN, move |pulse| run(working.clone(), pulse))
}

/// Works for ever.
async fn run(desk: Arc<Desk>, pulse: Pulse) {
    let (mut looks, mut is_recalled) = (0u32, false);
    let mut reports = Reports::default();
    loop {
        pulse.turn();
        desk.journal.flush_by(|| pulse.turn()).await;
        desk.announce_unkept(&pulse).await;
        let is_tidying = looks.is_multiple_of(TIDYING);
        if is_tidying {
            desk.journal.forget_old().await;
        }
        if desk.journal.store.is_named() {
            is_recalled = is_recalled || desk.recall().await.is_ok();
            desk.see_to_kept(is_tidying, &pulse).await;
        }
        waits("whether notices arrived is looked for later", desk.look_for_lost(&mut reports, &pulse).await);
        looks = looks.wrapping_add(1);
        pulse.rest();
        desk.work(LOOK).await;
    }
}

impl Desk {
    /// The leftovers of an earlier run: troubles that last, and what was refused and may be possible by now.
    async fn recall(&self) -> Outcome<()> {
        self.journal.recall_media().await?;
        self.journal.store.retry_refused().await?;
        if let Some(refused) = self.journal.store.refused().await? {
            self.journal.tell_untold(Some(refused)).await;
        }
        Ok(())
    }

    /// One thing that cannot be done holds up no other. Tasks that somebody waits for come first.
    async fn see_to_kept(&self, is_tidying: bool, pulse: &Pulse) {
        waits("the database's clock is read later", self.journal.store.read_clock().await);
        waits("messages are announced later", self.announce(pulse).await);
        waits("calls are closed later", self.close_quiet(pulse).await);
        if is_tidying {
            waits("it is tidied up later", self.journal.store.forget_old(ORDERS).await);
        }
        pulse.turn();
        waits("what was said on the phone is remembered later", self.remember().await);
    }

    /// Gives what was said to the memory, for each person in order: one who cannot be remembered holds up nobody else.
    async fn remember(&self) -> Outcome<()> {
        if !self.context.has(MEMORY) {
            return Ok(());
        }
        let (begun, mut later, mut after) = (Instant::now(), BTreeSet::new(), (i64::MIN, String::new()));
        loop {
            let due = self.journal.store.due_turns(&after).await?;
            let Some(last) = due.last() else { return Ok(()) };
            after = (last.seq, last.call.clone());
            for turn in due {
                if begun.elapsed() > REMEMBERING {
                    return Ok(());
                }
                if !later.contains(&turn.person) && !self.tell_memory(&turn).await? {
                    later.insert(turn.person);
                }
            }
        }
    }

    /// Whether the person's next turn may follow.
    async fn tell_memory(&self, due: &DueTurn) -> Outcome<bool> {
        let source = format!("{}:{}", due.call, due.seq);
        let said = turn(due.speaker, Medium::Voice, &due.text, source, Some(due.seq / 1000));
        let memory = self.context.dependency(MEMORY)?.person(&due.person).deadline(CALL);
        match memory.call(said).await {
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::Invalid => {
                tracing::warn!(call = due.call, %error, "something said on the phone cannot be remembered");
            }
            Err(error) if is_away(&error) => return Err(error),
            Err(error) => {
                tracing::debug!(call = due.call, %error, "something said on the phone is remembered later");
                return Ok(false);
            }
        }
        self.journal.store.set_remembered(due).await?;
        Ok(true)
    }

    async fn announce(&self, pulse: &Pulse) -> Outcome<()> {
        let due = self.journal.store.due_voicemails().await?;
        for voicemail in &due {
            pulse.turn();
            let recording = &voicemail.recording;
            match self.tell_owner(voicemail).await {
                Told::By(sid) => self.journal.store.set_announced(recording, &sid).await?,
                Told::Refused(why) => {
                    let pause_ms = self.pause_of(voicemail, LEAST_RETRY, MOST_RETRY);
                    self.journal.store.set_refused(recording, &why, pause_ms).await?;
                }
                Told::Later => {}
            }
        }
        if !due.is_empty() {
            self.tell_untold().await?;
        }
        Ok(())
    }

    /// The trouble that nobody can be told of messages, as it is now.
    async fn tell_untold(&self) -> Outcome<()> {
        let refused = match self.journal.store.is_named() {
            true => self.journal.store.refused().await?,
            false => self.journal.unkept_refused(),
        };
        self.journal.tell_untold(refused).await;
        Ok(())
    }

    /// Without a database.
    async fn announce_unkept(&self, pulse: &Pulse) {
        for voicemail in self.journal.voicemails() {
            pulse.turn();
            if !has_come(voicemail.retry_ms, self.journal.store.now_ms(), LONGEST_PAUSE) {
                continue;
            }
            match self.tell_owner(&voicemail).await {
                Told::By(sid) => self.journal.announced(&voicemail.recording, &sid),
                Told::Refused(why) => {
                    let pause_ms = self.pause_of(&voicemail, LEAST_RETRY, MOST_RETRY);
                    self.journal.refused(&voicemail.recording, &why, Some(pause_ms));
                }
                Told::Later => continue,
            }
            self.journal.tell_untold(self.journal.unkept_refused()).await;
        }
    }

    /// Looks which SMS that told the owner of a message did not arrive.
    async fn look_for_lost(&self, reports: &mut Reports, pulse: &Pulse) -> Outcome<()> {
        if self.config.owner_number.is_none() || !self.context.has(TWILIO_SERVICE) {
            return Ok(());
        }
        pulse.turn();
        let twilio = self.context.dependency(TWILIO_SERVICE)?.deadline(CALL);
        reports.look(&twilio, |new| self.not_delivered(pulse, new)).await
    }

    async fn not_delivered(&self, pulse: &Pulse, reports: Vec<NotDelivered>) -> Outcome<BTreeSet<String>> {
        let why_of: BTreeMap<_, _> =
            reports.iter().map(|report| (report.sid.as_str(), report.why.as_str())).collect();
        let sids: Vec<_> = why_of.keys().copied().collect();
        let mut ours = BTreeSet::new();
        for told in self.journal.told_by(&sids).await? {
            pulse.turn();
            let why = why_of.get(told.told_by.as_str()).copied().unwrap_or_default();
            let mut why = format!("the SMS was not delivered: {why}");
            let pause_ms = (self.journal.store.now_ms() - told.at_ms < millis(RESENT))
                .then(|| self.pause_of(&told, LEAST_RESEND, LONGEST_PAUSE));
            if pause_ms.is_none() {
                why.push_str("; it is not sent again");
                // Without a database it is forgotten then.
                if self.journal.store.is_named() {
                    why.push_str(" until the plugin restarts");
                }
            }
            self.journal.not_delivered(&told, &why, pause_ms).await?;
            tracing::warn!(
                recording = told.recording,
                sid = told.told_by,
                "nobody was told of a message: {why}"
            );
            self.tell_untold().await?;
            ours.insert(told.told_by);
        }
        Ok(ours)
    }

    /// Tells the owner of a message, once; again if that did not arrive.
    async fn tell_owner(&self, voicemail: &Voicemail) -> Told {
        let Some(owner) = &self.config.owner_number else { return Told::By(String::new()) };
        let message = SendMessage {
            to: Some(owner.clone()),
            body: Some(announcement(voicemail)),
            ..Default::default()
        };
        let key = match voicemail.told_by.as_str() {
            "" => voicemail.recording.clone(),
            lost => format!("{}:{lost}", voicemail.recording),
        };
        match send(&self.context, &key, message).await {
            Ok(sid) => {
                self.journal.count("voicemails_announced", 1).await;
                Told::By(sid)
            }
            Err(error) if is_for_good(&error) => {
                if voicemail.retry_ms == 0 {
                    tracing::warn!(recording = voicemail.recording, %error, "nobody can be told of a message");
                }
                Told::Refused(error.message)
            }
            Err(error) => {
                tracing::debug!(recording = voicemail.recording, %error, "a message is announced later");
                Told::Later
            }
        }
    }

    /// Closes calls that ended unheard: the host that carried them may be gone.
    async fn close_quiet(&self, pulse: &Pulse) -> Outcome<()> {
        let quiet = self.journal.store.quiet_calls(QUIET, QUIET_OUTBOUND).await?;
        for call in quiet {
            pulse.turn();
            if let Some(status) = self.reported(&call.call).await.filter(|status| is_over(status)) {
                self.ended(&call.call, outcome_of(&status)).await;
            } else if has_come(call.heard_ms + millis(QUIET), self.journal.store.now_ms(), QUIET) {
                self.ask_for(&call).await?;
            }
        }
        Ok(())
    }

    /// How a call is, as Twilio reported it.
    async fn reported(&self, call: &str) -> Option<String> {
        let twilio = self.context.dependency(TWILIO_SERVICE).ok()?.deadline(CALL);
        let reported = twilio.call(ReadDelivery { sid: call.to_owned() }).await;
        reported.ok().map(|delivery| delivery.status)
    }

    async fn ask_for(&self, call: &QuietCall) -> Outcome<()> {
        let fetched = async {
            let twilio = self.context.dependency(TWILIO_SERVICE)?.deadline(CALL);
            twilio.call(FetchCall { sid: call.call.clone() }).await
        };
        match fetched.await {
            Ok(record) if is_over(&record.status) => {
                self.ended(&call.call, outcome_of(&record.status)).await;
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if self.is_beyond_all_limits(call) => {
                tracing::warn!(call = call.call, %error, "a call is closed, but its end is unknown");
                self.ended(&call.call, "nobody knows when it ended").await;
                return Ok(());
            }
            Err(error) => {
                tracing::debug!(call = call.call, %error, "nobody knows whether a call goes on");
            }
        }
        self.journal.store.touch(&call.call).await
    }

    /// Beyond what may be, and an hour.
    fn is_beyond_all_limits(&self, call: &QuietCall) -> bool {
        let limit = i64::try_from(self.config.call_time_limit.as_millis()).unwrap_or(i64::MAX);
        self.journal.store.now_ms() - call.started_ms > limit.saturating_add(GRACE_MS)
    }

    /// A refused announcement is tried again after as much time as has passed since the message was left, within limits.
    fn pause_of(&self, voicemail: &Voicemail, least: Duration, most: Duration) -> i64 {
        (self.journal.store.now_ms() - voicemail.at_ms).clamp(millis(least), millis(most))
    }
}

/// Whether the owner was told of a message.
enum Told {
    /// By this SMS; empty if nobody is to be told.
    By(String),
    /// By an outage.
    Later,
    /// For this reason, which lasts until a person mends something.
    Refused(String),
}

/// The SID of the message.
async fn send(context: &Context, key: &str, message: SendMessage) -> Outcome<String> {
    let twilio = context.dependency(TWILIO_SERVICE)?.idempotency_key(key).deadline(CALL);
    twilio.call(message).await.map(|sent| sent.sid)
}

fn announcement(voicemail: &Voicemail) -> String {
    let number = voicemail.number.as_deref().unwrap_or("a number that is withheld");
    let Voicemail { seconds, recording, .. } = voicemail;
    format!("{number} left a message of {seconds} seconds on the phone: recording {recording}.")
}

fn waits(what: &str, done: Outcome<()>) {
    if let Err(error) = done {
        tracing::debug!(%error, "{what}");
    }
}

/// Nobody's turn would be taken.
fn is_away(error: &OperationError) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Deadline)
}

fn is_over(status: &str) -> bool {
    matches!(status, "completed" | "busy" | "failed" | "no-answer" | "canceled")
}

fn is_for_good(error: &OperationError) -> bool {
    matches!(error.kind, ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::Conflict | ErrorKind::NotFound)
}
