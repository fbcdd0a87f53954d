//! The media stream of a call, as Twilio opens it: audio in real pace, playback of what it is sent, marks when playback
//! reaches them, keys, loss, and every way in which a call ends. It tells exactly what was played of what, and so is a
//! witness that shares nothing with who sends.
//!
//! - `simulation`: frames and time -> frames, without a socket: for tests in virtual time.
//! - `playback`: what is buffered, played, cleared.
//! - `socket`: the same on a connection, by the clock.

pub mod playback;
pub mod simulation;
mod socket;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
};

use super::{Missing, twilio::sign};
use crate::wait::wait_until;
pub use simulation::Simulation;

/// Where Twilio is to connect, and what it says there.
#[derive(Debug, Clone)]
pub struct Dial {
    /// Such as `127.0.0.1:8080`.
    pub address: String,
    /// The path of the WebSocket.
    pub path: String,
    /// The call, `CA…`.
    pub call: String,
    /// The stream, `MZ…`.
    pub stream: String,
    /// The custom parameters of the TwiML.
    pub parameters: Vec<(String, String)>,
    /// The signature of the upgrade.
    pub signature: Option<String>,
}

impl Dial {
    /// Of a call with this token.
    pub fn new(address: &str, call: &str, stream: &str, token: &str) -> Self {
        Self {
            address: address.to_owned(),
            path: "/media/twilio".to_owned(),
            call: call.to_owned(),
            stream: stream.to_owned(),
            parameters: vec![("token".to_owned(), token.to_owned())],
            signature: None,
        }
    }

    /// With this signature.
    pub fn signed(mut self, signature: &str) -> Self {
        self.signature = Some(signature.to_owned());
        self
    }
}

/// The signature of an upgrade at a public address such as `https://example.com`: Twilio signs the URL that it opens.
///
/// # Errors
/// If Twilio's library is not there.
pub fn signature(auth_token: &str, public: &str) -> Result<String, Missing> {
    let url = format!("{}/media/twilio", public.replacen("http", "ws", 1));
    sign(auth_token, &url, &serde_json::json!({}), "HMAC_SHA1")
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The other side closed it by this code and reason.
    Closed(u16, String),
    /// The connection broke.
    Broken,
    /// The caller hung up, or the test cut it.
    Own,
}

/// What was seen of a stream so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Twilio's side: what was played, and what was wrong.
    pub simulation: Simulation,
    /// How it ended.
    pub end: Option<End>,
}

/// What a test does on the line.
pub(crate) enum Command {
    Say(Vec<u8>),
    Lose(u64),
    Press(char),
    Raw(String),
    HangUp,
    Cut,
}

/// A stream in progress. Dropping it cuts it.
pub struct MediaStream {
    commands: mpsc::Sender<Command>,
    seen: Arc<Mutex<Seen>>,
}

impl MediaStream {
    /// Opens one.
    ///
    /// # Errors
    /// The HTTP status by which it was refused.
    ///
    /// # Panics
    /// If nobody listens there.
    pub fn open(dial: &Dial) -> Result<Self, u16> {
        let socket = socket::connect(dial)?;
        let simulation = Simulation::new(&dial.call, &dial.stream, &dial.parameters);
        let seen = Arc::new(Mutex::new(Seen { simulation, end: None }));
        let (commands, waiting) = mpsc::channel();
        let shared = seen.clone();
        thread::spawn(move || socket::run(socket, &shared, &waiting));
        Ok(Self { commands, seen })
    }

    /// The caller says this, after what they say already; otherwise they are silent.
    pub fn say(&self, audio: Vec<u8>) {
        self.command(Command::Say(audio));
    }

    /// So much of the caller's audio is lost on its way.
    pub fn lose(&self, milliseconds: u64) {
        self.command(Command::Lose(milliseconds));
    }

    /// The caller presses a key.
    pub fn press(&self, digit: char) {
        self.command(Command::Press(digit));
    }

    /// A frame that is none of Twilio's.
    pub fn raw(&self, text: &str) {
        self.command(Command::Raw(text.to_owned()));
    }

    /// The caller hangs up, or the call goes on with other TwiML: Twilio tells these apart nowhere on a stream.
    pub fn hang_up(&self) {
        self.command(Command::HangUp);
    }

    /// The connection breaks.
    pub fn cut(&self) {
        self.command(Command::Cut);
    }

    /// Looks at what was seen.
    pub fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&lock(&self.seen))
    }

    /// How many milliseconds of audio were played that consist of this byte.
    pub fn played_ms(&self, byte: u8) -> u64 {
        self.look(|seen| seen.simulation.playback.played_ms(byte))
    }

    /// Waits until so much of this byte was played.
    #[track_caller]
    pub fn wait_until_played(&self, byte: u8, milliseconds: u64) {
        let what = format!("{milliseconds} ms of {byte:#x} to be played");
        wait_until(&what, || self.played_ms(byte), |played| *played >= milliseconds);
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait_for_end(&self) -> End {
        let end = wait_until("the stream to end", || self.look(|seen| seen.end.clone()), Option::is_some);
        end.expect("it was waited for")
    }

    fn command(&self, command: Command) {
        // A stream that has ended takes none.
        let _ = self.commands.send(command);
    }
}

pub(crate) fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
