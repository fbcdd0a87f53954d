//! Every entry of a plugin misbehaves in every way: what the host answers, and that nobody else is harmed. The answers
//! are those of the table in host/ARCHITECTURE.md.

use std::net::TcpStream;

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, http, http::Response, trials, wait::wait_until};
use tungstenite::{Error, Message, WebSocket, protocol::frame::coding::CloseCode};

pub fn tests() -> Vec<Trial> {
    trials![
        every_entry_of_the_lifecycle,
        an_instance_that_comes_too_late_is_dropped_whatever_its_destructor_does,
        destructors_and_stops_that_misbehave_do_not_keep_the_host,
        operations,
        routes,
        answers_in_pieces,
        guards,
        websockets,
        a_service_without_a_probe_that_hangs_is_replaced,
        a_plugin_that_flaps_is_marked,
        a_flood_of_the_log_is_cut_and_counted,
        a_response_that_does_not_fit_is_the_plugins_fault,
        bytes_that_are_no_answer,
        bytes_that_are_no_log_record_and_no_call,
        frames_and_reasons_that_are_none,
        manifests_that_are_none,
        half_sent_requests_harm_nobody,
    ]
}

/// How `faulty` is configured, and what becomes of it.
const LIFECYCLE: [(&str, &str, &str); 18] = [
    // entry and fault, status and reason code, fix
    (r#"create = "panic""#, "error panicked", "retry"),
    (r#"create = "block""#, "error timeout", "retry"),
    (r#"create = "garbage""#, "error protocol", "retry"),
    (r#"create = { flood = 10 }"#, "connected", ""),
    (r#"create = { fail = { code = "config_invalid" } }"#, "error config_invalid", "correct_setting"),
    (r#"init = "panic""#, "error panicked", "retry"),
    (r#"init = "hang""#, "error timeout", "retry"),
    (r#"init = "block""#, "error timeout", "retry"),
    (r#"init = "garbage""#, "error protocol", "retry"),
    (r#"init = { flood = 10 }"#, "connected", ""),
    (r#"init = { fail = { code = "consent_required" } }"#, "disconnected consent_required", "authorize"),
    (r#"init = { fail = { code = "account" } }"#, "error account", "see_vendor"),
    (r#"probe = "panic""#, "error panicked", "retry"),
    (r#"probe = "hang""#, "error timeout", "retry"),
    (r#"probe = "garbage""#, "error protocol", "retry"),
    (r#"probe = { flood = 10 }"#, "connected", ""),
    // Each instance is given up and replaced, until there were too many.
    (r#"probe = "block""#, "error crashed", "retry"),
    (r#"stop = "panic", drop = "panic""#, "connected", ""),
];

fn every_entry_of_the_lifecycle() {
    let section = |(number, (settings, _, _)): (usize, &(&str, &str, &str))| {
        format!(
            r#"
            [plugins.faulty_{number}]
            library = "faulty"
            init = {{ timeout = "1s" }}
            probe = {{ interval = "200ms", timeout = "200ms" }}
            retry = {{ attempts = 1, base = "10ms", cap = "50ms" }}
            settings = {{ {settings} }}
            "#
        )
    };
    let sections: String = LIFECYCLE.iter().enumerate().map(section).collect();
    let host = Setup::new(&format!(
        "[host]\nshutdown_grace = \"1s\"\n{sections}\n[plugins.neighbour]\nlibrary = \"faulty\"\n"
    ))
    .start();
    host.wait_until_ready();
    for (number, (settings, expected, fix)) in LIFECYCLE.iter().enumerate() {
        let seen =
            host.wait_for_plugin(&format!("faulty_{number}"), &format!("{expected}: {settings}"), |seen| {
                let code = seen["reason"]["code"].as_str().unwrap_or_default();
                // The one whose instances run out is seen on its way there.
                format!("{} {code}", seen["status"].as_str().unwrap_or_default()).trim() == *expected
            });
        assert_eq!(seen["fix"]["action"].as_str().unwrap_or_default(), *fix, "{settings}: {seen:#}");
        let message = seen["reason"]["message"].as_str().unwrap_or_default();
        assert!(message.len() < 2000 && !message.contains(char::is_control), "{settings}: {message:?}");
    }
    unharmed(&host);
    let (finished, _) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// Everybody else answers, the process turns, and health is read as ever.
#[track_caller]
fn unharmed(host: &TestHost) {
    host.wait_for_status("neighbour", "connected");
    host.wait_until_ready();
    let echoed = host.call("neighbour", "echo", &json!({"text": "well"}));
    assert_eq!((echoed.status, echoed.json()["text"].clone()), (200, json!("well")), "{}", echoed.body);
    for path in ["/livez", "/readyz", "/api/health/integrations", "/api/health/connections", "/metrics"] {
        assert_eq!(host.get(path).status, 200, "{path}");
    }
}

fn an_instance_that_comes_too_late_is_dropped_whatever_its_destructor_does() {
    for fault in ["panic", "block"] {
        let host = Setup::new(&format!(
            r#"
            [plugins.faulty]
            init = {{ timeout = "200ms" }}
            retry = {{ attempts = 1 }}
            settings = {{ create = {{ slow_ms = 600 }}, drop = "{fault}" }}
            [plugins.neighbour]
            library = "faulty"
            "#
        ))
        .start();
        let late = host.wait_for_status("faulty", "error");
        assert_eq!(late["reason"]["code"], "timeout", "{late:#}");
        // By now the late instance has come.
        let slow = host.call("neighbour", "commit", &json!({"fault": {"slow_ms": 700}}));
        assert_eq!(slow.status, 200, "{}", slow.body);
        unharmed(&host);
    }
}

fn destructors_and_stops_that_misbehave_do_not_keep_the_host() {
    for entry in ["stop", "drop"] {
        for fault in ["\"panic\"", "\"hang\"", "\"block\"", "\"garbage\"", "{ flood = 100 }"] {
            let config = format!(
                "[host]\nshutdown_grace = \"300ms\"\n[plugins.faulty]\nsettings = {{ {entry} = {fault} }}\n"
            );
            let host = Setup::new(&config).start();
            host.wait_for_status("faulty", "connected");
            let (finished, _) = host.terminate();
            assert_eq!(finished.code, Some(0), "{entry} {fault}: {finished:?}");
        }
    }
}

/// `faulty` and `unruly`, quickly replaced when they hang, and a neighbour.
fn start() -> TestHost {
    let host = Setup::new(
        r#"
        [plugins.faulty]
        probe = { interval = "200ms", timeout = "200ms" }
        retry = { attempts = 3, base = "10ms", cap = "50ms" }
        calls = { timeout = "1s" }
        [plugins.unruly]
        probe = { interval = "200ms", timeout = "200ms" }
        retry = { attempts = 3, base = "10ms", cap = "50ms" }
        calls = { timeout = "1s" }
        [plugins.neighbour]
        library = "faulty"
        "#,
    )
    .start();
    for name in ["faulty", "unruly", "neighbour"] {
        host.wait_for_status(name, "connected");
    }
    host
}

/// Asks, compares status and kind of error, and sees to it that the next one finds the plugin whole again.
#[track_caller]
fn check(host: &TestHost, plugin: &str, answer: &Response, expected: (u16, &str)) {
    let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let kind = problem["kind"].as_str().unwrap_or_default();
    assert_eq!((answer.status, kind), expected, "{}", answer.body);
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.len() < 2000 && !detail.contains(char::is_control), "{detail:?}");
    unharmed(host);
    host.wait_for_plugin(plugin, "answering", |_| match plugin {
        "unruly" => host.get("/unruly/call").status == 200,
        _ => host.call(plugin, "echo", &json!({"text": "again"})).status == 200,
    });
}

fn operations() {
    let host = start();
    for (fault, expected) in [
        (json!("panic"), (500, "panicked")),
        (json!("panic_without_text"), (500, "panicked")),
        (json!("hang"), (504, "deadline")),
        (json!("garbage"), (500, "internal")),
        (json!({"flood": 10}), (200, "")),
        (json!({"fail": {"code": "unavailable"}}), (503, "unavailable")),
        (json!("block"), (504, "deadline")),
    ] {
        let answer = host.call("faulty", "commit", &json!({"fault": fault}));
        let generation = host.plugin("faulty")["generation"].as_u64();
        check(&host, "faulty", &answer, expected);
        if fault == "block" {
            host.wait_for_plugin("faulty", "a fresh instance", |seen| {
                seen["generation"].as_u64() > generation
            });
        }
    }
}

fn routes() {
    let host = start();
    for (query, expected) in [
        ("fault=\"panic\"", (500, "panicked")),
        ("fault=\"hang\"", (504, "deadline")),
        ("fault=\"garbage\"", (500, "internal")),
        ("fault={\"flood\":10}", (200, "")),
        ("answer=7", (500, "")),
        ("answer={\"status\":101}", (500, "")),
        ("answer={\"status\":99}", (500, "")),
        ("answer={\"status\":200,\"headers\":[[\"a b\",\"c\"]]}", (500, "")),
        ("answer={\"status\":200,\"headers\":[[\"a\",\"b%5Cr%5Cnc: d\"]]}", (500, "")),
        ("answer={\"status\":200,\"body\":{\"base64\":\"-\"}}", (500, "")),
        (
            "answer={\"status\":200,\"headers\":[[\"content-length\",\"7\"]],\"body\":{\"text\":\"x\"}}",
            (200, ""),
        ),
        ("fault=\"block\"", (504, "deadline")),
        ("", (200, "")),
    ] {
        let answer = host.get(&format!("/unruly/call?{}", escaped(query)));
        check(&host, "unruly", &answer, expected);
    }
}

fn answers_in_pieces() {
    let host = start();
    for (query, expected) in [
        ("fault=\"panic\"", (500, "panicked")),
        ("fault=\"hang\"", (504, "deadline")),
        ("fault=\"garbage\"", (500, "internal")),
        ("answer=7", (500, "")),
        ("answer={\"status\":101}", (500, "")),
        ("fault=\"block\"", (504, "deadline")),
        ("", (200, "")),
    ] {
        let answer = host.get(&format!("/unruly/stream?{}", escaped(query)));
        check(&host, "unruly", &answer, expected);
    }
    for fault in ["\"panic\"", "\"garbage\""] {
        let path = format!("/unruly/stream?late={}", escaped(fault));
        let broken = http::request(host.address(), "GET", &path, &[], None);
        assert!(broken.is_err(), "what breaks off is not whole: {broken:?}");
        unharmed(&host);
    }
    // The client of one that hangs leaves; that ends it.
    let request = "GET /unruly/stream?late=%22hang%22 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut client = TcpStream::connect(host.address()).expect("the host listens");
    std::io::Write::write_all(&mut client, request.as_bytes()).expect("it takes the request");
    wait_until("the stream to be open", || open_streams(&host), |open| open == "1");
    drop(client);
    wait_until("the stream to be closed", || open_streams(&host), |open| open == "0");
}

fn open_streams(host: &TestHost) -> String {
    metric(host, "switchboard_streams_open", "operation=\"stream\",plugin=\"unruly\"")
}

/// The value of a metric with these labels.
fn metric(host: &TestHost, name: &str, labels: &str) -> String {
    let metrics = host.get("/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name}{{{labels}}} ")));
    line.unwrap_or_default().to_owned()
}

fn guards() {
    let host = start();
    for (query, expected) in [
        ("fault=\"panic\"", (503, "unavailable")),
        ("fault=\"hang\"", (503, "unavailable")),
        ("fault=\"garbage\"", (503, "unavailable")),
        ("admission=7", (503, "unavailable")),
        ("fault={\"fail\":{\"code\":\"forbidden\"}}", (503, "unavailable")),
        ("", (200, "")),
    ] {
        let answer = host.get(&format!("/unruly/guarded?{}", escaped(query)));
        check(&host, "unruly", &answer, expected);
    }
}

type Socket = WebSocket<TcpStream>;

fn connect(host: &TestHost, path: &str) -> Result<Socket, Error> {
    let stream = TcpStream::connect(host.address())?;
    match tungstenite::client(format!("ws://{}{path}", host.address()), stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
        Err(interrupted) => panic!("the handshake blocks: {interrupted}"),
    }
}

/// Reads to the close frame.
#[track_caller]
fn closed(mut socket: Socket) -> (CloseCode, String) {
    loop {
        match socket.read() {
            Ok(Message::Close(Some(frame))) => return (frame.code, frame.reason.to_string()),
            Ok(Message::Text(_) | Message::Binary(_)) => {}
            other => panic!("no close frame, but {other:?}"),
        }
    }
}

fn websockets() {
    let host = start();
    for (fault, expected) in [("panic", 500), ("hang", 504), ("garbage", 500), ("block", 504)] {
        let path = format!("/unruly/socket?fault={}", escaped(&format!("\"{fault}\"")));
        match connect(&host, &path) {
            Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), expected, "{fault}"),
            other => panic!("{fault} is not refused in HTTP: {:?}", other.map(drop)),
        }
        unharmed(&host);
        host.wait_for_plugin("unruly", "answering", |_| host.get("/unruly/call").status == 200);
    }
    let (code, reason) = closed(connect(&host, "/unruly/socket?late=%22panic%22").expect("it is taken"));
    assert_eq!(code, CloseCode::Error);
    assert!(reason.starts_with("panicked: as told by the settings"), "{reason}");
    let (code, reason) = closed(connect(&host, "/unruly/socket?late=%22garbage%22").expect("it is taken"));
    assert_eq!(code, CloseCode::Error);
    assert!(!reason.contains(char::is_control), "{reason:?}");
    unharmed(&host);
}

/// As a client would send it; what stands as `%` is escaped already.
fn escaped(query: &str) -> String {
    let escape = |letter: char| match letter {
        '"' | '{' | '}' | '[' | ']' | ' ' | ':' | ',' => format!("%{:02X}", u32::from(letter)),
        letter => letter.to_string(),
    };
    query.chars().map(escape).collect()
}

fn a_service_without_a_probe_that_hangs_is_replaced() {
    let host = Setup::new(
        r#"
        [plugins.faulty]
        [plugins.dependent]
        probe = { interval = "200ms", timeout = "200ms" }
        calls = { timeout = "500ms" }
        [plugins.neighbour]
        library = "faulty"
        "#,
    )
    .start();
    let whole = host.wait_for_status("dependent", "connected");
    assert_eq!((&whole["generation"], &whole["next_check_at"]), (&json!(1), &Value::Null), "{whole:#}");
    let blocked = host.call("dependent", "block", &json!({}));
    assert_eq!(blocked.status, 504, "{}", blocked.body);
    host.wait_for_plugin("dependent", "a fresh instance", |seen| {
        seen["generation"] == 2 && seen["status"] == "connected"
    });
    let asked =
        host.call("dependent", "ask", &json!({"plugin": "faulty", "operation": "counts", "request": {}}));
    assert_eq!(asked.status, 200, "{}", asked.body);
    unharmed(&host);
}

fn a_plugin_that_flaps_is_marked() {
    let host = Setup::new(
        r#"
        [plugins.faulty]
        probe = { interval = "100ms", timeout = "1s" }
        retry = { attempts = 3, base = "10ms", cap = "20ms" }
        settings = { probe = "flap" }
        [plugins.neighbour]
        library = "faulty"
        "#,
    )
    .start();
    host.wait_for_plugin("faulty", "flapping", |seen| seen["flapping"] == true);
    assert_eq!(host.get("/api/health").json()["status"], "degraded");
    unharmed(&host);
}

fn a_flood_of_the_log_is_cut_and_counted() {
    let host = start();
    let flood = host.call("faulty", "commit", &json!({"fault": {"flood": 20_000}}));
    assert!([200, 504].contains(&flood.status), "{}", flood.body);
    let name = "switchboard_log_records_dropped_total";
    wait_until(
        "dropped records",
        || metric(&host, name, "plugin=\"faulty\""),
        |count| count.parse::<u64>().is_ok_and(|count| count > 0),
    );
    wait_until(
        "a word about it",
        || host.output(),
        |output| output.contains("it logs more than 200 records a second: the rest is dropped and counted"),
    );
    let told = host.call("neighbour", "log", &json!({"level": "info", "text": "still heard"}));
    assert_eq!(told.status, 200, "{}", told.body);
    wait_until("the words of others", || host.output(), |output| output.contains("still heard"));
    let lines = host.output().lines().filter(|line| line.contains("more and more")).count();
    assert!((2000..20_000).contains(&lines), "{lines} lines");
    unharmed(&host);
}

fn a_response_that_does_not_fit_is_the_plugins_fault() {
    let host = start();
    let believed = host.call("unruly", "believe", &json!({}));
    assert_eq!((believed.status, believed.json()["kind"].clone()), (500, json!("internal")));
    let detail = believed.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.starts_with("`faulty.lie` answered what its callers do not understand"), "{detail}");
    // What fits the manifest, and not the plugin, is a wrong request.
    let asked = host.call("faulty", "lie", &json!({"text": "seven"}));
    assert_eq!((asked.status, asked.json()["kind"].clone()), (400, json!("invalid")), "{}", asked.body);
    unharmed(&host);
}

/// A library that answers at an entry with these bytes, and a neighbour.
fn raw(entry: &str, answer: &str, fails: bool) -> TestHost {
    let settings = json!({"entry": entry, "answer": answer, "fails": fails});
    let settings: Vec<String> = settings
        .as_object()
        .expect("an object")
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    Setup::new(&format!(
        r#"
        [plugins.raw]
        init = {{ timeout = "2s" }}
        probe = {{ interval = "100ms", timeout = "1s" }}
        retry = {{ attempts = 1, base = "10ms", cap = "20ms" }}
        settings = {{ {} }}
        [plugins.neighbour]
        library = "faulty"
        "#,
        settings.join(", ")
    ))
    .start()
}

fn bytes_that_are_no_answer() {
    // `{"code":"magic"…`, no UTF-8, nothing, and a text with what steers a terminal.
    for answer in ["{\"code\":\"magic\",\"message\":\"x\"}", "ÿþ\u{0}", "", "\"\u{1b}[31m\r\n\""] {
        for entry in ["create", "init", "probe"] {
            let host = raw(entry, answer, true);
            let seen = host.wait_for_status("raw", "error");
            assert_eq!(
                (&seen["reason"]["code"], &seen["fix"]["action"]),
                (&json!("internal"), &json!("retry")),
                "{entry}: {seen:#}"
            );
            let message = seen["reason"]["message"].as_str().unwrap_or_default();
            assert!(
                message.starts_with("the plugin answered with an error that the host cannot read: "),
                "{message}"
            );
            assert!(!message.contains(char::is_control), "{message:?}");
            unharmed(&host);
        }
    }
    let host = raw("call", "ÿþ", true);
    host.wait_for_status("raw", "connected");
    let answer = host.call("raw", "call", &json!({}));
    assert_eq!((answer.status, answer.json()["kind"].clone()), (500, json!("internal")), "{}", answer.body);
    let host = raw("call", "ÿþ", false);
    host.wait_for_status("raw", "connected");
    let answer = host.call("raw", "call", &json!({}));
    assert_eq!(
        (answer.status, answer.json()["detail"].clone()),
        (500, json!("`raw.call` gave an answer that is not JSON"))
    );
    unharmed(&host);
    let (finished, _) = raw("stop", "ÿþ", true).terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

fn bytes_that_are_no_log_record_and_no_call() {
    for answer in ["ÿþ", "{}", "{\"level\":7}"] {
        let host = raw("log", answer, false);
        host.wait_for_status("raw", "connected");
        unharmed(&host);
        let host = raw("host_call", answer, false);
        let seen = host.wait_for_status("raw", "error");
        let message = seen["reason"]["message"].as_str().unwrap_or_default();
        assert!(message.starts_with("unreadable call header: "), "{message}");
        unharmed(&host);
    }
    let record =
        json!({"level": "INFO", "target": "x\ny", "message": "forged\n2026 ERROR switchboard: \u{1b}[31m"});
    let host = raw("log", &record.to_string(), false);
    wait_until("the record", || host.output(), |output| output.contains("forged\\n2026 ERROR switchboard"));
    assert!(!host.output().contains('\u{1b}'), "{}", host.output());
}

fn frames_and_reasons_that_are_none() {
    for (entry, expected) in [
        ("frame", "a frame of unknown kind 7"),
        ("text", "a text frame is not UTF-8"),
        ("close", "unreadable close reason: expected value at line 1 column 1"),
    ] {
        let host = raw(entry, "ÿþ", false);
        host.wait_for_status("raw", "connected");
        let socket = connect(&host, "/raw/socket").expect("it is taken");
        assert_eq!(closed(socket), (CloseCode::Error, expected.to_owned()), "{entry}");
        unharmed(&host);
    }
}

fn manifests_that_are_none() {
    let manifest = |more: Value| {
        let mut manifest = json!({"name": "raw", "version": "1", "kind": "service", "settings": {}});
        let members = more.as_object().cloned().unwrap_or_default();
        manifest.as_object_mut().expect("an object").extend(members);
        manifest.to_string()
    };
    check_manifest("", expect!["gives no manifest: EOF while parsing a value at line 1 column 0"]);
    check_manifest(
        "[7]",
        expect!["gives no manifest: invalid type: integer `7`, expected a string at line 1 column 2"],
    );
    check_manifest(
        &manifest(json!({"kind": "\u{1b}[31m"})),
        expect![[
            r#"gives no manifest: unknown variant ` [31m`, expected `integration` or `service` at line 1 column 20"#
        ]],
    );
    check_manifest(
        &manifest(json!({"settings": {"type": "nonsense"}})),
        expect![[
            r#"has a manifest that cannot be used: the JSON Schema of the settings is invalid: "nonsense" is not valid under any of the schemas listed in the 'anyOf' keyword"#
        ]],
    );
    check_manifest(
        &manifest(json!({"probe_interval_ms": 0})),
        expect![
            "has a manifest that cannot be used: its probe interval is 0 ms: expected 100 ms at least, 86400000 ms at most"
        ],
    );
    check_manifest(
        &manifest(json!({"operations": [{"name": "Bad Name", "mode": "call", "request": {"type": 7}}]})),
        expect![
            "has a manifest that cannot be used: an operation is named `Bad Name`: a name is snake_case, begins with a letter and has at most 64 characters; the JSON Schema of the request of `Bad Name` is invalid: 7 is not valid under any of the schemas listed in the 'anyOf' keyword"
        ],
    );
    check_manifest(
        &manifest(json!({"requires": ["raw", "raw"]})),
        expect!["has a manifest that cannot be used: `raw` depends on itself; `raw` depends on itself"],
    );
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    check_manifest(
        &deep,
        expect!["gives no manifest: invalid type: sequence, expected a string at line 1 column 1"],
    );
}

/// The library is quarantined, in a line that begins so behind its path.
#[track_caller]
fn check_manifest(manifest: &str, expected: Expect) {
    let host = Setup::new("[plugins.raw]\n[plugins.neighbour]\nlibrary = \"faulty\"\n")
        .file("raw.json", manifest)
        .start();
    let seen = host.wait_for_status("raw", "error");
    assert_eq!(
        (&seen["reason"]["code"], &seen["fix"]["action"]),
        (&json!("load_failed"), &json!("upgrade")),
        "{seen:#}"
    );
    let message = seen["reason"]["message"].as_str().unwrap_or_default();
    let (_, told) = message.split_once("libraw.so` ").unwrap_or(("", message));
    expected.assert_eq(told);
    host.wait_for_status("neighbour", "connected");
    host.wait_until_ready();
    unharmed(&host);
}

fn half_sent_requests_harm_nobody() {
    let host = start();
    let connections: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut half = TcpStream::connect(host.address()).expect("the host listens");
            std::io::Write::write_all(&mut half, b"GET /livez HT").expect("it takes them");
            half
        })
        .collect();
    unharmed(&host);
    drop(connections);
    unharmed(&host);
}
