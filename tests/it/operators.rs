//! What operators do with a running host: they follow it, and have it say more.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, flip::flip, http, process::Process, trials, wait::wait_until};

pub fn tests() -> Vec<Trial> {
    trials![
        a_plugin_says_more_while_it_runs_and_after_a_reload,
        the_host_says_more_while_it_runs,
        a_level_that_is_none_is_refused,
        every_record_is_an_object_where_json_is_asked_for,
        changes_are_lines_where_there_is_no_terminal,
        no_change_is_left_out_however_quick,
        changes_are_lines_of_json_where_that_is_asked_for,
    ]
}

const DATABASE: &str = "[plugins.database]\n";
/// What the database plugin says at the level `debug` of a statement that is none.
const WORDS: &str = "the driver reports an error";

/// Gives it cause to say so.
fn provoke(host: &TestHost) {
    let answer = host.call("database", "query", &json!({"sql": "select from where"}));
    assert_eq!(answer.status, 400, "{}", answer.body);
}

/// How often it has said so.
fn said(host: &TestHost) -> usize {
    host.output().matches(WORDS).count()
}

/// Gives it cause, and waits until it has said so this many times in all: what it says is in order.
#[track_caller]
fn says(host: &TestHost, times: usize) {
    provoke(host);
    wait_until("the log to say it", || said(host), |said| *said >= times);
    assert_eq!(said(host), times);
}

#[track_caller]
fn log(host: &TestHost, arguments: &[&str]) -> String {
    let finished = host.command(&[&["log"], arguments].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout
}

fn a_plugin_says_more_while_it_runs_and_after_a_reload() {
    let host = Setup::new(DATABASE).start();
    host.wait_for_status("database", "connected");
    provoke(&host);
    assert_eq!(log(&host, &[]), "database  info\nhost      info\n");
    assert_eq!(log(&host, &["database", "debug"]), "database  debug  (set at run time)\nhost      info\n");
    // Once: by default it has said nothing.
    says(&host, 1);

    fs::write(host.setup().path("plugins.toml"), format!("{DATABASE}settings = {{ row_limit = 7 }}\n"))
        .expect("a file can be written");
    let reloaded = host.command(&["reload"]);
    assert_eq!(reloaded.stdout, "restarted: database\n", "{reloaded:?}");
    host.wait_for_plugin("database", "the second instance", |plugin| {
        plugin["generation"] == 2 && plugin["status"] == "connected"
    });
    // A new instance goes on at the level that was set.
    says(&host, 2);

    assert_eq!(log(&host, &["database", "default"]), "database  info\nhost      info\n");
    provoke(&host);
    log(&host, &["database", "debug"]);
    // It said little in between.
    says(&host, 3);
}

fn the_host_says_more_while_it_runs() {
    let host = Setup::new(DATABASE).start();
    host.wait_for_status("database", "connected");
    let words = "the connection ended early";
    let disturb = || {
        let _ = http::send_raw(host.address(), b"this is no HTTP\r\n\r\n");
    };
    disturb();
    // Before the level changes: the host may write of it later.
    assert!(!host.output().contains(words));
    assert_eq!(log(&host, &["host", "debug"]), "database  info\nhost      debug  (set at run time)\n");
    wait_until(
        "the host to say more",
        || {
            disturb();
            host.output().contains(words)
        },
        |said| *said,
    );
    assert_eq!(log(&host, &["host", "default"]), "database  info\nhost      info\n");
}

fn a_level_that_is_none_is_refused() {
    let host = Setup::new(DATABASE).start();
    let loud = host.command(&["log", "database", "loud"]);
    assert_eq!(loud.code, Some(1), "{loud:?}");
    assert!(
        loud.stderr.contains("unknown variant `loud`, expected one of `off`, `error`, `warn`"),
        "{loud:?}"
    );
    let unknown = host.command(&["log", "databse", "debug"]);
    assert_eq!((unknown.code, unknown.stderr.as_str()), (Some(1), "error: there is no plugin `databse`\n"));
    assert_eq!(host.command(&["log", "database"]).code, Some(2), "a plugin alone says nothing");
}

fn every_record_is_an_object_where_json_is_asked_for() {
    let config = format!("[host]\nlog = {{ level = \"debug\", format = \"json\" }}\n{DATABASE}");
    let host = Setup::new(&config).start();
    host.wait_for_status("database", "connected");
    provoke(&host);
    let (finished, _) = host.terminate();
    let records: Vec<Value> = finished
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}")))
        .collect();
    let of_plugin =
        records.iter().find(|record| record["plugin"] == "database" && record["level"] == "DEBUG");
    let of_plugin = of_plugin.unwrap_or_else(|| panic!("the plugin said nothing: {records:#?}"));
    assert!(of_plugin["message"].as_str().is_some_and(|message| message.contains(WORDS)), "{of_plugin:#}");
    assert!(of_plugin["timestamp"].is_string() && of_plugin["trace"].is_string(), "{of_plugin:#}");
}

