//! When calendars are busy and when people work -> when something can take place. Pure. Working hours are those of the
//! clock on the wall; durations are real time, so that a day of 23 or 25 hours is right.

use std::time::Duration;

use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::{Date, Weekday},
    tz::TimeZone,
};

/// Slots begin at the full quarter of an hour after working time begins.
const STEP: SignedDuration = SignedDuration::from_mins(15);

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Search {
    pub from: Timestamp,
    pub to: Timestamp,
    pub duration: Duration,
    pub buffer: Duration,
    pub zone: TimeZone,
    /// It must be working time there, too.
    pub other_zones: Vec<TimeZone>,
    /// Minutes since midnight.
    pub day_starts: u16,
    /// Minutes since midnight, up to 1440.
    pub day_ends: u16,
    pub weekdays: Vec<Weekday>,
    pub limit: usize,
}

/// A stretch of time; its end is not part of it.
pub type Stretch = (Timestamp, Timestamp);

/// The earliest free slots, which do not overlap.
pub fn find(search: &Search, busy: &[Stretch]) -> Vec<Stretch> {
    // Nobody needs time to breathe before or after the night.
    let closed = search.other_zones.iter().flat_map(|zone| closed(search, zone));
    let taken: Vec<Stretch> = merged(busy, search.buffer).into_iter().chain(closed).collect();
    let taken = merged(&taken, Duration::ZERO);
    let slots = open(search, &search.zone).flat_map(|(opens, window)| {
        let gaps = gaps(window, &taken);
        gaps.into_iter().flat_map(move |gap| within(gap, opens, search.duration)).collect::<Vec<_>>()
    });
    slots.take(search.limit).collect()
}

/// When nobody works in a zone.
fn closed(search: &Search, zone: &TimeZone) -> Vec<Stretch> {
    let open: Vec<Stretch> = open(search, zone).map(|(_, window)| window).collect();
    gaps((search.from, search.to), &open)
}

/// The working days of a zone: when each begins, and what of it lies in the search.
fn open(search: &Search, zone: &TimeZone) -> impl Iterator<Item = (Timestamp, Stretch)> {
    let date = |instant: Timestamp| zone.to_datetime(instant).date();
    let (first, last) = (date(search.from), date(search.to));
    let days = first.series(1.day()).take_while(move |day| *day <= last);
    let working = days.filter(|day| search.weekdays.contains(&day.weekday()));
    working.filter_map(move |day| window(search, day, zone))
}

/// When working time begins on a day, and what of it lies in the search.
fn window(search: &Search, day: Date, zone: &TimeZone) -> Option<(Timestamp, Stretch)> {
    let opens = at(day, search.day_starts, zone)?;
    let closes = at(day, search.day_ends, zone)?;
    let (start, end) = (opens.max(search.from), closes.min(search.to));
    (start < end).then_some((opens, (start, end)))
}

/// A time on the wall; one that the clocks skip is the time by which they are put forward.
fn at(day: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let midnight = day.at(0, 0, 0, 0);
    let wall = midnight.checked_add(i64::from(minutes).minutes()).ok()?;
    zone.to_timestamp(wall).ok()
}

/// In order, without overlaps, each with the buffer around it.
fn merged(busy: &[Stretch], buffer: Duration) -> Vec<Stretch> {
    let padded = busy
        .iter()
        .filter_map(|(start, end)| Some((start.checked_sub(buffer).ok()?, end.checked_add(buffer).ok()?)));
    let mut sorted: Vec<Stretch> = padded.filter(|(start, end)| start < end).collect();
    sorted.sort_unstable();
    let mut merged: Vec<Stretch> = Vec::with_capacity(sorted.len());
    for (start, end) in sorted {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// What is left of a window.
fn gaps((start, end): Stretch, busy: &[Stretch]) -> Vec<Stretch> {
    let mut gaps = Vec::new();
    let mut free_from = start;
    for &(busy_from, busy_to) in busy.iter().filter(|(from, to)| *from < end && *to > start) {
        if free_from < busy_from {
            gaps.push((free_from, busy_from));
        }
        free_from = free_from.max(busy_to);
    }
    if free_from < end {
        gaps.push((free_from, end));
    }
    gaps
}

/// The slots in a gap, one after the other.
fn within((start, end): Stretch, opens: Timestamp, duration: Duration) -> impl Iterator<Item = Stretch> {
    let slot = move |start: Timestamp| {
        let start = on_the_step(start, opens)?;
        Some((start, start.checked_add(duration).ok()?)).filter(|slot| slot.1 <= end)
    };
    std::iter::successors(slot(start), move |&(_, end)| slot(end))
}

/// The next full step after a moment, counted from when working time begins.
fn on_the_step(start: Timestamp, opens: Timestamp) -> Option<Timestamp> {
    let (since, step) = (start.duration_since(opens).as_nanos(), STEP.as_nanos());
    let missing = (step - since.rem_euclid(step)) % step;
    start.checked_add(SignedDuration::from_nanos(i64::try_from(missing).ok()?)).ok()
}
