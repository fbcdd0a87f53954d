//! The Realtime API as a stream: frames as they are, refusals before the stream is taken, codes and reasons of closing in
//! both directions.

use std::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver},
    thread,
};

use expect_test::expect;
use plugin_api::{
    error::OperationError,
    protocol::CloseReason,
    requests::openai::{Realtime, RealtimeClose},
    serde_json::{Value, json},
    stream::{Frame, Stream},
    testing::TestInstance,
    tokio,
};
use tokio_tungstenite::tungstenite::{
    Message, WebSocket, accept_hdr,
    handshake::server::{Request, Response},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    peer::{Peer, Talk, closed_port},
    setup::{KEY, LIMIT, plugin, shown},
};
use crate::OpenAi;

pub type Socket = WebSocket<TcpStream>;

/// A realtime server that keeps to a script. The test receives what the script gives.
pub struct Server {
    pub port: u16,
    told: Receiver<String>,
}

impl Server {
    pub fn start(script: impl FnOnce(&mut Socket, &mpsc::Sender<String>) + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let (tcp, _) = listener.accept().unwrap();
            let seen = tell.clone();
            let look = |request: &Request, response: Response| {
                let names: Vec<_> = request.headers().keys().map(|name| name.as_str()).collect();
                let key = request.headers().get("authorization").map(|key| key.to_str().unwrap());
                seen.send(format!("{} {} {key:?}", request.uri(), names.contains(&"openai-beta"))).unwrap();
                Ok(response)
            };
            let mut socket = accept_hdr(tcp, look).unwrap();
            script(&mut socket, &tell);
        });
        Self { port, told }
    }

    fn told(&self) -> String {
        self.told.recv_timeout(LIMIT).expect("the script tells something")
    }
}

fn instance(port: u16, more: Value) -> TestInstance<OpenAi> {
    let mut settings = json!({ "realtime_url": format!("ws://127.0.0.1:{port}/v1/realtime") });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    plugin(port, settings)
}

async fn open(plugin: &TestInstance<OpenAi>) -> Result<Stream, OperationError> {
    plugin.open("realtime", &Realtime::default()).await
}

/// Waits until the stream is closed, and tells how.
async fn closed(stream: &Stream) -> CloseReason {
    loop {
        if let Err(reason) = stream.recv().await {
            return reason;
        }
    }
}

#[tokio::test]
async fn frames_pass_as_they_are_in_both_directions() {
    let odd =
        ["{\"type\":\"response.future_event\",\"x\":[1, 2]}", "{ \"type\" : \"\\u00e9\" }", "grüße", ""];
    let server = Server::start(move |socket, tell| {
        for text in odd {
            socket.send(Message::text(text)).unwrap();
        }
        socket.send(Message::binary(vec![0, 255])).unwrap();
        for _ in 0..3 {
            tell.send(format!("{:?}", socket.read().unwrap())).unwrap();
        }
        let _ = socket.read();
    });
    let plugin = instance(server.port, json!({}));
    let stream = open(&plugin).await.unwrap();
    assert_eq!(server.told(), format!("/v1/realtime?model=gpt-realtime-2.1 false Some(\"Bearer {KEY}\")"));
    for text in odd {
        assert_eq!(stream.recv().await.unwrap(), Frame::Text(text.to_owned()));
    }
    assert_eq!(stream.recv().await.unwrap(), Frame::Binary(vec![0, 255]));
    stream.send(Frame::Text("{\"type\":\"session.update\" }".to_owned())).await.unwrap();
    stream.send(Frame::Binary(vec![7])).await.unwrap();
    stream.send(Frame::Text("ü".to_owned())).await.unwrap();
    let told: Vec<_> = (0..3).map(|_| server.told()).filter(|told| !told.starts_with("Ping")).collect();
    assert!(told[0].contains("session.update"), "{told:?}");
}

#[tokio::test]
async fn many_frames_both_ways_at_once_keep_their_order() {
    const FRAMES: usize = 2000;
    let server = Server::start(|socket, _| {
        while let Ok(message) = socket.read() {
            if message.is_text() && socket.send(message).is_err() {
                return;
            }
        }
    });
    let plugin = instance(server.port, json!({}));
    let stream = open(&plugin).await.unwrap();
    let send = async {
        for number in 0..FRAMES {
            stream.send(Frame::Text(number.to_string())).await.unwrap();
        }
    };
    let receive = async {
        for number in 0..FRAMES {
            assert_eq!(stream.recv().await.unwrap(), Frame::Text(number.to_string()));
        }
    };
    tokio::join!(send, receive);
}

