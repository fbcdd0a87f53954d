//! One host under faults whose log goes to a pipe that stalls, loses its reader and is read again, over and over: it answers
//! all the time, and tells what was lost each time.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::Stdio,
    time::Instant,
};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde_json::json;
use switchboard_tests::{Setup, TestHost, wait::wait_until};

use crate::lives::{CONFIG, FAULTS, misbehave, unharmed};

const LOST: &str = "lines of the log were lost";

/// The end of the pipe that is read, or not.
struct Reader {
    end: File,
}

/// Goes on until then, for a round at least.
pub fn run(ends: Instant) {
    let setup = Setup::new(CONFIG);
    let path = setup.path("log");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe can be made");
    let mut reader = Reader::open(&path);
    let writer = OpenOptions::new().write(true).open(&path).expect("it is being read");
    let host = setup.start_with(Stdio::null(), writer.into());
    for name in ["database", "faulty", "unruly", "neighbour"] {
        host.wait_for_status(name, "connected");
    }
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < ends {
        rounds += 1;
        // It stalls: what is said fills the pipe, and then the queue.
        disturb(&host, "full");
        reader.wait_for_the_loss();
        // It fails: nobody has the other end.
        drop(reader);
        disturb(&host, "failed");
        reader = Reader::open(&path);
        reader.wait_for_the_loss();
        for name in ["database", "faulty", "unruly", "neighbour"] {
            host.wait_for_status(name, "connected");
        }
        println!(
            "round {rounds} of the log: {} and {} records lost",
            lost(&host, "full"),
            lost(&host, "failed")
        );
    }
    let (finished, _) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// All faults, and words until some of them are lost.
#[track_caller]
fn disturb(host: &TestHost, cause: &str) {
    for fault in FAULTS {
        misbehave(host, fault);
        unharmed(host);
    }
    let before = lost(host, cause);
    let text = "x".repeat(8000);
    let say = || {
        for _ in 0..50 {
            host.call("neighbour", "log", &json!({"level": "info", "text": text}));
        }
        lost(host, cause)
    };
    wait_until("records to be lost", say, |now| *now > before);
    unharmed(host);
}

fn lost(host: &TestHost, cause: &str) -> u64 {
    let name = format!("switchboard_log_records_lost_total{{cause=\"{cause}\",output=\"stderr\"}} ");
    let metrics = host.get("/metrics").body;
    let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
    count.and_then(|count| count.parse().ok()).expect("it is counted")
}

impl Reader {
    /// Never waits, neither for the other end nor for what it says.
    fn open(path: &Path) -> Self {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag is small");
        let end = OpenOptions::new().read(true).custom_flags(flags).open(path).expect("it can be read");
        Self { end }
    }

    /// Reads until the loss is told.
    #[track_caller]
    fn wait_for_the_loss(&mut self) {
        let mut text = String::new();
        let mut piece = [0; 64 * 1024];
        let read = || {
            while let Ok(length @ 1..) = self.end.read(&mut piece) {
                text.push_str(&String::from_utf8_lossy(&piece[..length]));
            }
            text.contains(LOST)
        };
        wait_until("the loss to be told", read, |told| *told);
    }
}
