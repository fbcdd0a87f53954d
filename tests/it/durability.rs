//! What was acknowledged stays, whoever is killed; what was taken is finished, when the host is told to stop.

use std::{
    collections::BTreeSet,
    net::TcpStream,
    thread::{self, JoinHandle},
};

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use switchboard_tests::{
    Setup, TestHost, http,
    partners::{postgres::Postgres, small_disk::SmallDisk, strace::Strace},
    trial::Outcome,
    trials,
    wait::wait_until,
    writers::Writers,
};
use tungstenite::{Message, protocol::frame::coding::CloseCode};

pub fn tests() -> Vec<Trial> {
    trials![
        postgresql_is_killed_under_200_calls_at_once,
        the_host_is_killed_while_it_writes,
        a_full_disk_loses_nothing_that_was_acknowledged,
        what_is_acknowledged_is_on_the_disk,
        a_stop_cuts_nothing_that_was_taken,
        a_stop_ends_what_outlasts_the_grace_period,
    ]
}

fn postgresql_is_killed_under_200_calls_at_once() -> Outcome {
    let mut postgres = Postgres::start()?;
    postgres.query("create table ledger (id bigint primary key)");
    let config = r#"
        [plugins.database]
        init = { timeout = "10s" }
        probe = { interval = "500ms", timeout = "15s" }
        retry = { attempts = 3, base = "50ms", cap = "200ms" }
        calls = { concurrent = 200, queue = 200 }
        [plugins.faulty]
    "#;
    let host = Setup::new(config).env("DATABASE_URL", &postgres.url()).start();
    host.wait_for_status("database", "connected");

    let writers = Writers::start(&host, 200, "ledger", 1);
    writers.wait_for_more(400);
    for _ in 0..2 {
        postgres.crash();
        let lost = host.wait_for_status("database", "error");
        assert_eq!(lost["reason"]["retryable"], true, "{lost:#}");
        assert_eq!(host.call("faulty", "echo", &json!({"text": "well"})).status, 200);
        let refused = writers.refused();
        wait_until("writes that are refused", || writers.refused(), |now| *now > refused);
        postgres.resume();
        let back = host.wait_for_status("database", "connected");
        assert_eq!(back["generation"], 1, "without a restart");
        writers.wait_for_more(200);
    }
    let acknowledged = writers.stop();
    let rows = postgres.query("select id from ledger");
    let rows: BTreeSet<u64> = rows.lines().filter_map(|row| row.parse().ok()).collect();
    none_lost(&acknowledged, &rows);
    Ok(())
}

#[track_caller]
fn none_lost(acknowledged: &BTreeSet<u64>, rows: &BTreeSet<u64>) {
    let lost: Vec<_> = acknowledged.difference(rows).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged rows are lost: {lost:?}", lost.len(), acknowledged.len());
}

fn the_host_is_killed_while_it_writes() {
    let mut setup = Setup::new("[plugins.database]\n");
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let host = setup.start();
        host.wait_for_status("database", "connected");
        let create = json!({"sql": "create table if not exists ledger (id integer primary key)"});
        let created = host.call("database", "execute", &create);
        assert_eq!(created.status, 200, "{}", created.body);
        let writers = Writers::start(&host, 16, "ledger", 1_000_000 * (round + 1));
        writers.wait_for_more(200);
        setup = host.kill();
        acknowledged.extend(writers.stop());
    }
    let host = setup.start();
    host.wait_for_status("database", "connected");
    none_lost(&acknowledged, &ids(&host));
    let sound =
        host.call("database", "query", &json!({"sql": "select integrity_check from pragma_integrity_check"}));
    assert!(sound.body.contains("\"ok\""), "{}", sound.body);
}

fn a_full_disk_loses_nothing_that_was_acknowledged() -> Outcome {
    let config = "[plugins.database]\nprobe = { interval = \"300ms\", timeout = \"15s\" }\n";
    let setup = Setup::new(config).env("DATABASE_URL", "sqlite:store/main.db");
    let disk = SmallDisk::mount(&setup.path("store"), 16)?;
    let host = setup.start();
    let disk = disk;
    host.wait_for_status("database", "connected");
    let create = json!({"sql": "create table ledger (id integer primary key)"});
    assert_eq!(host.call("database", "execute", &create).status, 200);
    let writers = Writers::start(&host, 8, "ledger", 1);
    for _ in 0..2 {
        writers.wait_for_more(200);
        disk.fill();
        host.wait_for_status("database", "error");
        let refused = writers.refused();
        wait_until("writes that are refused", || writers.refused(), |now| *now > refused + 20);
        disk.make_room();
        let back = host.wait_for_status("database", "connected");
        assert_eq!(back["generation"], 1, "without a restart");
    }
    writers.wait_for_more(200);
    none_lost(&writers.stop(), &ids(&host));
    Ok(())
}

