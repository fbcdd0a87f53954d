//! Output on standard error and standard output passes a bounded queue to one thread for each, which alone writes.
//! Callers never wait for the reader: output that finds no room, or cannot be written, is lost, counted by cause, and
//! told once the reader takes again. No failure to write is a panic.
//!
//! `tracing-appender` has such a writer, but it counts only what found no room, tears a record when a non-blocking pipe is
//! full, and bounds the queue by records, not by memory.

use std::{
    cell::RefCell,
    fmt::Display,
    io::{self, Write},
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use prometheus::{IntCounterVec, Opts};

mod pen;
mod queue;

use pen::Pen;
use queue::Queue;

/// Bytes that may wait for a reader.
const CAPACITY: usize = 4 * 1024 * 1024;

/// How long the end of the process waits for what is not written yet.
const FAREWELL: Duration = Duration::from_secs(1);

/// Counted since the process started, for both outputs.
static LOST: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let name = "switchboard_log_records_lost_total";
    let help = "Records of the log, and lines of standard output, that were lost: `full`, no room in the queue, or \
                `failed`, the system refused to write.";
    IntCounterVec::new(Opts::new(name, help), &["output", "cause"]).expect("name and labels are fit")
});

/// What was lost since it was last told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lost {
    /// Found no room.
    full: u64,
    /// Could not be written.
    failed: u64,
    /// Why the last one could not.
    reason: String,
}

/// A way out of the process, with a queue and a thread of its own.
pub struct Output {
    queue: Queue,
}

static STDERR: OnceLock<&'static Output> = OnceLock::new();
static STDOUT: OnceLock<&'static Output> = OnceLock::new();

/// Standard error, where the log goes.
pub fn stderr() -> &'static Output {
    STDERR.get_or_init(|| Output::start("stderr", apart(io::stderr()), loss_of_log))
}

/// Standard output, where `run` prints its table.
pub fn stdout() -> &'static Output {
    STDOUT.get_or_init(|| Output::start("stdout", apart(io::stdout()), loss_of_stdout))
}

/// Waits until everything that was said is written, for a moment at most: before the process ends.
pub fn finish() {
    // The loss of the one is told by the other.
    for output in [&STDOUT, &STDERR].into_iter().filter_map(OnceLock::get) {
        output.queue.flush(FAREWELL);
    }
}

/// Does [`finish`] when it goes, also when a panic ends the process.
pub struct Farewell;

impl Drop for Farewell {
    fn drop(&mut self) {
        finish();
    }
}

/// How much was lost, by output and cause; one count for all hosts of the process.
pub(super) fn lost() -> IntCounterVec {
    for output in ["stderr", "stdout"] {
        for cause in ["full", "failed"] {
            LOST.with_label_values(&[output, cause]);
        }
    }
    LOST.clone()
}

impl Output {
    /// Starts the thread that writes. It lives as long as the process.
    fn start(name: &'static str, sink: Box<dyn Write + Send>, tell: fn(&Lost) -> Vec<u8>) -> &'static Self {
        let [full, failed] = ["full", "failed"].map(|cause| LOST.with_label_values(&[name, cause]));
        let output: &'static Self = Box::leak(Box::new(Self { queue: Queue::new(CAPACITY, full, failed) }));
        let mut pen = Pen::new(sink);
        // Without the thread everything is lost, and counted.
        let _ = std::thread::Builder::new()
            .name(format!("write-{name}"))
            .spawn(move || output.queue.write_all(&mut pen, tell));
        output
    }

    /// Says a line.
    pub fn say(&self, line: impl Display) {
        self.push(format!("{line}\n").into_bytes());
    }

    /// Hands over what is a line or more already.
    pub(super) fn push(&self, lines: Vec<u8>) {
        KEPT.with_borrow_mut(|kept| match kept {
            Some(kept) => kept.extend(lines),
            None => self.queue.push(lines),
        });
    }
}

thread_local! {
    /// What this thread says while it is not to pass the queue.
    static KEPT: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// The record that tells of records that were lost, to be written before all that wait.
fn loss_of_log(lost: &Lost) -> Vec<u8> {
    KEPT.set(Some(Vec::new()));
    log("the log", lost);
    KEPT.take().unwrap_or_default()
}

/// Logs that lines of standard output were lost; there itself nothing is told.
fn loss_of_stdout(lost: &Lost) -> Vec<u8> {
    log("standard output", lost);
    Vec::new()
}

fn log(output: &str, lost: &Lost) {
    let Lost { full, failed, reason } = lost;
    match failed {
        0 => tracing::warn!(full, failed, "lines of {output} were lost: its reader is too slow"),
        _ => {
            tracing::warn!(full, failed, "lines of {output} were lost: they could not be written ({reason})")
        }
    }
}

/// The same file, but not by the way that all of this process share: a thread that waits there holds up nobody else.
#[cfg(unix)]
fn apart(shared: impl Write + std::os::fd::AsFd + Send + 'static) -> Box<dyn Write + Send> {
    match shared.as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(std::fs::File::from(own)),
        Err(_) => Box::new(shared),
    }
}

#[cfg(not(unix))]
fn apart(shared: impl Write + Send + 'static) -> Box<dyn Write + Send> {
    Box::new(shared)
}
