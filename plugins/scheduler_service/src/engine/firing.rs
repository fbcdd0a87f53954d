//! One claimed job -> what became of it. `begun` is written before anything is done; what was begun by a host that went
//! away is repeated only where a repeat has no second effect.

use jiff::Timestamp;
use plugin_api::{
    prelude::*,
    requests::{
        calendar::{Event, GetEvent},
        host::NotInService,
        messaging::{SendState, SentText},
    },
    tokio::time::sleep,
    tracing,
};

use super::{Engine, presence::Presence};
use crate::{
    GOOGLE_CALENDAR,
    misfire::{self, Due},
    outcome::{self, End},
    rule::Rule,
    store::{Firing, Job, Record},
    task::{self, Task},
    times,
    verdict::{self, Attempt, Patience, Verdict},
};

const MINUTE_MS: i64 = 60_000;
/// No two looks at an event are closer together.
const SHORTEST_LOOK_MS: i64 = 1_000;

/// What a look at the event of a reminder tells.
enum Look {
    /// Its moment has come.
    Now(i64, Box<Event>),
    /// All that there is to write for now.
    Write(Box<Record>),
}

impl Engine {
    pub(super) async fn fire(&self, job: &Job) {
        if let Some(record) = self.work_on(job).await {
            self.write(&record).await;
        }
    }

    /// `None`: the job is another host's by now, or cancelled.
    async fn work_on(&self, job: &Job) -> Option<Record> {
        let now = self.store.now_ms();
        let Some(fire) = job.fire_ms else {
            return Some(outcome::cancelled(job, now, "it has no moment"));
        };
        if job.begun {
            return self.recover(job, fire).await;
        }
        if let Rule::Event { event, calendar, minutes } = &job.rule {
            return match self.look(job, event, calendar.clone(), *minutes).await {
                Look::Now(fire, event) => self.attempt(job, fire, fire, Some(&event)).await,
                Look::Write(record) => Some(*record),
            };
        }
        // A firing that is tried again is late because it failed.
        if job.attempts > 0 {
            return self.attempt(job, fire, fire, None).await;
        }
        let (rule, zone) = (&job.rule, &job.zone);
        let due = Due { rule, zone, if_late: job.if_late, late_ms: job.late_ms, fire_ms: fire };
        let decision = misfire::decide(due, now);
        match decision.fires {
            Some(fire) => self.attempt(job, fire, decision.next_after, None).await,
            None => Some(late(job, fire, decision.next_after, now)),
        }
    }

    /// A host began it and went away.
    async fn recover(&self, job: &Job, fire: i64) -> Option<Record> {
        let is_hopeless = job.cancel || job.attempts >= self.config.attempts;
        if task::honours_keys(job.does) && !is_hopeless {
            let doubtful = Job { doubt: true, ..job.clone() };
            return self.attempt(&doubtful, fire, fire, None).await;
        }
        let error = "a host began it and was lost before it recorded the outcome";
        Some(outcome::ended(job, End::Unknown, fire, fire, self.store.now_ms(), Some(error.to_owned())))
    }

    /// The reminder follows its event: wherever that is, and whether it is at all.
    async fn look(&self, job: &Job, event: &str, calendar: Option<String>, minutes: u32) -> Look {
        let lead = i64::from(minutes) * MINUTE_MS;
        let known = job.fire_ms.unwrap_or_default();
        let presence = self.presences.of(GOOGLE_CALENDAR).await;
        let now = self.store.now_ms();
        if now >= known + lead {
            return write(begun_without(job, known, now));
        }
        if presence != Presence::Connected {
            return write(match known <= now {
                true => outcome::parked(job, GOOGLE_CALENDAR, known, now),
                false => outcome::waits(job, known, self.next_look(known, now), now),
            });
        }
        let asked = match self.context.dependency(GOOGLE_CALENDAR) {
            Ok(calendar_plugin) => {
                let asked = GetEvent { calendar, id: event.to_owned() };
                calendar_plugin.deadline(self.config.timeout).call(asked).await
            }
            Err(error) => Err(error),
        };
        match asked {
            Ok(event) if event.status == "cancelled" => {
                write(outcome::cancelled(job, now, "its event was cancelled"))
            }
            Ok(event) => self.follow(job, event, lead),
            Err(error) if error.kind == ErrorKind::NotFound => {
                write(outcome::cancelled(job, now, "its event is gone"))
            }
            Err(error) => {
                let again = outcome::waits(job, known, now + self.config.event_check_ms.min(MINUTE_MS), now);
                write(Record { error: Some(error.message), ..again })
            }
        }
    }

