//! What happens in calls -> the database, in order; and, in memory, as much of the calls of this host as their next turn
//! needs. A database that is away holds up nobody: what it cannot take waits here and is written later. Losses from
//! overflow or the end of the host are logged and counted.

mod waiting;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use plugin_api::{
    context::Context,
    deliveries::RECALLED,
    error::{ErrorKind, Failure, OperationError},
    lease::{NEVER, millis},
    prelude::Duration,
    requests::{
        host::Trouble,
        memory::Speaker,
        voice::{CallWay, MEDIA_PATH},
    },
    standing::Standing,
    tokio::{self, time::timeout},
    tracing,
};

use self::waiting::Waiting;
use crate::{
    call::{CallBrief, Entry, Ledger, Next, Proof},
    proof,
    store::{Known, NewCall, Store, Voicemail, Written, now_us},
};

/// What is written in one step, each some two statements: also a database that is far away does it in time.
const BATCH: usize = 20;
/// Where more waits, it is written in the background: nobody on the phone waits for it.
const BACKLOG: usize = 3 * BATCH;
/// A host that ends waits no longer for the database.
const CLOSING: Duration = Duration::from_secs(5);
/// No call is as long; its end was never heard of here.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);
/// Without a database, a message that its owner was told of is kept as long as a report may come that they were not; one
/// that was given up, as long.
const MAY_BE_UNDELIVERED: Duration = RECALLED.saturating_mul(2);
/// Words of a call that are kept in memory.
const MOST_SAID: usize = 200;

/// The trouble that Twilio does not reach this host with the audio of calls.
const MEDIA: &str = "media";
/// The trouble that nobody can be told of messages that were left.
const UNTOLD: &str = "voicemail_notices";
/// One stream may break for any reason.
const UNREACHED: u32 = 2;

/// Keeps calls.
pub struct Journal {
    pub store: Store,
    context: Context,
    calls: Mutex<HashMap<String, InMemory>>,
    waiting: Mutex<Waiting>,
    /// Who writes has it: how much is written in one step.
    writing: tokio::sync::Mutex<usize>,
    /// Without a database: messages that nobody was told of yet, and for a while those that need nothing any more.
    voicemails: Mutex<Vec<Voicemail>>,
    media: Standing,
    untold: Standing,
    /// So many media streams in a row failed before they reached this host.
    unreached: AtomicU32,
}

/// A call of which this host has heard.
struct InMemory {
    known: Known,
    said: Vec<(i64, Speaker, String)>,
    last_seq: i64,
    touched: Instant,
}

impl Journal {
    pub fn new(context: Context) -> Self {
        Self {
            store: Store::new(context.clone()),
            context,
            calls: Mutex::default(),
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::new(BATCH),
            voicemails: Mutex::default(),
            media: Standing::new(MEDIA),
            untold: Standing::new(UNTOLD),
            unreached: AtomicU32::new(0),
        }
    }

    /// Twilio could not carry a call's audio here, or its connection broke. `why`: its own words.
    pub async fn media_failed(&self, call: &str, why: &str) {
        let call = call.to_owned();
        self.write(vec![Written::Unreached { call, why: why.to_owned() }]).await;
        let failed = self.unreached.fetch_add(1, Ordering::Relaxed) + 1;
        if failed >= UNREACHED {
            self.media.raise(&self.context, not_carried(failed, why)).await;
        }
    }

    /// The trouble of an earlier run lasts: raised again if the audio of the newest calls did not arrive.
    pub async fn recall_media(&self) -> Result<(), OperationError> {
        let ends = self.store.media_ends(UNREACHED).await?;
        let failed = ends.iter().map_while(Option::as_ref).count().try_into().unwrap_or(UNREACHED);
        let is_news = self.unreached.fetch_max(failed, Ordering::Relaxed) < failed;
        match ends.first() {
            Some(Some(why)) if is_news && failed >= UNREACHED => {
                self.media.raise(&self.context, not_carried(failed, why)).await;
            }
            _ => {}
        }
        Ok(())
    }

