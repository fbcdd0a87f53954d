//! The server as a task of the host: should it panic, another one takes connections at the same address.

use std::net;

use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    http::{self, Door, Router},
    status::Board,
    tasks,
};

/// Serves until the future that `stop` makes for each server is done.
pub(super) fn serve<S>(
    board: &Board,
    listener: net::TcpListener,
    router: Router,
    door: Door,
    mut stop: impl FnMut() -> S + Send + 'static,
) -> JoinHandle<()>
where
    S: Future<Output = ()> + Send + 'static,
{
    tasks::spawn(board, "server", move || {
        let listener = listener.try_clone().and_then(TcpListener::from_std);
        let (router, door, stop) = (router.clone(), door.clone(), stop());
        async move {
            // If it does not, this is a panic like any other, and the next one tries again.
            let listener = listener.expect("the system lends a descriptor for the listener");
            http::serve(listener, router, door, stop).await;
        }
    })
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use jiff::Timestamp;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;
    use crate::status::BoardConfig;

    #[tokio::test]
    async fn another_server_takes_over_at_the_same_address() {
        let (boot_id, version) = ("test".to_owned(), "0".to_owned());
        let board = Board::new(BoardConfig { boot_id, version, plugins: Vec::new(), now: Timestamp::now() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut servers = 0;
        let stop = move || {
            servers += 1;
            let is_first = servers == 1;
            async move {
                assert!(!is_first, "as the test wants it");
                pending().await
            }
        };
        let door = Door::new(&prometheus::Registry::new(), board.clone(), &[]);
        let server = serve(&board, listener.into_std().unwrap(), Router::new(), door, stop);
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert_eq!(board.snapshot().panics["server"].count, 1);
        server.abort();
    }
}
