//! One `GET`, sent again and again over connections that stay open. It does as little as a client can, for it runs on the
//! same machine; it checks the status of every answer.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// What is asked, and what is expected.
pub struct Client {
    connections: Vec<Connection>,
    request: Vec<u8>,
    status: u16,
}

/// A connection that stays open.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects so many times to an address such as `127.0.0.1:8080`.
    pub fn new(address: &str, path: &str, headers: &[(&str, &str)], connections: usize, status: u16) -> Self {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n").into_bytes();
        let connections = (0..connections).map(|_| Connection::open(address)).collect();
        Self { connections, request, status }
    }

    /// Asks once on every connection, before it reads any answer: the server has always something to do.
    pub fn ask(&mut self) {
        for connection in &mut self.connections {
            connection.stream.write_all(&self.request).expect("the server takes requests");
        }
        for connection in &mut self.connections {
            assert_eq!(connection.read(), self.status, "another status than expected");
        }
    }
}

impl Connection {
    /// Connects to an address such as `127.0.0.1:8080`.
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("it is a TCP connection");
        Self { stream, buffer: vec![0; 256 * 1024] }
    }

    /// Sends a request, and gives the status of its answer.
    pub fn exchange(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).expect("the server takes requests");
        self.read()
    }

    /// Reads one answer to its end, and gives its status.
    fn read(&mut self) -> u16 {
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[filled..]).expect("the server answers");
            assert!(count > 0, "the server closed the connection");
            filled += count;
            if let Some((status, length)) = head(&self.buffer[..filled])
                && filled >= length
            {
                return status;
            }
        }
    }
}

/// The status, and how long the answer is with its body, once the head is complete.
fn head(bytes: &[u8]) -> Option<(u16, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some((status, end + 4 + length.map_or(Some(0), |length| length.parse().ok())?))
}
