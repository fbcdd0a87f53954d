//! What the switch counted becomes calls, errors and open streams a plugin.

use std::collections::HashMap;

use prometheus::proto::{Metric, MetricFamily};

/// The calls of one plugin since the host started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Calls {
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) streams: u64,
    timed: u64,
    seconds: f64,
}

impl Calls {
    /// How long a call took on average, in milliseconds.
    pub(super) fn mean_ms(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.seconds * 1000.0 / self.timed as f64)
    }
}

/// The calls of every plugin that was called.
#[derive(Debug, Default)]
pub(super) struct Traffic(HashMap<String, Calls>);

impl Traffic {
    pub(super) fn of(families: &[MetricFamily]) -> Self {
        let mut traffic = Self::default();
        for family in families {
            for metric in family.get_metric() {
                traffic.add(family.name(), metric);
            }
        }
        traffic
    }

    pub(super) fn plugin(&self, name: &str) -> Calls {
        self.0.get(name).copied().unwrap_or_default()
    }

    fn add(&mut self, family: &str, metric: &Metric) {
        let Some(plugin) = metric.get_label().iter().find(|label| label.name() == "plugin") else { return };
        let calls = self.0.entry(plugin.value().to_owned()).or_default();
        match family {
            "switchboard_calls_total" => calls.calls += whole(metric.get_counter().get_value()),
            "switchboard_call_errors_total" => calls.errors += whole(metric.get_counter().get_value()),
            "switchboard_streams_open" => calls.streams += whole(metric.get_gauge().get_value()),
            "switchboard_call_duration_seconds" => {
                calls.timed += metric.get_histogram().get_sample_count();
                calls.seconds += metric.get_histogram().get_sample_sum();
            }
            _ => {}
        }
    }
}

/// Counts are whole and not negative, though the registry keeps them as floats.
fn whole(count: f64) -> u64 {
    count as u64
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, Opts, Registry};

    use super::*;

    #[test]
    fn the_operations_of_a_plugin_count_together() {
        let registry = Registry::new();
        let calls =
            IntCounterVec::new(Opts::new("switchboard_calls_total", "Calls."), &["plugin", "operation"])
                .unwrap();
        registry.register(Box::new(calls.clone())).unwrap();
        calls.with_label_values(&["smtp", "send_email"]).inc_by(3);
        calls.with_label_values(&["smtp", "verify"]).inc_by(2);
        calls.with_label_values(&["openai", "chat"]).inc();
        let traffic = Traffic::of(&registry.gather());
        assert_eq!(traffic.plugin("smtp"), Calls { calls: 5, ..Calls::default() });
        assert_eq!(traffic.plugin("nobody"), Calls::default());
        assert_eq!(traffic.plugin("smtp").mean_ms(), None);
    }
}
