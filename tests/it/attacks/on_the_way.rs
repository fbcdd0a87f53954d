//! Somebody on the way: between the host and the servers that it trusts with secrets, or among the clients that share it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use libtest_mimic::Trial;
use switchboard_tests::{Setup, TestHost, trials, wait::wait_until};

pub fn tests() -> Vec<Trial> {
    trials![
        a_server_that_poses_as_the_database_gets_no_password,
        no_secret_goes_to_another_machine_unencrypted,
        streams_and_slow_bodies_of_one_client_cost_others_nothing,
        behind_a_proxy_the_client_is_the_one_that_it_names,
    ]
}

/// A PostgreSQL that offers no TLS and asks for the password in clear text.
struct Pretender {
    port: u16,
    connections: Arc<Mutex<usize>>,
    passwords: Arc<Mutex<Vec<String>>>,
}

impl Pretender {
    fn start() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let (connections, passwords) = (Arc::<Mutex<usize>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (counted, heard) = (connections.clone(), passwords.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *counted.lock().unwrap() += 1;
                let heard = heard.clone();
                thread::spawn(move || heard.lock().unwrap().extend(pose(stream)));
            }
        });
        Self { port, connections, passwords }
    }

    fn url(&self, parameters: &str) -> String {
        format!("postgres://ann:nobody-may-hear-this@0.0.0.0:{}/main{parameters}", self.port)
    }
}

/// The password, if the client gives it. Messages: PostgreSQL's documentation, "Message Formats".
fn pose(mut stream: TcpStream) -> Option<String> {
    const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();
    const CLEAR_TEXT: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];
    let mut first = untagged(&mut stream)?;
    if first.starts_with(&SSL_REQUEST) {
        stream.write_all(b"N").ok()?;
        first = untagged(&mut stream)?;
    }
    assert!(first.starts_with(&[0, 3]), "the protocol's version 3");
    stream.write_all(&CLEAR_TEXT).ok()?;
    let mut tag = [0];
    stream.read_exact(&mut tag).ok()?;
    let password = untagged(&mut stream).filter(|_| tag == *b"p")?;
    Some(String::from_utf8_lossy(&password).trim_end_matches('\0').to_owned())
}

/// The rest of a message, behind its length.
fn untagged(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; (u32::from_be_bytes(length) as usize).checked_sub(4)?];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// `0.0.0.0` leads to this machine, and nobody can know that by its name.
fn a_server_that_poses_as_the_database_gets_no_password() {
    let pretender = Pretender::start();
    let host = Setup::new("[plugins.database]\n").env("DATABASE_URL", &pretender.url("")).start();
    let refused = host.wait_for_status("database", "error");
    assert_eq!(refused["reason"]["code"], "tls", "{refused}");
    let fix = refused["fix"]["label"].as_str().expect("it says what to do");
    assert!(fix.contains("sslrootcert"), "{fix}");
    assert!(*pretender.connections.lock().unwrap() > 0, "it was asked");
    assert_eq!(*pretender.passwords.lock().unwrap(), [] as [String; 0]);
    drop(host.kill());

    // Whoever says so gives it away, and is warned.
    let url = pretender.url("?sslmode=prefer");
    let host = Setup::new("[plugins.database]\n").env("DATABASE_URL", &url).start();
    host.wait_for_output("pose as the server");
    let heard = || pretender.passwords.lock().unwrap().first().cloned();
    wait_until("a password", heard, |heard| heard.as_deref() == Some("nobody-may-hear-this"));
    assert!(!host.output().contains("nobody-may-hear-this"), "the log does not tell it");
}

fn no_secret_goes_to_another_machine_unencrypted() {
    let host = Setup::new(
        r#"
        [plugins.database]
        [plugins.openai.settings]
        api_key = "any"
        base_url = "http://192.0.2.1/v1"
        [plugins.spoken]
        library = "openai"
        [plugins.spoken.settings]
        api_key = "any"
        realtime_url = "ws://192.0.2.1/v1/realtime"
        [plugins.twilio.settings]
        account_sid = "AC0000000000000000000000000000000a"
        auth_token = "any"
        phone_number = "+15551234567"
        api_base_url = "http://192.0.2.1"
        [plugins.google_calendar.settings]
        client_secrets_json = "{}"
        api_base_url = "http://192.0.2.1"
        [plugins.smtp.settings]
        server = "mail.example.com"
        from_email = "bot@example.com"
        username = "bot"
        oauth_refresh_token = "any"
        oauth_client_id = "any"
        oauth_token_url = "http://192.0.2.1/token"
        "#,
    )
    .start();
    for (plugin, setting) in [
        ("openai", "base_url"),
        ("spoken", "realtime_url"),
        ("twilio", "api_base_url"),
        ("google_calendar", "api_base_url"),
        ("smtp", "oauth_token_url"),
    ] {
        let refused = host.wait_for_status(plugin, "error");
        let expected = format!("`{setting}` would send secrets to `192.0.2.1` unencrypted: use `");
        let message = refused["reason"]["message"].as_str().expect("a reason is told");
        assert!(message.starts_with(&expected), "{message}");
    }
}

