//! A listener and a router become a server, until it is told to stop: what was taken by then is finished. Clients that
//! send slowly, send too much, send nothing or read nothing cost others nothing: each has its limits, the idlest gives way
//! where there is no room, and a reserve answers for the process.

mod door;
mod entrance;
mod patient;
mod reserve;
mod seats;

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use futures_util::FutureExt as _;
use hyper::{
    Request, StatusCode,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

use self::{
    entrance::Entrance,
    patient::Patient,
    reserve::Reserve,
    seats::{Seats, Taken, Work, Worked},
};

pub use self::door::Door;
pub(super) use self::reserve::NoRoom;

/// How long the end of an endless answer may take to reach its client.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a connection that gives way may take to free its place.
const HANDOVER: Duration = Duration::from_millis(250);

/// What one connection may cost.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How many connections at once; beyond them the idlest gives way.
    pub(super) connections: u32,
    /// How many of them may be one client's; beyond them its own idlest gives way. Not so of proxies.
    pub(super) share: usize,
    /// How many more, where nobody gives way, for those that must always be answered.
    pub(super) reserve: usize,
    /// How long the head of a request may take, and how long a connection may be kept without a request.
    pub(super) head_patience: Duration,
    /// How long a client may take nothing of its answer.
    pub(super) write_patience: Duration,
    /// The most bytes of a head.
    pub(super) head_size: usize,
    /// The most headers of a request.
    pub(super) headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A process may usually open 1024 files, and plugins need some of them.
            connections: 800,
            share: 400,
            reserve: 32,
            head_patience: Duration::from_secs(20),
            write_patience: Duration::from_secs(20),
            head_size: 32 * 1024,
            headers: HYPERS_HEADERS,
        }
    }
}

/// Where hyper stops reading headers by itself.
const HYPERS_HEADERS: usize = 100;

impl Limits {
    fn protocol(self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_patience)
            .max_header_size(self.head_size);
        if self.headers != HYPERS_HEADERS {
            // A limit that is set costs two allocations for every request, even if it is hyper's own.
            builder.max_headers(self.headers);
        }
        builder
    }
}

/// Held as long as a connection lasts. Every request carries it, for those that outlive the server's part: WebSockets.
#[derive(Clone)]
pub(super) struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
    endless: Arc<AtomicBool>,
}

/// Held by an answer that ends only when the server does: a stop does not wait for a client that does not read it.
pub(super) struct Endless(Arc<AtomicBool>);

impl Place {
    /// What it is asked for now has no end of its own.
    pub(super) fn endless(&self) -> Endless {
        self.endless.store(true, Ordering::Relaxed);
        Endless(self.endless.clone())
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Serves until `stop`, and until the last request and the last WebSocket have ended: how long that may take is the
/// caller's to say.
pub async fn serve(listener: TcpListener, router: Router, door: Door, stop: impl Future<Output = ()> + Send) {
    serve_within(Limits::default(), listener, router, door, stop).await;
}

pub(super) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    door: Door,
    stop: impl Future<Output = ()> + Send,
) {
    let room = Arc::new(Semaphore::new(limits.connections as usize));
    let seats = Arc::new(Seats::default());
    let stopping = watch::Sender::new(false);
    let mut entrance = Entrance::new(listener, seats.clone(), door.clone());
    let mut reserve = Reserve::new(limits, router.clone(), door.clone());
    let mut stop = pin!(stop);
    loop {
        let (stream, client) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = entrance.next(&reserve) => accepted,
        };
        // Small frames of a WebSocket are not held back; a socket that refuses is as good.
        let _ = stream.set_nodelay(true);
        let Some(place) = place(limits, &room, &seats, &door, client).await else {
            reserve.take(stream, client);
            continue;
        };
        let seat = seats.take(client);
        let connection =
            Connection { client, place, seat, limits, door: door.clone(), router: router.clone() };
        door.spawn(connection.serve(stream, stopping.subscribe()));
    }
    drop(entrance);
    stopping.send_replace(true);
    // Every place is free again: nobody is served any more.
    let _ = room.acquire_many(limits.connections).await;
}

/// A place that is free, or that an idle connection gives away; in the place of a client's own if it has its share.
async fn place(
    limits: Limits,
    room: &Arc<Semaphore>,
    seats: &Seats,
    door: &Door,
    client: SocketAddr,
) -> Option<Place> {
    let has_its_share = !door.is_proxy(client) && seats.of(client) >= limits.share;
    let is_asked = has_its_share && seats.ask_the_idlest(Some(client));
    if has_its_share && !is_asked {
        return None;
    }
    let permit = room.clone().try_acquire_owned().ok();
    let is_asked = is_asked || (permit.is_none() && seats.ask_the_idlest(None));
    if is_asked {
        door.cut_idle();
    }
    let permit = match permit {
        None if is_asked => timeout(HANDOVER, room.clone().acquire_owned()).await.ok()?.ok()?,
        permit => permit?,
    };
    Some(Place { _permit: Arc::new(permit), endless: Arc::default() })
}

/// What serving one client takes.
struct Connection {
    client: SocketAddr,
    place: Place,
    seat: Taken,
    limits: Limits,
    door: Door,
    router: Router,
}

impl Connection {
    async fn serve(self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        let Self { client, place, seat: Taken(ref seat), limits, door, router } = self;
        let endless = place.endless.clone();
        let stream = TokioIo::new(Patient::new(stream, limits.write_patience, Some(seat.clone()), door));
        let own_seat = seat.clone();
        let router = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            // Who is at the other end decides what he may.
            request.extensions_mut().insert(ConnectInfo(client));
            request.extensions_mut().insert(place.clone());
            let work = own_seat.begin();
            let answer = router.call(request);
            async move {
                let answer = answer.await?;
                let mut work = Some(work);
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    work.take().into_iter().for_each(Work::stay);
                }
                Ok::<_, Infallible>(answer.map(|body| Worked { body, work }))
            }
        });
        let mut connection = pin!(limits.protocol().serve_connection(stream, service).with_upgrades());
        let stop = async move {
            // An error says that the server is gone, which means the same.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        };
        let outcome = tokio::select! {
            biased;
            outcome = connection.as_mut() => outcome,
            () = stop => {
                connection.as_mut().graceful_shutdown();
                if endless.load(Ordering::Relaxed) {
                    timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
                } else {
                    connection.await
                }
            }
            () = seat.asked() => {
                connection.as_mut().graceful_shutdown();
                // A request that has come meanwhile is finished; a head that has not come whole is not waited for.
                match connection.as_mut().now_or_never() {
                    Some(outcome) => outcome,
                    None if seat.is_idle() => Ok(()),
                    None => connection.await,
                }
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%client, "the connection ended early: {error}");
        }
    }
}
