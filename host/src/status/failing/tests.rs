//! When something counts as failing, and when it does not any more; that nothing but faults begins it.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn fault(caller: Option<&str>, key: Option<&str>) -> Fault {
    Fault {
        code: ReasonCode::Unavailable,
        message: "no answer".to_owned(),
        hint: None,
        caller: caller.map(str::to_owned),
        key: key.map(str::to_owned),
    }
}

fn plain() -> Fault {
    fault(None, None)
}

fn trouble(key: &str, operation: Option<&str>) -> Trouble {
    Trouble {
        key: key.to_owned(),
        code: ReasonCode::Quota,
        message: "no credit left".to_owned(),
        hint: None,
        operation: operation.map(str::to_owned),
    }
}

/// Failures of `chat` at these seconds.
fn failed(seconds: impl IntoIterator<Item = i64>) -> Ledger {
    let mut ledger = Ledger::default();
    seconds.into_iter().for_each(|second| _ = ledger.fault("chat", plain(), at(second)));
    ledger
}

#[track_caller]
fn check(seconds: impl IntoIterator<Item = i64>, fails: bool) {
    assert_eq!(failed(seconds).is_failing(), fails);
}

#[test]
fn three_failures_thirty_seconds_apart_are_failing() {
    check([0, 30], false);
    check([0, 1, 29], false);
    check([0, 1, 30], true);
    check([0, 1, 29, 31], true);
}

#[test]
fn a_success_in_between_begins_the_count_anew() {
    let mut ledger = failed([0, 20]);
    assert!(ledger.awaits_success_of("chat"));
    ledger.success("chat", at(25));
    assert!(!ledger.awaits_success_of("chat"));
    ledger.fault("chat", plain(), at(30));
    ledger.fault("chat", plain(), at(40));
    ledger.fault("chat", plain(), at(59));
    assert!(!ledger.is_failing());
    ledger.fault("chat", plain(), at(60));
    assert!(ledger.is_failing());
    let finding = &ledger.findings()[0];
    assert_eq!((finding.since, finding.last_at, finding.failures), (at(30), at(60), 4));
}

#[test]
fn one_request_that_is_repeated_is_no_failing_plugin() {
    let mut ledger = Ledger::default();
    (0..100).for_each(|second| _ = ledger.fault("chat", fault(None, Some("a")), at(second)));
    assert!(!ledger.is_failing());
    assert_eq!(ledger.fault("chat", fault(None, Some("b")), at(100)), News::Change);
    assert!(ledger.is_failing());
}

#[test]
fn half_of_twenty_is_failing_and_ends_when_the_share_falls() {
    let mut ledger = Ledger::default();
    ledger.successes("chat", 10, at(0));
    (1..=9).for_each(|second| _ = ledger.fault("chat", plain(), at(second)));
    ledger.success("chat", at(9));
    assert!(!ledger.is_failing());
    ledger.fault("chat", plain(), at(10));
    assert!(!ledger.is_failing(), "ten of twenty-one");
    ledger.fault("chat", plain(), at(10));
    assert!(ledger.is_failing(), "eleven of twenty-two");
    assert_eq!((ledger.findings()[0].since, ledger.findings()[0].failures), (at(1), 11));

    ledger.success("chat", at(11));
    assert!(ledger.is_failing(), "one success");
    assert_eq!(ledger.success("chat", at(11)), News::Change);
    assert!(!ledger.is_failing(), "two in a row, and eleven of twenty-four");
}

#[test]
fn two_successes_do_not_end_it_while_half_still_fail() {
    let mut ledger = failed([0; 20]);
    assert!(ledger.is_failing());
    (0..20).for_each(|_| _ = ledger.success("chat", at(1)));
    assert!(ledger.is_failing(), "twenty of forty");
    ledger.success("chat", at(1));
    assert!(!ledger.is_failing(), "twenty of forty-one");
}

