//! How much each plugin may log: a plugin that floods the log is cut, so that the words of others are found, and the
//! log's reader is not what the host waits for. What was dropped is counted.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// How many records of a plugin pass in a second, on the long run; errors and warnings as many again.
pub(super) const PER_SECOND: u32 = 200;

/// How many pass at once, after a quiet time.
const AT_ONCE: u32 = 2000;

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is logged.
    Passes,
    /// It is logged, and so many before it were not.
    PassesAfter(u64),
    /// It is dropped, as the first one.
    FirstDropped,
    /// It is dropped.
    Dropped,
}

/// The allowances of all plugins.
pub(super) struct Flood {
    plugins: Mutex<HashMap<String, Plugin>>,
    dropped: IntCounterVec,
}

/// Errors and warnings have an allowance of their own, so that chatter does not hide them.
struct Plugin {
    severe: Allowance,
    chatter: Allowance,
    dropped: IntCounter,
}

/// So many records may pass, and so many were dropped since the last that did.
struct Allowance {
    left: f64,
    at: Instant,
    dropped: u64,
}

impl Flood {
    pub(super) fn register(registry: &Registry) -> Self {
        let name = "switchboard_log_records_dropped_total";
        let help = "Log records of plugins that were dropped, because there were too many.";
        let dropped = IntCounterVec::new(Opts::new(name, help), &["plugin"]).expect("name and label are fit");
        registry.register(Box::new(dropped.clone())).expect("nobody else has this name");
        Self { plugins: Mutex::default(), dropped }
    }

    /// What becomes of a record of this plugin.
    pub(super) fn judge(&self, plugin: &str, level: &str) -> Verdict {
        let now = Instant::now();
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if !plugins.contains_key(plugin) {
            let dropped = self.dropped.with_label_values(&[plugin]);
            let [severe, chatter] = [Allowance::new(now), Allowance::new(now)];
            plugins.insert(plugin.to_owned(), Plugin { severe, chatter, dropped });
        }
        let Some(known) = plugins.get_mut(plugin) else { return Verdict::Passes };
        let severe = matches!(level, "ERROR" | "WARN");
        let verdict = if severe { known.severe.take(now) } else { known.chatter.take(now) };
        if matches!(verdict, Verdict::FirstDropped | Verdict::Dropped) {
            known.dropped.inc();
        }
        verdict
    }
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { left: f64::from(AT_ONCE), at: now, dropped: 0 }
    }

    fn take(&mut self, now: Instant) -> Verdict {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * f64::from(PER_SECOND)).min(f64::from(AT_ONCE));
        if self.left < 1.0 {
            self.dropped += 1;
            return if self.dropped == 1 { Verdict::FirstDropped } else { Verdict::Dropped };
        }
        self.left -= 1.0;
        match std::mem::take(&mut self.dropped) {
            0 => Verdict::Passes,
            dropped => Verdict::PassesAfter(dropped),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn beyond_its_allowance_records_are_dropped_and_counted() {
        let begun = Instant::now();
        let mut allowance = Allowance::new(begun);
        for _ in 0..AT_ONCE {
            assert_eq!(allowance.take(begun), Verdict::Passes);
        }
        assert_eq!(allowance.take(begun), Verdict::FirstDropped);
        assert_eq!(allowance.take(begun), Verdict::Dropped);
        let later = begun + Duration::from_secs(1);
        assert_eq!(allowance.take(later), Verdict::PassesAfter(2));
        for _ in 1..PER_SECOND {
            assert_eq!(allowance.take(later), Verdict::Passes);
        }
        assert_eq!(allowance.take(later), Verdict::FirstDropped);
    }

    #[test]
    fn chatter_hides_no_error_and_no_other_plugin() {
        let flood = Flood::register(&Registry::new());
        while flood.judge("loud", "INFO") != Verdict::Dropped {}
        assert_eq!(flood.judge("loud", "ERROR"), Verdict::Passes);
        assert_eq!(flood.judge("quiet", "INFO"), Verdict::Passes);
        assert!(flood.dropped.with_label_values(&["loud"]).get() >= 2);
    }
}
