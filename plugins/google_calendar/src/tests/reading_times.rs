//! Moments, ranges and hours: what is taken, what is refused in which words, and that no text makes it panic.

use expect_test::{Expect, expect};
use plugin_api::{error::OperationError, requests::calendar::CreateEvent, serde_json::Value};
use proptest::prelude::*;

use crate::{event, times};

fn refused<T: std::fmt::Debug>(outcome: Result<T, OperationError>, expected: Expect) {
    expected.assert_eq(&outcome.expect_err("it is refused").to_string());
}

fn create(start: &str, end: &str) -> Result<Value, OperationError> {
    let request =
        CreateEvent { title: "Tea".into(), start: start.into(), end: end.into(), ..CreateEvent::default() };
    event::new(&request, "id", "fingerprint", berlin)
}

fn berlin() -> Result<String, OperationError> {
    Ok("Europe/Berlin".to_owned())
}

#[test]
fn moments_keep_the_offset_that_they_were_written_with() {
    for (text, expected) in [
        ("2026-03-29T10:00:00+02:00", "2026-03-29T10:00:00+02:00"),
        ("2026-03-29T10:00+02:00", "2026-03-29T10:00:00+02:00"),
        ("2026-03-29t08:00:00.5Z", "2026-03-29T08:00:00.5+00:00"),
        ("2026-03-29T10:00:00-09:30", "2026-03-29T10:00:00-09:30"),
    ] {
        let (instant, offset) = times::instant("start", text).unwrap();
        assert_eq!(times::written(instant, offset), expected);
    }
}

#[test]
fn what_two_people_could_read_differently_is_refused() {
    refused(
        times::instant("start", "2026-03-29T10:00:00"),
        expect![
            "invalid: `start` is `2026-03-29T10:00:00`, which has no offset: write it as `2026-03-29T10:00:00+02:00`, with the offset of its place, or `Z`"
        ],
    );
    refused(
        times::instant("from", "2026-03-29"),
        expect![
            "invalid: `from` is `2026-03-29`, which has no offset: write it as `2026-03-29T10:00:00+02:00`, with the offset of its place, or `Z`"
        ],
    );
    refused(
        times::instant("start", "tomorrow at ten"),
        expect![
            "invalid: `start` is `tomorrow at ten`, which is not a time: write it as `2026-03-29T10:00:00+02:00`, with the offset of its place, or `Z`"
        ],
    );
    refused(
        times::instant("start", "20260-03-29T10:00:00Z"),
        expect![
            "invalid: `start` is `20260-03-29T10:00:00Z`, which is not a time: write it as `2026-03-29T10:00:00+02:00`, with the offset of its place, or `Z`"
        ],
    );
    refused(
        times::instant("start", "0026-03-29T10:00:00Z"),
        expect!["invalid: `start` is `0026-03-29T10:00:00Z`, but the year is 26: expected 1970 to 2200"],
    );
    refused(
        times::minutes("day_starts", "9:00"),
        expect!["invalid: `day_starts` is `9:00`: write it as `09:00`, up to `24:00`"],
    );
}

#[test]
fn an_event_that_nobody_can_mean_is_refused() {
    refused(
        create("2026-03-29T10:00:00+02:00", "2026-03-29T09:00:00+01:00"),
        expect!["invalid: `end` (2026-03-29T08:00:00Z) is not after `start` (2026-03-29T08:00:00Z)"],
    );
    refused(
        create("2026-03-29", "2026-03-29"),
        expect![
            "invalid: `end` (2026-03-29) is not after `start` (2026-03-29): of whole days it is the day after the last one"
        ],
    );
    refused(
        create("2026-03-29", "2026-03-29T10:00:00Z"),
        expect![
            "invalid: `start` and `end` are of two kinds: give both a time with its offset, or both a date alone"
        ],
    );
    refused(
        create("2026-03-29T10:00:00Z", "2036-03-29T10:00:00Z"),
        expect!["invalid: `start` to `end` is 3653 days: at most 366 can be requested at once"],
    );
    refused(
        create("2026-03-29", "2036-03-29"),
        expect!["invalid: `start` to `end` is 3653 days: at most 366 can be requested at once"],
    );
}

