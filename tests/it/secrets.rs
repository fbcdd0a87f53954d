//! A secret reaches no output: not the log, not a reason, not JSON, whatever a plugin does with it.

use libtest_mimic::Trial;
use serde_json::json;
use switchboard_tests::{Setup, trials, wait::wait_until};

pub fn tests() -> Vec<Trial> {
    trials![
        a_plugin_cannot_give_its_secret_away,
        a_password_in_a_url_is_a_secret,
        commands_do_not_show_secrets,
    ]
}

const SECRET: &str = "correct-horse-battery-staple";

fn a_plugin_cannot_give_its_secret_away() {
    let host = Setup::new("[plugins.faulty]\nprobe = { interval = \"100ms\", timeout = \"1s\" }\n")
        .env("FAULTY_SECRET", SECRET)
        .start();
    host.wait_for_status("faulty", "connected");

    let told = host.call("faulty", "tell_secret", &json!({}));
    assert_eq!(told.status, 500);
    assert!(!told.body.contains(SECRET), "{}", told.body);
    wait_until("the log line", || host.output(), |output| output.contains("the secret is"));

    let probe = json!({"probe": {"fail": {"code": "quota", "message": format!("rejected {SECRET}")}}});
    host.call("faulty", "become", &probe);
    let faulty = host.wait_for_status("faulty", "error");
    assert!(!faulty.to_string().contains(SECRET), "{faulty:#}");
    assert!(!host.output().contains(SECRET), "{}", host.output());
}

fn a_password_in_a_url_is_a_secret() {
    let url = format!("postgres://someone:{SECRET}@127.0.0.1:1/nothing");
    let host = Setup::new("[plugins.database]\nretry = { attempts = 1, base = \"10ms\", cap = \"10ms\" }\n")
        .env("DATABASE_URL", &url)
        .start();
    let database = host.wait_for_status("database", "error");
    assert!(!database.to_string().contains(SECRET), "{database:#}");
    let everything = host.get("/api/health/connections").body + &host.get("/metrics").body + &host.output();
    assert!(!everything.contains(SECRET), "{everything}");
}

fn commands_do_not_show_secrets() {
    let setup = Setup::new("[plugins.faulty]\n").env("FAULTY_SECRET", SECRET);
    for arguments in [&["check"][..], &["graph"], &["schema"], &["plugin", "list"]] {
        let finished = setup.command(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
        assert!(!(finished.stdout + &finished.stderr).contains(SECRET), "{arguments:?}");
    }
}
