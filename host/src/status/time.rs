//! Times and durations become what stands in JSON: RFC 3339 in UTC with exactly three decimals, and milliseconds.

use std::{borrow::Cow, time::Duration};

use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serializer;

/// What a time is in JSON, for schemas.
pub(crate) struct Moment;

impl JsonSchema for Moment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// RFC 3339, UTC, milliseconds.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// A time as the wall clock has it now.
pub(super) fn shifted(time: Timestamp, shift: SignedDuration) -> Timestamp {
    time.saturating_add(shift).unwrap_or(time)
}

/// Milliseconds with one decimal.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// For `#[serde(serialize_with)]`.
pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// For `#[serde(serialize_with)]`.
pub(super) fn serialize_option<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serialize(time, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_exactly_three_decimals() {
        for (time, expected) in [
            ("2026-11-22T23:49:58Z", "2026-11-22T23:49:58.000Z"),
            ("2026-11-22T23:49:58.1Z", "2026-11-22T23:49:58.100Z"),
            ("2026-11-22T23:49:58.123456789Z", "2026-11-22T23:49:58.123Z"),
        ] {
            assert_eq!(rfc3339(time.parse().unwrap()), expected);
        }
    }

    #[test]
    fn durations_have_one_decimal_at_most() {
        assert_eq!(millis(Duration::from_micros(182_449)), 182.4);
        assert_eq!(millis(Duration::from_secs(2)), 2000.0);
    }
}
