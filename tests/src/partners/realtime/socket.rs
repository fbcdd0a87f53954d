//! A conversation on a connection: a handshake as the real one takes it, frames, and what a test does to it.

use std::{
    io::{Error, ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tungstenite::{
    Message, WebSocket,
    protocol::{CloseFrame, Role, frame::coding::CloseCode},
};

use super::{Command, State, conversation::Conversation, lock};

/// How long it looks for what comes before it looks at the clock.
const GLANCE: Duration = Duration::from_millis(4);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves a client until it goes.
pub(super) fn serve(mut client: TcpStream, state: &Mutex<State>) -> Result<(), Error> {
    client.set_nodelay(true)?;
    let head = read_head(&mut client)?;
    let refusal = refusal(&head, state);
    let Some(key) = header(&head, "sec-websocket-key") else {
        let models = json!({ "object": "list", "data": [
            { "id": "gpt-realtime", "object": "model", "created": 0, "owned_by": "system" },
        ] });
        // Who has no credit, or not this model, may list models all the same; a key that is not known may nothing.
        let (status, body) = refusal.filter(|(status, _)| *status == 401).unwrap_or((200, models));
        return answer(&mut client, status, &body);
    };
    if let Some((status, body)) = refusal {
        lock(state).refused += 1;
        return answer(&mut client, status, &body);
    }
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket";
    client.write_all(format!("{upgrade}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").as_bytes())?;
    let mut socket = WebSocket::from_raw_socket(client, Role::Server, None);
    if header(&head, "openai-beta").is_some_and(|beta| beta.contains("realtime=v1")) {
        return refuse_beta(&mut socket);
    }
    Connection::begin(socket, &head, state).run()
}

fn refuse_beta(socket: &mut WebSocket<TcpStream>) -> Result<(), Error> {
    let error = json!({ "type": "invalid_request_error", "code": "beta_api_shape_disabled",
        "message": "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API." });
    let event = json!({ "type": "error", "event_id": "event_beta", "error": error });
    socket.send(Message::text(event.to_string())).map_err(Error::other)?;
    farewell(socket, 4000, "invalid_request_error.beta_api_shape_disabled");
    Ok(())
}

struct Connection<'a> {
    socket: WebSocket<TcpStream>,
    state: &'a Mutex<State>,
    conversation: Conversation,
    number: usize,
    begun: Instant,
    expires_after: Option<Duration>,
    obeyed: usize,
}

impl<'a> Connection<'a> {
    fn begin(socket: WebSocket<TcpStream>, head: &str, state: &'a Mutex<State>) -> Self {
        let model = head.split("model=").nth(1).and_then(|rest| rest.split([' ', '&']).next());
        let mut shared = lock(state);
        let number = shared.heard.len();
        shared.heard.push(Vec::new());
        shared.said.push(Vec::new());
        shared.open.push(number);
        let conversation = Conversation::new(
            shared.script.clone(),
            shared.progress.clone(),
            model.unwrap_or("gpt-realtime"),
        );
        let (expires_after, obeyed) = (shared.expires_after, shared.commands.len());
        drop(shared);
        Self { socket, state, conversation, number, begun: Instant::now(), expires_after, obeyed }
    }

    fn run(mut self) -> Result<(), Error> {
        self.socket.get_ref().set_read_timeout(Some(GLANCE))?;
        let ended = self.talk();
        lock(self.state).open.retain(|open| *open != self.number);
        ended
    }

    fn talk(&mut self) -> Result<(), Error> {
        loop {
            self.conversation.tick(self.begun.elapsed());
            self.flush()?;
            if let Some(command) = self.next_command() {
                if !self.obey(command)? {
                    return Ok(());
                }
                continue;
            }
            match self.socket.read() {
                Ok(Message::Text(text)) => self.take(&text),
                Ok(Message::Close(_)) => {
                    farewell(&mut self.socket, 1000, "");
                    return Ok(());
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if is_early(&error) => {}
                Err(error) => return Err(Error::other(error)),
            }
        }
    }

    fn take(&mut self, text: &str) {
        let event: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        lock(self.state).heard[self.number].push(without_audio(&event, "audio"));
        self.conversation.client(&event, self.begun.elapsed());
    }

    fn flush(&mut self) -> Result<(), Error> {
        for event in self.conversation.take() {
            let key = if event["type"] == "response.output_audio.delta" { "delta" } else { "" };
            lock(self.state).said[self.number].push(without_audio(&event, key));
            self.socket.send(Message::text(event.to_string())).map_err(Error::other)?;
        }
        Ok(())
    }

    fn next_command(&mut self) -> Option<Command> {
        let state = lock(self.state);
        if state.ended {
            return Some(Command::Cut);
        }
        if self.expires_after.is_some_and(|time| self.begun.elapsed() >= time) {
            return Some(Command::Expire);
        }
        let command = state.commands.get(self.obeyed).cloned();
        self.obeyed += usize::from(command.is_some());
        command
    }

    /// Whether it goes on.
    fn obey(&mut self, command: Command) -> Result<bool, Error> {
        match command {
            Command::Cut => self.socket.get_ref().shutdown(Shutdown::Both)?,
            Command::Close(code, reason) => farewell(&mut self.socket, code, &reason),
            Command::Expire => {
                self.conversation.expire();
                self.flush()?;
                farewell(&mut self.socket, 1001, "");
            }
            Command::Say(event) => {
                self.conversation.say(event);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Audio is kept by its length.
fn without_audio(event: &Value, key: &str) -> Value {
    let mut event = event.clone();
    let bytes = event[key].as_str().and_then(|audio| STANDARD.decode(audio).ok()).map(|audio| audio.len());
    if let Some(bytes) = bytes {
        event[key] = json!({ "bytes": bytes });
    }
    event
}

/// Closes, and waits for the answer.
fn farewell(socket: &mut WebSocket<TcpStream>, code: u16, reason: &str) {
    let frame = CloseFrame { code: CloseCode::from(code), reason: reason.to_owned().into() };
    // The client may be gone already.
    let _ = socket.close(Some(frame));
    let begun = Instant::now();
    while begun.elapsed() < GOODBYE {
        match socket.read() {
            Ok(_) => {}
            Err(tungstenite::Error::Io(error)) if is_early(&error) => thread::sleep(GLANCE),
            Err(_) => return,
        }
    }
}

fn is_early(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn refusal(head: &str, state: &Mutex<State>) -> Option<(u16, Value)> {
    let state = lock(state);
    if let Some(key) = &state.key
        && header(head, "authorization") != Some(&format!("Bearer {key}"))
    {
        let error = json!({ "type": "invalid_request_error", "code": "invalid_api_key",
            "message": "Incorrect API key provided." });
        return Some((401, json!({ "error": error })));
    }
    state.refusal.clone()
}

fn read_head(client: &mut TcpStream) -> Result<String, Error> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        // A byte at a time: what follows belongs to the WebSocket.
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn answer(client: &mut TcpStream, status: u16, body: &Value) -> Result<(), Error> {
    let (body, head) = (body.to_string(), "content-type: application/json\r\nconnection: close");
    let length = body.len();
    client.write_all(
        format!("HTTP/1.1 {status} Said\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes(),
    )
}
