//! The database plugin on SQLite, as a fresh start has it: what was written is there after a power cut, and a file that
//! is no database is neither used nor replaced.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, partners::small_disk::SmallDisk, trial::Outcome, trials};

use tempfile::TempDir;

use crate::log::limit;

pub fn tests() -> Vec<Trial> {
    trials![
        what_was_written_survives_a_power_cut,
        a_transaction_is_all_or_nothing,
        two_hosts_do_not_share_a_file,
        a_corrupt_file_is_shown_and_kept,
        an_empty_database_url_means_sqlite,
        a_full_disk_is_an_outage_until_there_is_room,
        a_start_on_a_full_disk_comes_up_when_there_is_room,
        a_read_only_file_system_is_named_and_its_end_noticed,
        a_limit_of_file_size_is_an_outage_until_it_is_raised,
    ]
}

const DATABASE: &str = "[plugins.database]\nretry = { attempts = 1, base = \"10ms\", cap = \"10ms\" }\n";

fn start() -> TestHost {
    let host = Setup::new(DATABASE).start();
    host.wait_for_status("database", "connected");
    host
}

#[track_caller]
fn ok(host: &TestHost, operation: &str, request: &Value) -> String {
    let response = host.call("database", operation, request);
    assert_eq!(response.status, 200, "{}", response.body);
    response.body
}

fn what_was_written_survives_a_power_cut() {
    let host = start();
    ok(&host, "execute", &json!({"sql": "create table kept (answer text)"}));
    ok(&host, "execute", &json!({"sql": "insert into kept values ('forty-two')"}));
    let host = host.kill().start();
    host.wait_for_status("database", "connected");
    assert!(ok(&host, "query", &json!({"sql": "select answer from kept"})).contains("forty-two"));
}

/// Each has a `data_dir` of its own, so only the file itself can tell.
fn two_hosts_do_not_share_a_file() {
    let folder = TempDir::new().expect("a folder can be made");
    let url = format!("sqlite:{}/main.db", folder.path().display());
    let first = Setup::new(PROBED).env("DATABASE_URL", &url).start();
    first.wait_for_status("database", "connected");
    let patient = "[plugins.database]\nretry = { attempts = 1, recovery = \"300ms\" }\n";
    let second = Setup::new(patient).env("DATABASE_URL", &url).start();
    let refused = told(&second, "is in use by another host", "Stop the other host that uses `");
    let reason = refused["reason"]["message"].as_str().expect("a reason");
    assert!(reason.contains(&format!("{}/main.db", folder.path().display())), "{reason}");
    let answer = second.call("database", "execute", &json!({"sql": "create table shared (words text)"}));
    assert_eq!(answer.status, 503, "{}", answer.body);
    drop(first.kill());
    second.wait_for_status("database", "connected");
    ok(&second, "execute", &json!({"sql": "create table shared (words text)"}));
}

fn a_transaction_is_all_or_nothing() {
    let host = start();
    ok(&host, "execute", &json!({"sql": "create table kept (answer text)"}));
    let statements = json!([
        {"sql": "insert into kept values ('half')"},
        {"sql": "delete from kept where answer = 'nothing'", "expect_rows": 1},
    ]);
    let refused = host.call("database", "transaction", &json!({"statements": statements}));
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(!ok(&host, "query", &json!({"sql": "select answer from kept"})).contains("half"));
}

fn a_corrupt_file_is_shown_and_kept() {
    let garbage = "this is no database, but something that a person may miss\n".repeat(100);
    let host =
        Setup::new(&format!("{DATABASE}[plugins.faulty]\n")).file("data/switchboard.db", &garbage).start();
    let database = host.wait_for_status("database", "error");
    let message = database["reason"]["message"].as_str().expect("a reason is told");
    assert!(message.contains("switchboard.db"), "it names the file: {message}");
    let fix = database["fix"]["label"].as_str().expect("it says what to do");
    assert!(
        fix.contains("from a backup") && !fix.contains("DATABASE_URL"),
        "nothing is wrong with that: {fix}"
    );
    let kept = fs::read_to_string(host.setup().path("data/switchboard.db")).expect("it is still there");
    assert_eq!(kept, garbage, "nobody wrote over it");
    host.wait_for_status("faulty", "connected");
}

fn an_empty_database_url_means_sqlite() {
    let host = Setup::new(DATABASE).env("DATABASE_URL", "").start();
    host.wait_for_status("database", "connected");
    assert!(host.setup().path("data/switchboard.db").is_file());
}

/// Probed often, and retried never: what is certain needs neither.
const PROBED: &str = "[plugins.database]\nprobe = { interval = \"300ms\", timeout = \"15s\" }\n\
                      retry = { attempts = 1, recovery = \"1h\" }\n[plugins.faulty]\n";

