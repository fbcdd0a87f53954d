//! How much each plugin may log: a plugin that floods the log is cut, so that the words of others are found, and the
//! log's reader is not what the host waits for. Dropped records are counted.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// How many records of a plugin pass in a second, on the long run; errors and warnings as many again.
pub(super) const PER_SECOND: u32 = 200;

/// How many pass at once, after a quiet time.
const AT_ONCE: u32 = 2000;

/// About the drops of one plugin one line is logged in this time at most, or they would be a flood of their own.
const BETWEEN_WORDS: Duration = Duration::from_secs(1);

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is logged.
    Passes,
    /// It is logged, and before it that so many were not.
    PassesAfter(u64),
    /// It is dropped.
    Dropped,
    /// It is dropped, and that so many were is logged, this one included.
    DroppedAfter(u64),
}

/// The allowances of all plugins.
pub(in crate::app) struct Flood {
    plugins: Mutex<HashMap<String, Plugin>>,
    dropped: IntCounterVec,
}

/// Errors and warnings have an allowance of their own, so that chatter does not hide them.
struct Plugin {
    severe: Allowance,
    chatter: Allowance,
    dropped: IntCounter,
    /// How many were dropped since it was last said, and when that was.
    untold: u64,
    told: Option<Instant>,
}

/// So many records may pass.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Flood {
    pub(in crate::app) fn register(registry: &Registry) -> Self {
        let name = "switchboard_log_records_dropped_total";
        let help = "Log records of plugins that were dropped, because there were too many.";
        let dropped = IntCounterVec::new(Opts::new(name, help), &["plugin"]).expect("name and label are fit");
        registry.register(Box::new(dropped.clone())).expect("nobody else has this name");
        Self { plugins: Mutex::default(), dropped }
    }

    /// The plugin is gone, and its count with it.
    pub(in crate::app) fn forget(&self, plugin: &str) {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin);
        // Without a record there is no series.
        let _ = self.dropped.remove_label_values(&[plugin]);
    }

    /// What becomes of a record of this plugin.
    pub(super) fn judge(&self, plugin: &str, level: &str) -> Verdict {
        self.judge_at(plugin, level, Instant::now())
    }

    fn judge_at(&self, plugin: &str, level: &str, now: Instant) -> Verdict {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if !plugins.contains_key(plugin) {
            let dropped = self.dropped.with_label_values(&[plugin]);
            let [severe, chatter] = [Allowance::new(now), Allowance::new(now)];
            plugins.insert(plugin.to_owned(), Plugin { severe, chatter, dropped, untold: 0, told: None });
        }
        let Some(known) = plugins.get_mut(plugin) else { return Verdict::Passes };
        let severe = matches!(level, "ERROR" | "WARN");
        let passes = if severe { known.severe.take(now) } else { known.chatter.take(now) };
        if !passes {
            known.dropped.inc();
            known.untold += 1;
        }
        match (passes, known.take_untold(now)) {
            (true, None) => Verdict::Passes,
            (true, Some(dropped)) => Verdict::PassesAfter(dropped),
            (false, None) => Verdict::Dropped,
            (false, Some(dropped)) => Verdict::DroppedAfter(dropped),
        }
    }
}

impl Plugin {
    /// How many drops are to be told now.
    fn take_untold(&mut self, now: Instant) -> Option<u64> {
        let is_due = |told| now.saturating_duration_since(told) >= BETWEEN_WORDS;
        if self.untold == 0 || !self.told.is_none_or(is_due) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self { left: f64::from(AT_ONCE), at: now }
    }

    /// Whether one more may pass.
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * f64::from(PER_SECOND)).min(f64::from(AT_ONCE));
        let passes = self.left >= 1.0;
        if passes {
            self.left -= 1.0;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_its_allowance_records_are_dropped_counted_and_told() {
        let (flood, begun) = (Flood::register(&Registry::new()), Instant::now());
        let judge = |now| flood.judge_at("loud", "INFO", now);
        for _ in 0..AT_ONCE {
            assert_eq!(judge(begun), Verdict::Passes);
        }
        assert_eq!(judge(begun), Verdict::DroppedAfter(1));
        assert_eq!([judge(begun), judge(begun)], [Verdict::Dropped, Verdict::Dropped]);
        let later = begun + Duration::from_secs(1);
        assert_eq!(judge(later), Verdict::PassesAfter(2));
        for _ in 1..PER_SECOND {
            assert_eq!(judge(later), Verdict::Passes);
        }
        assert_eq!(judge(later), Verdict::Dropped, "something was said a moment ago");
        assert_eq!(flood.dropped.with_label_values(&["loud"]).get(), 4);
    }

    #[test]
    fn about_drops_one_line_a_second_is_logged_at_most() {
        let (flood, begun) = (Flood::register(&Registry::new()), Instant::now());
        // Ten seconds of a little more than is allowed, errors among them: each pause lets one more record pass.
        let verdicts = (0..20_000_u32).map(|number| {
            let level = if number % 2 == 0 { "INFO" } else { "ERROR" };
            flood.judge_at("loud", level, begun + Duration::from_micros(500) * number)
        });
        let told = verdicts.filter_map(|verdict| match verdict {
            Verdict::PassesAfter(dropped) | Verdict::DroppedAfter(dropped) => Some(dropped),
            Verdict::Passes | Verdict::Dropped => None,
        });
        let told: Vec<u64> = told.collect();
        assert!((2..=10).contains(&told.len()), "{told:?}");
        let left = flood.plugins.lock().unwrap()["loud"].untold;
        let dropped = flood.dropped.with_label_values(&["loud"]).get();
        assert_eq!(told.iter().sum::<u64>() + left, dropped, "each drop is told once");
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
