//! When a job's moments come: a rule, a zone and a moment -> the next one. Pure; asks no clock.
//!
//! Cron follows the wall clock of its zone, and changes of it as Vixie cron does: a fixed time that is left out comes at
//! the first moment after the gap; of a fixed time that comes twice the first counts; what comes every so often
//! (`*` in minute or hour) is left out with the gap, and comes in both of the hours that repeat.

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use plugin_api::error::OperationError;

use crate::times;

/// When.
#[plugin_api::message]
#[derive(PartialEq, Eq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Rule {
    /// Once.
    Once { at_ms: i64 },
    /// Again and again, by the wall clock of the job's zone.
    Cron {
        expression: String,
        #[serde(default)]
        until_ms: Option<i64>,
    },
    /// So long before an event of the calendar begins.
    Event {
        event: String,
        #[serde(default)]
        calendar: Option<String>,
        minutes: u32,
    },
}

impl Rule {
    /// Reads a cron expression of five fields.
    pub fn cron(expression: &str, until_ms: Option<i64>) -> Result<Self, OperationError> {
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        parse(&expression)?;
        Ok(Self::Cron { expression, until_ms })
    }

    /// The first moment after this one at which one has come; `None` if none comes any more. A one-time rule has none.
    pub fn next_after(&self, zone: &TimeZone, after_ms: i64) -> Option<i64> {
        match self {
            Self::Once { .. } | Self::Event { .. } => None,
            Self::Cron { expression, until_ms } => {
                let after = zoned(after_ms, zone)?;
                let next = parse(expression).ok()?.find_next_occurrence(&after, false).ok()?;
                let next = next.timestamp().as_millisecond();
                (next > after_ms && until_ms.is_none_or(|until| next <= until)).then_some(next)
            }
        }
    }

    /// The last moment up to and with this one, but not before `first_ms`, which is one.
    pub fn last_until(&self, zone: &TimeZone, first_ms: i64, until_ms: i64) -> i64 {
        let Self::Cron { expression, until_ms: end_ms } = self else { return first_ms };
        let until_ms = end_ms.map_or(until_ms, |end| end.min(until_ms));
        let last = zoned(until_ms, zone)
            .zip(parse(expression).ok())
            .and_then(|(until, cron)| cron.find_previous_occurrence(&until, true).ok())
            .map(|last| last.timestamp().as_millisecond());
        last.filter(|last| (first_ms..=until_ms).contains(last)).unwrap_or(first_ms)
    }

    /// In words.
    pub fn words(&self, zone_name: &str) -> String {
        match self {
            Self::Once { .. } => "once".to_owned(),
            Self::Cron { expression, .. } => format!("cron {expression} in {zone_name}"),
            Self::Event { event, minutes, .. } => format!("{minutes} minutes before event {event}"),
        }
    }
}

fn parse(expression: &str) -> Result<Cron, OperationError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(expression).map_err(|_| {
        OperationError::invalid(format!(
            "`cron` is `{}`: expected minute, hour, day of the month, month and day of the week, such as `0 9 * * 1-5`",
            times::shown(expression)
        ))
    })
}

/// Without what is finer than a second, which a search would carry along.
fn zoned(ms: i64, zone: &TimeZone) -> Option<Zoned> {
    Some(Timestamp::from_second(ms.div_euclid(1000)).ok()?.to_zoned(zone.clone()))
}
