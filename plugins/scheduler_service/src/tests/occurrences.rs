//! The moments of a rule: changes of the clocks, leap days, ends; and that none comes twice or is passed over.

use expect_test::{Expect, expect};
use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;

use crate::{rule::Rule, times};

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// The next moments after one.
fn check(cron: &str, zone: &str, after: &str, count: usize, expected: Expect) {
    let zone = TimeZone::get(zone).unwrap();
    let rule = Rule::cron(cron, None).unwrap();
    let mut found = Vec::new();
    let mut after = ms(after);
    for _ in 0..count {
        let Some(next) = rule.next_after(&zone, after) else { break };
        found.push(times::written(next, &zone));
        after = next;
    }
    expected.assert_eq(&found.join("\n"));
}

#[test]
fn working_days_at_nine() {
    check(
        "0 9 * * 1-5",
        "Europe/Berlin",
        "2026-11-26T12:00:00Z",
        3,
        expect![[r#"
            2026-11-27T09:00:00+01:00
            2026-11-30T09:00:00+01:00
            2026-12-01T09:00:00+01:00"#]],
    );
}

#[test]
fn a_fixed_time_in_the_gap_comes_right_after_it() {
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-27T12:00:00Z",
        3,
        expect![[r#"
            2026-03-28T02:30:00+01:00
            2026-03-29T03:00:00+02:00
            2026-03-30T02:30:00+02:00"#]],
    );
}

#[test]
fn what_comes_every_so_often_is_left_out_with_the_gap() {
    check(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:20:00Z",
        3,
        expect![[r#"
            2026-03-29T01:30:00+01:00
            2026-03-29T03:00:00+02:00
            2026-03-29T03:30:00+02:00"#]],
    );
}

#[test]
fn a_fixed_time_that_repeats_comes_once() {
    check(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        2,
        expect![[r#"
            2026-10-25T02:30:00+02:00
            2026-10-26T02:30:00+01:00"#]],
    );
}

#[test]
fn what_comes_every_so_often_comes_in_both_hours() {
    check(
        "*/30 * * * *",
        "Europe/Berlin",
        "2026-10-25T00:10:00Z",
        4,
        expect![[r#"
            2026-10-25T02:30:00+02:00
            2026-10-25T02:00:00+01:00
            2026-10-25T02:30:00+01:00
            2026-10-25T03:00:00+01:00"#]],
    );
}

#[test]
fn a_day_of_23_or_25_hours_keeps_its_time() {
    check(
        "0 12 * * *",
        "America/New_York",
        "2026-03-07T18:00:00Z",
        2,
        expect![[r#"
            2026-03-08T12:00:00-04:00
            2026-03-09T12:00:00-04:00"#]],
    );
    check(
        "0 12 * * *",
        "America/New_York",
        "2026-10-31T18:00:00Z",
        2,
        expect![[r#"
            2026-11-01T12:00:00-05:00
            2026-11-02T12:00:00-05:00"#]],
    );
}

#[test]
fn a_change_of_half_an_hour_is_one() {
    check(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T00:00:00Z",
        2,
        expect![[r#"
            2026-10-04T02:30:00+11:00
            2026-10-05T02:15:00+11:00"#]],
    );
}

#[test]
fn a_leap_day_comes_when_there_is_one() {
    check(
        "0 8 29 2 *",
        "Europe/Berlin",
        "2026-11-24T00:00:00Z",
        3,
        expect![[r#"
            2028-02-29T08:00:00+01:00
            2032-02-29T08:00:00+01:00
            2036-02-29T08:00:00+01:00"#]],
    );
    check("0 8 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1, expect!["2104-02-29T08:00:00+00:00"]);
}

#[test]
fn the_last_day_of_a_month_and_the_last_friday() {
    check(
        "0 8 L * *",
        "UTC",
        "2028-01-15T00:00:00Z",
        2,
        expect![[r#"
            2028-01-31T08:00:00+00:00
            2028-02-29T08:00:00+00:00"#]],
    );
    check("0 8 * * 5L", "UTC", "2026-11-01T00:00:00Z", 1, expect!["2026-11-27T08:00:00+00:00"]);
}

#[test]
fn until_is_the_last_that_may_be() {
    let zone = TimeZone::UTC;
    let rule = Rule::cron("0 9 * * *", Some(ms("2026-11-26T09:00:00Z"))).unwrap();
    assert_eq!(rule.next_after(&zone, ms("2026-11-25T10:00:00Z")), Some(ms("2026-11-26T09:00:00Z")));
    assert_eq!(rule.next_after(&zone, ms("2026-11-26T09:00:00Z")), None);
    assert_eq!(
        rule.last_until(&zone, ms("2026-11-24T09:00:00Z"), ms("2027-01-01T00:00:00Z")),
        ms("2026-11-26T09:00:00Z")
    );
}

#[test]
fn what_never_comes_is_found_out() {
    for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
        let rule = Rule::cron(never, None).unwrap();
        assert_eq!(rule.next_after(&TimeZone::UTC, ms("2026-11-24T00:00:00Z")), None, "{never}");
    }
}

#[test]
fn what_is_no_cron_is_refused() {
    let long = "1,".repeat(50_000);
    for wrong in ["", "* * * *", "0 0 9 * * *", "60 * * * *", "x * * * *", "* * * * * 2030", &long] {
        let error = Rule::cron(wrong, None).unwrap_err();
        assert!(error.to_string().starts_with("invalid: `cron` is `"), "{error}");
        assert!(error.message.len() < 300, "{error}");
    }
}

#[test]
fn a_once_comes_once() {
    let rule = Rule::Once { at_ms: 5000 };
    assert_eq!(rule.next_after(&TimeZone::UTC, 5000), None);
    assert_eq!(rule.last_until(&TimeZone::UTC, 5000, 9000), 5000);
}

fn crons() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "* * * * *",
        "*/15 * * * *",
        "30 2 * * *",
        "0 3 * * *",
        "0 0 * * *",
        "0 9 * * 1-5",
        "15 */2 * * *",
        "0 8 L * *",
        "0 1,2,3 * * 0",
        "59 23 29 2 *",
        "5-10 2 * * 7",
    ])
}

fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Pacific/Apia",
    ])
}

/// Around the changes of 2026 as often as anywhere.
fn moments() -> impl Strategy<Value = i64> {
    let near = |text: &str| {
        let at = ms(text);
        at - 7_200_000..at + 7_200_000
    };
    prop_oneof![
        near("2026-03-29T01:00:00Z"),
        near("2026-10-25T01:00:00Z"),
        near("2026-03-08T07:00:00Z"),
        near("2026-11-01T06:00:00Z"),
        ms("2025-01-01T00:00:00Z")..ms("2030-01-01T00:00:00Z"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn moments_only_go_forth(cron in crons(), zone in zones(), after in moments()) {
        let (rule, zone) = (Rule::cron(cron, None).unwrap(), TimeZone::get(zone).unwrap());
        let mut last = after;
        for _ in 0..20 {
            let next = rule.next_after(&zone, last).expect("it comes again");
            prop_assert!(next > last);
            last = next;
        }
    }

    #[test]
    fn none_is_passed_over_wherever_one_begins(
        cron in crons(), zone in zones(), after in moments(), share in 0.0..1.0f64,
    ) {
        let (rule, zone) = (Rule::cron(cron, None).unwrap(), TimeZone::get(zone).unwrap());
        let next = rule.next_after(&zone, after).expect("it comes");
        let between = after + ((next - 1 - after) as f64 * share) as i64;
        prop_assert_eq!(rule.next_after(&zone, between), Some(next));
    }

    #[test]
    fn the_last_one_is_the_last(cron in crons(), zone in zones(), first in moments(), steps in 1usize..30, late in 0i64..60_000) {
        let (rule, zone) = (Rule::cron(cron, None).unwrap(), TimeZone::get(zone).unwrap());
        let first = rule.next_after(&zone, first).expect("it comes");
        let last = (1..steps).fold(first, |last, _| rule.next_after(&zone, last).expect("it comes again"));
        let now = (last + late).min(rule.next_after(&zone, last).expect("it comes again") - 1);
        prop_assert_eq!(rule.last_until(&zone, first, now), last);
    }

    #[test]
    fn any_text_is_a_rule_or_refused(text in "[-*/0-9,LW#? A-Z@]{0,24}", after in moments()) {
        if let Ok(rule) = Rule::cron(&text, None) {
            let next = rule.next_after(&TimeZone::UTC, after);
            prop_assert!(next.is_none_or(|next| next > after));
        }
    }
}
