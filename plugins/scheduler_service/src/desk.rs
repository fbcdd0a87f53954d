//! What people, models and operators ask of jobs -> what the tables hold, and back in their words.

use jiff::tz::TimeZone;
use plugin_api::{
    level::Level,
    prelude::*,
    requests::{
        calendar::GetEvent,
        scheduler::{
            BeforeEvent, DeadLetter, DeadLetters, Job, JobState, Jobs, LastFiring, List, ListDeadLetters,
            Overall, RetryDeadLetter, Schedule, Scheduled,
        },
    },
    serde_json,
};
use ring::digest::{SHA256, digest};

use crate::{
    GOOGLE_CALENDAR,
    engine::{Engine, random_id},
    misfire::PUNCTUAL_MS,
    rule::Rule,
    settings::Config,
    store::{self, NewJob, Page, Store},
    task::{self, Task},
    times,
};

const MINUTE_MS: i64 = 60_000;
const LISTED: u32 = 50;
const MOST_LISTED: u32 = 500;

/// Takes and answers requests.
pub struct Desk {
    context: Context,
    config: Arc<Config>,
    store: Arc<Store>,
    engine: Arc<Engine>,
}

impl Desk {
    pub fn new(context: Context, config: Arc<Config>, store: Arc<Store>, engine: Arc<Engine>) -> Self {
        Self { context, config, store, engine }
    }

    /// `for_others`: it may reach others than the person of the call.
    pub async fn schedule(
        &self,
        request: Schedule,
        for_others: bool,
        call: &Call,
        key: Option<&str>,
    ) -> Result<Scheduled, OperationError> {
        let person = call.person();
        let task = Task::of(&request, person)?;
        if let Some(person) = person
            && !for_others
            && !task.is_for(person)
        {
            return Err(OperationError::denied(format!(
                "on behalf of `{person}` it may only write to them or start a run: for others there is \
                 `schedule_for_others`"
            )));
        }
        let id = identity(call, key);
        let fingerprint = hex(&serde_json::to_string(&request).unwrap_or_default());
        // A repeat may come when its moment has passed.
        if key.is_some()
            && let Some(known) = self.store.job(&id).await?
        {
            return repeated(&known, &fingerprint);
        }
        let job = self.draft(request, task, id, fingerprint, call).await?;
        self.check_room(person).await?;
        let is_new = self.store.insert(&job).await?;
        if job.due_ms <= job.now_ms {
            self.engine.wake();
        }
        let known = self.known(&job.id, person).await?;
        if is_new {
            Ok(Scheduled { job: shown(&known), repeated: false })
        } else {
            repeated(&known, &job.fingerprint)
        }
    }

    async fn draft(
        &self,
        request: Schedule,
        task: Task,
        id: String,
        fingerprint: String,
        call: &Call,
    ) -> Result<NewJob, OperationError> {
        let zone_name = request.time_zone.clone().unwrap_or_else(|| self.config.zone_name.clone());
        let zone = times::zone("time_zone", &zone_name)?;
        let now_ms = self.store.now_ms();
        let (rule, fire_ms) = self.when(&request, &zone, now_ms).await?;
        // A reminder is looked at at once, and then as its event comes nearer.
        let due_ms = if matches!(rule, Rule::Event { .. }) { now_ms } else { fire_ms };
        let late_ms = request.late_minutes.map(|minutes| i64::from(minutes) * MINUTE_MS);
        Ok(NewJob {
            id,
            fingerprint,
            person: call.person().unwrap_or_default().to_owned(),
            level: call.level(),
            title: task::title(&request, &task),
            task,
            rule,
            zone: zone_name,
            if_late: request.if_late.unwrap_or_default(),
            late_ms: late_ms.unwrap_or(self.config.late_ms),
            fire_ms,
            due_ms,
            now_ms,
        })
    }

    /// The rule, and its first moment.
    async fn when(
        &self,
        request: &Schedule,
        zone: &TimeZone,
        now: i64,
    ) -> Result<(Rule, i64), OperationError> {
        if request.until.is_some() && request.cron.is_none() {
            return Err(OperationError::invalid("`until` needs `cron`: a job that runs once has no end"));
        }
        match (&request.at, request.in_minutes, &request.cron, &request.before_event) {
            (Some(at), None, None, None) => {
                let at_ms = times::moment("at", at, zone)?.as_millisecond();
                if at_ms < now - PUNCTUAL_MS {
                    return Err(OperationError::invalid(format!(
                        "`at` is {}, which has passed: it is {} now",
                        times::written(at_ms, zone),
                        times::written(now, zone)
                    )));
                }
                Ok((Rule::Once { at_ms }, at_ms))
            }
            (None, Some(minutes), None, None) => {
                let at_ms = now + i64::from(minutes) * MINUTE_MS;
                Ok((Rule::Once { at_ms }, at_ms))
            }
            (None, None, Some(cron), None) => recurring(cron, request.until.as_deref(), zone, now),
            (None, None, None, Some(before)) => self.before(before, zone, now).await,
            _ => Err(OperationError::invalid(
                "give exactly one of `at`, `in_minutes`, `cron` and `before_event`",
            )),
        }
    }