/// A loss of power takes what the kernel has not been told to sync: each answer follows a sync of its own.
fn what_is_acknowledged_is_on_the_disk() -> Outcome {
    let mut host = Setup::new("[plugins.database]\n").start();
    host.wait_for_status("database", "connected");
    let execute = |host: &TestHost, sql: &str| {
        let answer = host.call("database", "execute", &json!({"sql": sql}));
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    execute(&host, "create table ledger (id integer primary key)");
    let process = host.process().id();
    let trace = Strace::attach(process, "fdatasync,write,writev,sendto,sendmsg")?;
    for _ in 0..5 {
        execute(&host, "insert into ledger default values");
    }
    let trace = trace.detach().expect("a trace");
    let (mut syncs, mut answers) = (0, 0);
    for call in &trace {
        if call.contains("fdatasync") && call.ends_with("= 0") {
            syncs += 1;
        } else if call.contains("HTTP/1.1 200") {
            answers += 1;
            assert!(syncs > 0, "answer {answers} before a sync: {trace:#?}");
            syncs = 0;
        }
    }
    assert_eq!(answers, 5, "{trace:#?}");
    Ok(())
}

/// The ids in the table, whichever way they are grouped in the answer.
fn ids(host: &TestHost) -> BTreeSet<u64> {
    let sql = "select group_concat(id) as ids from ledger";
    let answer = host.call("database", "query", &json!({"sql": sql}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let numbers = answer.body.split(|letter: char| !letter.is_ascii_digit());
    numbers.filter_map(|number| number.parse().ok()).collect()
}

/// `unruly` answers after a while, and a stop waits for it.
fn start(grace: &str) -> TestHost {
    let host = Setup::new(&format!(
        "[host]\nshutdown_grace = \"{grace}\"\n[plugins.unruly]\ncalls = {{ concurrent = 100 }}\n"
    ))
    .start();
    host.wait_for_status("unruly", "connected");
    host
}

type Client = JoinHandle<Result<http::Response, String>>;

fn clients(host: &TestHost, count: usize, path: &str) -> Vec<Client> {
    let client = |_| {
        let (address, path) = (host.address().to_owned(), path.to_owned());
        thread::spawn(move || http::request(&address, "GET", &path, &[], None))
    };
    (0..count).map(client).collect()
}

fn a_stop_cuts_nothing_that_was_taken() {
    let mut host = start("25s");
    let calls = clients(&host, 30, "/unruly/call?wait=1500");
    let streams = clients(&host, 10, "/unruly/stream?wait=1500");
    let socket = TcpStream::connect(host.address()).expect("it listens");
    let url = format!("ws://{}/unruly/socket?wait=1500", host.address());
    let (mut socket, _) = tungstenite::client(url, socket).expect("the WebSocket is taken");
    let waiting = |output: &String| output.matches("a request waits").count() == 41;
    wait_until("all requests to be taken", || host.output(), waiting);

    host.process().signal(Signal::TERM);
    for client in calls {
        let answer = client.join().expect("a client does not panic").expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "fine"));
    }
    for client in streams {
        let answer = client.join().expect("a client does not panic").expect("a whole answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "one two"));
    }
    let mut read = || socket.read().expect("the WebSocket is served to its end");
    assert_eq!((read(), read()), (Message::text("{\"status\":200}"), Message::text("one ")));
    assert_eq!(read(), Message::text("two"));
    match read() {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Normal),
        other => panic!("not a close frame: {other:?}"),
    }
    let (finished, _) = host.wait();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

fn a_stop_ends_what_outlasts_the_grace_period() {
    let mut host = start("300ms");
    let patient = clients(&host, 3, "/unruly/call?fault=%22hang%22");
    let socket = TcpStream::connect(host.address()).expect("it listens");
    let url = format!("ws://{}/unruly/socket?late=%22hang%22", host.address());
    let (mut socket, _) = tungstenite::client(url, socket).expect("the WebSocket is taken");
    for _ in 0..2 {
        socket.read().expect("two frames");
    }
    wait_until("the calls to be taken", || calls_in_progress(&host), |open| *open);
    host.process().signal(Signal::TERM);
    match socket.read() {
        Ok(Message::Close(Some(frame))) => assert_eq!(frame.code, CloseCode::Away, "{frame:?}"),
        other => panic!("no close frame, but {other:?}"),
    }
    let (finished, _) = host.wait();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for client in patient {
        let answer = client.join().expect("a client does not panic");
        assert!(!matches!(&answer, Ok(answer) if answer.status == 200), "{answer:?}");
    }
}

/// Whether the stream is open; the calls were sent before it.
fn calls_in_progress(host: &TestHost) -> bool {
    host.get("/metrics").body.contains("switchboard_streams_open{operation=\"stream\",plugin=\"unruly\"} 1\n")
}
