//! An event as callers know it <-> as Google's JSON has it. Reads leniently, writes strictly. Pure.

use plugin_api::{
    error::OperationError,
    requests::calendar::{Attendee, CreateEvent, Event, UpdateEvent},
    serde_json::{Map, Value, json},
};

use crate::times::{self, Moment};

/// Under this private property an event remembers the request that made it.
const REQUEST: &str = "switchboardRequest";

/// Reads one of Google's events; what is absent or odd is left out.
pub fn read(calendar: &str, json: &Value) -> Event {
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let moment = |side: &str| text(&format!("/{side}/dateTime")).or_else(|| text(&format!("/{side}/date")));
    let list = |key: &str| json.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    Event {
        id: text("/id").unwrap_or_default(),
        calendar: calendar.to_owned(),
        status: text("/status").unwrap_or_else(|| "confirmed".to_owned()),
        title: text("/summary").unwrap_or_default(),
        description: text("/description"),
        location: text("/location"),
        start: moment("start"),
        end: moment("end"),
        all_day: json.pointer("/start/date").is_some_and(Value::is_string),
        time_zone: text("/start/timeZone"),
        attendees: list("attendees").iter().filter_map(attendee).collect(),
        organizer: text("/organizer/email"),
        recurrence: list("recurrence").iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        recurring_event: text("/recurringEventId"),
        link: text("/htmlLink"),
        etag: text("/etag"),
        updated: text("/updated"),
    }
}

fn attendee(json: &Value) -> Option<Attendee> {
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Attendee { email: text("email")?, name: text("displayName"), response: text("responseStatus") })
}

/// Which request made this event, if it was one of ours.
pub fn made_by(json: &Value) -> Option<&str> {
    json.pointer(&format!("/extendedProperties/private/{REQUEST}")).and_then(Value::as_str)
}

/// A new event under an id of ours. `zone` is asked for what repeats, which needs one.
pub fn new(
    request: &CreateEvent,
    id: &str,
    fingerprint: &str,
    zone: impl Fn() -> Result<String, OperationError>,
) -> Result<Value, OperationError> {
    if request.title.trim().is_empty() {
        return Err(OperationError::invalid("`title` is empty: say what the event is called"));
    }
    for rule in &request.recurrence {
        recurrence(rule)?;
    }
    let zone = match &request.time_zone {
        None if !request.recurrence.is_empty() => Some(zone()?),
        zone => zone.clone(),
    };
    let (start, end) = stretch(&request.start, &request.end, zone.as_deref())?;
    let mut event = Map::new();
    event.insert("id".into(), id.into());
    event.insert("summary".into(), request.title.as_str().into());
    event.insert("start".into(), start);
    event.insert("end".into(), end);
    event.insert("extendedProperties".into(), json!({ "private": { REQUEST: fingerprint } }));
    let optional = [("description", &request.description), ("location", &request.location)];
    for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        event.insert(key.into(), value.as_str().into());
    }
    if !request.attendees.is_empty() {
        event.insert("attendees".into(), invited(&request.attendees)?);
    }
    if !request.recurrence.is_empty() {
        event.insert("recurrence".into(), json!(request.recurrence));
    }
    Ok(Value::Object(event))
}

/// What an update changes.
pub fn patch(request: &UpdateEvent) -> Result<Value, OperationError> {
    let mut event = Map::new();
    let texts =
        [("summary", &request.title), ("description", &request.description), ("location", &request.location)];
    for (key, value) in texts.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        event.insert(key.into(), value.as_str().into());
    }
    match (&request.start, &request.end) {
        (Some(start), Some(end)) => {
            let (start, end) = stretch(start, end, request.time_zone.as_deref())?;
            event.insert("start".into(), alone(start));
            event.insert("end".into(), alone(end));
        }
        (None, None) if request.time_zone.is_none() => {}
        _ => {
            return Err(OperationError::invalid(
                "`start` and `end` are changed together: give both, with `time_zone` if it is to change",
            ));
        }
    }
    if let Some(attendees) = &request.attendees {
        event.insert("attendees".into(), invited(attendees)?);
    }
    if event.is_empty() {
        return Err(OperationError::invalid(
            "nothing is to be changed: give at least one of the event's fields",
        ));
    }
    Ok(Value::Object(event))
}

fn stretch(start: &str, end: &str, zone: Option<&str>) -> Result<(Value, Value), OperationError> {
    let zone = zone.map(|zone| times::zone_name("time_zone", zone)).transpose()?;
    let zone = zone.as_deref();
    let (from, to) = (Moment::parse("start", start)?, Moment::parse("end", end)?);
    match (from, to) {
        (Moment::Instant(from, _), Moment::Instant(to, _)) => {
            times::check_range(("start", from), ("end", to))?;
        }
        (Moment::Day(from), Moment::Day(to)) => times::check_days(("start", from), ("end", to))?,
        _ => {
            return Err(OperationError::invalid(
                "`start` and `end` are of two kinds: give both a time with its offset, or both a date alone",
            ));
        }
    }
    Ok((side(from, zone), side(to, zone)))
}

fn side(moment: Moment, zone: Option<&str>) -> Value {
    match (moment, zone) {
        (Moment::Instant(instant, offset), Some(zone)) => {
            json!({ "dateTime": times::written(instant, offset), "timeZone": zone })
        }
        (Moment::Instant(instant, offset), None) => json!({ "dateTime": times::written(instant, offset) }),
        (Moment::Day(day), _) => json!({ "date": day.to_string() }),
    }
}

/// Takes away what an update must not leave beside the new side: a day has no time, a time has no day.
fn alone(mut side: Value) -> Value {
    let stale: &[&str] = if side.get("date").is_some() { &["dateTime", "timeZone"] } else { &["date"] };
    for key in stale {
        side[*key] = Value::Null;
    }
    side
}

fn invited(addresses: &[String]) -> Result<Value, OperationError> {
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || "<>,;".contains(letter);
    let fits = |address: &&String| {
        let parts = address.split_once('@');
        parts.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty()) && !address.contains(odd)
    };
    if let Some(address) = addresses.iter().find(|address| !fits(address)) {
        let shown: String = address.chars().filter(|letter| !letter.is_control()).take(80).collect();
        return Err(OperationError::invalid(format!(
            "`attendees` has `{shown}`, which is no address: write it as `ada@example.com`"
        )));
    }
    Ok(addresses.iter().map(|address| json!({ "email": address })).collect())
}

fn recurrence(rule: &str) -> Result<(), OperationError> {
    let kinds = ["RRULE", "RDATE", "EXDATE", "EXRULE"];
    let kind = rule.split([':', ';']).next().unwrap_or_default();
    if kinds.contains(&kind) && rule.contains(':') && !rule.contains(char::is_control) {
        return Ok(());
    }
    let shown: String = rule.chars().filter(|letter| !letter.is_control()).take(80).collect();
    Err(OperationError::invalid(format!(
        "`recurrence` has `{shown}`: write it as `RRULE:FREQ=WEEKLY;COUNT=4` (RFC 5545)"
    )))
}