const WEB: &str = "[plugins.web]\n";

/// What the public event streams of one client are, and the slow bodies that have time.
const SHARE: usize = 64;

/// A request whose answer is not waited for.
struct Pending(TcpStream, String);

impl Pending {
    fn send(host: &TestHost, request: &str) -> Self {
        let mut stream = TcpStream::connect(host.address()).expect("the host listens");
        stream.write_all(request.as_bytes()).expect("it takes a request");
        stream.set_nonblocking(true).expect("a socket can be");
        Self(stream, String::new())
    }

    fn stream(host: &TestHost, headers: &str) -> Self {
        Self::send(
            host,
            &format!("GET /api/health/events HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", host.address()),
        )
    }

    /// A body that begins, and does not end.
    fn body(host: &TestHost, headers: &str) -> Self {
        let head = format!("POST /web/guarded HTTP/1.1\r\nhost: {}\r\n{headers}", host.address());
        Self::send(host, &format!("{head}content-type: text/plain\r\ncontent-length: 100\r\n\r\nslow"))
    }

    /// What has come of the answer by now.
    fn answer(&mut self) -> &str {
        let mut piece = [0; 4096];
        loop {
            match self.0.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => self.1.push_str(&String::from_utf8_lossy(&piece[..read])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => break,
            }
        }
        &self.1
    }
}

/// How many have been answered with this status.
fn count(pending: &mut [Pending], status: &str) -> usize {
    let start = format!("HTTP/1.1 {status} ");
    pending.iter_mut().filter_map(|pending| pending.answer().starts_with(&start).then_some(())).count()
}

/// Waits until so many are.
fn wait_for(pending: &mut [Pending], status: &str, expected: usize) {
    let mut counted = || count(pending, status);
    let what = format!("{expected} answers with {status}");
    wait_until(&what, &mut counted, |counted| *counted >= expected);
}

fn streams_and_slow_bodies_of_one_client_cost_others_nothing() {
    let host = Setup::new(WEB).env("SWITCHBOARD_TOKEN", "0123456789abcdef").start();
    host.wait_until_ready();
    let mut streams: Vec<_> = (0..448).map(|_| Pending::stream(&host, "")).collect();
    wait_for(&mut streams, "503", 448 - SHARE);
    assert_eq!(count(&mut streams, "200"), SHARE);
    let mut bodies: Vec<_> = (0..310).map(|_| Pending::body(&host, "")).collect();
    wait_for(&mut bodies, "408", 310 - SHARE);
    let at_once = |body: &mut Pending| usize::from(body.answer().contains("did not arrive within 1 s"));
    let at_once: usize = bodies.iter_mut().map(at_once).sum();
    assert_eq!(at_once, 310 - SHARE);

    assert_eq!(host.get("/livez").status, 200);
    let signed = host.request("POST", "/web/guarded", &[("x-word", "sesame")], Some("a webhook"));
    assert_eq!(signed.status, 201, "{}", signed.body);
    assert_eq!(host.request("POST", "/web/guarded", &[], Some("a webhook")).status, 403);
}

fn behind_a_proxy_the_client_is_the_one_that_it_names() {
    let settings = "[host]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let host = Setup::new(&format!("{settings}{WEB}")).start();
    host.wait_until_ready();
    let [greedy, other] = [1, 2].map(|number| format!("x-forwarded-for: 203.0.113.9, 192.0.2.{number}\r\n"));
    let mut streams: Vec<_> = (0..SHARE + 3).map(|_| Pending::stream(&host, &greedy)).collect();
    wait_for(&mut streams, "503", 3);
    let mut bodies: Vec<_> = (0..SHARE + 3).map(|_| Pending::body(&host, &greedy)).collect();
    wait_for(&mut bodies, "408", 3);
    wait_for(&mut [Pending::stream(&host, &other)], "200", 1);
    let mut slow = Pending::body(&host, &other);
    slow.0.set_nonblocking(false).expect("a socket can be");
    slow.0.write_all(&[b'.'; 96]).expect("it takes the rest");
    slow.0.set_nonblocking(true).expect("a socket can be");
    wait_for(&mut [slow], "403", 1);
    assert_eq!(count(&mut streams, "200"), SHARE);
}
