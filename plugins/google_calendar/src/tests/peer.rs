//! A Google that keeps to a script: it misbehaves at exactly the moment that a test is about.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use plugin_api::serde_json::{self, Value};
use reqwest::Url;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Heard {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Heard {
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A field of a form.
    pub fn field(&self, name: &str) -> Option<String> {
        let url = Url::parse(&format!("form:?{}", self.body)).expect("a form is a query");
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// `GET /calendars/primary/events`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the peer does.
pub enum Reply {
    Json(u16, Value),
    /// With a header.
    With(u16, &'static str, String, Value),
    Text(u16, &'static str),
    /// Says nothing, and keeps the connection.
    Silence,
    /// Closes the connection without a word.
    Cut,
    /// Begins an answer and closes the connection.
    Half,
}

/// A peer that listens on a port of its own.
pub struct Peer {
    pub port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Peer {
    /// Every request is answered by the script, on a thread of its own.
    pub fn start(script: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (heard.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, script) = (log.clone(), script.clone());
                thread::spawn(move || {
                    let request = read(&stream)?;
                    log.lock().expect("no test panics here").push(request.clone());
                    answer(stream, script(&request))
                });
            }
        });
        Self { port, heard }
    }

    /// The requests so far whose line begins so, such as `POST /token`.
    pub fn heard(&self, line: &str) -> Vec<Heard> {
        let heard = self.heard.lock().expect("no test panics here");
        heard.iter().filter(|heard| heard.line().starts_with(line)).cloned().collect()
    }
}

fn read(stream: &TcpStream) -> Option<Heard> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let url = Url::parse(&format!("http://peer{target}")).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap_or(0))];
    reader.read_exact(&mut body).ok()?;
    Some(Heard {
        method,
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn answer(mut stream: TcpStream, reply: Reply) -> Option<()> {
    let (status, header, body) = match reply {
        Reply::Json(status, body) => (status, String::new(), body.to_string()),
        Reply::With(status, name, value, body) => (status, format!("{name}: {value}\r\n"), body.to_string()),
        Reply::Text(status, text) => (status, String::new(), text.to_owned()),
        Reply::Silence => {
            // Until the other side goes.
            let _ = stream.read(&mut [0]);
            return None;
        }
        Reply::Cut => return None,
        Reply::Half => {
            return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"half\":").ok();
        }
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Peer\r\ncontent-type: application/json\r\n{header}content-length: {length}\r\nconnection: \
         close\r\n\r\n"
    );
    let body = if status == 204 { String::new() } else { body };
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}
