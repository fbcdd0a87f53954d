//! A server that keeps to a script: it answers, or misbehaves, at exactly the moment that a test is about.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use plugin_api::serde_json::{self, Value};

/// A peer that listens on a port of its own, and keeps what it was asked.
pub struct Peer {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Such as `POST /v1/chat/completions`.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Peer {
    /// Every connection is served by the script, on a thread of its own.
    pub fn start(script: impl Fn(&mut Talk) -> Option<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (journal, script) = (asked.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, journal) = (script.clone(), journal.clone());
                thread::spawn(move || script(&mut Talk::new(stream, journal)));
            }
        });
        Self { port, asked }
    }

    /// Answers every request with this.
    pub fn answering(status: u16, headers: &'static [&'static str], body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |talk| {
            while talk.hear().is_some() {
                talk.answer(status, headers, &body)?;
            }
            None
        })
    }

    /// Everything that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often it was asked for something that begins so.
    pub fn count(&self, line: &str) -> usize {
        self.asked().iter().filter(|asked| asked.line.starts_with(line)).count()
    }
}

/// A port where nobody listens.
pub fn closed_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// One connection. Everything is `None` as soon as the other side has gone.
pub struct Talk {
    reader: BufReader<TcpStream>,
    pub stream: TcpStream,
    journal: Arc<Mutex<Vec<Asked>>>,
}

impl Talk {
    fn new(stream: TcpStream, journal: Arc<Mutex<Vec<Asked>>>) -> Self {
        let reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
        Self { reader, stream, journal }
    }

    /// The next request.
    pub fn hear(&mut self) -> Option<Asked> {
        let line = self.line()?;
        let mut headers = Vec::new();
        loop {
            let header = self.line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let line = line.trim_end_matches(" HTTP/1.1").to_owned();
        let mut asked = Asked { line, headers, body: String::new() };
        let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).ok()?;
        asked.body = String::from_utf8(body).expect("requests are text");
        self.journal.lock().unwrap().push(asked.clone());
        Some(asked)
    }

    /// A whole answer.
    pub fn answer(&mut self, status: u16, headers: &[&str], body: &str) -> Option<()> {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        self.say(&format!("HTTP/1.1 {status} Said\r\n{headers}content-length: {length}\r\n\r\n{body}"))
    }

    /// A good answer.
    pub fn json(&mut self, body: &Value) -> Option<()> {
        self.answer(200, &["content-type: application/json"], &body.to_string())
    }

    /// The head of an answer in events; each follows by [`Talk::event`].
    pub fn begin_events(&mut self) -> Option<()> {
        self.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    }

    pub fn event(&mut self, data: &str) -> Option<()> {
        self.chunk(format!("data: {data}\n\n").as_bytes())
    }

    pub fn chunk(&mut self, bytes: &[u8]) -> Option<()> {
        self.say(&format!("{:x}\r\n", bytes.len()))?;
        self.stream.write_all(bytes).ok()?;
        self.say("\r\n")
    }

    /// The end of an answer in events, as it should be.
    pub fn end_events(&mut self) -> Option<()> {
        self.event("[DONE]")?;
        self.say("0\r\n\r\n")
    }

    pub fn say(&mut self, text: &str) -> Option<()> {
        self.stream.write_all(text.as_bytes()).ok()
    }

    /// Says nothing until the other side goes.
    pub fn fall_silent(&mut self) -> Option<()> {
        let mut ignored = [0; 1024];
        while self.reader.read(&mut ignored).is_ok_and(|read| read > 0) {}
        None
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.reader.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    }
}

/// Something that a script tells its test, once.
pub fn signal() -> (impl Fn() + Send + Sync + 'static, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let tell = move || {
        // The test may have ended.
        let _ = sender.lock().unwrap().send(());
    };
    (tell, receiver)
}
