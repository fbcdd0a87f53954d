//! Row 6: from the start of the process to the first 200 of `/readyz`, and the resident memory then: the configuration
//! that ships, an empty folder for data, and so a new SQLite file. The system may have the files in its cache.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use switchboard_tests::{Setup, artifacts::repository};

use crate::{cpu, measure::median, table::Row};

const LIMIT: Duration = Duration::from_secs(30);

pub fn starts(rounds: usize) -> Vec<Row> {
    let text = fs::read_to_string(repository().join("plugins.toml")).expect("the repository ships one");
    let measured: Vec<_> = (0..rounds).map(|_| start(&text)).collect();
    let (times, memory) = measured.into_iter().unzip();
    vec![
        Row::limit(6, "cold start of what ships, until ready", "ms", median(times), 300.0),
        Row::limit(6, "resident memory then", "MiB", median(memory), 100.0),
    ]
}

/// Milliseconds and MiB.
fn start(text: &str) -> (f64, f64) {
    let address = free_address();
    let setup = Setup::new(text).env("SWITCHBOARD_LISTEN", &address);
    let began = Instant::now();
    let mut process = setup.spawn(&["run"]);
    while !is_ready(&address) {
        assert!(process.is_running() && began.elapsed() < LIMIT, "never ready\n{}", process.output());
        thread::sleep(Duration::from_millis(1));
    }
    let took = began.elapsed().as_secs_f64() * 1000.0;
    (took, cpu::resident(process.id()))
}

/// A port that was free a moment ago: who waits for the host must know it before the host does.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").to_string()
}

fn is_ready(address: &str) -> bool {
    let Ok(mut connection) = TcpStream::connect(address) else { return false };
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    let answered =
        connection.write_all(request.as_bytes()).and_then(|()| connection.read_to_string(&mut answer));
    answered.is_ok() && answer.starts_with("HTTP/1.1 200")
}
