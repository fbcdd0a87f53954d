//! A mail server that keeps to a script: it misbehaves at exactly the moment that a test is about.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A peer that listens on a port of its own.
pub struct Peer {
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

impl Peer {
    /// Every connection is served by the script, on a thread of its own.
    pub fn start(script: impl Fn(&mut Talk) -> Option<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, script) = (connections.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                counter.fetch_add(1, Ordering::SeqCst);
                let script = script.clone();
                thread::spawn(move || script(&mut Talk::new(stream)));
            }
        });
        Self { port, connections }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A port where nobody listens.
pub fn closed_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// One conversation. Everything is `None` as soon as the other side has gone.
pub struct Talk {
    lines: BufReader<TcpStream>,
    stream: TcpStream,
}

impl Talk {
    fn new(stream: TcpStream) -> Self {
        let reading = stream.try_clone().expect("a socket can be shared");
        Self { lines: BufReader::new(reading), stream }
    }

    pub fn say(&mut self, line: &str) -> Option<()> {
        self.say_bytes(format!("{line}\r\n").as_bytes())
    }

    /// These bytes and no others.
    pub fn say_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).ok()
    }

    pub fn hear(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let length = self.lines.read_until(b'\n', &mut line).ok()?;
        (length > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Hears one request of HTTP, and gives its body.
    pub fn hear_http(&mut self) -> Option<String> {
        let mut length = 0;
        loop {
            let line = self.hear()?.to_ascii_lowercase();
            if let Some(announced) = line.strip_prefix("content-length:") {
                length = announced.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.lines.read_exact(&mut body).ok()?;
        String::from_utf8(body).ok()
    }

    /// Answers it with JSON.
    pub fn say_http(&mut self, status: u16, json: &str) -> Option<()> {
        let length = json.len();
        let head =
            format!("HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {length}");
        self.say_bytes(format!("{head}\r\n\r\n{json}").as_bytes())
    }

    /// Greets, and says yes to everything until a line begins with `stop`.
    pub fn until(&mut self, stop: &str) -> Option<()> {
        self.say("220 peer ESMTP")?;
        self.go_on_until(stop)
    }

    /// Says yes to everything until a line begins with `stop`.
    pub fn go_on_until(&mut self, stop: &str) -> Option<()> {
        loop {
            let line = self.hear()?;
            if line.starts_with(stop) {
                return Some(());
            }
            match line.starts_with("EHLO") {
                true => self.say("250-peer\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN")?,
                false => self.say("250 2.0.0 OK")?,
            }
        }
    }

    /// Takes the mail itself, to its last line.
    pub fn mail(&mut self) -> Option<()> {
        self.say("354 go on")?;
        while self.hear()? != "." {}
        Some(())
    }

    /// Says nothing until the other side goes.
    pub fn fall_silent(&mut self) -> Option<()> {
        while self.hear().is_some() {}
        None
    }
}
