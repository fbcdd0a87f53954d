//! The operator's token on the real binary: what it opens, for whom, and that nothing shows it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use libtest_mimic::Trial;
use serde_json::json;
use switchboard_tests::{Setup, artifacts::repository, trials};

pub fn tests() -> Vec<Trial> {
    trials![
        beyond_loopback_the_token_opens_what_is_the_operators,
        a_token_that_is_configured_is_required_on_loopback_too,
        the_command_line_has_the_token_and_a_wrong_one_opens_nothing,
        a_host_elsewhere_is_reached_by_its_address,
        the_change_of_access_is_told_where_operators_look,
        a_token_that_cannot_be_used_is_refused,
    ]
}

const TOKEN: &str = "correct-horse-battery-staple";
const BEARER: &str = "Bearer correct-horse-battery-staple";

fn beyond_loopback_the_token_opens_what_is_the_operators() {
    let host = Setup::new("[host]\ntoken_file = \"token\"\n[plugins.faulty]\n")
        .file("token", format!("{TOKEN}\n"))
        .env("SWITCHBOARD_LISTEN", "0.0.0.0:0")
        .start();
    host.wait_until_ready();
    assert_eq!(host.get("/metrics").status, 401);
    assert_eq!(host.call("host", "status", &json!({})).status, 401);
    let faulty = host.plugin("faulty");
    let keys: Vec<_> = faulty.as_object().expect("a plugin is an object").keys().cloned().collect();
    assert_eq!(keys, ["healthy", "kind", "name", "since", "status"]);

    let with_token = host.request("GET", "/api/health/connections", &[("authorization", BEARER)], None);
    assert!(with_token.json()["edges"].is_array(), "{}", with_token.body);
    let called = host.command(&["call", "host.status", r#"{"plugin":"faulty"}"#]);
    assert_eq!(called.code, Some(0), "{called:?}");
    let wrong = host.request("GET", "/metrics", &[("authorization", "Bearer wrong")], None);
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, Some("Bearer")));
    let everything = with_token.body + &called.stdout + &wrong.body + &host.output();
    assert!(!everything.contains(TOKEN), "{everything}");
}

/// As a request reaches it by `proxy_pass` without a header of its own, or by HAProxy with `Host: localhost`.
fn a_token_that_is_configured_is_required_on_loopback_too() {
    let host = Setup::new("[plugins.faulty]\n").env("SWITCHBOARD_TOKEN", TOKEN).start();
    host.wait_for_status("faulty", "connected");
    let bearer = ("authorization", BEARER);
    let via = ("via", "1.1 proxy");
    let local = ("host", "localhost");
    for headers in [&[][..], &[local], &[via]] {
        for path in ["/metrics", "/"] {
            assert_eq!(host.request("GET", path, headers, None).status, 401, "{path} {headers:?}");
            let with = [headers, &[bearer]].concat();
            assert_eq!(host.request("GET", path, &with, None).status, 200, "{path} {with:?}");
        }
    }
    assert_eq!(host.call("host", "status", &json!({})).status, 401);
    assert_eq!(host.post("/api/health/integrations/faulty/verify", &json!({})).status, 401);
    assert_eq!(host.get("/livez").status, 200);
    host.wait_until_ready();
    assert_eq!(host.get("/api/health").body, r#"{"status":"healthy"}"#);
    host.wait_for_output("the operator's token is required, on loopback too");

    let form = [via, ("content-type", "application/x-www-form-urlencoded")];
    let login = host.request("POST", "/login", &form, Some(&format!("token={TOKEN}")));
    assert_eq!((login.status, login.header("location")), (303, Some("/")));
    let cookie =
        login.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie is set");
    assert_eq!(host.request("GET", "/metrics", &[via, ("cookie", cookie)], None).status, 200);
}

fn the_command_line_has_the_token_and_a_wrong_one_opens_nothing() {
    let named = Setup::new("[host]\ntoken_file = \"token\"\n[plugins.faulty]\n").file("token", TOKEN);
    let beside = Setup::new("[plugins.faulty]\n").file(".env", format!("SWITCHBOARD_TOKEN={TOKEN}\n"));
    for setup in [named, beside] {
        let host = setup.start();
        host.wait_for_status("faulty", "connected");
        let commands = [&["status", "--json"][..], &["doctor", "host"], &["log"], &["reload"]];
        for command in commands.into_iter().chain([&["call", "faulty.counts"][..]]) {
            let finished = host.command(command);
            assert_eq!(finished.code, Some(0), "{command:?} {finished:?}");
        }
        assert!(host.command(&["status", "--json"]).stdout.contains("\"edges\""), "it is told all");
        let wrong = [("authorization", "Bearer another-token-altogether")];
        for path in ["/api/health", "/api/health/services", "/api/health/events", "/metrics"] {
            assert_eq!(host.request("GET", path, &wrong, None).status, 401, "{path}");
        }
    }
}

fn the_change_of_access_is_told_where_operators_look() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).expect("it is there");
    let log = read("host/docs/CHANGELOG.md");
    let first = log.lines().find(|line| line.starts_with("- ")).expect("it lists changes");
    assert!(first.contains("operator's token") && first.contains("required"), "{first}");
    assert!(read("host/deploy/README.md").contains("credentials_file"), "the example has the token");
    assert!(read("host/docs/access.md").contains("always required, on loopback too, `/metrics` included"));
}

