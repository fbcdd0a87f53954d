//! What becomes of a firing by how its call ended.

use std::time::Duration;

use expect_test::expect;
use plugin_api::error::{ErrorKind, OperationError};
use proptest::prelude::*;

use crate::verdict::{Attempt, Patience, Verdict, judge};

const PATIENCE: Patience =
    Patience { attempts: 3, base: Duration::from_secs(5), cap: Duration::from_secs(60) };

fn of(kind: ErrorKind, honours_keys: bool, doubt: bool, number: u32) -> Verdict {
    judge(&OperationError::new(kind, "why"), Attempt { honours_keys, doubt, number }, PATIENCE, 1.0)
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Retry { doubt: false, .. } => "retry",
        Verdict::Retry { doubt: true, .. } => "retry in doubt",
        Verdict::Failed => "failed",
        Verdict::Unknown => "unknown",
    }
}

#[test]
fn each_kind_of_error_has_its_verdict() {
    let row = |kind: ErrorKind| {
        let cells = [(true, 1), (false, 1), (true, 3), (false, 3)]
            .map(|(keys, number)| word(&of(kind, keys, false, number)));
        format!("{kind}: {}", cells.join(", "))
    };
    expect![[r#"
        invalid: failed, failed, failed, failed
        denied: failed, failed, failed, failed
        not_found: failed, failed, failed, failed
        conflict: failed, failed, failed, failed
        cancelled: retry in doubt, unknown, unknown, unknown
        panicked: retry in doubt, unknown, unknown, unknown
        internal: retry in doubt, unknown, unknown, unknown
        unknown_outcome: retry in doubt, unknown, unknown, unknown
        overloaded: retry, retry, failed, failed
        unavailable: retry, retry, failed, failed
        deadline: retry in doubt, unknown, unknown, unknown"#]]
    .assert_eq(&ErrorKind::ALL.map(row).join("\n"));
}

#[test]
fn a_doubt_stays_until_the_callee_tells() {
    assert_eq!(of(ErrorKind::Unavailable, true, true, 3), Verdict::Unknown);
    assert_eq!(of(ErrorKind::Denied, true, true, 2), Verdict::Failed, "it knows its keys");
}

#[test]
fn the_other_side_may_ask_for_more_time() {
    let error = OperationError::overloaded("slow down").retry_after(Duration::from_secs(300));
    let attempt = Attempt { honours_keys: false, doubt: false, number: 1 };
    let verdict = judge(&error, attempt, PATIENCE, 0.0);
    assert_eq!(verdict, Verdict::Retry { pause: Duration::from_secs(300), doubt: false });
}

proptest! {
    #[test]
    fn pauses_grow_to_the_longest(number in 1u32..90, share in 0.0..=1.0f64) {
        let patience = Patience { attempts: 100, ..PATIENCE };
        let attempt = Attempt { honours_keys: true, doubt: false, number };
        let verdict = judge(&OperationError::unavailable("why"), attempt, patience, share);
        let Verdict::Retry { pause, .. } = verdict else { panic!("{verdict:?}") };
        let full = PATIENCE.base.saturating_mul(1 << (number - 1).min(10)).min(PATIENCE.cap);
        prop_assert!(pause >= full / 2 && pause <= full, "{pause:?}");
    }

    /// Nothing is repeated that may have had an effect, unless a repeat has none.
    #[test]
    fn nothing_is_repeated_blindly(kind in prop::sample::select(ErrorKind::ALL.to_vec()), number in 1u32..5, doubt: bool) {
        let verdict = of(kind, false, doubt, number);
        let harmless = matches!(kind, ErrorKind::Unavailable | ErrorKind::Overloaded);
        let is_repeated = matches!(verdict, Verdict::Retry { .. });
        prop_assert!(harmless || !is_repeated);
    }
}
