//! Row 8: calls in progress, 50 frames a second each way, over real sockets through the host, the bridge and a
//! conversation that says what it hears (the fixture `speaker`); beside a bare axum WebSocket that sends every frame
//! back. The round trip of a frame is timed; the difference is what host and plugins add.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::ws::{Message as Echoed, WebSocket, WebSocketUpgrade},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    select, spawn,
    time::{sleep_until, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::{
    cpu,
    measure::{Pair, median, percentile},
    table::Row,
};

/// In a debug build it only shows that it works.
const CALLS: usize = if cfg!(debug_assertions) { 10 } else { 100 };
/// Frames of a call in a round: two seconds.
const FRAMES: u32 = 100;
const FRAME: Duration = Duration::from_millis(20);
const BYTES: usize = 160;
/// A frame that has not come back by then is lost.
const PATIENCE: Duration = Duration::from_secs(5);
const PATH: &str = "/media/twilio";

const PLUGINS: &str = r#"
    [plugins.voice_assistant]
    library = "speaker"
    [plugins.realtime_call_bridge.settings]
    require_signature = false
    max_calls = 1000
"#;

pub fn calls(rounds: usize) -> Vec<Row> {
    let runtime = Runtime::new().expect("a runtime can be made");
    let mut host = Setup::new(PLUGINS).start();
    host.wait_for_status("realtime_call_bridge", "connected");
    let process = host.process().id();
    let echo = Runtime::new().expect("a runtime can be made");
    let bare = echo.block_on(serve());
    let before = cpu::resident(process);
    let mut ours = Side::open(&runtime, host.address());
    let mut reference = Side::open(&runtime, &bare);
    // The first round opens the conversations.
    ours.round(&runtime);
    reference.round(&runtime);
    let memory = (cpu::resident(process) - before) * 1024.0 / CALLS as f64;
    let mut measured = Measured::default();
    for _ in 0..rounds {
        measured.round(&runtime, &host, process, &mut ours, &mut reference);
    }
    echo.shutdown_background();
    measured.rows(memory)
}

/// What the rounds gave.
#[derive(Default)]
struct Measured {
    ours: (Vec<f64>, Vec<f64>),
    reference: (Vec<f64>, Vec<f64>),
    added: Vec<f64>,
    cores: Vec<f64>,
    lost: usize,
    frames: usize,
}

impl Measured {
    fn round(
        &mut self,
        runtime: &Runtime,
        host: &TestHost,
        process: u32,
        ours: &mut Side,
        reference: &mut Side,
    ) {
        let (began, used) = (Instant::now(), cpu::time(process));
        let by_us = ours.round(runtime);
        let used = (cpu::time(process) - used) as f64 / 1e9;
        self.cores.push(100.0 * used / began.elapsed().as_secs_f64());
        let bare = reference.round(runtime);
        self.frames += CALLS * FRAMES as usize;
        self.lost += CALLS * FRAMES as usize - by_us.len();
        if by_us.is_empty() || bare.is_empty() {
            eprintln!("row 8: no frame came back\n{}", host.output());
            return;
        }
        let shares = |delays: Vec<f64>| (percentile(delays.clone(), 0.5), percentile(delays, 0.99));
        let ((p50, p99), (bare_p50, bare_p99)) = (shares(by_us), shares(bare));
        self.ours.0.push(p50);
        self.ours.1.push(p99);
        self.reference.0.push(bare_p50);
        self.reference.1.push(bare_p99);
        self.added.push((p99 - bare_p99).max(0.0));
    }

    fn rows(self, memory: f64) -> Vec<Row> {
        if self.added.is_empty() {
            return Vec::new();
        }
        let pair = |ours, reference| Pair { ours: median(ours), reference: median(reference) };
        let what = |what: &str| format!("{CALLS} calls, {what}");
        let lost = format!("frames lost, of {}", self.frames);
        vec![
            Row::limit(8, &what(&lost), "", self.lost as f64, 0.0),
            Row::comparison(
                8,
                &what("a frame there and back, p50; bare WebSocket"),
                "us",
                pair(self.ours.0, self.reference.0),
            ),
            Row::comparison(8, &what("the same, p99"), "us", pair(self.ours.1, self.reference.1)),
            Row::limit(8, &what("what is added to it, p99"), "us", median(self.added), 5000.0),
            Row::limit(8, &what("the host's processors"), "% of one", median(self.cores), 100.0),
            Row::figure(8, &what("resident memory of one more"), "KiB", memory),
        ]
    }
}

/// All calls of one side.
struct Side {
    calls: Vec<Call>,
}

impl Side {
    fn open(runtime: &Runtime, address: &str) -> Self {
        let open = |number| runtime.block_on(Call::open(address, number));
        Self { calls: (0..CALLS).map(open).collect() }
    }

    /// How long each frame that came back took, in microseconds.
    fn round(&mut self, runtime: &Runtime) -> Vec<f64> {
        let calls = std::mem::take(&mut self.calls);
        runtime.block_on(async {
            // Evenly over the length of a frame, as calls of strangers are.
            let offset = |number: usize| FRAME * number as u32 / CALLS as u32;
            let talks: Vec<_> = calls
                .into_iter()
                .enumerate()
                .map(|(number, call)| spawn(call.talk(offset(number))))
                .collect();
            let mut delays = Vec::with_capacity(CALLS * FRAMES as usize);
            for talk in talks {
                let (call, of_one) = talk.await.expect("a call does not panic");
                self.calls.push(call);
                delays.extend(of_one);
            }
            delays
        })
    }
}

/// A media stream as Twilio has it. Each frame carries its number.
struct Call {
    socket: WebSocketStream<TcpStream>,
    stream: String,
    next: u32,
}

impl Call {
    async fn open(address: &str, number: usize) -> Self {
        let connection = TcpStream::connect(address).await.expect("the server listens");
        connection.set_nodelay(true).expect("it is a TCP connection");
        let (socket, _) =
            client_async(format!("ws://{address}{PATH}"), connection).await.expect("it is upgraded");
        let mut call = Self { socket, stream: format!("MZ{number}"), next: 0 };
        call.send(&json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" })).await;
        let start = json!({
            "streamSid": call.stream, "callSid": format!("CA{number}"), "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
            "customParameters": { "token": format!("echo{number}") },
        });
        call.send(&json!({ "event": "start", "streamSid": call.stream, "start": start })).await;
        call
    }

    /// A round, and how long each frame took.
    async fn talk(mut self, offset: Duration) -> (Self, Vec<f64>) {
        let first = self.next;
        let mut due = tokio::time::Instant::now() + offset;
        let mut sent: Vec<Instant> = Vec::with_capacity(FRAMES as usize);
        let mut delays = Vec::with_capacity(FRAMES as usize);
        while delays.len() < FRAMES as usize {
            let all_sent = sent.len() == FRAMES as usize;
            select! {
                () = sleep_until(due), if !all_sent => {
                    due += FRAME;
                    sent.push(Instant::now());
                    self.speak().await;
                }
                heard = timeout(PATIENCE, self.socket.next()) => {
                    let Ok(Some(Ok(message))) = heard else { break };
                    for number in self.hear(message).await {
                        // What a round before lost may come now.
                        let place = number.checked_sub(first).and_then(|place| sent.get(place as usize));
                        delays.extend(place.map(|sent| sent.elapsed().as_secs_f64() * 1e6));
                    }
                }
            }
        }
        (self, delays)
    }

    async fn speak(&mut self) {
        let mut audio = [0x55; BYTES];
        audio[..4].copy_from_slice(&self.next.to_le_bytes());
        let at = self.next * 20;
        self.next += 1;
        let media = json!({
            "track": "inbound", "chunk": self.next.to_string(), "timestamp": at.to_string(),
            "payload": STANDARD.encode(audio),
        });
        self.send(&json!({ "event": "media", "streamSid": self.stream, "media": media })).await;
    }

    /// The numbers of the frames in a message. Echoes are played at once, so marks come back at once.
    async fn hear(&mut self, message: Message) -> Vec<u32> {
        let Message::Text(text) = message else { return Vec::new() };
        let frame: Value = serde_json::from_str(&text).expect("it is JSON");
        if frame["event"] == "mark" {
            self.send(&frame).await;
        }
        let Some(payload) = frame["media"]["payload"].as_str() else { return Vec::new() };
        let audio = STANDARD.decode(payload).expect("it is base64");
        let number = |frame: &[u8]| Some(u32::from_le_bytes(*frame.first_chunk()?));
        audio.chunks(BYTES).filter_map(number).collect()
    }

    async fn send(&mut self, frame: &Value) {
        self.socket.send(Message::text(frame.to_string())).await.expect("the server takes frames");
    }
}

/// The bare WebSocket, and where it listens.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let router =
        Router::new().route(PATH, get(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(send_back)));
    spawn(async move { axum::serve(listener, router).await.expect("axum serves") });
    address
}

async fn send_back(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Echoed::Text(_)) && socket.send(message).await.is_err() {
            break;
        }
    }
}
