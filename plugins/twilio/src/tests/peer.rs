//! An HTTP server that keeps to a script: it answers, falls silent or goes at exactly the moment that a test is about.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A peer on a port of its own.
pub struct Peer {
    pub port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

/// What the peer does with a request.
pub enum Deed {
    /// This status with these headers (each with its line end) and body.
    Answer(u16, &'static str, String),
    /// Nothing, until the other side goes.
    Silence,
    /// Closes the connection.
    Cut,
}

impl Deed {
    pub fn json(status: u16, body: &str) -> Self {
        Self::Answer(status, "Content-Type: application/json\r\n", body.to_owned())
    }
}

impl Peer {
    /// The script is given the number of the request, from 0, and its text.
    pub fn start(script: impl Fn(usize, &str) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, script) = (requests.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, script) = (seen.clone(), script.clone());
                thread::spawn(move || serve(stream, &seen, &*script));
            }
        });
        Self { port, requests }
    }

    /// Everything it was asked.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A port where nobody listens.
pub fn closed_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// One request a connection.
fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    script: &dyn Fn(usize, &str) -> Deed,
) -> Option<()> {
    let request = read(&mut stream)?;
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    match script(number, &request) {
        Deed::Answer(status, headers, body) => {
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).ok()
        }
        Deed::Silence => {
            while stream.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
            None
        }
        Deed::Cut => None,
    }
}

fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= announced.map_or(0, |length| length.parse().unwrap_or(0)) {
                return Some(text.into_owned());
            }
        }
    }
}