fn a_full_disk_is_an_outage_until_there_is_room() -> Outcome {
    let setup = Setup::new(PROBED);
    let disk = SmallDisk::mount(&setup.path("data"), 4)?;
    let host = setup.start();
    let disk = disk;
    host.wait_for_status("database", "connected");
    ok(&host, "execute", &json!({"sql": "create table kept (words text)"}));
    ok(&host, "execute", &json!({"sql": "insert into kept values ('before')"}));

    disk.fill();
    let insert = json!({"sql": "insert into kept values ($1)", "params": ["x".repeat(20_000)]});
    for _ in 0..50 {
        let refused = host.call("database", "execute", &insert);
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert_eq!(refused.json()["kind"], "unavailable", "{}", refused.body);
        assert!(refused.body.contains("no disk space is left"), "{}", refused.body);
        assert!(refused.body.contains("nothing was changed"), "{}", refused.body);
    }
    let full = told(&host, "no disk space is left for the SQLite file", "Make room on the disk of `");
    assert_eq!(full["blocked_by"], json!([]), "{full:#}");
    assert!(ok(&host, "query", &json!({"sql": "select words from kept"})).contains("before"));

    disk.make_room();
    let back = host.wait_for_status("database", "connected");
    assert_eq!(back["generation"], 1, "without a restart");
    ok(&host, "execute", &insert);
    let count = ok(&host, "query", &json!({"sql": "select count(*) as rows from kept"}));
    assert!(count.contains("[[2]]"), "of what was refused nothing is there: {count}");
    Ok(())
}

/// Waits until the database is in error with this reason, and looks whether health and the doctor advise this.
#[track_caller]
pub fn told(host: &TestHost, reason: &str, advice: &str) -> Value {
    let says =
        |plugin: &Value| plugin["reason"]["message"].as_str().is_some_and(|text| text.contains(reason));
    let database =
        host.wait_for_plugin("database", reason, |plugin| plugin["status"] == "error" && says(plugin));
    assert_eq!(database["reason"]["code"], "unavailable", "{database:#}");
    assert_eq!(database["reason"]["retryable"], true, "{database:#}");
    assert!(database["fix"]["label"].as_str().is_some_and(|label| label.starts_with(advice)), "{database:#}");
    assert_ne!(host.get("/api/health").json()["status"], "healthy");
    let examined = host.command(&["doctor", "--json", "database"]);
    assert_eq!(examined.code, Some(1), "{examined:?}");
    let examined: Value = serde_json::from_str(&examined.stdout).expect("it prints JSON");
    let checks = examined["subjects"][0]["checks"].as_array().expect("it was examined");
    let written = checks.iter().find(|check| check["name"] == "write_and_read").expect("it was tried");
    assert!(written["fix"].as_str().is_some_and(|fix| fix.starts_with(advice)), "{written:#}");
    database
}

fn a_start_on_a_full_disk_comes_up_when_there_is_room() -> Outcome {
    let setup = Setup::new(PROBED).env("DATABASE_URL", "sqlite:store/main.db");
    let disk = SmallDisk::mount(&setup.path("store"), 4)?;
    disk.fill();
    let host = setup.start();
    let disk = disk;
    told(&host, "no disk space is left for the SQLite file", "Make room on the disk of `");
    disk.make_room();
    host.wait_for_status("database", "connected");
    ok(&host, "execute", &json!({"sql": "create table kept (words text)"}));
    Ok(())
}

fn a_read_only_file_system_is_named_and_its_end_noticed() -> Outcome {
    let setup = Setup::new(PROBED).env("DATABASE_URL", "sqlite:store/main.db");
    let disk = SmallDisk::mount(&setup.path("store"), 4)?;
    let host = setup.start();
    host.wait_for_status("database", "connected");
    let setup = host.terminate().1;
    disk.set_writable(false);
    let host = setup.start();
    let disk = disk;
    told(&host, "is mounted read-only", "Mount the file system of `");
    disk.set_writable(true);
    host.wait_for_status("database", "connected");
    ok(&host, "execute", &json!({"sql": "create table kept (words text)"}));
    Ok(())
}

/// As a quota of the disk refuses, and what no machine keeps a test from trying.
fn a_limit_of_file_size_is_an_outage_until_it_is_raised() {
    let mut host = Setup::new(PROBED).start();
    host.wait_for_status("database", "connected");
    ok(&host, "execute", &json!({"sql": "create table kept (words text)"}));
    limit(&mut host, Some(0));
    let insert = json!({"sql": "insert into kept values ('after')"});
    let refused = host.call("database", "execute", &insert);
    assert_eq!((refused.status, &refused.json()["kind"]), (503, &json!("unavailable")), "{}", refused.body);
    assert!(refused.body.contains("nothing was changed"), "{}", refused.body);
    told(&host, "its disk reports an error", "Check the disk of `");
    limit(&mut host, None);
    host.wait_for_status("database", "connected");
    ok(&host, "execute", &insert);
    let count = ok(&host, "query", &json!({"sql": "select count(*) as rows from kept"}));
    assert!(count.contains("[[1]]"), "of what was refused nothing is there: {count}");
}
