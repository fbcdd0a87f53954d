//! The operator's token on the real binary: what it opens, for whom, and that nothing shows it.

use libtest_mimic::Trial;
use serde_json::json;
use switchboard_tests::{Setup, trials};

pub fn tests() -> Vec<Trial> {
    trials![
        beyond_loopback_the_token_opens_what_is_the_operators,
        on_loopback_only_what_a_proxy_brings_needs_the_token,
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

fn on_loopback_only_what_a_proxy_brings_needs_the_token() {
    let host = Setup::new("[plugins.faulty]\n").env("SWITCHBOARD_TOKEN", TOKEN).start();
    assert_eq!(host.get("/metrics").status, 200);
    let via = ("via", "1.1 proxy");
    assert_eq!(host.request("GET", "/metrics", &[via], None).status, 401);
    assert_eq!(host.request("GET", "/metrics", &[via, ("authorization", BEARER)], None).status, 200);

    let form = [via, ("content-type", "application/x-www-form-urlencoded")];
    let login = host.request("POST", "/login", &form, Some(&format!("token={TOKEN}")));
    assert_eq!((login.status, login.header("location")), (303, Some("/")));
    let cookie =
        login.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie is set");
    assert_eq!(host.request("GET", "/metrics", &[via, ("cookie", cookie)], None).status, 200);
}

fn a_token_that_cannot_be_used_is_refused() {
    let setup = Setup::new("[plugins.faulty]\n").env("SWITCHBOARD_TOKEN", "hunter2");
    let refused = setup.command(&["run"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.stderr.contains("`SWITCHBOARD_TOKEN` has 7 characters, fewer than 16"), "{refused:?}");
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
}
