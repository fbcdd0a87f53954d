//! Counts and times calls by plugin and operation. Only operations that manifests declare become labels, so that their
//! number is bounded.

use std::time::Duration;

use plugin_api::error::ErrorKind;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The families that all plugins share.
#[derive(Clone)]
pub struct CallMetrics {
    calls: IntCounterVec,
    errors: IntCounterVec,
    seconds: HistogramVec,
    streams: IntGaugeVec,
    frames: IntCounterVec,
}

impl CallMetrics {
    /// Makes the families and registers them.
    ///
    /// # Errors
    /// A family of the same name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let labels = ["plugin", "operation"];
        let calls =
            IntCounterVec::new(Opts::new("switchboard_calls_total", "Calls of operations."), &labels)?;
        let errors = IntCounterVec::new(
            Opts::new("switchboard_call_errors_total", "Calls of operations that ended with an error."),
            &["plugin", "operation", "kind"],
        )?;
        let buckets = vec![0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
        let seconds = HistogramVec::new(
            HistogramOpts::new("switchboard_call_duration_seconds", "How long calls of operations took.")
                .buckets(buckets),
            &labels,
        )?;
        let streams =
            IntGaugeVec::new(Opts::new("switchboard_streams_open", "Streams that are open."), &labels)?;
        let frames = IntCounterVec::new(
            Opts::new(
                "switchboard_stream_frames_total",
                "Frames on streams that have ended, in both directions.",
            ),
            &labels,
        )?;
        registry.register(Box::new(streams.clone()))?;
        registry.register(Box::new(frames.clone()))?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { calls, errors, seconds, streams, frames })
    }

    /// An operation is gone, and its series with it.
    pub(super) fn forget(&self, plugin: &str, operation: &str) {
        let labels = [plugin, operation];
        // Each is an error only if there is none.
        let _ = self.calls.remove_label_values(&labels);
        let _ = self.seconds.remove_label_values(&labels);
        let _ = self.streams.remove_label_values(&labels);
        let _ = self.frames.remove_label_values(&labels);
        for kind in ErrorKind::ALL {
            let _ = self.errors.remove_label_values(&[plugin, operation, kind.as_str()]);
        }
    }

    /// The counters of one operation, found once and used for every call.
    pub(super) fn operation(&self, plugin: &str, operation: &str) -> OperationMetrics {
        OperationMetrics {
            calls: self.calls.with_label_values(&[plugin, operation]),
            seconds: self.seconds.with_label_values(&[plugin, operation]),
            errors: self.errors.clone(),
            streams: self.streams.with_label_values(&[plugin, operation]),
            frames: self.frames.with_label_values(&[plugin, operation]),
            labels: [plugin.to_owned(), operation.to_owned()],
        }
    }
}

/// The counters of one operation.
pub(super) struct OperationMetrics {
    calls: IntCounter,
    seconds: Histogram,
    errors: IntCounterVec,
    streams: IntGauge,
    frames: IntCounter,
    labels: [String; 2],
}

impl OperationMetrics {
    pub(super) fn record(&self, took: Duration, error: Option<ErrorKind>) {
        self.calls.inc();
        self.seconds.observe(took.as_secs_f64());
        if let Some(kind) = error {
            let [plugin, operation] = &self.labels;
            self.errors.with_label_values(&[plugin.as_str(), operation, kind.as_str()]).inc();
        }
    }
}

impl OperationMetrics {
    /// Counts a stream as open until it is closed or dropped.
    pub(super) fn open_stream(&self) -> OpenStream {
        self.calls.inc();
        self.streams.inc();
        OpenStream { streams: self.streams.clone(), frames: self.frames.clone() }
    }
}

/// A stream that is counted as open.
pub(super) struct OpenStream {
    streams: IntGauge,
    frames: IntCounter,
}

impl OpenStream {
    /// It ended, after so many frames.
    pub(super) fn close(self, frames: u64) {
        self.frames.inc_by(frames);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.dec();
    }
}