#[test]
fn an_operation_that_is_called_seldom_has_recovered_a_minute_after_one_outage() {
    for faults in [vec![0; 47], vec![0, 15, 30]] {
        let last = faults[faults.len() - 1];
        let mut ledger = failed(faults.clone());
        assert!(ledger.is_failing());
        assert_eq!((ledger.look(at(900)), ledger.is_failing()), (News::None, true), "nothing has succeeded");
        ledger.fault("chat", plain(), at(901));
        ledger.success("chat", at(902));
        assert_eq!((ledger.look(at(960)), ledger.is_failing()), (News::None, true));
        assert_eq!((ledger.look(at(961)), ledger.is_failing()), (News::Change, false), "by time alone");
        ledger.fault("chat", plain(), at(962));
        assert!(!ledger.is_failing(), "the outage counts no more");

        let mut ledger = failed(faults);
        assert_eq!(ledger.success("chat", at(last + 60)), News::Change, "or by a success afterwards");
        assert!(!ledger.is_failing());
    }
}

#[test]
fn what_is_older_than_ten_minutes_counts_no_more() {
    let mut ledger = Ledger::default();
    ledger.successes("chat", 1000, at(0));
    for second in 0..20 {
        ledger.fault("chat", plain(), at(599));
        ledger.success("chat", at(599));
        assert!(!ledger.is_failing(), "{second}");
    }
    ledger.fault("chat", plain(), at(660));
    assert!(ledger.is_failing(), "twenty-one of forty-one");
}

#[test]
fn two_successes_in_a_row_end_it() {
    let mut ledger = failed([0, 1, 30]);
    assert_eq!(ledger.success("chat", at(31)), News::None);
    ledger.fault("chat", plain(), at(32));
    ledger.success("chat", at(33));
    assert!(ledger.is_failing());
    assert_eq!(ledger.success("chat", at(34)), News::Change);
    assert!(!ledger.is_failing() && ledger.findings().is_empty());
}

#[test]
fn callers_and_reasons_are_news_and_counts_are_detail() {
    let mut ledger = failed([0, 1, 30]);
    assert_eq!(ledger.fault("chat", plain(), at(31)), News::Detail);
    assert_eq!(ledger.fault("chat", fault(Some("web"), None), at(32)), News::Change);
    assert_eq!(ledger.fault("chat", fault(Some("web"), None), at(33)), News::Detail);
    assert_eq!(ledger.met_by("chat", "alarm"), News::Change);
    assert_eq!(ledger.met_by("chat", "alarm"), News::None);
    let quota = Fault { code: ReasonCode::Quota, message: "no credit".to_owned(), ..plain() };
    assert_eq!(ledger.fault("chat", quota, at(34)), News::Change);
    let finding = &ledger.findings()[0];
    assert_eq!((finding.code, finding.message.as_str()), (ReasonCode::Quota, "no credit"));
    assert_eq!(finding.callers, ["alarm", "web"]);
}

#[test]
fn a_trouble_lasts_until_it_is_cleared() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.raise(trouble("credit", None), at(0)), Some(News::Change));
    assert_eq!(ledger.raise(trouble("credit", None), at(9)), Some(News::Detail));
    ledger.success("chat", at(10));
    ledger.success("chat", at(11));
    let finding = &ledger.findings()[0];
    assert_eq!((finding.key.as_deref(), finding.since, finding.last_at), (Some("credit"), at(0), at(9)));
    assert_eq!((ledger.clear("credit"), ledger.clear("credit")), (News::Change, News::None));
    assert!(!ledger.is_failing());
}

#[test]
fn a_trouble_of_an_operation_ends_by_two_of_its_successes() {
    let mut ledger = Ledger::default();
    ledger.raise(trouble("credit", Some("chat")), at(0));
    assert!(ledger.awaits_success_of("chat") && !ledger.awaits_success_of("embed"));
    ledger.fault("chat", fault(Some("web"), None), at(1));
    assert_eq!(ledger.findings()[0].callers, ["web"]);
    ledger.success("embed", at(2));
    ledger.success("embed", at(2));
    ledger.success("chat", at(3));
    ledger.fault("chat", plain(), at(4));
    ledger.success("chat", at(5));
    assert!(ledger.is_failing());
    assert_eq!(ledger.success("chat", at(6)), News::Change);
    assert!(!ledger.is_failing());
}

