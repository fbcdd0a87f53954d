//! What the `scheduler_service` plugin offers: jobs, which send a message or an email or start a run, once or again and
//! again, or so long before an event of the calendar begins.
//!
//! Each time that a job's moment comes is a firing. It is done at most once, on whichever host; of what cannot be known
//! the outcome is shown, and it is not repeated.
//!
//! Moments are text, `2026-03-29T10:00:00+02:00`; fields that end with `_ms` hold milliseconds since 1970, UTC.
//!
//! # Errors
//! | kind | when |
//! |---|---|
//! | `invalid` | the request, a moment in the past, a rule by which no moment ever comes |
//! | `denied` | on behalf of a person: it would reach somebody else, or is for operators |
//! | `not_found` | there is no such job, event or dead letter, or it is not this person's |
//! | `conflict` | the idempotency key was used for another job; the person has too many jobs; it is over already |
//! | `unavailable`, `overloaded`, `deadline` | the database, as it says, or the calendar; nothing was scheduled |

use std::collections::BTreeMap;

use serde_json::Value;

use super::{email::SendEmail, messaging::Send};
use crate::{message, requests::Request};

/// Schedules a job on behalf of the person of the call. With an idempotency key it is scheduled once; a repeat learns
/// how that one stands.
///
/// Exactly one of `message`, `email`, `run` says what is to be done, and exactly one of `at`, `in_minutes`, `cron`,
/// `before_event` says when. On behalf of a person it may only do what reaches that person or asks by itself: a message
/// to them, or a run; for the others there is [`ScheduleForOthers`].
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// What it is about, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A message to be sent; leave out `to` to write to the person of this conversation. Before an event `text` may be
    /// empty: then it names the event and when it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Send>,
    /// An email to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<SendEmail>,
    /// A goal to be pursued by the assistant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Goal>,
    /// Once, at this moment: `2026-03-29T10:00:00+02:00`, or the local time `2026-03-29T10:00` in `time_zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Once, so many minutes from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 527040))]
    pub in_minutes: Option<u32>,
    /// Again and again: minute, hour, day of the month, month, day of the week, in `time_zone`. `0 9 * * 1-5` is at nine
    /// from Monday to Friday; `0 9 L * *` on the last day of each month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Once, so long before an event begins, wherever it is moved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_event: Option<BeforeEvent>,
    /// With `cron`: no more after this moment, written like `at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The time zone of `cron` and of local times, such as `Europe/Berlin`; that of the settings if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What to do if its moment passes while nobody can do it; `once` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_late: Option<IfLate>,
    /// With `if_late` `once`: how many minutes late it is still worth doing; as the settings say if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 527040))]
    pub late_minutes: Option<u32>,
}

impl Request for Schedule {
    const OPERATION: &'static str = "schedule";
    type Response = Scheduled;
}

/// A goal of a run to come. By then it is a task that was written down earlier, and no words of anyone who speaks.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// What is to be reached, in words that can be understood alone.
    pub goal: String,
}

/// The same as [`Schedule`], for what reaches others than the person of the call. As a tool it waits for approval.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(transparent)]
pub struct ScheduleForOthers(pub Schedule);

impl Request for ScheduleForOthers {
    const OPERATION: &'static str = "schedule_for_others";
    type Response = Scheduled;
}

/// How long before which event.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct BeforeEvent {
    /// The event's id; of a repeated event that of one occurrence, as `google_calendar.list_events` tells it.
    pub event: String,
    /// The calendar's id; the configured one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// How many minutes before it begins, up to four weeks.
    #[schemars(range(max = 40320))]
    pub minutes: u32,
}

/// What becomes of a moment that passed while nobody could do it.
#[message]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum IfLate {
    /// Of all missed moments only the last one is done, if it is not too late.
    #[default]
    Once,
    /// It is not done.
    Skip,
    /// All missed moments are done, one after the other; the newest hundred, if there are more.
    All,
}

/// The job is scheduled.
#[message]
#[derive(PartialEq, Eq)]
pub struct Scheduled {
    /// How it stands.
    pub job: Job,
    /// An earlier call with the same idempotency key scheduled it; this one did not.
    pub repeated: bool,
}

/// How a job stands.
#[message]
#[derive(PartialEq, Eq)]
pub struct Job {
    /// Names it in [`Cancel`].
    pub id: String,
    /// What it is about.
    pub title: String,
    /// What it does.
    pub does: Does,
    /// When, in words: `once`, `cron 0 9 * * 1-5 in Europe/Berlin`, `30 minutes before event abc`.
    pub rule: String,
    /// The time zone of its times.
    pub time_zone: String,
    /// How far it is.
    pub state: JobState,
    /// When it is done next, or was due if it now waits or is retried; left out if it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The same for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<i64>,
    /// While it is parked: the plugin that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How often this firing was begun.
    pub attempts: u32,
    /// The outcome of the previous firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastFiring>,
    /// Why it is not done yet, or was cancelled by what it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What it does if it is late.
    pub if_late: IfLate,
    /// On whose behalf; left out if an operator scheduled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// When it was scheduled.
    pub created_ms: i64,
    /// The request that it makes of [`Does::plugin`]; only told by [`FetchJob`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Value>,
}

