//! A Realtime API (GA) that keeps to a script: it hears the energy of mu-law audio, answers with audio faster than real
//! time, calls tools, judges truncations as the real one does, and can expire, be cut, and refuse. It remembers every
//! event that it was sent. A plain `GET` it answers with a list of models, so that the openai plugin is content.
//!
//! - `script`: what it hears and says, as data.
//! - `ear`: mu-law audio -> speech that begins and ends; and audio for those who speak to it.
//! - `reply`: an answer of the script -> events, each at its time.
//! - `conversation`: the state of one session; events of the client and time -> events of the server. No I/O.
//! - `socket`: a conversation on a connection.

pub mod conversation;
pub mod ear;
pub mod reply;
pub mod script;
mod socket;
#[cfg(test)]
mod tests;

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::Value;

pub use self::script::{Answer, Call, Progress, Script, Turn};
use crate::wait::wait_until;

/// A running server; its sockets end with it.
pub struct Realtime {
    address: String,
    state: Arc<Mutex<State>>,
}

/// What all its connections share.
pub(crate) struct State {
    pub(crate) script: Arc<Script>,
    pub(crate) progress: Arc<Mutex<Progress>>,
    /// The key that it demands.
    pub(crate) key: Option<String>,
    /// How the next connections are refused: HTTP status and body.
    pub(crate) refusal: Option<(u16, Value)>,
    /// How long a session lasts.
    pub(crate) expires_after: Option<Duration>,
    /// What each connection was sent, in order.
    pub(crate) heard: Vec<Vec<Value>>,
    /// What each connection was told, in order.
    pub(crate) said: Vec<Vec<Value>>,
    /// The connections that are open.
    pub(crate) open: Vec<usize>,
    /// Handshakes that were refused.
    pub(crate) refused: usize,
    /// What is to be done to every open connection: the number tells which commands a connection has seen.
    pub(crate) commands: Vec<Command>,
    pub(crate) ended: bool,
}

/// What a test does to the open connections.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// The connection breaks, without a close frame.
    Cut,
    /// It is closed by this code and reason.
    Close(u16, String),
    /// The session expires.
    Expire,
    /// It says this.
    Say(Value),
}

impl Realtime {
    /// Starts one.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(script: Script) -> Self {
        Self::listen(script, 0)
    }

    /// Starts one on this port; 0 is any.
    ///
    /// # Panics
    /// If the port is taken.
    pub fn listen(script: Script, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let state = Arc::new(Mutex::new(State {
            script: Arc::new(script),
            progress: Arc::default(),
            key: None,
            refusal: None,
            expires_after: None,
            heard: Vec::new(),
            said: Vec::new(),
            open: Vec::new(),
            refused: 0,
            commands: Vec::new(),
            ended: false,
        }));
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                if lock(&state).ended {
                    return;
                }
                // Who connects may go at any time.
                thread::spawn(move || drop(socket::serve(client, &state)));
            }
        });
        Self { address, state }
    }

    /// For those alone who know this key.
    pub fn for_key(self, key: &str) -> Self {
        lock(&self.state).key = Some(key.to_owned());
        self
    }

    /// Every session expires after this time.
    pub fn expiring_after(self, time: Duration) -> Self {
        lock(&self.state).expires_after = Some(time);
        self
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What `OPENAI_REALTIME_API_URL` is to be.
    pub fn url(&self) -> String {
        format!("ws://{}/v1/realtime", self.address)
    }

    /// From now on connections are refused so, and by 401 the list of models, too; `None`: they are taken again.
    pub fn refuse(&self, refusal: Option<(u16, Value)>) {
        lock(&self.state).refusal = refusal;
    }

    /// Breaks every open connection, without a close frame.
    pub fn cut(&self) {
        self.command(Command::Cut);
    }

    /// Closes every open connection by this code and reason.
    pub fn close(&self, code: u16, reason: &str) {
        self.command(Command::Close(code, reason.to_owned()));
    }

    /// Every open session expires now: the error `session_expired`, then the code 1001.
    pub fn expire(&self) {
        self.command(Command::Expire);
    }

    /// Says this on every open connection.
    pub fn say(&self, event: Value) {
        self.command(Command::Say(event));
    }

    fn command(&self, command: Command) {
        lock(&self.state).commands.push(command);
    }

    /// How many connections were taken so far.
    pub fn connections(&self) -> usize {
        lock(&self.state).heard.len()
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        lock(&self.state).open.len()
    }

    /// How many were refused.
    pub fn refused(&self) -> usize {
        lock(&self.state).refused
    }

    /// Every event that a connection was sent so far, counted from 0; audio is cut to its length: `{"bytes": 160}`.
    pub fn heard(&self, connection: usize) -> Vec<Value> {
        lock(&self.state).heard.get(connection).cloned().unwrap_or_default()
    }

    /// The same of all connections together, in the order of connections.
    pub fn heard_by_all(&self) -> Vec<Value> {
        lock(&self.state).heard.iter().flatten().cloned().collect()
    }

    /// Every event that a connection was told so far; audio is cut to its length.
    pub fn said(&self, connection: usize) -> Vec<Value> {
        lock(&self.state).said.get(connection).cloned().unwrap_or_default()
    }

    /// The errors that it has told clients.
    pub fn errors(&self) -> Vec<Value> {
        let state = lock(&self.state);
        state.said.iter().flatten().filter(|event| event["type"] == "error").cloned().collect()
    }

    /// Waits until it was sent so many events of a type, and gives those back.
    #[track_caller]
    pub fn wait_for(&self, kind: &str, count: usize) -> Vec<Value> {
        let of_kind = || {
            let all = self.heard_by_all();
            all.into_iter().filter(|event| event["type"] == kind).collect::<Vec<_>>()
        };
        wait_until(&format!("{count} of `{kind}`"), of_kind, |events| events.len() >= count)
    }
}

impl Drop for Realtime {
    fn drop(&mut self) {
        lock(&self.state).ended = true;
        // Wakes up who listens.
        let _ = std::net::TcpStream::connect(&self.address);
    }
}

pub(crate) fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
