//! Connections as they come. A process without a file descriptor left says so, in health as in the log; the idlest
//! connection gives way, and where none is idle, one client at a time is answered by a descriptor that is kept for this.
//! It recovers by itself.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpStream},
    time::{Interval, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    door::Door,
    reserve::{Lack, Reserve},
    seats::Seats,
};

/// How often it is looked whether there are descriptors, with or without somebody at the door.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long to wait after the system gave no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an idle connection may take to close.
const CLOSING: Duration = Duration::from_millis(5);

/// Trouble is over when it has not come back for so long.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// How often a trouble that goes on is logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// A file that everybody may open.
const NOTHING: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

const TROUBLE: &str = "no file descriptor is left, so that no connection can be accepted: raise the limit of open files \
                       (`LimitNOFILE`, `ulimit -n`), or find out what holds them";

pub(super) struct Entrance {
    listener: TcpListener,
    seats: Arc<Seats>,
    door: Door,
    /// Given up for the next client if there is no other descriptor.
    spare: Option<File>,
    /// When it last was without one, as long as that is a trouble.
    without_at: Option<Instant>,
    looks: Interval,
    logged_at: Option<Instant>,
}

impl Entrance {
    pub(super) fn new(listener: TcpListener, seats: Arc<Seats>, door: Door) -> Self {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { listener, seats, door, spare: open().ok(), without_at: None, looks, logged_at: None }
    }

    /// The next connection. Those that come while there is no descriptor are served here, as far as they can be.
    pub(super) async fn next(&mut self, reserve: &Reserve) -> (TcpStream, SocketAddr) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = self.looks.tick() => {
                    self.look();
                    continue;
                }
            };
            match accepted {
                Ok(accepted) => return accepted,
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    self.failed(&error);
                    match is_for_want_of_descriptors(&error) {
                        true => self.make_room(reserve).await,
                        false => sleep(PAUSE).await,
                    }
                }
            }
        }
    }

    /// Closing one descriptor makes room for one client.
    async fn make_room(&mut self, reserve: &Reserve) {
        self.ran_out();
        if self.seats.ask_the_idlest(None) {
            self.door.cut_idle();
            return sleep(CLOSING).await;
        }
        let had_one = self.spare.take().is_some();
        match timeout(PAUSE, self.listener.accept()).await {
            Ok(Ok((stream, client))) => reserve.serve(stream, client, Lack::Descriptors).await,
            // Somebody else was quicker, or the client went.
            _ if had_one => {}
            _ => sleep(PAUSE).await,
        }
        self.spare = open().ok();
    }

    /// Finds out whether another descriptor could be had.
    fn look(&mut self) {
        if self.spare.is_none() {
            self.spare = open().ok();
        }
        match open() {
            Err(error) if is_for_want_of_descriptors(&error) => self.ran_out(),
            _ if self.without_at.is_some_and(|at| at.elapsed() >= OVER_AFTER) => {
                self.without_at = None;
                self.door.tell(None);
                tracing::info!("file descriptors are available again: connections are accepted");
            }
            _ => {}
        }
    }

    fn ran_out(&mut self) {
        if self.without_at.replace(Instant::now()).is_none() {
            self.door.tell(Some(TROUBLE));
            tracing::error!("{TROUBLE}");
        }
    }

    fn failed(&mut self, error: &io::Error) {
        let times = self.door.accept_failed();
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            self.logged_at = Some(Instant::now());
            tracing::error!(times, "a connection could not be accepted: {error}");
        }
    }
}

fn open() -> io::Result<File> {
    File::open(NOTHING)
}

/// The client went before it was served.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// ENFILE, of the whole system, or EMFILE, of this process: the same numbers wherever there are such descriptors.
fn is_for_want_of_descriptors(error: &io::Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}
