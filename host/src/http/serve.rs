//! A listener and a router become a server, until it is told to stop: what was taken by then is finished. Whoever sends
//! slowly, sends too much or sends nothing costs others nothing.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use hyper::{
    Request,
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

/// How long the end of an endless answer may take to reach its client.
const FAREWELL: Duration = Duration::from_secs(1);

/// What one connection may cost.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How many connections at once; more wait until one ends.
    pub(super) connections: u32,
    /// How long the head of a request may take, and how long a connection may be kept without a request.
    pub(super) head_patience: Duration,
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
            head_patience: Duration::from_secs(20),
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
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()> + Send) {
    serve_within(Limits::default(), listener, router, stop).await;
}

pub(super) async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send,
) {
    let room = Arc::new(Semaphore::new(limits.connections as usize));
    let stopping = watch::Sender::new(false);
    let mut stop = pin!(stop);
    loop {
        let (stream, client, place) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let connection = Connection { client, place, limits, router: router.clone() };
        tokio::spawn(connection.serve(stream, stopping.subscribe()));
    }
    drop(listener);
    stopping.send_replace(true);
    // Every place is free again: nobody is served any more.
    let _ = room.acquire_many(limits.connections).await;
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, SocketAddr, Place) {
    let permit = room.clone().acquire_owned().await.expect("the semaphore is never closed");
    let place = Place { _permit: Arc::new(permit), endless: Arc::default() };
    loop {
        match listener.accept().await {
            Ok((stream, client)) => return (stream, client, place),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                // Most likely there are too many open files: some are closed soon.
                tracing::error!("no connection can be accepted: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// The client went before it was served.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What serving one client takes.
struct Connection {
    client: SocketAddr,
    place: Place,
    limits: Limits,
    router: Router,
}

impl Connection {
    async fn serve(self, stream: TcpStream, mut stopping: watch::Receiver<bool>) {
        // Small frames of a WebSocket are not held back; a socket that refuses is as good.
        let _ = stream.set_nodelay(true);
        let Self { client, place, limits, router } = self;
        let endless = place.endless.clone();
        let router = TowerToHyperService::new(router);
        let service = service_fn(move |mut request: Request<Incoming>| {
            // Who is at the other end decides what he may.
            request.extensions_mut().insert(ConnectInfo(client));
            request.extensions_mut().insert(place.clone());
            router.call(request)
        });
        let mut connection =
            pin!(limits.protocol().serve_connection(TokioIo::new(stream), service).with_upgrades());
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
        };
        if let Err(error) = outcome {
            tracing::debug!(%client, "the connection ended early: {error}");
        }
    }
}
