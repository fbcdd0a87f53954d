//! Row 12: how long a change of status takes to the last of 500 clients that follow the events, from the moment that the
//! board gives it to the moment that the client has read it. Both are on this machine's clock; a moment in an event is cut
//! to the millisecond, so that up to one is measured too much.

use jiff::Timestamp;
use serde_json::Value;
use switchboard_tests::{Setup, TestHost, flip::flip};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    runtime::Runtime,
    sync::mpsc,
};

use crate::{measure::percentile, table::Row};

const CLIENTS: usize = 500;

/// In milliseconds.
const AIM: f64 = 100.0;

pub fn delays(rounds: usize) -> Vec<Row> {
    let host = Setup::new("[plugins.faulty]\nprobe = { interval = \"1h\" }\n").start();
    host.wait_for_status("faulty", "connected");
    let runtime = Runtime::new().expect("a runtime can be made");
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(runtime.block_on(follow(&host)));
    }
    for client in clients {
        runtime.spawn(listen(client, tell.clone()));
    }
    let (mut halves, mut lasts) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        flip(&host, &[], round);
        let delay = || told.blocking_recv().expect("every client follows to the end");
        let delays: Vec<f64> = std::iter::repeat_with(delay).take(CLIENTS).collect();
        // The first round is thrown away.
        if round > 0 {
            halves.push(percentile(delays.clone(), 0.5));
            lasts.push(percentile(delays, 1.0));
        }
    }
    let row = |what: &str, delays: Vec<f64>, share: f64| {
        Row::limit(12, &format!("a change of status to {what}"), "ms", percentile(delays, share), AIM)
    };
    vec![
        row("half of 500 event clients, median", halves, 0.5),
        row("the last of them, median", lasts.clone(), 0.5),
        row("the last of them, worst round", lasts, 1.0),
    ]
}

type Client = Lines<BufReader<TcpStream>>;

/// A client that has its first picture.
async fn follow(host: &TestHost) -> Client {
    let mut stream = TcpStream::connect(host.address()).await.expect("the host listens");
    let request = b"GET /api/health/events HTTP/1.0\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.expect("the host takes requests");
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.expect("the host answers") {
        if line == "event: snapshot" {
            return lines;
        }
    }
    panic!("the host ended the stream");
}

/// Tells the milliseconds that each change took.
async fn listen(mut client: Client, tell: mpsc::UnboundedSender<f64>) {
    let mut is_change = false;
    while let Ok(Some(line)) = client.next_line().await {
        if let (true, Some(data)) = (is_change, line.strip_prefix("data: ")) {
            let now = Timestamp::now();
            let data: Value = serde_json::from_str(data).expect("data is JSON");
            let at: Timestamp = data["at"].as_str().and_then(|at| at.parse().ok()).expect("it says when");
            if tell.send(now.duration_since(at).as_secs_f64() * 1000.0).is_err() {
                return;
            }
        }
        if let Some(kind) = line.strip_prefix("event: ") {
            is_change = kind == "transition";
        }
    }
}
