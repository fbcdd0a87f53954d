//! At the door: signals that come before the host is up, commands to a host that is stopped, and crowds of connections
//! that take everything and give nothing.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    events::EventClient,
    flip::flip,
    footprint::Footprint,
    process::Process,
    trials,
    wait::{LIMIT, wait_until},
};
use tungstenite::Message;

use crate::routes;

pub fn tests() -> Vec<Trial> {
    trials![
        a_hangup_while_the_configuration_is_read_ends_nothing,
        a_signal_to_stop_while_the_configuration_is_read_ends_it_cleanly,
        a_stopped_host_is_not_waited_for_without_end,
        whoever_follows_a_host_that_is_stopped_learns_of_it,
        a_living_host_may_take_its_time,
        a_crowd_that_sends_nothing_keeps_nobody_out,
        a_crowd_of_busy_connections_leaves_the_process_its_say,
        whoever_reads_nothing_loses_the_connection,
        event_streams_that_nobody_reads_cost_nobody_anything,
        a_host_without_descriptors_is_degraded_until_it_has_some,
        without_descriptors_the_process_still_answers_for_itself,
    ]
}

/// A configuration that takes a while to read.
fn long() -> Setup {
    Setup::new(&format!("[plugins.faulty]\n{}", "# a line that says nothing\n".repeat(30_000)))
}

/// Starts a host and waits until it reads its configuration.
fn reading(setup: &Setup) -> Process {
    let length = fs::metadata(setup.path("plugins.toml")).expect("it is there").len();
    let process = setup.spawn(&["run"]);
    let begun = Instant::now();
    while bytes_read(process.id()) < length {
        assert!(begun.elapsed() < LIMIT, "the configuration is not read: {}", process.output());
        std::thread::yield_now();
    }
    process
}

/// How many bytes a process has read.
fn bytes_read(process: u32) -> u64 {
    let counts = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let read = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.and_then(|count| count.parse().ok()).unwrap_or_default()
}

fn a_hangup_while_the_configuration_is_read_ends_nothing() {
    let setup = long();
    let mut process = reading(&setup);
    process.signal(Signal::HUP);
    wait_until("the host to be up", || setup.path("data/run.json").exists(), |up| *up);
    assert!(process.is_running(), "{}", process.output());
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code, Some(0));
}

fn a_signal_to_stop_while_the_configuration_is_read_ends_it_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let setup = long();
        let mut process = reading(&setup);
        process.signal(signal);
        let finished = process.wait();
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(!setup.path("data/run.json").exists(), "it tells of a host that is gone");
    }
}

/// A host that takes connections, as the system does for it, and answers none.
fn stopped() -> TestHost {
    let mut host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    host.process().signal(Signal::STOP);
    host
}