fn a_token_that_cannot_be_used_is_refused() {
    let setup = Setup::new("[plugins.faulty]\n").env("SWITCHBOARD_TOKEN", "hunter2");
    let refused = setup.command(&["run"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.stderr.contains("`SWITCHBOARD_TOKEN` has 7 characters, fewer than 16"), "{refused:?}");
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
}

/// From a folder without a configuration, as on an operator's own machine.
fn a_host_elsewhere_is_reached_by_its_address() {
    let host = Setup::new("[plugins.faulty]\n").env("SWITCHBOARD_TOKEN", TOKEN).start();
    host.wait_until_ready();
    let url = format!("http://{}", host.address());
    let with_token = Setup::empty().env("SWITCHBOARD_TOKEN", TOKEN);
    let status = with_token.command(&["status", "--url", &url]);
    assert_eq!(status.code, Some(0), "{status:?}");
    let called =
        with_token.command(&["call", "--url", &format!("{url}/"), "faulty.echo", r#"{"text":"hi"}"#]);
    assert_eq!(called.code, Some(0), "{called:?}");

    let without = Setup::empty().env("SWITCHBOARD_URL", &url);
    let status = without.command(&["status"]);
    assert_eq!(status.code, Some(0), "reduced health is open: {status:?}");
    let called = without.command(&["call", "faulty.echo", "{}"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.stderr.contains("set `SWITCHBOARD_TOKEN`"), "{called:?}");

    let gone = with_token.command(&["status", "--url", "http://127.0.0.1:1"]);
    assert_eq!(gone.code, Some(3), "{gone:?}");
    let refused = "error: the host at http://127.0.0.1:1 cannot be reached: Connection refused";
    assert!(gone.stderr.starts_with(refused), "{gone:?}");
    // A proxy answers, and the host behind it is down.
    let proxy = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = proxy.local_addr().expect("it has one");
    let answers = thread::spawn(move || {
        let (mut client, _) = proxy.accept().expect("a client comes");
        let _ = client.read(&mut [0; 4096]);
        let head = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\n";
        client.write_all(format!("{head}<html>").as_bytes()).expect("it is read");
    });
    let proxied = with_token.command(&["status", "--url", &format!("http://{address}")]);
    answers.join().expect("it answered");
    assert_eq!(proxied.code, Some(3), "how the host is, is unknown: {proxied:?}");
    assert!(proxied.stderr.contains("answered 502 without JSON"), "{proxied:?}");
    let local = Setup::new("[plugins.faulty]\n").env("SWITCHBOARD_URL", &url);
    let told = local.command(&["--config", "plugins.toml", "status"]);
    assert!(
        told.stderr.contains("no host runs in"),
        "the configuration of the command line counts: {told:?}"
    );
    let wrong = with_token.command(&["status", "--url", "http://ann:hush@127.0.0.1"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("the token comes from `SWITCHBOARD_TOKEN`"), "{wrong:?}");
}
