//! Real connections: limits of each, room for all, and an end that cuts nobody.

use std::net::Ipv4Addr;

use axum::{
    middleware::{Next, from_fn},
    response::IntoResponse,
    routing::get,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::*;
use crate::http::serve::{self, Door, Limits, serve_within};

/// A server with a quick route and one that waits to be released.
struct Server {
    address: SocketAddr,
    entered: Arc<Notify>,
    release: Arc<Notify>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    registry: prometheus::Registry,
    board: Board,
}

/// As the routes of plugins do.
async fn only_webhooks_without_room(request: Request<Body>, next: Next) -> Response {
    let no_room = request.extensions().get::<serve::NoRoom>().cloned();
    match no_room.filter(|_| !["/livez", "/webhook"].contains(&request.uri().path())) {
        Some(no_room) => no_room.refuse().into_response(),
        None => next.run(request).await,
    }
}

fn door(registry: &prometheus::Registry) -> Door {
    Door::new(registry, board(Vec::new()), &[])
}

/// More than lies on the way between two ends of a connection.
const LONG: usize = 64 << 20;

const QUICK: Limits = Limits {
    connections: 64,
    share: 64,
    reserve: 2,
    head_patience: Duration::from_millis(200),
    write_patience: Duration::from_secs(600),
    head_size: 8192,
    headers: 20,
};

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
            .route("/slow", get(slow))
            .route(
                "/broken",
                get(|| async {
                    if true {
                        panic!("as the test wants it")
                    }
                }),
            )
            .route("/long", get(|| async { vec![b'x'; LONG] }))
            .route("/livez", get(|| async { "alive" }))
            .route("/webhook", get(|| async { "heard" }))
            .layer(from_fn(only_webhooks_without_room));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { _ = stopped.await };
        let registry = prometheus::Registry::new();
        let board = board(Vec::new());
        let door = Door::new(&registry, board.clone(), &["127.0.0.9".parse().unwrap()]);
        let served = tokio::spawn(serve_within(limits, listener, router, door, stopped));
        Self { address, entered, release, stop, served, registry, board }
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        connection
    }

    /// How many connections were cut for this cause.
    fn cut(&self, cause: &str) -> u64 {
        let families = self.registry.gather();
        let cut =
            families.iter().find(|family| family.name() == "switchboard_connections_cut_total").unwrap();
        let of_cause = cut.get_metric().iter().find(|metric| metric.get_label()[0].value() == cause).unwrap();
        of_cause.get_counter().get_value() as u64
    }

    /// Asks again and again until there is a place; the limit is far beyond what it takes.
    async fn serves_again(&self) {
        let again = async { while !self.exchange(GET_QUICK_ONCE).await.starts_with("HTTP/1.1 200 ") {} };
        tokio::time::timeout(Duration::from_secs(60), again).await.expect("there is a place again");
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
const GET_QUICK_ONCE: &[u8] = b"GET /quick HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
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
async fn a_connection_whose_task_panics_is_told_and_gives_its_place_back() {
    let server = Server::start(Limits { connections: 1, ..PATIENT }).await;
    for count in 1..=3 {
        let answer = server.exchange(b"GET /broken HTTP/1.1\r\nhost: here\r\n\r\n").await;
        assert_eq!(answer, "", "nothing is answered: a whole host catches this earlier");
        assert_eq!(server.board.snapshot().panics["connection"].count, count);
    }
    let answer = server.exchange(GET_QUICK_ONCE).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let notes = server.board.snapshot().notes();
    assert!(notes[0].starts_with("a task of the host, `connection`, ended by a panic 3 times"), "{notes:?}");
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
async fn beyond_the_room_the_idlest_gives_way() {
    let server = Server::start(Limits { connections: 3, ..PATIENT }).await;
    let mut busy = server.send(GET_SLOW).await;
    server.entered.notified().await;
    let silent = server.send(b"").await;
    let mut idle = server.send(GET_QUICK).await;
    read_until(&mut idle, "127.0.0.1").await;

    let halting = server.send(b"GET /quick HT").await;
    assert_eq!(read_all(silent).await, "", "it came before the last request of the other one");
    let mut next = server.send(GET_QUICK).await;
    read_until(&mut next, "127.0.0.1").await;
    assert_eq!(read_all(idle).await, "");
    let mut last = server.send(GET_QUICK).await;
    read_until(&mut last, "127.0.0.1").await;
    assert!(!read_all(halting).await.contains(" 200 "), "half a head is no request");
    assert_eq!(server.cut("idle"), 3);

    server.release.notify_one();
    read_until(&mut busy, "slow").await;
}

#[tokio::test]
async fn where_nobody_is_idle_the_process_still_answers_for_itself() {
    let server = Server::start(Limits { connections: 1, ..PATIENT }).await;
    let mut busy = server.send(GET_SLOW).await;
    server.entered.notified().await;
    let refused = server.exchange(GET_QUICK).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("all connections of the host are in use"), "{refused}");
    // More of those that send nothing than there are reserved places.
    let silent = [server.send(b"").await, server.send(b"").await, server.send(b"").await];
    let alive = server.exchange(b"GET /livez?_=1 HTTP/1.1\r\nhost: here\r\n\r\n").await;
    assert!(alive.starts_with("HTTP/1.1 200 ") && alive.ends_with("alive"), "{alive}");
    drop(silent);
    let webhook = server.exchange(b"GET /webhook HTTP/1.1\r\nhost: here\r\n\r\n").await;
    assert!(webhook.starts_with("HTTP/1.1 200 ") && webhook.ends_with("heard"), "{webhook}");
    let health = server.exchange(b"GET /api/health HTTP/1.1\r\nhost: here\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 503 "), "{health}");
    assert_eq!(server.cut("room"), 2);

    server.release.notify_one();
    read_until(&mut busy, "slow").await;
    server.serves_again().await;
}

