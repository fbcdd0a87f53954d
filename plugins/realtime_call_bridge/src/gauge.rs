//! What happens on calls -> the host's metrics. Nobody waits for them.

use plugin_api::{prelude::*, requests::voice::MediaReport, tokio, tracing};

use crate::machine::Measure;

/// Counts and measures for the host.
#[derive(Clone)]
pub struct Gauge {
    context: Context,
}

impl Gauge {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    pub fn measured(&self, measure: Measure) {
        let (name, ms) = match measure {
            Measure::FirstAudio(ms) => ("first_audio_seconds", ms),
            Measure::Interruption(ms) => ("interruption_seconds", ms),
        };
        self.measure(name, ms);
    }

    pub fn refused(&self) {
        self.count("refused", 1);
    }

    /// A call is over.
    pub fn over(&self, report: &MediaReport, failed: bool) {
        self.measure("call_seconds", report.received_ms + report.padded_ms);
        self.count(if failed { "failed" } else { "ended" }, 1);
        for (name, by) in [("padded_milliseconds", report.padded_ms), ("discarded", report.discarded)] {
            if by > 0 {
                self.count(name, by);
            }
        }
    }

    fn measure(&self, name: &'static str, ms: u64) {
        let host = self.context.host();
        // A call takes less than the years after which this would lose a millisecond.
        let seconds = ms as f64 / 1000.0;
        tokio::spawn(async move { told(host.measure(name, seconds).await) });
    }

    fn count(&self, name: &'static str, by: u64) {
        let host = self.context.host();
        tokio::spawn(async move { told(host.count(name, by).await) });
    }
}

fn told(outcome: Result<(), OperationError>) {
    if let Err(error) = outcome {
        tracing::debug!("the host takes no metrics: {error}");
    }
}