    /// Of how many messages nobody could be told, and why not of the newest; `None`: of all that it was tried of.
    pub async fn tell_untold(&self, refused: Option<(u64, String)>) {
        match refused {
            Some((count, why)) => self.untold.raise(&self.context, not_announced(count, &why)).await,
            None => self.untold.clear(&self.context).await,
        }
    }

    /// A call's audio arrived.
    async fn media_arrived(&self) {
        self.unreached.store(0, Ordering::Relaxed);
        self.media.clear(&self.context).await;
    }

    /// Writes it down: now, or as soon as the database can take it.
    pub async fn write(&self, written: Vec<Written>) {
        written.iter().for_each(|written| self.keep(written));
        if !self.store.is_named() {
            return;
        }
        let lost = locked(&self.waiting).push(written);
        if lost > 0 {
            self.lost("the database is away for too long: what happened in calls is lost", lost).await;
        }
        if locked(&self.waiting).len() <= BACKLOG {
            self.flush().await;
        }
    }

    /// Writes what waits by now, if the database can take it.
    pub async fn flush(&self) {
        self.flush_by(|| ()).await;
    }

    /// The same; tells of each step.
    pub async fn flush_by(&self, wrote: impl Fn()) {
        let end = locked(&self.waiting).end();
        while self.write_next(end).await {
            wrote();
        }
    }

    /// Writes what it still can; the rest ends with the host.
    pub async fn close(&self) {
        if timeout(CLOSING, self.flush()).await.is_err() {
            tracing::debug!("the host ends before the database has written what happened in calls");
        }
        let lost = locked(&self.waiting).len() as u64;
        let untold = self.voicemails().len() as u64;
        if lost > 0 {
            self.lost("the host ends while the database is away: what happened in calls is lost", lost).await;
        }
        if untold > 0 {
            self.lost("the host ends, and nobody was told of messages that were left", untold).await;
        }
    }

    /// Writes the next of what waits before this place; whether more may follow. In between others have their turn.
    async fn write_next(&self, end: u64) -> bool {
        let mut most = self.writing.lock().await;
        let batch = locked(&self.waiting).next(end, *most);
        if batch.is_empty() || self.store.check().is_err() {
            return false;
        }
        if let Err(error) = self.write_batch(&batch).await {
            tracing::debug!(%error, "what happens in calls waits to be written");
            if error.kind == ErrorKind::Deadline {
                *most = (*most / 2).max(1);
            }
            return false;
        }
        *most = BATCH.min(*most + 1);
        locked(&self.waiting).done(batch.len());
        true
    }

    async fn lost(&self, what: &str, lost: u64) {
        tracing::warn!(lost, "{what}");
        self.count("lost", lost).await;
    }