fn a_stopped_host_is_not_waited_for_without_end() {
    let mut host = stopped();
    let process = format!("(process {})", host.process().id());
    let commands: [&[&str]; 6] = [
        &["status"],
        &["status", "--json"],
        &["doctor"],
        &["log", "faulty", "debug"],
        &["reload"],
        &["call", "faulty.echo", r#"{"text":"a"}"#],
    ];
    for command in commands {
        let finished = host.command(&[command, &["--timeout", "500ms"]].concat());
        assert_eq!(finished.code, Some(3), "{command:?} {finished:?}");
        for words in ["did not answer within 500ms", &process, "--timeout"] {
            assert!(finished.stderr.contains(words), "{command:?} {finished:?}");
        }
    }
    let finished = host.command(&["status"]);
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(finished.stderr.contains("did not answer within 10s"), "{finished:?}");
    assert_eq!(host.command(&["status", "--timeout", "soon"]).code, Some(2));

    host.process().signal(Signal::CONT);
    assert_eq!(host.command(&["status"]).code, Some(0));
}

fn whoever_follows_a_host_that_is_stopped_learns_of_it() {
    let mut host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    for format in [&[][..], &["--json"]] {
        let command = [&["status", "--watch", "--timeout", "1s"], format].concat();
        let follower = host.setup().spawn(&command);
        wait_until("the first picture", || follower.stdout(), |shown| shown.contains("faulty"));
        host.process().signal(Signal::STOP);
        let finished = follower.wait();
        assert_eq!(finished.code, Some(3), "{finished:?}");
        assert!(finished.stderr.contains("did not answer within 1s"), "{finished:?}");
        host.process().signal(Signal::CONT);
        host.wait_for_status("faulty", "connected");
    }
}

/// The limit is for a host that is silent: a call has a deadline of its own.
fn a_living_host_may_take_its_time() {
    let host = Setup::new("[plugins.web]\n").start();
    host.wait_for_status("web", "connected");
    let request = json!({"millis": Duration::from_secs(5).as_millis()}).to_string();
    let called = host.command(&["call", "web.slow", &request, "--timeout", "2s"]);
    assert_eq!(called.code, Some(0), "{called:?}");
}

/// Connects and sends these bytes, no more.
fn send(host: &TestHost, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(host.address()).expect("the system takes it");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit can be set");
    stream.write_all(bytes).expect("the system takes it");
    stream
}

/// Asks over a connection that is kept; gives status and body.
fn ask(stream: &mut BufReader<TcpStream>, path: &str) -> (u16, String) {
    write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it is sent");
    let (mut status, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).expect("an answer comes");
        assert!(read > 0, "the connection was closed");
        match line.trim_end().to_ascii_lowercase().split_once(' ') {
            Some(("http/1.1", rest)) => status = rest[..3].parse().expect("a status is a number"),
            Some(("content-length:", value)) => length = value.parse().expect("a length is a number"),
            None if line == "\r\n" => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the body comes");
    (status, String::from_utf8(body).expect("it is text"))
}

/// How many connections were cut for this cause.
fn cut(host: &TestHost, cause: &str) -> u64 {
    let metrics = host.get("/metrics").body;
    let name = format!("switchboard_connections_cut_total{{cause=\"{cause}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no `{name}` in {metrics}"))
}

/// More than the host takes at once.
const CROWD: usize = 850;

const EVENTS: &[u8] = b"GET /api/health/events HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn a_crowd_that_sends_nothing_keeps_nobody_out() {
    let host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    let half: &[u8] = b"GET /api/health HTTP/1.1\r\nhost: loc";
    let crowd: Vec<_> =
        (0..CROWD).map(|number| send(&host, if number % 2 == 0 { b"" } else { half })).collect();
    for path in ["/api/health", "/livez", "/readyz", "/api/health/connections"] {
        assert_eq!(host.get(path).status, 200, "{path}");
    }
    assert!(cut(&host, "idle") >= (CROWD - 800) as u64);
    drop(crowd);
}

/// Event streams that nobody reads, and requests of which the rest does not come.
fn a_crowd_of_busy_connections_leaves_the_process_its_say() {
    let host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    let mut crowd: Vec<_> = (0..500).map(|_| send(&host, EVENTS)).collect();
    let half = b"POST /api/operations/faulty/echo HTTP/1.1\r\nhost: localhost\r\n\
                 content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let refused = wait_until(
        "the host to be full",
        || {
            crowd.extend((0..100).map(|_| send(&host, half)));
            host.get("/api/health")
        },
        |answer| answer.status == 503,
    );
    assert!(refused.body.contains("all connections of the host are in use"), "{}", refused.body);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(host.get(path).status, 200, "{path}");
    }
    drop(crowd);
    wait_until("room", || host.get("/api/health").status, |status| *status == 200);
}

fn whoever_reads_nothing_loses_the_connection() {
    let host = routes::start();
    let request = b"GET /api/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2000);
    let deaf = TcpStream::connect(host.address()).expect("the system takes it");
    let mut socket = routes::connect(&host, "", "sesame").expect("it is taken");
    // Both are written to until nothing more is taken: then the host waits for the reader.
    for stream in [&deaf, socket.get_ref()] {
        stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a limit can be set");
    }
    let _ = (&deaf).write_all(&request);
    while socket.send(Message::binary(vec![7; 1 << 16])).is_ok() {}
    wait_until("both to be cut", || cut(&host, "unread"), |count| *count == 2);
    drop((deaf, socket));
}

/// Plugins whose trouble takes many words, so that one picture of health does not fit on the way to a client.
fn wordy() -> TestHost {
    let path = format!("/{}", "far/".repeat(200));
    let plugin = |number| format!("[plugins.plugin_{number}]\nlibrary = \"{path}{number}\"\n");
    let plugins: String = (0..3000).map(plugin).collect();
    Setup::new(&format!("[plugins.faulty]\n{plugins}")).start()
}

/// Asks for events and takes none of them. Little fits on the way.
fn deaf(host: &TestHost) -> TcpStream {
    let stream = send(host, b"");
    set_socket_recv_buffer_size(&stream, 4096).expect("a buffer can be small");
    (&stream).write_all(EVENTS).expect("the system takes it");
    stream
}

