//! plugins.toml is read again while the host runs: exactly the difference is restarted, and nothing is lost by it.

use std::{fs, process::Command, thread};

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost, artifacts::artifacts, footprint::Footprint, http::Response, trials, wait::wait_until,
};
use tungstenite::Message;

use crate::routes::{closed, connect};

pub fn tests() -> Vec<Trial> {
    trials![
        what_has_not_changed_is_left_alone,
        what_changed_is_restarted_with_what_requires_it,
        plugins_come_and_go_with_their_routes,
        a_hangup_reloads,
        an_invalid_file_changes_nothing_and_says_why,
        what_check_refuses_changes_nothing,
        a_library_that_is_refused_changes_nothing,
        a_token_that_changed_is_in_force_at_reload,
        a_token_that_is_taken_away_opens_nothing_to_other_machines,
        what_is_no_file_holds_up_no_reload,
        what_was_held_starts_when_the_cause_ends,
        what_only_a_restart_can_change_is_named,
        a_library_that_changed_is_named_and_not_loaded_again,
        a_library_that_was_missing_is_loaded,
        calls_in_flight_end,
        calls_and_streams_beyond_the_grace_period_are_cut,
        a_plugin_may_not_reload,
        a_hundred_reloads_leak_nothing,
    ]
}

/// A faulty plugin with these settings, one that requires it, and one that has nothing to do with them.
fn config(settings: &str) -> String {
    format!(
        "[host]\nshutdown_grace = \"5s\"\n[plugins.faulty]\nsettings = {{ {settings} }}\n[plugins.dependent]\n\
         [plugins.neighbour]\nlibrary = \"faulty\"\n"
    )
}

/// Any value that differs makes the plugin a changed one.
fn secret(value: usize) -> String {
    config(&format!("secret = \"secret-number-{value}\""))
}

fn start(config: &str) -> TestHost {
    let host = Setup::new(config).start();
    host.wait_until_ready();
    host
}

fn write(host: &TestHost, config: &str) {
    fs::write(host.setup().path("plugins.toml"), config).expect("a file can be written");
}

