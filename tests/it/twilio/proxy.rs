//! Stands between the host and Twilio's stand-in, and makes what the network does to a request at its worst moment.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What it does with the next requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Hands them on.
    Pass,
    /// Hands them on, and keeps the answers to what creates something.
    KeepAnswers,
    /// Closes every connection.
    Down,
}

/// A proxy in front of one address.
pub struct Proxy {
    address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    mode: Mode,
    kept: usize,
}

impl Proxy {
    /// Starts one.
    pub fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let state = Arc::new(Mutex::new(State { mode: Mode::Pass, kept: 0 }));
        let (shared, target) = (state.clone(), target.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (shared, target) = (shared.clone(), target.clone());
                thread::spawn(move || serve(client, &target, &shared));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on it does this.
    pub fn set(&self, mode: Mode) {
        self.state.lock().expect("no thread panics").mode = mode;
    }

    /// How many answers it kept.
    pub fn kept(&self) -> usize {
        self.state.lock().expect("no thread panics").kept
    }
}

/// One request a connection.
fn serve(mut client: TcpStream, target: &str, state: &Mutex<State>) -> Option<()> {
    let request = read_request(&mut client)?;
    let mode = state.lock().expect("no thread panics").mode;
    if mode == Mode::Down {
        return None;
    }
    let mut server = TcpStream::connect(target).ok()?;
    server.write_all(request.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    if mode == Mode::KeepAnswers && request.starts_with("POST") {
        state.lock().expect("no thread panics").kept += 1;
        // Until the other side has gone.
        let _ = client.read(&mut [0; 64]);
        return None;
    }
    client.write_all(&answer).ok()?;
    client.shutdown(Shutdown::Write).ok()
}

fn read_request(client: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = client.read(&mut buffer).ok().filter(|length| *length > 0)?;
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