/// From the address of another client, which this machine has as well.
async fn connect_from(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn a_client_beyond_its_share_takes_the_places_of_nobody_else() {
    let server = Server::start(Limits { connections: 8, share: 2, ..PATIENT }).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push(server.send(GET_SLOW).await);
        server.entered.notified().await;
    }
    let refused = server.exchange(GET_QUICK).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    let ask = async |from| {
        let mut other = connect_from(from, server.address).await;
        other.write_all(GET_QUICK).await.unwrap();
        read_until(&mut other, &Ipv4Addr::from(from).to_string()).await;
        other
    };
    let first = ask([127, 0, 0, 2]).await;
    let mut second = ask([127, 0, 0, 2]).await;
    let third = ask([127, 0, 0, 2]).await;
    assert_eq!(read_all(first).await, "", "its own idlest gave way");
    second.write_all(GET_QUICK_ONCE).await.unwrap();
    assert!(read_all(second).await.ends_with("127.0.0.2"), "another is kept");
    assert_eq!(server.cut("idle"), 1);
    drop(third);
    // Of a proxy nobody knows whose they are.
    let through = [ask([127, 0, 0, 9]).await, ask([127, 0, 0, 9]).await, ask([127, 0, 0, 9]).await];
    assert!(server.cut("idle") == 1 && through.len() == 3);
    for mut busy in busy {
        server.release.notify_one();
        read_until(&mut busy, "slow").await;
    }
}

#[tokio::test]
async fn in_the_reserve_the_greediest_gives_way() {
    let server = Server::start(Limits { connections: 1, ..PATIENT }).await;
    let _busy = server.send(GET_SLOW).await;
    server.entered.notified().await;
    let mut first = connect_from([127, 0, 0, 2], server.address).await;
    let greedy = [server.send(b"").await, server.send(b"").await, server.send(b"").await];
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    assert!(read_all(first).await.ends_with("alive"), "it came first, and alone");
    drop(greedy);
}

#[tokio::test]
async fn whoever_reads_nothing_is_cut() {
    let limits = Limits { connections: 1, write_patience: Duration::from_millis(300), ..PATIENT };
    let server = Server::start(limits).await;
    let mut deaf = server.send(b"GET /long HTTP/1.1\r\nhost: here\r\n\r\n").await;
    read_until(&mut deaf, "x").await;
    server.serves_again().await;
    assert_eq!(server.cut("unread"), 1);
    assert!(read_all(deaf).await.len() < LONG, "it got all of it");
}

#[tokio::test]
async fn whoever_reads_gets_all_of_it() {
    let server = Server::start(Limits { write_patience: Duration::from_secs(60), ..QUICK }).await;
    let answer = server.exchange(b"GET /long HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await;
    assert!(answer.len() > LONG, "{}", answer.len());
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
    let mut served = tokio::spawn(serve_within(
        PATIENT,
        listener,
        router,
        door(&prometheus::Registry::new()),
        async move {
            _ = stopped.await;
        },
    ));
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
    let served = tokio::spawn(serve_within(
        PATIENT,
        listener,
        router,
        door(&prometheus::Registry::new()),
        async move {
            _ = stopped.await;
        },
    ));
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET /endless HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    read_until(&mut connection, "xxx").await;
    stop.send(()).unwrap();
    served.await.unwrap();
    drop(connection);
}
