//! What fails is tried again when that may help, and not for ever.

use std::time::Duration;

use plugin_api::error::{ErrorKind, OperationError};
use proptest::prelude::*;

use crate::backoff::{delay, next};

fn error(kind: ErrorKind) -> OperationError {
    OperationError::new(kind, "no")
}

#[test]
fn an_outage_is_waited_for_and_a_mistake_is_not() {
    for kind in ErrorKind::ALL {
        let is_final = matches!(
            kind,
            ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Conflict
        );
        assert_eq!(next(&error(kind), 1, 0, 1000).is_none(), is_final, "{kind}");
        let is_outage = !is_final && !matches!(kind, ErrorKind::Internal | ErrorKind::Panicked);
        assert_eq!(next(&error(kind), 50, 0, 1000).is_some(), is_outage, "{kind}");
        assert_eq!(next(&error(kind), 50, 1000, 1000), None, "{kind}: it is too old");
    }
}

#[test]
fn who_asks_to_wait_is_waited_for() {
    let asked = error(ErrorKind::Overloaded).retry_after(Duration::from_secs(30));
    assert_eq!(next(&asked, 1, 0, 100_000), Some(30_000));
    let too_much = error(ErrorKind::Overloaded).retry_after(Duration::from_secs(3000));
    assert_eq!(next(&too_much, 1, 0, 100_000), Some(60_000));
}

proptest! {
    #[test]
    fn delays_grow_and_end(attempts in 0u32..1000, dice: u32) {
        let delay = delay(attempts, dice);
        prop_assert!((250..=60_000).contains(&delay), "{delay}");
        prop_assert!(attempts < 10 || delay >= 30_000);
    }
}
