//! The host's log: its own events and those of plugins, as text or as JSON lines on standard error, with every secret
//! taken out.

use std::{io, sync::Arc};

use plugin_api::protocol::LogRecord;
use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter};

use crate::{
    config::{HostConfig, LogFormat},
    scrub::Scrubber,
    switch::LogSink,
};

/// Under which target the records of plugins are logged.
pub const PLUGIN_TARGET: &str = "plugin";

/// Sends everything that is logged to standard error. Only the first call in a process counts.
pub fn install(config: &HostConfig, scrubber: &Scrubber) {
    // Plugins filter at the source, each by its own level: what arrives is wanted.
    let level = config.log_level().as_str();
    let filter = EnvFilter::new(format!("{level},{PLUGIN_TARGET}=trace"));
    let writer = ScrubbedStderr { scrubber: scrubber.clone() };
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    // An error says that the program that embeds the host has a subscriber of its own, which stays.
    let _ = match config.log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Where the records of plugins go: into the host's log, under their instance's name.
pub(super) fn plugin_sink() -> LogSink {
    Arc::new(|plugin, record| {
        let LogRecord { level, target: module, message, fields, trace } = record;
        let fields =
            if fields.is_empty() { String::new() } else { format!(" {}", serde_json::Value::Object(fields)) };
        let trace = trace.as_deref();
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(target: PLUGIN_TARGET, plugin, module, trace, "{message}{fields}")
            };
        }
        match level.as_str() {
            "ERROR" => log!(error),
            "WARN" => log!(warn),
            "INFO" => log!(info),
            "DEBUG" => log!(debug),
            _ => log!(trace),
        }
    })
}

/// Standard error, one record at a time.
#[derive(Clone)]
struct ScrubbedStderr {
    scrubber: Scrubber,
}

impl<'a> MakeWriter<'a> for ScrubbedStderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for ScrubbedStderr {
    /// The formatter writes each record as a whole, so that no secret is cut in two.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        io::stderr().lock().write_all(self.scrubber.scrub(&text).as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