#[tokio::test]
async fn the_model_may_be_chosen_by_request_by_setting_or_by_address() {
    let asked = async |settings: Value, request: Realtime, path: &str| {
        let server = Server::start(|socket, _| drop(socket.read()));
        let mut more = settings;
        more["realtime_url"] = json!(format!("ws://127.0.0.1:{}{path}", server.port));
        let plugin = plugin(server.port, more);
        let _stream = plugin.open("realtime", &request).await.unwrap();
        server.told().split(' ').next().unwrap().to_owned()
    };
    let named = Realtime { model: Some("gpt-realtime-2".into()) };
    assert_eq!(asked(json!({}), named, "/v1/realtime").await, "/v1/realtime?model=gpt-realtime-2");
    let setting = json!({ "realtime_model": "mine" });
    assert_eq!(asked(setting, Realtime::default(), "/rt?v=1").await, "/rt?v=1&model=mine");
    assert_eq!(asked(json!({}), Realtime::default(), "/rt?model=fixed").await, "/rt?model=fixed");
}

#[tokio::test]
async fn the_servers_code_and_reason_reach_the_caller_after_every_frame() {
    for (code, text) in [(1000, "bye"), (1001, "session_expired"), (4000, "invalid_request_error.beta")] {
        let server = Server::start(move |socket, _| {
            socket.send(Message::text("last")).unwrap();
            socket.close(Some(CloseFrame { code: CloseCode::from(code), reason: text.into() })).unwrap();
            while socket.read().is_ok() {}
        });
        let plugin = instance(server.port, json!({}));
        let stream = open(&plugin).await.unwrap();
        assert_eq!(stream.recv().await.unwrap(), Frame::Text("last".to_owned()));
        let reason = closed(&stream).await;
        let expected = RealtimeClose { close_code: code, close_reason: text.to_owned() };
        assert_eq!(RealtimeClose::of(&reason), expected);
        assert_eq!(reason.error.is_none(), code == 1000, "{reason:?}");
    }
}