/// Writes plugins.toml and reloads it; gives what came of it.
#[track_caller]
fn reload(host: &TestHost, config: &str) -> Value {
    write(host, config);
    let finished = host.command(&["reload", "--json"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    serde_json::from_str(&finished.stdout).expect("it prints JSON")
}

fn reloaded(added: &[&str], removed: &[&str], changed: &[&str], dependents: &[&str]) -> Value {
    json!({
        "added": added, "removed": removed, "changed": changed, "dependents": dependents, "needs_restart": [],
    })
}

fn generations(host: &TestHost) -> [u64; 3] {
    ["faulty", "dependent", "neighbour"]
        .map(|name| host.wait_for_status(name, "connected")["generation"].as_u64().expect("a number"))
}

fn what_has_not_changed_is_left_alone() {
    let host = start(&secret(1));
    assert_eq!(generations(&host), [1, 1, 1]);
    let revision = host.get("/api/health").json()["revision"].clone();
    let same_but_moved = format!("# A comment moves every line.\n\n{}", secret(1));
    assert_eq!(reload(&host, &same_but_moved), reloaded(&[], &[], &[], &[]));
    assert_eq!(host.command(&["reload"]).stdout, "nothing has changed that a reload can apply\n");
    assert_eq!(generations(&host), [1, 1, 1]);
    assert_ne!(host.get("/api/health").json()["revision"], Value::Null);
    assert_eq!(host.get("/api/health").json()["status"], "healthy", "at revision {revision} too");
}

fn what_changed_is_restarted_with_what_requires_it() {
    let host = start(&secret(1));
    assert_eq!(generations(&host), [1, 1, 1]);
    assert_eq!(reload(&host, &secret(2)), reloaded(&[], &[], &["faulty"], &["dependent"]));
    assert_eq!(generations(&host), [2, 2, 1]);
    assert_eq!(host.get("/readyz").status, 200, "a reload does not reopen it");
    let asked = json!({"plugin": "faulty", "operation": "echo", "request": {"text": "hi"}});
    assert_eq!(host.call("dependent", "ask", &asked).json()["text"], "hi");

    let only_the_dependent =
        secret(2).replace("[plugins.dependent]", "[plugins.dependent]\ncalls = { timeout = \"9s\" }");
    assert_eq!(reload(&host, &only_the_dependent), reloaded(&[], &[], &["dependent"], &[]));
    assert_eq!(generations(&host), [2, 3, 1]);

    let text = host.setup().command(&["reload"]).stdout;
    assert_eq!(text, "nothing has changed that a reload can apply\n");
    write(&host, &secret(3));
    let text = host.command(&["reload"]).stdout;
    assert_eq!(text, "restarted: dependent, faulty\n", "both sections changed");
    let history = host.wait_for_status("faulty", "connected")["history"].as_array().expect("a history").len();
    assert_eq!(history, 2 + 3 + 3, "what was before the reloads is remembered");
    assert_eq!(host.plugin("faulty")["flapping"], false);
}

fn plugins_come_and_go_with_their_routes() {
    let host = start(&config(""));
    assert_eq!(host.get("/web/1/show").status, 404);
    let with_web = format!("{}[plugins.web]\n", config(""));
    assert_eq!(reload(&host, &with_web), reloaded(&["web"], &[], &[], &[]));
    host.wait_for_status("web", "connected");
    assert_eq!(host.get("/web/1/show").status, 201);
    assert_eq!(host.get("/api/health").json()["total"], 4);
    let waves = host.get("/api/health/connections").json()["start"]["waves"].clone();
    assert_eq!(waves, json!([["faulty", "neighbour"], ["dependent", "web"]]));

    let disabled = format!("{}[plugins.web]\nenabled = false\n", config(""));
    assert_eq!(reload(&host, &disabled), reloaded(&[], &["web"], &[], &[]));
    assert_eq!(host.get("/web/1/show").status, 404);
    assert_eq!(host.get("/api/health/services/web").status, 404);
    assert_eq!(host.call("web", "show", &json!({})).status, 404);
    assert_eq!(generations(&host), [1, 1, 1]);
}

fn a_hangup_reloads() {
    let mut host = start(&secret(1));
    write(&host, &secret(2));
    host.process().signal(Signal::HUP);
    wait_until("the log line", || host.output(), |output| output.contains("reloaded: restarted: faulty"));
    assert_eq!(generations(&host), [2, 2, 1]);

    write(&host, "[plugins.faulty]\nsettings = 1\n");
    host.process().signal(Signal::HUP);
    let refused = "not reloaded, and nothing was changed: plugins.toml:2: `plugins.faulty.settings`";
    wait_until("the log line", || host.output(), |output| output.contains(refused));
    assert_eq!(generations(&host), [2, 2, 1]);
}

fn an_invalid_file_changes_nothing_and_says_why() {
    let host = start(&secret(1));
    for (bad, why) in [
        ("[plugins.faulty]\nrequird = true\n", "plugins.toml:2: unknown key `requird` in `[plugins.faulty]`"),
        (
            "[plugins.dependent]\n",
            "plugins.toml:1: `dependent` requires `faulty`, which plugins.toml does not",
        ),
        ("[plugins.faulty]\n[plugins.egg]\n[plugins.chicken]\n", "plugins depend on each other in a cycle"),
    ] {
        write(&host, bad);
        let refused = host.command(&["reload"]);
        assert_eq!(refused.code, Some(64), "{refused:?}");
        assert!(refused.stderr.contains(why), "{refused:?}");
        let refused = host.call("host", "reload", &json!({}));
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(
            refused.body.contains("the configuration is refused, and nothing was changed"),
            "{}",
            refused.body
        );
        assert!(refused.json()["details"]["problems"].to_string().contains(why), "{}", refused.body);
    }
    assert_eq!(generations(&host), [1, 1, 1]);
}

/// Writes plugins.toml; the reload of it is refused with this exit code, and in these words.
#[track_caller]
fn refused(host: &TestHost, config: &str, code: i32, expected: Expect) {
    write(host, config);
    let refused = host.command(&["reload"]);
    assert_eq!(refused.code, Some(code), "{refused:?}");
    let folder = host.setup().folder().display().to_string();
    expected.assert_eq(&refused.stderr.replace(&folder, "<folder>"));
    let checked = host.command(&["check"]);
    assert_eq!(checked.code, Some(code), "`check` refuses it as well: {checked:?}");
}

fn what_check_refuses_changes_nothing() {
    let database = |settings: &str| format!("{}[plugins.database.settings]\n{settings}\n", config(""));
    let host = Setup::new(&database("max_connections = 5")).file(".env", "SMTP_PORT=\n").start();
    host.wait_until_ready();
    host.wait_for_status("database", "connected");
    let invalid = [
        (
            database("max_connections = \"20\""),
            expect![[r#"
                error: the configuration is refused, and nothing was changed (1 found)
                plugins.toml:9: `plugins.database.settings.max_connections` must be a whole number, found text
            "#]],
        ),
        (
            database("max_conections = 20\nrow_limit = 0"),
            expect![[r#"
                error: the configuration is refused, and nothing was changed (2 found)
                plugins.toml:9: `plugins.database.settings.max_conections` is not known; did you mean `max_connections`?
                plugins.toml:10: `plugins.database.settings.row_limit` must be at least 1, found a smaller number
            "#]],
        ),
        (
            format!("{}[plugins.smtp]\n", database("max_connections = 6")),
            expect![[r#"
                error: the configuration is refused, and nothing was changed (1 found)
                plugins.toml:10: `SMTP_PORT`, for this section, must be a whole number, found text
            "#]],
        ),
    ];
    fs::write(host.setup().path(".env"), "SMTP_PORT=many\n").expect("a file can be written");
    for (config, expected) in invalid {
        refused(&host, &config, 64, expected);
        let database = host.plugin("database");
        assert_eq!((&database["status"], &database["generation"]), (&json!("connected"), &json!(1)));
    }
    assert_eq!(host.get("/api/health").json()["total"], 4, "nothing was added");
    // What was bad at the start is its plugin's own error there, and is corrected by a reload.
    assert_eq!(reload(&host, &database("max_connections = 6"))["changed"], json!(["database"]));
    let (_, setup) = host.terminate();
    let host = setup.file("plugins.toml", database("max_connections = \"20\"")).start();
    assert_eq!(host.wait_for_status("database", "error")["reason"]["code"], "config_invalid");
    assert_eq!(reload(&host, &database("max_connections = 20"))["changed"], json!(["database"]));
    host.wait_for_status("database", "connected");
}

fn a_library_that_is_refused_changes_nothing() {
    let host = start(&secret(1));
    let added = format!("{}[plugins.web]\nlibrary = \"./web.so\"\n", secret(2));
    let missing = expect![[r#"
        error: the library is refused, and nothing was changed (1 found)
        plugins.toml:8: `<folder>/./web.so` does not exist: build it with `cargo build`, or correct `library` or `library_dir`
    "#]];
    refused(&host, &added, 65, missing);
    assert_eq!(host.get("/api/health").json()["total"], 3, "it is not told as started, and is not there");
    let replaced = secret(1).replace("library = \"faulty\"", "library = \"./plugins.toml\"");
    let no_library = expect![[r#"
        error: the library is refused, and nothing was changed (1 found)
        plugins.toml:6: `<folder>/./plugins.toml` is not a dynamic library, but a text file: point `library` at a built plugin
    "#]];
    refused(&host, &replaced, 65, no_library);
    assert_eq!(generations(&host), [1, 1, 1]);
    // One that was refused at the start keeps nobody else from being changed.
    let (_, setup) = host.terminate();
    let host = setup.file("plugins.toml", &added).start();
    host.wait_for_status("web", "error");
    assert_eq!(reload(&host, &added.replace("number-2", "number-3"))["changed"], json!(["faulty"]));
}

fn what_is_no_file_holds_up_no_reload() {
    let host = start(&secret(1));
    let pipe = host.setup().path(".env");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("coreutils are there");
    assert!(made.success());
    let no_file = expect![[r#"
        error: plugins.toml: the `.env` beside it cannot be read: it is a named pipe, not a file
    "#]];
    refused(&host, &secret(2), 64, no_file);
    // The command reads it, too: this is what the host says.
    let answer = host.call("host", "reload", &json!({}));
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("it is a named pipe, not a file"), "{}", answer.body);
    fs::remove_file(&pipe).expect("it is there");
    let libraries = format!("{}[plugins.web]\nlibrary = \"/dev/zero\"\n", secret(2));
    let no_library = expect![[r#"
        error: the library is refused, and nothing was changed (1 found)
        plugins.toml:8: `/dev/zero` is not a dynamic library, but a device: point `library` at a built plugin
    "#]];
    refused(&host, &libraries, 65, no_library);
    assert_eq!(generations(&host), [1, 1, 1]);
    assert_eq!(reload(&host, &secret(2)), reloaded(&[], &[], &["faulty"], &["dependent"]));
}

/// With a public address, the token is demanded here as well.
fn a_token_that_changed_is_in_force_at_reload() {
    const TOKENS: [&str; 3] =
        ["first-token-of-operators", "second-token-of-operators", "third-token-of-operators"];
    let config = |keys: &str| {
        format!("[host]\npublic_base_url = \"http://switchboard.example\"\n{keys}\n[plugins.faulty]\n")
    };
    let setup = Setup::new(&config("token_file = \"token\"")).file("token", TOKENS[0]);
    let host = setup.file("other", TOKENS[1]).start();
    host.wait_until_ready();
    let status = |token: &str| {
        let bearer = format!("Bearer {token}");
        host.request("POST", "/api/operations/host/log_levels", &[("authorization", &bearer)], None).status
    };
    let known = || TOKENS.map(|token| status(token) == 200);
    assert_eq!(known(), [true, false, false]);
    let reload_by = |token: &str| {
        let headers =
            [("authorization", format!("Bearer {token}")), ("content-type", "application/json".into())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        host.request("POST", "/api/operations/host/reload", &headers, Some("{}")).status
    };
    assert_eq!(reload_by("no-token-of-anybody-at-all"), 401);
    let steps = [
        ("token", TOKENS[1], config("token_file = \"token\"")),
        ("token", TOKENS[0], config("token_file = \"other\"")),
        (".env", "SWITCHBOARD_TOKEN=third-token-of-operators\n", config("token_file = \"other\"")),
    ];
    let expected = [[false, true, false], [false, true, false], [false, false, true]];
    for ((file, contents, plugins_toml), expected) in steps.into_iter().zip(expected) {
        fs::write(host.setup().path(file), contents).expect("a file can be written");
        reload(&host, &plugins_toml);
        assert_eq!(known(), expected, "after `{file}`");
    }
    assert_eq!(reload_by(TOKENS[0]), 401, "it is neither in force, nor would it be");
    assert!(!host.output().contains("-token-of-operators"), "{}", host.output());
}

/// Beyond loopback a host is never without the token: neither by a configuration that would be refused at a start, nor by
/// one that needs a restart to be true.
fn a_token_that_is_taken_away_opens_nothing_to_other_machines() {
    const TOKEN: &str = "the-token-of-operators";
    let config = |host: &str| format!("[host]\n{host}\n[plugins.faulty]\n");
    let write = |host: &TestHost, text: &str| {
        fs::write(host.setup().path("plugins.toml"), config(text)).expect("a file can be written");
    };
    let opens = |host: &TestHost| {
        let bearer = format!("Bearer {TOKEN}");
        let path = "/api/operations/host/log_levels";
        let without = host.request("POST", path, &[], None).status == 200;
        (without, host.request("POST", path, &[("authorization", &bearer)], None).status == 200)
    };
    let start = |text: &str| {
        let setup = Setup::new(&config(text)).without_env("SWITCHBOARD_LISTEN").file("token", TOKEN);
        let host = setup.start();
        host.wait_until_ready();
        assert_eq!(opens(&host), (false, true));
        host
    };

    let mut host = start("listen = \"0.0.0.0:0\"\ntoken_file = \"token\"");
    write(&host, "listen = \"0.0.0.0:0\"");
    let refused = host.command(&["reload"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.stderr.contains("there is no operator's token"), "{refused:?}");
    host.process().signal(Signal::HUP);
    host.wait_for_output("not reloaded, and nothing was changed");
    assert_eq!(opens(&host), (false, true), "what a start refuses changes nothing");

    write(&host, "listen = \"127.0.0.1:0\"");
    host.process().signal(Signal::HUP);
    host.wait_for_output("`token_file` of `[host]`");
    assert_eq!(opens(&host), (false, true), "the address is another one only after a restart");

    let mut host = start("listen = \"127.0.0.1:0\"\ntoken_file = \"token\"");
    write(&host, "listen = \"127.0.0.1:0\"");
    host.process().signal(Signal::HUP);
    host.wait_for_output("the operator's token is no longer required");
    assert!(opens(&host).0, "on this machine everybody is the operator, as at a start without a token");
}

fn what_was_held_starts_when_the_cause_ends() {
    let config = "[plugins.smtp]\nretry = { attempts = 1 }\n[plugins.faulty]\n[plugins.dependent]\n";
    let host = Setup::new(config).file(".env", "SMTP_SERVER=\n").start();
    host.wait_until_ready();
    assert_eq!(host.status("smtp"), "not_configured");
    fs::write(
        host.setup().path(".env"),
        "SMTP_SERVER=127.0.0.1\nSMTP_FROM_EMAIL=a@example.com\nSMTP_PORT=1\n\
              SMTP_TLS=none\n",
    )
    .expect("a file can be written");
    assert_eq!(reload(&host, config), reloaded(&[], &[], &["smtp"], &[]), "who only wants it goes on");
    assert_eq!(host.wait_for_status("smtp", "error")["reason"]["code"], "refused");
    fs::remove_file(host.setup().path(".env")).expect("it is there");
    assert_eq!(reload(&host, config), reloaded(&[], &[], &["smtp"], &[]));
    host.wait_for_status("smtp", "not_configured");
}

fn what_only_a_restart_can_change_is_named() {
    let host = start(&config(""));
    let elsewhere = config("").replace("[host]", "[host]\ndata_dir = \"other\"\nlog = { level = \"warn\" }");
    let expected = json!(["`data_dir` of `[host]`", "`log` of `[host]`"]);
    write(&host, &elsewhere);
    for _ in 0..2 {
        let answer = host.call("host", "reload", &json!({})).json();
        assert_eq!((&answer["needs_restart"], &answer["changed"]), (&expected, &json!([])));
    }
    assert!(!host.setup().path("other").exists());
}

fn a_library_that_changed_is_named_and_not_loaded_again() {
    let (setup, library) = with_own_library();
    let host = setup.start();
    host.wait_for_status("web", "connected");
    let loaded = libraries_open(&host);
    replace_file(&host, &library);
    let config = fs::read_to_string(host.setup().path("plugins.toml")).expect("it is there");
    let answer = reload(&host, &config);
    assert_eq!(answer["needs_restart"], json!(["the library of `web`, whose file changed"]));
    assert_eq!((answer["changed"].clone(), libraries_open(&host)), (json!([]), loaded));
    let (_, setup) = host.terminate();
    let host = setup.start();
    host.wait_for_status("web", "connected");
    assert_eq!(reload(&host, &config)["needs_restart"], json!([]));
}

fn a_library_that_was_missing_is_loaded() {
    let (setup, library) = with_own_library();
    fs::remove_file(setup.path("libraries/web.so")).expect("it is there");
    let host = setup.start();
    assert_eq!(host.wait_for_status("web", "error")["reason"]["code"], "load_failed");
    replace_file(&host, &library);
    let config = fs::read_to_string(host.setup().path("plugins.toml")).expect("it is there");
    assert_eq!(reload(&host, &config), reloaded(&[], &[], &["web"], &[]));
    let web = host.wait_for_status("web", "connected");
    assert_eq!((&web["kind"], &web["generation"]), (&json!("service"), &json!(1)));
    assert_eq!(host.get("/web/1/show").status, 201);
}

/// A plugin with a copy of its library that a test may change, and where it was copied from.
fn with_own_library() -> (Setup, Vec<u8>) {
    let library = fs::read(artifacts().library("web")).expect("the library is built");
    let setup =
        Setup::new("[plugins.web]\nlibrary = \"libraries/web.so\"\n").file("libraries/web.so", &library);
    (setup, library)
}

/// As an install does it: written beside and renamed, so that a mapped file stays as it is.
fn replace_file(host: &TestHost, contents: &[u8]) {
    let new = host.setup().path("libraries/web.so.new");
    fs::write(&new, contents).expect("a file can be written");
    fs::rename(new, host.setup().path("libraries/web.so")).expect("a file can be renamed");
}

fn libraries_open(host: &TestHost) -> String {
    let metrics = host.get("/metrics").body;
    let line = metrics.lines().find(|line| line.starts_with("switchboard_libraries_open "));
    line.expect("it is counted").to_owned()
}

/// Two plugins, of which `web` changes with the time that its calls may take.
fn web(grace: &str, seconds: u32) -> String {
    format!(
        "[host]\nshutdown_grace = \"{grace}\"\n[plugins.web]\ncalls = {{ timeout = \"{seconds}s\" }}\n\
         [plugins.faulty]\n"
    )
}

/// Begins a call of `web.slow`, reloads while it is under way, and gives its answer.
fn slow_call_during_reload(host: &TestHost, millis: u64, config: &str) -> Response {
    thread::scope(|scope| {
        let slow = scope.spawn(|| host.call("web", "slow", &json!({"millis": millis})));
        wait_until(
            "the call to be under way",
            || host.call("web", "slow_begun", &json!({})).body,
            |count| count == "1",
        );
        assert_eq!(reload(host, config), reloaded(&[], &[], &["web"], &[]));
        slow.join().expect("the thread ends")
    })
}

fn calls_in_flight_end() {
    let host = start(&web("20s", 29));
    let slow = slow_call_during_reload(&host, 1500, &web("20s", 28));
    assert_eq!(slow.status, 200, "{}", slow.body);
    assert_eq!(host.wait_for_status("web", "connected")["generation"], 2);
    assert_eq!(host.call("web", "slow_begun", &json!({})).body, "0", "it is another instance");
}

fn calls_and_streams_beyond_the_grace_period_are_cut() {
    let host = start(&web("300ms", 29));
    let mut socket = connect(&host, "", "sesame").expect("it is let in");
    socket.send(Message::text("hi")).expect("it is open");
    assert_eq!(socket.read().expect("it is echoed"), Message::text("hi"));
    let slow = slow_call_during_reload(&host, 25_000, &web("300ms", 28));
    assert_eq!(slow.status, 499, "{}", slow.body);
    assert_eq!(slow.json()["detail"], "`web` was stopped while it served this");
    let frame = closed(&mut socket);
    assert_eq!(frame.reason.as_str(), "`web` was stopped while it served this");
    assert_eq!(host.wait_for_status("web", "connected")["generation"], 2);
}

fn a_plugin_may_not_reload() {
    let host = start(&web("1s", 29));
    let refused = host.call("web", "ask_host", &json!({"operation": "reload"}));
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(refused.json()["detail"], "`web` is a plugin: only an operator may reload");
}

fn a_hundred_reloads_leak_nothing() {
    let mut host = start(&secret(0));
    let process = host.process().id();
    let reload_times = |times: std::ops::Range<usize>| {
        for time in times {
            write(&host, &secret(time));
            let answer = host.call("host", "reload", &json!({}));
            assert_eq!(answer.json()["changed"], json!(["faulty"]), "{}", answer.body);
            host.wait_for_status("dependent", "connected");
        }
    };
    let settled = |what: &str, at_most: [u64; 2]| {
        wait_until(
            what,
            || Footprint::of(process),
            |now| now.threads <= at_most[0] && now.descriptors <= at_most[1],
        )
    };
    reload_times(1..11);
    let before = settled("a count", [u64::MAX; 2]);
    let libraries = libraries_open(&host);
    let memory = before.memory_kib;
    reload_times(11..111);
    // The threads of the last instance may take a moment to end.
    settled("no thread and no descriptor to be left over", [before.threads + 2, before.descriptors + 2]);
    assert_eq!(libraries_open(&host), libraries);
    let grown = Footprint::of(process).memory_kib.saturating_sub(memory);
    assert!(grown < 20_000, "100 reloads took {grown} kB");
    assert_eq!(generations(&host), [111, 111, 1]);
    assert_eq!(host.get("/api/health").json()["status"], "healthy");
}