    async fn before(
        &self,
        before: &BeforeEvent,
        zone: &TimeZone,
        now: i64,
    ) -> Result<(Rule, i64), OperationError> {
        let BeforeEvent { event, calendar, minutes } = before.clone();
        let ask = GetEvent { calendar: calendar.clone(), id: event.clone() };
        let found = self.context.dependency(GOOGLE_CALENDAR)?.call(ask).await?;
        if !found.recurrence.is_empty() {
            return Err(OperationError::invalid(format!(
                "event `{event}` repeats: give the id of one occurrence, as `google_calendar.list_events` tells it"
            )));
        }
        let start = found.start.as_deref().and_then(|start| times::event_start(start, zone));
        let start = start.filter(|_| found.status != "cancelled");
        let start = start.ok_or_else(|| OperationError::invalid(format!("event `{event}` is cancelled")))?;
        if start.as_millisecond() <= now {
            let start = times::written(start.as_millisecond(), zone);
            return Err(OperationError::invalid(format!("event `{event}` began at {start}")));
        }
        let fire_ms = start.as_millisecond() - i64::from(minutes) * MINUTE_MS;
        Ok((Rule::Event { event, calendar, minutes }, fire_ms))
    }

    async fn check_room(&self, person: Option<&str>) -> Result<(), OperationError> {
        let Some(person) = person else { return Ok(()) };
        let most = self.config.jobs_per_person;
        if self.store.open_jobs(person).await? < u64::from(most) {
            return Ok(());
        }
        Err(OperationError::conflict(format!(
            "`{person}` has {most} jobs, which is the most: cancel one that is not needed"
        )))
    }

    pub async fn fetch(&self, id: &str, person: Option<&str>) -> Result<Job, OperationError> {
        let known = self.known(id, person).await?;
        let task = Some(known.task.clone());
        Ok(Job { task, ..shown(&known) })
    }

    pub async fn cancel(&self, id: &str, person: Option<&str>) -> Result<Job, OperationError> {
        self.known(id, person).await?;
        if !self.store.cancel(id, self.store.now_ms()).await? {
            let known = self.known(id, person).await?;
            if known.state == JobState::Cancelled {
                return Ok(shown(&known));
            }
            let state = known.state.as_str();
            return Err(OperationError::conflict(format!("job `{id}` is over: it is `{state}`")));
        }
        Ok(shown(&self.known(id, person).await?))
    }

    pub async fn list(&self, request: List, person: Option<&str>) -> Result<Jobs, OperationError> {
        let page = page(request.limit, request.after.as_deref())?;
        let jobs = self.store.list(person, request.all, request.parked, &page).await?;
        let next = next(&page, jobs.len(), jobs.last().map(|job| (job.created_ms, &job.id)));
        Ok(Jobs { jobs: jobs.iter().map(shown).collect(), next })
    }

    pub async fn overview(&self, person: Option<&str>) -> Result<Overall, OperationError> {
        for_operators(person)?;
        self.store.overview().await
    }

    pub async fn dead_letters(
        &self,
        request: ListDeadLetters,
        person: Option<&str>,
    ) -> Result<DeadLetters, OperationError> {
        for_operators(person)?;
        let page = page(request.limit, request.after.as_deref())?;
        let letters = self.store.letters(request.all, &page).await?;
        let next = next(&page, letters.len(), letters.last().map(|letter| (letter.at_ms, &letter.id)));
        Ok(DeadLetters { dead_letters: letters.into_iter().map(told).collect(), next })
    }

    pub async fn retry(&self, request: RetryDeadLetter, person: Option<&str>) -> Result<Job, OperationError> {
        for_operators(person)?;
        let letter = self.letter(&request.id).await?;
        if letter.outcome == "unknown_outcome" && !request.even_if_unknown {
            return Err(OperationError::conflict(format!(
                "`{}` may have taken effect: look first, and then give `even_if_unknown` if it may do so twice",
                letter.id
            )));
        }
        let job = self.again(&letter)?;
        let replaced = self.store.replace_letter(&letter.id, &job).await;
        replaced
            .map_err(|error| if error.kind == ErrorKind::Conflict { settled(&letter.id) } else { error })?;
        self.engine.wake();
        Ok(shown(&self.known(&job.id, None).await?))
    }

    pub async fn dismiss(&self, id: &str, person: Option<&str>) -> Result<(), OperationError> {
        for_operators(person)?;
        self.letter(id).await?;
        if self.store.dismiss_letter(id).await? { Ok(()) } else { Err(settled(id)) }
    }