#[tokio::test]
async fn the_callers_code_and_reason_reach_the_server() {
    let told = async |close: Option<CloseReason>| {
        let server = Server::start(|socket, tell| {
            loop {
                match socket.read() {
                    Ok(Message::Close(Some(frame))) => {
                        tell.send(format!("{} {}", u16::from(frame.code), frame.reason)).unwrap();
                    }
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        });
        let plugin = instance(server.port, json!({}));
        let stream = open(&plugin).await.unwrap();
        server.told();
        match close {
            Some(reason) => stream.close(reason),
            None => drop(stream),
        }
        tokio::task::spawn_blocking(move || server.told()).await.unwrap()
    };
    assert_eq!(told(Some(CloseReason::done("the call has ended"))).await, "1000 the call has ended");
    let own = RealtimeClose { close_code: 4001, close_reason: "hung up".to_owned() };
    assert_eq!(told(Some(own.into_reason("hung up"))).await, "4001 hung up");
    let long = CloseReason::done("ü".repeat(100));
    assert_eq!(told(Some(long)).await, format!("1000 {}", "ü".repeat(61)), "as much as fits");
    assert_eq!(told(Some(CloseReason::failed(OperationError::internal("it broke")))).await, "1011 it broke");
    assert_eq!(told(None).await, "1001 ");
}

#[tokio::test]
async fn a_close_code_that_no_frame_may_carry_becomes_one_that_may() {
    let server = Server::start(|socket, tell| {
        while let Ok(message) = socket.read() {
            if let Message::Close(Some(frame)) = message {
                tell.send(u16::from(frame.code).to_string()).unwrap();
            }
        }
    });
    let plugin = instance(server.port, json!({}));
    let stream = open(&plugin).await.unwrap();
    server.told();
    stream.close(RealtimeClose { close_code: 1006, close_reason: String::new() }.into_reason("broken"));
    assert_eq!(tokio::task::spawn_blocking(move || server.told()).await.unwrap(), "1011");
}

#[tokio::test]
async fn refusals_refuse_the_stream() {
    let refused = async |peer: Peer| {
        let plugin = instance(peer.port, json!({ "connect_timeout": "300ms" }));
        let error = open(&plugin).await.err().expect("it is refused");
        shown(&error, peer.port)
    };
    let body = r#"{"error":{"message":"VENDOR sk-correct-horse-battery","code":"invalid_api_key"}}"#;
    expect![
        "unavailable auth_invalid: `127.0.0.1:PORT` does not know the key: check `OPENAI_API_KEY` (HTTP 401)"
    ]
    .assert_eq(&refused(Peer::answering(401, &[], body)).await);
    expect!["overloaded rate_limited (retry in 4000 ms): `127.0.0.1:PORT` asks to slow down: too many requests or tokens in a time (HTTP 429)"]
        .assert_eq(&refused(Peer::answering(429, &["retry-after: 4"], "")).await);
    expect!["unavailable config_invalid: `127.0.0.1:PORT` has no Realtime API at this address (HTTP 404): check `OPENAI_REALTIME_API_URL`"]
        .assert_eq(&refused(Peer::answering(404, &[], "")).await);
    expect![
        "not_found model_not_found: `127.0.0.1:PORT` has no model `gpt-realtime-2.1`, or this key may not use it: set `OPENAI_REALTIME_MODEL`"
    ]
    .assert_eq(&refused(Peer::answering(404, &[], r#"{"error":{"code":"model_not_found"}}"#)).await);
    expect!["internal protocol: `127.0.0.1:PORT` answers with HTTP 200, which is not a valid answer"]
        .assert_eq(&refused(Peer::answering(200, &[], "{}")).await);
    expect!["deadline timeout: no connection with `127.0.0.1:PORT` within 300ms"]
        .assert_eq(&refused(Peer::start(Talk::fall_silent)).await);
    let garbage = Peer::start(|talk| {
        talk.hear()?;
        talk.say("SSH-2.0-OpenSSH\r\n\r\n")?;
        talk.fall_silent()
    });
    expect!["internal protocol: `127.0.0.1:PORT` answers what is no WebSocket"]
        .assert_eq(&refused(garbage).await);
}

#[tokio::test]
async fn nobody_there() {
    let port = closed_port();
    let error = open(&instance(port, json!({}))).await.err().unwrap();
    expect!["unavailable connection_refused: nobody listens at `127.0.0.1:PORT`"]
        .assert_eq(&shown(&error, port));
    let unknown = plugin(port, json!({ "realtime_url": "wss://no-such-host.invalid/v1/realtime" }));
    let error = open(&unknown).await.err().unwrap();
    expect!["unavailable dns: the name of `no-such-host.invalid` does not resolve to an address"]
        .assert_eq(&shown(&error, port));
}

#[tokio::test]
async fn a_connection_that_breaks_is_told() {
    let server = Server::start(|socket, _| {
        socket.send(Message::text("last")).unwrap();
        // Without a close frame.
        socket.get_ref().shutdown(std::net::Shutdown::Both).unwrap();
    });
    let port = server.port;
    let plugin = instance(port, json!({}));
    let stream = open(&plugin).await.unwrap();
    assert_eq!(stream.recv().await.unwrap(), Frame::Text("last".to_owned()));
    let reason = closed(&stream).await;
    assert_eq!(RealtimeClose::of(&reason).close_code, RealtimeClose::BROKEN);
    let expected = format!("the connection to `127.0.0.1:{port}` broke");
    assert_eq!(reason.message, expected);
}

#[tokio::test]
async fn a_connection_without_any_sign_of_life_is_given_up() {
    let (end, ended) = mpsc::channel::<()>();
    let server = Server::start(move |_, _| {
        // Reads nothing, and so answers no ping.
        let _ = ended.recv_timeout(LIMIT);
    });
    let plugin = instance(server.port, json!({ "realtime_ping": "50ms" }));
    let stream = open(&plugin).await.unwrap();
    let reason = closed(&stream).await;
    assert_eq!(RealtimeClose::of(&reason).close_code, RealtimeClose::BROKEN);
    assert!(reason.message.ends_with("gave no sign of life within 150ms"), "{}", reason.message);
    drop(end);
}

#[tokio::test]
async fn pings_are_answered_in_both_directions() {
    let server = Server::start(|socket, tell| {
        socket.send(Message::Ping(b"are you there".to_vec().into())).unwrap();
        let (mut pinged, mut answered) = (false, false);
        while !(pinged && answered) {
            match socket.read().unwrap() {
                Message::Ping(_) => pinged = true,
                Message::Pong(data) => answered = data == b"are you there".as_slice(),
                _ => {}
            }
        }
        tell.send("both".to_owned()).unwrap();
        let _ = socket.read();
    });
    let plugin = instance(server.port, json!({ "realtime_ping": "1s" }));
    let _stream = open(&plugin).await.unwrap();
    let both = tokio::task::spawn_blocking(move || (server.told(), server.told())).await.unwrap();
    assert_eq!(both.1, "both");
}
