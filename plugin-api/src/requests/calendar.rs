//! What the `google_calendar` plugin offers: the calendar of the account that was connected to it.
//!
//! Moments are text: `2026-03-29T10:00:00+02:00`, always with an offset or `Z`, or for what lasts whole days
//! `2026-03-29`; the end of a range is not part of it. Calendars are named by their id; left out, it is the one that the
//! plugin's settings name.
//!
//! # Errors
//! | kind | when |
//! |---|---|
//! | `invalid` | a moment without an offset, an end before its start, a range that nobody can mean, or Google refuses the request |
//! | `denied` | the account may not do this in that calendar |
//! | `not_found` | there is no such calendar or event |
//! | `conflict` | the event was changed meanwhile, or the id was used for another one |
//! | `overloaded` | Google asks to slow down |
//! | `unavailable` | nobody has connected an account, the consent ended, or Google does not answer; the same create with the same id may be repeated |
//! | `unknown_outcome` | it was sent, and no answer came: read the event before you repeat it |

use std::collections::BTreeMap;

use crate::{message, requests::Request};

/// Lists the events of a period, in the order in which they begin; each occurrence of a repeated event is one.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ListEvents {
    /// The calendar's id; the configured one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// From when, such as `2026-03-29T00:00:00+01:00`; now if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when; seven days after `from` if left out. At most 366 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Only events in which these words occur.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// At most so many events, 1 to 250; 50 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 250))]
    pub limit: Option<u32>,
    /// `next_page` of the answer before this one, to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// The time zone that moments are answered in, such as `Europe/Berlin`; the calendar's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

impl Request for ListEvents {
    const OPERATION: &'static str = "list_events";
    type Response = Events;
}

/// Events in order.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Events {
    /// The events.
    pub events: Vec<Event>,
    /// There are more: give it as `page`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<String>,
    /// The time zone of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// An event as it stands in the calendar.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// The calendar's id, as it was asked for.
    pub calendar: String,
    /// `confirmed`, `tentative` or `cancelled`.
    pub status: String,
    /// What it is called.
    #[serde(default)]
    pub title: String,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// When it begins: a moment with its offset, or a date. A cancelled event may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// When it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// It lasts whole days.
    #[serde(default)]
    pub all_day: bool,
    /// The time zone that it was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Who is invited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attendees: Vec<Attendee>,
    /// The address of who organises it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizer: Option<String>,
    /// How it repeats, as RFC 5545 writes it: `RRULE:FREQ=WEEKLY`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recurrence: Vec<String>,
    /// Of one occurrence: the id of the event that repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurring_event: Option<String>,
    /// Where a person sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Which version of it this is, for `if_match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
}

/// Somebody who is invited.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Attendee {
    /// The address.
    pub email: String,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `needsAction`, `declined`, `tentative` or `accepted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

/// Reads one event.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct GetEvent {
    /// The calendar's id; the configured one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// The event's id.
    pub id: String,
}

impl Request for GetEvent {
    const OPERATION: &'static str = "get_event";
    type Response = Event;
}

/// Makes an event.
///
/// With an idempotency key on the call, or with `client_id`, it is made once however often it is asked for: the event's
/// id is made from it.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct CreateEvent {
    /// The calendar's id; the configured one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// What it is called.
    pub title: String,
    /// When it begins: `2026-03-29T10:00:00+02:00`, always with an offset, or for whole days `2026-03-29`.
    pub start: String,
    /// When it has ended, written like `start`; of whole days the day after the last one.
    pub end: String,
    /// What else is to be said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The email addresses of who is invited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attendees: Vec<String>,
    /// How it repeats, as RFC 5545 writes it: `RRULE:FREQ=WEEKLY;COUNT=4`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recurrence: Vec<String>,
    /// The time zone it is made in, such as `Europe/Berlin`: a repeated event stays at its hour there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Who is told by mail; everybody who is invited, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// An id of your own for this request: the same id makes one event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl Request for CreateEvent {
    const OPERATION: &'static str = "create_event";
    type Response = Created;
}

/// Who is told of a change by mail.
#[message]
#[derive(Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// Everybody who is invited.
    #[default]
    All,
    /// Those who use no Google Calendar.
    ExternalOnly,
    /// Nobody.
    None,
}

/// The event stands in the calendar.
#[message]
#[derive(PartialEq, Eq)]
pub struct Created {
    /// The event.
    pub event: Event,
    /// An earlier call with the same id made it; this one did not.
    pub repeated: bool,
}

/// Changes what is given of an event, and leaves the rest.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct UpdateEvent {
    /// The calendar's id; the configured one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// The event's id.
    pub id: String,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When it begins; give `end` with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// When it has ended; give `start` with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// What else is to be said of it; empty takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is; empty takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The email addresses of everybody who is invited, instead of those who were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attendees: Option<Vec<String>>,
    /// The time zone it is made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Who is told by mail; everybody who is invited, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// Only if this is still its `etag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
}

