//! A way to a partner that can be cut, slowed down, frozen, and laid to another one: an outage whose end finds the partner
//! as it was.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

/// How often a frozen connection looks whether it goes on.
const LOOK: Duration = Duration::from_millis(20);

/// Listens on a port of its own, and passes on what comes.
pub struct Relay {
    address: String,
    way: Arc<Mutex<Way>>,
}

struct Way {
    target: Option<String>,
    open: Vec<TcpStream>,
    pace: Pace,
}

/// How what is sent arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    Prompt,
    /// Each piece so much later.
    Slow(Duration),
    /// Not before the pace changes; connections stay open, as if every packet were lost.
    Frozen,
}

impl Relay {
    /// A way to this address.
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let way = Arc::new(Mutex::new(Way {
            target: Some(target.to_owned()),
            open: Vec::new(),
            pace: Pace::Prompt,
        }));
        let known = way.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // What cannot be passed on is closed, as by a partner that is not there.
                let _ = pass_on(client, &known);
            }
        });
        Self { address, way }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends every connection, and takes no other.
    pub fn cut(&self) {
        self.lay(None);
    }

    /// Leads to this address from now on.
    pub fn lead_to(&self, target: &str) {
        self.lay(Some(target.to_owned()));
    }

    /// Changes how what is sent arrives, on open connections too.
    pub fn set_pace(&self, pace: Pace) {
        self.way.lock().unwrap_or_else(PoisonError::into_inner).pace = pace;
    }

    fn lay(&self, target: Option<String>) {
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        way.target = target;
        for stream in way.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(client: TcpStream, shared: &Arc<Mutex<Way>>) -> io::Result<()> {
    let mut way = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(target) = &way.target else { return client.shutdown(Shutdown::Both) };
    let server = TcpStream::connect(target)?;
    way.open.extend([client.try_clone()?, server.try_clone()?]);
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let way = shared.clone();
        thread::spawn(move || {
            let _ = copy(&from, &to, &way);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, way: &Mutex<Way>) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    loop {
        let length = from.read(&mut piece)?;
        // The end of a connection is a packet, too.
        wait(way);
        if length == 0 {
            return Ok(());
        }
        to.write_all(&piece[..length])?;
    }
}

/// Until the next piece may pass.
fn wait(way: &Mutex<Way>) {
    loop {
        // Read anew each time, so that nobody holds the lock while this waits.
        let pace = way.lock().unwrap_or_else(PoisonError::into_inner).pace;
        match pace {
            Pace::Prompt => return,
            Pace::Slow(delay) => return thread::sleep(delay),
            Pace::Frozen => thread::sleep(LOOK),
        }
    }
}