    /// One that can never be written does not hold up the others.
    async fn write_batch(&self, batch: &[Written]) -> Result<(), OperationError> {
        match self.store.write(batch).await {
            Err(error) if is_for_good(&error) => {}
            outcome => return outcome,
        }
        for written in batch {
            match self.store.write(std::slice::from_ref(written)).await {
                Err(error) if is_for_good(&error) => {
                    tracing::warn!(%error, "something that happened in a call cannot be written, and is lost");
                    self.count("lost", 1).await;
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Something that is of no use to who is on the phone.
    pub async fn count(&self, name: &str, by: u64) {
        if let Err(error) = self.context.host().count(name, by).await {
            tracing::debug!(%error, "`{name}` could not be counted");
        }
    }

    /// What is known of a call: from the database, which other hosts write, and from what waits here.
    pub async fn known(&self, call: &str) -> Option<Known> {
        let here = locked(&self.calls).get(call).map(|call| call.known.clone());
        // Before it is read: what no longer waits then is in what is read.
        let is_newer = self.is_deciding(call);
        let stored = match self.store.is_named() {
            true => self.store.known(call).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "a call is known only as far as this host heard of it");
                None
            }),
            false => None,
        };
        match (stored, here) {
            (Some(stored), Some(here)) if is_newer => Some(Known { next: here.next, ..stored }),
            (stored, here) => stored.or(here),
        }
    }

    /// Whether a decision of this host waits; any other may be older than one of another host.
    fn is_deciding(&self, call: &str) -> bool {
        let waiting = locked(&self.waiting);
        waiting.any(|written| matches!(written, Written::Decided { call: of, .. } if of == call))
    }

    /// What was said in a call, in order, with its place in it.
    pub async fn said(&self, call: &str) -> Vec<(i64, Speaker, String)> {
        let mut said = match self.store.is_named() {
            true => self.store.said(call).await.unwrap_or_default(),
            false => Vec::new(),
        };
        let here = locked(&self.calls).get(call).map(|call| call.said.clone()).unwrap_or_default();
        said.extend(here);
        said.sort_by_key(|(seq, ..)| *seq);
        said.dedup_by_key(|(seq, ..)| *seq);
        said
    }

    /// Messages that nobody was told of, where no database keeps them.
    pub fn voicemails(&self) -> Vec<Voicemail> {
        locked(&self.voicemails).iter().filter(|voicemail| !voicemail.is_told()).cloned().collect()
    }

    /// Of how many of them nobody could be told, and why not of the newest.
    pub fn unkept_refused(&self) -> Option<(u64, String)> {
        let mut refused = self.voicemails();
        refused.retain(|voicemail| !voicemail.refused.is_empty());
        Some((refused.len() as u64, refused.pop()?.refused))
    }

    /// Nobody could be told of it: it is retried after this pause, or not any more.
    pub fn refused(&self, recording: &str, why: &str, pause_ms: Option<i64>) {
        let retry_ms = pause_ms.map_or(NEVER, |pause_ms| self.store.now_ms() + pause_ms);
        self.change(recording, |voicemail| {
            (voicemail.refused, voicemail.retry_ms) = (why.to_owned(), retry_ms);
        });
    }

    /// Its owner was told of it by this SMS.
    pub fn announced(&self, recording: &str, sid: &str) {
        self.change(recording, |voicemail| {
            (voicemail.refused, voicemail.told_by) = (String::new(), sid.to_owned());
        });
    }

    /// The messages that these SMS told their owner of, as far as anybody knows.
    pub async fn told_by(&self, sids: &[&str]) -> Result<Vec<Voicemail>, OperationError> {
        if self.store.is_named() {
            return self.store.told_by(sids).await;
        }
        let is_told = |kept: &&Voicemail| kept.is_told() && sids.contains(&kept.told_by.as_str());
        Ok(locked(&self.voicemails).iter().filter(is_told).cloned().collect())
    }

    /// The SMS that told its owner of it did not arrive: it is as if it had been refused. Without a pause it is
    /// not tried again.
    pub async fn not_delivered(
        &self,
        told: &Voicemail,
        why: &str,
        pause_ms: Option<i64>,
    ) -> Result<(), OperationError> {
        if self.store.is_named() {
            return self.store.not_delivered(&told.told_by, why, pause_ms).await;
        }
        self.refused(&told.recording, why, pause_ms);
        Ok(())
    }

    fn change(&self, recording: &str, change: impl FnOnce(&mut Voicemail)) {
        let mut kept = locked(&self.voicemails);
        kept.iter_mut().find(|voicemail| voicemail.recording == recording).map(change);
    }

    /// Forgets calls whose end was never heard of here, and messages of which nobody is to be told any more.
    pub async fn forget_old(&self) {
        locked(&self.calls).retain(|_, call| call.touched.elapsed() < FORGOTTEN);
        let forgotten = {
            let mut kept = locked(&self.voicemails);
            let before = kept.len();
            kept.retain(|voicemail| is_kept(voicemail, self.store.now_ms()));
            before - kept.len()
        };
        if forgotten > 0 {
            self.tell_untold(self.unkept_refused()).await;
        }
    }

    /// What is written down, as the next turn needs it.
    fn keep(&self, written: &Written) {
        let mut calls = locked(&self.calls);
        match written {
            Written::Begun(new) => {
                calls.entry(new.call.clone()).or_insert_with(|| begun(new));
            }
            Written::Happened { call, seq, entry: Entry::Said { speaker, text, .. }, .. } => {
                if let Some(known) = calls.get_mut(call) {
                    known.hear(*seq, *speaker, text);
                }
            }
            Written::Decided { call, next } => {
                if let Some(known) = calls.get_mut(call) {
                    known.known.next = Some(next.clone());
                }
            }
            Written::Ended { call, .. } => drop(calls.remove(call)),
            Written::Recorded {
                recording, is_voicemail: true, number, seconds, is_announced: false, ..
            } => {
                self.keep_voicemail(recording, number.as_deref(), *seconds);
            }
            _ => {}
        }
    }

    fn keep_voicemail(&self, recording: &str, number: Option<&str>, seconds: i64) {
        let mut kept = locked(&self.voicemails);
        let is_known = kept.iter().any(|voicemail| voicemail.recording == recording);
        if !is_known && !self.store.is_named() {
            let (recording, number) = (recording.to_owned(), number.map(str::to_owned));
            let (refused, told_by) = (String::new(), String::new());
            kept.push(Voicemail {
                recording,
                number,
                seconds,
                at_ms: self.store.now_ms(),
                retry_ms: 0,
                refused,
                told_by,
            });
        }
    }

    /// The place of what happens now: behind all that this host has heard of the call.
    fn place(&self, call: &str) -> i64 {
        let mut calls = locked(&self.calls);
        let Some(call) = calls.get_mut(call) else { return now_us() };
        call.last_seq = now_us().max(call.last_seq + 1);
        call.last_seq
    }

    /// The caller has proven who they are: from now on what is said is told to their memory.
    pub fn is_proven(&self, call: &str, person: &str) {
        if let Some(known) = locked(&self.calls).get_mut(call) {
            known.known.person = Some(person.to_owned());
        }
    }

    /// Something that is to be known of a call, in words.
    pub fn note(&self, call: &str, text: impl Into<String>) -> Written {
        Written::Noted { call: call.to_owned(), seq: self.place(call), text: text.into() }
    }
}

impl Ledger for Journal {
    fn now_ms(&self) -> i64 {
        self.store.now_ms()
    }

