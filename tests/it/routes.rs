//! Routes of plugins: calls, guards, answers in pieces, WebSockets; and streams between plugins.

use std::net::TcpStream;

use libtest_mimic::Trial;
use serde_json::json;
use switchboard_tests::{Setup, TestHost, trials, wait::wait_until};
use tungstenite::{
    ClientRequestBuilder, Error, Message, WebSocket,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

pub fn tests() -> Vec<Trial> {
    trials![
        a_route_hands_the_request_to_its_operation,
        a_wrong_method_and_a_wrong_path_are_told_apart,
        a_body_has_a_limit,
        a_route_for_operators_is_not_for_other_sites,
        a_guard_decides_and_names_the_person,
        a_guard_that_cannot_be_asked_closes_the_door,
        an_answer_that_is_no_http_is_the_plugins_fault,
        an_answer_comes_in_pieces,
        an_answer_that_breaks_off_is_not_whole,
        a_websocket_carries_frames_both_ways,
        a_websocket_tells_why_it_closes,
        whoever_goes_on_sending_is_told_why_it_closes_too,
        a_websocket_is_refused_in_plain_http,
        a_stream_between_plugins_keeps_order_under_back_pressure,
        two_plugins_on_one_route_are_refused,
    ]
}

pub fn start() -> TestHost {
    let host = Setup::new("[plugins.web]\n").start();
    host.wait_for_status("web", "connected");
    host
}

fn a_route_hands_the_request_to_its_operation() {
    let host = start();
    let headers = [("content-type", "text/plain")];
    let answer = host.request("POST", "/web/a%20b/show?x=1&y=%C3%A9", &headers, Some("grüße"));
    assert_eq!((answer.status, answer.header("x-shown-by")), (201, Some("web")));
    let expected = json!({
        "method": "POST", "url": format!("http://{}/web/a%20b/show?x=1&y=%C3%A9", host.address()),
        "params": {"id": "a b"}, "query": [["x", "1"], ["y", "é"]], "body": {"text": "grüße"}, "person": null,
    });
    assert_eq!(answer.json(), expected);
    let head = host.request("HEAD", "/web/1/show", &[], None);
    assert_eq!((head.status, head.body.as_str()), (201, ""));
}

fn a_wrong_method_and_a_wrong_path_are_told_apart() {
    let host = start();
    let answer = host.request("DELETE", "/web/1/show", &[], None);
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,POST,HEAD")));
    let answer = host.get("/web/1/shwo");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("/web/{id}/show"), "{}", answer.body);
}

fn a_body_has_a_limit() {
    let host = start();
    let answer = host.request("POST", "/web/1/show", &[], Some(&"x".repeat(1001)));
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert_eq!(host.request("POST", "/web/1/show", &[], Some(&"x".repeat(1000))).status, 201);
}

fn a_route_for_operators_is_not_for_other_sites() {
    let host = start();
    assert_eq!(host.get("/web/operator").status, 201);
    assert_eq!(
        host.request("POST", "/web/operator", &[("origin", "https://evil.example")], None).status,
        403
    );
    assert_eq!(host.request("GET", "/web/operator", &[("host", "evil.example")], None).status, 403);
    assert_eq!(host.request("GET", "/web/operator", &[("x-forwarded-for", "10.0.0.1")], None).status, 401);
}

fn a_guard_decides_and_names_the_person() {
    let host = start();
    let refused = host.request("POST", "/web/guarded", &[], Some("x"));
    assert_eq!((refused.status, refused.json()["detail"].clone()), (403, json!("the word is not known")));
    let admitted = host.request("POST", "/web/guarded", &[("x-word", "sesame")], Some("x"));
    assert_eq!((admitted.status, admitted.json()["person"].clone()), (201, json!("ali")));
}

fn a_guard_that_cannot_be_asked_closes_the_door() {
    let host = start();
    let nobody = host.get("/web/unguarded");
    assert_eq!(nobody.status, 503, "{}", nobody.body);
    assert!(nobody.body.contains("the guard `nobody.admit` cannot be asked"), "{}", nobody.body);
    assert_eq!(host.request("POST", "/web/guarded", &[("x-word", "crash")], None).status, 503);
}

