//! A stream of bytes <-> the commands and replies of SMTP (RFC 5321). The code of a reply counts; its text may be missing,
//! or be in any encoding: QQ Mail answers in GBK, others in Latin-1. Judges no reply, and knows no setting.

use std::io;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

use crate::errors::reply::Reply;

/// Most bytes of one reply that are read (`smtp_response_limit` of Postfix).
const MAX_REPLY: usize = 100_000;
/// A mail is written in pieces of this size.
const PIECE: usize = 64 * 1024;

/// The transport of a connection: TCP, or TLS on it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A conversation with a server. Every error is one of the stream: `UnexpectedEof` if the server closed it, `InvalidData`
/// if what it said is no reply.
pub struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    /// The name by which we introduced ourselves.
    name: String,
    offers: Offers,
}

/// The extensions that the server offers by its reply to EHLO.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// The connection can be upgraded to TLS (RFC 3207).
    pub starttls: bool,
    /// Addresses beyond ASCII (RFC 6531).
    pub smtputf8: bool,
    /// The names of the ways to log in, in capitals (RFC 4954).
    pub mechanisms: Vec<String>,
}

impl Connection {
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream: BufReader::new(stream), name: String::new(), offers: Offers::default() }
    }

    /// The name by which we introduced ourselves; empty before [`Connection::hello`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The extensions that the server offers; none before [`Connection::hello`].
    pub fn offers(&self) -> &Offers {
        &self.offers
    }

    /// The stream, for TLS. `None` if more than the reply came in the clear: it would be taken for what the server says
    /// behind TLS (CVE-2011-0411), and nobody but an attacker sends it.
    pub fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.stream.buffer().is_empty().then(|| self.stream.into_inner())
    }

    /// Introduces itself by a name, and reads what the server offers. One that knows no EHLO offers nothing (RFC 5321, 3.2).
    pub async fn hello(&mut self, name: &str) -> io::Result<Reply> {
        let mut reply = self.ask(&format!("EHLO {name}")).await?;
        if matches!(reply.code, 500 | 502) {
            reply = self.ask(&format!("HELO {name}")).await?;
        }
        name.clone_into(&mut self.name);
        self.offers = Offers::read(&reply);
        Ok(reply)
    }

    /// Sends a command, and reads the reply to it.
    pub async fn ask(&mut self, command: &str) -> io::Result<Reply> {
        self.write(format!("{command}\r\n").as_bytes()).await?;
        self.hear().await
    }

    /// Writes a mail, without the line that ends it: until [`Connection::end_mail`] the server cannot have taken it.
    pub async fn write_mail(&mut self, mail: &[u8]) -> io::Result<()> {
        for piece in stuffed(mail).chunks(PIECE) {
            self.write(piece).await?;
        }
        Ok(())
    }

    /// Writes the line that ends a mail, and reads whether it was taken.
    pub async fn end_mail(&mut self) -> io::Result<Reply> {
        self.ask(".").await
    }

    /// Reads one reply.
    pub async fn hear(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        let mut left = MAX_REPLY;
        loop {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(left as u64).read_until(b'\n', &mut line).await?;
            left -= read;
            if left == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the reply is too long"));
            }
            let Some(complete) = line.strip_suffix(b"\n") else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            match Line::read(complete) {
                Some(line) => {
                    lines.push(readable(line.text));
                    if line.is_last {
                        return Ok(Reply::new(line.code, lines));
                    }
                }
                None => return Err(io::Error::new(io::ErrorKind::InvalidData, "no reply of a mail server")),
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }
}

impl Offers {
    /// Keywords count in any case (RFC 5321, 4.1.1.1); the first line is the server's name. Some old servers write
    /// `AUTH=LOGIN`.
    fn read(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase().replacen("AUTH=", "AUTH ", 1);
            let mut words = line.split_whitespace();
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("AUTH") => offers.mechanisms.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        offers
    }
}

/// One line of a reply: `250-first`, `250 last`, or a bare `250`.
struct Line<'a> {
    code: u16,
    is_last: bool,
    text: &'a [u8],
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, rest) = line.split_at_checked(3)?;
        let code = str::from_utf8(code).ok().filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
        let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
        let (is_last, text) = match rest {
            [] => (true, rest),
            [b'-', text @ ..] => (false, text),
            [b' ' | b'\t', text @ ..] => (true, text),
            _ => return None,
        };
        Some(Self { code, is_last, text })
    }
}

/// UTF-8 as it is; of any other encoding the letters of ASCII, and the other bytes as `\xc7`, so that nothing is lost.
fn readable(text: &[u8]) -> String {
    str::from_utf8(text).map_or_else(|_| text.escape_ascii().to_string(), str::to_owned)
}

/// The mail with a second dot before each line that begins with one (RFC 5321, 4.5.2), and a line end at its end.
pub fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(mail.len() + mail.len() / 64 + 2);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}