#[test]
fn a_trouble_passes_to_a_successor_until_its_first_success() {
    let mut ledger = Ledger::default();
    ledger.raise(trouble("credit", None), at(0));
    ledger.raise(trouble("model", Some("chat")), at(0));
    ledger.succeeded_by_another();
    assert_eq!(ledger.findings().len(), 2, "no reload makes health green");
    ledger.success("embed", at(1));
    assert_eq!(ledger.findings().len(), 1);
    ledger.success("chat", at(2));
    assert!(!ledger.is_failing());

    ledger.raise(trouble("credit", None), at(3));
    ledger.succeeded_by_another();
    ledger.raise(trouble("credit", None), at(4));
    ledger.success("chat", at(5));
    assert!(ledger.is_failing(), "the successor raised it, too");
}

#[test]
fn what_the_switch_found_outlasts_its_instance() {
    let mut ledger = failed([0; 20]);
    ledger.succeeded_by_another();
    ledger.success("chat", at(1));
    assert!(ledger.is_failing());
    ledger.success("chat", at(1));
    assert!(!ledger.is_failing(), "the share tells of an instance that is gone");
}

#[test]
fn what_failed_before_a_plugin_was_in_service_is_over_with_two_successes() {
    let mut ledger = failed([0; 40]);
    ledger.came_into_service();
    assert!(ledger.is_failing(), "nothing has gone well yet");
    ledger.success("chat", at(4));
    ledger.success("chat", at(5));
    assert!(!ledger.is_failing());
}

#[test]
fn what_is_acknowledged_is_gone_until_it_happens_again() {
    let mut ledger = failed([0, 1, 30]);
    ledger.raise(trouble("credit", Some("embed")), at(30));
    let of = |name: &'static str| move |finding: &Finding| finding.operation.as_deref() == Some(name);
    assert_eq!(ledger.acknowledge(of("embed")).len(), 1);
    assert_eq!(ledger.acknowledge(of("embed")).len(), 0);
    assert_eq!(ledger.acknowledge(of("chat")).len(), 1);
    assert!(!ledger.is_failing());
    ledger.fault("chat", plain(), at(40));
    ledger.fault("chat", plain(), at(41));
    assert!(!ledger.is_failing(), "it counts from the beginning");
    ledger.fault("chat", plain(), at(70));
    assert!(ledger.is_failing());
}

#[test]
fn sixteen_troubles_are_the_most() {
    let mut ledger = Ledger::default();
    for number in 0..MOST_TROUBLES {
        assert!(ledger.raise(trouble(&number.to_string(), None), at(0)).is_some());
    }
    assert_eq!(ledger.raise(trouble("more", None), at(0)), None);
    assert!(ledger.raise(trouble("0", None), at(0)).is_some(), "one of them goes on");
    ledger.clear("0");
    assert!(ledger.raise(trouble("more", None), at(0)).is_some());
}

#[test]
fn an_operation_that_is_gone_fails_no_more() {
    let mut ledger = failed([0, 1, 30]);
    ledger.retain(|operation| operation == "embed");
    assert!(!ledger.is_failing());
}

proptest! {
    /// By their definition: all since the last success, or half of at least twenty (all of them within ten minutes).
    #[test]
    fn outcomes_are_judged_by_the_rules(outcomes in prop::collection::vec((any::<bool>(), 0..5_i64), 0..100)) {
        let mut ledger = Ledger::default();
        let (mut now, mut run, mut faults, mut fails) = (0, Vec::new(), 0, false);
        for (count, (is_fault, pause)) in outcomes.into_iter().enumerate() {
            now += pause;
            if is_fault {
                ledger.fault("chat", plain(), at(now));
                run.push(now);
                faults += 1;
                let in_a_row = run.len() >= 3 && now - run[0] >= 30;
                fails |= in_a_row || (count + 1 >= 20 && faults * 2 > count);
            } else {
                ledger.success("chat", at(now));
                run.clear();
                // When it ends is told by the tests above.
                fails &= ledger.is_failing();
            }
            prop_assert_eq!(ledger.is_failing(), fails);
            prop_assert_eq!(ledger.findings().is_empty(), !fails);
            prop_assert!(!fails || ledger.awaits_success_of("chat"));
        }
    }

    #[test]
    fn two_successes_are_enough_after_a_row(count in 3..19_usize, rest in 0..100_i64) {
        let mut ledger = failed((0..count as i64).map(|number| number * 30));
        prop_assert!(ledger.is_failing());
        ledger.success("chat", at(600 + rest));
        ledger.success("chat", at(600 + rest));
        prop_assert!(!ledger.is_failing());
    }
}
