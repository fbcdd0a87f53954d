//! A server of a test's own: a function from a request to a status and JSON. It does as little as it can, for it shares the
//! machine with the hosts. Every answer has its date, as those of vendors do.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use plugin_api::jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use serde_json::Value;

/// A running server; it ends with the process.
#[derive(Debug, Clone)]
pub struct Peer {
    address: String,
}

/// What it is asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `GET`, `POST` …
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without its question mark.
    pub query: String,
    /// As it came.
    pub body: String,
}

impl Asked {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// What it answers.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside those that every answer has, such as `("retry-after", "2")`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Value,
}

type Answer = Arc<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;

impl Peer {
    /// Starts one that answers so, each connection on a thread of its own.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::start_with(move |asked| {
            let (status, body) = answer(asked);
            Some(Reply { status, headers: Vec::new(), body })
        })
    }

    /// The same with headers; `None` ends the connection without an answer.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start_with(answer: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let answer: Answer = Arc::new(answer);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let answer = answer.clone();
                // Who asks may go at any time.
                thread::spawn(move || serve(client, &answer));
            }
        });
        Self { address }
    }

    /// Where it listens, such as `127.0.0.1:4010`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// One request after the other, until the client goes.
fn serve(client: TcpStream, answer: &Answer) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let mut writer = client.try_clone().ok()?;
    let mut reader = BufReader::new(client);
    loop {
        let Reply { status, headers, body } = answer(&read(&mut reader)?)?;
        let body = body.to_string();
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now()).ok()?;
        let mut head = format!(
            "HTTP/1.1 {status} OK\r\ndate: {date}\r\ncontent-type: application/json\r\ncontent-length: {}",
            body.len()
        );
        for (name, value) in headers {
            head += &format!("\r\n{name}: {value}");
        }
        writer.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).ok()?;
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut body = vec![0; length(reader)?];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, query, body: String::from_utf8(body).ok()? })
}

/// The length of the body, with all headers read.
fn length(reader: &mut impl BufRead) -> Option<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            return Some(length);
        }
        if let Some(announced) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = announced.trim().parse().ok()?;
        }
    }
}