    async fn redeem(&self, call: &str, stream: &str, token: &str) -> Result<CallBrief, OperationError> {
        let brief = self.store.redeem(call, token).await?;
        self.keep(&Written::Begun(NewCall {
            call: call.to_owned(),
            number: brief.number.clone(),
            person: brief.person.clone(),
            objective: brief.objective.clone(),
            started_ms: brief.started_ms,
            is_outbound: brief.objective.is_some(),
            level: None,
        }));
        self.write(vec![self.note(call, format!("the media stream {stream} began"))]).await;
        self.media_arrived().await;
        Ok(brief)
    }

    async fn record(&self, call: &str, entry: Entry) {
        let (seq, call) = (self.place(call), call.to_owned());
        // Only words are; and where nobody is known for sure, nobody's memory is told. The last words of a call come when
        // it is over and no more known here: then its row says whose they are.
        let is_known = locked(&self.calls).get(&call).is_none_or(|known| known.known.person.is_some());
        let is_remembered = !(is_known && matches!(entry, Entry::Said { .. }));
        self.write(vec![Written::Happened { call, seq, entry, took_ms: None, is_remembered }]).await;
    }

    async fn send_code(&self, call: &str) -> Result<(), OperationError> {
        proof::send_code(&self.context, &self.store, call).await?;
        let note = "a code was sent, by which the caller can prove who they are";
        self.write(vec![self.note(call, note)]).await;
        Ok(())
    }

    async fn check_code(&self, call: &str, code: &str) -> Result<Proof, OperationError> {
        let proof = proof::check_code(&self.store, call, code).await?;
        if let Proof::Proven(person) = &proof {
            self.is_proven(call, person);
            self.write(vec![self.note(call, "the caller has proven who they are, by a code")]).await;
        }
        Ok(proof)
    }

