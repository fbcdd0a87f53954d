//! Real connections: limits of each, room for all, and an end that cuts nobody.

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::*;
use crate::http::serve::{self, Limits, serve_within};

/// A server with a quick route and one that waits to be released.
struct Server {
    address: SocketAddr,
    entered: Arc<Notify>,
    release: Arc<Notify>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

const QUICK: Limits =
    Limits { connections: 64, head_patience: Duration::from_millis(200), head_size: 8192, headers: 20 };

const PATIENT: Limits = Limits { head_patience: Duration::from_secs(600), ..QUICK };

impl Server {
    async fn start(limits: Limits) -> Self {
        let [entered, release] = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let (enter, wait) = (entered.clone(), release.clone());
        let slow = move || async move {
            enter.notify_one();
            wait.notified().await;
            "slow"
        };
        let router = Router::new()
            .route(
                "/quick",
                get(|ConnectInfo(client): ConnectInfo<SocketAddr>| async move { client.ip().to_string() }),
            )
            .route("/slow", get(slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { _ = stopped.await };
        let served = tokio::spawn(serve_within(limits, listener, router, stopped));
        Self { address, entered, release, stop, served }
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        connection
    }

    /// What comes until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        read_all(self.send(bytes).await).await
    }
}

async fn read_all(mut connection: TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset has ended, too.
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads one whole answer, whose body is known.
async fn read_until(connection: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let read = connection.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "it ended early: {:?}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8_lossy(&answer).into_owned()
}

const GET_QUICK: &[u8] = b"GET /quick HTTP/1.1\r\nhost: here\r\n\r\n";
const GET_SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nhost: here\r\n\r\n";

#[tokio::test]
async fn whoever_sends_a_head_slowly_is_cut_and_others_are_served() {
    let server = Server::start(QUICK).await;
    let slow = server.send(b"GET /quick HTT").await;
    let answer = server.exchange(b"GET /quick HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("127.0.0.1"), "{answer}");
    let cut = read_all(slow).await;
    assert!(!cut.contains(" 200 "), "{cut}");
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let server = Server::start(QUICK).await;
    let answer = server.exchange(GET_QUICK).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(server.exchange(b"").await, "");
}

#[tokio::test]
async fn a_request_that_takes_its_time_is_not_idle() {
    let server = Server::start(QUICK).await;
    let mut connection = server.send(GET_SLOW).await;
    server.entered.notified().await;
    // By then every idle connection has been closed.
    assert_eq!(server.exchange(b"").await, "");
    server.release.notify_one();
    read_until(&mut connection, "slow").await;
}

#[tokio::test]
async fn a_head_has_a_size() {
    let server = Server::start(PATIENT).await;
    let long = format!("GET /quick HTTP/1.1\r\nhost: here\r\nx-long: {}\r\n\r\n", "x".repeat(9000));
    let answer = server.exchange(long.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!("GET /quick HTTP/1.1\r\nhost: here\r\n{}\r\n", "x-many: x\r\n".repeat(30));
    let answer = server.exchange(many.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn beyond_the_room_a_client_waits_until_another_one_goes() {
    let server = Server::start(Limits { connections: 1, ..PATIENT }).await;
    let mut first = server.send(GET_QUICK).await;
    read_until(&mut first, "127.0.0.1").await;
    let mut second = server.send(GET_QUICK).await;
    let waits = tokio::time::timeout(Duration::from_millis(50), second.read_u8()).await;
    assert!(waits.is_err(), "{waits:?}");
    drop(first);
    read_until(&mut second, "127.0.0.1").await;
}

#[tokio::test]
async fn a_stop_finishes_what_was_taken_and_closes_what_is_idle() {
    let server = Server::start(PATIENT).await;
    let mut idle = server.send(GET_QUICK).await;
    read_until(&mut idle, "127.0.0.1").await;
    let fresh = server.send(b"").await;
    let taken = server.send(GET_SLOW).await;
    server.entered.notified().await;

    server.stop.send(()).unwrap();
    assert_eq!(read_all(idle).await, "");
    assert_eq!(read_all(fresh).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    assert!(!server.served.is_finished(), "somebody is still served");
    server.release.notify_one();
    let answer = read_all(taken).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("slow"), "{answer}");
    server.served.await.unwrap();
}

#[tokio::test]
async fn a_place_that_is_kept_keeps_the_server() {
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let handler = move |request: Request<Body>| async move {
        *keep.lock().unwrap() = request.extensions().get::<serve::Place>().cloned();
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().route("/quick", get(handler));
    let mut served = tokio::spawn(serve_within(PATIENT, listener, router, async move { _ = stopped.await }));
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET /quick HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await.unwrap();
    read_all(connection).await;
    drop(stop);
    let waits = tokio::time::timeout(Duration::from_millis(50), &mut served).await;
    assert!(waits.is_err(), "{waits:?}");
    *kept.lock().unwrap() = None;
    served.await.unwrap();
}

#[tokio::test]
async fn a_stop_does_not_wait_for_who_does_not_read_what_has_no_end() {
    let handler = |request: Request<Body>| async move {
        let endless = request.extensions().get::<serve::Place>().unwrap().endless();
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        Body::from_stream(futures_util::stream::unfold(endless, move |endless| {
            let piece = piece.clone();
            async move { Some((Ok::<_, std::convert::Infallible>(piece), endless)) }
        }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().route("/endless", get(handler));
    let served = tokio::spawn(serve_within(PATIENT, listener, router, async move { _ = stopped.await }));
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET /endless HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    read_until(&mut connection, "xxx").await;
    stop.send(()).unwrap();
    served.await.unwrap();
    drop(connection);
}
