//! The log can neither stop nor end the host, whatever becomes of the file or the pipe that it goes to; and what was lost is
//! counted, and told once it can be.

use std::{
    fs::{self, File, OpenOptions},
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
};

use libtest_mimic::Trial;
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, Resource, Rlimit, Signal, prlimit},
};
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, trials, wait::wait_until};

pub fn tests() -> Vec<Trial> {
    trials![
        a_full_device_does_no_harm,
        a_pipe_whose_reader_is_gone_does_no_harm,
        a_pipe_that_nobody_reads_does_no_harm,
        a_pipe_that_does_not_block_does_no_harm,
        a_start_that_fails_keeps_its_exit_code,
        a_manifest_that_panics_waits_for_no_reader,
        what_a_pipe_did_not_take_is_told_once_it_is_read,
        what_a_file_did_not_take_is_told_once_it_may_grow,
    ]
}

/// Both plugins of one library.
const CONFIG: &str = r#"
[plugins.faulty]
probe = { interval = "200ms", timeout = "10s" }
retry = { attempts = 1, base = "10ms", cap = "50ms" }

[plugins.neighbour]
library = "faulty"
"#;

/// Where both outputs of a host go.
struct Sink {
    stdout: Stdio,
    stderr: Stdio,
}

impl Sink {
    fn of_file(file: &File) -> Self {
        let copy = || file.try_clone().expect("a descriptor is free").into();
        Self { stdout: copy(), stderr: copy() }
    }

    fn of_pipe(writer: &PipeWriter) -> Self {
        let copy = || writer.try_clone().expect("a descriptor is free").into();
        Self { stdout: copy(), stderr: copy() }
    }
}

fn a_full_device_does_no_harm() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    no_harm(Sink::of_file(&full), "failed");
}

fn a_pipe_whose_reader_is_gone_does_no_harm() {
    let (reader, writer) = pipe().expect("a pipe can be made");
    drop(reader);
    no_harm(Sink::of_pipe(&writer), "failed");
}

fn a_pipe_that_nobody_reads_does_no_harm() {
    let (_reader, writer) = full_pipe();
    no_harm(Sink::of_pipe(&writer), "full");
}

fn a_pipe_that_does_not_block_does_no_harm() {
    let (_reader, writer) = full_pipe();
    block(&writer, false);
    no_harm(Sink::of_pipe(&writer), "full");
}

/// A pipe that takes no further byte.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().expect("a pipe can be made");
    block(&writer, false);
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    while writer.write(b"\n").is_ok() {}
    block(&writer, true);
    (reader, writer)
}

/// For all who have this end of the pipe.
fn block(writer: &PipeWriter, blocks: bool) {
    let mut flags = fcntl_getfl(writer).expect("a pipe has flags");
    flags.set(OFlags::NONBLOCK, !blocks);
    fcntl_setfl(writer, flags).expect("they can be set");
}

/// The whole life of a host whose outputs take nothing: it starts, answers, shows what fails and what is well again,
/// reloads, and ends when it is told to.
#[track_caller]
fn no_harm(sink: Sink, cause: &str) {
    let mut host = Setup::new(CONFIG).start_with(sink.stdout, sink.stderr);
    host.wait_until_ready();
    talk(&host);
    wait_until("records to be lost", || lost(&host, "stderr", cause), |count| *count > 0);

    host.call("faulty", "become", &json!({"probe": {"fail": {"code": "refused"}}}));
    let faulty = host.wait_for_status("faulty", "error");
    assert_eq!(faulty["reason"]["code"], "refused", "{faulty:#}");
    let health = host.get("/api/health").json();
    assert_eq!(health["status"], "degraded", "{health:#}");
    host.wait_for_plugin("faulty", "checked again", |seen| seen["checked_at"] != faulty["checked_at"]);
    host.call("faulty", "become", &json!({}));
    host.wait_for_status("faulty", "connected");
    let panicked = host.call("faulty", "commit", &json!({"fault": "panic"}));
    assert_eq!(panicked.status, 500, "{}", panicked.body);
    let verified = host.request("POST", "/api/health/integrations/faulty/verify", &[JSON], Some("{}"));
    assert_eq!(verified.status, 200, "{}", verified.body);
    answers(&host);

    let more = format!("{CONFIG}\n[plugins.newcomer]\nlibrary = \"faulty\"\n");
    fs::write(host.setup().path("plugins.toml"), more).expect("a file can be written");
    host.process().signal(Signal::HUP);
    let came = |seen: &Value| seen["status"] == "connected";
    wait_until("the newcomer", || host.get("/api/health/integrations/newcomer").json(), came);
    answers(&host);

    let (finished, setup) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!setup.path("data/run.json").exists(), "it went through all of its stop");
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[track_caller]
fn answers(host: &TestHost) {
    for path in ["/livez", "/readyz", "/metrics", "/api/health/connections"] {
        assert_eq!(host.get(path).status, 200, "{path}");
    }
    let echoed = host.call("neighbour", "echo", &json!({"text": "well"}));
    assert_eq!(echoed.status, 200, "{}", echoed.body);
}