impl Request for UpdateEvent {
    const OPERATION: &'static str = "update_event";
    type Response = Event;
}

/// Deletes an event.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct DeleteEvent {
    /// The calendar's id; the configured one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// The event's id.
    pub id: String,
    /// Who is told by mail; everybody who is invited, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// Only if this is still its `etag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
}

impl Request for DeleteEvent {
    const OPERATION: &'static str = "delete_event";
    type Response = Deleted;
}

/// The event is not there any more.
#[message]
#[derive(PartialEq, Eq)]
pub struct Deleted {
    /// Its id.
    pub id: String,
    /// It was deleted before.
    pub repeated: bool,
}

/// Tells when calendars are busy, without what for.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FreeBusy {
    /// From when, such as `2026-03-29T00:00:00+01:00`.
    pub from: String,
    /// Until when; at most 366 days.
    pub to: String,
    /// The ids of up to 50 calendars, which for a person is the email address; the configured one if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calendars: Vec<String>,
}

impl Request for FreeBusy {
    const OPERATION: &'static str = "free_busy";
    type Response = Busy;
}

/// When calendars are busy.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Busy {
    /// By the calendar's id.
    pub calendars: BTreeMap<String, CalendarBusy>,
}

/// When one calendar is busy.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct CalendarBusy {
    /// In order.
    #[serde(default)]
    pub busy: Vec<Period>,
    /// Why nothing is known of it, such as `notFound`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A stretch of time.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Period {
    /// When it begins.
    pub start: String,
    /// When it has ended.
    pub end: String,
}

/// Finds times at which nobody is busy.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FindFreeSlot {
    /// How long it must be, in minutes, up to a day.
    #[schemars(range(min = 1, max = 1440))]
    pub duration_minutes: u32,
    /// From when, such as `2026-03-29T00:00:00+01:00`; now if left out. Past times are never found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when; seven days after `from` if left out. At most 366 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The ids of the calendars that must all be free, which for a person is the email address; the configured one if
    /// left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calendars: Vec<String>,
    /// The time zone of the working hours and of the answer, such as `Europe/Berlin`; the calendar's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The time zones of others who take part, such as `["America/New_York", "Asia/Tokyo"]`: it must be within the working
    /// hours of their clocks as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_time_zones: Vec<String>,
    /// When a working day begins; `09:00` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_starts: Option<String>,
    /// When a working day ends, up to `24:00`; `17:00` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_ends: Option<String>,
    /// The working days; Monday to Friday if left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// How much time must be free before and after it, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1440))]
    pub buffer_minutes: Option<u32>,
    /// At most so many slots, 1 to 100; 5 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
}

impl Request for FindFreeSlot {
    const OPERATION: &'static str = "find_free_slot";
    type Response = Slots;
}

/// A day of the week.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Times at which nobody is busy.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Slots {
    /// The earliest first; they do not overlap. None: there is no such time in the range.
    pub slots: Vec<Period>,
    /// The time zone of the answer.
    pub time_zone: String,
}

/// Tells what changed in a calendar since the last time.
///
/// What was told is remembered for the calling plugin, so that it can simply ask again; who must not miss anything even
/// when it fails in between keeps `cursor` itself, and gives that of the last answer it has dealt with.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// The calendar's id; the configured one if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
    /// `cursor` of an earlier answer; where the caller left off if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// From the beginning, whatever was told before.
    #[serde(default)]
    pub restart: bool,
    /// At most so many events, 1 to 250; 250 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 250))]
    pub limit: Option<u32>,
}

impl Request for Changes {
    const OPERATION: &'static str = "changes";
    type Response = Changed;
}

/// What changed in a calendar.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Changed {
    /// The events as they are now; what was deleted has the status `cancelled`. A repeated event is one.
    pub events: Vec<Event>,
    /// These events are the beginning of everything there is: forget what you knew of this calendar. Google keeps no
    /// record that goes back far enough, or it is the first time.
    pub reset: bool,
    /// There is more: ask again at once.
    pub more: bool,
    /// Where this answer ends.
    pub cursor: String,
}