    fn follow(&self, job: &Job, event: Event, lead: i64) -> Look {
        let now = self.store.now_ms();
        let start = event.start.as_deref().and_then(|start| times::event_start(start, &job.zone));
        let Some(start) = start.map(Timestamp::as_millisecond) else {
            return write(outcome::cancelled(job, now, "its event has no start time any more"));
        };
        let fire = start - lead;
        if start <= now {
            return write(begun_without(job, fire, now));
        }
        match fire <= now {
            true => Look::Now(fire, Box::new(event)),
            false => write(outcome::waits(job, fire, self.next_look(fire, now), now)),
        }
    }

    /// The nearer, the more often.
    fn next_look(&self, fire: i64, now: i64) -> i64 {
        let pause = ((fire - now) / 2).min(self.config.event_check_ms).max(SHORTEST_LOOK_MS);
        fire.min(now + pause)
    }

    /// Does it, unless what it needs is away.
    async fn attempt(&self, job: &Job, fire: i64, next_after: i64, event: Option<&Event>) -> Option<Record> {
        let plugin = job.does.plugin();
        if self.presences.of(plugin).await != Presence::Connected && !job.begun {
            return Some(outcome::parked(job, plugin, fire, self.store.now_ms()));
        }
        let (task, frozen) = match self.task(job, fire, event) {
            Ok(task) => task,
            Err(error) => {
                let text = Some(error.to_string());
                return Some(outcome::ended(job, End::Failed, fire, next_after, self.store.now_ms(), text));
            }
        };
        let firing = Firing {
            job_id: job.id.clone(),
            job_owner: job.owner.clone(),
            new_fire: fire,
            new_frozen: frozen,
        };
        match self.recorder.begin(firing).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                // Nothing was done: its lease brings it back.
                tracing::warn!(job = %job.id, "a job could not be begun: {error}");
                return None;
            }
        }
        let job = &Job { attempts: job.attempts + 1, ..job.clone() };
        let called = self.call(job, fire, task).await;
        let now = self.store.now_ms();
        Some(match called {
            Ok(message) => {
                if let Some(message) = message {
                    self.note_sent(&message, job, fire).await;
                }
                outcome::ended(job, End::Done, fire, next_after, now, None)
            }
            // It went away just now: nothing was begun, and that is no attempt.
            Err(error) if NotInService::of(&error).is_some_and(|told| told.plugin == plugin) => {
                let job = &Job { attempts: job.attempts - 1, ..job.clone() };
                outcome::parked(job, plugin, fire, now)
            }
            Err(error) => {
                // What is known of it is older than this.
                if error.kind == ErrorKind::Unavailable {
                    self.presences.ask(plugin).await;
                }
                self.failed(job, fire, next_after, now, &error)
            }
        })
    }

    fn failed(&self, job: &Job, fire: i64, next_after: i64, now: i64, error: &OperationError) -> Record {
        let patience = Patience {
            attempts: self.config.attempts,
            base: self.config.backoff,
            cap: self.config.longest_backoff,
        };
        let attempt =
            Attempt { honours_keys: task::honours_keys(job.does), doubt: job.doubt, number: job.attempts };
        let text = error.to_string();
        let over = |end| outcome::ended(job, end, fire, next_after, now, Some(text.clone()));
        match verdict::judge(error, attempt, patience, rand::random()) {
            Verdict::Failed => over(End::Failed),
            Verdict::Unknown => over(End::Unknown),
            Verdict::Retry { pause, doubt } => {
                let at = now.saturating_add(crate::settings::millis(pause));
                outcome::retried(job, doubt, fire, at, now, text)
            }
        }
    }

    /// What is asked for, and what of it must be kept: the words of a reminder are made once for one firing.
    fn task(
        &self,
        job: &Job,
        fire: i64,
        event: Option<&Event>,
    ) -> Result<(Task, Option<String>), OperationError> {
        if let Some(frozen) = job.frozen.as_ref().filter(|_| job.fire_ms == Some(fire)) {
            return Ok((Task::read(job.does, frozen.clone())?, Some(frozen.to_string())));
        }
        let task = Task::read(job.does, job.task.clone())?.ready(event, &job.zone);
        let frozen = event.map(|_| task.json()).transpose()?;
        Ok((task, frozen.map(|json| json.to_string())))
    }

    /// The same firing has the same key, however often and on whichever host it is tried.
    async fn call(&self, job: &Job, fire: i64, task: Task) -> Result<Option<String>, OperationError> {
        let mut callee = self
            .context
            .dependency(job.does.plugin())?
            .deadline(self.config.timeout)
            .idempotency_key(format!("scheduler_service:{}:{fire}", job.id));
        if !job.person.is_empty() {
            callee = callee.person(&job.person);
        }
        if let Some(level) = job.level {
            callee = callee.level(level);
        }
        match task {
            Task::Message(message) => {
                let sent = callee.call(message).await?;
                taken(&sent)?;
                Ok(Some(sent.id))
            }
            Task::Email(email) => callee.call(email).await.map(|_| None),
            Task::Run(run) => callee.call(run).await.map(|_| None),
        }
    }

    /// The outcome of the message is looked for later. That nobody will know is no reason to send it again.
    async fn note_sent(&self, message: &str, job: &Job, fire: i64) {
        if let Err(error) = self.store.sent(message, &job.id, fire, self.store.now_ms()).await {
            tracing::warn!(job = %job.id, "the delivery of a message is not tracked: {error}");
        }
    }

    /// It took effect, or not: that must be written, however long it takes. If the database is away for longer than the
    /// lease, another host finds the job begun.
    async fn write(&self, record: &Record) {
        let mut pause = Duration::from_millis(100);
        loop {
            match self.recorder.end(record).await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::debug!(job = %record.job_id, "another claim took the job over");
                    return self.clear_up(record).await;
                }
                Err(error) if error.kind == ErrorKind::Cancelled => return,
                Err(error) => {
                    tracing::warn!(job = %record.job_id, "the outcome of a job cannot be written yet: {error}");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// Another host thought that this one was gone, and may have written that nobody knows what became of it.
    async fn clear_up(&self, record: &Record) {
        if record.outcome.as_deref() == Some(End::Done.as_str())
            && let Some(fire) = record.fired
            && let Err(error) = self.store.clear_up(&record.job_id, fire, record.at).await
        {
            tracing::warn!(job = %record.job_id, "a job that was done is shown as unknown: {error}");
        }
    }
}

fn write(record: Record) -> Look {
    Look::Write(Box::new(record))
}

/// The event did not wait for its reminder.
fn begun_without(job: &Job, fire: i64, now: i64) -> Record {
    let end = if job.doubt { End::Unknown } else { End::Missed };
    let error = "its event began before it could be sent".to_owned();
    outcome::ended(job, end, fire, fire, now, Some(error))
}

fn late(job: &Job, fire: i64, next_after: i64, now: i64) -> Record {
    let (end, error) = match job.if_late {
        plugin_api::requests::scheduler::IfLate::Skip => {
            (End::Skipped, "it was late, and late moments are skipped")
        }
        _ => (End::Missed, "no host could run it in time, and it is too late now"),
    };
    outcome::ended(job, end, fire, next_after, now, Some(error.to_owned()))
}

/// `messaging_service` goes on by itself with what it has.
fn taken(sent: &SentText) -> Result<(), OperationError> {
    let why = || {
        let error = sent.parts.iter().find_map(|part| part.error.clone());
        error.unwrap_or_else(|| "it was not sent".to_owned())
    };
    match sent.state {
        // What did not arrive is found when it is looked for, and told as that.
        SendState::Pending | SendState::Sent | SendState::Undelivered => Ok(()),
        SendState::Dropped => Err(OperationError::denied("the person opted out")),
        SendState::Failed => Err(OperationError::invalid(why())),
        SendState::UnknownOutcome => Err(OperationError::unknown_outcome(why())),
    }
}
