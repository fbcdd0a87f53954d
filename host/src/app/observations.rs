//! The counters and histograms that plugins keep of their own work, as metrics named after them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use plugin_api::{error::OperationError, requests::host::Observe};
use prometheus::{Histogram, HistogramOpts, IntCounter, Registry, core::Collector};

/// How many metrics one plugin may have: each stays as long as plugins.toml names the plugin.
const MOST: usize = 64;

/// Seconds, in which most histograms count; a plugin that measures something else gets coarse buckets.
const BUCKETS: [f64; 12] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// All metrics of all plugins. Cheap to clone.
#[derive(Clone)]
pub(super) struct Observations {
    registry: Registry,
    plugins: Arc<Mutex<HashMap<String, HashMap<String, Metric>>>>,
}

#[derive(Clone)]
enum Metric {
    Counter(IntCounter),
    Histogram(Histogram),
}

impl Observations {
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry, plugins: Arc::default() }
    }

    /// Takes one observation; the first of a name makes the metric.
    pub(super) fn take(&self, plugin: &str, observe: Observe) -> Result<(), OperationError> {
        let (name, value) = match &observe {
            Observe::Count { name, .. } => (name, None),
            Observe::Measure { name, value } => (name, Some(*value)),
        };
        if value.is_some_and(|value| !value.is_finite()) {
            return Err(OperationError::invalid(format!(
                "`{name}` is measured as something that is not a number"
            )));
        }
        match (self.metric(plugin, name, &observe)?, &observe) {
            (Metric::Counter(counter), Observe::Count { by, .. }) => counter.inc_by(*by),
            (Metric::Histogram(histogram), Observe::Measure { value, .. }) => histogram.observe(*value),
            _ => {
                return Err(OperationError::conflict(format!(
                    "`{name}` is both counted and measured: it can be only one of them"
                )));
            }
        }
        Ok(())
    }

    /// The plugin is gone, and its metrics with it.
    pub(super) fn forget(&self, plugin: &str) {
        let known = self.plugins.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin);
        for metric in known.into_iter().flat_map(HashMap::into_values) {
            let collector: Box<dyn Collector> = match metric {
                Metric::Counter(counter) => Box::new(counter),
                Metric::Histogram(histogram) => Box::new(histogram),
            };
            // What is known here was registered.
            let _ = self.registry.unregister(collector);
        }
    }

    fn metric(&self, plugin: &str, name: &str, observe: &Observe) -> Result<Metric, OperationError> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        let known = plugins.entry(plugin.to_owned()).or_default();
        if let Some(metric) = known.get(name) {
            return Ok(metric.clone());
        }
        check_name(name)?;
        if known.len() >= MOST {
            return Err(OperationError::overloaded(format!(
                "`{plugin}` has {MOST} metrics, which is the limit"
            )));
        }
        let metric = self.make(plugin, name, observe)?;
        known.insert(name.to_owned(), metric.clone());
        Ok(metric)
    }

    fn make(&self, plugin: &str, name: &str, observe: &Observe) -> Result<Metric, OperationError> {
        let help = format!("What {plugin} reports about its own work.");
        let taken = |_| OperationError::conflict(format!("the host already has a metric named `{name}`"));
        let (metric, collector): (Metric, Box<dyn Collector>) = match observe {
            Observe::Count { .. } => {
                let counter =
                    IntCounter::new(format!("switchboard_{plugin}_{name}_total"), help).map_err(taken)?;
                (Metric::Counter(counter.clone()), Box::new(counter))
            }
            Observe::Measure { .. } => {
                let options =
                    HistogramOpts::new(format!("switchboard_{plugin}_{name}"), help).buckets(BUCKETS.into());
                let histogram = Histogram::with_opts(options).map_err(taken)?;
                (Metric::Histogram(histogram.clone()), Box::new(histogram))
            }
        };
        self.registry.register(collector).map_err(taken)?;
        Ok(metric)
    }
}

/// Names become parts of metrics' names.
fn check_name(name: &str) -> Result<(), OperationError> {
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|next| next.is_ascii_lowercase() || next.is_ascii_digit() || next == '_')
        && name.len() <= 64
        && !name.ends_with("_total");
    if fits {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`{}` is not a metric name: use snake_case, at most 64 letters, without `_total`",
        name.chars().take(80).collect::<String>()
    )))
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    fn count(name: &str) -> Observe {
        Observe::Count { name: name.into(), by: 2 }
    }

    fn measure(name: &str, value: f64) -> Observe {
        Observe::Measure { name: name.into(), value }
    }

    #[test]
    fn what_a_plugin_observes_is_a_metric_of_its_name() {
        let registry = Registry::new();
        let observations = Observations::new(registry.clone());
        observations.take("bridge", count("calls")).unwrap();
        observations.take("bridge", count("calls")).unwrap();
        observations.take("bridge", measure("first_audio_seconds", 0.2)).unwrap();
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("switchboard_bridge_calls_total 4\n"), "{text}");
        assert!(text.contains("switchboard_bridge_first_audio_seconds_bucket{le=\"0.25\"} 1\n"), "{text}");
        assert!(text.contains("switchboard_bridge_first_audio_seconds_bucket{le=\"0.1\"} 0\n"), "{text}");
    }

    #[test]
    fn what_is_no_metric_is_refused() {
        let observations = Observations::new(Registry::new());
        let refused = |observe| observations.take("bridge", observe).unwrap_err().to_string();
        observations.take("bridge", count("calls")).unwrap();
        assert_eq!(
            refused(measure("calls", 1.0)),
            "conflict: `calls` is both counted and measured: it can be only one of them"
        );
        assert!(refused(count("Calls {}")).starts_with("invalid: `Calls {}` is not a metric name"));
        assert!(refused(measure("seconds", f64::NAN)).starts_with("invalid: `seconds` is measured as"));
        for index in 1..MOST {
            observations.take("bridge", count(&format!("calls_{index}"))).unwrap();
        }
        assert_eq!(refused(count("more")), "overloaded: `bridge` has 64 metrics, which is the limit");
    }
}