/// Has more logged than the queue holds, and than a plugin may log at once.
fn talk(host: &TestHost) {
    let text = "x".repeat(8000);
    for _ in 0..600 {
        let told = host.call("neighbour", "log", &json!({"level": "info", "text": text}));
        assert_eq!(told.status, 200, "{}", told.body);
    }
}

#[track_caller]
fn lost(host: &TestHost, output: &str, cause: &str) -> u64 {
    let name = format!("switchboard_log_records_lost_total{{cause=\"{cause}\",output=\"{output}\"}} ");
    let metrics = host.get("/metrics").body;
    let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no {name}in {metrics}"))
}

fn a_start_that_fails_keeps_its_exit_code() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let (_reader, stalled) = full_pipe();
    for sink in [Sink::of_file(&full), Sink::of_pipe(&stalled)] {
        let setup = Setup::new("[plugins.faulty]\nno_such_key = 1\n");
        let finished = setup.spawn_with(&["run"], sink.stdout, sink.stderr).wait();
        assert_eq!(finished.code, Some(64), "{finished:?}");
    }
}

fn a_manifest_that_panics_waits_for_no_reader() {
    let (_reader, writer) = full_pipe();
    let sink = Sink::of_pipe(&writer);
    let setup = Setup::new("[plugins.faulty]\n").env("FAULTY_MANIFEST_PANICS", "1");
    let host = setup.start_with(sink.stdout, sink.stderr);
    let faulty = host.wait_for_status("faulty", "error");
    let message = faulty["reason"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("`manifest` panicked: as told by the environment"), "{faulty:#}");
}

fn what_a_pipe_did_not_take_is_told_once_it_is_read() {
    let (reader, writer) = full_pipe();
    let sink = Sink::of_pipe(&writer);
    let host = Setup::new(CONFIG).start_with(sink.stdout, sink.stderr);
    drop(writer);
    host.wait_until_ready();
    talk(&host);
    wait_until("records to be lost", || lost(&host, "stderr", "full"), |count| *count > 0);

    let read = Reading::start(reader);
    wait_until("the loss to be told", || read.text(), |text| text.contains(LOST));
    host.call("neighbour", "log", &json!({"level": "warn", "text": "still heard"}));
    wait_until("what comes after it", || read.text(), |text| text.contains("still heard"));
    let text = read.text();
    assert_eq!(text.matches(LOST).count(), 1, "{text}");
    assert!(text.contains("its reader is too slow") && text.contains("listens on"), "{text}");
    let health = host.get("/api/health").json();
    assert_eq!(health["status"], "healthy", "{health:#}");
    let (finished, _) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// Reads a pipe to its end in the background.
struct Reading(Arc<Mutex<Vec<u8>>>);

impl Reading {
    fn start(mut reader: PipeReader) -> Self {
        let text = Arc::default();
        let reading = Self(Arc::clone(&text));
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut piece) {
                text.lock().expect("nobody panics with it").extend(&piece[..length]);
            }
        });
        reading
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("nobody panics with it")).into_owned()
    }
}

const LOST: &str = "lines of the log were lost";

fn what_a_file_did_not_take_is_told_once_it_may_grow() {
    let config = format!("[host]\nlog = {{ format = \"json\" }}\n{CONFIG}");
    let mut host = Setup::new(&config).start();
    host.wait_until_ready();
    wait_until("the table", || host.process().stdout(), |output| output.contains("The host is"));
    // No file of the host may be larger than this.
    limit(&mut host, Some(64 * 1024));
    talk(&host);
    wait_until("records to be lost", || lost(&host, "stderr", "failed"), |count| *count > 0);
    answers(&host);
    host.call("faulty", "become", &json!({"probe": {"fail": {"code": "refused"}}}));
    host.wait_for_status("faulty", "error");
    host.call("faulty", "become", &json!({}));
    host.wait_for_status("faulty", "connected");

    limit(&mut host, None);
    // Nobody has to log anything for it.
    wait_until("the loss to be told", || host.process().stderr(), |text| text.contains(LOST));
    host.call("neighbour", "log", &json!({"level": "warn", "text": "still heard"}));
    let log = wait_until("what comes after", || host.process().stderr(), |text| text.contains("still heard"));
    let is_torn = |line: &&str| serde_json::from_str::<Value>(line).is_err();
    let torn = log.lines().filter(is_torn).count();
    assert!(torn <= 1, "only the record at the limit may be cut: {torn} lines");
    assert_eq!(log.matches(LOST).count(), 1, "it is told once");
    let health = host.get("/api/health").json();
    assert_eq!(health["status"], "healthy", "{health:#}");
    let (finished, _) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// How large a file of the host may become.
pub fn limit(host: &mut TestHost, bytes: Option<u64>) {
    let id = i32::try_from(host.process().id()).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(id, Resource::Fsize, limit).expect("the limit of a child can be set");
}