/// A host with one plugin, and somebody who follows it.
fn followed(arguments: &[&str]) -> (TestHost, Process) {
    let host = Setup::new("[plugins.faulty]\n").start();
    host.wait_for_status("faulty", "connected");
    let watch = host.setup().spawn(arguments);
    wait_until("the first look", || watch.stdout(), |shown| shown.contains("faulty"));
    (host, watch)
}

/// One plugin more.
fn change(host: &TestHost) {
    let more = "[plugins.faulty]\n[plugins.neighbour]\nlibrary = \"faulty\"\n";
    fs::write(host.setup().path("plugins.toml"), more).expect("a file can be written");
    assert_eq!(host.command(&["reload"]).code, Some(0));
}

fn changes_are_lines_where_there_is_no_terminal() {
    let (host, watch) = followed(&["status", "--watch"]);
    change(&host);
    let shown = wait_until(
        "the change",
        || watch.stdout(),
        |shown| {
            shown.contains(" neighbour: ") && shown.contains("connected\n") && shown.ends_with("connected\n")
        },
    );
    assert!(shown.lines().next().is_some_and(|line| line.ends_with(" the host is healthy")), "{shown}");
    assert_eq!(
        shown.matches(" faulty: connected").count(),
        1,
        "what has not changed is not told again: {shown}"
    );
    assert!(!shown.contains('\u{1b}') && !shown.contains("PLUGIN"), "{shown}");
    let (_, setup) = host.terminate();
    let finished = watch.wait();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    drop(setup);
}

fn no_change_is_left_out_however_quick() {
    let host = Setup::new("[plugins.faulty]\n[plugins.dependent]\n").start();
    host.wait_for_status("dependent", "connected");
    let watch = host.setup().spawn(&["status", "--watch"]);
    wait_until("the first look", || watch.stdout(), |shown| shown.contains(" faulty: connected\n"));
    (0..10).for_each(|turn| flip(&host, &[], turn));
    flip(&host, &[], 0);
    let told = |shown: &str, name: &str| -> Vec<String> {
        let told = |line: &str| line.split_once(&format!(" {name}: ")).map(|(_, told)| told.to_owned());
        shown.lines().filter_map(told).collect()
    };
    // Once each; flapping is told in between, and what it blocks follows when it stays so.
    let shown = wait_until(
        "all of it",
        || watch.stdout(),
        |shown| {
            let last = told(shown, "dependent").pop();
            told(shown, "faulty").len() >= 12 && last.is_some_and(|last| last == "blocked by faulty")
        },
    );
    let leaves = "connected -> disconnected (as told by the settings)";
    let expected =
        ["connected"].into_iter().chain([leaves, "disconnected -> connected"].repeat(5)).chain([leaves]);
    let transitions = told(&shown, "faulty").into_iter().filter(|told| !told.contains("flapping"));
    assert_eq!(transitions.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{shown}");
    host.terminate();
    assert_eq!(watch.wait().code, Some(3));
}

fn changes_are_lines_of_json_where_that_is_asked_for() {
    let (host, watch) = followed(&["status", "--watch", "--json"]);
    change(&host);
    let shown = wait_until(
        "the change",
        || watch.stdout(),
        |shown| shown.lines().any(|line| line.contains("\"neighbour\"") && line.ends_with('}')),
    );
    let parsed = |line: &str| serde_json::from_str::<Value>(line).expect("each line is JSON");
    let revisions: Vec<u64> =
        shown.lines().map(|line| parsed(line)["revision"].as_u64().expect("a revision")).collect();
    assert!(revisions.len() >= 2 && revisions.is_sorted_by(|one, next| one < next), "{revisions:?}");
    host.terminate();
    assert_eq!(watch.wait().code, Some(3));
}
