//! A server of no protocol that refuses whatever it is asked, in words that repeat what it must not: the request, and the
//! secrets that it was told. It answers HTTP in HTTP, and greets everybody else as an SMTP server that is closed.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::plant::Plant;

/// How long a client may be silent before it is one that waits to be greeted.
const SILENCE: Duration = Duration::from_millis(300);

/// A running parrot; it lasts as long as the test process.
pub struct Parrot {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Parrot {
    /// Starts one that repeats these.
    pub fn start(plants: &[Plant]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let form = |plant: &Plant| format!("{} {} {}", plant.text(), plant.in_url(), plant.in_login());
        let words = plants.iter().map(form).collect::<Vec<_>>().join(" ");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let words = words.clone();
                count.fetch_add(1, Ordering::Relaxed);
                // A client that has gone needs no answer.
                thread::spawn(move || drop(refuse(client, &words)));
            }
        });
        Self { port, asked }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it has had.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn refuse(mut client: TcpStream, words: &str) -> std::io::Result<()> {
    client.set_read_timeout(Some(SILENCE))?;
    let mut request = vec![0; 16 * 1024];
    let read = client.read(&mut request).unwrap_or(0);
    if read == 0 {
        return client.write_all(format!("554 5.7.1 we do not want {words}\r\n").as_bytes());
    }
    let request = String::from_utf8_lossy(&request[..read]);
    let message = format!("you said {request} and we know {words}").replace(['"', '\\', '\r', '\n'], " ");
    let body = format!(
        "{{\"error\":{{\"message\":\"{message}\",\"code\":\"invalid_api_key\"}},\"message\":\"{message}\"}}"
    );
    let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close";
    client.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())
}
