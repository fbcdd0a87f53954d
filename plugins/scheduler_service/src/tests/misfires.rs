//! What is done of moments that passed, by each policy; and what a clock that jumps makes of it.

use jiff::{Timestamp, tz::TimeZone};
use plugin_api::requests::scheduler::IfLate;
use proptest::prelude::*;

use crate::{
    misfire::{self, Decision, Due, MOST_MISSED},
    rule::Rule,
};

const HOUR: i64 = 3_600_000;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn decide(rule: &Rule, if_late: IfLate, late_ms: i64, fire: &str, now: &str) -> Decision {
    let zone = &TimeZone::UTC;
    misfire::decide(Due { rule, zone, if_late, late_ms, fire_ms: ms(fire) }, ms(now))
}

fn hourly() -> Rule {
    Rule::cron("0 * * * *", None).unwrap()
}

fn once(at: &str) -> Rule {
    Rule::Once { at_ms: ms(at) }
}

#[track_caller]
fn fires(decision: Decision, expected: Option<&str>) {
    assert_eq!(decision.fires, expected.map(ms));
}

#[test]
fn in_time_every_policy_does_it() {
    for if_late in [IfLate::Once, IfLate::Skip, IfLate::All] {
        let at = "2026-11-24T10:00:00Z";
        fires(decide(&hourly(), if_late, HOUR, at, "2026-11-24T10:00:30Z"), Some(at));
        fires(decide(&once(at), if_late, 0, at, "2026-11-24T10:00:30Z"), Some(at));
    }
}

#[test]
fn once_does_the_last_that_passed_if_it_is_not_too_late() {
    let of = |late, now| decide(&hourly(), IfLate::Once, late, "2026-11-24T10:00:00Z", now);
    fires(of(HOUR, "2026-11-24T15:30:00Z"), Some("2026-11-24T15:00:00Z"));
    fires(of(HOUR / 4, "2026-11-24T15:30:00Z"), None);
    let at = "2026-11-24T10:00:00Z";
    fires(decide(&once(at), IfLate::Once, HOUR, at, "2026-11-24T10:59:00Z"), Some(at));
    fires(decide(&once(at), IfLate::Once, HOUR, at, "2026-11-24T11:01:00Z"), None);
}

#[test]
fn skip_does_nothing_late() {
    let of = |now| decide(&hourly(), IfLate::Skip, HOUR, "2026-11-24T10:00:00Z", now);
    let skipped = of("2026-11-24T10:02:00Z");
    assert_eq!(skipped, Decision { fires: None, next_after: ms("2026-11-24T10:02:00Z") });
    fires(of("2026-11-24T12:00:10Z"), Some("2026-11-24T12:00:00Z"));
}

#[test]
fn all_does_one_after_the_other_and_at_most_a_hundred() {
    let of = |now| decide(&hourly(), IfLate::All, 0, "2026-11-24T10:00:00Z", now);
    let at = ms("2026-11-24T10:00:00Z");
    assert_eq!(of("2026-11-24T15:30:00Z"), Decision { fires: Some(at), next_after: at });
    let after_a_year = of("2027-11-24T15:30:00Z");
    let oldest = ms("2027-11-24T15:00:00Z") - (MOST_MISSED as i64 - 1) * HOUR;
    assert_eq!(after_a_year, Decision { fires: Some(oldest), next_after: oldest });
}

#[test]
fn a_clock_that_is_put_back_repeats_nothing() {
    let fired = ms("2026-11-24T10:00:00Z");
    let decision = decide(&hourly(), IfLate::Once, HOUR, "2026-11-24T10:00:00Z", "2026-11-24T08:30:00Z");
    assert_eq!(decision.fires, Some(fired), "it was claimed when it was due");
    let next = hourly().next_after(&TimeZone::UTC, decision.next_after.max(fired));
    assert_eq!(next, Some(fired + HOUR), "and not 09:00 and 10:00 again");
}

#[test]
fn a_clock_that_jumps_forth_does_one_instead_of_a_thousand() {
    let decision = decide(&hourly(), IfLate::Once, HOUR, "2026-11-24T10:00:00Z", "2027-01-05T10:20:00Z");
    assert_eq!(
        decision,
        Decision { fires: Some(ms("2027-01-05T10:00:00Z")), next_after: ms("2027-01-05T10:20:00Z") }
    );
}

fn policies() -> impl Strategy<Value = IfLate> {
    prop::sample::select(vec![IfLate::Once, IfLate::Skip, IfLate::All])
}

proptest! {
    /// However the clock steps and however long nobody looks, no moment is done twice, and each is of the rule.
    #[test]
    fn no_moment_is_done_twice(
        if_late in policies(),
        steps in prop::collection::vec(-3 * HOUR..9 * HOUR, 1..40),
        cron in prop::sample::select(vec!["*/20 * * * *", "30 2 * * *", "0 */3 * * *"]),
    ) {
        let (rule, zone) = (Rule::cron(cron, None).unwrap(), TimeZone::get("Europe/Berlin").unwrap());
        let mut now = ms("2026-10-24T20:00:00Z");
        let mut fire_ms = rule.next_after(&zone, now).expect("it comes");
        let mut done = Vec::new();
        for step in steps {
            now += step;
            for _ in 0..MOST_MISSED {
                if fire_ms > now {
                    break;
                }
                let due = Due { rule: &rule, zone: &zone, if_late, late_ms: HOUR, fire_ms };
                let decision = misfire::decide(due, now);
                done.extend(decision.fires);
                let after = decision.next_after.max(decision.fires.unwrap_or(fire_ms));
                fire_ms = rule.next_after(&zone, after).expect("it comes again");
            }
        }
        prop_assert!(done.windows(2).all(|pair| pair[0] < pair[1]), "{done:?}");
        for moment in done {
            prop_assert_eq!(rule.next_after(&zone, moment - 1000), Some(moment));
        }
    }
}
