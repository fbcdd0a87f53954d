//! A simulated stream on a connection: a frame every 20 ms by the clock, playback by the clock, and what a test does.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::{Shutdown, TcpStream},
    sync::{
        Mutex,
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

use tungstenite::{ClientRequestBuilder, Error, HandshakeError, Message, WebSocket};

use super::{
    Command, Dial, End, Seen, lock,
    simulation::{FRAME, FRAME_MS, SILENCE},
};
use crate::wait::LIMIT;

type Socket = WebSocket<TcpStream>;

/// How long it looks for frames before it looks at the clock.
const GLANCE: Duration = Duration::from_millis(4);

/// Asks for the upgrade; the error is the status of the refusal.
pub(super) fn connect(dial: &Dial) -> Result<Socket, u16> {
    let uri = format!("ws://{}{}", dial.address, dial.path).parse().expect("it is an address");
    let mut request = ClientRequestBuilder::new(uri);
    if let Some(signature) = &dial.signature {
        request = request.with_header("x-twilio-signature", signature);
    }
    let stream = TcpStream::connect(&dial.address).expect("the host listens");
    stream.set_nodelay(true).expect("it is a TCP connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit can be set");
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
        Err(other) => panic!("neither opened nor refused: {other}"),
    }
}

/// A caller on the line.
struct Line<'a> {
    socket: Socket,
    seen: &'a Mutex<Seen>,
    begun: Instant,
    /// How many frames were due so far, lost ones included.
    frames: u64,
    passed_ms: u64,
    lost: u64,
    to_say: VecDeque<u8>,
}

/// Lasts as long as the connection, or until the test does not care any more.
pub(super) fn run(socket: Socket, seen: &Mutex<Seen>, commands: &Receiver<Command>) {
    socket.get_ref().set_read_timeout(Some(GLANCE)).expect("a limit can be set");
    let mut line = Line {
        socket,
        seen,
        begun: Instant::now(),
        frames: 0,
        passed_ms: 0,
        lost: 0,
        to_say: VecDeque::new(),
    };
    let end = line.talk(commands);
    lock(seen).end = Some(end);
}

impl Line<'_> {
    fn talk(&mut self, commands: &Receiver<Command>) -> End {
        let first = {
            let mut seen = lock(self.seen);
            vec![seen.simulation.connected(), seen.simulation.start()]
        };
        let mut broken = self.send(first);
        while broken.is_none() {
            broken = match commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => self.pass().or_else(|| self.read()),
                Err(TryRecvError::Disconnected) => self.obey(Command::Cut),
            };
        }
        broken.unwrap_or(End::Broken)
    }

    fn obey(&mut self, command: Command) -> Option<End> {
        match command {
            Command::Say(audio) => self.to_say.extend(audio),
            Command::Lose(milliseconds) => self.lost += milliseconds / FRAME_MS,
            Command::Press(digit) => {
                let frame = lock(self.seen).simulation.digit(digit);
                return self.send(vec![frame]);
            }
            Command::Raw(text) => return self.send(vec![text]),
            Command::HangUp => {
                let frame = lock(self.seen).simulation.stop();
                let _ = self.send(vec![frame]);
                // The other side may be gone by now.
                let _ = self.socket.close(None);
                let _ = self.socket.flush();
                return Some(End::Own);
            }
            Command::Cut => {
                let _ = self.socket.get_ref().shutdown(Shutdown::Both);
                return Some(End::Own);
            }
        }
        None
    }

    /// Whatever is due by now.
    fn pass(&mut self) -> Option<End> {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).expect("a test is short");
        let mut due = Vec::new();
        {
            let mut seen = lock(self.seen);
            while self.frames < elapsed / FRAME_MS {
                self.frames += 1;
                if self.lost > 0 {
                    self.lost -= 1;
                    seen.simulation.lose(FRAME_MS);
                    continue;
                }
                let count = self.to_say.len().min(FRAME);
                let mut audio: Vec<u8> = self.to_say.drain(..count).collect();
                audio.resize(FRAME, SILENCE);
                due.push(seen.simulation.media(&audio));
            }
            due.extend(seen.simulation.pass(elapsed - self.passed_ms));
            self.passed_ms = elapsed;
        }
        self.send(due)
    }

    fn read(&mut self) -> Option<End> {
        match self.socket.read() {
            Ok(Message::Text(text)) => {
                let marks = lock(self.seen).simulation.take(&text);
                self.send(marks)
            }
            Ok(Message::Close(frame)) => {
                // Sends the answer to it.
                let _ = self.socket.flush();
                let (code, reason) = frame
                    .map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                Some(End::Closed(code, reason))
            }
            Ok(Message::Binary(_)) => {
                lock(self.seen).simulation.playback.errors.push("a binary frame".to_owned());
                None
            }
            Ok(_) => None,
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(_) => Some(End::Broken),
        }
    }

    fn send(&mut self, frames: Vec<String>) -> Option<End> {
        for frame in frames {
            match self.socket.send(Message::text(frame)) {
                Ok(()) => {}
                // The close frame that came first is read next.
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    return self.read().or(Some(End::Broken));
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return self.last_words(),
            }
        }
        None
    }

    /// What the other side said before the connection broke.
    fn last_words(&mut self) -> Option<End> {
        loop {
            match self.read() {
                Some(end) => return Some(end),
                None if !self.socket.can_read() => return Some(End::Broken),
                None => {}
            }
        }
    }
}