    async fn decide(&self, call: &str, next: Next) {
        let mut written = vec![Written::Decided { call: call.to_owned(), next: next.clone() }];
        if let Next::Turns { reason } = &next {
            written.push(self.note(call, format!("it goes on turn by turn: {reason}")));
            written.push(Written::Way {
                call: call.to_owned(),
                way: CallWay::Turns,
                at_ms: self.store.now_ms(),
            });
        }
        self.write(written).await;
    }
}

impl InMemory {
    fn hear(&mut self, seq: i64, speaker: Speaker, text: &str) {
        self.touched = Instant::now();
        self.last_seq = self.last_seq.max(seq);
        if !self.said.iter().any(|(known, ..)| *known == seq) {
            self.said.push((seq, speaker, text.to_owned()));
        }
        let surplus = self.said.len().saturating_sub(MOST_SAID);
        self.said.drain(..surplus);
    }
}

/// Somebody is to be told of it, or it is not old yet.
fn is_kept(voicemail: &Voicemail, now_ms: i64) -> bool {
    let is_settled = voicemail.is_told() || voicemail.retry_ms == NEVER;
    !is_settled || now_ms - voicemail.at_ms < millis(MAY_BE_UNDELIVERED)
}

fn begun(new: &NewCall) -> InMemory {
    let known = Known {
        call: new.call.clone(),
        number: new.number.clone(),
        person: new.person.clone(),
        objective: new.objective.clone(),
        next: None,
        is_live: true,
        started_ms: new.started_ms,
    };
    InMemory { known, said: Vec::new(), last_seq: 0, touched: Instant::now() }
}

/// So many calls in a row were not carried, the newest by this reason of Twilio's.
pub fn not_carried(failed: u32, why: &str) -> Trouble {
    let message = format!(
        "the last {failed} calls were not carried: Twilio does not reach `{MEDIA_PATH}` at this host's public address ({why})"
    );
    Trouble::raised(MEDIA, Failure::config_invalid(message).setting("public_base_url"))
        .label("Let Twilio reach `PUBLIC_BASE_URL` by `wss://`: see the proxy's WebSockets and certificate")
}

/// Of so many messages nobody could be told, of the newest by this reason.
pub fn not_announced(count: u64, why: &str) -> Trouble {
    let messages = if count == 1 {
        "a message that was left".to_owned()
    } else {
        format!("{count} messages that were left")
    };
    let message = format!("nobody could be told of {messages}: {why}");
    Trouble::raised(UNTOLD, Failure::config_invalid(message).setting("owner_number").href("/api/calls"))
        .label(
            "Correct `VOICE_OWNER_NUMBER`, or what the reason names; the messages are listed with the calls",
        )
}

/// Another try would fail again.
fn is_for_good(error: &OperationError) -> bool {
    matches!(error.kind, ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Denied | ErrorKind::NotFound)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept_until_nothing_can_come_of_it() {
        let check = |retry_ms: i64, refused: &str, told_by: &str, days: i64, expected: bool| {
            let (refused, told_by) = (refused.to_owned(), told_by.to_owned());
            let recording = "RE1".to_owned();
            let kept =
                Voicemail { recording, number: None, seconds: 1, at_ms: 0, retry_ms, refused, told_by };
            assert_eq!(is_kept(&kept, days * 86_400_000), expected, "{kept:?} after {days} days");
        };
        let days = i64::try_from(MAY_BE_UNDELIVERED.as_secs() / 86_400).expect("a few days");
        check(0, "", "", days, true);
        check(1, "the number is a landline", "", days, true);
        check(0, "", "SM1", days - 1, true);
        check(0, "", "SM1", days, false);
        check(NEVER, "the SMS was not delivered", "SM1", days - 1, true);
        check(NEVER, "the SMS was not delivered", "SM1", days, false);
    }
}
