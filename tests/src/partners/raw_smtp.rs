//! A mail server of a test's own that answers in any bytes: a function from what it hears to what it says. It takes mails,
//! ends connections and says nothing as the script wants it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A running server; it ends with the process.
pub struct RawSmtp {
    port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    commands: Mutex<Vec<String>>,
    mails: Mutex<Vec<String>>,
}

/// A line heard from a client.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Without its line end: `EHLO example.com`, `AUTH PLAIN …`; empty for the moment before the greeting, `.` for the end of
    /// a mail.
    pub line: &'a str,
    /// Which connection it is, from 1.
    pub connection: usize,
    /// How many mails this connection has carried.
    pub mails: usize,
}

/// The server's answer to it.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A good server's answer.
    Good,
    /// These bytes, with a line end of their own.
    Bytes(Vec<u8>),
    /// These bytes, and the end of the connection.
    Last(Vec<u8>),
}

impl Answer {
    /// This line.
    pub fn line(line: &str) -> Self {
        Self::Bytes(format!("{line}\r\n").into_bytes())
    }

    /// This line, and the end of the connection.
    pub fn last(line: &str) -> Self {
        Self::Last(format!("{line}\r\n").into_bytes())
    }
}

impl RawSmtp {
    /// Starts one that answers so, each connection on a thread of its own.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(answer: impl Fn(Heard<'_>) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let (seen, answer) = (Arc::new(Seen::default()), Arc::new(answer));
        let noted = seen.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (noted.clone(), answer.clone());
                let connection = seen.connections.fetch_add(1, Ordering::SeqCst) + 1;
                // A client may go at any time.
                thread::spawn(move || serve(client, connection, &seen, &*answer));
            }
        });
        Self { port, seen }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Every command that it heard, in order.
    pub fn commands(&self) -> Vec<String> {
        self.seen.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The mails that came whole, headers and bodies, whatever it said of them.
    pub fn mails(&self) -> Vec<String> {
        self.seen.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `None` when the conversation is over.
fn serve(
    client: TcpStream,
    connection: usize,
    seen: &Seen,
    answer: &dyn Fn(Heard<'_>) -> Answer,
) -> Option<()> {
    let mut lines = BufReader::new(client.try_clone().ok()?);
    let mut client = client;
    let mut mails = 0;
    say(&mut client, answer(Heard { line: "", connection, mails }), "220 raw ESMTP")?;
    loop {
        let line = hear(&mut lines)?;
        note(&seen.commands, line.clone());
        let heard = Heard { line: &line, connection, mails };
        match line.split(' ').next().unwrap_or_default() {
            "DATA" => {
                say(&mut client, answer(heard), "354 go on")?;
                note(&seen.mails, hear_mail(&mut lines)?);
                say(&mut client, answer(Heard { line: ".", connection, mails }), "250 2.0.0 taken")?;
                mails += 1;
            }
            "EHLO" => say(&mut client, answer(heard), "250-raw\r\n250 AUTH PLAIN LOGIN")?,
            "AUTH" => say(&mut client, answer(heard), "235 2.7.0 welcome")?,
            _ => say(&mut client, answer(heard), "250 2.0.0 OK")?,
        }
    }
}

fn say(client: &mut TcpStream, answer: Answer, good: &str) -> Option<()> {
    match answer {
        Answer::Good => client.write_all(format!("{good}\r\n").as_bytes()).ok(),
        Answer::Bytes(bytes) => client.write_all(&bytes).ok(),
        Answer::Last(bytes) => client.write_all(&bytes).ok().and(None),
    }
}

fn hear(lines: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    let length = lines.read_until(b'\n', &mut line).ok()?;
    (length > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn hear_mail(lines: &mut BufReader<TcpStream>) -> Option<String> {
    let mut mail = String::new();
    loop {
        let line = hear(lines)?;
        if line == "." {
            return Some(mail);
        }
        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
        mail.push('\n');
    }
}

fn note(list: &Mutex<Vec<String>>, line: String) {
    list.lock().unwrap_or_else(PoisonError::into_inner).push(line);
}
