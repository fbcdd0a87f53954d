//! Text becomes the moment that its writer means; what two people could read differently is refused.

use expect_test::{Expect, expect};
use jiff::tz::TimeZone;

use crate::times;

fn check(text: &str, zone: &str, expected: Expect) {
    let zone = TimeZone::get(zone).unwrap();
    let read = match times::moment("at", text, &zone) {
        Ok(moment) => times::written(moment.as_millisecond(), &zone),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&read);
}

#[test]
fn an_offset_says_it_all() {
    check("2026-03-29T10:00:00+02:00", "Europe/Berlin", expect!["2026-03-29T10:00:00+02:00"]);
    check("2026-03-29T10:00:00Z", "Europe/Berlin", expect!["2026-03-29T12:00:00+02:00"]);
    check("2026-03-29T10:00:00-05:00", "UTC", expect!["2026-03-29T15:00:00+00:00"]);
}

#[test]
fn a_local_time_is_of_its_zone() {
    check("2026-01-05T09:00", "Europe/Berlin", expect!["2026-01-05T09:00:00+01:00"]);
    check("2026-07-05T09:00", "Europe/Berlin", expect!["2026-07-05T09:00:00+02:00"]);
    check("2026-07-05T09:00:30", "America/New_York", expect!["2026-07-05T09:00:30-04:00"]);
    check("2028-02-29T00:00", "Asia/Kolkata", expect!["2028-02-29T00:00:00+05:30"]);
}

#[test]
fn a_time_that_a_change_leaves_out_is_moved_past_it() {
    check("2026-03-29T02:30", "Europe/Berlin", expect!["2026-03-29T03:30:00+02:00"]);
    check("2026-03-08T02:00", "America/New_York", expect!["2026-03-08T03:00:00-04:00"]);
    check("2026-10-04T02:15", "Australia/Lord_Howe", expect!["2026-10-04T02:45:00+11:00"]);
}

#[test]
fn of_a_time_that_comes_twice_the_first_is_meant() {
    check("2026-10-25T02:30", "Europe/Berlin", expect!["2026-10-25T02:30:00+02:00"]);
    check("2026-10-25T02:30:00+01:00", "Europe/Berlin", expect!["2026-10-25T02:30:00+01:00"]);
}

#[test]
fn what_nobody_can_mean_is_refused() {
    check(
        "tomorrow",
        "UTC",
        expect![
            "invalid: `at` is `tomorrow`, which is not a time: write it as `2026-03-29T10:00:00+02:00`, or as the local time `2026-03-29T10:00`"
        ],
    );
    check(
        "2026-03-29",
        "UTC",
        expect![
            "invalid: `at` is `2026-03-29`, which is not a time: write it as `2026-03-29T10:00:00+02:00`, or as the local time `2026-03-29T10:00`"
        ],
    );
    check(
        "2027-02-29T10:00",
        "UTC",
        expect![
            "invalid: `at` is `2027-02-29T10:00`, which is not a time: write it as `2026-03-29T10:00:00+02:00`, or as the local time `2026-03-29T10:00`"
        ],
    );
    check(
        "2026-03-29T10:00[Europe/Berlin]",
        "UTC",
        expect![
            "invalid: `at` is `2026-03-29T10:00[Europe/Berlin]`, which is not a time: write it as `2026-03-29T10:00:00+02:00`, or as the local time `2026-03-29T10:00`"
        ],
    );
    check(
        "0026-03-29T10:00:00Z",
        "UTC",
        expect!["invalid: `at` is `0026-03-29T10:00:00Z`, but the year is 26: expected 1970 to 2200"],
    );
}

#[test]
fn an_event_of_a_whole_day_begins_with_its_day() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let start = times::event_start("2026-03-29", &berlin).unwrap();
    assert_eq!(start.to_string(), "2026-03-28T23:00:00Z");
    assert_eq!(times::event_start("soon", &berlin), None);
}
