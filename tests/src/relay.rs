//! A way to a partner that can be cut, and laid to another one: an outage whose end finds the partner as it was.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Listens on a port of its own, and passes on what comes.
pub struct Relay {
    address: String,
    way: Arc<Mutex<Way>>,
}

struct Way {
    target: Option<String>,
    open: Vec<TcpStream>,
}

impl Relay {
    /// A way to this address.
    pub fn to(target: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let way = Arc::new(Mutex::new(Way { target: Some(target.to_owned()), open: Vec::new() }));
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

    fn lay(&self, target: Option<String>) {
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        way.target = target;
        for stream in way.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(client: TcpStream, way: &Mutex<Way>) -> io::Result<()> {
    let mut way = way.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(target) = &way.target else { return client.shutdown(Shutdown::Both) };
    let server = TcpStream::connect(target)?;
    way.open.extend([client.try_clone()?, server.try_clone()?]);
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
