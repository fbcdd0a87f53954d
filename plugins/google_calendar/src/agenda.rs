//! The operations on events: a typed request -> Google's API -> a typed answer. Nonsensical requests are refused before
//! Google is asked.

mod free_time;

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};
use plugin_api::{
    prelude::*,
    requests::calendar::{
        CreateEvent, Created, DeleteEvent, Deleted, Event, Events, GetEvent, ListEvents, Notify, UpdateEvent,
    },
    serde_json::{self, Value, json},
};

use crate::{
    account::Account,
    client::{Ask, Deadline},
    errors::Fault,
    event, random, times,
};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const DEFAULT_LIMIT: u32 = 50;
pub const LARGEST_PAGE: u32 = 250;

/// What can be done with the calendars of the account.
pub struct Agenda {
    account: Arc<Account>,
}

impl Agenda {
    pub fn new(account: Arc<Account>) -> Self {
        Self { account }
    }

    pub async fn list(&self, request: ListEvents, deadline: Deadline) -> Result<Events, OperationError> {
        let calendar = self.calendar(request.calendar.as_deref())?;
        let (from, to) = range(request.from.as_deref(), request.to.as_deref())?;
        let zone = request.time_zone.map(|zone| times::zone_name("time_zone", &zone)).transpose()?;
        let limit = within("limit", request.limit.unwrap_or(DEFAULT_LIMIT), LARGEST_PAGE)?;
        let ask = Ask::get(&["calendars", &calendar, "events"])
            .with("singleEvents", "true".to_owned())
            .with("orderBy", "startTime".to_owned())
            .with("timeMin", from.to_string())
            .with("timeMax", to.to_string())
            .with("maxResults", limit.to_string())
            .with("q", request.query)
            .with("pageToken", request.page)
            .with("timeZone", zone.or_else(|| self.configured_zone()));
        let answer = self.ask(&ask, deadline, &format!("calendar `{calendar}`")).await?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Events {
            events: items(&answer).map(|item| event::read(&calendar, item)).collect(),
            next_page: text("nextPageToken"),
            time_zone: text("timeZone"),
        })
    }

    pub async fn get(&self, request: GetEvent, deadline: Deadline) -> Result<Event, OperationError> {
        let calendar = self.calendar(request.calendar.as_deref())?;
        let id = id("id", &request.id)?;
        let ask = Ask::get(&["calendars", &calendar, "events", id]);
        let answer = self.ask(&ask, deadline, &event_of(id, &calendar)).await?;
        Ok(event::read(&calendar, &answer))
    }

    /// `key`: who asks, and the key under which it is done once.
    pub async fn create(
        &self,
        request: CreateEvent,
        key: Option<(&str, &str)>,
        deadline: Deadline,
    ) -> Result<Created, OperationError> {
        let calendar = self.calendar(request.calendar.as_deref())?;
        let id = match key {
            Some((caller, key)) => random::id_of(&[self.account.context.instance(), &calendar, caller, key]),
            None => random::id()?,
        };
        let fingerprint = fingerprint(&request, &calendar)?;
        let body = event::new(&request, &id, &fingerprint, || {
            Ok(self.account.zone()?.iana_name().unwrap_or("UTC").to_owned())
        })?;
        let ask = Ask::create(&["calendars", &calendar, "events"], body)
            .with("sendUpdates", notify(request.notify));
        match self.account.ask(&ask, deadline).await {
            Ok(answer) => Ok(Created { event: event::read(&calendar, &answer), repeated: false }),
            // Also after an answer that was lost: the second attempt finds the event there.
            Err(fault) if fault.has_status(409) => {
                self.created_before(&calendar, &id, &fingerprint, deadline).await
            }
            Err(fault) if fault.is_unknown() && key.is_none() => {
                Err(OperationError::unknown_outcome(format!(
                    "Google did not say whether the event was made: look for `{id}` before you make it again"
                ))
                .details(json!({ "event_id": id })))
            }
            Err(fault) => Err(fault.into_error_of(&event_of(&id, &calendar), self.is_own(&calendar))),
        }
    }

    async fn created_before(
        &self,
        calendar: &str,
        id: &str,
        fingerprint: &str,
        deadline: Deadline,
    ) -> Result<Created, OperationError> {
        let what = event_of(id, calendar);
        let answer = self.ask(&Ask::get(&["calendars", calendar, "events", id]), deadline, &what).await?;
        let event = event::read(calendar, &answer);
        if event.status == "cancelled" {
            let message =
                format!("{what} was made for the same id, and deleted since: use a new id to make it again");
            return Err(OperationError::conflict(message));
        }
        if event::made_by(&answer) != Some(fingerprint) {
            let message =
                format!("the same id was used for another event, {what}: use an id of its own for each");
            return Err(OperationError::conflict(message));
        }
        Ok(Created { event, repeated: true })
    }

    pub async fn update(&self, request: UpdateEvent, deadline: Deadline) -> Result<Event, OperationError> {
        let calendar = self.calendar(request.calendar.as_deref())?;
        let id = id("id", &request.id)?;
        let what = event_of(id, &calendar);
        let ask = Ask::change(&["calendars", &calendar, "events", id], event::patch(&request)?)
            .with("sendUpdates", notify(request.notify))
            .if_match(etag(request.if_match.as_deref())?);
        match self.account.ask(&ask, deadline).await {
            Ok(answer) => Ok(event::read(&calendar, &answer)),
            Err(fault) if fault.is_unknown() => Err(OperationError::unknown_outcome(format!(
                "Google did not say whether {what} was changed: read it before you change it again"
            ))),
            Err(fault) => Err(fault.into_error_of(&what, self.is_own(&calendar))),
        }
    }

    pub async fn delete(&self, request: DeleteEvent, deadline: Deadline) -> Result<Deleted, OperationError> {
        let calendar = self.calendar(request.calendar.as_deref())?;
        let id = id("id", &request.id)?;
        let ask = Ask::delete(&["calendars", &calendar, "events", id])
            .with("sendUpdates", notify(request.notify))
            .if_match(etag(request.if_match.as_deref())?);
        match self.account.ask(&ask, deadline).await {
            Ok(_) => Ok(Deleted { id: id.to_owned(), repeated: false }),
            Err(fault) if fault.has_status(410) => Ok(Deleted { id: id.to_owned(), repeated: true }),
            Err(fault) => Err(fault.into_error_of(&event_of(id, &calendar), self.is_own(&calendar))),
        }
    }

    async fn ask(&self, ask: &Ask, deadline: Deadline, what: &str) -> Result<Value, OperationError> {
        self.account.ask(ask, deadline).await.map_err(|fault: Fault| fault.into_error(what))
    }

    /// The calendar that a request means. Whoever asks, only those of the settings: the account reaches more, and a person
    /// who writes to the assistant chooses the id.
    pub fn calendar(&self, calendar: Option<&str>) -> Result<String, OperationError> {
        let config = &self.account.config;
        let calendar = id("calendar", calendar.unwrap_or(&config.calendar))?;
        if config.allows(calendar) {
            return Ok(calendar.to_owned());
        }
        Err(OperationError::denied(format!(
            "calendar `{calendar}` is not one that may be used: name none to use `{}`, or have the operator add it to \
             `calendars` in [plugins.{}.settings] of plugins.toml",
            config.calendar,
            self.account.context.instance()
        )))
    }

    /// Whether it is the calendar of the settings.
    fn is_own(&self, calendar: &str) -> bool {
        calendar == self.account.config.calendar
    }

    fn configured_zone(&self) -> Option<String> {
        self.account.config.time_zone.as_ref().and_then(TimeZone::iana_name).map(str::to_owned)
    }
}