/// What a job does.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// `messaging_service.send`.
    Message,
    /// `smtp.send_email`.
    Email,
    /// `orchestrator_service.run`.
    Run,
}

impl Does {
    /// The plugin that does it.
    pub fn plugin(self) -> &'static str {
        match self {
            Self::Message => "messaging_service",
            Self::Email => "smtp",
            Self::Run => "orchestrator_service",
        }
    }

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Email => "email",
            Self::Run => "run",
        }
    }
}

/// How far a job is.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Its moment has not come.
    Waiting,
    /// A host is at it.
    Running,
    /// Its moment has come, and what it needs is not there: see [`Job::waits_for`].
    Parked,
    /// It failed in a way that may pass, and is tried again.
    Retrying,
    /// It was done, for good.
    Done,
    /// It could not be done: there is a [`DeadLetter`].
    Failed,
    /// It was begun, and nobody knows whether it took effect: there is a [`DeadLetter`].
    UnknownOutcome,
    /// Its moment passed while nobody could do it, and it is too late.
    Missed,
    /// It was cancelled, or its event was.
    Cancelled,
}

impl JobState {
    /// Nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::UnknownOutcome | Self::Missed | Self::Cancelled)
    }

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Missed => "missed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What became of a firing.
#[message]
#[derive(PartialEq, Eq)]
pub struct LastFiring {
    /// `done`, `failed`, `unknown_outcome`, `missed` or `skipped`.
    pub outcome: String,
    /// When that was known.
    pub at_ms: i64,
    /// Why it was not done, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Cancels a job. A firing in progress is not taken back. On behalf of a person, only their own.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// [`Job::id`].
    pub id: String,
}

impl Request for Cancel {
    const OPERATION: &'static str = "cancel";
    type Response = Job;
}

/// Shows the state of a job, and what it asks for. On behalf of a person, only their own.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FetchJob {
    /// [`Job::id`].
    pub id: String,
}

impl Request for FetchJob {
    const OPERATION: &'static str = "fetch";
    type Response = Job;
}

/// Lists jobs, the newest first. On behalf of a person, only their own.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Those that are over, too; they are remembered for 30 days.
    #[serde(default)]
    pub all: bool,
    /// Only those that are parked.
    #[serde(default)]
    pub parked: bool,
    /// At most so many, 1 to 500; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
    /// `next` of the answer before this one, to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Request for List {
    const OPERATION: &'static str = "list";
    type Response = Jobs;
}

/// Some of the jobs.
#[message]
#[derive(PartialEq, Eq)]
pub struct Jobs {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// There are more: give it as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Shows the state of all jobs. For operators: not on behalf of a person.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Overview {}

impl Request for Overview {
    const OPERATION: &'static str = "overview";
    type Response = Overall;
}

/// How all jobs stand.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Overall {
    /// How many have their moment before them.
    pub waiting: u64,
    /// How many are being done.
    pub running: u64,
    /// How many are tried again.
    pub retrying: u64,
    /// How many are parked, by the plugin that they wait for.
    pub parked: BTreeMap<String, u64>,
    /// How many dead letters there are that nobody has dealt with, by their outcome.
    pub dead_letters: BTreeMap<String, u64>,
}

/// Lists firings that nobody could do, or of which nobody knows, the newest first. For operators: not on behalf of a
/// person.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListDeadLetters {
    /// Those that somebody has dealt with, too; they are remembered for 90 days.
    #[serde(default)]
    pub all: bool,
    /// At most so many, 1 to 500; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
    /// `next` of the answer before this one, to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Request for ListDeadLetters {
    const OPERATION: &'static str = "dead_letters";
    type Response = DeadLetters;
}

/// Some of the dead letters.
#[message]
#[derive(PartialEq, Eq)]
pub struct DeadLetters {
    /// The dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// There are more: give it as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A firing that was not done, or of which nobody knows.
#[message]
#[derive(PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it in [`RetryDeadLetter`].
    pub id: String,
    /// The job.
    pub job: String,
    /// What the job is about.
    pub title: String,
    /// What was to be done.
    pub does: Does,
    /// `failed`: it had no effect. `unknown_outcome`: perhaps it had. `missed`: it was not begun, and it is too late.
    pub outcome: String,
    /// The moment that it was due.
    pub due_ms: i64,
    /// When it was given up.
    pub at_ms: i64,
    /// How often it was begun.
    pub attempts: u32,
    /// Why it was not done, for a person.
    pub error: String,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The job that does it again, or `dismissed`, once somebody has dealt with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
}

/// Runs the task of a dead letter again, now, as a new job. For operators: not on behalf of a person.
///
/// # Errors
/// `conflict`: somebody has dealt with it, or it may have taken effect and `even_if_unknown` does not say that it may
/// take effect twice.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RetryDeadLetter {
    /// [`DeadLetter::id`].
    pub id: String,
    /// Even if it may have taken effect before.
    #[serde(default)]
    pub even_if_unknown: bool,
}

impl Request for RetryDeadLetter {
    const OPERATION: &'static str = "retry";
    type Response = Job;
}

/// Marks a dead letter as dealt with. For operators: not on behalf of a person.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct DismissDeadLetter {
    /// [`DeadLetter::id`].
    pub id: String,
}

impl Request for DismissDeadLetter {
    const OPERATION: &'static str = "dismiss";
    type Response = ();
}