    /// What a letter holds, as a job for now. Another job has other keys: it was found to have had no effect, or
    /// somebody said that it may have it twice.
    fn again(&self, letter: &store::DeadLetter) -> Result<NewJob, OperationError> {
        let now_ms = self.store.now_ms();
        Ok(NewJob {
            id: random_id(),
            fingerprint: String::new(),
            person: letter.person.clone(),
            // An operator asks for it again.
            level: Some(Level::Signed),
            title: letter.title.clone(),
            task: Task::read(letter.does, letter.task.clone())?,
            rule: Rule::Once { at_ms: now_ms },
            zone: letter.zone.clone(),
            if_late: plugin_api::requests::scheduler::IfLate::Once,
            late_ms: self.config.late_ms,
            fire_ms: now_ms,
            due_ms: now_ms,
            now_ms,
        })
    }

    async fn letter(&self, id: &str) -> Result<store::DeadLetter, OperationError> {
        let letter = self.store.letter(id).await?;
        letter.ok_or_else(|| {
            OperationError::not_found(format!("there is no dead letter `{}`", times::shown(id)))
        })
    }

    /// A person sees only their own.
    async fn known(&self, id: &str, person: Option<&str>) -> Result<store::Job, OperationError> {
        let job = self.store.job(id).await?;
        let job = job.filter(|job| person.is_none_or(|person| job.person == person));
        job.ok_or_else(|| OperationError::not_found(format!("there is no job `{}`", times::shown(id))))
    }
}

fn recurring(
    cron: &str,
    until: Option<&str>,
    zone: &TimeZone,
    now: i64,
) -> Result<(Rule, i64), OperationError> {
    let until = until.map(|until| times::moment("until", until, zone)).transpose()?;
    let rule = Rule::cron(cron, until.map(jiff::Timestamp::as_millisecond))?;
    let first = rule
        .next_after(zone, now)
        .ok_or_else(|| OperationError::invalid(format!("`cron` `{}` never comes due", times::shown(cron))))?;
    Ok((rule, first))
}

/// The same key of the same caller on behalf of the same person is the same job.
fn identity(call: &Call, key: Option<&str>) -> String {
    let (caller, person) = (call.caller().unwrap_or_default(), call.person().unwrap_or_default());
    key.map_or_else(random_id, |key| hex(&format!("{caller}\n{person}\n{key}")))
}

/// The first half of a SHA-256.
fn hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn repeated(known: &store::Job, fingerprint: &str) -> Result<Scheduled, OperationError> {
    if known.fingerprint == fingerprint {
        return Ok(Scheduled { job: shown(known), repeated: true });
    }
    Err(OperationError::conflict("the idempotency key was used for another job"))
}

fn for_operators(person: Option<&str>) -> Result<(), OperationError> {
    match person {
        None => Ok(()),
        Some(_) => Err(OperationError::denied("this is for operators, not on behalf of a person")),
    }
}

fn settled(id: &str) -> OperationError {
    OperationError::conflict(format!("somebody has already dealt with dead letter `{}`", times::shown(id)))
}

fn page(limit: Option<u32>, after: Option<&str>) -> Result<Page, OperationError> {
    let limit = limit.unwrap_or(LISTED);
    if !(1..=MOST_LISTED).contains(&limit) {
        return Err(OperationError::invalid(format!("`limit` is {limit}: expected 1 to {MOST_LISTED}")));
    }
    let read = |after: &str| {
        let (ms, id) = after.split_once('.')?;
        Some((ms.parse().ok()?, id.to_owned()))
    };
    let after = after.map(|after| {
        read(after).ok_or_else(|| OperationError::invalid("`after` is not the `next` of an answer"))
    });
    Ok(Page { limit, after: after.transpose()? })
}

/// A full page may have another one behind it.
fn next(page: &Page, found: usize, last: Option<(i64, &String)>) -> Option<String> {
    let is_full = found >= page.limit as usize;
    last.filter(|_| is_full).map(|(ms, id)| format!("{ms}.{id}"))
}

/// A job in people's words.
fn shown(job: &store::Job) -> Job {
    let last = job.last_outcome.clone().map(|outcome| LastFiring {
        outcome,
        at_ms: job.last_ms.unwrap_or_default(),
        error: job.last_error.clone(),
    });
    Job {
        id: job.id.clone(),
        title: job.title.clone(),
        does: job.does,
        rule: job.rule.words(&job.zone_name),
        time_zone: job.zone_name.clone(),
        state: job.state,
        next: job.fire_ms.map(|ms| times::written(ms, &job.zone)),
        next_ms: job.fire_ms,
        waits_for: job.parked_for.clone(),
        attempts: job.attempts,
        last,
        trouble: job.trouble.clone(),
        if_late: job.if_late,
        person: Some(job.person.clone()).filter(|person| !person.is_empty()),
        created_ms: job.created_ms,
        task: None,
    }
}

fn told(letter: store::DeadLetter) -> DeadLetter {
    DeadLetter {
        id: letter.id,
        job: letter.job,
        title: letter.title,
        does: letter.does,
        outcome: letter.outcome,
        due_ms: letter.fire_ms,
        at_ms: letter.at_ms,
        attempts: letter.attempts,
        error: letter.error,
        person: Some(letter.person).filter(|person| !person.is_empty()),
        settled: letter.settled,
    }
}
