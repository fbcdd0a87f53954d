//! What plugins went through survives the host: in the database, of each host its own, and late if it must be.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost, flip::flip, partners::postgres::Postgres, trial::Outcome, trials, wait::wait_until,
};

pub fn tests() -> Vec<Trial> {
    trials![
        what_a_plugin_went_through_survives_a_kill,
        the_last_hundred_transitions_are_kept,
        a_stop_loses_nothing_that_was_before_it,
        hosts_on_one_postgresql_have_each_its_own,
        what_happens_while_the_database_is_away_is_written_later,
    ]
}

const PLUGINS: &str = r#"
    [plugins.database]
    init = { timeout = "10s" }
    probe = { interval = "500ms", timeout = "15s" }
    retry = { attempts = 3, base = "50ms", cap = "200ms" }
    [plugins.faulty]
    probe = { interval = "1h" }
"#;

fn start(setup: Setup) -> TestHost {
    let host = setup.start();
    host.wait_for_status("database", "connected");
    host.wait_for_status("faulty", "connected");
    host
}

fn history(host: &TestHost) -> Vec<Value> {
    host.plugin("faulty")["history"].as_array().expect("a list").clone()
}

/// How many rows there are, of this host and of others.
fn rows(host: &TestHost) -> u64 {
    ask(host, "count(*)")
}

fn ask(host: &TestHost, what: &str) -> u64 {
    let sql = format!("select {what} as answer from host_transitions where plugin = 'faulty'");
    let answer = host.call("database", "query", &json!({ "sql": sql }));
    // Before the table is there, there are none.
    if answer.status == 200 { answer.json()["rows"][0][0].as_u64().unwrap_or(0) } else { 0 }
}

/// Waits until the history that a host has from before it started begins like this.
#[track_caller]
fn wait_for_history(host: &TestHost, earlier: &[Value]) {
    wait_until("the history of before", || history(host), |history| history.starts_with(earlier));
}

fn what_a_plugin_went_through_survives_a_kill() {
    let mut setup = Setup::new(PLUGINS);
    let mut known = Vec::new();
    for _ in 0..3 {
        let host = start(setup);
        wait_for_history(&host, &known);
        (0..8).for_each(|turn| flip(&host, &[], turn));
        known = history(&host);
        wait_until("it to be written", || rows(&host), |rows| *rows == known.len() as u64);
        // What comes now may be lost, but only the last of it.
        (0..8).for_each(|turn| flip(&host, &[], turn));
        let seen = history(&host);
        setup = host.kill();
        let host = start(setup);
        wait_for_history(&host, &known);
        let found = history(&host);
        let lost = seen.iter().zip(&found).position(|(seen, found)| seen != found).unwrap_or(seen.len());
        assert!(
            found[lost..]
                .iter()
                .all(|transition| transition["at"].as_str() > seen[seen.len() - 1]["at"].as_str()),
            "what is there of before has no gap: {seen:#?} {found:#?}"
        );
        known = found;
        setup = host.kill();
        // What the last start added may not have been written.
        known.truncate(lost);
    }
}

fn the_last_hundred_transitions_are_kept() {
    let host = start(Setup::new(PLUGINS));
    (0..110).for_each(|turn| flip(&host, &[], turn));
    let known = history(&host);
    assert_eq!(known.len(), 100);
    wait_until("the last one to be written", || ask(&host, "max(number)"), |last| *last == 112);
    wait_until("the older ones to be forgotten", || rows(&host), |rows| *rows == 100);
    let host = start(host.kill());
    // Two came with the start.
    wait_for_history(&host, &known[2..]);
    assert_eq!(history(&host).len(), 100);
    let flapping = host.plugin("faulty");
    assert_eq!(flapping["flapping"], false, "what was before a restart is no sign of unrest: {flapping:#}");
}

fn a_stop_loses_nothing_that_was_before_it() {
    let host = start(Setup::new(PLUGINS));
    (0..4).for_each(|turn| flip(&host, &[], turn));
    let known = history(&host);
    let (finished, setup) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    wait_for_history(&start(setup), &known);
}

fn hosts_on_one_postgresql_have_each_its_own() -> Outcome {
    let postgres = Postgres::start()?;
    let start = |setup: Setup| start(setup.env("DATABASE_URL", &postgres.url()));
    let hosts = [start(Setup::new(PLUGINS)), start(Setup::new(PLUGINS))];
    (0..4).for_each(|turn| flip(&hosts[0], &[], turn));
    let known = hosts.each_ref().map(history);
    assert_eq!(known.each_ref().map(Vec::len), [6, 2]);
    wait_until("both to be written", || rows(&hosts[0]), |rows| *rows == 8);
    let hosts = hosts.map(|host| start(host.kill()));
    for (host, known) in hosts.iter().zip(&known) {
        wait_for_history(host, known);
        assert_eq!(history(host).len(), known.len() + 2, "and nothing of the other's");
    }
    Ok(())
}

fn what_happens_while_the_database_is_away_is_written_later() -> Outcome {
    let mut postgres = Postgres::start()?;
    let host = start(Setup::new(PLUGINS).env("DATABASE_URL", &postgres.url()));
    wait_until("the start to be written", || rows(&host), |rows| *rows == 2);
    postgres.crash();
    host.wait_for_status("database", "error");
    (0..6).for_each(|turn| flip(&host, &[], turn));
    let known = history(&host);
    assert_eq!(known.len(), 8, "the board does not wait");
    postgres.resume();
    host.wait_for_status("database", "connected");
    wait_until("the rest to be written", || rows(&host), |rows| *rows == 8);
    wait_for_history(&start(host.kill()), &known);
    Ok(())
}
