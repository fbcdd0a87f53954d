//! The database plugin on SQLite, as a fresh start has it: what was written is there after a power cut, and a file that
//! is no database is neither used nor replaced.

use std::fs;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, trials};

pub fn tests() -> Vec<Trial> {
    trials![
        what_was_written_survives_a_power_cut,
        a_transaction_is_all_or_nothing,
        a_corrupt_file_is_shown_and_kept,
        an_empty_database_url_means_sqlite,
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
    let kept = fs::read_to_string(host.setup().path("data/switchboard.db")).expect("it is still there");
    assert_eq!(kept, garbage, "nobody wrote over it");
    host.wait_for_status("faulty", "connected");
}

fn an_empty_database_url_means_sqlite() {
    let host = Setup::new(DATABASE).env("DATABASE_URL", "").start();
    host.wait_for_status("database", "connected");
    assert!(host.setup().path("data/switchboard.db").is_file());
}
