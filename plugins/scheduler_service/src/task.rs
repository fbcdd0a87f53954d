//! What a job does: a request to schedule -> the request that is made of another plugin when its moment has come. Pure.

use jiff::tz::TimeZone;
use plugin_api::{
    origin::Origin,
    prelude::*,
    requests::{
        calendar::Event,
        email::SendEmail,
        messaging::Send,
        orchestrator::Run,
        scheduler::{Does, Goal, Schedule},
    },
    serde_json::{self, Value},
};

use crate::times;

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    Message(Send),
    Email(SendEmail),
    Run(Run),
}

impl Task {
    /// The one that the request names, if it can be done at all.
    pub fn of(request: &Schedule, person: Option<&str>) -> Result<Self, OperationError> {
        let Schedule { message, email, run, .. } = request.clone();
        let task = match (message, email, run) {
            (Some(message), None, None) => Self::Message(message),
            (None, Some(email), None) => Self::Email(email),
            (None, None, Some(Goal { goal })) => Self::Run(of_goal(goal)),
            _ => return Err(OperationError::invalid("give exactly one of `message`, `email` and `run`")),
        };
        task.check(request.before_event.is_some(), person)?;
        Ok(task)
    }

    fn check(&self, is_reminder: bool, person: Option<&str>) -> Result<(), OperationError> {
        let trouble = match self {
            Self::Message(message) if message.to.is_none() && person.is_none() => {
                "`message.to` is missing: only on behalf of a person it may be left out"
            }
            Self::Message(message)
                if message.text.trim().is_empty() && message.media_urls.is_empty() && !is_reminder =>
            {
                "`message.text` is empty"
            }
            Self::Email(email) if email.to.is_empty() && email.cc.is_empty() && email.bcc.is_empty() => {
                "`email.to` is empty"
            }
            Self::Run(run) if run.goal.trim().is_empty() => "`run.goal` is empty",
            _ => return Ok(()),
        };
        Err(OperationError::invalid(trouble))
    }

    /// Whether it reaches nobody but this person without asking anybody.
    pub fn is_for(&self, person: &str) -> bool {
        match self {
            Self::Message(message) => message.to.as_deref().is_none_or(|to| to == person),
            Self::Run(_) => true,
            Self::Email(_) => false,
        }
    }

    pub fn does(&self) -> Does {
        match self {
            Self::Message(_) => Does::Message,
            Self::Email(_) => Does::Email,
            Self::Run(_) => Does::Run,
        }
    }

    /// The request as JSON.
    pub fn json(&self) -> Result<Value, OperationError> {
        let json = match self {
            Self::Message(message) => serde_json::to_value(message),
            Self::Email(email) => serde_json::to_value(email),
            Self::Run(run) => serde_json::to_value(run),
        };
        json.map_err(|error| OperationError::internal(format!("the task cannot be written: {error}")))
    }

    /// What was written.
    pub fn read(does: Does, json: Value) -> Result<Self, OperationError> {
        let task = match does {
            Does::Message => serde_json::from_value(json).map(Self::Message),
            Does::Email => serde_json::from_value(json).map(Self::Email),
            Does::Run => serde_json::from_value(json).map(Self::Run),
        };
        task.map_err(|error| OperationError::invalid(format!("the task does not fit any more: {error}")))
    }

    /// As it is asked for now: a reminder without words gets them from its event, and nobody waits for a run.
    pub fn ready(self, event: Option<&Event>, zone: &TimeZone) -> Self {
        match (self, event) {
            (Self::Message(mut message), Some(event)) if message.text.trim().is_empty() => {
                message.text = reminder(event, zone);
                // Whoever sent the invitation wrote the title.
                message.origin = Some(Origin::Calendar);
                Self::Message(message)
            }
            // Earlier versions kept what a model had written as instructions and history.
            (Self::Run(kept), _) => Self::Run(of_goal(kept.goal)),
            (task, _) => task,
        }
    }
}

/// Nobody speaks when a goal comes due.
fn of_goal(goal: String) -> Run {
    Run { goal, origin: Some(Origin::Task), ..Run::default() }
}

/// What a job is about, if nobody says so.
pub fn title(request: &Schedule, task: &Task) -> String {
    let title = request.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
    let title = title.unwrap_or(match task {
        Task::Message(message) => &message.text,
        Task::Email(email) => &email.subject,
        Task::Run(run) => &run.goal,
    });
    times::shown(title)
}

/// Whether the plugin that does it has one effect for one idempotency key, across restarts of it.
pub fn honours_keys(does: Does) -> bool {
    match does {
        Does::Message | Does::Run => true,
        // It remembers keys for one run of one host.
        Does::Email => false,
    }
}

fn reminder(event: &Event, zone: &TimeZone) -> String {
    let title = if event.title.is_empty() { "an event" } else { &event.title };
    let begins = match (&event.start, event.all_day) {
        (Some(day), true) => day.clone(),
        (Some(start), false) => {
            let moment = times::event_start(start, zone);
            let local =
                moment.map(|moment| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string());
            local.unwrap_or_else(|| start.clone())
        }
        (None, _) => "soon".to_owned(),
    };
    let place = event.location.as_deref().filter(|place| !place.is_empty());
    place.map_or_else(
        || format!("Reminder: {title}, {begins}"),
        |place| format!("Reminder: {title}, {begins}, {place}"),
    )
}
