//! Time that passes becomes the moment to tell the database anew that this host is there. However much happens meanwhile,
//! it comes once a day: who is silent for too long is taken for gone.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// How often it is told that the host is still there, and looked which hosts are not.
const EVERY: Duration = Duration::from_secs(24 * 3600);

/// When the host last said that it is there; due at first.
#[derive(Default)]
pub(super) struct RollCall {
    answered_at: Option<Instant>,
}

impl RollCall {
    pub(super) fn is_due(&self) -> bool {
        self.answered_at.is_none_or(|at| at.elapsed() >= EVERY)
    }

    pub(super) fn answered(&mut self) {
        self.answered_at = Some(Instant::now());
    }

    /// Waits for a change, or until the next one is due. As long as nobody could be told, a change is all there is to
    /// wait for: that the database came is one.
    pub(super) async fn or_change(&self, revisions: &mut watch::Receiver<u64>) {
        let left = self.answered_at.map_or(EVERY, |at| EVERY.saturating_sub(at.elapsed()));
        // Either is a reason to look.
        let _ = timeout(left, revisions.changed()).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn it_comes_once_a_day_however_much_happens() {
        let (revisions, mut seen) = watch::channel(0);
        let mut roll_call = RollCall::default();
        assert!(roll_call.is_due(), "nobody knows of it yet");
        roll_call.answered();
        for hour in 1..24 {
            advance(HOUR).await;
            revisions.send_replace(hour);
            roll_call.or_change(&mut seen).await;
            assert!(!roll_call.is_due(), "after {hour} h");
        }
        let begun = Instant::now();
        roll_call.or_change(&mut seen).await;
        assert!(begun.elapsed() <= HOUR + Duration::from_millis(1), "not a day from the last change");
        assert!(roll_call.is_due());
        roll_call.answered();
        assert!(!roll_call.is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_ends_the_wait() {
        let (revisions, mut seen) = watch::channel(0);
        let mut roll_call = RollCall::default();
        roll_call.answered();
        revisions.send_replace(1);
        let begun = Instant::now();
        roll_call.or_change(&mut seen).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
