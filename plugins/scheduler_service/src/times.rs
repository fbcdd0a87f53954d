//! Text -> moments and zones that somebody can mean, and back. Pure; asks no clock.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    fmt::temporal::Pieces,
    tz::{TimeZone, TimeZoneDatabase},
};
use plugin_api::error::OperationError;

/// Years outside of this are slips of the pen.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2200;

/// Reads `2026-03-29T10:00:00+02:00`, or `2026-03-29T10:00` as a local time of this zone.
///
/// A local time that a change of the clocks leaves out is as long after the change as it would be without one: where
/// 02:00 becomes 03:00, 02:30 is 03:30. Of one that comes twice, the first is meant.
pub fn moment(field: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, OperationError> {
    let pieces = Pieces::parse(text).ok().filter(|pieces| pieces.time().is_some() && !text.contains('['));
    let pieces = pieces.ok_or_else(|| {
        OperationError::invalid(format!(
            "`{field}` is `{}`, which is not a time: write it as `2026-03-29T10:00:00+02:00`, or as the local time \
             `2026-03-29T10:00`",
            shown(text)
        ))
    })?;
    if !YEARS.contains(&pieces.date().year()) {
        return Err(OperationError::invalid(format!(
            "`{field}` is `{}`, but the year is {}: expected {} to {}",
            shown(text),
            pieces.date().year(),
            YEARS.start(),
            YEARS.end()
        )));
    }
    let unknown = |_| OperationError::invalid(format!("`{field}` is `{}`, which is not a time", shown(text)));
    if pieces.offset().is_some() {
        return text.parse().map_err(unknown);
    }
    let local = DateTime::from_parts(pieces.date(), pieces.time().unwrap_or_default());
    zone.to_ambiguous_timestamp(local).compatible().map_err(unknown)
}

/// When an event begins: a moment with its offset, or the start of a day in this zone.
pub fn event_start(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    match text.parse::<Timestamp>() {
        Ok(moment) => Some(moment),
        Err(_) => text.parse::<Date>().ok()?.to_zoned(zone.clone()).ok().map(|day| day.timestamp()),
    }
}

/// A time zone by its name. The machine's own database may be older than the name, such as `Europe/Kyiv` of 2022: then the
/// one that comes with us knows it.
pub fn zone(field: &str, name: &str) -> Result<TimeZone, OperationError> {
    TimeZone::get(name).or_else(|_| TimeZoneDatabase::bundled().get(name)).map_err(|_| {
        OperationError::invalid(format!(
            "`{field}` is `{}`, which is no time zone: write it as `Europe/Berlin` or `UTC`",
            shown(name)
        ))
    })
}

/// A moment in a zone, with the offset that holds there and then; to the second.
pub fn written(ms: i64, zone: &TimeZone) -> String {
    let moment = Timestamp::from_second(ms.div_euclid(1000)).unwrap_or(Timestamp::MIN);
    moment.display_with_offset(zone.to_offset(moment)).to_string()
}

/// Enough of a text to recognise it.
pub fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(60).collect()
}