#[test]
fn what_repeats_has_a_zone_to_keep_its_hour_in() {
    let mut request = CreateEvent {
        title: "Tea".into(),
        start: "2026-03-23T10:00:00+01:00".into(),
        end: "2026-03-23T11:00:00+01:00".into(),
        ..CreateEvent::default()
    };
    let made = event::new(&request, "id", "f", berlin).unwrap();
    assert_eq!(made["start"].get("timeZone"), None, "the offset says it all");
    request.recurrence = vec!["RRULE:FREQ=WEEKLY".into()];
    let made = event::new(&request, "id", "f", berlin).unwrap();
    assert_eq!(made["start"]["timeZone"], "Europe/Berlin");
    request.recurrence = vec!["every week".into()];
    refused(
        event::new(&request, "id", "f", berlin),
        expect!["invalid: `recurrence` has `every week`: write it as `RRULE:FREQ=WEEKLY;COUNT=4` (RFC 5545)"],
    );
}

#[test]
fn a_zone_has_all_its_names_the_nearest_first() {
    for (name, other) in [
        ("Europe/Kyiv", "Europe/Kiev"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("Asia/Kolkata", "Asia/Calcutta"),
        ("America/Nuuk", "America/Godthab"),
        ("Asia/Yangon", "Asia/Rangoon"),
        ("Asia/Ho_Chi_Minh", "Asia/Saigon"),
        ("Atlantic/Faroe", "Atlantic/Faeroe"),
    ] {
        assert_eq!(times::other_names(name).first(), Some(&other), "{name}: {:?}", times::other_names(name));
        for also in times::other_names(name) {
            let (one, same) = (times::known_zone(name).unwrap(), times::known_zone(also).unwrap());
            for month in 1..=12 {
                let noon = jiff::civil::date(2026, month, 15).at(12, 0, 0, 0);
                assert_eq!(
                    one.to_timestamp(noon).unwrap(),
                    same.to_timestamp(noon).unwrap(),
                    "{name} and {also}"
                );
            }
        }
    }
    assert!(times::other_names("Mars/Olympus").is_empty());
}

#[test]
fn a_zone_is_sent_as_the_tz_database_writes_it() {
    let request = CreateEvent {
        title: "Tea".into(),
        start: "2026-03-23T10:00:00+02:00".into(),
        end: "2026-03-23T11:00:00+02:00".into(),
        time_zone: Some("europe/kyiv".into()),
        ..CreateEvent::default()
    };
    let made = event::new(&request, "id", "f", berlin).unwrap();
    assert_eq!(
        (&made["start"]["timeZone"], &made["end"]["timeZone"]),
        (&"Europe/Kyiv".into(), &"Europe/Kyiv".into())
    );
    let request = CreateEvent { time_zone: Some("FLE Standard Time".into()), ..request };
    refused(
        event::new(&request, "id", "f", berlin),
        expect![
            "invalid: `time_zone` is `FLE Standard Time`, which is no time zone: write it as `Europe/Berlin` or `UTC`"
        ],
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = times::Moment::parse("start", &text);
        let _ = times::minutes("day_starts", &text);
        let _ = times::zone("time_zone", &text);
        let _ = create(&text, &text);
    }

    #[test]
    fn whatever_is_taken_says_the_same_moment_when_written(
        seconds in 0_i64..7_000_000_000, offset in -720_i32..=720,
    ) {
        let instant = jiff::Timestamp::from_second(seconds).unwrap();
        let offset = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
        let text = times::written(instant, offset);
        prop_assert_eq!(times::instant("start", &text).unwrap(), (instant, offset));
        let without = text.get(..19).unwrap();
        prop_assert!(times::instant("start", without).is_err());
    }
}
