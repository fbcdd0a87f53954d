//! Free slots: beside what is busy, in working hours, right on the days when the clocks change.

use std::time::Duration;

use expect_test::{Expect, expect};
use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use proptest::prelude::*;

use crate::{
    slots::{self, Search, Stretch},
    times,
};

fn search(from: &str, to: &str) -> Search {
    Search {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        duration: Duration::from_secs(3600),
        buffer: Duration::ZERO,
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        other_zones: Vec::new(),
        day_starts: 9 * 60,
        day_ends: 17 * 60,
        weekdays: vec![
            Weekday::Monday,
            Weekday::Tuesday,
            Weekday::Wednesday,
            Weekday::Thursday,
            Weekday::Friday,
        ],
        limit: 100,
    }
}

fn check(search: &Search, busy: &[(&str, &str)], expected: Expect) {
    let busy: Vec<Stretch> =
        busy.iter().map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())).collect();
    let line = |(start, end): &Stretch| {
        format!("{} - {}", times::written_in(*start, &search.zone), times::written_in(*end, &search.zone))
    };
    expected.assert_eq(&slots::find(search, &busy).iter().map(line).collect::<Vec<_>>().join("\n"));
}

#[test]
fn slots_lie_between_what_is_busy() {
    let mut search = search("2026-01-13T00:00:00Z", "2026-01-14T00:00:00Z");
    let busy = [
        ("2026-01-13T08:00:00Z", "2026-01-13T09:10:00Z"),
        ("2026-01-13T09:00:00Z", "2026-01-13T09:05:00Z"),
        ("2026-01-13T12:00:00Z", "2026-01-13T16:00:00Z"),
    ];
    check(
        &search,
        &busy,
        expect![[r#"
            2026-01-13T10:15:00+01:00 - 2026-01-13T11:15:00+01:00
            2026-01-13T11:15:00+01:00 - 2026-01-13T12:15:00+01:00"#]],
    );
    search.buffer = Duration::from_secs(600);
    check(
        &search,
        &busy,
        expect![[r#"
            2026-01-13T10:30:00+01:00 - 2026-01-13T11:30:00+01:00
            2026-01-13T11:30:00+01:00 - 2026-01-13T12:30:00+01:00"#]],
    );
}

#[test]
fn weekends_are_free_of_slots_unless_they_are_asked_for() {
    let mut search = search("2026-01-17T00:00:00Z", "2026-01-19T09:30:00Z");
    search.limit = 2;
    check(&search, &[], expect!["2026-01-19T09:00:00+01:00 - 2026-01-19T10:00:00+01:00"]);
    search.weekdays = vec![Weekday::Sunday];
    check(
        &search,
        &[],
        expect![[r#"
            2026-01-18T09:00:00+01:00 - 2026-01-18T10:00:00+01:00
            2026-01-18T10:00:00+01:00 - 2026-01-18T11:00:00+01:00"#]],
    );
}

#[test]
fn working_hours_follow_the_clock_on_the_wall_across_a_change() {
    let mut search = search("2026-03-27T15:00:00Z", "2026-03-30T08:30:00Z");
    // Friday in winter time, Monday in summer time: both begin at nine.
    check(
        &search,
        &[],
        expect![[r#"
            2026-03-27T16:00:00+01:00 - 2026-03-27T17:00:00+01:00
            2026-03-30T09:00:00+02:00 - 2026-03-30T10:00:00+02:00"#]],
    );
    // The night of the change has no hour from two to three: four hours on the wall are three.
    search.weekdays = vec![Weekday::Sunday];
    (search.day_starts, search.day_ends) = (0, 4 * 60);
    check(
        &search,
        &[],
        expect![[r#"
            2026-03-29T00:00:00+01:00 - 2026-03-29T01:00:00+01:00
            2026-03-29T01:00:00+01:00 - 2026-03-29T03:00:00+02:00
            2026-03-29T03:00:00+02:00 - 2026-03-29T04:00:00+02:00"#]],
    );
}

#[test]
fn the_hour_that_comes_twice_counts_twice() {
    let mut search = search("2026-10-24T22:00:00Z", "2026-10-25T22:00:00Z");
    search.weekdays = vec![Weekday::Sunday];
    (search.day_starts, search.day_ends) = (2 * 60, 4 * 60);
    check(
        &search,
        &[],
        expect![[r#"
            2026-10-25T02:00:00+02:00 - 2026-10-25T02:00:00+01:00
            2026-10-25T02:00:00+01:00 - 2026-10-25T03:00:00+01:00
            2026-10-25T03:00:00+01:00 - 2026-10-25T04:00:00+01:00"#]],
    );
}

#[test]
fn a_day_that_ends_at_midnight_ends_there() {
    let mut search = search("2026-01-13T22:30:00Z", "2026-01-14T01:00:00Z");
    (search.day_starts, search.day_ends, search.duration) = (0, 24 * 60, Duration::from_secs(30 * 60));
    check(
        &search,
        &[],
        expect![[r#"
            2026-01-13T23:30:00+01:00 - 2026-01-14T00:00:00+01:00
            2026-01-14T00:00:00+01:00 - 2026-01-14T00:30:00+01:00
            2026-01-14T00:30:00+01:00 - 2026-01-14T01:00:00+01:00
            2026-01-14T01:00:00+01:00 - 2026-01-14T01:30:00+01:00
            2026-01-14T01:30:00+01:00 - 2026-01-14T02:00:00+01:00"#]],
    );
}

#[test]
fn it_is_working_time_in_every_zone_that_is_named() {
    let zones = |names: &[&str]| names.iter().map(|name| TimeZone::get(name).unwrap()).collect::<Vec<_>>();
    // Tuesday: 9 to 17 in Berlin is 8 to 16 UTC, in New York 14 to 22, in Kolkata 3:30 to 11:30.
    let mut search = search("2026-01-13T00:00:00Z", "2026-01-14T00:00:00Z");
    search.other_zones = zones(&["America/New_York"]);
    check(
        &search,
        &[("2026-01-13T14:00:00Z", "2026-01-13T14:20:00Z")],
        expect![[r#"
            2026-01-13T15:30:00+01:00 - 2026-01-13T16:30:00+01:00"#]],
    );
    // The night next door takes no buffer; what is busy does.
    search.buffer = Duration::from_secs(20 * 60);
    check(
        &search,
        &[("2026-01-13T15:25:00Z", "2026-01-13T15:40:00Z")],
        expect![[r#"
            2026-01-13T15:00:00+01:00 - 2026-01-13T16:00:00+01:00"#]],
    );
    search.buffer = Duration::ZERO;
    search.other_zones = zones(&["America/New_York", "Asia/Kolkata"]);
    check(&search, &[], expect![""]);
    (search.day_starts, search.day_ends) = (7 * 60, 20 * 60);
    check(
        &search,
        &[],
        expect![[r#"
            2026-01-13T13:00:00+01:00 - 2026-01-13T14:00:00+01:00
            2026-01-13T14:00:00+01:00 - 2026-01-13T15:00:00+01:00"#]],
    );
    // In these three weeks of March the clocks of New York are ahead by an hour.
    let mut search = self::search("2026-03-16T00:00:00Z", "2026-03-17T00:00:00Z");
    search.other_zones = zones(&["America/New_York"]);
    search.limit = 1;
    check(&search, &[], expect!["2026-03-16T14:00:00+01:00 - 2026-03-16T15:00:00+01:00"]);
    // On Friday evening in New York it is Saturday in Tokyo, and the other way round.
    let mut search = self::search("2026-01-16T20:00:00Z", "2026-01-19T09:00:00Z");
    search.zone = TimeZone::get("Asia/Tokyo").unwrap();
    search.other_zones = zones(&["America/New_York"]);
    (search.day_starts, search.day_ends) = (0, 24 * 60);
    search.limit = 1;
    check(&search, &[], expect!["2026-01-19T14:00:00+09:00 - 2026-01-19T15:00:00+09:00"]);
}

proptest! {
    /// Whatever is found fits: long enough, in the range and in working hours, beside what is busy, in order.
    #[test]
    fn every_slot_fits(
        start in 1_700_000_000_i64..1_900_000_000, hours in 1_i64..400, minutes in 1_u64..600, buffer in 0_u64..60,
        busy in prop::collection::vec((0_i64..1_500_000, 1_i64..40_000), 0..20),
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
        (opens, closes) in (0_u16..1000, 60_u16..440),
    ) {
        let moment = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let search = Search {
            from: moment(start), to: moment(start + hours * 3600),
            duration: Duration::from_secs(minutes * 60), buffer: Duration::from_secs(buffer * 60),
            zone: TimeZone::get(zone).unwrap(),
            day_starts: opens, day_ends: opens + closes, ..search("2026-01-13T00:00:00Z", "2026-01-14T00:00:00Z")
        };
        let busy: Vec<Stretch> =
            busy.iter().map(|(after, long)| (moment(start + after), moment(start + after + long))).collect();
        let found = slots::find(&search, &busy);
        for (start, end) in &found {
            prop_assert_eq!(end.duration_since(*start).as_secs(), i64::try_from(minutes * 60).unwrap());
            prop_assert!(*start >= search.from && *end <= search.to);
            let local = search.zone.to_datetime(*start);
            prop_assert!(search.weekdays.contains(&local.weekday()));
            for (from, to) in &busy {
                let apart = i64::try_from(buffer * 60).unwrap();
                prop_assert!(
                    end.as_second() + apart <= from.as_second() || start.as_second() >= to.as_second() + apart
                );
            }
        }
        prop_assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    }
}