/// The events of a list.
pub fn items(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.get("items").and_then(Value::as_array).into_iter().flatten()
}

/// A number from 1 up.
pub fn within(field: &str, number: u32, most: u32) -> Result<u32, OperationError> {
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    let field = if field.contains('`') { field.to_owned() } else { format!("`{field}`") };
    Err(OperationError::invalid(format!("{field} is {number}: expected 1 to {most}")))
}

/// From now, for a week, unless something else is said.
fn range(from: Option<&str>, to: Option<&str>) -> Result<(Timestamp, Timestamp), OperationError> {
    let from = match from {
        Some(from) => times::instant("from", from)?.0,
        None => Timestamp::now(),
    };
    let to = match to {
        Some(to) => times::instant("to", to)?.0,
        None => from.saturating_add(WEEK).unwrap_or(Timestamp::MAX),
    };
    times::check_range(("from", from), ("to", to))?;
    Ok((from, to))
}

/// An id becomes a part of an address: what would turn it into another address is none.
fn id<'a>(field: &str, text: &'a str) -> Result<&'a str, OperationError> {
    let odd = text.is_empty() || text.len() > 1024 || text.chars().all(|letter| letter == '.');
    if odd || text.contains(|letter: char| letter.is_control() || "/\\?".contains(letter)) {
        let shown: String = text.chars().filter(|letter| !letter.is_control()).take(60).collect();
        return Err(OperationError::invalid(format!("`{field}` is `{shown}`, which is no id")));
    }
    Ok(text)
}

fn etag(etag: Option<&str>) -> Result<Option<String>, OperationError> {
    let etag = etag.filter(|etag| *etag != "*");
    match etag {
        Some(etag) if !etag.bytes().all(|byte| byte.is_ascii_graphic()) || etag.is_empty() => {
            Err(OperationError::invalid("`if_match` is no etag: give that of the event as it was read"))
        }
        etag => Ok(etag.map(str::to_owned)),
    }
}

fn event_of(id: &str, calendar: &str) -> String {
    format!("event `{id}` of calendar `{calendar}`")
}

fn notify(notify: Option<Notify>) -> String {
    match notify.unwrap_or_default() {
        Notify::All => "all",
        Notify::ExternalOnly => "externalOnly",
        Notify::None => "none",
    }
    .to_owned()
}

/// Tells one wish from another, however calendar and key were given.
fn fingerprint(request: &CreateEvent, calendar: &str) -> Result<String, OperationError> {
    let wish = CreateEvent { calendar: Some(calendar.to_owned()), client_id: None, ..request.clone() };
    let json = serde_json::to_string(&wish)
        .map_err(|_| OperationError::internal("the request cannot be written as JSON"))?;
    Ok(random::hash(&json))
}
