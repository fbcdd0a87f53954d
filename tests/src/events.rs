//! Server-sent events as a client sees them (WHATWG HTML, 9.2): bytes become events, and the id of the last whole one is
//! what it comes back with. It can be cut after any line.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::wait::LIMIT;

const PATH: &str = "/api/health/events";

/// How long a line is waited for before it is looked whether the limit is over.
const GLANCE: Duration = Duration::from_millis(100);

/// A whole event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What to come back with.
    pub id: String,
    /// `snapshot`, `transition` or `resync`.
    pub kind: String,
    /// What it says.
    pub data: Value,
}

/// A client that follows the events of a host, and comes back with what it has.
pub struct EventClient {
    address: String,
    headers: String,
    stream: Option<BufReader<TcpStream>>,
    last_event_id: Option<String>,
    line: String,
    unfinished: Vec<String>,
}

impl EventClient {
    /// Of the host at an address such as `127.0.0.1:8080`; connects when it is first asked for something.
    pub fn new(address: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (line, unfinished) = (String::new(), Vec::new());
        Self { address: address.to_owned(), headers, stream: None, last_event_id: None, line, unfinished }
    }

    /// Ends the connection in the middle of whatever comes. The next event comes over a new one.
    pub fn cut(&mut self) {
        self.stream = None;
        self.line.clear();
        self.unfinished.clear();
    }

    /// The next whole event; comments are passed over.
    ///
    /// # Panics
    /// If the host closes the connection, or nothing comes within the limit.
    #[track_caller]
    pub fn next_event(&mut self) -> Event {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < LIMIT, "no event within {LIMIT:?}");
            match self.read_line() {
                Ok(Some(event)) => return event,
                Ok(None) => {}
                Err(error) => panic!("no more events: {error}"),
            }
        }
    }

    /// Reads so many lines, or as many as come for now; gives the whole events among them.
    ///
    /// # Panics
    /// If the host closes the connection.
    #[track_caller]
    pub fn read_lines(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.extend(self.read_line().unwrap_or_else(|error| panic!("the host ends it: {error}")));
        }
        events
    }

    /// Reads until the host ends the stream.
    ///
    /// # Errors
    /// If it does not within the limit.
    pub fn read_to_end(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if self.read_line().is_err() {
                return Ok(());
            }
        }
        Err(format!("the stream goes on after {LIMIT:?}"))
    }

    /// One line, if it comes within a glance; the event that it completes.
    fn read_line(&mut self) -> io::Result<Option<Event>> {
        if self.stream.is_none() {
            self.connect()?;
        }
        let Some(stream) = &mut self.stream else { return Ok(None) };
        match stream.read_line(&mut self.line) {
            Ok(_) if self.line.ends_with('\n') => {}
            Ok(_) => return Err(ErrorKind::UnexpectedEof.into()),
            // What came of the line stays.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let line = std::mem::take(&mut self.line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Ok(self.finished());
        }
        self.unfinished.push(line.to_owned());
        Ok(None)
    }

    /// HTTP/1.0, for there an answer without a length comes as it is, until the connection ends.
    fn connect(&mut self) -> io::Result<()> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let last = self.last_event_id.iter().map(|id| format!("Last-Event-ID: {id}\r\n"));
        let (last, headers) = (last.collect::<String>(), &self.headers);
        (&stream)
            .write_all(format!("GET {PATH} HTTP/1.0\r\nHost: localhost\r\n{last}{headers}\r\n").as_bytes())?;
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        if !head.starts_with("HTTP/1.0 200 ") || !head.contains("content-type: text/event-stream\r\n") {
            return Err(io::Error::other(head));
        }
        stream.get_ref().set_read_timeout(Some(GLANCE))?;
        self.stream = Some(stream);
        Ok(())
    }

    fn finished(&mut self) -> Option<Event> {
        let lines = std::mem::take(&mut self.unfinished);
        let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let data = serde_json::from_str(field("data")?).expect("data is JSON");
        let id = field("id").expect("every event has an id").to_owned();
        self.last_event_id = Some(id.clone());
        Some(Event { id, kind: field("event").expect("every event has a kind").to_owned(), data })
    }
}
