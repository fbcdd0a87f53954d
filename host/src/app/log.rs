//! The host's log: its own events and those of plugins, as text or as JSON lines on standard error, with every secret
//! taken out. Nobody who logs waits for the reader of the log, and none of its troubles is theirs: see [`output`].

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use plugin_api::{error::OperationError, protocol::LogRecord};
use serde_json::Value;
use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter};

use crate::{
    config::{HostConfig, LogFormat, LogLevel},
    scrub::{Scrubber, is_steering},
    switch::LogSink,
};

mod flood;
mod panics;

pub(super) use flood::Flood;
use flood::Verdict;

use super::output;

/// Under which target the records of plugins are logged.
pub const PLUGIN_TARGET: &str = "plugin";

/// Sends everything that is logged to standard error, panics included. Only the first call in a process counts. Call
/// [`output::finish`] before the process ends.
pub fn install(config: &HostConfig, scrubber: &Scrubber) {
    let level = config.log_level();
    let writer = ToOutput { scrubber: scrubber.clone() };
    let builder = fmt()
        .with_env_filter(filter(level))
        .with_writer(writer)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        // They would go to standard error at once, and a failure there is a panic.
        .log_internal_errors(false);
    macro_rules! install {
        ($builder:expr) => {{
            let builder = $builder.with_filter_reloading();
            let handle = builder.reload_handle();
            let change: Change = Box::new(move |level| handle.reload(filter(level)).is_ok());
            // An error says that the program that embeds the host has a subscriber of its own, which stays.
            builder.try_init().is_ok().then_some(change)
        }};
    }
    let change = match config.log.format {
        LogFormat::Text => install!(builder),
        LogFormat::Json => install!(builder.json().flatten_event(true)),
    };
    if let Some(change) = change {
        panics::log_them();
        let _ = OWN.set(Own { level: Mutex::new(level), change });
    }
}

/// Sets the level of the host's own log, not that of plugins.
pub(super) fn set_level(level: LogLevel) -> Result<(), OperationError> {
    let own = OWN.get().filter(|own| (own.change)(level)).ok_or_else(|| {
        OperationError::conflict(
            "the program that embeds this host has a log of its own: set its level there",
        )
    })?;
    *own.level.lock().unwrap_or_else(PoisonError::into_inner) = level;
    Ok(())
}

/// The level of the host's own log; `None` if it is not ours.
pub(super) fn level() -> Option<LogLevel> {
    OWN.get().map(|own| *own.level.lock().unwrap_or_else(PoisonError::into_inner))
}

type Change = Box<dyn Fn(LogLevel) -> bool + Send + Sync>;

/// The log of this process, once it is installed.
struct Own {
    level: Mutex<LogLevel>,
    change: Change,
}

static OWN: OnceLock<Own> = OnceLock::new();

/// Plugins filter at the source, each by its own level: what arrives is wanted.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(format!("{},{PLUGIN_TARGET}=trace", level.as_str()))
}

/// The most bytes of a record's message, and as many of its fields.
const LONGEST: usize = 8 * 1024;

/// Where the records of plugins go: into the host's log, under their instance's name, each as one line. Records beyond
/// a plugin's allowance are dropped and counted.
pub(super) fn plugin_sink(flood: Arc<Flood>, scrubber: &Scrubber) -> LogSink {
    let scrubber = scrubber.clone();
    Arc::new(move |plugin, record| {
        match flood.judge(plugin, &record.level) {
            Verdict::Passes => {}
            Verdict::PassesAfter(dropped) => tell_dropped(plugin, dropped),
            Verdict::Dropped => return,
            Verdict::DroppedAfter(dropped) => return tell_dropped(plugin, dropped),
        }
        let (message, fields) = words(&record, &scrubber);
        let LogRecord { level, target, trace, .. } = record;
        let module = shown(&target, &scrubber);
        let trace = trace.map(|trace| shown(&trace, &scrubber));
        let (module, trace) = (module.as_str(), trace.as_deref());
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

fn tell_dropped(plugin: &str, dropped: u64) {
    let most = flood::PER_SECOND;
    tracing::warn!(
        plugin,
        dropped,
        "it logs more than {most} records a second: the rest is dropped and counted"
    );
}

/// A record's message and its fields, as they are shown.
pub(crate) fn words(record: &LogRecord, scrubber: &Scrubber) -> (String, String) {
    let fields = match record.fields.is_empty() {
        true => String::new(),
        false => format!(" {}", shown(&Value::Object(record.fields.clone()).to_string(), scrubber)),
    };
    (shown(&record.message, scrubber), fields)
}

/// One line that steers no terminal and has an end. Secrets go first: half of one would not be found any more.
fn shown(text: &str, scrubber: &Scrubber) -> String {
    let text = scrubber.scrub(text);
    let end = text.floor_char_boundary(LONGEST);
    let mut line = String::with_capacity(end);
    for letter in text[..end].chars() {
        match letter {
            letter if is_steering(letter) => line.extend(letter.escape_default()),
            letter => line.push(letter),
        }
    }
    if end < text.len() {
        line.push_str(&format!("… ({} bytes)", text.len()));
    }
    line
}

/// Records on their way to standard error, one at a time.
#[derive(Clone)]
struct ToOutput {
    scrubber: Scrubber,
}

impl<'a> MakeWriter<'a> for ToOutput {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for ToOutput {
    /// The formatter writes each record as a whole, so that no secret is cut in two.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        output::stderr().push(self.scrubber.scrub(&text).into_owned().into_bytes());
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_that_steers_nothing_and_ends() {
        let scrubber = Scrubber::default();
        assert_eq!(
            shown("first\nsecond\t\u{1b}[31m\u{202e}", &scrubber),
            "first\\nsecond\\t\\u{1b}[31m\\u{202e}"
        );
        assert_eq!(shown("grüße", &scrubber), "grüße");
        let long = shown(&"ä".repeat(LONGEST), &scrubber);
        assert!(long.ends_with(&format!("ä… ({} bytes)", 2 * LONGEST)), "{long}");
    }

    #[test]
    fn no_half_of_a_secret_is_left_where_a_record_is_cut() {
        let scrubber = Scrubber::default();
        scrubber.add(["correct-horse".to_owned()]);
        let text = format!("{}correct-horse", "x".repeat(LONGEST - 7));
        assert!(!shown(&text, &scrubber).contains("correct"));
    }
}
