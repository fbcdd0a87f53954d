//! When calendars are busy, and when all of them are free.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Weekday as Day};
use plugin_api::{
    prelude::*,
    requests::calendar::{Busy, CalendarBusy, FindFreeSlot, FreeBusy, Period, Slots, Weekday},
    serde_json::{Value, json},
};

use super::{Agenda, range, within};
use crate::{
    client::{Ask, Deadline},
    slots::{self, Search, Stretch},
    times,
};

/// What Google answers at once of busy times.
const BUSY_AT_ONCE: Duration = Duration::from_secs(60 * 24 * 3600);
const MOST_CALENDARS: u32 = 50;
const MOST_SLOTS: u32 = 100;
const DEFAULT_SLOTS: u32 = 5;
const MINUTES_A_DAY: u32 = 24 * 60;

impl Agenda {
    pub async fn free_busy(&self, request: FreeBusy, deadline: Deadline) -> Result<Busy, OperationError> {
        let (from, to) = range(Some(&request.from), Some(&request.to))?;
        let calendars = self.calendars(&request.calendars)?;
        self.busy(&calendars, from, to, deadline).await
    }

    pub async fn find_free_slot(
        &self,
        request: FindFreeSlot,
        deadline: Deadline,
    ) -> Result<Slots, OperationError> {
        let calendars = self.calendars(&request.calendars)?;
        let search = self.search(&request)?;
        if search.from >= search.to {
            return Err(OperationError::invalid("`to` has passed: only future times can be free"));
        }
        let busy = self.busy(&calendars, search.from, search.to, deadline).await?;
        let slots = slots::find(&search, &stretches(&busy)?);
        let period = |(start, end): &Stretch| Period {
            start: times::written_in(*start, &search.zone),
            end: times::written_in(*end, &search.zone),
        };
        Ok(Slots {
            slots: slots.iter().map(period).collect(),
            time_zone: search.zone.iana_name().unwrap_or("UTC").to_owned(),
        })
    }

    fn search(&self, request: &FindFreeSlot) -> Result<Search, OperationError> {
        let (from, to) = range(request.from.as_deref(), request.to.as_deref())?;
        let zone = match &request.time_zone {
            Some(zone) => times::zone("time_zone", zone)?,
            None => self.account.zone()?,
        };
        let others = &request.other_time_zones;
        if others.len() > MOST_CALENDARS as usize {
            return Err(OperationError::invalid(format!(
                "`other_time_zones` has {} zones: at most {MOST_CALENDARS} are allowed",
                others.len()
            )));
        }
        let zone_of = |name: &String| times::zone("other_time_zones", name);
        let other_zones = others.iter().map(zone_of).collect::<Result<_, _>>()?;
        let day_starts = times::minutes("day_starts", request.day_starts.as_deref().unwrap_or("09:00"))?;
        let day_ends = times::minutes("day_ends", request.day_ends.as_deref().unwrap_or("17:00"))?;
        if day_ends <= day_starts {
            return Err(OperationError::invalid(
                "`day_ends` is not after `day_starts`: the working day has no time",
            ));
        }
        let duration = within("duration_minutes", request.duration_minutes, MINUTES_A_DAY)?;
        let buffer = request.buffer_minutes.unwrap_or(0).min(MINUTES_A_DAY);
        let limit = within("limit", request.limit.unwrap_or(DEFAULT_SLOTS), MOST_SLOTS)?;
        Ok(Search {
            from: from.max(Timestamp::now()),
            to,
            duration: Duration::from_secs(u64::from(duration) * 60),
            buffer: Duration::from_secs(u64::from(buffer) * 60),
            zone,
            other_zones,
            day_starts,
            day_ends,
            weekdays: weekdays(&request.weekdays),
            limit: limit as usize,
        })
    }

    /// Google answers some weeks at once.
    async fn busy(
        &self,
        calendars: &[String],
        from: Timestamp,
        to: Timestamp,
        deadline: Deadline,
    ) -> Result<Busy, OperationError> {
        let mut all: BTreeMap<String, CalendarBusy> = BTreeMap::new();
        let mut begin = from;
        while begin < to {
            let end = begin.saturating_add(BUSY_AT_ONCE).unwrap_or(to).min(to);
            let items: Vec<Value> = calendars.iter().map(|id| json!({ "id": id })).collect();
            let body = json!({ "timeMin": begin.to_string(), "timeMax": end.to_string(), "items": items });
            let answer = self.ask(&Ask::question(&["freeBusy"], body), deadline, "these calendars").await?;
            for calendar in calendars {
                read_busy(all.entry(calendar.clone()).or_default(), calendar, &answer);
            }
            begin = end;
        }
        Ok(Busy { calendars: all })
    }

    fn calendars(&self, calendars: &[String]) -> Result<Vec<String>, OperationError> {
        if calendars.is_empty() {
            return Ok(vec![self.calendar(None)?]);
        }
        within(
            "the number of `calendars`",
            u32::try_from(calendars.len()).unwrap_or(u32::MAX),
            MOST_CALENDARS,
        )?;
        calendars.iter().map(|calendar| self.calendar(Some(calendar))).collect()
    }
}

/// A calendar that the answer leaves out is not known, and not free.
fn read_busy(known: &mut CalendarBusy, calendar: &str, answer: &Value) {
    let found = answer.get("calendars").and_then(|calendars| calendars.get(calendar));
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let list =
        |key: &str| found.and_then(|found| found.get(key)).and_then(Value::as_array).into_iter().flatten();
    let period = |item: &Value| Some(Period { start: text(item, "start")?, end: text(item, "end")? });
    known.busy.extend(list("busy").filter_map(period));
    let error = list("errors").find_map(|error| text(error, "reason"));
    known.error = error.or(found.is_none().then(|| "notFound".to_owned())).or(known.error.take());
}

/// All busy times together. Unknown time of a calendar cannot count as free.
fn stretches(busy: &Busy) -> Result<Vec<Stretch>, OperationError> {
    let mut all = Vec::new();
    for (calendar, known) in &busy.calendars {
        if let Some(error) = &known.error {
            return Err(OperationError::not_found(format!(
                "busy times are unknown for calendar `{calendar}` (`{error}`), so its free times are unknown too"
            )));
        }
        for Period { start, end } in &known.busy {
            let odd = |_| OperationError::internal("Google names a busy time that cannot be read");
            all.push((start.parse().map_err(odd)?, end.parse().map_err(odd)?));
        }
    }
    Ok(all)
}

fn weekdays(days: &[Weekday]) -> Vec<Day> {
    let working = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
    let days = if days.is_empty() { &working[..] } else { days };
    let day = |day: &Weekday| match day {
        Weekday::Monday => Day::Monday,
        Weekday::Tuesday => Day::Tuesday,
        Weekday::Wednesday => Day::Wednesday,
        Weekday::Thursday => Day::Thursday,
        Weekday::Friday => Day::Friday,
        Weekday::Saturday => Day::Saturday,
        Weekday::Sunday => Day::Sunday,
    };
    days.iter().map(day).collect()
}
