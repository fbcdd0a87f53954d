//! What became of a claimed job -> the record that is written of it: its next moment, its state, its dead letter. Pure.

use plugin_api::requests::scheduler::JobState;

use crate::store::{Job, Letter, Record};

/// How a firing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Done,
    Failed,
    Unknown,
    /// It is too late.
    Missed,
    /// It is late, and the job does nothing late.
    Skipped,
}

impl End {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown_outcome",
            Self::Missed => "missed",
            Self::Skipped => "skipped",
        }
    }

    /// What a job is after its last firing ended so.
    fn over(self) -> JobState {
        match self {
            Self::Done => JobState::Done,
            Self::Failed => JobState::Failed,
            Self::Unknown => JobState::UnknownOutcome,
            Self::Missed | Self::Skipped => JobState::Missed,
        }
    }

    /// Whether somebody should see it. Skipping is intended.
    fn is_told(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown | Self::Missed)
    }
}

/// The firing at `fire_ms` is over; the next moment is sought after `next_after`.
pub fn ended(
    job: &Job,
    end: End,
    fire_ms: i64,
    next_after: i64,
    now_ms: i64,
    error: Option<String>,
) -> Record {
    let next = job.rule.next_after(&job.zone, next_after.max(fire_ms));
    let state = if next.is_some() { JobState::Waiting } else { end.over() };
    let letter = if end.is_told() { letter(job, end, fire_ms, error.clone()) } else { Letter::default() };
    Record {
        new_fire: next,
        new_due: next,
        fired: Some(fire_ms),
        outcome: Some(end.as_str().to_owned()),
        error,
        ended: next.is_none().then_some(now_ms),
        letter,
        ..standing(job, state, now_ms)
    }
}

/// It waits for this plugin.
pub fn parked(job: &Job, plugin: &str, fire_ms: i64, now_ms: i64) -> Record {
    Record {
        new_fire: Some(fire_ms),
        new_parked: Some(plugin.to_owned()),
        new_attempts: job.attempts,
        new_doubt: job.doubt.into(),
        ..standing(job, JobState::Parked, now_ms)
    }
}

/// It is begun again at this time.
pub fn retried(job: &Job, doubt: bool, fire_ms: i64, at_ms: i64, now_ms: i64, error: String) -> Record {
    Record {
        new_fire: Some(fire_ms),
        new_due: Some(at_ms),
        new_wait: Some(at_ms - now_ms),
        new_attempts: job.attempts,
        new_doubt: (job.doubt || doubt).into(),
        error: Some(error),
        ..standing(job, JobState::Retrying, now_ms)
    }
}

/// Its moment is this one; somebody looks at it at `due_ms`.
pub fn waits(job: &Job, fire_ms: i64, due_ms: i64, now_ms: i64) -> Record {
    Record {
        new_fire: Some(fire_ms),
        new_due: Some(due_ms),
        new_wait: Some(due_ms - now_ms),
        ..standing(job, JobState::Waiting, now_ms)
    }
}

/// What it was for is gone.
pub fn cancelled(job: &Job, now_ms: i64, why: &str) -> Record {
    Record { error: Some(why.to_owned()), ended: Some(now_ms), ..standing(job, JobState::Cancelled, now_ms) }
}

fn standing(job: &Job, state: JobState, now_ms: i64) -> Record {
    Record {
        job_id: job.id.clone(),
        job_owner: job.owner.clone(),
        new_state: state.as_str().to_owned(),
        new_fire: None,
        new_due: None,
        new_wait: None,
        new_attempts: 0,
        new_doubt: 0,
        new_parked: None,
        fired: None,
        outcome: None,
        at: now_ms,
        error: None,
        ended: None,
        letter: Letter::default(),
    }
}

/// One firing has one letter, whoever writes it.
fn letter(job: &Job, end: End, fire_ms: i64, error: Option<String>) -> Letter {
    Letter {
        letter_id: Some(format!("{}-{fire_ms}", job.id)),
        letter_outcome: Some(end.as_str().to_owned()),
        letter_fire: Some(fire_ms),
        letter_attempts: Some(job.attempts),
        letter_error: Some(error.unwrap_or_default()),
    }
}