fn an_answer_that_is_no_http_is_the_plugins_fault() {
    let answer = start().get("/web/nonsense");
    assert_eq!(answer.status, 500);
    assert!(
        answer.body.contains("`web.nonsense` gave an answer that is not an HTTP response"),
        "{}",
        answer.body
    );
}

fn an_answer_comes_in_pieces() {
    let answer = start().get("/web/count");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let expected: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    assert_eq!(answer.body, expected);
}

fn an_answer_that_breaks_off_is_not_whole() {
    let host = start();
    let request = "GET /web/count?break HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let raw = switchboard_tests::http::send_raw(host.address(), request.as_bytes()).unwrap_or_default();
    assert!(raw.starts_with("HTTP/1.1 200"), "{raw}");
    assert!(!raw.ends_with("0\r\n\r\n"), "the last chunk would say that it is whole");
}

pub type Socket = WebSocket<TcpStream>;

pub fn connect(host: &TestHost, query: &str, word: &str) -> Result<Socket, Error> {
    let uri = format!("ws://{}/web/socket{query}", host.address()).parse().unwrap();
    let request = ClientRequestBuilder::new(uri).with_header("x-word", word);
    let stream = TcpStream::connect(host.address())?;
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
        Err(interrupted) => panic!("the handshake blocks: {interrupted}"),
    }
}

fn a_websocket_carries_frames_both_ways() {
    let host = start();
    let mut socket = connect(&host, "", "sesame").unwrap();
    for message in [Message::text("grüße"), Message::binary(vec![0, 255, 7]), Message::text("")] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    let open = |host: &TestHost| {
        let metrics = host.get("/metrics").body;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("switchboard_streams_open{") && line.contains("\"echo\""));
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    assert_eq!(open(&host).as_deref(), Some("1"));
    drop(socket);
    wait_until("the stream to be closed", || open(&host), |open| open.as_deref() == Some("0"));
}

pub fn closed(socket: &mut Socket) -> CloseFrame {
    match socket.read().unwrap() {
        Message::Close(Some(frame)) => frame,
        other => panic!("not a close frame: {other:?}"),
    }
}

fn a_websocket_tells_why_it_closes() {
    let host = start();
    let mut socket = connect(&host, "", "sesame").unwrap();
    socket.send(Message::text("end")).unwrap();
    assert_eq!(closed(&mut socket).code, CloseCode::Normal);
    let mut socket = connect(&host, "", "sesame").unwrap();
    socket.send(Message::text("fail")).unwrap();
    let frame = closed(&mut socket);
    assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Error, "as you wish"));
}

/// A telephone call sends a frame every 20 ms, whether anybody listens or not.
fn whoever_goes_on_sending_is_told_why_it_closes_too() {
    let host = start();
    for _ in 0..20 {
        let mut socket = connect(&host, "", "sesame").unwrap();
        socket.write(Message::text("end")).unwrap();
        for _ in 0..100 {
            socket.write(Message::text("more")).unwrap();
        }
        socket.flush().unwrap();
        assert_eq!(closed(&mut socket).code, CloseCode::Normal);
    }
}

fn a_websocket_is_refused_in_plain_http() {
    let host = start();
    let status = |outcome: Result<Socket, Error>| match outcome {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("not refused in HTTP: {:?}", other.map(drop)),
    };
    assert_eq!(status(connect(&host, "", "please")), 403);
    assert_eq!(status(connect(&host, "?full=1", "sesame")), 503);
    assert_eq!(host.get("/web/socket").status, 400);
}

fn a_stream_between_plugins_keeps_order_under_back_pressure() {
    let host = Setup::new("[plugins.web]\n[plugins.faulty]\n").start();
    host.wait_for_status("web", "connected");
    let answer = host.call("web", "relay", &json!({"frames": 5000}));
    assert_eq!(answer.json(), json!({"echoed": 5000, "reason": "the stream was served to its end"}));
}

fn two_plugins_on_one_route_are_refused() {
    let refused = Setup::new("[plugins.web]\n\n[plugins.mirror]\nlibrary = \"web\"\n").command(&["check"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(
        refused.stderr.contains("`mirror` claims `GET /web/count`, which is a route of `web`"),
        "{refused:?}"
    );
}