fn streams_open(host: &TestHost) -> u64 {
    let metrics = host.get("/metrics").body;
    let count = metrics.lines().find_map(|line| line.strip_prefix("switchboard_event_streams_open "));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no streams in {metrics}"))
}

fn event_streams_that_nobody_reads_cost_nobody_anything() {
    const DEAF: usize = 100;
    let mut host = wordy();
    host.wait_for_status("faulty", "connected");
    let picture = host.get("/api/health/connections").body.len();
    assert!(picture > 5_000_000, "one picture has {picture} bytes");
    let mut reader = EventClient::new(host.address(), &[]);
    assert_eq!(reader.next_event().kind, "snapshot");

    let before = Footprint::of(host.process().id()).memory_kib;
    let crowd: Vec<_> = (0..DEAF).map(|_| deaf(&host)).collect();
    wait_until("all of them to be served", || streams_open(&host), |open| *open == DEAF as u64 + 1);
    for path in ["/api/health", "/livez", "/readyz"] {
        assert_eq!(host.get(path).status, 200, "{path}");
    }
    // A client that reads goes on getting events.
    flip(&host, &[], 0);
    reader.next_event();
    let grown = Footprint::of(host.process().id()).memory_kib.saturating_sub(before);
    assert!(grown < 128 * 1024, "{grown} KiB for {DEAF} clients that read nothing");

    wait_until("those that read nothing to be cut", || cut(&host, "unread"), |count| *count == DEAF as u64);
    wait_until("their streams to end", || streams_open(&host), |open| *open == 1);
    assert_eq!(EventClient::new(host.address(), &[]).next_event().kind, "snapshot");
    drop(crowd);
}

/// Sets how many descriptors the host may have open; gives the limit that was.
fn limit_descriptors(host: &mut TestHost, current: Option<u64>) -> Option<u64> {
    let id = i32::try_from(host.process().id()).expect("an id is small");
    // As the host has inherited it.
    let limit = Rlimit { current, ..getrlimit(Resource::Nofile) };
    prlimit(Pid::from_raw(id), Resource::Nofile, limit).expect("a limit can be set").current
}

fn a_host_without_descriptors_is_degraded_until_it_has_some() {
    let mut host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    let mut inside = BufReader::new(send(&host, b""));
    let mut health = || serde_json::from_str::<Value>(&ask(&mut inside, "/api/health").1).expect("JSON");
    wait_until("the start to be over", &mut health, |health| health["status"] == "healthy");

    // Nobody comes, and it is noticed all the same.
    let before = limit_descriptors(&mut host, Some(3));
    let degraded = wait_until("trouble", &mut health, |health| health["status"] == "degraded");
    let cause = &degraded["causes"][0];
    assert_eq!((&cause["name"], &cause["code"]), (&json!("host"), &json!("unavailable")), "{degraded}");
    let message = cause["message"].as_str().unwrap_or_default();
    assert!(message.contains("no file descriptor is left") && message.contains("LimitNOFILE"), "{message}");
    assert!(
        degraded["notes"].to_string().contains("no file descriptor is left"),
        "`status` shows it: {degraded}"
    );
    host.wait_for_output("no file descriptor is left");

    limit_descriptors(&mut host, before);
    let healthy = wait_until("the end of it", &mut health, |health| health["status"] == "healthy");
    assert_eq!(healthy["causes"], json!([]));
}

fn without_descriptors_the_process_still_answers_for_itself() {
    let mut host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    let open = fs::read_dir(format!("/proc/{}/fd", host.process().id())).expect("it can be listed");
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let highest = numbers.max().expect("some are open");
    let before = limit_descriptors(&mut host, Some(highest + 1));

    // Streams are never idle: they hold what is left.
    let mut streams = Vec::new();
    let refused = loop {
        assert!(streams.len() < 1000, "there is no end of descriptors");
        let mut stream = BufReader::new(send(&host, EVENTS));
        let mut head = String::new();
        stream.read_line(&mut head).expect("an answer comes");
        if head.contains(" 503 ") {
            let _ = stream.read_to_string(&mut head);
            break head;
        }
        streams.push(stream);
    };
    assert!(refused.contains("no file descriptor left"), "{refused}");
    for path in ["/livez", "/readyz"] {
        assert_eq!(host.get(path).status, 200, "{path}");
    }
    let metrics = host.get("/metrics").body;
    assert!(!metrics.contains("\nswitchboard_accept_errors_total 0\n"), "{metrics}");

    limit_descriptors(&mut host, before);
    wait_until("health", || host.get("/api/health").status, |status| *status == 200);
    drop(streams);
}
